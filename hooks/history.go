package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
)

// commitRange scans what each commit of A..B brought.
func (j *job) commitRange(ctx context.Context) error {
	g, err := j.parseRange(ctx)
	if err != nil {
		return err
	}
	changes, commits, err := j.repo.Changes(ctx, g)
	if err != nil {
		return err
	}
	if commits == 0 && !j.o.emptyRange {
		return hint(fmt.Errorf("--range %s: there are no commits in it", j.o.commits), "nothing was scanned, and that is not a pass: is the older commit on the left?")
	}
	j.cov.Commits = commits
	whole, err := j.repo.Whole(ctx, g.Exclude[0], g.Include[0])
	if err != nil {
		return err
	}
	if !whole {
		j.cov.Gaps = append(j.cov.Gaps, scanner.Gap{Reason: "a shallow clone: commits of the range are not here (git fetch --unshallow; in a workflow fetch-depth: 0)"})
	}
	if j.o.emptyRange { // a push in the pre-commit framework
		j.published = below(ofRemotes + "/" + cmp.Or(j.env.Getenv("PRE_COMMIT_REMOTE_NAME"), "origin"))
	}
	found, err := j.scanNew(ctx, changes)
	if err == nil {
		j.noteUnless("keys at HEAD", j.headPresence(ctx, changes, found))
	}
	return err
}

func (j *job) parseRange(ctx context.Context) (git.Range, error) {
	from, to, ok := strings.Cut(j.o.commits, "..")
	if !ok {
		return git.Range{}, hint(fmt.Errorf("--range %q: want A..B", j.o.commits), "for example origin/main..HEAD")
	}
	to = strings.TrimPrefix(to, ".") // A...B means the same here: what B has and A has not
	g := git.Range{Renames: true}
	for _, end := range []struct {
		rev  string
		list *[]string
	}{{from, &g.Exclude}, {to, &g.Include}} {
		rev := end.rev
		if rev == "" {
			rev = "HEAD"
		}
		id, err := j.repo.Resolve(ctx, rev)
		if err != nil {
			return g, hint(fmt.Errorf("--range %s: %w", j.o.commits, err))
		}
		if id == "" {
			hints := []string{"nothing was scanned"}
			if j.repo.Shallow {
				hints = append(hints, "this is a shallow clone: git fetch --unshallow (in a workflow: fetch-depth: 0)")
			}
			return g, hint(fmt.Errorf("--range %s: there is no commit %q here", j.o.commits, rev), hints...)
		}
		*end.list = append(*end.list, id)
	}
	return g, nil
}

// A listing is what a history has, while git tells it: the policy and the rules are read
// meanwhile.
type listing struct {
	changes *git.List
	commits int
	odd     []git.Change // what refs name that are no commits
	head    headTree
	err     error
	cancel  context.CancelFunc
	done    chan struct{}
}

// list begins to list a history. Where one thing has to be read after another it ends it.
func (j *job) list(ctx context.Context) *listing {
	ctx, cancel := context.WithCancel(ctx)
	l := &listing{cancel: cancel, done: make(chan struct{})}
	group, all := errgroup.WithContext(ctx)
	if !j.repo.Parallel() {
		group.SetLimit(1)
	}
	group.Go(func() (err error) {
		l.changes, l.commits, err = j.repo.History(all)
		return err
	})
	group.Go(func() (err error) {
		l.odd, err = j.repo.OddRefs(all)
		return err
	})
	group.Go(func() error {
		l.head = j.headTree(all)
		if len(l.head.blobs) > manyChanges {
			l.head.blobs, l.head.again = nil, true
		}
		return nil
	})
	go func() {
		l.err = group.Wait()
		close(l.done)
	}()
	if !j.repo.Parallel() {
		<-l.done
	}
	return l
}

// stop ends the listing, if it has not ended, and waits for that.
func (l *listing) stop() {
	l.cancel()
	<-l.done
}

// history scans every blob that any ref reaches, each once.
func (j *job) history(ctx context.Context) error {
	if j.listed == nil {
		j.listed = j.list(ctx)
		defer j.listed.stop()
	}
	<-j.listed.done
	if j.listed.err != nil {
		return j.listed.err
	}
	changes, commits, head := j.listed.changes, j.listed.commits, j.listed.head
	if changes.Len() > manyChanges && j.env.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(25)) // little garbage is made beside the buffers that are used again
	}
	changes.Add(j.listed.odd...)
	if err := scanner.Exceeds("changed files", int64(changes.Len()), j.repo.Budget.Changes); err != nil {
		return err
	}
	if j.o.unreachable {
		lost, err := j.repo.Unreachable(ctx, changes)
		if err != nil {
			return err
		}
		changes.Add(lost...)
	}
	j.cov.Commits = commits
	if commits == 0 && changes.Len() == 0 {
		return hint(fmt.Errorf("--history: %s: the repository has no commits", j.args[0]), "nothing was scanned, and that is not a pass")
	}
	if j.repo.Shallow {
		j.cov.Gaps = append(j.cov.Gaps, scanner.Gap{Reason: "a shallow clone: the commits before its boundary are not here (git fetch --unshallow; in a workflow fetch-depth: 0)"})
	}
	var found []scanner.Finding
	var err error
	if j.o.cache != "" {
		found, err = j.cached(ctx, changes)
	} else {
		found, err = j.collect(ctx, j.reader().Blobs(ctx, changes), changes.Objects())
	}
	if err != nil {
		return err
	}
	if n := len(head.links); n > 0 {
		j.notes = append(j.notes, fmt.Sprintf("submodules have histories of their own: scan them with keyward scan --history %s", strings.Join(head.links[:min(3, n)], " ")))
	}
	if err := j.reader().AddHistory(ctx, &j.keys, changes, found); err != nil {
		return err
	}
	j.noteUnless("keys at HEAD", j.presence(ctx, head, nil, found))
	return nil
}

