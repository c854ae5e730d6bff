package fix

import (
	"bytes"
	"errors"
	"strings"
)

// A lexer splits source text into strings, comments and the rest, for languages
// whose grammar is not needed beyond that.
type lexer struct {
	line      []string // what begins a comment to the end of the line
	block     []string // what begins and ends a comment, in turn
	quotes    string
	triple    string // quotes that may stand three times, for text over several lines
	multiline string // quotes whose text may span lines
	prefixes  string // letters that may stand before a quote
	interpol  map[byte]string
	regex     bool // /…/ is a literal where a value may begin
	ruby      bool // heredocs, =begin, __END__, ?x
}

// A lexeme is a string or a comment.
type lexeme struct {
	comment     bool
	opaque      bool // text that is not to be changed: a here document, a regular expression
	start, end  int
	open, close int // of a string: its text
	prefix      string
	quote       string
}

func (l *lexer) tokens(data []byte) []lexeme {
	var out []lexeme
	for i := 0; i < len(data); {
		t, ok := l.token(data, i)
		if !ok {
			i++
			continue
		}
		out = append(out, t)
		i = max(t.end, i+1)
	}
	return out
}

// token returns the token that begins at i, if one does.
func (l *lexer) token(data []byte, i int) (lexeme, bool) {
	for _, c := range l.line {
		if bytes.HasPrefix(data[i:], []byte(c)) {
			return lexeme{comment: true, start: i, end: until(data, i, "\n")}, true
		}
	}
	for k := 0; k+1 < len(l.block); k += 2 {
		if bytes.HasPrefix(data[i:], []byte(l.block[k])) && (!l.ruby || atLineStart(data, i)) {
			end := until(data, i+len(l.block[k]), l.block[k+1])
			return lexeme{comment: true, start: i, end: min(len(data), end+len(l.block[k+1]))}, true
		}
	}
	c := data[i]
	switch {
	case strings.IndexByte(l.quotes, c) >= 0:
		return l.text(data, i, i), true
	case l.prefixes != "" && (i == 0 || !isWord(data[i-1])):
		j := i
		for j < len(data) && j-i < 3 && strings.IndexByte(l.prefixes, data[j]) >= 0 {
			j++
		}
		if j > i && j < len(data) && strings.IndexByte(l.quotes, data[j]) >= 0 {
			return l.text(data, i, j), true
		}
	case l.regex && c == '/' && valueMayBegin(data, i):
		return lexeme{opaque: true, start: i, end: regexEnd(data, i)}, true
	case l.ruby && c == '<' && bytes.HasPrefix(data[i:], []byte("<<")):
		if end, ok := heredocEnd(data, i); ok {
			return lexeme{opaque: true, start: i, end: end}, true
		}
	case l.ruby && c == '?' && i+2 < len(data) && strings.IndexByte(l.quotes, data[i+1]) >= 0 && !isWord(data[i+2]) && valueMayBegin(data, i):
		return lexeme{opaque: true, start: i, end: i + 2}, true
	case l.ruby && c == '_' && atLineStart(data, i) && bytes.HasPrefix(data[i:], []byte("__END__")):
		return lexeme{comment: true, start: i, end: len(data)}, true
	}
	return lexeme{}, false
}

// text reads a string whose quote stands at q; its prefix begins at i.
func (l *lexer) text(data []byte, i, q int) lexeme {
	c := data[q]
	t := lexeme{start: i, prefix: string(data[i:q]), quote: string(c)}
	if strings.IndexByte(l.triple, c) >= 0 && bytes.HasPrefix(data[q:], []byte{c, c, c}) {
		t.quote = strings.Repeat(string(c), 3)
	}
	t.open = q + len(t.quote)
	raw := strings.ContainsAny(t.prefix, "rR")
	for j := t.open; j < len(data); j++ {
		switch {
		case data[j] == '\\':
			j++
			if raw && j < len(data) && data[j] == '\n' && len(t.quote) == 1 {
				t.close, t.end = j, j
				return t
			}
		case bytes.HasPrefix(data[j:], []byte(t.quote)):
			t.close, t.end = j, j+len(t.quote)
			return t
		case data[j] == '\n' && len(t.quote) == 1 && strings.IndexByte(l.multiline, c) < 0:
			t.close, t.end, t.opaque = j, j, true // it has no end: not a string of this language
			return t
		case l.interpol[c] != "" && bytes.HasPrefix(data[j:], []byte(l.interpol[c])):
			j = l.balanced(data, j+len(l.interpol[c]))
		}
	}
	t.close, t.end, t.opaque = len(data), len(data), true
	return t
}

