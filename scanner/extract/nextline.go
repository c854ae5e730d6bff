package extract

import (
	"bytes"

	"github.com/keyward/keyward/scanner/score"
)

// nextLine finds a value that begins on a line after that of its name: a YAML scalar, a
// string after a line break, a heredoc, a continued line, the text of an XML element.
func nextLine(t []byte, name Span, after int) (Value, bool) {
	i := skip(t, after, blanks)
	if c := at(t, i); c == '\r' || c == '\n' { // the operator is on the next line
		next := skip(t, i, spaces)
		if at(t, next) != '>' && (at(t, next) != ':' && at(t, next) != '=' || after == name.End) {
			return Value{}, false
		}
		i = next
	}
	switch c := at(t, i); {
	case c == '>':
		return inElement(t, name, i)
	case c == ',' && after == name.End+1 && Whole(t, name): // name("token",⏎ "value")
		var words score.Name
		words.Read(t[name.Start:name.End])
		first := t[name.Start] == '-' || contains("([{", before(t, back(t, name.Start, " \"'`")))
		if !first || !words.SpeaksOfKey() || words.Words() > 3 { // a sentence, or an element of a list
			return Value{}, false
		}
		if j := skip(t, i+1, "\r"+blanks); at(t, j) == '\n' {
			v, ok := quotedLine(t, j)
			v.Form = score.Argument
			return v, ok
		}
		return Value{}, false
	case c == 0 || !contains(":=?+.<", c):
		return Value{}, false
	}
	if v, ok := dialogue(t, i); ok {
		return v, true
	}
	colon := t[i] == ':'
	i = afterOperator(t, i)
	if v, ok := block(t, i); ok {
		return v, true
	}
	switch at(t, i) {
	case '|':
		return scalar(t, name, i)
	case '<':
		return heredoc(t, i)
	case '\\':
		if j := skip(t, i+1, "\r"); at(t, j) == '\n' {
			return value(t, skip(t, j, spaces), score.Assignment)
		}
	case '(', '"', '\'':
		return continued(t, i)
	case '\r', '\n':
		if v, ok := scalar(t, name, i); ok { // the sign of a folded scalar was skipped as an operator
			return v, true
		}
		return quotedLine(t, i)
	case '-': // >- was read as far as its sign
		if colon && t[i-1] == '>' {
			return scalar(t, name, i)
		}
	}
	return Value{}, false
}

// before returns the byte before i but for white space, 0 at the beginning.
func before(t []byte, i int) byte {
	if i = back(t, i, spaces); i > 0 {
		return t[i-1]
	}
	return 0
}

// Whole reports whether a name ends a string of words and a path at most: "token", "prod/token",
// and not "state: token".
func Whole(t []byte, name Span) bool {
	start := back(t, name.Start, " /_-."+letters)
	return start > 0 && isQuote(at(t, name.End)) && t[start-1] == t[name.End]
}

// afterOperator skips the operator at i, and a type before it whose value begins on the
// next line, as in name: &str =⏎.
func afterOperator(t []byte, i int) int {
	next := skip(t, i, ":=?+.> \t")
	if t[i] != ':' {
		if t[i] == '<' && at(t, i+1) == '-' { // R
			return skip(t, i+2, blanks)
		}
		return next
	}
	for j := next; j < len(t) && j-next < 60 && (isField(t[j]) || contains("<>[]&?' ", t[j]) || t[j] == '='); j++ {
		if t[j] == '=' {
			if end := skip(t, j+1, " \t\r"); at(t, end) == '\n' {
				return end
			}
			break
		}
	}
	return next
}

// inElement reads the text of the XML element whose tag ends at i, if that is on another
// line than the tag. The name is that of the element or of an attribute.
func inElement(t []byte, name Span, i int) (Value, bool) {
	tag := bytes.LastIndexAny(t[LineStart(t, name.Start):name.Start], "<>")
	if tag < 0 || t[LineStart(t, name.Start)+tag] != '<' {
		return Value{}, false
	}
	if !contains(spaces, at(t, i+1)) && bytes.IndexByte(t[name.End:i], '\n') < 0 {
		return Value{}, false
	}
	return element(t, i+1)
}

// blockMarks open and close a string of several lines.
var blockMarks = [...][2]string{{`"""`, `"""`}, {"'''", "'''"}, {"@'", "'@"}, {`@"`, `"@`}, {"`", "`"}, {"[[", "]]"}, {`<<"`, `">>`}}