// manyChanges is how many changes are a long history, the list of which takes much of
// the memory that a scan may take.
const manyChanges = 20_000

// A headTree is what HEAD has, or why that is not known.
type headTree struct {
	there bool // there is a commit
	again bool // it is large: blobs are to be read when they are needed
	blobs []git.Change
	links []string // to other repositories
	err   error
}

// headTree reads what HEAD has. Where there is no commit it has nothing.
func (j *job) headTree(ctx context.Context) (t headTree) {
	head, err := j.repo.Head(ctx)
	if err != nil || head == "" {
		return headTree{err: err}
	}
	t.there = true
	t.blobs, t.links, t.err = j.repo.TreeAndLinks(ctx, head)
	return t
}

// headPresence reads what HEAD has, and does as presence does.
func (j *job) headPresence(ctx context.Context, changes []git.Change, found []scanner.Finding) error {
	if len(found) == 0 {
		return nil // no need to ask git
	}
	return j.presence(ctx, j.headTree(ctx), changes, found)
}

// presence notes for each key whether HEAD still has it.
func (j *job) presence(ctx context.Context, head headTree, changes []git.Change, found []scanner.Finding) error {
	if len(found) == 0 {
		return nil
	}
	if head.again {
		head = j.headTree(ctx)
	}
	if head.err != nil || !head.there {
		return head.err
	}
	at := map[string]bool{}
	for _, c := range head.blobs {
		at[c.ID] = true
	}
	there := map[string]bool{}
	for i := range found {
		if at[found[i].Blob] {
			there[found[i].Fingerprint] = true
		}
	}
	if j.o.mode() == "range" { // the key may have moved to blobs that the range did not bring
		rest := map[string]string{}
		paths := map[string]bool{}
		for _, c := range changes {
			paths[c.Path] = true
		}
		for _, c := range head.blobs {
			if paths[c.Path] {
				rest[c.ID] = c.Path
			}
		}
		prints, err := j.reader().Prints(ctx, rest)
		if err != nil {
			return err
		}
		for _, set := range prints {
			maps.Copy(there, set)
		}
	}
	for _, k := range j.keys.Sorted() {
		if k.Places[0].Path == scanner.CommitMessage {
			continue // it is in the commit for good
		}
		yes := there[k.Fingerprint]
		k.AtHead = &yes
	}
	return nil
}

// lookup finds for keys seen in files the commit that first brought each to
// the path where it stands, and whether HEAD has it.
func (j *job) lookup(ctx context.Context) error {
	if j.repo == nil {
		return nil
	}
	head, err := j.repo.Head(ctx)
	if err != nil || head == "" {
		return err
	}
	wanted := map[string]bool{}
	keys := map[string]*scanner.Key{}
	for _, k := range j.keys.Sorted() {
		keys[k.Fingerprint] = k
		for _, p := range k.Places {
			file, _, _ := strings.Cut(p.Path, "!")
			wanted[file] = true
		}
	}
	g := git.Range{Include: []string{head}}
	if len(wanted) <= 1000 {
		g.Paths = slices.Sorted(maps.Keys(wanted))
	}
	changes, _, err := j.repo.Changes(ctx, g)
	if err != nil {
		return err
	}
	changes = slices.DeleteFunc(changes, func(c git.Change) bool { return !wanted[c.Path] })
	order := map[string]int{} // blob to the first change that has it
	for i, c := range changes {
		if _, ok := order[c.ID]; !ok {
			order[c.ID] = i
		}
	}
	first := map[string]int{}
	for f, err := range j.scanner.Run(ctx, j.repo.Blobs(ctx, git.ListOf(changes), j.reader().Profile, files.Options{MaxSize: j.o.maxSize, Archives: j.o.archives})) {
		var gap *scanner.Gap
		if errors.As(err, &gap) {
			continue // an old version is missing: the first commit may be later than it was
		}
		if err != nil {
			return err
		}
		if n, ok := first[f.Fingerprint]; keys[f.Fingerprint] != nil && (!ok || order[f.Blob] < n) {
			first[f.Fingerprint] = order[f.Blob]
		}
	}
	return j.noteFirst(ctx, keys, changes, first, head)
}

func (j *job) noteFirst(ctx context.Context, keys map[string]*scanner.Key, changes []git.Change, first map[string]int, head string) error {
	ids := map[string]bool{}
	for _, n := range first {
		ids[changes[n].Commit] = true
	}
	about, err := j.repo.Commits(ctx, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return err
	}
	tree, err := j.repo.Tree(ctx, head)
	if err != nil {
		return err
	}
	at := map[string]string{}
	paths := map[string]bool{}
	for _, c := range changes {
		paths[c.Path] = true
	}
	for _, c := range tree {
		if paths[c.Path] {
			at[c.ID] = c.Path
		}
	}
	prints, err := j.reader().Prints(ctx, at)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, set := range prints {
		maps.Copy(there, set)
	}
	for fp, k := range keys {
		yes := there[fp]
		k.AtHead = &yes
		if n, ok := first[fp]; ok {
			k.First = about[changes[n].Commit]
		}
	}
	return nil
}
