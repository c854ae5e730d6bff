package scanner

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/keyward/keyward/scanner/extract"
	"github.com/keyward/keyward/scanner/score"
)

// readable returns why v is a text that people read, "" if it is not.
func (w *work) readable(v []byte) string {
	prose, foreign := score.Prose(v)
	c := &w.judging
	switch {
	case w.kind == score.TranslationFile && (prose || mostlyLetters(v) && (bytes.IndexByte(v, ' ') > 0 || goesOn(c.After)) ||
		bytes.Count(v, []byte(`\u`)) > 1 || bytes.HasPrefix(v, []byte("crwdns"))): // of Crowdin's pseudo-language
		return "a translation"
	case !prose:
		return ""
	case foreign:
		return "words of a language"
	case !c.Quoted && score.Wordy(v) && w.firstOfSentence():
		return "the first word of a sentence"
	case w.name.EndsAsText():
		return "a text that people read, by its name"
	case c.Quoted && score.Wordy(v) && phraseKey(c.Before) && (bytes.IndexByte(v, ' ') > 0 || v[0] < utf8.RuneSelf && unicode.IsUpper(rune(v[0]))):
		return "a text beside a text, as in a table of translations"
	case !score.Wordy(v):
		return ""
	case w.name.OfText():
		return "a text that people read, by its name"
	case score.Asks(v):
		return "a question or a part of a sentence"
	}
	return ""
}

// mostlyLetters reports whether at least three in four characters of v are letters.
func mostlyLetters(v []byte) bool {
	letters, all := 0, 0
	for _, r := range string(v) {
		all++
		if unicode.IsLetter(r) || r == ' ' {
			letters++
		}
	}
	return 4*letters >= 3*all
}

// goesOn reports whether a plain word follows a value, as in a sentence.
func goesOn(after []byte) bool {
	if len(after) < 2 || after[0] != ' ' {
		return false
	}
	word := after[1:]
	if i := bytes.IndexByte(word, ' '); i >= 0 {
		word = word[:i]
	}
	word = bytes.TrimRight(word, ".,;:!?\r")
	if len(word) == 0 {
		return false
	}
	for _, r := range string(word) {
		if !unicode.IsLetter(r) && r != '\'' && r != '-' {
			return false
		}
	}
	return !bytes.HasPrefix(word, []byte("-"))
}

// firstOfSentence reports whether the unquoted value that is judged is the first word of a
// sentence: its name begins the line, and plain words follow. In scripts and code a command
// may follow.
func (w *work) firstOfSentence() bool {
	c := &w.judging
	if c.Form != score.Assignment || w.kind == score.CodeFile || w.kind == score.ScriptFile || !goesOn(c.After) || bytes.IndexByte(c.After, '=') >= 0 || bytes.Contains(c.After, []byte(" -")) {
		return false
	}
	before := bytes.TrimLeft(c.Before, " \t-\"'")
	if !bytes.HasPrefix(before, w.name.Raw()) {
		return false
	}
	op := bytes.TrimSpace(before[len(w.name.Raw()):])
	return bytes.HasSuffix(op, []byte(":")) || w.kind == score.ConfigFile && bytes.HasSuffix(op, []byte("="))
}

// phraseKey reports whether what stands before a quoted value ends in another quoted text
// with several plain words in it, and an operator: "New password": "
func phraseKey(before []byte) bool {
	before = bytes.TrimRight(before[:max(0, len(before)-1)], " \t:=>,")
	n := len(before) - 1
	if n < 3 || before[n] != '"' && before[n] != '\'' {
		return false
	}
	open := bytes.LastIndexByte(before[:n], before[n])
	if open < 0 {
		return false
	}
	key := before[open+1 : n]
	prose, _ := score.Prose(key)
	return prose && bytes.IndexByte(bytes.TrimSpace(key), ' ') > 0
}

