package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/scanner"
)

// gitIn runs git in a directory and returns what it prints.
func gitIn(t *testing.T, dir, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
	cmd.Env = append(scan.Environment(t.TempDir()), "GIT_AUTHOR_NAME=Dana", "GIT_AUTHOR_EMAIL=dana@users.example", "GIT_COMMITTER_NAME=Dana", "GIT_COMMITTER_EMAIL=dana@users.example")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// origin makes a repository that can be fetched from.
func origin(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "origin.git")
	gitIn(t, "", "", "init", "-q", "--bare", dir)
	gitIn(t, dir, "", "config", "uploadpack.allowAnySHA1InWant", "true")
	gitIn(t, dir, "", "symbolic-ref", "HEAD", "refs/heads/main")
	return dir
}

// levels makes a tree of so many levels of ten directories that are all the same, above
// ten times the same file.
func levels(t *testing.T, dir, text string, n int) string {
	id, kind := gitIn(t, dir, text, "hash-object", "-w", "--stdin"), "100644 blob"
	for range n + 1 {
		var in bytes.Buffer
		for i := range 10 {
			fmt.Fprintf(&in, "%s %s\t%d\n", kind, id, i)
		}
		id, kind = gitIn(t, dir, in.String(), "mktree"), "040000 tree"
	}
	return id
}

func jobOf(dir, head string) *scan.Job {
	return &scan.Job{Repository: 1, URL: dir, Head: head, Default: "main", IsDefault: true, Token: func(context.Context, bool) (string, error) { return "", nil }}
}

