package scanner

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"

	"github.com/keyward/keyward/scanner/extract"
	"github.com/keyward/keyward/scanner/score"
)

// encodedText returns why the text that the base64 v encodes is not a credential: a PEM block,
// which is judged as such, a placeholder, a sentence, what was encrypted, or Basic
// authentication without a password.
func (w *work) encodedText(v []byte) string {
	before := w.judging.Before
	basic := w.judging.Kind == score.Header || hasPrefixFold(before[max(0, len(before)-len(basicScheme)):], basicScheme)
	if hasPrefixFold(v, basicScheme) {
		basic, v = true, v[len(basicScheme):]
	}
	if basic && len(v) < 8 {
		return "a word after Basic"
	}
	if digits := v[bytes.LastIndexByte(v, ':')+1:]; len(digits) > 32 && allHex(digits) && hexSentence(digits) {
		return "a sentence, encoded"
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
	switch user, password, pair := bytes.Cut(text, []byte(":")); {
	case pair && exampleWord(password) && (bytes.Equal(user, password) || exampleWord(user)):
		return "a placeholder, encoded"
	case bytes.HasPrefix(text, []byte("-----BEGIN")):
		return "a PEM block, which is judged decoded"
	case len(text) < 4 || printableShare(text) < 1:
		return ""
	case score.Placeholder(text) || w.speaksOfItself(text) || toBeChanged(text):
		return "a placeholder, encoded"
	case passwordLine(text):
		return "a user and the hash of a password, encoded"
	case text[0] == '{' && (bytes.Contains(text, []byte(`"iv"`)) || bytes.Contains(text, []byte(`"aead"`)) || bytes.Contains(text, []byte(`"ciphertext"`))):
		return "encrypted"
	case !basic && w.judging.Kind != score.Password && constantWord(text):
		return "a word, encoded"
	case !basic && bytes.Count(text, []byte(" ")) > 2 && bytes.IndexByte(text, ':') < 0 && mostlyLetters(text):
		return "a sentence, encoded"
	}
	if basic && (bytes.EqualFold(w.name.Raw(), []byte("basic")) || w.judging.Kind != score.Header) {
		return basicWithout(text)
	}
	return ""
}

const basicScheme = "basic "

// maxEncoded is the longest base64 that is decoded to see whether it is a credential.
const maxEncoded = 2048

// speaksOfItself reports whether a text is words that say that it is a credential, such as
// this_is_the_secret. With a number behind it may be somebody's password, but for tests and
// documents.
func (w *work) speaksOfItself(text []byte) bool {
	words := bytes.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, text)
	digits := len(text) - len(words)
	numbered := len(text) > 0 && '0' <= text[len(text)-1] && text[len(text)-1] <= '9'
	if digits > 3 || numbered && !w.inTest && w.kind != score.DocumentFile || bytes.IndexByte(words, ':') >= 0 || !wordsOnly(words) {
		return false
	}
	var name score.Name
	name.Read(words)
	return name.SpeaksOfKey()
}

// hexSentence reports whether hexadecimal digits are those of a sentence.
func hexSentence(digits []byte) bool {
	text, err := hex.DecodeString(string(digits))
	return err == nil && printableShare(text) == 1 && bytes.Count(text, []byte(" ")) > 2 && mostlyLetters(text)
}

// toBeChanged reports whether a text asks to be replaced: pleaseChangeThisSecret.
func toBeChanged(text []byte) bool {
	for _, words := range [...]string{"changeme", "changethis", "change_me", "change-me", "change_this", "change-this", "replaceme", "replace_me", "replace-me"} {
		if extract.IndexFold(text, words) >= 0 {
			return true
		}
	}
	return false
}

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

// exampleWord reports whether a text is what examples call a user or a password: where both
// are, nobody's account is meant.
func exampleWord(text []byte) bool { return exampleWords[string(bytes.ToLower(text))] }

var exampleWords = score.Set("user username userid login password passwd pass secret example client clientid client_id clientsecret client_secret " +
	"foo bar baz any-user any-password some-user some-password someuser somepassword test_user test_password testuser testpassword")