// noValue returns why the form of v, or what stands around it, shows that it is no
// credential; "" if neither does.
func (w *work) noValue(v []byte) string {
	c := &w.judging
	switch {
	case expression(v) && (c.Kind != score.Password || bytes.ContainsAny(v, "[(")):
		return "a regular expression"
	case bytes.HasSuffix(c.Before, []byte("{{")) || bytes.HasSuffix(c.Before, []byte("{{ ")):
		return "an expression of a template"
	case !c.Quoted && (hexNumber(v) || quantity(v) || c.Kind == score.Key && score.ShapeOf(v).Alphabet == score.Digits && !w.numericKey(v)):
		return "a number"
	case hexPairs(v):
		return "the fingerprint of a public key"
	case pathOrLink(v):
		return "a path or a link"
	case c.Kind != score.URL && !w.name.OfAuthentication() && hostPort(v):
		return "a host and its port"
	case !c.Quoted && declaredType(v):
		return "a type"
	case algorithm(v) || algorithms[string(v)] && len(v) > 4:
		return "the name of an algorithm or a format"
	case len(v) == 8 && allHex(v) && !w.name.Ends("nonce") && !w.name.Secretive() && c.Kind != score.Password && score.ShapeOf(v).Alphabet != score.Digits:
		return "8 hexadecimal digits, as short ids have"
	case hasPrefixFold(v, "AWS4-HMAC-SHA256") || bytes.Contains(v, []byte("/aws4_request")) || bytes.Contains(v, []byte("%2Faws4_request")):
		return "part of a signed request, which is good for minutes"
	case publicForm(v) || !w.name.Secretive() && publicText(c.Before):
		return "a public key"
	case len(v) == 40 && allHex(v) && pinned(c.Before):
		return "the commit of a dependency"
	case w.kind == score.DocumentFile && c.Form == score.Argument && bytes.HasSuffix(c.Before, []byte("`")) && identifier(v):
		return "a name in a list of names"
	case c.Form == score.Query && w.name.Ends("nonce"), w.name.OfProtocolNonce():
		return "the nonce of one request"
	case w.codeFile && !c.Quoted && w.variable(v):
		return "a name of the program"
	case c.Quoted && strings.IndexByte(",;)", v[0]) >= 0:
		return "code between two texts"
	case call(v):
		return "an expression"
	case distinguishedName(v):
		return "the distinguished name of an entry in a directory"
	case hasPrefixFold(v, "negotiate ") || c.Kind == score.Password && moduleVersion(v):
		return "a version, or the words of a protocol"
	case v[0] == '[' && v[len(v)-1] == ']':
		return "a reference in brackets"
	case c.Form == score.Argument && score.IsUUID(v) && w.tuple():
		return "the value of another column"
	case c.Kind != score.Password && !w.name.OfPhrase() && (email(v) || bytes.Count(v, []byte(" ")) > 3 && mostlyLetters(v)):
		return "an address or a sentence"
	case fileName(v):
		return "the name of a file"
	case (len(v) == 16 || len(v) == 40) && allHex(v) && c.Kind != score.Password && !w.name.Secretive() && ofPGP(c.Before):
		return "the id or fingerprint of a public key"
	case licence(v) && w.name.Ends("license"):
		return "the name of a licence"
	case c.Kind == score.Provisioning && c.Form == score.Argument && !bytes.ContainsAny(v, "0123456789"):
		return "a name that is registered"
	case c.Form == score.Argument && w.memberOfElse():
		return "the value of another member"
	case c.Form == score.Argument && accessKeyID(v) && !w.name.Secretive():
		return "the id of an access key, by its form"
	case w.objectID():
		return "the id of an object that has a name beside it"
	case w.signedMessage():
		return "the token of one signed message"
	case w.firstArgument():
		return "the first of several arguments of a call"
	}
	return w.encodedText(v)
}

