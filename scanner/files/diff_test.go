package files_test

import (
	"bufio"
	"strings"
	"testing"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
)

const aDiff = `diff --git a/x.env b/x.env
index 1..2 100644
--- a/x.env
+++ b/x.env
@@ -3,3 +3,4 @@ section
 old line
-removed
+added one
+added two
 last
diff --git "a/sp\303\244t.txt" "b/sp\303\244t.txt"
new file mode 100644
--- /dev/null
+++ "b/sp\303\244t.txt"
@@ -0,0 +1 @@
+--- not a header
diff --git a/p.png b/p.png
Binary files a/p.png and b/p.png differ
between
`

func TestDiff(t *testing.T) {
	if !files.IsDiff([]byte(aDiff)) || files.IsDiff([]byte("--- a\ntext\n")) || files.IsDiff([]byte("# diff --git\n")) {
		t.Error("a diff is not told from another text")
	}
	d := files.NewDiff(bufio.NewReader(strings.NewReader(aDiff)))
	var got []string
	d.Blobs(func(b scanner.Blob, err error) bool {
		if err != nil {
			got = append(got, err.Error())
		} else {
			got = append(got, b.Path+": "+string(b.Data))
		}
		return true
	})
	want := []string{"x.env: old line\nadded one\nadded two\nlast\n", "spät.txt: --- not a header\n", "spät.txt: a binary file in the diff"}
	if len(got) != 4 || strings.Join(got[:3], "|") != strings.Join(want, "|") || !strings.HasSuffix(got[3], "between\n") {
		t.Errorf("got %q, want %q and what is outside of the hunks", got, want)
	}
	for _, c := range []struct {
		path        string
		first, last int
		added       bool
	}{{"x.env", 3, 3, false}, {"x.env", 4, 4, true}, {"x.env", 5, 9, true}, {"x.env", 6, 6, false}, {"spät.txt", 1, 1, true}, {"other", 1, 1, false}, {"stdin", 1, 1, false}, {"standard input, outside of the hunks", 1, 1, true}} {
		if d.Added(c.path, c.first, c.last) != c.added {
			t.Errorf("%s:%d-%d: added %t, want %t", c.path, c.first, c.last, !c.added, c.added)
		}
	}
}

func FuzzDiff(f *testing.F) {
	f.Add(aDiff)
	f.Add("--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		d := files.NewDiff(bufio.NewReader(strings.NewReader(text)))
		d.Blobs(func(b scanner.Blob, err error) bool {
			n += len(b.Data)
			return true
		})
		if n > len(text) {
			t.Errorf("%d bytes out of %d", n, len(text))
		}
	})
}

// TestHostileDiff holds that nothing that a diff adds goes unseen, whatever its headers say.
func TestHostileDiff(t *testing.T) {
	long := strings.Repeat("x", 5<<20)
	for name, c := range map[string]struct{ text, want string }{
		"line 0":          {"--- a/x\n+++ b/x\n@@ -0,0 +0,1 @@\n+SECRET\n", "SECRET"},
		"huge numbers":    {"--- a/x\n+++ b/x\n@@ -0,0 +9223372036854775806,3 @@\n+SECRET\n", "SECRET"},
		"file stdin":      {"--- a/stdin\n+++ b/stdin\n@@ -8,1 +9,1 @@\n x\n+SECRET\n", "SECRET"},
		"too short":       {"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n++ SECRET\n", "SECRET"},
		"too long":        {"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,200 @@\n+b\ndiff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n+SECRET\n", "SECRET"},
		"like a header":   {"--- a/x\n+++ b/x\n@@ -1 +1 @@\n+a\nindex SECRET\n", "SECRET"},
		"in a path":       {"diff --git a/x b/SECRET\nrename to SECRET\n", "SECRET"},
		"after long line": {"--- a/x\n+++ b/x\n@@ -1 +1,3 @@\n+a\n+" + long + "\n+SECRET\n", "SECRET"},
	} {
		d := files.NewDiff(bufio.NewReader(strings.NewReader(c.text)))
		seen := false
		d.Blobs(func(b scanner.Blob, err error) bool {
			for i, line := range strings.Split(string(b.Data), "\n") {
				n := max(b.Line, 1) + i
				seen = seen || strings.Contains(line, c.want) && d.Added(b.Path, n, n)
			}
			return true
		})
		if !seen {
			t.Errorf("%s: an added line is not seen", name)
		}
	}
}
