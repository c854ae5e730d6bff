package scanner

import (
	"bytes"
	"strings"
)

// kindOfName says whether a name speaks of a key, and of which kind. The last
// word counts most: keyName, tokenType and secretRef hold no secret.
func kindOfName(name []byte) (finder, bool) {
	var buf nameBuffer
	words := buf.split(name)
	kind, ok := keyFinder, false
	provisioning := false
	for i, w := range words {
		word := buf.low[w.start:w.end]
		if harmless(harmlessNames, word) {
			return 0, false
		}
		provisioning = provisioning || provisioningWords[string(word)]
		k, known := nameKind(word)
		if !known || i > 0 && string(word) == "key" && harmless(harmlessKeys, buf.low[words[i-1].start:words[i-1].end]) {
			continue
		}
		kind, ok = k, true
		for _, after := range words[i+1:] {
			if harmless(harmlessAfter, buf.low[after.start:after.end]) {
				ok = false
			}
		}
	}
	if ok && provisioning && kind == keyFinder {
		kind = provisioningFinder
	}
	return kind, ok
}

func harmless(words map[string]bool, word []byte) bool { return words[string(word)] }

// nameKind says what a word of a name speaks of. Words run together, such as
// pgpassword, are known by their end.
func nameKind(word []byte) (finder, bool) {
	if k, ok := nameWords[string(word)]; ok {
		return k, true
	}
	for _, end := range passwordEnds {
		if bytes.HasSuffix(word, end) {
			return passwordFinder, true
		}
	}
	for _, end := range keyEnds {
		if bytes.HasSuffix(word, end) {
			return keyFinder, true
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
	low   [2 * maxName]byte // the name in lower case
	words [8]span
}

// split splits a name by signs and by changes of case. It returns the last
// words, as places in b.low.
func (b *nameBuffer) split(name []byte) []span {
	name = name[max(0, len(name)-len(b.low)):]
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
	nameWords = func() map[string]finder {
		m := map[string]finder{}
		for w := range set("key keys apikey accesskey secretkey privatekey authkey appkey masterkey token tokens accesstoken authtoken secret secrets clientsecret appsecret credential credentials cred creds auth authorization apitoken apisecret bearer salt nonce hmac pat sharedsecret encryptionkey signingkey consumersecret consumerkey nkey psk webhook") {
			m[w] = keyFinder
		}
		for w := range set("password passwd passwort pass pwd passphrase passcode userpass dbpass dbpassword adminpassword userpassword rootpassword pw passw") {
			m[w] = passwordFinder
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
