package extract

import (
	"bytes"

	"github.com/keyward/keyward/scanner/score"
)

// maxRows is how many rows below a header Column reads, maxCells how many cells of a row.
const (
	maxRows  = 500
	maxCells = 64
)

// Column appends the cells below a name in the header of a table: CSV, TSV,
// semicolons, Markdown, HTML, or the columns of an SQL insert. It returns how many rows were
// looked at, 0 if there is no table.
func Column(dst []Value, t []byte, name Span) (out []Value, rows int) {
	left, right := name.Start, name.End
	for left > 0 && headerByte[t[left-1]] {
		left--
	}
	for right < len(t) && (headerByte[t[right]] || t[right] == '\r') {
		right++
	}
	if left > 0 && t[left-1] == '>' {
		return htmlColumn(dst, t, left, right)
	}
	if left > 0 && (t[left-1] == ',' || t[left-1] == '(') && (at(t, right) == ',' || at(t, right) == ')') {
		if out, rows := insert(dst, t, left, right); rows > 0 {
			return out, rows
		}
	}
	sep := byte(0)
	switch {
	case right < len(t) && contains(",;|\t", t[right]):
		sep = t[right]
	case left > 0 && contains(",;|\t", t[left-1]) && (right == len(t) || t[right] == '\n'):
		sep = t[left-1]
	default:
		return ruled(dst, t, name)
	}
	start := LineStart(t, name.Start)
	left = max(left, start)
	if left > start && t[left-1] != sep {
		return dst, 0
	}
	end := lineEnd(t, name.End, 2000)
	n, total := headerCells(t[start:end], sep, left-start)
	if n < 0 || sep == '|' && !firstRow(t, start, end) {
		return dst, 0
	}
	return cells(dst, t, end, sep, n, total)
}

// headerByte marks the bytes of the cells of a header, with what may stand around them.
var headerByte = func() (set [256]bool) {
	for _, c := range []byte(" \"'`*_-" + letters) {
		set[c] = true
	}
	return set
}()

// firstRow reports whether the line t[start:end] is the first of a table whose cells stand
// between bars, by the lines around it: a rule follows, or one of AsciiDoc precedes.
func firstRow(t []byte, start, end int) bool {
	before := bytes.TrimSpace(t[LineStart(t, max(0, start-1)):max(0, start-1)])
	if bytes.HasPrefix(before, []byte("|===")) {
		return true
	}
	next := min(end+1, len(t))
	after := t[next:lineEnd(t, next, 1000)]
	return bytes.IndexByte(before, '|') < 0 && skip(after, 0, "-+=|: \t\r") == len(after)
}

// headerCells returns the number of the cell at offset at of a header line, and how many it
// has; -1 if the line is no header.
func headerCells(line []byte, sep byte, at int) (n, total int) {
	n, total = -1, 0
	for i := 0; i <= len(line) && total < maxCells; total++ {
		end := bytes.IndexByte(line[i:], sep)
		if end < 0 {
			end = len(line) - i
		}
		if i <= at && at <= i+end {
			n = total
		}
		if !headerCell(bytes.Trim(line[i:i+end], " \"'`*\r"), sep == '|') {
			return -1, 0
		}
		i += end + 1
	}
	if total < 2 {
		return -1, 0
	}
	return n, total
}

// headerCell reports whether a cell may be one of a header: words, and no value.
func headerCell(c []byte, empty bool) bool {
	if len(c) == 0 {
		return empty
	}
	if len(c) > 40 {
		return false
	}
	digits := 0
	for _, b := range c {
		if '0' <= b && b <= '9' {
			digits++
		} else if b < 0x80 && !isWord(b) && !contains(" -./()#:", b) {
			return false
		}
	}
	return digits < 3
}

// cells appends the nth cells of the rows after the header that ends at i.
func cells(dst []Value, t []byte, i int, sep byte, n, total int) (out []Value, rows int) {
	for ; rows < maxRows; rows++ {
		if i >= len(t) || t[i] != '\n' {
			break
		}
		i++
		end := lineEnd(t, i, 8000)
		if skip(t, i, "-+=|: \t\r") == end && sep == '|' { // a rule between rows, or in AsciiDoc a blank line
			i = end
			continue
		}
		if end == i || t[i] == '\r' || bytes.IndexByte(t[i:end], sep) < 0 {
			break
		}
		if v, ok := cell(t[:end], i, sep, n, total); ok {
			dst = append(dst, v)
		}
		i = end
	}
	return dst, rows
}

// cell returns the nth cell of the row at i, which ends with t.
func cell(t []byte, i int, sep byte, n, total int) (v Value, ok bool) {
	count := 0
	for ; i <= len(t) && count <= maxCells; count++ {
		c, next := oneCell(t, i, sep)
		if count == n && c.End > c.Start {
			v, ok = c, bytes.IndexByte(t[c.Start:c.End], ' ') < 0
		}
		i = next + 1
	}
	return v, ok && (count == total || sep == '|')
}

// oneCell reads the cell at i, and returns where its separator stands.
func oneCell(t []byte, i int, sep byte) (v Value, next int) {
	if s, after, ok := literal(t, skip(t, i, " ")); ok && sep != '|' {
		if after = skip(t, after, " \r"); after == len(t) || t[after] == sep {
			return Value{s, score.Pair, true}, after
		}
	}
	next = len(t)
	if n := bytes.IndexByte(t[i:], sep); n >= 0 {
		next = i + n
	}
	start := min(skip(t, i, " `*"), next)
	return Value{Span{start, max(start, back(t, next, " \r`*"))}, score.Pair, false}, next
}

