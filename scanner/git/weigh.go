package git

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
)

// git diff-tree holds all changes of a commit in memory before it prints the first: 290
// bytes for each, 4 GB for seven levels of ten directories that are all the same. A scale
// counts them first: it reads each tree, or trees that are compared, once, wherever they
// stand, and stops at the limit. It reads a directory faster than git expands it.

// patience is how long git may print nothing before the commit it is at is weighed. In
// that time it takes a few megabytes.
const patience = 50 * time.Millisecond

// watch ends git's diff-tree by cancel if a commit that it is at, and prints nothing of,
// has more changes than the budget allows. The function that it returns ends the watch.
func (r *Repo) watch(ctx context.Context, list []byte, g *Range, p *rawParser, cancel context.CancelCauseFunc) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var over *scanner.BudgetError
		err := r.weighStalled(ctx, list, g, p)
		if errors.As(err, &over) && (over.What == whatOneCommit || over.What == whatPathBytes) { // git may get along with what a scale does not
			cancel(over)
		}
	}()
	return func() { stop(); <-done }
}

// weighStalled weighs the commits that diff-tree is at whenever it prints nothing, until one
// is over the budget, the scale fails or ctx ends. What git prints is counted all the same.
func (r *Repo) weighStalled(ctx context.Context, list []byte, g *Range, p *rawParser) (err error) {
	var s *scale
	defer func() { s.close() }()
	tick := time.NewTicker(patience)
	defer tick.Stop()
	last, at := int64(-1), 0
	for err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if n := p.records.Load(); n != last {
			last = n
			continue
		}
		if s == nil {
			if s, err = r.newScale(ctx, g.Renames); err != nil {
				return err
			}
		}
		at = max(at, int(p.at.Load()))
		for at < len(list) && p.records.Load() == last && err == nil {
			at, err = s.next(list, at)
		}
	}
	return err
}

// next weighs the commit at an offset of a list, and returns the offset of the next.
func (s *scale) next(list []byte, at int) (int, error) {
	id, _, _ := bytes.Cut(list[at:], []byte("\n"))
	return at + len(id) + 1, s.commit(string(id))
}

// weigh returns the error of the first commit from an offset of a list on that has more
// changes than the budget allows.
func (r *Repo) weigh(ctx context.Context, list []byte, g *Range, at int) error {
	s, err := r.newScale(ctx, g.Renames)
	if err != nil {
		return err
	}
	defer s.close()
	for at < len(list) && err == nil {
		at, err = s.next(list, at)
	}
	return err
}

// weighTree returns an error if a tree has more files than the budget allows.
func (r *Repo) weighTree(ctx context.Context, rev string) error {
	if strings.Contains(rev, "\n") { // it is asked for on a line
		return nil
	}
	s, err := r.newScale(ctx, false)
	if err != nil {
		return err
	}
	defer s.close()
	id, _, err := s.object(rev+"^{tree}", "tree")
	if err == nil {
		err = s.compare([]string{id}, 0, 0)
	}
	var over *scanner.BudgetError
	if errors.As(err, &over) && over.What == whatOneCommit {
		over.What = whatTree
		return over
	}
	return nil // the listing itself counts, too
}

// A scale counts the changes of commits without listing them.
type scale struct {
	cmd    *exec.Cmd
	ask    io.WriteCloser
	answer *bufio.Reader
	stop   context.CancelFunc
	most   scanner.Budget
	times  int64           // how many of its changes git may print as one
	sum    load            // of the commit that is weighed
	known  map[string]load // of trees: the ids of the new one and of what it is compared with
	held   int64           // bytes of the trees that are being compared
}

// A load is what the changes below a directory come to. Of bytes, the path of the directory
// itself is no part.
type load struct{ changes, bytes int64 }

// Bounds of what a scale holds in memory.
const (
	mostLevels  = 2048     // of directories, as many as newer versions of git allow
	mostTree    = 64 << 20 // bytes of the trees that are held at once
	mostHeaders = 1 << 20  // of a commit
	mostLoads   = 500_000
	tooDeep     = "levels of directories"
	tooLarge    = "bytes of directories to compare at once"
)

// newScale starts a scale. Where git looks for renames, it prints two changes of a scale as
// one: what is over the limit of the scale is over that of git's output for certain.
func (r *Repo) newScale(ctx context.Context, renames bool) (*scale, error) {
	s := &scale{most: r.Budget, times: 1, known: map[string]load{}}
	if renames {
		s.times = 2
	}
	ctx, s.stop = context.WithCancel(ctx)
	s.cmd = r.command(ctx, "cat-file", "--batch")
	var err error
	if s.ask, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.answer = bufio.NewReaderSize(out, 1<<16)
	if err := s.cmd.Start(); err != nil {
		s.stop()
		return nil, err
	}
	limitMemory(s.cmd.Process.Pid, r.mostMemory(0))
	return s, nil
}

func (s *scale) close() {
	if s != nil {
		s.stop()
		_ = s.cmd.Wait() // it was killed
	}
}