// balanced returns the place of the brace that closes an interpolation.
func (l *lexer) balanced(data []byte, i int) int {
	depth := 1
	for i < len(data) {
		switch data[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		default:
			if strings.IndexByte(l.quotes, data[i]) >= 0 {
				i = max(l.text(data, i, i).end, i+1)
				continue
			}
		}
		i++
	}
	return i
}

func until(data []byte, i int, end string) int {
	if n := bytes.Index(data[i:], []byte(end)); n >= 0 {
		return i + n
	}
	return len(data)
}

func atLineStart(data []byte, i int) bool { return i == 0 || data[i-1] == '\n' }

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

// valueMayBegin reports whether a value and not an operator may stand at i.
func valueMayBegin(data []byte, i int) bool {
	t := bytes.TrimRight(data[:i], " \t")
	if len(t) == 0 {
		return true
	}
	if c := t[len(t)-1]; !isWord(c) {
		return strings.IndexByte(")]}\"'`", c) < 0
	}
	j := len(t)
	for j > 0 && isWord(t[j-1]) {
		j--
	}
	switch string(t[j:]) {
	case "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "and", "or", "not", "if", "unless", "when", "while":
		return true
	}
	return false
}

func regexEnd(data []byte, i int) int {
	class := false
	for j := i + 1; j < len(data); j++ {
		switch data[j] {
		case '\\':
			j++
		case '[':
			class = true
		case ']':
			class = false
		case '\n':
			return i + 1 // it was a division
		case '/':
			if !class {
				return j + 1
			}
		}
	}
	return i + 1
}

// heredocEnd returns where a Ruby here document ends that begins at i.
func heredocEnd(data []byte, i int) (int, bool) {
	j := i + 2
	if j < len(data) && (data[j] == '~' || data[j] == '-') {
		j++
	}
	quoted := j < len(data) && strings.IndexByte("\"'`", data[j]) >= 0
	if quoted {
		j++
	}
	k := j
	for k < len(data) && isWord(data[k]) {
		k++
	}
	if k == j || !quoted && !('A' <= data[j] && data[j] <= 'Z' || data[j] == '_') {
		return 0, false
	}
	tag := string(data[j:k])
	for at := until(data, k, "\n") + 1; at < len(data); {
		end := until(data, at, "\n")
		if strings.TrimSpace(string(data[at:end])) == tag {
			return end, true
		}
		at = end + 1
	}
	return 0, false
}

// A piece is a string literal in which values stand.
type piece struct {
	start, end, open, close int
	before, after           string // what begins and ends a string of this kind
}

// concat replaces values in a literal by expressions and joins them to what is left
// of it. A literal that is all value becomes the expression alone.
func concat(f *file, lit piece, places []Place, expr func(Place) string) {
	if len(places) == 1 && places[0].Start == lit.open && places[0].End == lit.close {
		f.edit(lit.start, lit.end, expr(places[0]))
		f.moved(places[0], expr(places[0]))
		return
	}
	var parts []string
	at := lit.open
	add := func(to int) {
		if to > at {
			parts = append(parts, lit.before+string(f.data[at:to])+lit.after)
		}
	}
	for _, p := range places {
		add(p.Start)
		parts = append(parts, expr(p))
		f.moved(p, expr(p))
		at = p.End
	}
	add(lit.close)
	f.edit(lit.start, lit.end, "("+strings.Join(parts, " + ")+")")
}

// A source language: how its text is split and what takes a value's place.
type source struct {
	lexer
	expr   func(name string) string
	within func(name, quote string) string // in a string that interpolates, or nil
	check  func(f *file, tokens []lexeme, n int) error
	header func(f *file, tokens []lexeme) // adds an import, or nil
}

