package score

import "bytes"

// A Family is a group of features that look at one thing.
type Family string

// The families.
const (
	OfValue Family = "value"
	OfName  Family = "name"
	OfLine  Family = "line"
)

// A Feature is one number that a look at a candidate gives.
type Feature struct {
	Family Family
	Name   string // what it says, for people
}

// Features are all of them, in the order of a Vector.
var Features = features()

func features() (out []Feature) {
	add := func(f Family, names ...string) {
		for _, n := range names {
			out = append(out, Feature{f, n})
		}
	}
	add(OfValue, "length", "entropy in bits", "entropy as a share of random text's", "reads like words", "its least usual letters", "share of unusual letters", "runs of letters", "share in words",
		"share of vowels", "alphabet", "share of lower case", "share of upper case", "share of digits", "share of signs", "spaces", "bytes beyond ASCII", "changes of kind",
		"different characters", "repeats a piece", "counts up", "dots", "slashes", "dashes", "underscores", "colons", "begins with a sign", "ends with =", "brackets", "operators of code",
		"is a UUID", "has the length of a hash", "is a number", "is a version or date", "is a path", "an @ inside", "words for examples", "words to be replaced", "words for keys", "usual users and settings", "says its name",
		"base64 of text", "JSON inside", "begins with letters that end in a sign", "a capital at the beginning only", "backslashes")
	add(OfName, "kind", "length of the name", "words in the name", "words after the key's", "last word", "is about a key", "public or encrypted", "key of something else", "upper and lower case")
	for _, parts := range nameParts {
		add(OfName, "name has "+parts[0])
	}
	add(OfLine, "form", "in quotes", "characters before", "characters after", "in a comment", "in a comparison", "in an assertion", "a call", "sign before", "sign after", "quotes before", "spaces in the line",
		"words for examples beside it", "no spaces around the operator", "part of a longer text", "a link or address beside it", "a second value like it", "in a test or example", "kind of file")
	return out
}

// A Vector holds the features of one candidate.
type Vector [100]float32

// Measure takes the features of a candidate.
func (c *Candidate) Measure(x *Vector) {
	m := measure{x: x}
	m.value(c)
	m.name(c)
	m.line(c)
}

// a measure fills a vector, one feature after another.
type measure struct {
	x *Vector
	n int
}

func (m *measure) put(v float64) {
	m.x[m.n] = float32(v)
	m.n++
}

func (m *measure) is(b bool) {
	m.x[m.n] = 0
	if b {
		m.x[m.n] = 1
	}
	m.n++
}

// maxMeasured bounds what is looked at of a value.
const maxMeasured = 256

