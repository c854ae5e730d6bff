package scanner

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"math"
	"unicode"

	"github.com/keyward/keyward/scanner/score"
)

// judged scores a candidate and keeps it if it may be a key. Its name is what w.name
// has read.
func (w *work) judged(kind score.Kind, form score.Form, value span, quoted bool) {
	rule := w.s.finders[kind]
	if rule == nil {
		return
	}
	w.readPath()
	v := w.text[value.start:value.end]
	c := &w.judging
	*c = score.Candidate{Kind: kind, Form: form, Quoted: quoted, Placed: w.placed, InTest: w.inTest, File: w.kind, Name: &w.name, Value: v}
	c.Before, c.After = w.beside(value)
	w.judgedAt = value
	if w.refusedBefore(c) {
		return
	}
	why := w.refused(v)
	if why == "" {
		why = w.noValue(v)
		c.Refused = why != ""
	}
	if why != "" && (w.visit == nil || !c.Refused) {
		w.drop(rule, value, why)
		w.refuse()
		return
	}
	if w.own(value) { // not remembered: elsewhere the same digits may be a key
		w.stay()
		w.drop(rule, value, "a field of Keyward's own text")
		return
	}
	if w.visit != nil {
		w.visit(value, c)
		return
	}
	if w.numericKey(v) {
		w.certain(score.Key, value)
		return
	}
	p, reasons := w.scored(c)
	if p < min(w.s.opt.MinConfidence, DefaultConfidence)/2 {
		w.dropScored(rule, value, p, reasons)
		w.refuse()
		return
	}
	w.stay()
	if why := w.excepted(rule, value, value); why != "" {
		w.drop(rule, value, why)
		return
	}
	w.keep(hit{rule: rule, span: value, score: p, reasons: reasons})
}

// scored is how likely a candidate is a key, with the reasons for an explanation. The same
// value in other versions of a file has the same score.
func (w *work) scored(c *score.Candidate) (p float64, reasons []score.Addend) {
	if p, known := w.scoredBefore(); known {
		return p, nil
	}
	whole := c.Value
	c.Value = withoutPrefix(whole)
	c.Measure(&w.vector)
	c.Value = whole
	odds := score.Default().Odds(&w.vector)
	if w.explain != nil {
		reasons = score.Default().Explain(&w.vector)
	}
	if w.generated {
		odds -= generatedOdds
		reasons = append(reasons, score.Addend{What: "in a lock file or generated code", Adds: -generatedOdds})
	}
	if c.Placed {
		odds += placedOdds
		reasons = append(reasons, score.Addend{What: "where a command or a call takes a credential", Adds: placedOdds})
	}
	p = 1 / (1 + math.Exp(-odds))
	w.scoreIs(p)
	return p, reasons
}

// withoutPrefix drops the word that says what kind of key a value is, as in key_…: what
// follows is judged, if that is random.
func withoutPrefix(v []byte) []byte {
	for _, p := range [...]string{"key", "token", "secret", "apikey", "api", "access", "auth", "pat", "tok", "live", "cred", "sk", "rk"} {
		if len(v) > len(p)+20 && hasPrefixFold(v, p) && (v[len(p)] == '_' || v[len(p)] == '-') && surelyRandom(v[len(p)+1:]) {
			return v[len(p)+1:]
		}
	}
	return v
}

// generatedOdds is what a value in a file counts less that a program wrote: hashes and
// encoded tables stand there by the thousand, and nobody's keys. The labelled data has
// too few such files to learn it from.
const generatedOdds = 2.5

// placedOdds is what a value counts more that is given to a command or a call where these
// take a credential: the name says no more than that. The labelled data has too few to learn
// it from.
const placedOdds = 1.5

// beside returns what stands before and after a value on its lines.
func (w *work) beside(v span) (before, after []byte) {
	before = w.text[max(0, v.start-score.MaxBeside):v.start]
	if i := bytes.LastIndexByte(before, '\n'); i >= 0 {
		before = before[i+1:]
	}
	after = w.text[v.end:min(len(w.text), v.end+score.MaxBeside)]
	if i := bytes.IndexByte(after, '\n'); i >= 0 {
		after = after[:i]
	}
	return before, after
}

// Candidates calls visit for each value in b that the score judges, with its place in
// b.Data, for programs that learn what the score is. What is passed may not be kept.
func (s *Scanner) Candidates(b Blob, visit func(start, end int, c *score.Candidate)) {
	w := s.pool.Get().(*work)
	defer s.pool.Put(w)
	w.visit = func(v span, c *score.Candidate) {
		if w.layer == nil {
			visit(v.start, v.end, c)
		}
	}
	_, _ = w.scan(nil, b, nil) // findings are not asked for, nor gaps
	w.visit = nil
}