func (s *source) mend(f *file) error {
	tokens := s.tokens(f.data)
	in := map[int][]Place{}
	var order []int
	for _, p := range f.places {
		n, err := s.find(f, tokens, p)
		if err != nil {
			f.left(p, err.Error())
			continue
		}
		if tokens[n].comment {
			f.replace(p, p.Name, p.Name)
			continue
		}
		if in[n] == nil {
			order = append(order, n)
		}
		in[n] = append(in[n], p)
	}
	called := false
	for _, n := range order {
		if err := s.replace(f, tokens[n], in[n]); err != nil {
			for _, p := range in[n] {
				f.left(p, err.Error())
			}
			continue
		}
		called = true
		for _, p := range in[n] {
			f.next("set %s in the environment of the program", p.Name)
		}
	}
	if called && s.header != nil {
		s.header(f, tokens)
	}
	return nil
}

// find returns the token that a value stands in, if it may be changed.
func (s *source) find(f *file, tokens []lexeme, p Place) (int, error) {
	for n, t := range tokens {
		switch {
		case t.start > p.Start || p.End > t.end:
			continue
		case t.comment:
			return n, nil
		case t.opaque:
			return 0, errors.New("it is in a here document, a regular expression or a string without end")
		case p.Start < t.open || p.End > t.close:
			return 0, errors.New("it goes beyond its string")
		case s.inExpression(f.data, &tokens[n], p):
			return 0, errors.New("it is in an expression within a string: take it out by hand")
		}
		return n, s.check(f, tokens, n)
	}
	return 0, errors.New("it is in no string")
}

// inExpression reports whether a value stands in what a string computes: ${…}, #{…},
// or the {…} of Python.
func (s *source) inExpression(data []byte, t *lexeme, p Place) bool {
	begin := s.interpol[t.quote[0]]
	if strings.ContainsAny(t.prefix, "fF") {
		begin = "{"
	}
	if begin == "" {
		return false
	}
	for j := t.open; j < p.Start; j++ {
		switch {
		case data[j] == '\\':
			j++
		case begin == "{" && bytes.HasPrefix(data[j:], []byte("{{")):
			j++
		case bytes.HasPrefix(data[j:], []byte(begin)):
			if j = s.balanced(data, j+len(begin)); p.Start < j {
				return true
			}
		}
	}
	return false
}

func (s *source) replace(f *file, t lexeme, places []Place) error {
	interpolates := s.interpol[t.quote[0]] != "" || strings.ContainsAny(t.prefix, "fF")
	whole := len(places) == 1 && places[0].Start == t.open && places[0].End == t.close
	if interpolates && !whole {
		for _, p := range places {
			f.replace(p, s.within(p.Name, t.quote), s.expr(p.Name))
		}
		return nil
	}
	if len(t.quote) == 3 && !whole && strings.Contains(string(f.data[t.open:t.close]), "\n") && s.prefixes == "" {
		return errors.New("it is a part of a text block")
	}
	encoded := strings.ContainsAny(t.prefix, "bB")
	expr := func(p Place) string {
		e := s.expr(p.Name)
		if encoded {
			e += ".encode()"
		}
		return e
	}
	concat(f, piece{t.start, t.end, t.open, t.close, t.prefix + t.quote, t.quote}, places, expr)
	return nil
}

// around returns the characters that stand before and after a token, white space aside.
func around(data []byte, t lexeme) (before, after byte) {
	if b := bytes.TrimRight(data[:t.start], " \t\r\n"); len(b) > 0 {
		before = b[len(b)-1]
	}
	if a := bytes.TrimLeft(data[t.end:], " \t\r\n"); len(a) > 0 {
		after = a[0]
	}
	return before, after
}

// beside reports whether only such characters stand between a string and the one
// before or after it: some languages join the two.
func beside(data []byte, tokens []lexeme, n int, between string) bool {
	near := func(a, b lexeme) bool {
		return !a.comment && !b.comment && len(bytes.Trim(data[a.end:b.start], between)) == 0
	}
	return n > 0 && near(tokens[n-1], tokens[n]) || n+1 < len(tokens) && near(tokens[n], tokens[n+1])
}

var errJoined = errors.New("the text goes on in the string beside it: join the two first")
