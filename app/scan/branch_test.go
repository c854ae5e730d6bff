package scan_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/app/scan"
)

// TestDefaultBranchNames scans repositories whose default branch has an unusual name, or one
// that is not known: what is new on another branch is found, and only that.
func TestDefaultBranchNames(t *testing.T) {
	t.Parallel()
	git := func(dir, in string, args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Stdin, cmd.Env = dir, strings.NewReader(in), scan.Environment(t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, tt := range []struct{ branch, known string }{
		{"main", "main"}, {"größe", "größe"}, {"release+1", "release+1"}, {"日本語/v1", "日本語/v1"}, {"-x", "-x"}, {"a;b'c$(d)", "a;b'c$(d)"},
		{"größe", ""}, {"main", "main~1"}, {"main", "main:refs/heads/evil"}, {"main", "x --upload-pack=evil"},
	} {
		dir := filepath.Join(t.TempDir(), "origin.git")
		git("", "", "init", "-q", "--bare", dir)
		git(dir, "", "config", "uploadpack.allowAnySHA1InWant", "true")
		git(dir, "", "symbolic-ref", "HEAD", "refs/heads/"+tt.branch)
		var in strings.Builder
		for i, ref := range []string{"refs/heads/" + tt.branch, "refs/heads/" + tt.branch, "refs/heads/feature"} {
			fmt.Fprintf(&in, "commit %s\nmark :%d\ncommitter Dana <dana@users.example> %d +0000\ndata 1\nm\n", ref, i+1, 1_700_000_000+i)
			if i > 0 {
				fmt.Fprintf(&in, "from :%d\n", i)
			}
			fmt.Fprintf(&in, "M 100644 inline f%d.txt\ndata 2\n%d\n\n", i, i)
		}
		git(dir, in.String(), "fast-import", "--quiet")
		e, err := scan.New(&scan.Cache{Dir: t.TempDir()}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		tip := git(dir, "", "rev-parse", "refs/heads/"+tt.branch)
		job := scan.Job{Repository: 1, URL: dir, Head: git(dir, "", "rev-parse", "refs/heads/feature"), Default: tt.known, Token: func(context.Context, bool) (string, error) { return "", nil }}
		ranged := job
		res, err := e.Range(context.Background(), &ranged)
		if err != nil || res.Base != tip || res.Coverage.Commits != 1 || len(res.Notes) != 0 {
			t.Errorf("%+v: range: %v, %+v, want 1 commit after %s", tt, err, res, tip)
		}
		all := job
		all.Head = ""
		res, err = e.History(context.Background(), &all)
		if err != nil || res.Head != tip || res.Coverage.Commits != 3 || !res.Coverage.Complete() {
			t.Errorf("%+v: history: %v, %+v, want 3 commits and the head %s", tt, err, res, tip)
		}
	}
}
