package scanner

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner/extract"
	"github.com/keyward/keyward/scanner/score"
)

// What the structure of a document gives to a name is found by package extract; here it is
// judged like any other candidate.

// structured judges the values that the text gives to the name at t[start:end] other than
// directly after it.
func (w *work) structured(start, end int) {
	w.values = extract.Assigned(w.values[:0], w.text, extract.Span{Start: start, End: end})
	w.judgeValues(start, end)
}

// sibling judges the value in the field beside one that holds the name.
func (w *work) sibling(start, end int) {
	if v, ok := extract.Sibling(w.text, extract.Span{Start: start, End: end}); ok {
		w.values = append(w.values[:0], v)
		w.judgeValues(start, end)
	}
}

// column judges the cells below a name in the header of a table.
func (w *work) column(start, end int) {
	if start < w.table.end && extract.LineStart(w.text, start) != w.table.start {
		return // a row of the table before
	}
	if w.columns > mostColumns+len(w.text)/1000 {
		w.crowded = true
		return
	}
	var rows int
	w.values, rows = extract.Column(w.values[:0], w.text, extract.Span{Start: start, End: end})
	if rows == 0 {
		return
	}
	w.columns++
	w.values = slices.DeleteFunc(w.values, func(v extract.Value) bool { // names of things, mostly
		return !bytes.ContainsAny(w.text[v.Start:v.End], "0123456789")
	})
	if n := len(w.values); n > 0 {
		w.table = span{extract.LineStart(w.text, start), max(w.table.end, w.values[n-1].End)}
	}
	w.judgeValues(start, end)
}

// mostColumns is how many headers of columns are followed in a text, besides one for each
// 1,000 bytes.
const mostColumns = 1000

// mostDocuments is the same for Secrets of Kubernetes and resources of Terraform, besides one
// for each 4,000 bytes.
const mostDocuments = 100

// judgeValues judges the values of one name.
func (w *work) judgeValues(start, end int) {
	if len(w.values) == 0 {
		return
	}
	w.stay() // they may stand on other lines
	w.called = false
	w.name.Read(bytes.Trim(w.text[start:end], ".-$"))
	for _, v := range w.values {
		if score.ShapeOf(w.text[v.Start:v.End]).Alphabet == score.Digits && !w.numericKey(w.text[v.Start:v.End]) {
			continue // a number
		}
		if w.codeFile && !v.Quoted && v.Form == score.Assignment && !surelyRandom(w.text[v.Start:v.End]) {
			continue // a variable, not a value
		}
		w.judged(w.kindOfName(), v.Form, span{v.Start, v.End}, v.Quoted)
	}
}

// kindOfName is the kind of the name that was read, as far as there is a rule for it.
func (w *work) kindOfName() score.Kind {
	kind := w.name.Kind()
	if w.s.finders[kind] == nil {
		return score.Key
	}
	return kind
}

// arguments judges the credentials that a command, a call or a directive is given.
func (w *work) arguments() {
	w.placed, w.called = true, false
	defer func() { w.placed = false }()
	for _, a := range w.args {
		w.stay()
		if a.Setting && !speaksOfKeys(w.text[a.Name.Start:a.Name.End]) {
			continue // -e NAME=VALUE: the name says what it is
		}
		switch name := w.text[a.Name.Start:a.Name.End]; {
		case speaksOfKeys(name):
			w.name.Read(bytes.Trim(name, ".-$="))
		case a.Token:
			w.name.Read(tokenName)
		default:
			w.name.Read(passwordName)
		}
		w.judged(w.kindOfName(), a.Form, span{a.Start, a.End}, a.Quoted)
	}
}

var passwordName, tokenName = []byte("password"), []byte("token")

// speaksOfKeys reports whether a name has one of the words in it that names of keys have.
func speaksOfKeys(name []byte) bool {
	for _, word := range [...]string{"pass", "pwd", "token", "secret", "key", "auth", "cred"} {
		if len(name) > len(word) && extract.IndexFold(name, word) >= 0 {
			return true
		}
	}
	return false
}

// command handles the name of a command at pos.
func (w *work) command(pos, n int) {
	for n > 0 && w.text[pos+n-1] == ' ' {
		n--
	}
	w.args = extract.Command(w.args[:0], w.text, pos, n)
	w.arguments()
}

// call handles the name of a function at pos.
func (w *work) call(pos, n int) {
	w.args = extract.Call(w.args[:0], w.text, pos, n)
	w.arguments()
}

// charArray handles .toCharArray( at pos.
func (w *work) charArray(pos int) {
	w.args = extract.CharArray(w.args[:0], w.text, pos)
	w.arguments()
}

