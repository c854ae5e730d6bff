package scanner

import (
	"bytes"
	"strings"

	"github.com/keyward/keyward/scanner/score"
)

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
	if n := bytes.Index(t[i:end], []byte(`\u00`)); how == score.Query && n > 0 { // \u0026: the next parameter
		end = i + n
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
