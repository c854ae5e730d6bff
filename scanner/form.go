package scanner

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"unicode"

	"github.com/keyward/keyward/scanner/score"
)

// What follows tells by the form of a value alone that it is no credential.

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

// expression reports whether v is a regular expression.
func expression(v []byte) bool {
	if v[0] == '/' && v[len(v)-1] == '/' && bytes.IndexByte(v, '[') > 0 { // with its delimiters
		return true
	}
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
func identifier(v []byte) bool { return lettersOnly(v) && score.Wordy(v) }

// lettersOnly reports whether v is letters of ASCII.
func lettersOnly(v []byte) bool {
	for _, c := range v {
		if !('a' <= c|0x20 && c|0x20 <= 'z') {
			return false
		}
	}
	return true
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
	if !ok || len(host) < 3 || len(port) < 2 || len(port) > 5 || score.ShapeOf(port).Alphabet != score.Digits {
		return false
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
	for _, begin := range publicBegins {
		if bytes.HasPrefix(v, []byte(begin)) {
			return true
		}
	}
	return publicPacket(v)
}

// publicBegins are what public keys begin with: those of SSH in base64, the algorithm of
// others in DER in hexadecimal.
// https://www.rfc-editor.org/rfc/rfc4253#section-6.6
// https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.7
var publicBegins = []string{"AAAAB3NzaC1", "AAAAE2VjZHNh", "AAAAC3NzaC1lZDI1NTE5", "301306072a8648", "300d06092a8648", "3059301306072a8648"}

// publicPacket reports whether v is a public key of OpenPGP in hexadecimal: a tag, one or two
// bytes of length, and the version 4.
// https://www.rfc-editor.org/rfc/rfc9580#section-5
func publicPacket(v []byte) bool {
	if len(v) <= 80 || !allHex(v) {
		return false
	}
	short, long := string(v[4:6]) == "04", string(v[6:8]) == "04"
	return hasPrefixFold(v, "98") && short || hasPrefixFold(v, "99") && long || hasPrefixFold(v, "c6") && (short || long)
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
