package score

import (
	"bytes"
	"unicode"
)

// What the words of a name say before any look at its value.

var (
	// innocentWords have a word for keys in them by chance.
	innocentWords = Set("author authors authored authoring authority authorities authorship coauthor coauthors authentic authenticity authenticated authenticates authorizations authorisations authorized authorised authorizes authorize authorise authenticator authenticators " +
		"monkey monkeys turkey turkeys donkey hockey jockey whiskey keyboard keyboards keynote keynotes keyword keywords keypress keydown keyup keycode keycodes " +
		"keyframe keyframes keymap keymaps keypad keystroke keystrokes hotkey hotkeys keylayout keyring keyspace keyspaces keyof keyless keybase " +
		"compass compasses passenger passengers passage passages passing passed passes passive passion passport passports passthrough passthru bypass bypasses bypassed bypassing surpass " +
		"encompass overpass trespass pastime tokenize tokenizer tokenizers tokenized tokenization tokenise tokeniser tokenised tokenisation tokenomics tokenids " +
		"secretary secretaries secretariat secretion seedling seedlings seeds seeded seeding accredit accredited accreditation credit credits creditor sacred discredit")
	// aboutLast are words that say at the end of a name that its value is about something.
	aboutLast = Set("id ids hash hashes hashed version versions count counts path paths arn arns name names type types index indexes indices length expiry expires expiration " +
		"url urls uri uris label labels title titles digest digests checksum checksums sha sha1 sha256 sha512 md5 crc crc32 fingerprint fingerprints thumbprint " +
		"accessor accessors issuer size format prefix suffix algorithm alg algo description hint placeholder error errors message messages signature signatures at date time timestamp ttl timeout " +
		"username usernames proof cursor hostname port protocol protocols endpoint " +
		"args arguments options opts " +
		"enabled required status state scope scopes policy file filename dir directory limit mode kind field column table " +
		"method methods retrieve exists supported color colour colors colours style font icon ip ips addr address addresses " +
		"identifier etag vid uid gid guid regex pattern mint ref refs segment segments salted iv tag ciphertext ring holder supply symbol decimals")
	// otherTokens are words that make the token after them a place in a list of results.
	otherTokens = Set("page nextpage next previous prev continuation continue cursor pagination paging offset resume marker delta")
	// otherKeys are words that make the key after them one of something else. In the names of
	// constants and of variables of the environment only those of constantKeys do.
	otherKeys = Set("primary foreign sort partition cache object s3 idempotency idempotent translation i18n locale message label hot index map dict row column composite candidate " +
		"page next continuation cursor public publishable pub site anon anonymous recaptcha turnstile hcaptcha captcha shard dedup deduplication dedupe ordering range lookup unique natural surrogate " +
		"metadata ui widget component react element item param field property attribute theme style css grouping blob list answer question query recv known trusted tab section step sorting filter axis")
	constantKeys = Set("foreign sort partition idempotency idempotent translation i18n public publishable pub site anon anonymous recaptcha turnstile hcaptcha captcha")
	// ownKeys are words that keep a key one, whatever stands before it.
	ownKeys = Set("fb facebook secret private api access auth token password client encryption signing master service admin account shared app")
	// transformed are words that say what was made of a value: no credential any more.
	transformed = Set("hashed encrypted sealed masked redacted obfuscated sitekey publickey pubkey vkey verkey ciphertext")
	publicWords = Set("public publishable pub site anon anonymous verify verifier")
	// uiWords say that a name is that of a text which people read.
	uiWords = Set("label labels title titles message messages msg placeholder placeholders error errors hint hints tooltip tooltips description desc caption captions heading header " +
		"button btn helper incorrect success succeeded changed help helptext prompt warning info notice notification alert toast subtitle translation translations i18n lang forgot forgotten remember")
)

// Harmless says why a value of that name is no credential, whatever it looks like; "" if the
// name leaves that open.
func (n *Name) Harmless() string {
	if n.count == 0 {
		return ""
	}
	if n.innocent() {
		return "the name has a word for keys only inside another word"
	}
	for i := range n.count {
		if n.ofPassword() { // of an encrypted disk, of a public key's file
			break
		}
		next := i + 1
		if w := string(n.word(i)); (w == "pub" || w == "public") && i > 0 && string(n.word(i-1)) != "non" && n.has("key") && !n.has("private") && !n.has("secret") {
			return "a public key"
		}
		if next < n.count && publicWords[string(n.word(i))] && (string(n.word(next)) == "key" || string(n.word(next)) == "keys") && !n.has("private") && !n.has("secret") {
			return "a public key"
		}
		if transformed[string(n.word(i))] && !(string(n.word(i)) == "sealed" && n.has("secret")) {
			return "the name says that its value is encrypted, a hash or public"
		}
	}
	last := n.count - 1
	for last > 0 && (allDigits(n.word(last)) || writings[string(n.word(last))]) { // key_file_3, SALT_STRING
		last--
	}
	word := string(n.word(last))
	switch {
	case word == "nonce" && (n.has("csp") || n.has("security_policy")), word == "cnonce":
		return "a nonce of a content security policy, which each page has another of"
	case (n.has("csrf") || n.has("xsrf")) && !n.has("secret") && !n.has("private") && !n.has("signing") || n.has("authenticity_token") || n.has("authenticitytoken") || n.has("requestverificationtoken"):
		return "a token against forged requests, which each page has another of"
	case n.Ends("_pass") && last > 0 && !bytes.ContainsFunc(n.raw, unicode.IsUpper) && passedOn[string(n.word(last-1))]:
		return "the address to which a web server passes requests on"
	case n.Ends("websocket-key") || n.Ends("websocketkey") || n.Ends("websocket_key"):
		return "the nonce of a connection"
	case word == "salt" || word == "salts" || bytes.HasSuffix(n.word(last), []byte("passwordsalt")):
		return "a salt, which is stored beside what it was made for"
	case aboutLast[word] && !n.secretID(last):
		return "the name ends in a word that says its value is about a credential"
	case last > 0 && (word == "key" || word == "keys") && n.ofElse(last, otherKeys), last > 0 && (word == "token" || word == "tokens") && n.ofElse(last, otherTokens):
		return "the key or token of something else, such as a cache or a page"
	}
	return ""
}