// insert appends the values of a column of INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y').
func insert(dst []Value, t []byte, left, right int) (out []Value, rows int) {
	open := left
	n := 1
	for open > 0 && left-open < maxStatement && t[open-1] != '(' {
		if t[open-1] == ',' {
			n++
		}
		if contains("\n;)\"", t[open-1]) && t[open-1] != '\n' && t[open-1] != '"' {
			return dst, 0
		}
		open--
	}
	end := bytes.IndexByte(t[right:min(len(t), right+maxStatement)], ')')
	if open == 0 || end < 0 {
		return dst, 0
	}
	i := skip(t, right+end+1, spaces)
	if i+11 < len(t) && IndexFold(t[i:i+10], "from stdin") == 0 { // COPY of PostgreSQL
		line := lineEnd(t, i, maxStatement)
		return cells(dst, t, line, '\t', n-1, n+bytes.Count(t[right:right+end], []byte{','}))
	}
	if i+6 > len(t) || IndexFold(t[i:i+6], "values") != 0 {
		return dst, 0
	}
	i = skip(t, i+6, spaces)
	for ; rows < maxRows && at(t, i) == '('; rows++ {
		if arg, ok := nth(t, i+1, n); ok {
			j := skip(t, arg.Start, spaces+"NnEe")
			if v, _, ok := literal(t, j); ok && v.End > v.Start {
				dst = append(dst, Value{v, score.Pair, true})
			}
		}
		close := tupleEnd(t, i+1)
		i = skip(t, close, ", \t\r\n")
	}
	return dst, rows
}

// tupleEnd returns the position after the bracket that closes the tuple at i.
func tupleEnd(t []byte, i int) int {
	for j := i; j < len(t) && j-i < 4000; j++ {
		switch t[j] {
		case '"', '\'':
			_, next, ok := literal(t, j)
			if !ok {
				return len(t)
			}
			j = max(j, next-1)
		case ')':
			return j + 1
		}
	}
	return len(t)
}

// htmlColumn appends the cells below a <th> of a table.
func htmlColumn(dst []Value, t []byte, left, right int) (out []Value, rows int) {
	tag := back(t, left-1, letters+"=\"' -_")
	if tag < 1 || t[tag-1] != '<' || IndexFold(t[tag:min(len(t), tag+2)], "th") != 0 || at(t, right) != '<' {
		return dst, 0
	}
	row := indexLastFold(t[max(0, tag-2000):tag], "<tr")
	if row < 0 {
		return dst, 0
	}
	n := 0
	for before := t[max(0, tag-2000)+row : tag]; ; n++ {
		i := IndexFold(before, "<th")
		if i < 0 {
			break
		}
		before = before[i+3:]
	}
	rest := t[right:min(len(t), right+64<<10)]
	if end := IndexFold(rest, "</table"); end >= 0 {
		rest = rest[:end]
	}
	for at := right; rows < maxRows; rows++ {
		i := IndexFold(t[at:right+len(rest)], "<tr")
		if i < 0 {
			break
		}
		at += i + 3
		end := right + len(rest)
		if j := IndexFold(t[at:end], "<tr"); j >= 0 {
			end = at + j
		}
		if v, ok := htmlCell(t[:end], at, n); ok {
			dst = append(dst, v)
		}
	}
	return dst, max(rows, 1)
}

// htmlCell returns the text of the nth <td> of the row at i, which ends with t.
func htmlCell(t []byte, i, n int) (Value, bool) {
	for ; ; n-- {
		j := IndexFold(t[i:], "<td")
		if j < 0 {
			return Value{}, false
		}
		i = skipTag(t, i+j)
		if n == 0 {
			for at(t, skip(t, i, spaces)) == '<' && at(t, skip(t, i, spaces)+1) != '/' { // <code>
				i = skipTag(t, skip(t, i, spaces))
			}
			return element(t, i)
		}
	}
}

// indexLastFold returns where low stands last in t, or -1.
func indexLastFold(t []byte, low string) int {
	for i := len(t) - len(low); i >= 0; i-- {
		if IndexFold(t[i:i+len(low)], low) == 0 {
			return i
		}
	}
	return -1
}

// ruled appends the cells below a name in a table whose columns are marked by a line of
// signs, as reStructuredText has it: ==== ====.
func ruled(dst []Value, t []byte, name Span) (out []Value, rows int) {
	rule := lineEnd(t, name.End, 1000) + 1
	if rule >= len(t) || t[rule] != '=' && t[rule] != '-' {
		return dst, 0
	}
	end := lineEnd(t, rule, 1000)
	if skip(t, rule, "=- \t\r") != end || bytes.IndexByte(t[rule:end], ' ') < 0 {
		return dst, 0
	}
	from := name.Start - LineStart(t, name.Start)
	if from >= end-rule {
		return dst, 0
	}
	for from > 0 && t[rule+from-1] != ' ' {
		from--
	}
	to := from
	for rule+to < end && t[rule+to] > ' ' {
		to++
	}
	for i := end; rows < maxRows && i < len(t); rows++ {
		i++
		line := lineEnd(t, i, 8000)
		if line == i || contains("=-\r", at(t, i)) {
			break
		}
		start := min(i+from, line)
		v := bare(t, skip(t[:line], start, blanks+"`"))
		if rule+to < end && v.End > i+to || v.End > line {
			v.End = min(i+to, line)
		}
		if v.End > v.Start {
			dst = append(dst, Value{v, score.Pair, false})
		}
		i = line
	}
	return dst, rows
}