// expression reports whether v is a regular expression.
func expression(v []byte) bool {
	if v[0] == '^' && (v[len(v)-1] == '$' || bytes.ContainsAny(v, "[(")) || bytes.HasPrefix(v, []byte("(?")) {
		return true
	}
	for _, s := range [...]string{"[a-z", "[A-Z", "[0-9", "[^", `\w`, `\d`, `\s`, `\S`, `\b`, "(?:", "(?=", "(?!", "(.+)", "(.*)", ".*?", "]+", "]*", "]{"} {
		if bytes.Contains(v, []byte(s)) {
			return bytes.ContainsAny(v, "+*?{$|)")
		}
	}
	return false
}

// hexNumber reports whether v is 0x and as many digits as fit into 32 bits.
func hexNumber(v []byte) bool {
	return len(v) <= 10 && len(v) > 2 && v[0] == '0' && v[1]|0x20 == 'x' && allHex(v[2:])
}

// hexPairs reports whether v is 16 pairs of hexadecimal digits with colons between, which is
// how the MD5 of an SSH key is written.
func hexPairs(v []byte) bool {
	if len(v) != 47 {
		return false
	}
	for i := range v {
		if (i%3 == 2) != (v[i] == ':') || i%3 != 2 && !allHex(v[i:i+1]) {
			return false
		}
	}
	return true
}

// identifier reports whether v is a name as programs have them: letters only, in camelCase.
func identifier(v []byte) bool {
	for _, c := range v {
		if !('a' <= c|0x20 && c|0x20 <= 'z') {
			return false
		}
	}
	return score.Wordy(v)
}

// quantity reports whether v is a number with a unit: 512Mi, 30s.
func quantity(v []byte) bool {
	digits := 0
	for digits < len(v) && '0' <= v[digits] && v[digits] <= '9' {
		digits++
	}
	if digits == 0 || digits == len(v) {
		return false
	}
	switch string(v[digits:]) {
	case "m", "k", "K", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "KB", "MB", "GB", "kB", "s", "ms", "h", "min", "d", "px", "em", "rem", "%":
		return true
	}
	return false
}

