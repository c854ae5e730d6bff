package git

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/scanner"
)

// bomb makes a repository whose one commit has so many levels of directories, each with
// ten entries that are all the same, above ten files: a few objects, 10^(levels+1) paths.
func bomb(t testing.TB, levels int) (dir, commit string) {
	t.Helper()
	dir = t.TempDir()
	run(t, dir, nil, "init", "-q", "--bare", ".")
	id := strings.TrimSpace(run(t, dir, strings.NewReader("one line\n"), "hash-object", "-w", "--stdin"))
	kind := "100644 blob"
	for range levels + 1 {
		var in bytes.Buffer
		for i := range 10 {
			fmt.Fprintf(&in, "%s %s\t%d\n", kind, id, i)
		}
		id = strings.TrimSpace(run(t, dir, &in, "mktree"))
		kind = "040000 tree"
	}
	commit = commitOf(t, dir, id)
	run(t, dir, nil, "update-ref", "refs/heads/main", commit)
	run(t, dir, nil, "symbolic-ref", "HEAD", "refs/heads/main")
	return dir, commit
}

// commitOf makes a commit of a tree with parents, of which there may be the same twice.
func commitOf(t testing.TB, dir, tree string, parents ...string) string {
	t.Helper()
	text := "tree " + tree + "\n"
	for _, p := range parents {
		text += "parent " + p + "\n"
	}
	text += "author Dana <dana@users.example> 1700000000 +0000\ncommitter Dana <dana@users.example> 1700000000 +0000\n\nm\n"
	return strings.TrimSpace(run(t, dir, strings.NewReader(text), "hash-object", "-t", "commit", "-w", "--stdin"))
}

// listings are the ways to list what a scan reads.
func listings(commit string) map[string]func(*Repo) error {
	ctx := context.Background()
	return map[string]func(*Repo) error{
		"history": func(r *Repo) error { _, _, err := r.History(ctx); return err },
		"range": func(r *Repo) error {
			_, _, err := r.Changes(ctx, Range{Include: []string{commit}, Renames: true})
			return err
		},
		"lookup": func(r *Repo) error {
			_, _, err := r.Changes(ctx, Range{Include: []string{commit}})
			return err
		},
		"push": func(r *Repo) error {
			_, _, err := r.Arrivals(ctx, []Update{{Ref: "refs/heads/main", New: commit}}, NotRemotes)
			return err
		},
		"tree": func(r *Repo) error { _, err := r.Tree(ctx, commit); return err },
		"refs": func(r *Repo) error { _, err := r.OddRefs(ctx); return err },
		"tree in a push": func(r *Repo) error {
			out, err := r.output(ctx, "rev-parse", commit+"^{tree}")
			if err != nil {
				return err
			}
			tree := strings.TrimSpace(string(out))
			_, _, err = r.Arrivals(ctx, []Update{{Ref: "refs/tags/tree", New: tree}}, NotRemotes)
			return err
		},
	}
}