// object reads an object of a kind. After an error the
// scale is of no use.
func (s *scale) object(rev, kind string) (id string, data []byte, err error) {
	if _, err := io.WriteString(s.ask, rev+"\n"); err != nil {
		return "", nil, err
	}
	head, err := s.answer.ReadString('\n')
	if err != nil {
		return "", nil, err
	}
	f := strings.Fields(head)
	if len(f) != 3 || f[1] != kind {
		return "", nil, fmt.Errorf("git cat-file printed %q of a %s", head, kind)
	}
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return "", nil, fmt.Errorf("git cat-file printed %q", head)
	}
	most := size // of a commit the parents come first
	if kind == "commit" {
		most = min(size, mostHeaders)
	} else if err := scanner.Exceeds(tooLarge, s.held+size, mostTree); err != nil {
		return "", nil, err
	}
	data = make([]byte, most)
	if _, err := io.ReadFull(s.answer, data); err != nil {
		return "", nil, err
	}
	_, err = io.CopyN(io.Discard, s.answer, size-int64(len(data))+1)
	return f[0], data, err
}

// root returns the tree and the parents of a commit.
func (s *scale) root(id string) (tree string, parents []string, err error) {
	_, data, err := s.object(id, "commit")
	if err != nil {
		return "", nil, err
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch name {
		case "tree":
			tree = value
		case "parent":
			parents = append(parents, value)
		default:
			return tree, parents, nil
		}
	}
	return tree, parents, nil
}

// commit counts the changes of a commit: those files that differ from what each parent
// has. It returns a [*scanner.BudgetError] if there are too many.
func (s *scale) commit(id string) error {
	tree, parents, err := s.root(id)
	if err != nil {
		return err
	}
	ids := []string{tree}
	for _, p := range parents {
		t, _, err := s.root(p)
		if err != nil || t == tree {
			return err
		}
		ids = append(ids, t)
	}
	s.sum, s.held = load{}, 0
	return s.compare(ids, 0, 0)
}

// add counts changes below a directory whose path has so many bytes.
func (s *scale) add(l load, prefix int64) error {
	s.sum.changes += l.changes
	s.sum.bytes += l.bytes + l.changes*prefix
	if err := scanner.Exceeds(whatOneCommit, s.sum.changes/s.times, s.most.OneCommit); err != nil {
		return err
	}
	return scanner.Exceeds(whatPathBytes, s.sum.bytes, s.most.PathBytes)
}

// compare counts what the first of some trees changes compared with each of the others;
// "" is no tree.
func (s *scale) compare(ids []string, prefix int64, depth int) error {
	key := strings.Join(ids, " ")
	if l, ok := s.known[key]; ok {
		return s.add(l, prefix)
	}
	if err := scanner.Exceeds(tooDeep, int64(depth), mostLevels); err != nil {
		return err
	}
	before := s.sum
	trees := make([]treeReader, len(ids))
	held := s.held
	for i, id := range ids {
		if id == "" {
			continue
		}
		_, data, err := s.object(id, "tree")
		if err != nil {
			return err
		}
		s.held += int64(len(data))
		trees[i] = treeReader{rest: data, width: len(id) / 2}
		if err := trees[i].next(); err != nil {
			return err
		}
	}
	if err := s.merge(trees, prefix, depth); err != nil {
		return err
	}
	s.held = held
	if len(s.known) < mostLoads {
		n := s.sum.changes - before.changes
		s.known[key] = load{n, s.sum.bytes - before.bytes - n*prefix}
	}
	return nil
}

// merge goes through trees side by side, in their order.
func (s *scale) merge(trees []treeReader, prefix int64, depth int) error {
	for {
		var name []byte // the least
		for i := range trees {
			if t := &trees[i]; t.name != nil && (name == nil || bytes.Compare(t.name, name) < 0) {
				name = t.name
			}
		}
		if name == nil {
			return nil
		}
		ids := make([]string, len(trees))
		same := false // as what some other tree has, or lacks
		for i := range trees {
			t := &trees[i]
			if !bytes.Equal(t.name, name) {
				same = same || i > 0 && ids[0] == ""
				continue
			}
			ids[i] = hex.EncodeToString(t.id)
			same = same || i > 0 && ids[0] == ids[i] && t.mode == trees[0].mode
		}
		var err error
		switch isDir := name[len(name)-1] == '/'; {
		case same:
		case isDir:
			err = s.compare(ids, prefix+int64(len(name)), depth+1)
		default:
			err = s.add(load{1, int64(len(name))}, prefix)
		}
		if err != nil {
			return err
		}
		for i := range trees {
			if t := &trees[i]; bytes.Equal(t.name, name) {
				if err := t.next(); err != nil {
					return err
				}
			}
		}
	}
}

// A treeReader reads the entries of a tree object, in the order of git: directories as if
// their names ended with a slash.
type treeReader struct {
	rest, id []byte
	name     []byte // with a slash at the end of a directory; nil at the end
	mode     string
	width    int
}

func (t *treeReader) next() error {
	if len(t.rest) == 0 {
		t.name = nil
		return nil
	}
	space, zero := bytes.IndexByte(t.rest, ' '), bytes.IndexByte(t.rest, 0)
	if space < 1 || zero <= space+1 || len(t.rest) < zero+1+t.width {
		return errors.New("a tree object is damaged")
	}
	t.mode = string(t.rest[:space])
	t.name = bytes.Clone(t.rest[space+1 : zero])
	if strings.TrimLeft(t.mode, "0") == "40000" {
		t.name = append(t.name, '/')
	}
	t.id, t.rest = t.rest[zero+1:zero+1+t.width], t.rest[zero+1+t.width:]
	return nil
}
