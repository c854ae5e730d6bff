package score

import (
	"bytes"
	"slices"
	"strings"
)

// A Name is a name that was read once: in lower case, and its words. It is read anew
// without allocating.
type Name struct {
	raw   []byte
	low   [160]byte // the end of it in lower case
	n     int       // of low
	parts [8]span   // its last words, as places in low
	count int
}

type span struct{ start, end int }

// nameMarks are what the words of a name say.
type nameMarks struct {
	words      uint32 // groups of words that it contains
	last       int8   // the group of its last word, or -1
	after      int8   // words after the last one that speaks of a key
	count      int8   // words
	about      bool   // a word after says that the value is about a key
	harmless   bool   // a word makes it public, or no secret
	keyOfElse  bool   // "key" follows a word such as primary
	upper, low bool
}

// nameParts are pieces of names. What they say is learned.
var nameParts = [...][]string{
	{"pass", "pwd", "passphrase"},
	{"token"},
	{"secret"},
	{"key"},
	{"auth"},
	{"cred"},
	{"api", "app"},
	{"access", "client", "consumer"},
	{"private", "master", "encrypt", "signing", "shared"},
	{"salt", "nonce", "seed", "hmac"},
	{"user", "login", "admin", "root"},
	{"test", "fake", "dummy", "example", "sample", "mock", "wrong", "invalid", "bad"},
	{"db", "sql", "mongo", "redis", "postgres", "ldap", "smtp", "mail", "rabbit", "mqtt", "ftp"},
	{"aws", "s3", "google", "github", "gitlab", "slack", "azure", "twilio", "stripe", "facebook", "twitter"},
	{"sign", "verif", "ticket", "session", "csrf", "cookie", "hash", "digest", "finger", "checksum"},
	{"refresh", "bearer", "jwt", "oauth", "sso"},
	{"name", "type", "path", "file", "field", "label", "title", "text", "desc", "msg", "message"},
	{"id", "uuid"},
	{"new", "old", "confirm", "current", "default", "expected"},
	{"author"},
	{"repo", "gpg", "fingerprint", "host", "ssh", "rsa", "pub"},
}

// marks says what the words of a name say.
func (n *Name) marks() (m nameMarks) {
	for g, parts := range nameParts {
		if slices.ContainsFunc(parts, n.has) {
			m.words |= 1 << g
		}
	}
	m.last, m.count = -1, int8(n.count)
	spoken := false
	for i := range n.count {
		word := n.word(i)
		m.harmless = m.harmless || harmlessNames[string(word)]
		k, known := nameKind(word)
		if known && i > 0 && string(word) == "key" && harmlessKeys[string(n.word(i-1))] {
			m.keyOfElse = true
		}
		if known {
			spoken, m.after, m.about = true, 0, false
			if i == n.count-1 {
				m.last = int8(k)
			}
			continue
		}
		if spoken {
			m.after++
			m.about = m.about || harmlessAfter[string(word)]
		}
	}
	if !spoken {
		m.after = -1
	}
	for _, c := range n.raw {
		m.upper = m.upper || 'A' <= c && c <= 'Z'
		m.low = m.low || 'a' <= c && c <= 'z'
	}
	return m
}

// Words is how many words a name has, 8 at most.
func (n *Name) Words() int { return n.count }

// Raw is the name as written.
func (n *Name) Raw() []byte { return n.raw }

// word is one of the last words.
func (n *Name) word(i int) []byte { return n.low[n.parts[i].start:n.parts[i].end] }

// has reports whether a part stands in the name.
func (n *Name) has(part string) bool { return bytes.Contains(n.low[:n.n], []byte(part)) }

// Has reports whether a part, which is in lower case, stands in the name.
func (n *Name) Has(part string) bool { return n.has(part) }

// OfSecret reports whether a name speaks of a secret, a token or a password.
func (n *Name) OfSecret() bool {
	return n.has("secret") || n.has("token") || n.has("pass") || n.has("pwd")
}

