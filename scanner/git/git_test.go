package git

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
)

// makeRepo makes a repository with the real git: commits of width changed
// files each, below dirs directories.
func makeRepo(t testing.TB, commits, width, dirs int) string {
	t.Helper()
	dir := t.TempDir()
	var in bytes.Buffer // of git fast-import: quicker than a process for each commit
	for c := range commits {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Dana Dev <dana@example.com> %d +0000\ndata 3\nc%d\n", 1_700_000_000+c*60, c%10)
		for f := range width {
			text := fmt.Sprintf("version %d of file %d\n%s", c, f, strings.Repeat("some text that stays the same\n", 40))
			fmt.Fprintf(&in, "M 100644 inline d%d/f%d.txt\ndata %d\n%s\n", (c+f)%dirs, f, len(text), text)
		}
	}
	run(t, dir, nil, "init", "-q", "-b", "main")
	run(t, dir, &in, "fast-import", "--quiet")
	run(t, dir, nil, "read-tree", "-m", "main")
	return dir
}

func run(t testing.TB, dir string, stdin io.Reader, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func open(t testing.TB, dir string, noGit bool) *Repo {
	t.Helper()
	r, err := Open(context.Background(), dir, Options{NoGit: noGit})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// history reads everything that the history has and returns its size.
func history(t testing.TB, r *Repo) (blobs int, size int64) {
	t.Helper()
	ctx := context.Background()
	changes, _, err := r.History(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range r.Blobs(ctx, changes, nil, files.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		blobs++
		size += int64(len(b.Data))
	}
	return blobs, size
}

// TestBothWays holds the way through git and the way through go-git equal.
func TestBothWays(t *testing.T) {
	dir := makeRepo(t, 60, 5, 7)
	ctx := context.Background()
	a, b := open(t, dir, false), open(t, dir, true)
	for _, g := range []Range{{all: true}, {Include: []string{"main"}, Exclude: []string{"main~10"}, Renames: true}} {
		x, n, err := a.Changes(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		y, m, err := b.Changes(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		set := map[string]bool{}
		for _, c := range x {
			set[c.Commit+c.Path+c.ID] = true
		}
		for _, c := range y {
			if !g.all && !set[c.Commit+c.Path+c.ID] {
				t.Errorf("%+v: go-git says %+v, git does not", g, c)
			}
		}
		if n != m || !g.all && len(x) != len(y) {
			t.Errorf("%+v: git: %d commits, %d changes; go-git: %d, %d", g, n, len(x), m, len(y))
		}
	}
	blobs, size := history(t, a)
	if blobs2, size2 := history(t, b); blobs != blobs2 || size != size2 || blobs != 360 {
		t.Errorf("git: %d blobs, %d bytes; go-git: %d, %d; want 360 of both", blobs, size, blobs2, size2)
	}
}

func TestNormaliseURL(t *testing.T) {
	for _, u := range []string{
		"https://github.com/Acme/Widgets.git", "https://user:" + "fake-token@github.com/acme/widgets", "git@github.com:acme/widgets.git",
		"ssh://git@github.com:22/acme/widgets.git/", "git://github.com/acme/widgets",
	} {
		if got, want := normaliseURL(u), "github.com/acme/widgets"; got != want {
			t.Errorf("%s: got %s, want %s", u, got, want)
		}
	}
}

func FuzzRawParser(f *testing.F) {
	f.Add([]byte("0123456789012345678901234567890123456789\x00:100644 100644 0123456789012345678901234567890123456789 0123456789012345678901234567890123456780 M\x00a.txt\x00"))
	f.Add([]byte("::100644 100644 100644 a b c MM\x00a\x00"))
	f.Add([]byte(":000000 100644 0 1 R100\x00a\x00b\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var changes []Change
		p := keepAll((&Repo{Budget: scanner.Budget{}.Or(scanner.Budget{})}).meter(), &changes)
		_ = p.parse(bytes.NewReader(data)) // an error is an answer, a panic is not
		for _, c := range changes {
			if c.ID == "" {
				t.Errorf("%q: a change without a blob: %+v", data, c)
			}
		}
	})
}

// BenchmarkSources compares git and go-git where the package comment says why
// each is used.
func BenchmarkSources(b *testing.B) {
	hist := makeRepo(b, 1500, 12, 40)
	wide := makeRepo(b, 1, 10_000, 100)
	if err := os.WriteFile(filepath.Join(wide, "new.txt"), []byte("one line\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	run(b, wide, nil, "add", "new.txt")
	for _, noGit := range []bool{false, true} {
		name := map[bool]string{false: "git", true: "go-git"}[noGit]
		b.Run("history/"+name, func(b *testing.B) {
			for b.Loop() {
				_, size := history(b, open(b, hist, noGit))
				b.SetBytes(size)
			}
		})
		b.Run("staged/"+name, func(b *testing.B) {
			for b.Loop() {
				changes, err := open(b, wide, noGit).Staged(context.Background())
				if err != nil || len(changes) != 1 {
					b.Fatalf("got %d changes, %v; want 1", len(changes), err)
				}
			}
		})
	}
}

// TestWarnings: what git complains of and goes on is kept, advice is not.
func TestWarnings(t *testing.T) {
	r := &Repo{}
	r.warn("warning: could not open directory 'priv/': Permission denied\nhint: try again\nwarning: exhaustive rename detection was skipped due to too many files.\n\n")
	if got := r.Warnings(); len(got) != 1 || !strings.Contains(got[0], "priv/") {
		t.Errorf("got %q, want the directory that could not be opened", got)
	}
}

// TestFirstFile: of several files the first that is there counts. A revision that is not
// there has no file, and is an error where one of several is asked for.
func TestFirstFile(t *testing.T) {
	dir := makeRepo(t, 2, 2, 1)
	r := open(t, dir, false)
	ctx := context.Background()
	name, data, err := r.FirstFile(ctx, "main", []string{"none", "d0/f1.txt", "d0/f0.txt"}, 1<<20)
	if err != nil || name != "d0/f1.txt" || !strings.HasPrefix(string(data), "version 1 of file 1\n") {
		t.Errorf("got %q, %.30q, %v", name, data, err)
	}
	if name, data, err := r.FirstFile(ctx, "main", []string{"none"}, 1<<20); err != nil || name != "" || data != nil {
		t.Errorf("a file that is not there: got %q, %q, %v", name, data, err)
	}
	gone := strings.Repeat("12", 20)
	if _, _, err := r.FirstFile(ctx, gone, []string{"d0/f0.txt"}, 1<<20); err == nil {
		t.Error("a revision that is not there is no error")
	}
	if data, err := r.File(ctx, gone, "d0/f0.txt", 1<<20); err != nil || data != nil {
		t.Errorf("a file of a revision that is not there: got %q, %v", data, err)
	}
}
