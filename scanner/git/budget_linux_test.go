package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/keyward/keyward/scanner"
)

// TestBomb lists ten million paths that a few objects hold. Neither git nor this process
// may hold them.
func TestBomb(t *testing.T) {
	dir, commit := bomb(t, 6)
	empty := strings.TrimSpace(run(t, dir, strings.NewReader(""), "mktree"))
	cleared := commitOf(t, dir, empty, commit)
	run(t, dir, nil, "tag", "tree", commit+"^{tree}")
	for _, head := range []string{commit, cleared} { // deletions are listed, too
		run(t, dir, nil, "update-ref", "refs/heads/main", head)
		for name, list := range listings(head) {
			t.Run(name, func(t *testing.T) {
				r, err := Open(context.Background(), dir, Options{})
				if err != nil {
					t.Fatal(err)
				}
				err = list(r)
				var e *scanner.BudgetError
				if head == cleared && strings.HasPrefix(name, "tree") {
					return // it is empty
				}
				if !errors.As(err, &e) || e.Count <= e.Limit {
					t.Errorf("got %v, want a budget error", err)
				}
			})
		}
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used); err != nil {
		t.Fatal(err)
	}
	if used.Maxrss > 250<<10 {
		t.Errorf("a git process took %d kB", used.Maxrss)
	}
	t.Logf("git took %d kB at most", used.Maxrss)
}

// TestMemory has git reach its limit of memory, in a merge whose parents it reads all at
// once, and says so.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, nil, "init", "-q", "--bare", ".")
	blob := strings.TrimSpace(run(t, dir, strings.NewReader("x"), "hash-object", "-w", "--stdin"))
	var in bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&in, "100644 blob %s\tfile-%05d\n", blob, i)
	}
	tree := strings.TrimSpace(run(t, dir, &in, "mktree"))
	base := commitOf(t, dir, tree)
	parents := make([]string, 1000)
	for i := range parents {
		parents[i] = base
	}
	merge := commitOf(t, dir, tree, parents...)
	r, err := Open(context.Background(), dir, Options{Budget: scanner.Budget{OneCommit: 10, PathBytes: 1000, Parents: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = r.Changes(context.Background(), Range{Include: []string{merge}, Exclude: []string{base}})
	var e *scanner.BudgetError
	if !errors.As(err, &e) || e.What != "bytes of memory" {
		t.Errorf("got %v, want a budget error about memory", err)
	}
}
