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
	rest  []byte // what is neither header nor hunk
}

type lineRange struct{ from, to int }

// NewDiff returns a reader of a diff.
func NewDiff(r *bufio.Reader) *Diff { return &Diff{r: r, added: map[string][]lineRange{}} }

// mostDiffLine is how long a line of a diff may be, mostHunk how large a hunk.
const (
	mostDiffLine = 4 << 20
	mostHunk     = 16 << 20
)

// Blobs yields the new text of each hunk, so that what goes over lines is seen, and what
// stands between the diffs. Lines that are too long, and binary files, are gaps.
func (d *Diff) Blobs(yield func(scanner.Blob, error) bool) {
	for {
		line, err := d.line()
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
		yield(scanner.Blob{Path: "stdin", Data: d.rest}, nil)
	}
}

// line reads one line with its end. Of one that is too long the rest is dropped, and an
// error says so.
func (d *Diff) line() ([]byte, error) {
	var out []byte
	for {
		part, err := d.r.ReadSlice('\n')
		if len(out)+len(part) > mostDiffLine {
			return nil, fmt.Errorf("a line of more than %d bytes", mostDiffLine)
		}
		out = append(out, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return out, err
		}
	}
}

// take handles one line.
func (d *Diff) take(line []byte, yield func(scanner.Blob, error) bool) bool {
	if d.old > 0 || d.new > 0 {
		return d.body(line, yield)
	}
	switch {
	case line[0] == '\\': // no newline at end of file
	case bytes.HasPrefix(line, []byte("diff --git ")), bytes.HasPrefix(line, []byte("--- ")):
		return d.flush(yield)
	case bytes.HasPrefix(line, []byte("+++ ")):
		d.path = diffPath(line[4:])
	case bytes.HasPrefix(line, []byte("@@ ")):
		return d.flush(yield) && d.header(line, yield)
	case bytes.HasPrefix(line, []byte("@@@ ")):
		return yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: "a combined diff of a merge: use git diff against one parent"})
	case bytes.HasPrefix(line, []byte("Binary files ")), bytes.HasPrefix(line, []byte("GIT binary patch")):
		return yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: "a binary file in the diff"})
	case diffHeader(line):
	default:
		if len(d.rest)+len(line) > mostHunk {
			return yield(scanner.Blob{}, &scanner.Gap{Path: "stdin", Reason: "too much text between the diffs"})
		}
		d.rest = append(d.rest, line...)
	}
	return true
}

// diffHeader reports whether a line is one of git's headers of a file.
func diffHeader(line []byte) bool {
	for _, h := range []string{"index ", "old mode ", "new mode ", "new file mode ", "deleted file mode ", "similarity index ", "dissimilarity index ", "rename from ", "rename to ", "copy from ", "copy to "} {
		if bytes.HasPrefix(line, []byte(h)) {
			return true
		}
	}
	return false
}

// header begins a hunk: @@ -1,2 +3,4 @@.
func (d *Diff) header(line []byte, yield func(scanner.Blob, error) bool) bool {
	d.first, d.old, d.new = 0, 1, 1
	var from int
	f := strings.Fields(string(line))
	ok := len(f) >= 3 && diffRange(f[1], '-', &from, &d.old) && diffRange(f[2], '+', &d.first, &d.new)
	if !ok {
		d.old, d.new = 0, 0
		return yield(scanner.Blob{}, &scanner.Gap{Path: d.path, Reason: "a hunk of the diff without line numbers"})
	}
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
	switch line[0] {
	case '-':
		d.old--
		return true
	case '\\':
		return true
	case '+':
		d.new--
		d.add()
	default: // a line of both; some programs drop the blank of an empty one
		d.old--
		d.new--
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
// stands between the diffs counts as added.
func (d *Diff) Added(path string, first, last int) bool {
	list, known := d.added[path]
	if !known {
		return path == "stdin"
	}
	for _, r := range list {
		if r.from <= last && first <= r.to {
			return true
		}
	}
	return false
}

// diffPath is the path of a +++ line, without b/ and what diff -u writes after a tab.
func diffPath(line []byte) string {
	name, _, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), "\t")
	if strings.HasPrefix(name, `"`) {
		var unquoted string
		if _, err := fmt.Sscanf(name, "%q", &unquoted); err == nil {
			name = unquoted
		}
	}
	return strings.TrimPrefix(name, "b/")
}
