package score

import (
	"bytes"
	"strings"
)

// A Name is what the words of a name say.
type Name struct {
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

// ReadName says what the words of a name say.
func ReadName(name []byte) (n Name) {
	var buf nameBuffer
	words := buf.split(name)
	low := buf.low[:buf.n]
	for g, parts := range nameParts {
		for _, p := range parts {
			if bytes.Contains(low, []byte(p)) {
				n.words |= 1 << g
				break
			}
		}
	}
	n.last, n.count = -1, int8(len(words))
	spoken := false
	for i, w := range words {
		word := buf.low[w.start:w.end]
		n.harmless = n.harmless || harmlessNames[string(word)]
		k, known := nameKind(word)
		if known && i > 0 && string(word) == "key" && harmlessKeys[string(buf.low[words[i-1].start:words[i-1].end])] {
			n.keyOfElse = true
		}
		if known {
			spoken, n.after, n.about = true, 0, false
			if i == len(words)-1 {
				n.last = int8(k)
			}
			continue
		}
		if spoken {
			n.after++
			n.about = n.about || harmlessAfter[string(word)]
		}
	}
	if !spoken {
		n.after = -1
	}
	for _, c := range name {
		n.upper = n.upper || 'A' <= c && c <= 'Z'
		n.low = n.low || 'a' <= c && c <= 'z'
	}
	return n
}

// KindOf says which kind of key a name speaks of. What speaks of none plainly is a
// [Key]: the score says how much that counts.
func KindOf(name []byte) Kind {
	var buf nameBuffer
	kind, provisioning := Key, false
	for _, w := range buf.split(name) {
		word := buf.low[w.start:w.end]
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

// A nameBuffer splits a name into its words without allocating.
type nameBuffer struct {
	low   [160]byte // the name in lower case
	words [8]span
	n     int
}

type span struct{ start, end int }

// split splits a name by signs and by changes of case. It returns the last
// words, as places in b.low.
func (b *nameBuffer) split(name []byte) []span {
	name = name[max(0, len(name)-len(b.low)):]
	b.n = len(name)
	n, start := 0, 0
	flush := func(end int) {
		next := end
		for end > start+3 && classOf(b.low[end-1]) == '0' { // password1 is a password
			end--
		}
		if end > start {
			if n == len(b.words) {
				copy(b.words[:], b.words[1:])
				n--
			}
			b.words[n] = span{start, end}
			n++
		}
		start = next
	}
	for i, c := range name {
		b.low[i] = c
		if 'A' <= c && c <= 'Z' {
			b.low[i] = c | 0x20
		}
		switch {
		case !isAlnum(c):
			flush(i)
			start = i + 1
		case i > start && classOf(c) == 'A' && classOf(name[i-1]) != 'A':
			flush(i)
		case i > start+1 && classOf(c) == 'a' && classOf(name[i-1]) == 'A' && classOf(name[i-2]) == 'A':
			flush(i - 1)
		}
	}
	flush(len(name))
	return b.words[:n]
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

var (
	nameWords = func() map[string]Kind {
		m := map[string]Kind{}
		for w := range set("key keys apikey accesskey secretkey privatekey authkey appkey masterkey token tokens accesstoken authtoken secret secrets clientsecret appsecret credential credentials cred creds auth authorization apitoken apisecret bearer salt nonce hmac pat sharedsecret encryptionkey signingkey consumersecret consumerkey nkey psk webhook") {
			m[w] = Key
		}
		for w := range set("password passwd passwort pass pwd passphrase passcode userpass dbpass dbpassword adminpassword userpassword rootpassword pw passw") {
			m[w] = Password
		}
		return m
	}()
	provisioningWords = set("provision provisioning enroll enrol enrollment enrolment join registration register bootstrap onboard onboarding activation claim scim installer pairing invite runner agent node")
	// harmlessNames are words that make any key public, or no key.
	harmlessNames = set("public pub encrypted hashed masked redacted obfuscated")
	// harmlessKeys are words that make the key after them a key of something else.
	harmlessKeys = set("primary foreign sort partition cache hot index map dict object row column composite candidate translation i18n locale message label field property attribute group order routing shortcut function arrow tab enter modifier host known lookup unique natural surrogate hash range registry data config storage selector query param header resource bucket s3 metadata annotation session")
	// harmlessAfter are words that, after a word for a key, say that the value
	// is about the key and is not the key.
	harmlessAfter = set("name names type types id ids path paths file files filename dir url uri endpoint ref reference field fields column length len size count index hash algorithm alg format prefix suffix provider policy policies expiry expires expiration expire ttl timeout age lifetime duration date time at label title description desc message msg error errors hint help placeholder prompt template regex pattern validator validation valid invalid required enabled disabled enable disable exists missing needed rotation version store storage manager service handler helper util utils factory builder class source env var variable input form page view button link text icon state status mode method scope scopes issuer audience subject owner user username users group groups role roles permission permissions list map set get value_from selector bits usage code codes event events test tests config configuration settings options param params header headers cookie location server client request response callback review reset confirmation strength generator generate generated store stored schema kind namespace arn alias identifier fingerprint thumbprint comment note notes position char chars press down up binding bindings board word words pair pairs chain ring size")
)

// About reports whether a name ends in a word that says that its value is about a key,
// such as the checksum of a token's program.
func About(name []byte) bool {
	var buf nameBuffer
	words := buf.split(name)
	if len(words) == 0 {
		return false
	}
	last := words[len(words)-1]
	return aboutWords[string(buf.low[last.start:last.end])]
}

var aboutWords = set("sha sha1 sha256 sha512 md5 hash checksum digest path file url length count version")

// Secretive reports whether a name speaks of a secret, and not of a key only, which may
// be that of a map.
func Secretive(name []byte) bool {
	var buf nameBuffer
	buf.split(name)
	low := buf.low[:buf.n]
	for _, w := range secretive {
		if bytes.Contains(low, w) {
			return true
		}
	}
	return false
}

var secretive = bytes.Fields([]byte("token secret pass pwd auth cred api access private licen enrol regist provision join bearer basic"))

// OfAuthor reports whether a name speaks of an author, which has "auth" in it.
func OfAuthor(name []byte) bool {
	var buf nameBuffer
	buf.split(name)
	low := buf.low[:buf.n]
	i := bytes.Index(low, []byte("author"))
	return i >= 0 && !bytes.HasPrefix(low[i+6:], []byte("i")) && !bytes.HasPrefix(low[i+6:], []byte("e")) && bytes.Count(low, []byte("auth")) == 1 && !bytes.Contains(low, []byte("token")) && !bytes.Contains(low, []byte("key"))
}

// KeyID reports whether a name ends in "key id" or "token id". That of an access key is
// part of the key.
func KeyID(name []byte) bool {
	var buf nameBuffer
	words := buf.split(name)
	low := buf.low[:buf.n]
	for _, w := range [][]byte{[]byte("access"), []byte("api"), []byte("secret")} {
		if bytes.Contains(low, w) {
			return false
		}
	}
	if bytes.HasSuffix(low, []byte("keyid")) || bytes.HasSuffix(low, []byte("tokenid")) {
		return true
	}
	if len(words) < 2 {
		return false
	}
	of, last := words[len(words)-2], words[len(words)-1]
	thing := string(buf.low[of.start:of.end])
	return string(buf.low[last.start:last.end]) == "id" && (thing == "key" || thing == "token")
}
