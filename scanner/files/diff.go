package files

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/keyward/keyward/scanner"
)

// IsDiff reports whether a text begins like a unified diff of git or of diff -u.
func IsDiff(head []byte) bool {
	return bytes.HasPrefix(head, []byte("diff --git ")) || bytes.HasPrefix(head, []byte("--- ")) && bytes.Contains(head, []byte("\n+++ "))
}

// A Diff reads a unified diff, and knows which lines it adds.
// https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html
type Diff struct {
	r     *bufio.Reader
	added map[string][]lineRange
	path  string
	hunk  []byte // the new text of the hunk that is read
	first int    // the number of its first line
	next  int    // the number of the next line of the new text
	old   int    // lines that the hunk still has of the old text
	new   int    // and of the new one
	from  string // the path of the --- line, if that was the last line
	rest  []byte // what is not in a hunk, the headers with their paths too
}

type lineRange struct{ from, to int }

// NewDiff returns a reader of a diff.
func NewDiff(r *bufio.Reader) *Diff { return &Diff{r: r, added: map[string][]lineRange{}} }

// mostDiffLine is how long a line of a diff may be, mostHunk how large a hunk, mostLines the
// largest number of a line.
const (
	mostDiffLine = 4 << 20
	mostHunk     = 16 << 20
	mostLines    = 1 << 40
)

// outside is the path of what stands outside of the hunks. No file of a diff has it.
const outside = "standard input, outside of the hunks"

// Blobs yields the new text of each hunk, so that what goes over lines is seen, and what
// stands outside of the hunks. Lines that are too long, and binary files, are gaps.
func (d *Diff) Blobs(yield func(scanner.Blob, error) bool) {
	for {
		line, err := d.line()
		if errors.Is(err, errLongLine) {
			if !yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: fmt.Sprintf("a line of more than %d bytes in the diff", mostDiffLine)}) {
				return
			}
			err = nil
		}
		if len(line) > 0 && !d.take(line, yield) {
			return
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			yield(scanner.Blob{}, fmt.Errorf("read the diff: %w", err))
			return
		}
	}
	if d.flush(yield) && len(bytes.TrimSpace(d.rest)) > 0 {
		yield(scanner.Blob{Path: outside, Data: d.rest}, nil)
	}
}

var errLongLine = errors.New("the line is too long")

// line reads one line with its end. Of one that is too long only the first byte is kept,
// which says what kind of line it is.
func (d *Diff) line() ([]byte, error) {
	var out []byte
	long := false
	for {
		part, err := d.r.ReadSlice('\n')
		if long = long || len(out)+len(part) > mostDiffLine; long && len(out) > 1 {
			out = append(out[:1], '\n')
		}
		if !long {
			out = append(out, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long && err == nil {
			err = errLongLine
		}
		return out, err
	}
}

// take handles one line.
func (d *Diff) take(line []byte, yield func(scanner.Blob, error) bool) bool {
	if d.old > 0 || d.new > 0 {
		if bytes.HasPrefix(line, []byte("diff --git ")) { // the hunk has fewer lines than it says
			return d.flush(yield) && yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: "a hunk of the diff is shorter than it says"}) && d.take(line, yield)
		}
		return d.body(line, yield)
	}
	from := d.from
	d.from = ""
	switch {
	case line[0] == '\\': // no newline at end of file
		return true
	case bytes.HasPrefix(line, []byte("@@ ")):
		return d.flush(yield) && d.header(line, yield)
	case bytes.HasPrefix(line, []byte("@@@ ")):
		return yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: "a combined diff of a merge: use git diff against one parent"})
	case bytes.HasPrefix(line, []byte("Binary files ")), bytes.HasPrefix(line, []byte("GIT binary patch")):
		return yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: "a binary file in the diff"})
	case bytes.HasPrefix(line, []byte("diff --git ")):
		if !d.flush(yield) {
			return false
		}
	case bytes.HasPrefix(line, []byte("--- ")):
		if !d.flush(yield) {
			return false
		}
		d.from = string(line[4:])
	case bytes.HasPrefix(line, []byte("+++ ")) && from != "":
		d.path = diffPath(line[4:], from)
	}
	// Headers are scanned as well: a path or a rename can hold a key.
	if len(d.rest)+len(line) > mostHunk {
		return yield(scanner.Blob{}, &scanner.Gap{Path: outside, Reason: "too much text outside of the hunks"})
	}
	d.rest = append(d.rest, line...)
	return true
}

