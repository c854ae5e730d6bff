package git

import (
	"bytes"
	"sync/atomic"

	"github.com/keyward/keyward/scanner"
)

// A meter counts what one listing holds against the budget. Several processes of git may
// be counted at once.
type meter struct {
	scanner.Budget
	changes, paths atomic.Int64
}

func (r *Repo) meter() *meter { return &meter{Budget: r.Budget} }

// What a budget counts, as errors call it.
const (
	whatChanges   = "changed files"
	whatOneCommit = "changed files in one commit"
	whatTree      = "files in one tree"
	whatPathBytes = "bytes of paths"
	whatCommits   = "commits"
	whatParents   = "parents of one commit"
	whatRefs      = "refs"
	whatOddTrees  = "trees that refs name"
)

// change counts changes.
func (m *meter) change(n int64) error {
	return scanner.Exceeds(whatChanges, m.changes.Add(n), m.Changes)
}

// path counts a path that was not there before.
func (m *meter) path(length int) error {
	return scanner.Exceeds(whatPathBytes, m.paths.Add(int64(length)), m.PathBytes)
}

// file counts one more file of a tree or the index, of which there are n now.
func (m *meter) file(n, length int) error {
	if err := scanner.Exceeds(whatTree, int64(n), m.OneCommit); err != nil {
		return err
	}
	return m.path(length)
}

// commitList keeps the ids of the commits that git rev-list prints, one on a line.
type commitList struct {
	*meter
	ids     []byte
	commits int64
}

// add takes a line: a commit and, with --parents, its parents.
func (l *commitList) add(line []byte, long bool) error {
	id, parents, _ := bytes.Cut(line, []byte(" "))
	n := int64(0)
	if len(parents) > 0 {
		n = 1 + int64(bytes.Count(parents, []byte(" ")))
	}
	if long { // and there are more
		n = max(n, l.Parents+1)
	}
	if err := scanner.Exceeds(whatParents, n, l.Parents); err != nil {
		return err
	}
	l.ids = append(append(l.ids, id...), '\n')
	l.commits++
	return scanner.Exceeds(whatCommits, l.commits, l.Commits)
}