// TestPathBomb pushes ten million paths in a pack of a few objects: the scan ends with an
// error that is final, and says how many.
func TestPathBomb(t *testing.T) {
	t.Parallel()
	dir := origin(t)
	commit := gitIn(t, dir, "m", "commit-tree", levels(t, dir, "one line\n", 6))
	gitIn(t, dir, "", "update-ref", "refs/heads/main", commit)
	e, err := scan.New(&scan.Cache{Dir: t.TempDir()}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, work := range map[string]func(context.Context, *scan.Job) (*scan.Result, error){"push": e.Range, "history": e.History} {
		_, err := work(context.Background(), jobOf(dir, commit))
		var over *scanner.BudgetError
		if !errors.Is(err, scan.ErrTooLarge) || !errors.As(err, &over) || over.Count <= over.Limit || over.Limit != 500_000 {
			t.Errorf("%s: %v, want a final error with the count", name, err)
		}
	}
	sight, err := e.Look(context.Background(), jobOf(dir, commit), "fp", []scan.Spot{{Path: "a"}}, false)
	if err != nil || sight.Known || sight.AtHead {
		t.Errorf("look: %+v, %v; want that nothing is known", sight, err)
	}
}

// TestBudgets holds pushes and histories to budgets of their own.
func TestBudgets(t *testing.T) {
	t.Parallel()
	dir := origin(t)
	tree := levels(t, dir, "one line\n", 1) // 100 files
	first := gitIn(t, dir, "m", "commit-tree", tree)
	second := gitIn(t, dir, "m", "commit-tree", gitIn(t, dir, "", "mktree"), "-p", first)
	gitIn(t, dir, "", "update-ref", "refs/heads/main", second)
	gitIn(t, dir, "", "tag", "tree", tree)
	for _, tt := range []struct {
		name          string
		push, history scanner.Budget
		pushes, holds bool // within the budget
	}{
		{"defaults", scanner.Budget{}, scanner.Budget{}, true, true},
		{"exact", scanner.Budget{Changes: 200, OneCommit: 100, Commits: 2}, scanner.Budget{Changes: 202, OneCommit: 100, Commits: 2}, true, true},
		{"changes of a push", scanner.Budget{Changes: 199}, scanner.Budget{}, false, true},
		{"changes of a history and trees of refs", scanner.Budget{}, scanner.Budget{Changes: 201}, true, false},
		{"one commit", scanner.Budget{OneCommit: 99}, scanner.Budget{OneCommit: 99}, false, false},
		{"commits", scanner.Budget{Commits: 1}, scanner.Budget{Commits: 1}, false, false},
		{"paths", scanner.Budget{PathBytes: 200}, scanner.Budget{PathBytes: 200}, false, false},
	} {
		e, err := scan.New(&scan.Cache{Dir: t.TempDir()}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		e.PushBudget, e.HistoryBudget = tt.push, tt.history
		if _, err := e.Range(context.Background(), jobOf(dir, second)); (err == nil) != tt.pushes || err != nil && !errors.Is(err, scan.ErrTooLarge) {
			t.Errorf("%s: push: %v", tt.name, err)
		}
		if _, err := e.History(context.Background(), jobOf(dir, second)); (err == nil) != tt.holds || err != nil && !errors.Is(err, scan.ErrTooLarge) {
			t.Errorf("%s: history: %v", tt.name, err)
		}
	}
}

// TestManyLocations has one secret at very many paths: it is found at each profile of
// paths, the locations end at the budget, and that is no pass.
func TestManyLocations(t *testing.T) {
	t.Parallel()
	dir := origin(t)
	secret := "GITLAB_TOKEN=glpat-" + "x7KqF4KEn0tR3alZ9mWv" + "\n"
	many := levels(t, dir, secret, 2) // 1,000 files
	root := gitIn(t, dir, fmt.Sprintf("040000 tree %s\tsrc\n040000 tree %s\ttest\n", many, many), "mktree")
	commit := gitIn(t, dir, "m", "commit-tree", root)
	gitIn(t, dir, "", "update-ref", "refs/heads/main", commit)
	for name, limit := range map[string]int64{"all": 20_000, "few": 50} {
		e, err := scan.New(&scan.Cache{Dir: t.TempDir()}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		e.PushBudget.Findings, e.HistoryBudget.Findings = limit, limit
		for what, work := range map[string]func(context.Context, *scan.Job) (*scan.Result, error){"push": e.Range, "history": e.History} {
			res, err := work(context.Background(), jobOf(dir, commit))
			if err != nil || len(res.Keys) != 1 {
				t.Fatalf("%s, %s: %v, %+v", name, what, err, res)
			}
			places, inTest, outside := res.Keys[0].Places, false, false
			for _, p := range places {
				inTest, outside = inTest || p.InTest, outside || !p.InTest
			}
			if !inTest || !outside {
				t.Errorf("%s, %s: in tests %v, elsewhere %v", name, what, inTest, outside)
			}
			if complete := res.Coverage.Complete(); complete != (limit > 2000) || complete && len(places) != 2000 || !complete && len(places) > 60 {
				t.Errorf("%s, %s: %d locations, gaps %v", name, what, len(places), res.Coverage.Gaps)
			}
		}
	}
}

// TestManyFindings has more secrets in one file than the budget keeps: the first are
// reported, the others are counted, and that is no pass.
func TestManyFindings(t *testing.T) {
	t.Parallel()
	dir := origin(t)
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, "GITLAB_TOKEN_%d=glpat-x7Kqx%02dqx7Kqx7Kqx7Kq\n", i, i)
	}
	blob := gitIn(t, dir, text.String(), "hash-object", "-w", "--stdin")
	commit := gitIn(t, dir, "m", "commit-tree", gitIn(t, dir, "100644 blob "+blob+"\ta.env\n", "mktree"))
	gitIn(t, dir, "", "update-ref", "refs/heads/main", commit)
	e, err := scan.New(&scan.Cache{Dir: t.TempDir()}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	e.PushBudget.Findings = 40
	res, err := e.Range(context.Background(), jobOf(dir, commit))
	if err != nil || len(res.Keys) != 40 || len(res.Coverage.Gaps) != 1 || res.Coverage.Gaps[0].Reason != "100 findings, only the first 40 are reported" {
		t.Errorf("%v, %d keys, gaps %v", err, len(res.Keys), res.Coverage.Gaps)
	}
}