// header begins a hunk: @@ -1,2 +3,4 @@.
func (d *Diff) header(line []byte, yield func(scanner.Blob, error) bool) bool {
	d.first, d.old, d.new = 0, 1, 1
	var from int
	f := strings.Fields(string(line[:min(len(line), 200)]))
	ok := len(f) >= 3 && diffRange(f[1], '-', &from, &d.old) && diffRange(f[2], '+', &d.first, &d.new)
	if !ok || d.first > mostLines || d.new > mostLines || d.old > mostLines {
		d.old, d.new = 0, 0
		return yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: "a hunk of the diff without line numbers"})
	}
	d.first = max(d.first, 1)
	d.next = d.first
	return true
}

// diffRange reads one half of a hunk's header.
func diffRange(s string, sign byte, from, n *int) bool {
	if s == "" || s[0] != sign {
		return false
	}
	if !strings.Contains(s, ",") {
		*n = 1
		_, err := fmt.Sscanf(s[1:], "%d", from)
		return err == nil && *from >= 0
	}
	_, err := fmt.Sscanf(s[1:], "%d,%d", from, n)
	return err == nil && *from >= 0 && *n >= 0
}

// body handles a line of a hunk.
func (d *Diff) body(line []byte, yield func(scanner.Blob, error) bool) bool {
	if line[0] != '\\' && (line[0] != '+' && d.old <= 0 || line[0] != '-' && d.new <= 0) { // more than the hunk says
		return d.flush(yield) && d.take(line, yield)
	}
	switch line[0] {
	case '-':
		d.old--
		return true
	case '\\':
		return true
	case '+':
		d.new--
		d.add()
	case ' ', '\n', '\r': // a line of both; some programs drop the blank of an empty one
		d.old--
		d.new--
	default: // no line of a hunk
		return d.flush(yield) && d.take(line, yield)
	}
	if line[0] == '+' || line[0] == ' ' {
		line = line[1:]
	}
	if len(d.hunk)+len(line) > mostHunk {
		return yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: "a hunk of the diff is too large"})
	}
	d.hunk = append(d.hunk, line...)
	d.next++
	return true
}

// add notes that the next line of the new text is an added one.
func (d *Diff) add() {
	list := d.added[d.path]
	if n := len(list); n > 0 && list[n-1].to == d.next-1 {
		list[n-1].to = d.next
		return
	}
	d.added[d.path] = append(list, lineRange{d.next, d.next})
}

// flush yields the hunk that was read.
func (d *Diff) flush(yield func(scanner.Blob, error) bool) bool {
	data := d.hunk
	d.hunk, d.old, d.new = nil, 0, 0
	return len(data) == 0 || yield(scanner.Blob{Path: d.path, Line: d.first, Data: data}, nil)
}

// Added reports whether the diff adds a line of the file among those from first to last. What
// stands outside of the hunks counts as added.
func (d *Diff) Added(path string, first, last int) bool {
	if path == outside {
		return true
	}
	for _, r := range d.added[path] {
		if r.from <= last && first <= r.to {
			return true
		}
	}
	return false
}

// diffPath is the path of a +++ line without what diff -u writes after a tab, and without
// the prefix that git sets before it and before the path of the --- line.
func diffPath(line []byte, from string) string {
	unquote := func(s string) string {
		name, _, _ := strings.Cut(strings.TrimRight(s, "\r\n"), "\t")
		var unquoted string
		if strings.HasPrefix(name, `"`) {
			if _, err := fmt.Sscanf(name, "%q", &unquoted); err == nil {
				return unquoted
			}
		}
		return name
	}
	name, old := unquote(string(line)), unquote(from)
	prefixed := func(s, prefixes string) bool {
		return len(s) > 2 && s[1] == '/' && strings.IndexByte(prefixes, s[0]) >= 0
	}
	if prefixed(name, "bwi12") && (old == "/dev/null" || prefixed(old, "aioc12")) {
		return name[2:]
	}
	return name
}
