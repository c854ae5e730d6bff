package scan_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyward/keyward/app/scan"
)

// TestDamagedCopy: a copy with broken bytes in it is made anew. What it lacks never counts as
// "there is no default branch": then the policy on it would not hold.
func TestDamagedCopy(t *testing.T) {
	git := func(dir, in string, args ...string) string {
		return git(t, dir, in, append([]string{"-c", "user.name=Dana", "-c", "user.email=dana@users.example"}, args...)...)
	}
	dir := t.TempDir()
	git(dir, "", "init", "-q", "-b", "main", "repo")
	repo := filepath.Join(dir, "repo")
	for n := range 3 {
		for i := range 20 {
			if err := os.MkdirAll(filepath.Join(repo, fmt.Sprint("d", i)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(repo, fmt.Sprint("d", i), "a.txt"), fmt.Appendf(nil, "version %d of file %d\n", n, i), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(repo, ".keyward.toml"), []byte("[app]\nfail-on = \"none\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		git(repo, "", "add", "-A")
		git(repo, "", "commit", "-q", "-m", fmt.Sprint("Version ", n))
	}
	git(repo, "", "config", "uploadpack.allowAnySHA1InWant", "true")
	head := git(repo, "", "rev-parse", "HEAD")
	failed := 0
	for at := 2600; at < 3100; at += 29 { // where the pack has its trees
		cache := filepath.Join(t.TempDir(), "cache")
		e, err := scan.New(&scan.Cache{Dir: cache}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		job := func() *scan.Job {
			return &scan.Job{Repository: 1, URL: repo, Head: head, Base: git(repo, "", "rev-parse", "HEAD~1"), Default: "main", IsDefault: true, Token: func(context.Context, bool) (string, error) { return "", nil }}
		}
		if _, err := e.Range(t.Context(), job()); err != nil {
			t.Fatal(err)
		}
		packs, err := filepath.Glob(filepath.Join(cache, "1.git", "objects", "pack", "*.pack"))
		if err != nil || len(packs) == 0 {
			t.Fatal(packs, err)
		}
		for _, pack := range packs {
			text, err := os.ReadFile(pack)
			if err != nil {
				t.Fatal(err)
			}
			if at+4 < len(text)-20 {
				copy(text[at:], "\xff\xff\xff\xff")
			}
			if err := os.Chmod(pack, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(pack, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(repo, "d0", "a.txt"), fmt.Appendf(nil, "after damage at %d\n", at), 0o600); err != nil {
			t.Fatal(err)
		}
		git(repo, "", "commit", "-q", "-a", "-m", "Change")
		head = git(repo, "", "rev-parse", "HEAD")
		r, err := e.Range(t.Context(), job()) // has to fetch into the damaged copy
		if err == nil && r.Policy.App.FailOn != "none" {
			t.Errorf("damage at byte %d: scanned without the policy of the default branch", at)
		}
		if err != nil {
			failed++
			t.Logf("damage at byte %d: %v", at, err)
		}
	}
	if failed > 0 {
		t.Errorf("%d damaged copies were not made anew", failed)
	}
}
