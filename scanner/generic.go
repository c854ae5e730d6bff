package scanner

import (
	"bytes"
	"maps"
	"path"
	"strings"
	"sync"

	"github.com/keyward/keyward/scanner/extract"
	"github.com/keyward/keyward/scanner/score"
)

// finderOf returns the kind of key that a hand-made matcher finds.
func finderOf(name string) (score.Kind, bool) {
	k, ok := map[string]score.Kind{"key": score.Key, "password": score.Password, "provisioning": score.Provisioning, "url": score.URL, "header": score.Header, "material": score.Material}[name]
	return k, ok
}

const finderCount = int(score.Material) + 1

// A trigger is what a keyword means to the finders.
type trigger uint8

const (
	noTrigger        trigger = iota
	nameTrigger              // part of a name that may speak of a key
	endTrigger               // the last word of such a name, which other words have in them too
	urlTrigger               // ://
	headerTrigger            // Bearer, Basic or NTLM
	clauseTrigger            // IDENTIFIED BY
	commandTrigger           // a command that takes credentials
	callTrigger              // a function that takes credentials
	charArrayTrigger         // .toCharArray(
	directiveTrigger         // a word of configuration files
	sensitiveTrigger         // "sensitive" of a Terraform state
	jwkTrigger               // kty of a JSON Web Key
	tagTrigger               // the default in a tag of a Go struct
	gluedTrigger             // {PLAIN}: the password follows at once
	otpTrigger               // otpauth://
)

var triggers = map[string]trigger{
	"key": nameTrigger, "token": nameTrigger, "secret": nameTrigger, "passw": nameTrigger, "pass": nameTrigger,
	"pwd": nameTrigger, "passphrase": nameTrigger, "cred": nameTrigger, "auth": nameTrigger, "salt": nameTrigger,
	"nonce": nameTrigger, "seed": nameTrigger, "ticket": nameTrigger, "identified": clauseTrigger, "://": urlTrigger, "bearer": headerTrigger, "basic ": headerTrigger, "ntlm ": headerTrigger,
	"_pat": endTrigger, "-pat": endTrigger, "jwt": endTrigger, "psk": endTrigger, "join": endTrigger, "enrol": endTrigger, "licen": endTrigger, "_pin": endTrigger,
	"signing": endTrigger, "bootstrap": endTrigger, "hmac": endTrigger, "registration": endTrigger, "activation": endTrigger, "_login": endTrigger, "_user": endTrigger,
	"envdefault:": tagTrigger, "{plain}": gluedTrigger, "{cleartext}": gluedTrigger, "otpauth://": otpTrigger,
	".tochararray(": charArrayTrigger, "sensitive": sensitiveTrigger, "kty": jwkTrigger,
}

// allTriggers are the triggers, with the words of the tables of package extract.
var allTriggers = sync.OnceValue(func() map[string]trigger {
	out := maps.Clone(triggers)
	add := func(words []string, t trigger) {
		for _, w := range words {
			if len(w) < leastKeyword {
				w += " "
			}
			if out[w] == noTrigger {
				out[w] = t
			}
		}
	}
	for _, w := range extract.Commands() {
		if w == "http" || w == "https" {
			w += " " // not those of URLs
		}
		add([]string{w}, commandTrigger)
	}
	add(extract.Calls(), callTrigger)
	for _, w := range extract.Directives() {
		if !speaksOfKeys([]byte("_" + w)) { // else its name is found
			add([]string{w}, directiveTrigger)
		}
	}
	return out
})

// maxName is the longest name taken into account, maxValue the longest value.
const (
	maxName  = 80
	maxValue = 4096
)

// named handles a word such as "token" at pos: it finds the whole name and the
// value assigned to it, if any.
func (w *work) named(pos int) {
	if pos < w.nameEnd {
		return
	}
	t := w.text
	start, end := pos, pos
	for start > 0 && pos-start < maxName && isNameByte(t[start-1]) {
		start--
	}
	for end < len(t) && end-pos < maxName && isNameByte(t[end]) {
		end++
	}
	w.nameEnd = end
	if w.secretKind(start, end) || w.sibling(start, end) {
		return
	}
	w.called = false
	value, form, quoted := w.valueAfter(start, end)
	if value.start < value.end {
		w.name.Read(bytes.Trim(t[start:end], ".-$"))
		w.judged(w.kindOfName(), form, value, quoted)
		if quoted && !w.called && t[value.start] != '$' && t[value.start] != '\\' && form != score.Argument {
			return
		}
	}
	w.elsewhere(start, end)
}