// directive handles a word of a configuration file, and reports whether a value follows.
func (w *work) directive(start, end int) bool {
	w.args = slices.DeleteFunc(extract.Directive(w.args[:0], w.text, start, end), func(a extract.Arg) bool {
		return !bytes.ContainsAny(w.text[a.Start:a.End], "0123456789") // a word of a sentence, mostly
	})
	w.arguments()
	return len(w.args) > 0
}

// row judges the one word that follows a name at the beginning of a line.
func (w *work) row(start, end int) {
	v, ok := extract.Row(w.text, extract.Span{Start: start, End: end})
	if !ok || v.End-v.Start < 8 || !bytes.ContainsAny(w.text[v.Start:v.End], "0123456789") {
		return
	}
	w.values = append(w.values[:0], v)
	w.judgeValues(start, end)
}

// rawKey handles a list of numbers that is assigned to a name of a key.
func (w *work) rawKey(start, end int) {
	key, where, ok := extract.Bytes(w.raw[:0], w.text, end)
	w.raw = key
	if !ok || !extract.Random(key) {
		return
	}
	w.name.Read(bytes.Trim(w.text[start:end], ".-$"))
	if !w.name.OfCipher() {
		return
	}
	w.certain(score.Key, span{where.Start, where.End})
}

// certain keeps a candidate whose structure says enough, without a score.
func (w *work) certain(kind score.Kind, at span) {
	rule := w.s.finders[kind]
	if rule == nil {
		return
	}
	w.stay()
	if why := w.excepted(rule, at, at); why != "" {
		w.drop(rule, at, why)
		return
	}
	p := structureConfidence
	if w.readPath(); w.inTest {
		p = testConfidence
	}
	w.keep(hit{rule: rule, span: at, score: p})
}

// jwk handles the "kty" of a JSON Web Key.
func (w *work) jwk(start, end int) {
	v, ok := extract.JWK(w.text, start, end)
	if !ok {
		w.stay() // the members may stand on other lines
		return
	}
	if value := w.text[v.Start:v.End]; !score.Placeholder(value) && score.Shannon(value) > 3.4 {
		w.certain(score.Material, span{v.Start, v.End})
	}
}

// structureConfidence is how sure a value is a key that its structure shows, testConfidence
// the same in a test, where it is mostly the example of a standard.
const (
	structureConfidence = 0.85
	testConfidence      = 0.55
)

// secretKind handles "Secret" where it is the kind of a Kubernetes document, and a type of
// Terraform's state that makes passwords. It reports whether the name was that.
func (w *work) secretKind(start, end int) bool {
	name := extract.Span{Start: start, End: end}
	switch string(w.text[start:end]) {
	case "Secret":
		if start < w.document { // of a document that was read
			return false
		}
		if w.documents > mostDocuments+len(w.text)/4000 {
			w.crowded = w.crowded || extract.IsKind(w.text, name)
			return false
		}
		var document int
		if w.settings, document = extract.KubeSecret(w.settings[:0], w.text, name); document > end {
			w.document = document
			w.documents++
		}
		for _, s := range w.settings {
			w.stay()
			w.setting(s)
		}
		return len(w.settings) > 0
	case "chpasswd":
		w.values = extract.Users(w.values[:0], w.text, name)
		w.judgeValues(start, end)
		return len(w.values) > 0
	case "random_password":
		if w.documents++; w.documents > mostDocuments+len(w.text)/4000 {
			w.crowded = true
			return false
		}
		w.values = extract.StateSecret(w.values[:0], w.text, name)
		w.judgeValues(start, end)
		return len(w.values) > 0
	}
	return false
}

// setting judges an entry of a Kubernetes Secret.
func (w *work) setting(s extract.Setting) {
	name := bytes.Trim(w.text[s.Name.Start:s.Name.End], ".-$")
	if notSecret[strings.ToLower(string(name))] {
		return
	}
	if !speaksOfKeys(name) {
		name = secretName
	}
	at := span{s.Value.Start, s.Value.End}
	if !s.Encoded {
		w.name.Read(name)
		w.judged(w.kindOfName(), s.Value.Form, at, s.Value.Quoted)
		return
	}
	if w.layer != nil {
		return // encoded in what is encoded: decode finds it
	}
	decoded, err := base64.StdEncoding.DecodeString(string(w.text[at.start:at.end]))
	if err != nil || printableShare(decoded) < 1 || len(decoded) > maxValue || bytes.IndexByte(bytes.TrimSpace(decoded), '\n') >= 0 {
		return
	}
	// The text that is judged is the line as it would be without the encoding.
	line := append(append(append([]byte{}, name...), ": "...), decoded...)
	l := &layer{name: "base64", text: line, outer: at, depth: 1}
	text, code, nameEnd := w.text, w.codeFile, w.nameEnd
	w.text, w.layer, w.codeFile = line, l, false
	w.name.Read(name)
	value := bytes.TrimSpace(line[len(name)+2:])
	w.judged(w.kindOfName(), score.Assignment, span{len(name) + 2, len(name) + 2 + len(value)}, false)
	w.text, w.layer, w.codeFile, w.nameEnd = text, nil, code, nameEnd
}

