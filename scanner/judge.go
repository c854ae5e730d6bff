package scanner

import (
	"bytes"
	"fmt"
	"math"
)

// A Reason is one addend of a finding's score.
type Reason struct {
	What string
	Adds float64
}

// judged scores a candidate of a finder and keeps it if it may be a key.
func (w *work) judged(f finder, c candidate) {
	rule := w.s.finders[f]
	if rule == nil {
		return
	}
	v := w.text[c.value.start:c.value.end]
	if why := refused(v, c); why != "" {
		w.drop(rule, c.value, why)
		return
	}
	score, reasons := w.score(f, c, v)
	if score < min(w.s.opt.MinConfidence, DefaultConfidence)/2 {
		w.dropScored(rule, c.value, score, reasons)
		return
	}
	if why := w.excepted(rule, c.value, c.value); why != "" {
		w.drop(rule, c.value, why)
		return
	}
	w.keep(hit{rule: rule, span: c.value, score: score, reasons: reasons})
}

// refused returns why v is certainly no key: too short, too long, a reference
// to a key that lives elsewhere, encrypted, a placeholder.
func refused(v []byte, c candidate) string {
	switch {
	case reference(v):
		return "a reference to a value that lives elsewhere"
	case len(v) < 4:
		return "too short"
	case len(v) > 1024:
		return "too long for a generic key"
	case encrypted(v):
		return "encrypted"
	case placeholder(v):
		return "a placeholder"
	case bytes.Equal(bytes.ToLower(v), bytes.ToLower(c.name)):
		return "its own name"
	}
	return ""
}

// references are what a value that points elsewhere begins with.
// See the documentation of GitHub Actions, Vault, 1Password, AWS, Azure, vals.
var references = []string{
	"$", "%", "{", "<", "@{", "#{", "[[", "vault:", "vault://", "op://", "ref+", "sm://", "gcp-sm:", "arn:aws:", "arn:aws-", "projects/",
	"@microsoft.keyvault", "doppler://", "secret://", "secrets.", "env.", "env:", "env(", "var.", "local.", "data.", "process.env", "os.environ",
	"os.getenv", "getenv", "system.getenv", "keyvault", "awssm:", "ssm:", "file:", "file://", "urn:", "ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2",
	"-----begin public", "-----begin certificate", "http://", "https://", "bearer ${", "!ref", "!vault", "data:image", "sha256:", "sha512-", "sha1-", "sha384-",
}

// reference reports whether v names a key that lives elsewhere, or is filled
// in by a template: lifecycle of a secret, not the secret.
func reference(v []byte) bool {
	for _, r := range references {
		if hasPrefixFold(v, r) {
			return !defaultInside(v)
		}
	}
	for _, r := range []string{"${", "{{", "}}", "$(", "%{", "#{", "<%", "%s", "%v", "%d", "://", "{0}"} {
		if bytes.Contains(v, []byte(r)) {
			return !defaultInside(v)
		}
	}
	return false
}

// defaultInside reports whether v is ${NAME:-literal}: the literal is in clear.
// It is judged on its own by the caller's alphabet, so only long ones count.
func defaultInside(v []byte) bool {
	i := bytes.Index(v, []byte(":-"))
	return i > 2 && bytes.HasPrefix(v, []byte("${")) && len(v)-i > 14
}

// encrypted reports whether v is the output of a tool that encrypts values in
// place: SOPS, Ansible Vault, age, PGP, sealed secrets, dotenvx, Rails.
func encrypted(v []byte) bool {
	for _, p := range []string{"enc[", "$ansible_vault", "age-encryption.org", "-----begin age", "-----begin pgp message", "encrypted:", "aqicah", "{cipher}", "ag", "kms:"} {
		if hasPrefixFold(v, p) && (p != "ag" || len(v) > 300) {
			return true
		}
	}
	return bytes.HasPrefix(v, []byte("$2a$")) || bytes.HasPrefix(v, []byte("$2b$")) || bytes.HasPrefix(v, []byte("$2y$")) ||
		bytes.HasPrefix(v, []byte("$argon2")) || bytes.HasPrefix(v, []byte("$6$")) || bytes.HasPrefix(v, []byte("$5$")) ||
		bytes.HasPrefix(v, []byte("$apr1$")) || bytes.HasPrefix(v, []byte("pbkdf2")) || bytes.HasPrefix(v, []byte("{SSHA}"))
}

// plain reports whether the value that a contextual rule matched is a word, a
// path or a name in code and no random value.
func plain(v []byte) bool {
	if reference(v) {
		return true
	}
	s := shapeOf(v)
	like := wordLikeness(v)
	switch {
	case s.digit == 0 && s.alphabet != hexLower && s.alphabet != hexUpper:
		return like > 5.6 && len(v) < 40
	case s.under+s.dashes+s.dots >= 2 && (s.upper == 0 || s.lower == 0) && s.digit*8 < len(v): // words joined by signs
		return like > 5.6
	}
	return false
}

// misnamed reports whether the name at text[start:] ends in a word that says
// that its value is about a key, such as the checksum of a token's program.
func misnamed(text []byte, start int) bool {
	end := start
	for end < len(text) && end-start < maxName && isNameByte(text[end]) {
		end++
	}
	var buf nameBuffer
	words := buf.split(text[start:end])
	if len(words) == 0 {
		return false
	}
	last := words[len(words)-1]
	return harmless(aboutWords, buf.low[last.start:last.end])
}