// block reads the one line of a string of several lines that begins at i.
func block(t []byte, i int) (Value, bool) {
	for _, m := range blockMarks {
		if !bytes.HasPrefix(t[min(i, len(t)):], []byte(m[0])) {
			continue
		}
		j := skip(t, i+len(m[0]), " \t\r\\")
		if at(t, j) != '\n' {
			continue
		}
		from := skip(t, j, spaces)
		v := bare(t, from)
		end := skip(t, v.End, spaces)
		return Value{v, score.Assignment, true}, v.End > v.Start && bytes.HasPrefix(t[end:], []byte(m[1]))
	}
	return Value{}, false
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// at returns the byte at i, 0 beyond the end.
func at(t []byte, i int) byte {
	if i < len(t) {
		return t[i]
	}
	return 0
}

// quotedLine reads a string that stands alone at the beginning of the line after i.
func quotedLine(t []byte, i int) (Value, bool) {
	j := skip(t, i, spaces)
	for range 2 { // comments between
		if !bytes.HasPrefix(t[min(j, len(t)):], []byte("//")) && at(t, j) != '#' {
			break
		}
		j = skip(t, lineEnd(t, j, 300), spaces)
	}
	v, _, ok := literal(t, j)
	if !ok || v.End == v.Start {
		return Value{}, false
	}
	if end := skip(t, v.End+1, blanks); at(t, end) == ':' || at(t, end) == '=' { // another name
		return Value{}, false
	}
	return Value{v, score.Assignment, true}, true
}

// continued reads the first string that is not empty of an expression that goes on over
// lines: ("" +⏎ "…").
func continued(t []byte, i int) (Value, bool) {
	from := i
	for range 4 {
		i = skip(t, i, "( \t\r\n+.\\")
		v, next, ok := literal(t, i)
		if !ok {
			return Value{}, false
		}
		if v.End > v.Start {
			return Value{v, score.Assignment, true}, bytes.IndexByte(t[from:v.Start], '\n') >= 0
		}
		i = next
	}
	return Value{}, false
}

// scalar reads the one line of a YAML scalar whose header (|, >- or nothing) begins at i. A
// scalar of several lines is a document of its own.
func scalar(t []byte, name Span, i int) (Value, bool) {
	start := LineStart(t, name.Start)
	outer := indent(t, start)
	if i = skip(t, i, "|>-+0123456789 \t\r"); at(t, i) != '\n' {
		return Value{}, false
	}
	for at(t, i) == '\n' && i+1 < len(t) && contains("\r\n", t[i+1]) {
		i++
	}
	i++
	from := skip(t, i, blanks)
	if from-i <= outer || from >= len(t) {
		return Value{}, false
	}
	to := lineEnd(t, from, maxValue)
	end := back(t, to, spaces)
	for j := from; j < end; j++ {
		if t[j] <= ' ' || t[j] == ':' && contains(spaces, at(t, j+1)) {
			return Value{}, false
		}
	}
	if end <= from || t[end-1] == ':' || t[from] == '-' && at(t, from+1) == ' ' {
		return Value{}, false
	}
	if below := to + 1; below < len(t) {
		if j := skip(t, below, blanks); j-below >= from-i && j < len(t) && !contains("\r\n", t[j]) {
			return Value{}, false
		}
	}
	if v, _, ok := literal(t, from); ok {
		return Value{v, score.Assignment, true}, true
	}
	return Value{Span{from, end}, score.Assignment, false}, true
}

// heredoc reads the one line of a heredoc that begins at i: <<EOT, <<-'EOF', <<~SQL.
func heredoc(t []byte, i int) (Value, bool) {
	j := i
	for at(t, j) == '<' {
		j++
	}
	if j-i < 2 {
		return Value{}, false
	}
	j = skip(t, j, "-~ \t\"'")
	mark := wordAt(t, j)
	j = skip(t, j+len(mark), "\"'")
	for at(t, j) == '.' { // <<~KEY.strip
		j += 1 + len(wordAt(t, j+1))
	}
	j = skip(t, j, "; \t\r")
	if len(mark) == 0 || at(t, j) != '\n' {
		return Value{}, false
	}
	from := skip(t, j+1, blanks)
	v := bare(t, from)
	to := skip(t, v.End, " \t\r")
	if v.End == v.Start || at(t, to) != '\n' {
		return Value{}, false
	}
	if end := skip(t, to+1, blanks); string(wordAt(t, end)) != string(mark) {
		return Value{}, false
	}
	return Value{v, score.Assignment, false}, true
}

// dialogue reads what a script of expect sends after it has waited for a prompt: expect
// "Password:"⏎send "…\r".
func dialogue(t []byte, i int) (Value, bool) {
	i = skip(t, i, ":?*\"'}\r \t")
	if at(t, i) != '\n' {
		return Value{}, false
	}
	i = skip(t, i, spaces)
	if string(wordAt(t, i)) != "send" {
		return Value{}, false
	}
	v, _, ok := literal(t, skip(t, i+len("send"), " \t-{"))
	if !ok {
		return Value{}, false
	}
	for v.End-v.Start > 2 && t[v.End-2] == '\\' && contains("rn", t[v.End-1]) {
		v.End -= 2
	}
	return Value{v, score.Assignment, true}, v.End > v.Start
}
