// Package scan scans what an event brought: it fetches the commits into a bounded
// cache of bare repositories, and looks into every one of them with the library's
// scanner, so that a key that came and went again is found and has the same
// fingerprint as everywhere.
//
// # git, not REST
//
// One way serves every size. Over REST a push costs a request for each commit and
// each file that is cut off, all counted against the installation's limit; lists end
// at 300 files, 250 commits or 100,000 tree entries, and patches are left out when
// large. A fetch is two requests, is not counted, and knows none of these caps.
// BenchmarkPush, a commit of three files, GitHub on the same machine: 62 ms by a fetch
// into a copy that is there and the whole scan, 86 ms into none, no request counted;
// over REST 16 ms for reading alone, and 4 requests, each of which waits for the real
// GitHub. go-git fetches alone in 53 ms; git is used, as the
// library reads with it: see package scanner/git for what go-git costs there.
package scan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/changes"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
	"github.com/keyward/keyward/scanner/rules"
)

// An Engine scans. It is safe for concurrent use.
type Engine struct {
	cache    *Cache
	slots    *semaphore.Weighted // ranges that are scanned at once
	peppers  [][]byte
	maxFile  int64
	builtin  *scanner.Scanner
	scanners *lru.Cache[[32]byte, *custom] // those of policies that change the rules

	// Budgets of a range and of a whole history. A field that is 0 has its default. They are
	// set before the engine is used.
	PushBudget, HistoryBudget scanner.Budget
	// Now is the clock by which policies and caches expire.
	Now func() time.Time
}

// New returns an engine that keeps its repositories in cache and makes fingerprints
// with the last of the peppers, of which the others were replaced, and scans so many ranges
// at once; 0 means as many as are asked for.
// Files larger than maxFile are not read, and said so; 0 means files.DefaultMaxSize.
func New(cache *Cache, peppers [][]byte, maxFile int64, atOnce int) (*Engine, error) {
	list, err := rules.Lazy()
	if err != nil {
		return nil, err
	}
	if atOnce <= 0 {
		atOnce = math.MaxInt
	}
	cache.now = time.Now
	e := &Engine{Now: time.Now, cache: cache, peppers: peppers, maxFile: maxFile, slots: semaphore.NewWeighted(int64(atOnce))}
	if e.builtin, err = scanner.New(list, e.options()); err != nil {
		return nil, err
	}
	e.scanners, err = lru.New[[32]byte, *custom](16)
	return e, err
}

// options are those of all scanners of the engine.
func (e *Engine) options() scanner.Options {
	n := len(e.peppers) - 1
	return scanner.Options{Pepper: e.peppers[n], FormerPeppers: e.peppers[:n]}
}

// A Job is what is to be scanned.
type Job struct {
	Repository int64
	URL        string                                                // where git fetches it
	Token      func(ctx context.Context, fresh bool) (string, error) // fresh: the last was refused
	Base, Head string                                                // commits; an empty Base is worked out
	Default    string                                                // name of the default branch, "" if it is not known
	IsDefault  bool                                                  // Head was pushed to it
	Pull       int                                                   // number of a pull request, or 0
	// FromBase says that the policy and allow comments count as Base has them, as for a
	// pull request. Those of a push count as the default branch has them.
	FromBase bool
	// Live are keys of the repository that are not proved dead, with where they stood: of a
	// pull request it is told which of them it takes out.
	Live map[string][]Spot
	// Fallback returns the text of the organisation's policy and what to call it, "" if
	// there is none.
	Fallback func(context.Context) (name string, text []byte, err error)
}

// A Result is what a scan found.
type Result struct {
	Keys, Known []*scanner.Key
	Coverage    report.Coverage
	Notes       []string
	Policy      *policy.Policy
	Broken      string            // what is wrong with the policy; then the defaults hold
	Base        string            // the commit that Head was compared with, "" for nothing
	Head        string            // the commit that was scanned, tags followed
	AtHead      map[string]string // blobs by path at Head, of the paths at which keys stand
	Removed     []string          // fingerprints of live keys that a pull request takes out
}

// maxGaps bounds what is kept of what was not scanned.
const maxGaps = 200

// Remove removes what is kept of a repository.
func (e *Engine) Remove(ctx context.Context, id int64) error { return e.cache.Remove(ctx, id) }

// Text scans a text that is no file, such as a comment.
func (e *Engine) Text(name string, text []byte) ([]*scanner.Key, error) {
	found, err := e.builtin.Scan(nil, scanner.Blob{Path: name, Data: text})
	var gap *scanner.Gap
	if err != nil && !errors.As(err, &gap) {
		return nil, err
	}
	var keys scanner.Keys
	for i := range found {
		keys.Add(&found[i], nil)
	}
	return keys.Sorted(), nil
}