// writings are words at the end of a name that say how its value is written.
var writings = Set("string str bytes hex base64 b64 encoded raw literal text val")

// passedOn are what the directives of nginx begin with that end in _pass.
// https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_pass
var passedOn = Set("proxy fastcgi uwsgi scgi grpc memcached")

func allDigits(word []byte) bool {
	for _, c := range word {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// secretID reports whether a name ends in "secret id", which is the secret half of an AppRole
// of Vault.
func (n *Name) secretID(last int) bool {
	return last > 0 && string(n.word(last)) == "id" && string(n.word(last-1)) == "secret"
}

// ofElse reports whether the word before the last makes it the key of something else.
func (n *Name) ofElse(last int, words map[string]bool) bool {
	word := string(n.word(last - 1))
	if last > 1 && otherTokens[string(n.word(last-2))] && string(n.word(last)) == "token" { // nextSyncToken
		word = string(n.word(last - 2))
	}
	if !words[word] || n.constant() && !constantKeys[word] && !otherTokens[word] {
		return false
	}
	for i := range last - 1 {
		if ownKeys[string(n.word(i))] {
			return false
		}
	}
	return true
}

// constant reports whether a name is written as constants are: in capitals.
func (n *Name) constant() bool {
	for _, c := range n.raw {
		if 'a' <= c && c <= 'z' {
			return false
		}
	}
	return true
}

// ofPassword reports whether the last word of a name is one for passwords or secrets.
func (n *Name) ofPassword() bool {
	word := n.word(n.count - 1)
	kind, known := nameKind(word)
	return known && kind == Password || string(word) == "secret"
}

// innocent reports whether no word of a name speaks of a key by itself.
func (n *Name) innocent() bool {
	some := false
	for i := range n.count {
		word := n.word(i)
		if innocentWords[string(word)] {
			some = true
			continue
		}
		if _, ok := nameKind(word); ok {
			return false
		}
		for _, part := range keyParts {
			if len(word) >= len(part) && hasPart(word, part) {
				return false
			}
		}
	}
	return some
}

// keyParts are the parts by which names are found.
var keyParts = []string{"key", "token", "secret", "pass", "pwd", "cred", "auth", "salt", "nonce", "seed", "ticket"}

func hasPart(word []byte, part string) bool {
	for i := 0; i+len(part) <= len(word); i++ {
		if string(word[i:i+len(part)]) == part {
			return true
		}
	}
	return false
}

// OfText reports whether a name is that of a text that people read, such as a label.
func (n *Name) OfText() bool {
	for i := range n.count {
		if uiWords[string(n.word(i))] {
			return true
		}
	}
	return false
}

// EndsAsText reports whether the last word of a name is that of a text that people read, such
// as a button.
func (n *Name) EndsAsText() bool { return n.count > 0 && uiWords[string(n.word(n.count-1))] }

// OfProtocolNonce reports whether a name is that of the number used once in a request: of a
// client, of a login.
func (n *Name) OfProtocolNonce() bool {
	if !n.Ends("nonce") {
		return false
	}
	for i := range n.count {
		switch string(n.word(i)) {
		case "client", "auth", "oidc", "expected":
			return true
		}
	}
	return false
}

// OfPhrase reports whether a name is that of words that stand for a key, such as a seed phrase.
func (n *Name) OfPhrase() bool {
	return n.has("seed") || n.has("mnemonic") || n.has("recovery") || n.has("phrase") || n.has("secret")
}

// OfAuthentication reports whether a name speaks of authentication, whose value may be
// user:password.
func (n *Name) OfAuthentication() bool { return n.has("auth") }

// SpeaksOfCipher reports whether a name speaks of encryption.
func (n *Name) SpeaksOfCipher() bool {
	for i := range n.count {
		if cipherWords[string(n.word(i))] {
			return true
		}
	}
	return false
}

var cipherWords = Set("aes aes128 aes192 aes256 des des3 tripledes cipher crypto crypt encrypt encryption decrypt decryption blowfish rc4 sm4 chacha hmac secret secretkey enc aeskey cryptokey")