var secretName = []byte("secret")

// notSecret are entries of Secrets that everybody may know.
var notSecret = score.Set("username user login host hostname port database dbname db name namespace ca.crt tls.crt cert.pem crt region bucket endpoint scheme driver url uri type email tenant client_id clientid")

// sensitive handles "sensitive" in a Terraform state.
func (w *work) sensitive(pos, n int) {
	name, v, ok := extract.Sensitive(w.text, pos+n)
	if !ok {
		return
	}
	w.stay()
	if raw := w.text[name.Start:name.End]; speaksOfKeys(raw) {
		w.name.Read(raw)
	} else {
		w.name.Read(secretName)
	}
	w.judged(w.kindOfName(), v.Form, span{v.Start, v.End}, v.Quoted)
}

// listing judges the lines of a file that is known by its name to hold credentials.
func (w *work) listing() {
	w.values = extract.Listing(w.values[:0], w.text, w.blob.Path)
	if len(w.values) == 0 {
		return
	}
	for i := range w.pieces {
		w.pieces[i].live = true
	}
	w.placed, w.called = true, false
	defer func() { w.placed = false }()
	w.name.Read(passwordName)
	for _, v := range w.values {
		w.judged(w.kindOfName(), v.Form, span{v.Start, v.End}, v.Quoted)
	}
}

// numericKey reports whether v is the digits of a key that a program takes as bytes: as long
// as the keys of a cipher are, under a name that speaks of a cipher.
func (w *work) numericKey(v []byte) bool {
	if len(v) != 16 && len(v) != 24 && len(v) != 32 {
		return false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return w.name.OfCipher() && w.name.SpeaksOfCipher() && !score.Placeholder(v)
}

// userAndPassword judges the password in NAME_LOGIN=user:password, whose operator stands at
// i.
func (w *work) userAndPassword(pos, i int) {
	v, quoted := w.literal(skipAny(w.text, i, "=: \t"), score.Assignment)
	colon := bytes.IndexByte(w.text[v.start:max(v.start, v.end)], ':')
	if colon <= 0 || bytes.IndexByte(w.text[v.start:v.end], '/') >= 0 {
		return
	}
	w.name.Read(passwordName)
	w.judged(w.kindOfName(), score.Assignment, span{v.start + colon + 1, v.end}, quoted)
}

// tag handles the default in a tag of a Go struct: envDefault:"…".
func (w *work) tag(pos, n int) {
	v, quoted := w.literal(pos+n, score.Argument)
	if !quoted || v.start >= v.end {
		return
	}
	line := w.text[:pos]
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	field, _, _ := bytes.Cut(bytes.TrimSpace(line[max(0, len(line)-200):]), []byte(" "))
	if w.name.Read(field); w.name.SpeaksOfKey() {
		w.judged(w.kindOfName(), score.Assignment, v, true)
	}
}

// glued handles a mark that a password follows at once: {PLAIN}VALUE.
func (w *work) glued(pos, n int) {
	start := pos + n
	end := start
	for end < len(w.text) && end-start < maxValue && w.text[end] > ' ' && bytes.IndexByte([]byte(":\"',<{"), w.text[end]) < 0 {
		end++
	}
	if end > start {
		w.name.Read(passwordName)
		w.placed = true
		w.judged(w.kindOfName(), score.Assignment, span{start, end}, false)
		w.placed = false
	}
}

// otp handles the seed in an otpauth:// URL.
// https://github.com/google/google-authenticator/wiki/Key-Uri-Format
func (w *work) otp(pos int) {
	url := w.text[pos:min(len(w.text), pos+600)]
	if end := bytes.IndexAny(url, " \t\r\n\"'`<>"); end >= 0 {
		url = url[:end]
	}
	i := bytes.Index(url, []byte("secret="))
	if i < 0 {
		return
	}
	start := i + len("secret=")
	end := start
	for end < len(url) && (score.IsAlnum(url[end])) {
		end++
	}
	seed := url[start:end]
	if s := score.ShapeOf(seed); len(seed) < 16 || s.Digit == 0 || score.Placeholder(seed) || score.EntropyShare(seed, s.Alphabet) < 0.8 {
		return
	}
	w.certain(score.Key, span{pos + start, pos + end})
}