// refused returns why v is certainly no key: too short, too long, a reference
// to a key that lives elsewhere, encrypted, a placeholder.
func (w *work) refused(v []byte) string {
	switch {
	case reference(v):
		return "a reference to a value that lives elsewhere"
	case len(v) < 4:
		return "too short"
	case len(v) > 1024:
		return "too long for a generic key"
	case encrypted(v):
		return "encrypted"
	case score.Placeholder(v):
		return "a placeholder"
	case bytes.EqualFold(v, w.name.Raw()):
		return "its own name"
	case score.IsUUID(v) && !w.name.Secretive():
		return "a UUID, and the name speaks of no secret: it names a thing"
	case address(v):
		return "an address on a chain"
	case publicDER(v):
		return "a public key or a certificate"
	case w.name.Kind() != score.Password && coordinates(v):
		return "the coordinates of a dependency"
	case w.assignedTogether():
		return "the argument of a call that gives several values"
	case publicLink(w.judging.Before):
		return "of a public link or page"
	}
	if why := w.readable(v); why != "" {
		return why
	}
	switch {
	case w.name.OfAuthor():
		return "the name of an author"
	case w.name.PublicKey():
		return "a public key"
	case w.name.KeyID():
		return "the id of a key, which is told to everybody"
	}
	return w.name.Harmless()
}

// readPath learns what the path of the blob says, at its first candidate.
func (w *work) readPath() {
	if !w.kindKnown {
		w.kind, w.inTest, w.kindKnown = score.FileKindOf(w.blob.Path, isCode(w.blob.Path)), inTest(w.blob.Path), true
	}
}

// assignedTogether reports whether the value that is judged is the argument of a call whose
// results are assigned to several names: user, token = login("…").
func (w *work) assignedTogether() bool {
	if !w.called {
		return false
	}
	before := w.judging.Before
	i := bytes.IndexByte(before, '=')
	if i < 0 {
		return false
	}
	left := bytes.TrimSpace(before[:i])
	for _, word := range [...]string{"let ", "val ", "var ", "const ", "auto ", "mut "} {
		left = bytes.TrimPrefix(left, []byte(word))
	}
	if n := len(left); n > 2 && (left[0] == '(' && left[n-1] == ')' || left[0] == '[' && left[n-1] == ']') {
		left = left[1 : n-1]
	}
	return bytes.IndexByte(left, ',') >= 0 && !bytes.ContainsAny(left, "(\"'")
}

// address reports whether v is an address of Ethereum and its like: 0x and 40 digits.
func address(v []byte) bool {
	return len(v) == 42 && v[0] == '0' && v[1] == 'x' && allHex(v[2:])
}

// publicDER reports whether v is the base64 of a public key (SubjectPublicKeyInfo) or of a
// certificate.
func publicDER(v []byte) bool {
	if len(v) < 56 || v[0] != 'M' || v[1] != 'C' && v[1] != 'F' && v[1] != 'H' && v[1] != 'I' && v[1] != 'G' {
		return false
	}
	der, err := base64.StdEncoding.DecodeString(string(v))
	if err != nil {
		return false
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return true
	}
	_, err = x509.ParseCertificate(der)
	return err == nil
}

// coordinates reports whether v names a version of a package: group:artifact:1.2.3,
// npm:@scope/name@^1.2.
func coordinates(v []byte) bool {
	if bytes.HasPrefix(v, []byte("npm:")) || bytes.HasPrefix(v, []byte("pkg:")) {
		return true
	}
	group, rest, ok := bytes.Cut(v, []byte(":"))
	if !ok || len(group) < 3 || bytes.IndexByte(group, '.') < 0 && bytes.ContainsFunc(v, unicode.IsUpper) {
		return false
	}
	for _, c := range v {
		if !isNameByte(c) && c != ':' && c != '+' || c == '$' {
			return false
		}
	}
	artifact, version, ok := bytes.Cut(rest, []byte(":"))
	if !ok {
		return isVersion(artifact) || bytes.IndexByte(group, '.') > 0 && score.WordLikeness(group) > 5 && score.WordLikeness(artifact) > 5
	}
	return isVersion(version)
}

// isVersion reports whether v begins like a version: 1.2.
func isVersion(v []byte) bool {
	major, minor, ok := bytes.Cut(v, []byte("."))
	return ok && len(major) > 0 && len(major) < 4 && '0' <= major[0] && major[0] <= '9' && len(minor) > 0 && '0' <= minor[0] && minor[0] <= '9'
}

