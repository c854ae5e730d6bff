package hooks_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestWithoutGit scans a packed history without the git binary, again and again, as what
// reads it at once with other things sees it half at times; and one of which a commit is
// missing, which is not clean.
func TestWithoutGit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	for i := range 10 {
		put(t, dir, "file.txt", fmt.Sprintln("version", i))
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-qm", fmt.Sprint("Version ", i))
	}
	for _, branch := range []string{"a", "b", "c"} {
		git(t, dir, "checkout", "-qb", branch, "main")
		put(t, dir, branch+".env", "NAME="+branch+"\n")
		if branch == "a" {
			put(t, dir, "leak.env", "TOKEN="+gitlab+"\n")
		}
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-qm", branch)
	}
	git(t, dir, "repack", "-adq")
	git(t, dir, "pack-refs", "--all")
	for range 8 {
		told, said, code := keyward(dir, "", nil, "scan", "--history", "--no-git")
		said = told + said
		if want := "scanned 14 blobs"; code != 1 || !strings.Contains(said, want) || !strings.Contains(said, "in 13 commits") {
			t.Fatalf("got exit %d, want 1 and %q: %s", code, want, said)
		}
	}
	put(t, dir, filepath.Join(".git", "refs", "heads", "gone"), strings.Repeat("12", 20)+"\n")
	if _, said, code := keyward(dir, "", nil, "scan", "--history", "--no-git"); code != 2 || !strings.Contains(said, "refs/heads/gone") {
		t.Errorf("got exit %d, want 2 for a branch whose commit is not there: %s", code, said)
	}
}
