package scanner

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/keyward/keyward/scanner/extract"
	"github.com/keyward/keyward/scanner/score"
)

// readable returns why v is a text that people read, "" if it is not.
func (w *work) readable(v []byte) string {
	prose, foreign := score.Prose(v)
	wordy := prose && score.Wordy(v)
	c := &w.judging
	switch {
	case w.kind == score.TranslationFile && (prose || c.Quoted && sentence(v) || mostlyLetters(v) && (bytes.IndexByte(v, ' ') > 0 || goesOn(c.After)) ||
		bytes.Count(v, []byte(`\u`)) > 1 || bytes.HasPrefix(v, []byte("crwdns"))): // of Crowdin's pseudo-language
		return "a translation"
	case !prose:
		return ""
	case foreign:
		return "words of a language"
	case !c.Quoted && wordy && w.firstOfSentence():
		return "the first word of a sentence"
	case w.name.EndsAsText():
		return "a text that people read, by its name"
	case c.Quoted && wordy && phraseKey(c.Before) && (bytes.IndexByte(v, ' ') > 0 || v[0] < utf8.RuneSelf && unicode.IsUpper(rune(v[0]))):
		return "a text beside a text, as in a table of translations"
	case !wordy:
		return ""
	case w.name.OfText():
		return "a text that people read, by its name"
	case score.Asks(v):
		return "a question or a part of a sentence"
	}
	return ""
}

// sentence reports whether v is words of a language with numbers among them, such as 2048 bits:
// at least half of what stands between spaces is letters only.
func sentence(v []byte) bool {
	words, plain, others := 0, 0, 0
	for word := range bytes.FieldsSeq(v) {
		letters, all := 0, 0
		for _, r := range string(word) {
			switch {
			case unicode.IsLetter(r) || unicode.Is(unicode.M, r):
				letters++
				if r >= utf8.RuneSelf && r != utf8.RuneError {
					others++
				}
			case unicode.IsPunct(r):
				continue
			}
			all++
		}
		if all > 0 {
			words++
		}
		if letters > 0 && letters == all {
			plain++
		}
	}
	return words > 1 && 2*plain >= words || 2*others > utf8.RuneCount(v)
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
	case !c.Quoted && (hexNumber(v) || quantity(v) || (c.Kind == score.Key || w.codeFile && goesOnInCode(c.After)) && score.ShapeOf(v).Alphabet == score.Digits && !w.numericKey(v)):
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
	case w.kind == score.DocumentFile && listed(c.Before) && (c.Form == score.Argument && identifier(v) || lettersOnly(v) && camelCase(v) && len(v) < 24):
		return "a name in a list of names"
	case c.Form == score.Query && w.name.Ends("nonce"), w.name.OfProtocolNonce():
		return "the nonce of one request"
	case w.codeFile && !c.Quoted && w.variable(v):
		return "a name of the program"
	case c.Quoted && strings.IndexByte(",;)", v[0]) >= 0:
		return "code between two texts"
	case digestLine(v) && (w.name.Has("digest") || w.name.Has("htpasswd")):
		return "a user and the hash of a password"
	case bytes.HasPrefix(v, []byte("//")) && w.name.Ends("otpauth"):
		return "a link, whose secret is judged by its own name"
	case w.searchKey():
		return "a search-only API key, which is public"
	case !c.Quoted && v[len(v)-1] == '.' && wordsOnly(v[:len(v)-1]) && len(bytes.TrimSpace(c.After)) == 0 && comment(c.Before):
		return "the end of a sentence"
	case c.Kind == score.Provisioning && len(w.name.Raw()) == len("join") && w.name.Ends("join") && bytes.Contains(c.Before, []byte(".join")):
		return "the result of joining texts"
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
	case w.publicKeyID(v):
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
		return "the id of an object, whose name is the next field"
	case w.signedMessage():
		return "the token of one signed message"
	case w.firstArgument():
		return "the first of several arguments of a call"
	}
	if why := nameOfThing(v); why != "" {
		return why
	}
	return w.encodedText(v)
}

// listed reports whether a value stands in backticks, and no operator before these.
func listed(before []byte) bool {
	rest, ok := bytes.CutSuffix(before, []byte("`"))
	rest = bytes.TrimRight(rest, " ")
	return ok && len(rest) > 0 && strings.IndexByte(":=", rest[len(rest)-1]) < 0
}

// goesOnInCode reports whether a comma or a semicolon follows a value.
func goesOnInCode(after []byte) bool {
	after = bytes.TrimSpace(after)
	return len(after) > 0 && strings.IndexByte(",;)", after[0]) >= 0
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
	if surelyRandom(v) {
		return false
	}
	if w.statement() {
		return true
	}
	if bytes.ContainsAny(v, "0123456789") && bytes.Equal(bytes.ToLower(v), v) { // s3cr3t
		return false
	}
	if identifier(v) && camelCase(v) {
		return true
	}
	c := &w.judging
	if comment(c.Before) {
		return false
	}
	name := w.name.Raw()
	member := bytes.IndexByte(name, '.') > 0
	return len(bytes.TrimSpace(c.After)) == 0 && member || goesOnInCode(c.After) && (member || 'A' <= name[0] && name[0] <= 'Z')
}