// publicLink reports whether what stands before a value says that everybody may have it: a
// link to one file, the nonce of a script on a page.
func publicLink(before []byte) bool {
	for _, s := range [...][2]string{{"firebasestorage.", "alt=media&token="}, {"firebasestorage.", "alt=media&amp;token="}, {".google.com/", "resourcekey="}} {
		if bytes.HasSuffix(before, []byte(s[1])) && bytes.Contains(before, []byte(s[0])) {
			return true
		}
	}
	end := bytes.TrimRight(before, "\"'\\")
	if bytes.HasSuffix(end, []byte("pin-sha256=")) { // the hash of a public key
		return true
	}
	if bytes.HasSuffix(end, []byte("; nonce=")) { // of a Link header
		return true
	}
	if bytes.HasSuffix(before, []byte("/badge.svg?token=")) && bytes.Contains(before, []byte("codecov.io/")) { // https://docs.codecov.com/docs/status-badges
		return true
	}
	if i := bytes.LastIndex(before, []byte("data-cf-beacon=")); i >= 0 && bytes.IndexByte(before[i:], '>') < 0 { // https://developers.cloudflare.com/web-analytics/get-started/
		return true
	}
	return bytes.HasSuffix(end, []byte("nonce=")) && (bytes.Contains(before, []byte("<script")) || bytes.Contains(before, []byte("<style")) || bytes.Contains(before, []byte("<link")))
}

// references are what a value that points elsewhere begins with.
// See the documentation of GitHub Actions, Vault, 1Password, AWS, Azure, vals.
var references = []string{
	"$", "%", "{", "<", `\\`, "@{", "#{", "[[", "vault:", "vault://", "op://", "ref+", "sm://", "gcp-sm:", "arn:aws:", "arn:aws-", "projects/",
	"@microsoft.keyvault", "doppler://", "secret://", "secrets.", "env.", "env:", "env(", "var.", "local.", "data.", "process.env", "os.environ",
	"os.getenv", "getenv", "system.getenv", "keyvault", "awssm:", "ssm:", "file:", "file://", "urn:", "ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2",
	"-----begin public", "-----begin certificate", "http://", "https://", "bearer ${", "!ref", "!vault", "data:image", "sha256:", "sha512-", "sha1-", "sha384-",
}

// reference reports whether v names a key that lives elsewhere, or is filled
// in by a template: lifecycle of a secret, not the secret.
func reference(v []byte) bool {
	for _, open := range [...]string{"{noop}", "{plain}", "{cleartext}"} { // a password in clear
		if hasPrefixFold(v, open) {
			return false
		}
	}
	for _, r := range references {
		if hasPrefixFold(v, r) {
			return !defaultInside(v) && !bytes.HasPrefix(v, []byte(`{\"`))
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
	if hashed(v) || passwordLine(v) {
		return true
	}
	for _, p := range []string{"enc[", "$ansible_vault", "age-encryption.org", "-----begin age", "-----begin pgp message", "encrypted:", "enc(", "aqicah", "{cipher}", "ag", "kms:"} {
		if hasPrefixFold(v, p) && (p != "ag" || len(v) > 300) {
			return true
		}
	}
	return bytes.HasPrefix(v, []byte("$2a$")) || bytes.HasPrefix(v, []byte("$2b$")) || bytes.HasPrefix(v, []byte("$2y$")) ||
		bytes.HasPrefix(v, []byte("$argon2")) || bytes.HasPrefix(v, []byte("$6$")) || bytes.HasPrefix(v, []byte("$5$")) ||
		bytes.HasPrefix(v, []byte("$apr1$")) || bytes.HasPrefix(v, []byte("pbkdf2")) || bytes.HasPrefix(v, []byte("{SSHA}"))
}

// hashed reports whether v is the hash of a password or of another value: an algorithm and
// what it gave, as in sha1$salt$hash, pbkdf2_sha256$…, {SSHA}…, hmac-sha256:….
func hashed(v []byte) bool {
	for _, p := range [...]string{"sha1$", "sha256$", "sha512$", "sha1:", "sha256:", "sha512:", "md5$", "md5:", "hmac-sha256:", "hmac-sha1:", "hmac-sha512:", "scrypt$", "scrypt:", "bcrypt$", "bcrypt_sha256$", "argon2$",
		"pbkdf2", "$pbkdf2", "$scrypt", "$y$", "$1$", "$2a$", "$2b$", "$2y$", "$argon2", "$5$", "$6$", "$7$", "$sha1$", "$md5$", "{sha", "{ssha", "{smd5}", "{md5}", "{crypt}", "{pbkdf2", "{bcrypt}", "{argon2", "{scrypt}", "scram-sha-"} {
		if hasPrefixFold(v, p) && len(v) >= 20 {
			return true
		}
	}
	return false
}

// plain reports whether the value that a contextual rule matched is a word, a
// path or a name in code and no random value.
func plain(v []byte) bool {
	if reference(v) {
		return true
	}
	s := score.ShapeOf(v)
	like := score.WordLikeness(v)
	switch {
	case s.Digit == 0 && s.Alphabet != score.HexLower && s.Alphabet != score.HexUpper:
		return like > 5.6 && len(v) < 40
	case s.Under+s.Dashes+s.Dots >= 2 && (s.Upper == 0 || s.Lower == 0) && s.Digit*8 < len(v): // words joined by signs
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
	var name score.Name
	name.Read(text[start:end])
	return name.About()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
