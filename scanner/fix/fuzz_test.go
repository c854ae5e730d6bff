package fix_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/tools/txtar"

	"github.com/keyward/keyward/scanner/fix"
)

// archives are the files of testdata, by name.
func archives(tb testing.TB) map[string]*txtar.Archive {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		tb.Fatal(files, err)
	}
	out := map[string]*txtar.Archive{}
	for _, name := range files {
		if out[name], err = txtar.ParseFile(name); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// FuzzFile: whatever a repository holds, fixing it neither panics nor loses what it
// was not asked to take out of a file that it leaves.
func FuzzFile(f *testing.F) {
	names := []string{".github/workflows/a.yml", "compose.yml", "k8s/a.yaml", "Dockerfile", "a.tf", "a.tfvars", ".npmrc", ".env", "a.go", "a.py", "a.js", "a.tsx", "A.java", "a.rb", "a.sh"}
	for _, ar := range archives(f) {
		for _, file := range ar.Files {
			data := plant(string(file.Data))
			for _, key := range keys {
				if i := bytes.Index(data, []byte(key)); i >= 0 {
					for n := range names {
						f.Add(byte(n), data, i, i+len(key))
					}
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte, start, end int) {
		if len(data) > 4096 || start < 0 || end > len(data) || start >= end {
			return
		}
		name := names[int(kind)%len(names)]
		r, err := fix.File(tree{}, name, data, []fix.Place{{Start: start, End: end, Name: "NAME"}})
		if err != nil {
			return
		}
		if len(r.Moved)+len(r.Left) != 1 {
			t.Errorf("%s: %d moved and %d left of one", name, len(r.Moved), len(r.Left))
		}
		if _, err := fix.File(tree{}, name, r.Data, nil); err != nil {
			t.Errorf("%s: what comes out does not parse: %v\n%s", name, err, r.Data)
		}
		if len(r.Moved) == 0 && !bytes.Equal(r.Data, data) {
			t.Errorf("%s: nothing was moved, and the file changed", name)
		}
	})
}

// TestEverywhere takes every word of every file of testdata for a key: what comes out
// parses, wherever the word stands.
func TestEverywhere(t *testing.T) {
	n := 0
	for archive, ar := range archives(t) {
		for _, file := range ar.Files {
			name, ok := strings.CutPrefix(file.Name, "before/")
			data := plant(string(file.Data))
			if !ok {
				continue
			}
			for _, m := range regexp.MustCompile(`[A-Za-z0-9_./:-]{4,}`).FindAllIndex(data, -1) {
				r, err := fix.File(tree{}, name, data, []fix.Place{{Start: m[0], End: m[1], Name: "NAME"}})
				if err != nil {
					continue
				}
				n++
				if _, err := fix.File(tree{}, name, r.Data, nil); err != nil {
					t.Errorf("%s: %q as the key: %v\n%s", archive, data[m[0]:m[1]], err, diff.Diff("before", data, "after", r.Data))
				}
			}
		}
	}
	if n < 300 {
		t.Errorf("%d words were tried", n)
	}
}