// statement reports whether the value that is judged is all of the right side of an
// assignment that ends in a semicolon: password = buffer1;
func (w *work) statement() bool {
	c := &w.judging
	left, ok := bytes.CutSuffix(bytes.TrimRight(c.Before, " \t"), []byte("="))
	return ok && c.Form == score.Assignment && bytes.HasPrefix(bytes.TrimSpace(c.After), []byte(";")) &&
		bytes.Equal(bytes.TrimSpace(left), w.name.Raw())
}

// comment reports whether a line begins as a comment does.
func comment(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	return score.BeginsComment(line) || bytes.HasPrefix(line, []byte("/*"))
}

// tuple reports whether the value is in the VALUES of an SQL statement, where the literal
// before it belongs to another column.
func (w *work) tuple() bool {
	before := w.text[max(0, w.judgedAt.start-800):w.judgedAt.start]
	if i := bytes.LastIndexByte(before, ';'); i >= 0 {
		before = before[i:]
	}
	return extract.IndexFold(before, "values") >= 0 && extract.IndexFold(before, "insert") >= 0
}

// ofPGP reports whether the text before a value speaks of a key of PGP.
func ofPGP(before []byte) bool {
	before = before[max(0, len(before)-60):]
	return extract.IndexFold(before, "gpg") >= 0 || extract.IndexFold(before, "pgp") >= 0 || extract.IndexFold(before, "rsa key") >= 0 || extract.IndexFold(before, "format_id(") >= 0
}

// signedWith reports whether the text before a value says that a commit or a tag is signed with
// the key that follows.
func signedWith(before []byte) bool {
	return bytes.HasSuffix(bytes.TrimRight(before, "'\"` "), []byte("with key")) &&
		(extract.IndexFold(before, "commit") >= 0 || extract.IndexFold(before, "tag") >= 0 || extract.IndexFold(before, "sign") >= 0)
}

// publicKeyID reports whether v is the id or the fingerprint of a public key: by its form, and
// by the text before it, the file or the name.
func (w *work) publicKeyID(v []byte) bool {
	c := &w.judging
	if len(v) != 16 && len(v) != 40 || !allHex(v) || c.Kind == score.Password {
		return false
	}
	switch {
	case !w.name.Secretive() && ofPGP(c.Before),
		w.name.Has("fingerprint") && !w.name.OfSecret():
		return true
	}
	return inCapitals(v) && (!w.name.Secretive() && ofPGPFile(w.blob.Path) || signedWith(c.Before))
}

// ofPGPFile reports whether a path speaks of OpenPGP.
func ofPGPFile(path string) bool {
	p := []byte(path)
	return extract.IndexFold(p, "openpgp") >= 0 || extract.IndexFold(p, "gnupg") >= 0 || extract.IndexFold(p, "gpg") >= 0
}

// inCapitals reports whether v has no small letter.
func inCapitals(v []byte) bool { return bytes.Equal(bytes.ToUpper(v), v) }

// memberOfElse reports whether the name before an argument is that of a claim in a class of
// keys: put(TokenClaims.SUBJECT, "…").
func (w *work) memberOfElse() bool {
	name := w.name.Raw()
	dot := bytes.LastIndexByte(name, '.')
	if dot <= 0 || dot+1 == len(name) || bytes.HasSuffix(bytes.TrimRight(w.judging.Before, "\"'` "), []byte("(")) {
		return false
	}
	if members[string(bytes.ToLower(name[dot+1:]))] {
		return true
	}
	// path.Join(p.RootKey, "…")
	return dot == 1 && name[0] >= 'a' && lettersOnly(name[2:]) && lettersOnly(w.judging.Value) && extract.IndexFold(w.judging.Before, "join(") >= 0
}

// members are claims and settings that are no keys, whatever the class is called.
var members = score.Set("sub subject iss issuer aud audience client_id username scope scopes jti type name id exp iat nbf")

// around returns the text around the value that is judged, its neighbours in an object.
func (w *work) around() []byte {
	return w.text[max(0, w.judgedAt.start-200):min(len(w.text), w.judgedAt.end+200)]
}

// objectID reports whether the value is a SecretID in an object that also has a SecretName:
// a reference to a secret, as in the API of Docker.
func (w *work) objectID() bool {
	name := w.name.Raw()
	if len(name) < 8 || score.IsUUID(w.judging.Value) || !bytes.EqualFold(bytes.Trim(name[len(name)-2:], "_-"), []byte("id")) || !hasPrefixFold(name, "secret") {
		return false
	}
	around := w.around()
	return extract.IndexFold(around, "secretname") >= 0 || extract.IndexFold(around, "secret_name") >= 0
}

// searchKey reports whether the value is the key of an application and an index of a search
// service, which web pages hold.
// https://www.algolia.com/doc/guides/security/api-keys/#search-only-api-key
func (w *work) searchKey() bool {
	around := w.around()
	v, name := w.judging.Value, w.name.Raw()
	return len(v) == 32 && allHex(v) && (bytes.EqualFold(name, []byte("apikey")) || bytes.EqualFold(name, []byte("searchapikey"))) &&
		hasKey(around, "appid") && hasKey(around, "indexname")
}

// signedMessage reports whether the value is the token beside the time and the signature of a
// message, as webhooks have it: it is good for one message.
// https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
func (w *work) signedMessage() bool {
	around := w.around()
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

// hasKey reports whether a text has a field of this name.
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
