package scanner

import (
	"bytes"
	"net/netip"

	"github.com/keyward/keyward/scanner/score"
)

// What follows knows things by the form of their names: hashes of passwords, constraints,
// commits, addresses.

// nameOfThing returns what v is if its form says that it is not a credential, else "".
func nameOfThing(v []byte) string {
	switch {
	case constraint(v):
		return "the name of an index or a constraint of a database"
	case commitOf(v):
		return "the commit of a dependency"
	case ipAddress(v):
		return "an IP address"
	case publicJWK(v):
		return "a public key"
	case cipherList(v):
		return "a list of ciphers"
	case terminalEscape(v):
		return "a colour or a command of a terminal"
	}
	return ""
}

// passwordLine reports whether v is a user and the hash of a password, as files for Basic
// authentication have them: user:$apr1$salt$hash. Compose files write each dollar twice.
// https://httpd.apache.org/docs/2.4/misc/password_encryptions.html
func passwordLine(v []byte) bool {
	user, hash, ok := bytes.Cut(v, []byte(":"))
	if !ok || len(user) == 0 || len(user) > 64 || len(hash) < 8 {
		return false
	}
	if bytes.HasPrefix(hash, []byte("$$")) {
		hash = bytes.ReplaceAll(hash, []byte("$$"), []byte("$"))
	}
	for _, p := range [...]string{"$apr1$", "$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$argon2", "$pbkdf2", "$scrypt$", "{SHA}", "{SSHA}", "{SHA256}", "{SHA512}"} {
		if bytes.HasPrefix(hash, []byte(p)) {
			return true
		}
	}
	return false
}

// digestLine reports whether v is a user, a realm and a hash of both and the password, as files
// for Digest authentication have them. Elsewhere the form says nothing.
// https://httpd.apache.org/docs/2.4/programs/htdigest.html
func digestLine(v []byte) bool {
	user, rest, _ := bytes.Cut(v, []byte(":"))
	realm, digest, ok := bytes.Cut(rest, []byte(":"))
	return ok && len(user) > 0 && len(realm) > 0 && len(digest) == 32 && allHex(digest)
}

// constraint reports whether v is the name of an index or a constraint, as mappers of objects
// to tables make them: a word for it, and a hash of the columns.
func constraint(v []byte) bool {
	word, hash, ok := bytes.Cut(v, []byte("_"))
	return ok && len(word) <= 6 && len(hash) >= 8 && len(hash) <= 24 && allHex(hash) && constraints[string(bytes.ToLower(word))]
}

var constraints = score.Set("fk pk ix idx uq uniq unique index")

// commitOf reports whether v is a version or a branch of a dependency and the commit that it
// is at: dev-main#COMMIT.
// https://getcomposer.org/doc/04-schema.md#package-links
func commitOf(v []byte) bool {
	i := len(v) - 41
	if i <= 2 || v[i] != '#' && v[i] != '@' || !allHex(v[i+1:]) {
		return false
	}
	version := bytes.TrimLeft(v[:i], "v^~")
	return bytes.HasPrefix(version, []byte("dev-")) || isVersion(version) || bytes.HasSuffix(version, []byte(".git")) || bytes.HasSuffix(version, []byte("-dev"))
}

// ipAddress reports whether v is an IP address, perhaps with the length of a network's prefix.
func ipAddress(v []byte) bool {
	if len(v) > 49 || bytes.Count(v, []byte(".")) < 3 && bytes.Count(v, []byte(":")) < 2 {
		return false
	}
	host, _, _ := bytes.Cut(v, []byte("/"))
	_, err := netip.ParseAddr(string(host))
	return err == nil
}

// publicJWK reports whether v is a JSON Web Key, or several, without a private part.
// https://www.rfc-editor.org/rfc/rfc7517
func publicJWK(v []byte) bool {
	if v[0] != '{' && v[0] != '[' || !bytes.Contains(v, []byte(`kty`)) {
		return false
	}
	plain := bytes.ReplaceAll(v, []byte(`\`), nil)
	for _, private := range [...]string{`"d":`, `"d" :`, `"k":`, `"k" :`} {
		if bytes.Contains(plain, []byte(private)) {
			return false
		}
	}
	return bytes.Contains(plain, []byte(`"kty":`)) || bytes.Contains(plain, []byte(`"kty" :`))
}

// cipherList reports whether v is a list of ciphers as OpenSSL reads it, in which ! excludes one.
// https://docs.openssl.org/master/man1/openssl-ciphers/#cipher-list-format
func cipherList(v []byte) bool {
	if bytes.Count(v, []byte(":!")) < 2 {
		return false
	}
	for _, name := range [...]string{":!aNULL", ":!eNULL", ":!NULL", ":!MD5", ":!RC4", ":!EXPORT", ":!DES", ":!PSK"} {
		if bytes.Contains(v, []byte(name)) {
			return true
		}
	}
	return false
}

// terminalEscape reports whether v begins with the escape that colours of terminals begin
// with, as programs write it.
// https://www.ecma-international.org/publications-and-standards/standards/ecma-48/
func terminalEscape(v []byte) bool {
	for _, esc := range [...]string{`\x1b[`, `\x1B[`, `\033[`, `\u001b[`, `\u001B[`, `\e[`} {
		if bytes.HasPrefix(v, []byte(esc)) {
			return true
		}
	}
	return false
}

// wordsOnly reports whether v is a word, or words with signs between.
func wordsOnly(v []byte) bool {
	prose, _ := score.Prose(v)
	return prose && score.Wordy(v)
}
