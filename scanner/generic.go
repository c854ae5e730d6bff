package scanner

import (
	"bytes"
	"strings"

	"github.com/keyward/keyward/scanner/extract"
	"github.com/keyward/keyward/scanner/score"
)

// finderOf returns the kind of key that a hand-made matcher finds.
func finderOf(name string) (score.Kind, bool) {
	k, ok := map[string]score.Kind{"key": score.Key, "password": score.Password, "provisioning": score.Provisioning, "url": score.URL, "header": score.Header, "material": score.Material}[name]
	return k, ok
}

const finderCount = int(score.Material) + 1

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
	if start > 0 && t[start-1] == '\\' && end-start > 6 && bytes.HasPrefix(t[start:end], []byte("u00")) { // \u0026name
		start += len("u0026")
	}
	if w.secretKind(start, end) {
		return
	}
	w.sibling(start, end)
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
	if end < len(w.text) && w.text[end] == ')' { // the last column of an INSERT
		w.column(start, end)
	}
	next := skipAny(w.text, end, "\"'`\\])")
	blank := next < len(w.text) && (w.text[next] == ' ' || w.text[next] == '\t')
	next = skipAny(w.text, next, " \t\r*")
	if next >= len(w.text) || !afterNames[w.text[next]] {
		if blank && !w.directive(start, end) && !w.codeFile {
			w.row(start, end)
		}
		return
	}
	w.structured(start, end)
	w.column(start, end)
	w.rawKey(start, end)
}

// afterNames are the bytes that may follow a name to which the structure gives a value.
var afterNames = func() (t [256]bool) {
	for _, c := range []byte(":=,;(|!+.?<>{[}\n/") {
		t[c] = true
	}
	return t
}()

// clause handles "identified" at pos: the password of SQL's IDENTIFIED BY.
func (w *work) clause(pos int) {
	t := w.text[pos:min(len(w.text), pos+80)]
	if i := bytes.IndexByte(t, '\n'); i >= 0 {
		t = t[:i]
	}
	i := extract.IndexFold(t, " by ")
	if i < 0 || bytes.IndexByte(t[:i], ';') >= 0 {
		return
	}
	if v, quoted := w.literal(pos+i+4, score.Clause); quoted && v.start < v.end {
		w.name.Read(w.text[pos : pos+i+3])
		w.judged(score.Password, score.Clause, v, true)
	}
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
		if closing && t[i-1] == ']' && start > 0 && t[start-1] == '[' && bytes.EqualFold(t[start:end], []byte("key")) {
			return span{}, 0, false // the place in a map: settings[key] = …
		}
		if c == ':' && start >= 3 && string(t[start-3:start]) == "://" {
			return span{}, 0, false // the user of a URL
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
		return v, how, quoted
	case c == '>' && start > 0 && t[start-1] == '<' || c == '>' && bytes.IndexByte(t[max(0, start-20):start], '<') >= 0:
		v, quoted = w.literal(j+1, score.Element)
		return v, score.Element, quoted
	case c == '(' || c == '{' && j == end && !closing || c == ',' && (closing && i == end+1 && extract.Whole(t, extract.Span{Start: start, End: end}) || start > 0 && (t[start-1] == ':' || t[start-1] == '(' || t[start-1] == '{') || allUpper(t[start:end])):
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
		return span{}, 0, false
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