var aboutWords = set("sha sha1 sha256 sha512 md5 hash checksum digest path file url length count version")

// score judges a candidate: a sum of reasons, each in units of log odds.
func (w *work) score(f finder, c candidate, v []byte) (float64, []Reason) {
	s := shapeOf(v)
	var reasons []Reason
	sum := 0.0
	add := func(x float64, format string, args ...any) {
		if x != 0 {
			sum += x
			reasons = append(reasons, Reason{fmt.Sprintf(format, args...), x})
		}
	}
	share := entropyShare(v, s.alphabet)
	like := wordLikeness(v)
	if s.alphabet == hexLower || s.alphabet == hexUpper {
		like = -1 // the pairs of six letters say nothing
	}
	add(map[finder]float64{keyFinder: -1.2, passwordFinder: -0.6, provisioningFinder: -0.9, urlFinder: 0.2, headerFinder: -0.4}[f], "start for %s", w.s.finders[f].ID)
	add(lengthReason(f, len(v)), "%d characters", len(v))
	switch {
	case len(v) >= 8 && share > 0.93:
		add(1.2, "as varied as random text")
	case share < 0.75:
		add(-1.5, "repeats itself")
	}
	if like >= 0 {
		add(math.Max(-3.2, math.Min(2.2, (5.2-like)*1.5)), "letters follow each other as in %s", map[bool]string{true: "random text", false: "words"}[like < 5.2])
	}
	classes := btoi(s.lower > 0) + btoi(s.upper > 0) + btoi(s.digit > 0) + btoi(s.punct > 0)
	switch {
	case s.digit == 0 && s.punct == 0:
		add(-0.9, "letters only")
	case classes >= 3 && s.classRuns*3 >= len(v):
		add(1.3, "kinds of characters mixed")
	case s.digit > 0 && s.lower+s.upper > 0 && s.classRuns >= 4:
		add(0.8, "letters and digits mixed")
	}
	w.formReasons(f, c, v, s, add)
	return 1 / (1 + math.Exp(-sum)), reasons
}

func lengthReason(f finder, n int) float64 {
	switch {
	case f == passwordFinder || f == urlFinder:
		switch {
		case n < 5:
			return -1
		case n > 64:
			return -1
		case n >= 8:
			return 0.3
		}
		return 0
	case n < 8:
		return -2.2
	case n < 16:
		return -0.7
	case n >= 20 && n <= 128:
		return 0.8
	case n > 300:
		return -0.8
	}
	return 0
}

// formReasons judges what v looks like and how it stands.
func (w *work) formReasons(f finder, c candidate, v []byte, s shape, add func(float64, string, ...any)) {
	switch {
	case isUUID(v):
		add(-1.2, "a UUID")
	case s.alphabet == digits:
		add(-3, "digits only")
	case (s.alphabet == hexLower || s.alphabet == hexUpper) && len(v) < 16:
		add(-1, "few hexadecimal digits")
	case s.alphabet == hexLower && (len(v) == 40 || len(v) == 64 || len(v) == 32 || len(v) == 128):
		add(-0.3, "may be a hash")
	}
	if s.space > 0 {
		add(-2-0.5*float64(min(s.space, 4)), "white space inside")
	}
	if s.other > 0 {
		add(-2, "characters beyond ASCII")
	}
	if s.dots >= 1 && s.alphabet == anyPrintable && s.digit*4 < len(v) && !c.quoted {
		add(-1.5, "dots as in code")
	}
	if bytes.IndexByte(v, '(') >= 0 || bytes.IndexByte(v, '[') >= 0 && !c.quoted || bytes.Contains(v, []byte("->")) {
		add(-2, "brackets as in code")
	}
	if s.slashes >= 2 && s.digit*5 < len(v) || v[0] == '/' || bytes.HasPrefix(v, []byte("./")) {
		add(-1.5, "a path")
	}
	if identifier(v, s) {
		add(-1.6, "reads as a name in code")
	}
	low := bytes.ToLower(v)
	for _, p := range placeholderWords {
		if bytes.Contains(low, []byte(p)) {
			add(-1.8, "contains %q", p)
			break
		}
	}
	switch c.form {
	case element, argument:
		add(-0.3, "an argument")
	case userinfo:
		add(0.5, "between user and host of a URL")
	case scheme:
		if bytes.EqualFold(c.name, []byte("basic")) {
			if decodesToUserinfo(v) {
				add(3, "base64 of user and password")
			} else {
				add(-3, "no base64 of user and password")
			}
		}
	}
	if !c.quoted && (c.form == assignment || c.form == flag) {
		add(-0.4, "not quoted")
	}
	if f == keyFinder && bytes.HasSuffix(bytes.ToLower(c.name), []byte("key")) && len(c.name) <= 3 {
		add(-0.8, "named only %q", c.name)
	}
	if w.generated {
		add(-2.5, "in a lock file or generated code")
	}
}

// identifier reports whether v reads as words joined by signs or case.
func identifier(v []byte, s shape) bool {
	if s.punct > s.under+s.dashes+s.dots+s.colons+s.slashes || s.other > 0 {
		return false
	}
	if s.digit > 2 && s.digit*6 > len(v) {
		return false
	}
	return wordLikeness(v) > 5.3
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