// Range scans what the commits bring that Head reaches and Base does not, messages of
// commits and tags too.
func (e *Engine) Range(ctx context.Context, j *Job) (*Result, error) {
	return e.withSlot(ctx, copyOf(j.Repository), j, e.scanRange)
}

// withSlot is with for work that takes one of the places of scans that run at once. Who waits
// for the copy has none.
func (e *Engine) withSlot(ctx context.Context, name string, j *Job, work func(context.Context, *mirror, *Job) (*Result, error)) (*Result, error) {
	return e.with(ctx, name, j, func(ctx context.Context, m *mirror, j *Job) (*Result, error) {
		if err := e.slots.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer e.slots.Release(1)
		return work(ctx, m, j)
	})
}

// with does work on a copy of a repository. A copy may have been damaged by a power
// cut or a full disk, or have grown too large by and by: if the work fails on one that
// was there, it is made anew once.
func (e *Engine) with(ctx context.Context, name string, j *Job, work func(context.Context, *mirror, *Job) (*Result, error)) (*Result, error) {
	for {
		m, err := e.cache.open(ctx, name, j.URL, j.Token)
		if err != nil {
			return nil, err
		}
		m.Budget = e.PushBudget.Or(pushBudget())
		r, err := whole(ctx, m, j, work)
		anew := !m.fresh && ctx.Err() == nil && (errors.Is(err, ErrTooLarge) || err != nil && mayBeDamage(err) && m.broken(ctx) ||
			err == nil && slices.ContainsFunc(r.Coverage.Gaps, missing))
		if anew {
			_ = os.RemoveAll(m.dir) // if it can not be removed, opening it again says so
		}
		m.release(context.WithoutCancel(ctx))
		if !anew {
			return r, final(err)
		}
	}
}

// whole makes a panic an error: what a repository holds must not keep a check in
// progress for ever. The panic's value may quote it, and is not told.
func whole(ctx context.Context, m *mirror, j *Job, work func(context.Context, *mirror, *Job) (*Result, error)) (r *Result, err error) {
	defer func() {
		if recover() != nil {
			r, err = nil, fmt.Errorf("scan: panic at %s", debug.Stack())
		}
	}()
	return work(ctx, m, j)
}

// mayBeDamage reports whether an error can come from a copy that lacks something, or has it
// wrong.
func mayBeDamage(err error) bool {
	switch git.FaultOf(err) {
	case git.Damaged, git.Incomplete, git.NoRepository:
		return true
	}
	return false
}

// missing reports whether a gap is an object that the copy should have.
func missing(g scanner.Gap) bool {
	return strings.HasPrefix(g.Reason, "git: ") || strings.Contains(g.Reason, "missing")
}

func (e *Engine) scanRange(ctx context.Context, m *mirror, j *Job) (*Result, error) {
	started := e.Now()
	r := &Result{}
	base, err := e.ends(ctx, m, j, r)
	if err != nil {
		return nil, err
	}
	r.Base = base
	trusted, err := e.trusted(ctx, m, j, base)
	if err != nil {
		return nil, err
	}
	s, err := e.setup(ctx, m, j, r, trusted)
	if err != nil {
		return nil, err
	}
	updates := []git.Update{{Ref: "refs/keyward/pushed", Old: base, New: j.Head}}
	if !m.Reaches(ctx, trusted, j.Head) {
		updates = append(updates, git.Update{Ref: j.defaultRef(), Old: trusted})
	}
	list, commits, err := m.Arrivals(ctx, updates, git.NotRemotes)
	if err != nil {
		return nil, fmt.Errorf("list what %.12s brought: %w", j.Head, err)
	}
	r.Coverage.Commits = commits
	list = changes.NotMoved(list)
	reader, found, err := e.read(ctx, m, s, git.ListOf(list), r)
	if err != nil {
		return nil, err
	}
	var keys scanner.Keys
	if err := reader.AddNew(ctx, &keys, list, found); err != nil {
		return nil, err
	}
	if g := reader.Gap(); g != nil {
		r.Coverage.Gaps = append(r.Coverage.Gaps, *g)
	}
	var comments map[string]bool // nil: all allow comments count
	if trusted != j.Head {
		if comments, err = reader.Trusted(ctx, &keys, trusted); err != nil {
			return nil, err
		}
	}
	if j.Pull > 0 && base != "" {
		if r.Removed, err = e.removed(ctx, m, s, base, j); err != nil {
			return nil, err
		}
	}
	return r, e.finish(ctx, m, j, r, &keys, comments, started)
}