// elsewhere looks for what the text gives to a name other than directly after it.
func (w *work) elsewhere(start, end int) {
	w.structured(start, end)
	w.column(start, end)
	w.rawKey(start, end)
	if next := skipAny(w.text, end, "\""); next < len(w.text) && (w.text[next] == ' ' || w.text[next] == '\t') {
		if !w.directive(start, end) && !w.codeFile {
			w.row(start, end)
		}
	}
}

// endsName handles a word such as "join" at pos, which speaks of a key only where it
// is the last of a name that a value is assigned to.
func (w *work) endsName(pos, n int) {
	t := w.text
	end := pos + n
	for end < len(t) && end-pos < 12 && score.IsAlnum(t[end]) {
		end++
	}
	next := skipAny(t, skipAny(t, end, "\"'`"), " \t")
	if next >= len(t) || t[next] != '=' && t[next] != ':' || pos > 0 && score.IsAlnum(t[pos-1]) && score.IsAlnum(t[pos]) && t[pos]|0x20 == t[pos] {
		return
	}
	var name score.Name
	name.Read(t[pos:end])
	switch {
	case name.SpeaksOfKey():
		w.named(pos)
	case name.OfUser():
		w.userAndPassword(pos, next)
	}
}

// clause handles "identified" at pos: the password of SQL's IDENTIFIED BY.
func (w *work) clause(pos int) {
	t := w.text[pos:min(len(w.text), pos+80)]
	if i := bytes.IndexByte(t, '\n'); i >= 0 {
		t = t[:i]
	}
	i := indexFold(t, " by ")
	if i < 0 || bytes.IndexByte(t[:i], ';') >= 0 {
		return
	}
	if v, quoted := w.literal(pos+i+4, score.Clause); quoted && v.start < v.end {
		w.name.Read(w.text[pos : pos+i+3])
		w.judged(score.Password, score.Clause, v, true)
	}
}

func indexFold(t []byte, low string) int {
	for i := 0; i+len(low) <= len(t); i++ {
		if hasPrefixFold(t[i:], low) {
			return i
		}
	}
	return -1
}

func isWordByte(c byte) bool { return score.IsAlnum(c) || c == '_' || c == '-' }

func isNameByte(c byte) bool { return isWordByte(c) || c == '.' || c == '$' }

// valueAfter finds the value assigned to the name at text[start:end].
func (w *work) valueAfter(start, end int) (v span, how score.Form, quoted bool) {
	t := w.text
	i := end
	isFlag := start >= 1 && t[start] == '-' || start >= 2 && t[start-1] == '-'
	i = skipAny(t, i, "\"'`\\])}*")
	i = skipEntity(t, i)
	closing := i > end
	j := skipAny(t, i, " \t")
	if j >= len(t) {
		return span{}, 0, false
	}
	switch c := t[j]; {
	case c == '=' || c == ':' || (c == '|' || c == '!') && j+1 < len(t) && (t[j+1] == '|' || t[j+1] == '=') || (c == '?' || c == '.' || c == '+') && j+1 < len(t) && t[j+1] == '=' || c == '<' && j+1 < len(t) && t[j+1] == '-':
		if c == '?' || c == '.' || c == '+' || c == '<' {
			j++
		}
		if c == ':' && start >= 2 && t[start-1] == '{' && t[start-2] == '$' && j+1 < len(t) && strings.IndexByte("-=+?", t[j+1]) >= 0 {
			return span{}, 0, false // ${NAME:-default}
		}
		if c == ':' {
			if k := afterType(t, j+1); k > 0 {
				j = k
			}
		}
		how = score.Assignment
		if c == '=' && start > 0 && (t[start-1] == '?' || t[start-1] == '&' || t[start-1] == ';') {
			how = score.Query
		}
		v, quoted = w.literal(skipAny(t, j, "=:|>~!*-"[:7+btoi(c == '<')]), how)
		if v.start == v.end {
			return w.nextLine(j, start)
		}
		return v, how, quoted
	case c == '>' && start > 0 && t[start-1] == '<' || c == '>' && bytes.IndexByte(t[max(0, start-20):start], '<') >= 0:
		v, quoted = w.literal(j+1, score.Element)
		return v, score.Element, quoted
	case c == '(' || c == '{' && j == end && !closing || c == ',' && (closing || start > 0 && (t[start-1] == ':' || t[start-1] == '(' || t[start-1] == '{') || allUpper(t[start:end])):
		v, quoted = w.literal(j+1, score.Argument)
		return v, score.Argument, quoted
	case (c == '"' || c == '\'') && j > i && !closing:
		v, quoted = w.literal(j, score.Argument)
		return v, score.Argument, quoted
	case j > i && !closing && afterType(t, j) > 0: // var token string = …
		v, quoted = w.literal(afterType(t, j)+1, score.Assignment)
		return v, score.Assignment, quoted
	case closing && hasPrefixFold(t[j:], "value"):
		k := skipAny(t, j+5, " \t=:")
		v, quoted = w.literal(k, score.Pair)
		return v, score.Pair, quoted
	case isFlag && j > end:
		v, quoted = w.literal(j, score.Flag)
		return v, score.Flag, quoted
	case c == '\n' || c == '\r' || c == ',':
		return w.nextLine(j, start)
	case j > i && !closing: // the token 4d3f…, in a text
		k := j
		for k < len(t) && k-j < maxValue && isWordByte(t[k]) {
			k++
		}
		if surelyRandom(t[j:k]) && !hasPrefixFold(t[start:], "ticket") { // whose number follows
			return span{j, k}, score.Sentence, false
		}
	}
	return span{}, 0, false
}