func (m *measure) value(c *Candidate) {
	v := c.Value[:min(len(c.Value), maxMeasured)]
	n := float64(len(v))
	s := ShapeOf(v)
	r := Read(v)
	h := Shannon(v)
	m.put(float64(len(c.Value)))
	m.put(h)
	m.put(share(h, len(v), s.Alphabet))
	m.put(r.Mean)
	m.put(r.Least)
	m.put(r.Rare)
	m.put(float64(r.Runs))
	m.put(r.Readable)
	m.put(r.Vowels)
	m.put(float64(s.Alphabet))
	m.put(float64(s.Lower) / n)
	m.put(float64(s.Upper) / n)
	m.put(float64(s.Digit) / n)
	m.put(float64(s.Punct) / n)
	m.put(float64(s.Space))
	m.put(float64(s.Other))
	m.put(float64(s.ClassRuns) / n)
	m.put(float64(different(v)))
	m.is(Repeated(v))
	m.put(steps(v))
	m.put(float64(s.Dots))
	m.put(float64(s.Slashes))
	m.put(float64(s.Dashes))
	m.put(float64(s.Under))
	m.put(float64(s.Colons))
	m.is(classOf(v[0]) == '.')
	m.is(v[len(v)-1] == '=')
	m.put(float64(among(v, "()[]{}<>")))
	m.put(float64(among(v, ";,&|*?!$%^~#")))
	m.is(IsUUID(v))
	m.is(s.Alphabet >= HexLower && s.Alphabet <= HexUpper && (len(v) == 32 || len(v) == 40 || len(v) == 64 || len(v) == 128))
	m.is(s.Alphabet == Digits)
	m.is(s.Lower+s.Upper < 2 && s.Dots+s.Dashes+s.Colons+s.Slashes >= 2)
	m.is(v[0] == '/' || v[0] == '.' && bytes.IndexByte(v[:min(len(v), 4)], '/') > 0 || s.Slashes >= 2 && s.Digit*5 < len(v))
	m.is(bytes.IndexByte(v, '@') > 0)
	var low [maxMeasured]byte
	l := lower(low[:0], v)
	m.put(float64(count(l, exampleWords)))
	m.put(float64(count(l, replaceWords)))
	m.put(float64(count(l, keyWords)))
	m.put(float64(count(l, usualWords)))
	ln := c.Name.low[:min(c.Name.n, 80)]
	m.is(len(ln) > 3 && bytes.Contains(l, ln) || len(l) > 3 && bytes.Contains(ln, l))
	m.is(len(v) >= 12 && len(v)%4 == 0 && decodesToText(v))
	m.is(bytes.Contains(v, []byte(`\"`)) || bytes.Contains(v, []byte(`":`)))
	m.put(float64(prefix(v)))
	m.is(s.Upper == 1 && classOf(v[0]) == 'A' && s.Digit == 0)
	m.put(float64(bytes.Count(v, []byte{'\\'})))
}

func (m *measure) name(c *Candidate) {
	n := c.Name.marks()
	m.put(float64(c.Kind))
	m.put(float64(len(c.Name.raw)))
	m.put(float64(n.count))
	m.put(float64(n.after))
	m.put(float64(n.last))
	m.is(n.about)
	m.is(n.harmless)
	m.is(n.keyOfElse)
	switch {
	case n.upper && n.low:
		m.put(2)
	case n.upper:
		m.put(1)
	default:
		m.put(0)
	}
	for g := range nameParts {
		m.is(n.words&(1<<g) != 0)
	}
}

func (m *measure) line(c *Candidate) {
	before, after := c.Before, c.After
	m.put(float64(c.Form))
	m.is(c.Quoted)
	m.put(float64(len(before)))
	m.put(float64(len(after)))
	start := bytes.TrimLeft(before, " \t")
	m.is(BeginsComment(start))
	m.is(bytes.Contains(before, []byte("==")) || bytes.Contains(before, []byte("!=")))
	var low [2 * MaxBeside]byte
	l := lower(low[:0], before[max(0, len(before)-MaxBeside):])
	m.is(count(l, assertWords) > 0)
	m.is(bytes.IndexByte(before, '(') >= 0)
	m.put(float64(sign(lastSign(before, c.Quoted))))
	m.put(float64(sign(firstSign(after, c.Quoted))))
	m.put(float64(bytes.Count(before, []byte(`"`)) + bytes.Count(before, []byte(`'`))))
	m.put(float64(bytes.Count(before, []byte(" ")) - (len(before) - len(start)) + bytes.Count(after, []byte(" "))))
	l = lower(l, after[:min(len(after), MaxBeside)])
	m.put(float64(count(l, exampleWords) + count(l, replaceWords)))
	m.is(len(before) > 0 && (before[len(before)-1] == '=' || len(before) > 1 && before[len(before)-2] == '=' && c.Quoted))
	m.is(c.Quoted && oddQuotes(before))
	m.is(bytes.Contains(l, []byte("://")))
	m.is(len(c.Value) > 3 && (bytes.Contains(before, c.Value) || bytes.Contains(after, c.Value)))
	m.is(c.InTest)
	m.put(float64(c.File))
}