// History scans every blob that any branch or tag reaches, each once.
func (e *Engine) History(ctx context.Context, j *Job) (*Result, error) {
	defer func() {
		_ = e.cache.remove(context.WithoutCancel(ctx), wholeOf(j.Repository)) // what is left is used, or makes room, later
	}()
	return e.with(ctx, wholeOf(j.Repository), j, e.scanHistory)
}

func (e *Engine) scanHistory(ctx context.Context, m *mirror, j *Job) (*Result, error) {
	started := e.Now()
	r := &Result{}
	if err := m.all(ctx); err != nil {
		return nil, fmt.Errorf("fetch the history: %w", err)
	}
	head, err := m.defaultTip(ctx, j)
	if err != nil {
		return nil, err
	}
	if head != "" {
		if err := os.WriteFile(filepath.Join(m.dir, "HEAD"), []byte(head+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	j.Head = head
	s, err := e.setup(ctx, m, j, r, head)
	if err != nil {
		return nil, err
	}
	m.Budget = e.HistoryBudget.Or(historyBudget())
	list, commits, err := m.History(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the history: %w", err)
	}
	odd, err := m.OddRefs(ctx)
	if err != nil {
		return nil, err
	}
	list.Add(odd...)
	if err := scanner.Exceeds("changed files", int64(list.Len()), m.Budget.Changes); err != nil {
		return nil, err
	}
	r.Coverage.Commits = commits
	reader, found, err := e.read(ctx, m, s, list, r)
	if err != nil {
		return nil, err
	}
	var keys scanner.Keys
	if err := reader.AddHistory(ctx, &keys, list, found); err != nil {
		return nil, err
	}
	if g := reader.Gap(); g != nil {
		r.Coverage.Gaps = append(r.Coverage.Gaps, *g)
	}
	return r, e.finish(ctx, m, j, r, &keys, nil, started)
}

// ends makes sure that all commits to scan are here, and settles what they are
// compared with: "" for nothing.
func (e *Engine) ends(ctx context.Context, m *mirror, j *Job, r *Result) (base string, err error) {
	if j.Pull > 0 && !m.Has(ctx, j.Head) {
		// The commits of a fork are here under the pull request's ref. If it has moved
		// on, the commit is asked for by its id.
		if err := m.fetchTip(ctx, fmt.Sprintf("+refs/pull/%d/head:refs/keyward/pull", j.Pull)); errors.Is(err, ErrTooLarge) {
			return "", err
		}
	}
	if err := m.get(ctx, j.Head); err != nil {
		return "", err
	}
	if !m.Has(ctx, j.Head) {
		if kind := m.kind(ctx, j.Head); kind == "" || kind == "commit" {
			return "", fmt.Errorf("fetch %.12s: it did not come", j.Head)
		}
		return "", nil // a tag at a blob or tree
	}
	if !git.None(j.Base) {
		err := m.bring(ctx, j.Base, j.Head)
		if err == nil {
			return j.Base, nil
		}
		if j.FromBase || errors.Is(err, ErrTooLarge) || m.Has(ctx, j.Base) || ctx.Err() != nil {
			return "", err
		}
		if !refused(err) {
			return "", err
		}
		r.Notes = append(r.Notes, fmt.Sprintf("commit %.12s, which the push took the place of, is gone: everything that is not on the default branch was scanned", j.Base))
	}
	if j.FromBase {
		return "", errors.New("the event names no base commit")
	}
	if j.IsDefault {
		r.Notes = append(r.Notes, "there is nothing to compare with: the whole history of the ref was scanned")
		return "", m.bring(ctx, "", j.Head)
	}
	return e.beforeDefault(ctx, m, j, r)
}

// defaultRef is the default branch on GitHub. HEAD names it, too, where its name is not
// known or is none that git would take.
func (j *Job) defaultRef() string {
	if ref := "refs/heads/" + j.Default; git.ValidRef(ref) {
		return ref
	}
	return "HEAD"
}

// defaultTip returns the tip of the default branch in a copy that has all branches, "" if
// there is none.
func (m *mirror) defaultTip(ctx context.Context, j *Job) (string, error) {
	ref := j.defaultRef()
	if ref == "HEAD" { // of the copy, it names nothing
		ref = "refs/keyward/default"
		if err := m.fetch(ctx, "+HEAD:"+ref); err != nil {
			if refused(err) {
				return "", nil
			}
			return "", fmt.Errorf("fetch the default branch: %w", err)
		}
	}
	return m.Resolve(ctx, ref)
}

// beforeDefault returns the tip of the default branch, for a ref that is new.
func (e *Engine) beforeDefault(ctx context.Context, m *mirror, j *Job, r *Result) (string, error) {
	if err := m.fetchTip(ctx, "+"+j.defaultRef()+":refs/keyward/default"); err != nil {
		if !refused(err) {
			return "", err
		}
		r.Notes = append(r.Notes, "there is no default branch to compare with: the whole history of the ref was scanned")
		return "", m.bring(ctx, "", j.Head)
	}
	base, err := m.Resolve(ctx, "refs/keyward/default")
	if err != nil {
		return "", err
	}
	if base == j.Head {
		return base, nil
	}
	return base, m.bring(ctx, base, j.Head)
}

// read scans the blobs of changes. The reader says which of the findings are new.
func (e *Engine) read(ctx context.Context, m *mirror, s *scanner.Scanner, list *git.List, r *Result) (*changes.Reader, []scanner.Finding, error) {
	r.Coverage.Skipped = map[string]int{}
	opt := files.Options{MaxSize: e.maxFile, Skipped: func(_, why string) { r.Coverage.Skipped[why]++ }}
	reader := &changes.Reader{Repo: m.Repo, Scanner: s, Files: opt}
	found, err := e.collect(ctx, s, reader.Blobs(ctx, list), m.Budget, r)
	return reader, found, err
}

// collect scans a source, and counts what it covers.
func (e *Engine) collect(ctx context.Context, s *scanner.Scanner, src scanner.Source, budget scanner.Budget, r *Result) ([]scanner.Finding, error) {
	counted := func(yield func(scanner.Blob, error) bool) {
		for b, err := range src {
			if err == nil && !b.IsMessage() {
				r.Coverage.Bytes += int64(len(b.Data))
				if b.Offset == 0 {
					r.Coverage.Blobs++
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
	kept := budget.Collect()
	for f, err := range s.Run(ctx, counted) {
		var gap *scanner.Gap
		switch {
		case errors.As(err, &gap):
			if len(r.Coverage.Gaps) < maxGaps {
				r.Coverage.Gaps = append(r.Coverage.Gaps, *gap)
			}
		case err != nil:
			return nil, err
		default:
			kept.Add(f)
		}
	}
	if g := kept.Gap(); g != nil {
		r.Coverage.Gaps = append(r.Coverage.Gaps, *g)
	}
	return kept.Findings, nil
}

// finish tells the keys that count from those that are known, and says where they
// stand at Head.
func (e *Engine) finish(ctx context.Context, m *mirror, j *Job, r *Result, keys *scanner.Keys, comments map[string]bool, started time.Time) error {
	for _, w := range m.Warnings() {
		r.Coverage.Gaps = append(r.Coverage.Gaps, scanner.Gap{Reason: "git: " + w})
	}
	now := e.Now()
	for _, k := range keys.Sorted() {
		if k.Known = policy.Commented(k); k.Known != nil && comments != nil && !comments[k.Fingerprint] {
			k.Known = nil // nobody excepts their own finding
		}
		if k.Known == nil {
			k.Known = r.Policy.Known(k, now)
		}
		if k.Known != nil {
			r.Known = append(r.Known, k)
		} else {
			r.Keys = append(r.Keys, k)
		}
	}
	if comments != nil && len(r.Keys) > 0 {
		e.markPending(ctx, m, j, r)
	}
	r.Coverage.Took = e.Now().Sub(started)
	var err error
	if r.Head, err = m.Resolve(ctx, j.Head); err != nil || r.Head == "" || len(r.Keys) == 0 {
		return err
	}
	wanted := map[string]bool{}
	for _, k := range r.Keys {
		for _, p := range k.Places {
			wanted[p.Path] = true
		}
	}
	tree, err := m.TreeAt(ctx, r.Head, slices.Sorted(maps.Keys(wanted))...)
	if err != nil {
		return fmt.Errorf("read the tree of %.12s: %w", r.Head, err)
	}
	r.AtHead = map[string]string{}
	for _, c := range tree {
		r.AtHead[c.Path] = c.ID
	}
	for _, k := range r.Keys {
		yes := slices.ContainsFunc(k.Places, func(p scanner.Place) bool { return p.Blob != "" && r.AtHead[p.Path] == p.Blob })
		k.AtHead = &yes
	}
	return nil
}