// allUpper reports whether a name is that of a constant: CURLOPT_USERPWD.
func allUpper(name []byte) bool {
	for _, c := range name {
		if 'a' <= c && c <= 'z' {
			return false
		}
	}
	return len(name) > 3
}

// skipEntity skips a quote that is written as an HTML entity.
func skipEntity(t []byte, i int) int {
	for _, e := range []string{"&quot;", "&#34;", "&#39;", "&apos;"} {
		if i < len(t) && t[i] == '&' && hasPrefixFold(t[i:], e) {
			return i + len(e)
		}
	}
	return i
}

// afterType skips a type between a name and its value, as in
// "token: string = …", and returns where the operator stands, or 0.
func afterType(t []byte, i int) int {
	j := skipAny(t, i, " \t")
	if j+3 < len(t) && (t[j]|0x20) == 'a' && (t[j+1]|0x20) == 's' && t[j+2] == ' ' { // Visual Basic
		j = skipAny(t, j+2, " \t")
	}
	k := j
	for k < len(t) && k-j < 40 && (isNameByte(t[k]) || bytes.IndexByte([]byte("[]<>?&'"), t[k]) >= 0) {
		k++
	}
	if k == j {
		return 0
	}
	o := skipAny(t, k, " \t")
	if o > k && o+1 < len(t) && t[o] == '=' && t[o+1] != '=' { // without a space it is the padding of base64
		return o
	}
	return 0
}

// nextLine handles "name: TOKEN" followed by "value: …", as Kubernetes and
// many lists of settings have it. The name stood at the end of its line.
func (w *work) nextLine(i, nameStart int) (span, score.Form, bool) {
	t := w.text
	before := t[max(0, nameStart-12):nameStart]
	if !bytes.Contains(before, []byte("name")) && !bytes.Contains(before, []byte("key")) && !bytes.Contains(before, []byte("Name")) {
		return span{}, 0, false
	}
	j := skipAny(t, i, " \t\r\n,\"'{")
	if j-i > 120 || !hasPrefixFold(t[j:], "value") {
		return span{}, 0, false
	}
	w.stay() // the value is on another line
	j = skipAny(t, j+5, "\"' \t")
	if j >= len(t) || t[j] != ':' && t[j] != '=' {
		return span{}, 0, false
	}
	v, quoted := w.literal(j+1, score.Pair)
	return v, score.Pair, quoted
}

func skipAny(t []byte, i int, set string) int {
	for i < len(t) && strings.IndexByte(set, t[i]) >= 0 {
		i++
	}
	return i
}

// literal reads the value that begins at or after i on the same line: what is
// between quotes, or an unquoted word where the file's language has such.
func (w *work) literal(i int, how score.Form) (v span, quoted bool) {
	t := w.text
	i = skipAny(t, i, " \t")
	i = skipPrefix(t, i)
	if i < len(t) && (t[i] == 'q' || t[i] == '%') {
		if v, ok := operatorQuoted(t, i); ok {
			return v, true
		}
	}
	from := i
	i = skipAny(t, i, "([{ \t")
	opened := bytes.IndexByte(t[from:i], '{') >= 0
	if w.codeFile {
		call := i
		i = skipCall(t, i)
		w.called = i > call
	}
	if i >= len(t) {
		return span{}, false
	}
	if j := skipEntity(t, i); j > i {
		if k := bytes.IndexByte(t[j:min(len(t), j+maxValue)], '&'); k >= 0 && bytes.IndexByte(t[j:j+k], '\n') < 0 {
			return span{j, j + k}, true
		}
		return span{}, false
	}
	escaped := t[i] == '\\' && i+1 < len(t) && (t[i+1] == '"' || t[i+1] == '\'')
	if escaped {
		i++
	}
	if q := t[i]; q == '"' || q == '\'' || q == '`' {
		for i+1 < len(t) && t[i+1] == q { // """
			i++
		}
		v := w.untilQuote(i+1, q, escaped)
		if next := skipAny(t, v.end+1, " \t"); opened && v.end > 0 && next < len(t) && t[next] == ':' {
			return span{}, false // the name of a field
		}
		return v, true
	}
	if how == score.Argument {
		return span{}, false
	}
	end := i
	for end < len(t) && end-i < maxValue && !endsWord(t[end], how) {
		end++
	}
	if w.codeFile && !w.inString(i) && !surelyRandom(t[i:end]) && !bare(t[i:end], how) {
		return span{}, false // a variable, not a value
	}
	return span{i, end}, false
}