// Ends reports whether the name ends in a part, which is in lower case.
func (n *Name) Ends(part string) bool { return bytes.HasSuffix(n.low[:n.n], []byte(part)) }

// Kind says which kind of key a name speaks of. What speaks of none plainly is a
// [Key]: the score says how much that counts.
func (n *Name) Kind() Kind {
	kind, provisioning := Key, false
	for i := range n.count {
		word := n.word(i)
		provisioning = provisioning || provisioningWords[string(word)]
		if k, ok := nameKind(word); ok {
			kind = k
		}
	}
	if kind == Key && provisioning {
		return Provisioning
	}
	return kind
}

// nameKind says what a word of a name speaks of. Words run together, such as
// pgpassword, are known by their end.
func nameKind(word []byte) (Kind, bool) {
	if k, ok := nameWords[string(word)]; ok {
		return k, true
	}
	for _, end := range passwordEnds {
		if bytes.HasSuffix(word, end) {
			return Password, true
		}
	}
	for _, end := range keyEnds {
		if bytes.HasSuffix(word, end) {
			return Key, true
		}
	}
	return 0, false
}

var (
	passwordEnds = bytes.Fields([]byte("password passwd passphrase pwd"))
	keyEnds      = bytes.Fields([]byte("token secret apikey secretkey accesskey privatekey authkey credentials"))
)

// Read reads a name, and keeps what it points to: its words are split by signs and by
// changes of case.
func (n *Name) Read(name []byte) {
	n.raw = name
	name = name[max(0, len(name)-len(n.low)):]
	n.n, n.count = len(name), 0
	start := 0
	flush := func(end int) {
		next := end
		for end > start+3 && classOf(n.low[end-1]) == '0' { // password1 is a password
			end--
		}
		if end > start {
			if n.count == len(n.parts) {
				copy(n.parts[:], n.parts[1:])
				n.count--
			}
			n.parts[n.count] = span{start, end}
			n.count++
		}
		start = next
	}
	for i, c := range name {
		n.low[i] = c
		if 'A' <= c && c <= 'Z' {
			n.low[i] = c | 0x20
		}
		switch {
		case !IsAlnum(c):
			flush(i)
			start = i + 1
		case i > start && classOf(c) == 'A' && classOf(name[i-1]) != 'A':
			flush(i)
		case i > start+1 && classOf(c) == 'a' && classOf(name[i-1]) == 'A' && classOf(name[i-2]) == 'A':
			flush(i - 1)
		}
	}
	flush(len(name))
}

// Set is a set of words, which are written with white space between them.
func Set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

var (
	nameWords = func() map[string]Kind {
		m := map[string]Kind{}
		for w := range Set("key keys apikey accesskey secretkey privatekey authkey appkey masterkey token tokens accesstoken authtoken secret secrets clientsecret appsecret credential credentials cred creds auth authorization apitoken apisecret bearer salt nonce hmac pat sharedsecret encryptionkey signingkey consumersecret consumerkey nkey psk webhook") {
			m[w] = Key
		}
		for w := range Set("password passwd passwort pass pwd passphrase passcode userpass dbpass dbpassword adminpassword userpassword rootpassword pw passw") {
			m[w] = Password
		}
		return m
	}()
	provisioningWords = Set("provision provisioning enroll enrol enrollment enrolment join registration register bootstrap onboard onboarding activation claim scim installer pairing invite runner agent node")
	// harmlessNames are words that make any key public, or no key.
	harmlessNames = Set("public pub encrypted hashed masked redacted obfuscated")
	// harmlessKeys are words that make the key after them a key of something else.
	harmlessKeys = Set("primary foreign sort partition cache hot index map dict object row column composite candidate translation i18n locale message label field property attribute group order routing shortcut function arrow tab enter modifier host known lookup unique natural surrogate hash range registry data config storage selector query param header resource bucket s3 metadata annotation session")
	// harmlessAfter are words that, after a word for a key, say that the value
	// is about the key and is not the key.
	harmlessAfter = Set("name names type types id ids path paths file files filename dir url uri endpoint ref reference field fields column length len size count index hash algorithm alg format prefix suffix provider policy policies expiry expires expiration expire ttl timeout age lifetime duration date time at label title description desc message msg error errors hint help placeholder prompt template regex pattern validator validation valid invalid required enabled disabled enable disable exists missing needed rotation version store storage manager service handler helper util utils factory builder class source env var variable input form page view button link text icon state status mode method scope scopes issuer audience subject owner user username users group groups role roles permission permissions list map set get value_from selector bits usage code codes event events test tests config configuration settings options param params header headers cookie location server client request response callback review reset confirmation strength generator generate generated store stored schema kind namespace arn alias identifier fingerprint thumbprint comment note notes position char chars press down up binding bindings board word words pair pairs chain ring size")
)