// BeginsComment reports whether a line begins as comments do in some language.
func BeginsComment(line []byte) bool {
	for _, sign := range [...]string{"//", "#", "*", "<!--", "--", ";"} {
		if bytes.HasPrefix(line, []byte(sign)) {
			return true
		}
	}
	return false
}

func different(v []byte) (n int) {
	var seen [256]bool
	for _, c := range v {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

// steps is the share of neighbours that go up or down by one, or stay.
func steps(v []byte) float64 {
	n := 0
	for i := 1; i < len(v); i++ {
		if d := int(v[i]) - int(v[i-1]); d >= -1 && d <= 1 {
			n++
		}
	}
	return float64(n) / float64(len(v))
}

func among(v []byte, set string) (n int) {
	for _, c := range v {
		if bytes.IndexByte([]byte(set), c) >= 0 {
			n++
		}
	}
	return n
}

func lower(dst, v []byte) []byte {
	for _, c := range v {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

func count(low []byte, words [][]byte) (n int) {
	for _, w := range words {
		if bytes.Contains(low, w) {
			n++
		}
	}
	return n
}

// The words that values and lines are looked through for.
var (
	exampleWords = bytes.Fields([]byte("example sample dummy fake mock test foo bar demo xxx lorem 1234 abcd qwerty"))
	replaceWords = bytes.Fields([]byte("your my_ my- change replace enter insert place here todo <"))
	keyWords     = bytes.Fields([]byte("secret pass token key auth cred"))
	usualWords   = bytes.Fields([]byte("admin root user guest default none null true false string value name"))
	assertWords  = bytes.Fields([]byte("assert expect should equal mock test"))
)

// prefix is how long the letters at the beginning are that a sign ends, as in sk_live_.
func prefix(v []byte) int {
	for i, c := range v[:min(len(v), 12)] {
		if c == '-' || c == '_' || c == '.' {
			return i
		}
		if !IsAlnum(c) {
			break
		}
	}
	return 0
}

// decodesToText reports whether v is base64 of printable text.
func decodesToText(v []byte) bool {
	var out [maxMeasured]byte
	n, good := 0, 0
	for i := 0; i+4 <= len(v); i += 4 {
		var q uint32
		pad := 0
		for _, c := range v[i : i+4] {
			d := base64Digit(c)
			if c == '=' {
				d, pad = 0, pad+1
			} else if d < 0 || pad > 0 {
				return false
			}
			q = q<<6 | uint32(d)
		}
		if pad > 2 { // no padding
			return false
		}
		out[n], out[n+1], out[n+2] = byte(q>>16), byte(q>>8), byte(q)
		n += 3 - pad
	}
	for _, c := range out[:n] {
		if c >= ' ' && c < 0x7f || c == '\n' {
			good++
		}
	}
	return good*20 >= n*19
}

func base64Digit(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// signs are what may stand beside a value, as numbers.
const signs = "=:(,>)<;}]&+.|/@\\$?#"

func sign(c byte) int { return bytes.IndexByte([]byte(signs), c) + 1 }

func lastSign(b []byte, quoted bool) byte {
	b = bytes.TrimRight(b, " \t")
	if quoted && len(b) > 0 {
		b = bytes.TrimRight(b[:len(b)-1], " \t")
	}
	if len(b) == 0 {
		return 0
	}
	return b[len(b)-1]
}

func firstSign(b []byte, quoted bool) byte {
	if quoted && len(b) > 0 {
		b = b[1:]
	}
	b = bytes.TrimLeft(b, " \t")
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// oddQuotes reports whether what stands before a quoted value has another quote open.
func oddQuotes(before []byte) bool {
	if len(before) == 0 {
		return false
	}
	b := before[:len(before)-1]
	return bytes.Count(b, []byte(`"`))%2 == 1 || bytes.Count(b, []byte("`"))%2 == 1
}
