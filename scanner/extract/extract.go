// Package extract finds the values that the structure of a document gives to a name: in the
// field beside it, on a following line, as the default in an expression, as an argument of a
// command or a call, in a column below a header.
//
// These are tolerant scanners, not parsers: each looks at a bounded part of the text, in
// linear time, and accepts broken input. They allocate nothing apart from the caller's
// slice. They say only where a value stands; whether it is a credential, the rules and the
// score decide.
package extract

import (
	"bytes"

	"github.com/keyward/keyward/scanner/score"
)

// A Span is a part of a text, its end excluded.
type Span struct{ Start, End int }

// A Value is where a value stands, and how.
type Value struct {
	Span
	Form   score.Form
	Quoted bool
}

// Bounds on how far a structure is followed.
const (
	maxValue     = 4096 // bytes of one value
	maxContainer = 800  // bytes of an object, block or element around a name
	maxStatement = 400  // bytes of an expression
	maxFields    = 16   // fields of one object
)

// Assigned appends the values that the text gives to a name other than directly after it:
// in a field of the object that the name opens, on a following line, or as a default within
// the expression that is assigned.
func Assigned(dst []Value, t []byte, name Span) []Value {
	after := closeName(t, name.End)
	if v, ok := nested(t, name, after); ok {
		return append(dst, v)
	}
	if v, ok := nextLine(t, name, after); ok {
		return append(dst, v)
	}
	return fallback(dst, t, name, after)
}

// closeName skips what closes a name: quotes and brackets.
func closeName(t []byte, i int) int { return skip(t, i, "\"'`\\])") }

// skip returns the first position at or after i whose byte is not in set.
func skip(t []byte, i int, set string) int {
	for i < len(t) && contains(set, t[i]) {
		i++
	}
	return i
}

func contains(set string, c byte) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

const (
	blanks = " \t"
	spaces = " \t\r\n"
)

// back returns the first position at or before i so that the byte before it is not in set.
func back(t []byte, i int, set string) int {
	for i > 0 && contains(set, t[i-1]) {
		i--
	}
	return i
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

func isWord(c byte) bool { return score.IsAlnum(c) || c == '_' }

func isField(c byte) bool { return isWord(c) || c == '-' || c == '.' || c == ':' }

// wordBefore returns the word that ends at i.
func wordBefore(t []byte, i int) []byte {
	start := i
	for start > 0 && i-start < 64 && isWord(t[start-1]) {
		start--
	}
	return t[start:i]
}

// wordAt returns the word that begins at i.
func wordAt(t []byte, i int) []byte {
	end := i
	for end < len(t) && end-i < 64 && isWord(t[end]) {
		end++
	}
	return t[i:end]
}

// literal reads the quoted string that begins at i, and returns what stands between the
// quotes and where it ends. Prefixes of strings, such as b and @, are skipped.
func literal(t []byte, i int) (v Span, next int, ok bool) {
	if i+1 < len(t) && contains("bBrRuUfF@LNs", t[i]) && isQuote(t[i+1]) {
		i++
	}
	if i+1 < len(t) && t[i] == '\\' && isQuote(t[i+1]) {
		return escaped(t, i)
	}
	if i >= len(t) || !isQuote(t[i]) {
		return Span{}, i, false
	}
	q := t[i]
	start := i + 1
	if start+1 < len(t) && t[start] == q && t[start+1] == q { // """
		start += 2
	}
	for j := start; j < len(t) && j-start < maxValue; j++ {
		switch t[j] {
		case '\n':
			return Span{}, j, false
		case '\\':
			j++
		case q:
			return Span{start, j}, skip(t, j, string(q)), true
		}
	}
	return Span{}, start, false
}

// escaped reads a string whose quotes are escaped, as in JSON inside a string: \"…\".
func escaped(t []byte, i int) (v Span, next int, ok bool) {
	for j := i + 2; j+1 < len(t) && j-i < maxValue && t[j] != '\n'; j++ {
		if t[j] == '\\' && t[j+1] == t[i+1] {
			return Span{i + 2, j}, j + 2, true
		}
		if t[j] == '\\' {
			j++
		}
	}
	return Span{}, i + 2, false
}

// bare reads the unquoted value that begins at i: up to white space or what ends a value.
func bare(t []byte, i int) Span {
	end := i
	for end < len(t) && end-i < maxValue && t[end] > ' ' && !contains("\"'`<,;{}()[]", t[end]) {
		end++
	}
	return Span{i, end}
}

// element reads the text of an XML element that begins at i.
func element(t []byte, i int) (Value, bool) {
	i = skip(t, i, spaces)
	end := i
	for end < len(t) && end-i < maxValue && t[end] > ' ' && t[end] != '<' && t[end] != '>' {
		end++
	}
	closing := skip(t, end, spaces)
	if end == i || closing+1 >= len(t) || t[closing] != '<' || t[closing+1] != '/' {
		return Value{}, false
	}
	return Value{Span{i, end}, score.Element, false}, true
}

// value reads a value at i: a string, or a bare word.
func value(t []byte, i int, form score.Form) (Value, bool) {
	if v, _, ok := literal(t, i); ok {
		return Value{v, form, true}, v.End > v.Start
	}
	if i < len(t) && isQuote(t[i]) {
		return Value{}, false
	}
	v := bare(t, i)
	return Value{v, form, false}, v.End > v.Start
}

// LineStart returns where the line of position i begins, at most 1,000 bytes before it.
func LineStart(t []byte, i int) int {
	from := max(0, i-1000)
	return from + bytes.LastIndexByte(t[from:i], '\n') + 1
}

// lineEnd returns where the line of position i ends, at most most bytes after it.
func lineEnd(t []byte, i, most int) int {
	to := min(len(t), i+most)
	if n := bytes.IndexByte(t[i:to], '\n'); n >= 0 {
		return i + n
	}
	return to
}

// indent returns how far the line at start is indented; a dash of a list counts as a part
// of the indentation.
func indent(t []byte, start int) int {
	i := skip(t, start, blanks)
	if i+1 < len(t) && t[i] == '-' && t[i+1] == ' ' {
		i = skip(t, i+1, blanks)
	}
	return i - start
}

// lowerInto writes word in lower case into buf, without the signs in it, and returns it.
func lowerInto(buf []byte, word []byte) []byte {
	buf = buf[:0]
	for _, c := range word[:min(len(word), cap(buf))] {
		switch {
		case 'A' <= c && c <= 'Z':
			buf = append(buf, c|0x20)
		case score.IsAlnum(c):
			buf = append(buf, c)
		}
	}
	return buf
}

// in reports whether word is in set, its case and signs ignored.
func in(set map[string]bool, word []byte) bool {
	var buf [40]byte
	return len(word) > 0 && len(word) <= len(buf) && set[string(lowerInto(buf[:], word))]
}

// IndexFold returns the index of low, which is in lower case, in t, ignoring ASCII case, or -1.
func IndexFold(t []byte, low string) int {
	for i := 0; i+len(low) <= len(t); i++ {
		j := 0
		for j < len(low) && lowerByte(t[i+j]) == low[j] {
			j++
		}
		if j == len(low) {
			return i
		}
	}
	return -1
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
