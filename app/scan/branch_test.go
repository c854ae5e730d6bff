package scan_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/scanner/rules"
)

// git runs git in dir with in on its standard input, and returns what it prints.
func git(t *testing.T, dir, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin, cmd.Env = dir, strings.NewReader(in), scan.Environment(t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestDefaultBranchNames scans repositories whose default branch has an unusual name, or one
// that is not known: what is new on another branch is found, and only that.
func TestDefaultBranchNames(t *testing.T) {
	t.Parallel()
	git := func(dir, in string, args ...string) string { return git(t, dir, in, args...) }
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

// TestMergeOfDefault merges the default branch, where a key is, into a topic: the check of
// the push says what that of the pull request says, which is nothing new. What the topic
// brings itself is found, and so is a key of a commit that both branches were pushed at.
func TestMergeOfDefault(t *testing.T) {
	t.Parallel()
	rule, err := rules.ByID()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "origin.git")
	git(t, "", "", "init", "-q", "--bare", "--initial-branch=main", dir)
	git(t, dir, "", "config", "uploadpack.allowAnySHA1InWant", "true")
	var in strings.Builder
	n := 0
	commit := func(branch, parents, file, text string) {
		n++
		fmt.Fprintf(&in, "commit refs/heads/%s\nmark :%d\ncommitter Dana <dana@users.example> %d +0000\ndata 1\nm\n%s", branch, n, 1_700_000_000+n, parents)
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n\n", file, len(text), text)
	}
	commit("main", "", "a.txt", "clean")
	commit("main", "from :1\n", "b.env", rule["tailscale-scim-key"].Match[0])
	commit("topic", "from :1\n", "c.txt", "clean")
	commit("topic", "from :3\nmerge :2\n", "b.env", rule["tailscale-scim-key"].Match[0])
	commit("topic", "from :4\n", "d.env", rule["gitlab-pat"].Match[0])
	git(t, dir, in.String(), "fast-import", "--quiet", "--export-marks="+filepath.Join(dir, "marks"))
	id := map[string]string{}
	marks, err := os.ReadFile(filepath.Join(dir, "marks"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(marks)) {
		mark, commit, _ := strings.Cut(strings.TrimSpace(line), " ")
		id[mark] = commit
	}
	e, err := scan.New(&scan.Cache{Dir: t.TempDir()}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what, base, head string
		fromBase         bool
		want             int
	}{
		{"push of the merge", ":3", ":4", false, 0},
		{"pull request with the merge", ":2", ":4", true, 0},
		{"push of the merge and a key", ":3", ":5", false, 1},
		{"pull request with the merge and a key", ":2", ":5", true, 1},
		{"push of the default branch's commit to another branch", ":1", ":2", false, 1},
	} {
		job := scan.Job{Repository: 1, URL: dir, Base: id[tt.base], Head: id[tt.head], FromBase: tt.fromBase, Default: "main", Token: func(context.Context, bool) (string, error) { return "", nil }}
		res, err := e.Range(context.Background(), &job)
		if err != nil || len(res.Keys) != tt.want || !res.Coverage.Complete() {
			t.Errorf("%s: %v, %+v, want %d keys", tt.what, err, res, tt.want)
		}
	}
}
