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
	want := []string{"x.env: old line\nadded one\nadded two\nlast\n", "spät.txt: --- not a header\n", "spät.txt: a binary file in the diff", "stdin: between\n"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range []struct {
		path        string
		first, last int
		added       bool
	}{{"x.env", 3, 3, false}, {"x.env", 4, 4, true}, {"x.env", 5, 9, true}, {"x.env", 6, 6, false}, {"spät.txt", 1, 1, true}, {"other", 1, 1, false}, {"stdin", 1, 1, true}} {
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