// pathOrLink reports whether v is a relative path, a link without its scheme, or part of a
// link in Markdown.
func pathOrLink(v []byte) bool {
	if bytes.HasPrefix(v, []byte("./")) || bytes.HasPrefix(v, []byte("../")) || bytes.Contains(v, []byte("](")) {
		return true
	}
	if rest, ok := bytes.CutPrefix(v, []byte("//")); ok {
		host, _, _ := bytes.Cut(rest, []byte("/"))
		return bytes.IndexByte(host, '.') > 0
	}
	if v[0] == '/' && len(v) > 1 && !bytes.ContainsAny(v, "0123456789+=$!@#%^&*") && score.Wordy(v[1:]) {
		return true
	}
	i := bytes.LastIndexByte(v, '/')
	dot := bytes.LastIndexByte(v, '.')
	if i < 0 || dot < i || len(v)-dot < 3 || len(v)-dot > 6 {
		return false
	}
	for _, c := range v[dot+1:] { // layer.tar
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// hostPort reports whether v is a host and a port: nginx:9000.
func hostPort(v []byte) bool {
	host, port, ok := bytes.Cut(v, []byte(":"))
	if !ok || len(host) < 3 || len(port) < 2 || len(port) > 5 {
		return false
	}
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	for _, c := range host {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return score.WordLikeness(host) > 4.5 || bytes.IndexByte(host, '.') > 0
}

// declaredType reports whether v is the type of a column or a field, and no value.
func declaredType(v []byte) bool {
	for _, t := range [...]string{"varchar(", "nvarchar(", "varchar2(", "nvarchar2(", "char(", "varbinary(", "character varying"} {
		if hasPrefixFold(v, t) {
			return true
		}
	}
	name, ok := bytes.CutPrefix(v, []byte("*"))
	return ok && declared[string(bytes.TrimRight(name, "0123456789,;)"))]
}

var declared = score.Set("uint int float string byte char bool wchar void uintptr rune")

// algorithms are the words that names of algorithms and formats are made of.
var algorithms = score.Set("pkix nistp hmac sha shake md aes pkcs rsa rsassa dsa ecdsa ecdh ecdhe eddsa ed curve nist secp prime des tripledes gcm cbc ctr ecb ccm xts cfb ofb x mlkem kyber sntrup ripemd blake blakes blakeb scrypt pbkdf argon bcrypt " +
	"poly chacha xchacha salsa crc tls ssl jks bcfks ssh openssh com libssh org kex diffie hellman group exchange etm umac p v with and padding nopadding oaep pss mgf none rc hs rs es ps ascii hex base pem der utf " +
	"md5 sha1 sha2 sha256 sha384 sha512 argon2 argon2id pbkdf2 bcrypt")

// algorithm reports whether v is made of names of algorithms and numbers: HMAC384SHA512,
// mlkem768x25519-sha256, PKCS12.
func algorithm(v []byte) bool {
	if len(v) > 60 {
		return false
	}
	long, digits, start := 0, 0, -1 // words of two letters or more
	var low [60]byte
	for i := 0; i <= len(v); i++ {
		if i < len(v) && 'a' <= v[i]|0x20 && v[i]|0x20 <= 'z' {
			low[i] = v[i] | 0x20
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			if !algorithms[string(low[start:i])] {
				return false
			}
			if i-start > 1 {
				long++
			}
			start = -1
		}
		if i < len(v) {
			if '0' <= v[i] && v[i] <= '9' {
				digits++
			} else if strings.IndexByte("-_/.", v[i]) < 0 {
				return false
			}
		}
	}
	return long > 0 && digits > 0 && digits <= 6*long
}

// publicForm reports whether v has the form of a public key: of minisign, of a NATS user, the
// DER of an elliptic curve's parameters in hexadecimal.
// https://jedisct1.github.io/minisign/#public-key-format
// https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth
func publicForm(v []byte) bool {
	switch {
	case len(v) == 56 && bytes.HasPrefix(v, []byte("RWT")) || len(v) == 56 && bytes.HasPrefix(v, []byte("RWQ")):
		return true
	case len(v) == 56 && strings.IndexByte("UAOCN", v[0]) >= 0:
		return nkey(v)
	}
	if len(v) > 80 && allHex(v) && (hasPrefixFold(v, "98") && string(v[4:6]) == "04" || hasPrefixFold(v, "99") && string(v[6:8]) == "04" || hasPrefixFold(v, "c6") && (string(v[4:6]) == "04" || string(v[6:8]) == "04")) {
		return true // a packet of OpenPGP, https://www.rfc-editor.org/rfc/rfc9580#section-5
	}
	for _, ssh := range [...]string{"AAAAB3NzaC1", "AAAAE2VjZHNh", "AAAAC3NzaC1lZDI1NTE5"} { // https://www.rfc-editor.org/rfc/rfc4253#section-6.6
		if bytes.HasPrefix(v, []byte(ssh)) {
			return true
		}
	}
	return bytes.HasPrefix(v, []byte("301306072a8648")) || bytes.HasPrefix(v, []byte("300d06092a8648")) || bytes.HasPrefix(v, []byte("3059301306072a8648"))
}

// nkey reports whether v is a key of NATS with the right checksum: in base32 a byte for the
// kind, 32 bytes, and a CRC-16 (XMODEM).
// https://github.com/nats-io/nkeys
func nkey(v []byte) bool {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(v))
	if err != nil || len(raw) != 35 {
		return false
	}
	var crc uint16
	for _, b := range raw[:33] {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc == binary.LittleEndian.Uint16(raw[33:])
}

// publicText reports whether the text before a value calls it a public key.
func publicText(before []byte) bool {
	before = before[max(0, len(before)-60):]
	i := extract.IndexFold(before, "public key")
	return i >= 0 && extract.IndexFold(before[i:], "private") < 0 && bytes.IndexByte(before[i:], '(') < 0 && len(before)-i < 24
}

// pinned reports whether a line begins with the address of a package and nothing else, as
// lists of dependencies do: github.com/owner/name COMMIT.
func pinned(before []byte) bool {
	name := bytes.TrimSpace(before)
	host, _, ok := bytes.Cut(name, []byte("/"))
	return ok && bytes.IndexByte(host, '.') > 0 && !bytes.ContainsAny(name, " \t=:\"'?") && len(name) < len(before)
}

// variable reports whether the unquoted v in code is the name of a variable, by what stands
// around it: a call or a literal of a structure goes on after it, or a member is assigned.
func (w *work) variable(v []byte) bool {
	for i, b := range v {
		if !score.IsAlnum(b) && b != '_' || i == 0 && '0' <= b && b <= '9' {
			return false
		}
	}
	if surelyRandom(v) || bytes.ContainsAny(v, "0123456789") && bytes.Equal(bytes.ToLower(v), v) { // s3cr3t
		return false
	}
	if identifier(v) && camelCase(v) {
		return true
	}
	c := &w.judging
	before := bytes.TrimLeft(c.Before, " \t")
	for _, comment := range [...]string{"//", "#", "*", "--", ";", "<!--", "/*"} {
		if bytes.HasPrefix(before, []byte(comment)) {
			return false
		}
	}
	after, name := bytes.TrimSpace(c.After), w.name.Raw()
	member := bytes.IndexByte(name, '.') > 0
	return len(after) == 0 && member || len(after) > 0 && strings.IndexByte(",;)", after[0]) >= 0 && (member || 'A' <= name[0] && name[0] <= 'Z')
}

// tuple reports whether the value stands in the VALUES of an SQL statement, where what stands
// before it is the value of another column.
func (w *work) tuple() bool {
	before := w.text[max(0, w.judgedAt.start-800):w.judgedAt.start]
	if i := bytes.LastIndexByte(before, ';'); i >= 0 {
		before = before[i:]
	}
	return extract.IndexFold(before, "values") >= 0 && extract.IndexFold(before, "insert") >= 0
}

// distinguishedName reports whether v names an entry of LDAP: cn=app,ou=people,dc=acme, or its
// first part.
// https://www.rfc-editor.org/rfc/rfc4514
func distinguishedName(v []byte) bool {
	for _, attribute := range [...]string{"cn=", "uid=", "ou=", "dc="} {
		if hasPrefixFold(v, attribute) && score.Wordy(v[len(attribute):]) && !bytes.ContainsAny(v, "+/$!") {
			return true
		}
	}
	return false
}

// moduleVersion reports whether v is a version as modules of Go have: v1.2.3.
func moduleVersion(v []byte) bool {
	return v[0] == 'v' && isVersion(v[1:]) && bytes.Count(v, []byte(".")) >= 2
}

// email reports whether v is an address of electronic mail.
func email(v []byte) bool {
	local, domain, ok := bytes.Cut(v, []byte("@"))
	if !ok || len(local) == 0 || bytes.IndexByte(domain, '.') <= 0 || bytes.ContainsAny(v, ":/ =") {
		return false
	}
	for _, c := range domain {
		if !score.IsAlnum(c) && c != '.' && c != '-' {
			return false
		}
	}
	return !bytes.ContainsAny(domain[bytes.LastIndexByte(domain, '.'):], "0123456789")
}

// call reports whether v is a call of a function: MD5(%p).
func call(v []byte) bool {
	open := bytes.IndexByte(v, '(')
	if open < 2 || v[len(v)-1] != ')' {
		return false
	}
	for _, b := range v[:open] {
		if !score.IsAlnum(b) && b != '_' && b != '.' {
			return false
		}
	}
	return bytes.IndexByte(v, '%') > 0 || bytes.IndexByte(v, ':') > 0 || bytes.IndexByte(v, '?') > 0 || open == len(v)-2
}

// fileExts are the extensions of files that hold keys and settings.
var fileExts = score.Set("pem key crt cer der p12 pfx jks pub asc gpg json yaml yml toml xml txt env conf cfg ini properties tar gz zip log sql html")

// fileName reports whether v is the name of a file.
func fileName(v []byte) bool {
	dot := bytes.LastIndexByte(v, '.')
	if dot < 2 || !fileExts[string(v[dot+1:])] {
		return false
	}
	for _, b := range v[:dot] {
		if !isNameByte(b) && b != '/' || b == '$' {
			return false
		}
	}
	return !surelyRandom(v[:dot])
}

// ofPGP reports whether the text before a value speaks of a key of PGP.
func ofPGP(before []byte) bool {
	before = before[max(0, len(before)-60):]
	return extract.IndexFold(before, "gpg") >= 0 || extract.IndexFold(before, "pgp") >= 0 || extract.IndexFold(before, "rsa key") >= 0 || extract.IndexFold(before, "format_id(") >= 0
}

// licence reports whether v begins as the names of licences of software do.
// https://spdx.org/licenses/
func licence(v []byte) bool {
	for _, name := range [...]string{"MIT", "GPL", "LGPL", "AGPL", "Apache", "BSD", "MPL", "ISC", "CC0", "CC-", "EPL", "Unlicense", "Zlib", "Proprietary", "Commercial", "UNLICENSED"} {
		if bytes.HasPrefix(v, []byte(name)) {
			return true
		}
	}
	return false
}

// memberOfElse reports whether the name before an argument is a member whose own name speaks
// of no key: put(TokenClaims.SUBJECT, "…").
func (w *work) memberOfElse() bool { // of the claims of a token
	name := w.name.Raw()
	dot := bytes.LastIndexByte(name, '.')
	if dot <= 0 || dot+1 == len(name) || bytes.HasSuffix(bytes.TrimRight(w.judging.Before, "\"'` "), []byte("(")) {
		return false
	}
	return members[string(bytes.ToLower(name[dot+1:]))]
}

// members are claims and settings that are no keys, whatever the class is called.
var members = score.Set("sub subject iss issuer aud audience client_id username scope scopes jti type name id exp iat nbf")

// camelCase reports whether a capital follows a small letter in v.
func camelCase(v []byte) bool {
	for i := 1; i < len(v); i++ {
		if 'a' <= v[i-1] && v[i-1] <= 'z' && 'A' <= v[i] && v[i] <= 'Z' {
			return true
		}
	}
	return false
}

// accessKeyID reports whether v has the form of the ids of access keys: 20 capitals and
// digits.
func accessKeyID(v []byte) bool {
	if len(v) != 20 {
		return false
	}
	s := score.ShapeOf(v)
	return s.Upper+s.Digit == len(v) && s.Upper > 0 && s.Digit > 0
}

// constantWord reports whether v is a short word in capitals, perhaps with a number.
func constantWord(v []byte) bool {
	word := bytes.TrimRight(v, "0123456789")
	if len(v) > 16 || len(word) < 4 || len(v)-len(word) > 2 {
		return false
	}
	for _, c := range word {
		if (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// objectID reports whether the value is that of SecretID where a SecretName stands beside it:
// a reference to a secret, as in the API of Docker.
func (w *work) objectID() bool {
	name := w.name.Raw()
	if len(name) < 8 || score.IsUUID(w.judging.Value) || !bytes.EqualFold(bytes.Trim(name[len(name)-2:], "_-"), []byte("id")) || !hasPrefixFold(name, "secret") {
		return false
	}
	at := w.judgedAt
	around := w.text[max(0, at.start-200):min(len(w.text), at.end+200)]
	return extract.IndexFold(around, "secretname") >= 0 || extract.IndexFold(around, "secret_name") >= 0
}

// signedMessage reports whether the value is the token beside the time and the signature of a
// message, as webhooks have it: it is good for one message.
// https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
func (w *work) signedMessage() bool {
	at := w.judgedAt
	around := w.text[max(0, at.start-200):min(len(w.text), at.end+200)]
	switch name := w.name.Raw(); {
	case bytes.EqualFold(name, []byte("nonce")):
		return extract.IndexFold(around, "aead") >= 0 || extract.IndexFold(around, "ciphertext") >= 0 || extract.IndexFold(around, "\"iv\"") >= 0
	case !bytes.EqualFold(name, []byte("token")):
		return false
	}
	if extract.IndexFold(around, "nonce") >= 0 || extract.IndexFold(around, "consumer") >= 0 { // a request signed by OAuth 1.0
		return false
	}
	return hasKey(around, "timestamp") && hasKey(around, "signature")
}

// hasKey reports whether a name stands in a text as the whole name of a field.
func hasKey(t []byte, name string) bool {
	for {
		i := extract.IndexFold(t, name)
		if i < 0 {
			return false
		}
		end := i + len(name)
		if (i == 0 || !isNameByte(t[i-1])) && end < len(t) && !isNameByte(t[end]) {
			return true
		}
		t = t[end:]
	}
}

// firstArgument reports whether the value is the first of several arguments of a call whose
// result is assigned: token = login("user", "…"). Random values are judged all the same.
func (w *work) firstArgument() bool {
	c := &w.judging
	if !w.called || !c.Quoted || c.Form != score.Assignment || len(c.After) < 2 {
		return false
	}
	function := c.Before[max(0, len(c.Before)-40):]
	if extract.IndexFold(function, "login") < 0 && extract.IndexFold(function, "authenticate") < 0 {
		return false
	}
	return bytes.HasPrefix(bytes.TrimLeft(c.After[1:], " "), []byte(",")) && !surelyRandom(c.Value)
}

// encodedText returns why the base64 v encodes something that is no credential: a PEM block,
// which is judged as such, a placeholder, a sentence, what was encrypted, or Basic
// authentication without a password.
func (w *work) encodedText(v []byte) string {
	before := w.judging.Before
	basic := w.judging.Kind == score.Header || len(before) >= 6 && bytes.EqualFold(before[len(before)-6:], []byte("basic ")) || hasPrefixFold(v, "basic ")
	if hasPrefixFold(v, "basic ") {
		v = v[len("basic "):]
	}
	if basic && len(v) < 8 {
		return "a word after Basic"
	}
	if len(v) < 8 || len(v) > maxEncoded || len(v)%4 != 0 {
		return ""
	}
	for _, c := range v {
		if !score.IsAlnum(c) && c != '+' && c != '/' && c != '=' {
			return ""
		}
	}
	decoded, err := base64.StdEncoding.DecodeString(string(v))
	if err != nil {
		return ""
	}
	text := bytes.TrimSpace(decoded)
	switch {
	case bytes.HasPrefix(text, []byte("-----BEGIN")):
		return "a PEM block, which is judged decoded"
	case len(text) < 4 || printableShare(text) < 1:
		return ""
	case score.Placeholder(text):
		return "a placeholder, encoded"
	case text[0] == '{' && (bytes.Contains(text, []byte(`"iv"`)) || bytes.Contains(text, []byte(`"aead"`)) || bytes.Contains(text, []byte(`"ciphertext"`))):
		return "encrypted"
	case !basic && w.judging.Kind != score.Password && constantWord(text):
		return "a word, encoded"
	case !basic && bytes.Count(text, []byte(" ")) > 2 && bytes.IndexByte(text, ':') < 0 && mostlyLetters(text):
		return "a sentence, encoded"
	}
	if word := w.name.Raw(); basic && len(v) > 0 && (bytes.EqualFold(word, []byte("basic")) || w.judging.Kind != score.Header) {
		return basicWithout(text)
	}
	return ""
}

// maxEncoded is the longest base64 that is decoded to see whether it is a credential.
const maxEncoded = 2048

// basicWithout returns why the credentials of Basic authentication have no password in them,
// or only the name of one.
func basicWithout(text []byte) string {
	_, password, ok := bytes.Cut(text, []byte(":"))
	switch {
	case !ok || len(password) == 0:
		return "Basic authentication without a password"
	case score.Placeholder(password) && score.ShapeOf(password).Alphabet != score.Digits || bytes.IndexByte(password, '_') > 0 && bytes.Equal(bytes.ToUpper(password), password) && !bytes.ContainsAny(password, "0123456789"):
		return "a placeholder, encoded"
	}
	return ""
}