// bare reports whether an unquoted word in code may be a value: of a configuration in a
// comment, or in a string of several lines. Calls, members and numbers are none.
func bare(v []byte, how score.Form) bool {
	if how != score.Assignment || len(v) < 4 || len(v) > 100 {
		return false
	}
	digits := 0
	for _, c := range v {
		if c == '(' || c == '.' || c == '[' || c == '{' || c == '&' || c == '*' || c == '<' || c == ':' {
			return false
		}
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	return digits > 0 && digits < len(v) || digits == 0 && score.Read(v).Readable < 0.7 // a word is a name here
}

// skipCall skips the beginning of a call or composite around a literal, as in
// String("…"), []byte("…"), Base64.decode("…").
func skipCall(t []byte, i int) int {
	start := i
	for range 2 { // new SecretKey(decode("…"))
		j := i
		for j < len(t) && j-i < 60 && (isNameByte(t[j]) || t[j] == '[' || t[j] == ']' || t[j] == '&' || t[j] == '*' || t[j] == ':') {
			j++
		}
		if j == i || j >= len(t) || t[j] != '(' && t[j] != '{' {
			return start
		}
		k := skipAny(t, j, "({ \t")
		if k >= len(t) {
			return start
		}
		if t[k] == '"' || t[k] == '\'' || t[k] == '`' {
			return k
		}
		i = k
	}
	return start
}

// skipPrefix skips what some languages write before a literal: b"…", r"…",
// u'…', @"…", Bearer.
func skipPrefix(t []byte, i int) int {
	if i+1 < len(t) && strings.IndexByte("bBrRuUfF@LN$", t[i]) >= 0 && (t[i+1] == '"' || t[i+1] == '\'') {
		return i + 1
	}
	if i+2 < len(t) && t[i] == '<' && t[i+1] == '<' && t[i+2] == '"' { // a binary of Erlang
		return i + 2
	}
	return i
}

// operatorQuotes are how Perl and Ruby open a string without quotes, and what ends it.
var operatorQuotes = [...][2]string{{"q{", "}"}, {"qq{", "}"}, {"q(", ")"}, {"qq(", ")"}, {"q[", "]"}, {"q|", "|"}, {"q/", "/"}, {"%q{", "}"}, {"%q(", ")"}, {"%Q{", "}"}, {"%Q(", ")"}}

// operatorQuoted reads a string such as q{…} at i.
func operatorQuoted(t []byte, i int) (span, bool) {
	for _, q := range operatorQuotes {
		if !bytes.HasPrefix(t[i:], []byte(q[0])) {
			continue
		}
		from := i + len(q[0])
		to := bytes.IndexByte(t[from:min(len(t), from+maxValue)], q[1][0])
		if to > 0 && bytes.IndexByte(t[from:from+to], '\n') < 0 {
			return span{from, from + to}, true
		}
	}
	return span{}, false
}

// surelyRandom reports whether v can not be a name in code, but may stand in a
// string of several lines: a template, a configuration in a test.
func surelyRandom(v []byte) bool {
	s := score.ShapeOf(v)
	hex := s.Alphabet == score.HexLower || s.Alphabet == score.HexUpper // whose letters are usual ones
	return len(v) >= 20 && s.Digit >= 3 && s.Alphabet < score.AnyPrintable && score.EntropyShare(v, s.Alphabet) > 0.9 && (hex || score.WordLikeness(v) < 5)
}

func endsWord(c byte, how score.Form) bool {
	if c <= ' ' || c == '"' || c == '\'' || c == '`' || c == '<' {
		return true
	}
	return (how == score.Assignment || how == score.Pair || how == score.Query) && (c == ',' || c == ';' || c == '}' || c == ')' || c == '&')
}

// untilQuote returns the text from i to the quote q on the same line.
func (w *work) untilQuote(i int, q byte, escaped bool) span {
	t := w.text
	for j := i; j < len(t) && j-i < maxValue; j++ {
		switch {
		case t[j] == '\n':
			return span{}
		case t[j] == '\\' && escaped:
			return span{i, j}
		case t[j] == '\\':
			j++
		case t[j] == q:
			return span{i, j}
		}
	}
	return span{}
}

// inString reports whether position i stands between quotes on its line.
func (w *work) inString(i int) bool {
	from := max(0, i-400)
	if j := bytes.LastIndexByte(w.text[from:i], '\n'); j >= 0 {
		from += j + 1
	}
	line := w.text[from:i]
	return bytes.Count(line, []byte(`"`))%2 == 1 || bytes.Count(line, []byte("'"))%2 == 1 || bytes.Count(line, []byte("`"))%2 == 1
}

// url handles "://" at pos: the password of scheme://user:password@host.
func (w *work) url(pos int) {
	t := w.text
	i := pos + 3
	colon := -1
	for ; i < len(t) && i-pos < 600; i++ {
		switch c := t[i]; {
		case c == ':' && colon < 0:
			colon = i
		case c == '@':
			if colon >= 0 && i > colon+1 {
				w.name.Read(lastWord(bytes.ToLower(t[max(0, pos-12):pos])))
				w.judged(score.URL, score.Userinfo, span{colon + 1, i}, false)
			}
			return
		case c <= ' ' || c == '/' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>' || c == '\\' || c == '?' || c == '#' && colon < 0:
			return
		}
	}
}

func lastWord(b []byte) []byte {
	i := len(b)
	for i > 0 && isWordByte(b[i-1]) || i > 0 && b[i-1] == '+' {
		i--
	}
	return b[i:]
}

// header handles "Bearer" or "Basic" at pos: the credential after it.
func (w *work) header(pos int) {
	t := w.text
	i := pos
	for i < len(t) && score.IsAlnum(t[i]) {
		i++
	}
	word := t[pos:i]
	j := skipAny(t, i, " \t")
	if j < len(t) && (t[j] == '=' || t[j] == ':') { // DATAHUB_BEARER=…
		w.named(pos)
		return
	}
	if j == i || pos > 0 && isWordByte(t[pos-1]) {
		return
	}
	end, letters := j, true
	for end < len(t) && end-j < maxValue && (isWordByte(t[end]) || strings.IndexByte("+/=.~%", t[end]) >= 0) {
		letters = letters && !('0' <= t[end] && t[end] <= '9')
		end++
	}
	if letters && end-j < 12 { // basic authentication, the bearer of this letter
		return
	}
	w.name.Read(word)
	w.judged(score.Header, score.Scheme, span{j, end}, false)
}

// codeExtensions are the files in which an unquoted value is an expression.
var codeExtensions = score.Set(".go .py .pyi .js .jsx .ts .tsx .mjs .cjs .java .kt .kts .scala .cs .vb .rb .erb .php .rs .swift .c .h .cc .cpp .hpp .m .mm .lua .pl .pm .dart .groovy .gradle .ex .exs .erl .hs .clj .r .jl .sql .proto .graphql .vue .svelte .zig .nim .ps1 .psm1 .tf .hcl .bicep .css .scss .html .htm .cshtml .jsp .elm .fs .coffee .sol")

func isCode(p string) bool { return codeExtensions[strings.ToLower(path.Ext(p))] }

// testWords in a path say that its keys are for tests or for show.
var testWords = score.Set("test tests testing testdata spec specs fixture fixtures mock mocks example examples sample samples demo demos doc docs documentation tutorial tutorials e2e stub stubs fake fakes cassettes vcr")

// inTest reports whether a path is a test, an example or documentation.
func inTest(p string) bool {
	var buf [32]byte
	word := buf[:0]
	long := false
	for i := 0; i <= len(p); i++ {
		if i < len(p) && strings.IndexByte("/.-_", p[i]) < 0 {
			if long = long || len(word) == cap(word); !long {
				word = append(word, p[i]|(0x20&-byte(btoi('A' <= p[i] && p[i] <= 'Z'))))
			}
			continue
		}
		if !long && (testWords[string(word)] || i == len(p) && documentWords[string(word)]) {
			return true
		}
		word, long = buf[:0], false
	}
	return false
}

// documentWords are the extensions of documentation.
var documentWords = score.Set("md rst adoc")