// over runs a listing with a budget, and checks what it says there is too much of.
func over(t *testing.T, dir, what string, budget scanner.Budget, noGit bool, list func(*Repo) error) {
	t.Helper()
	r, err := Open(context.Background(), dir, Options{NoGit: noGit, Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	err = list(r)
	var e *scanner.BudgetError
	if !errors.As(err, &e) || e.What != what || e.Count <= e.Limit {
		t.Errorf("noGit %v: got %v, want a budget error about %s", noGit, err, what)
	}
}

// TestBudget holds each listing to each of its limits, with git and without.
func TestBudget(t *testing.T) {
	dir := makeRepo(t, 20, 3, 4)
	commit := strings.TrimSpace(run(t, dir, nil, "rev-parse", "main"))
	tree := strings.TrimSpace(run(t, dir, nil, "rev-parse", "main^{tree}"))
	first := strings.TrimSpace(run(t, dir, nil, "rev-list", "--max-parents=0", "main"))
	merge := commitOf(t, dir, tree, commit, first, first, commit)
	for i := range 4 { // trees that refs name
		run(t, dir, nil, "tag", fmt.Sprintf("tree-%d", i), tree)
		run(t, dir, nil, "tag", fmt.Sprintf("blob-%d", i), commit+":d0/f0.txt")
	}
	lists := listings(commit)
	merged := listings(merge)
	ctx := context.Background()
	for _, tt := range []struct {
		list   string
		what   string
		budget scanner.Budget
		git    bool // only with git
	}{
		{"history", whatCommits, scanner.Budget{Commits: 19}, false},
		{"range", whatCommits, scanner.Budget{Commits: 19}, false},
		{"lookup", whatCommits, scanner.Budget{Commits: 19}, false},
		{"push", whatCommits, scanner.Budget{Commits: 19}, true},
		{"history", whatChanges, scanner.Budget{Changes: 59}, false},
		{"range", whatChanges, scanner.Budget{Changes: 59}, false},
		{"lookup", whatChanges, scanner.Budget{Changes: 59}, false},
		{"push", whatChanges, scanner.Budget{Changes: 59}, true},
		{"history", whatOneCommit, scanner.Budget{OneCommit: 2}, false},
		{"range", whatOneCommit, scanner.Budget{OneCommit: 2}, false},
		{"push", whatOneCommit, scanner.Budget{OneCommit: 2}, true},
		{"tree", whatTree, scanner.Budget{OneCommit: 11}, false},
		{"refs", whatTree, scanner.Budget{OneCommit: 11}, false},
		{"tree in a push", whatTree, scanner.Budget{OneCommit: 11}, true},
		{"history", whatPathBytes, scanner.Budget{PathBytes: 40}, false},
		{"range", whatPathBytes, scanner.Budget{PathBytes: 40}, false},
		{"push", whatPathBytes, scanner.Budget{PathBytes: 40}, true},
		{"tree", whatPathBytes, scanner.Budget{PathBytes: 40}, false},
		{"refs", whatRefs, scanner.Budget{Refs: 8}, true}, // go-git counts those of the history
		{"refs", whatChanges, scanner.Budget{Changes: 11}, false},
		{"merge", whatParents, scanner.Budget{Parents: 3}, false},
		{"merge in a push", whatParents, scanner.Budget{Parents: 3}, true},
		{"unreachable", whatChanges, scanner.Budget{Changes: 10}, true},
		{"staged", whatTree, scanner.Budget{OneCommit: 11}, false},
		{"staged", whatPathBytes, scanner.Budget{PathBytes: 40}, false},
		{"many refs", whatRefs, scanner.Budget{Refs: 2}, true},
	} {
		t.Run(tt.list+"/"+tt.what, func(t *testing.T) {
			list := lists[tt.list]
			at := dir
			switch tt.list {
			case "merge":
				list = merged["range"]
			case "merge in a push":
				list = merged["push"]
			case "unreachable":
				list = func(r *Repo) error { _, err := r.Unreachable(ctx, newList()); return err }
			case "many refs":
				list = func(r *Repo) error {
					_, _, err := r.Arrivals(ctx, []Update{{New: commit}, {New: commit}, {New: commit}}, NotRemotes)
					return err
				}
			case "staged":
				at = t.TempDir() // without a commit
				run(t, at, nil, "init", "-q", "-b", "main")
				run(t, at, nil, "fetch", "-q", dir, "main:refs/heads/other")
				run(t, at, nil, "read-tree", "other")
				list = func(r *Repo) error { _, err := r.Staged(ctx); return err }
			}
			over(t, at, tt.what, tt.budget, false, list)
			if !tt.git {
				over(t, at, tt.what, tt.budget, true, list)
			}
		})
	}
	for name, list := range lists { // all of it fits
		budget := scanner.Budget{Commits: 20, Changes: 72, OneCommit: 12, PathBytes: 144, Refs: 9, Parents: 1}
		for _, noGit := range []bool{false, true} {
			r, err := Open(ctx, dir, Options{NoGit: noGit, Budget: budget})
			if err != nil {
				t.Fatal(err)
			}
			if err := list(r); err != nil && !(noGit && strings.Contains(name, "push")) {
				t.Errorf("%s, noGit %v: %v, though it is within the budget", name, noGit, err)
			}
		}
	}
}

// TestScale holds what a scale counts to what git lists.
func TestScale(t *testing.T) {
	dir := makeRepo(t, 30, 4, 5)
	blob := strings.TrimSpace(run(t, dir, nil, "rev-parse", "main:d2/f0.txt"))
	main := strings.TrimSpace(run(t, dir, nil, "rev-parse", "main"))
	tree := func(paths ...string) string {
		var in bytes.Buffer
		for _, p := range paths {
			fmt.Fprintf(&in, "100644 %s\t%s\n", blob, p)
		}
		run(t, dir, nil, "read-tree", "--empty")
		run(t, dir, &in, "update-index", "--index-info")
		return strings.TrimSpace(run(t, dir, nil, "write-tree"))
	}
	a := commitOf(t, dir, tree("a", "b/c", "b/d", "x/y/z"), main)
	b := commitOf(t, dir, tree("a/b", "a/c", "b", "x/y/z", "x/z"), main)
	c := commitOf(t, dir, tree("a/b", "b/c", "b/e", "x/y/z"), a, b)
	d := commitOf(t, dir, tree(), c, main, a)
	run(t, dir, nil, "update-ref", "refs/heads/main", d)
	r := open(t, dir, false)
	s, err := r.newScale(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, id := range strings.Fields(run(t, dir, nil, "rev-list", "main")) {
		out := run(t, dir, nil, "diff-tree", "--no-commit-id", "-r", "-c", "--root", "--raw", "--no-renames", id)
		want := load{}
		for line := range strings.Lines(out) {
			want.changes++
			want.bytes += int64(len(strings.TrimSpace(line[strings.IndexByte(line, '\t'):])))
		}
		if err := s.commit(id); err != nil || s.sum != want {
			t.Errorf("commit %s: %+v, %v; want %+v", id, s.sum, err, want)
		}
	}
}

// TestDeep weighs directories within directories, of which git's own walk would crash.
func TestDeep(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, nil, "init", "-q", "--bare", ".")
	write := func(kind, body string) [20]byte {
		raw := fmt.Sprintf("%s %d\x00%s", kind, len(body), body)
		id := sha1.Sum([]byte(raw))
		name := filepath.Join(dir, "objects", fmt.Sprintf("%x", id[:1]), fmt.Sprintf("%x", id[1:]))
		var packed bytes.Buffer
		z := zlib.NewWriter(&packed)
		if _, err := z.Write([]byte(raw)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(z.Close(), os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, packed.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
		return id
	}
	blob := write("blob", "one line\n")
	id := write("tree", "100644 f\x00"+string(blob[:]))
	for range mostLevels + 1 {
		id = write("tree", "40000 a\x00"+string(id[:]))
	}
	commit := commitOf(t, dir, fmt.Sprintf("%x", id))
	r := open(t, dir, false)
	var e *scanner.BudgetError
	if err := r.weigh(context.Background(), []byte(commit+"\n"), &Range{}, 0); !errors.As(err, &e) || e.What != tooDeep {
		t.Errorf("got %v, want a budget error about %s", err, tooDeep)
	}
}

// TestSubmodules counts links to other repositories as files: git lists them alike.
func TestSubmodules(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, nil, "init", "-q", "--bare", ".")
	var in bytes.Buffer
	for i := range 5 {
		fmt.Fprintf(&in, "160000 commit %040d\tmodule-%d\n", i+1, i)
	}
	commit := commitOf(t, dir, strings.TrimSpace(run(t, dir, &in, "mktree")))
	lists := listings(commit)
	for name, what := range map[string]string{"push": whatOneCommit, "range": whatOneCommit, "tree": whatTree} {
		over(t, dir, what, scanner.Budget{OneCommit: 4}, false, lists[name])
		over(t, dir, whatPathBytes, scanner.Budget{PathBytes: 39}, false, lists[name])
	}
}