// About reports whether a name ends in a word that says that its value is about a key,
// such as the checksum of a token's program.
func (n *Name) About() bool { return n.count > 0 && aboutWords[string(n.word(n.count-1))] }

var aboutWords = Set("sha sha1 sha256 sha512 md5 hash checksum digest path file url length count version signature signatures")

// Secretive reports whether a name speaks of a secret, and not of a key only, which may
// be that of a map.
func (n *Name) Secretive() bool { return slices.ContainsFunc(secretive, n.has) }

var secretive = strings.Fields("token secret pass pwd auth cred api access private licen enrol regist provision join bearer basic")

// OfAuthor reports whether a name speaks of an author, which has "auth" in it, and of
// nothing that does so besides, such as authorization.
func (n *Name) OfAuthor() bool {
	i := bytes.Index(n.low[:n.n], []byte("author"))
	if i < 0 || bytes.Count(n.low[:n.n], []byte("auth")) > 1 || n.has("token") || n.has("key") {
		return false
	}
	after := n.low[i+len("author") : n.n]
	return len(after) == 0 || after[0] != 'i' && after[0] != 'e'
}

// PublicKey reports whether a name ends in "public key" or "publishable key": everybody may
// have it.
func (n *Name) PublicKey() bool {
	if n.has("private") || n.has("secret") {
		return false
	}
	if n.Ends("publickey") || n.Ends("pubkey") {
		return true
	}
	if n.count < 2 || string(n.word(n.count-1)) != "key" {
		return false
	}
	whose := string(n.word(n.count - 2))
	return whose == "public" || whose == "publishable" || whose == "pub"
}

// KeyID reports whether a name ends in "key id" or "token id". That of an access key is
// part of the key.
func (n *Name) KeyID() bool {
	if n.has("access") || n.has("api") || n.has("secret") {
		return false
	}
	if n.Ends("keyid") || n.Ends("tokenid") {
		return true
	}
	if n.count < 2 || string(n.word(n.count-1)) != "id" {
		return false
	}
	thing := string(n.word(n.count - 2))
	return thing == "key" || thing == "token"
}

// lastWords are words that speak of a key at the end of a name only.
var lastWords = Set("signing bootstrap hmac registration activation join enroll enrol enrollment enrolment license licence pin psk pat jwt creds bearer")

// SpeaksOfKey reports whether the last word of a name says that its value is a key.
func (n *Name) SpeaksOfKey() bool {
	if n.count == 0 {
		return false
	}
	last := n.word(n.count - 1)
	_, known := nameKind(last)
	return known || lastWords[string(last)]
}

// OfCipher reports whether a name is that of key material: its last word speaks of a key,
// and none says that it is public or the key of something else.
func (n *Name) OfCipher() bool {
	switch string(n.word(max(0, n.count-1))) {
	case "nonce", "salt", "nonces", "salts":
		return false
	}
	return n.SpeaksOfKey() && !n.marks().harmless && !n.PublicKey() && n.Harmless() == ""
}

// OfUser reports whether the last word of a name is that of an account, whose value may be
// user:password.
func (n *Name) OfUser() bool {
	if n.count == 0 {
		return false
	}
	last := string(n.word(n.count - 1))
	return last == "login" || last == "user" || last == "userpwd"
}
