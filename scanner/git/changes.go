package git

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/scanner"
)

// A Change is a blob that came to stand at a path: by a commit, or in the index.
type Change struct {
	Path   string
	ID     string   // the blob
	Old    []string // the blobs it took the place of, one for each parent that had the path; see Range.Renames
	Commit string   // "" in the index
}

// Staged returns what the index has and HEAD has not. In a merge, blobs that
// another parent brings are not new.
func (r *Repo) Staged(ctx context.Context) ([]Change, error) {
	if r.bin == "" {
		return r.stagedLibrary()
	}
	head, err := r.Head(ctx)
	if err != nil {
		return nil, err
	}
	if head == "" {
		return r.listIndex(ctx)
	}
	if open, err := r.list(ctx, "ls-files", "-u", "-z"); err != nil {
		return nil, err
	} else if len(open) > 0 {
		_, path, _ := strings.Cut(open[0], "\t")
		r.warn(fmt.Sprintf("%s: a merge conflict is open: what would be committed is not decided yet (resolve it and git add it)", path))
	}
	changes, err := r.diffIndex(ctx, head)
	if err != nil || len(changes) == 0 {
		return changes, err
	}
	merged, err := r.mergeHeads()
	if err != nil {
		return nil, err
	}
	for _, head := range merged {
		other, err := r.diffIndex(ctx, head)
		if err != nil {
			return nil, err
		}
		changes = newToBoth(changes, other)
	}
	return changes, nil
}

// newToBoth returns the changes whose paths are among other, too, with what both took the
// place of.
func newToBoth(changes, other []Change) []Change {
	theirs := map[string]*Change{}
	for i := range other {
		theirs[other[i].Path] = &other[i]
	}
	var both []Change
	for _, c := range changes {
		if o := theirs[c.Path]; o != nil {
			c.Old = append(c.Old, o.Old...)
			both = append(both, c)
		}
	}
	return both
}

// mergeHeads returns the commits that a merge in progress brings, none without one. Git
// writes one on each line, several for an octopus merge.
// https://git-scm.com/docs/gitrevisions
func (r *Repo) mergeHeads() ([]string, error) {
	data, err := os.ReadFile(filepath.Join(r.GitDir, "MERGE_HEAD"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the commits that are merged: %w", err)
	}
	heads := strings.Fields(string(data))
	return heads, scanner.Exceeds("commits that are merged at once", int64(len(heads)), mostMerged)
}

// mostMerged is how many commits a merge may bring at once: each costs a comparison.
const mostMerged = 100

func (r *Repo) diffIndex(ctx context.Context, tree string) ([]Change, error) {
	var changes []Change
	p := keepAll(r.meter(), &changes)
	err := r.stream(ctx, 0, []string{"diff-index", "--cached", "--raw", "--no-abbrev", "-z", "-M", "--diff-filter=d", tree, "--"}, nil, p.parse)
	return changes, err
}

// listIndex returns all that the index has.
func (r *Repo) listIndex(ctx context.Context) ([]Change, error) {
	var changes []Change
	err := r.entries(ctx, []string{"ls-files", "--stage", "-z"}, func(mode, id, path string) error {
		if isBlob(mode) {
			changes = append(changes, Change{Path: path, ID: id})
		}
		return nil
	})
	return changes, err
}

// isBlob reports whether an entry of this mode is a file or a symbolic link.
func isBlob(mode string) bool { return strings.HasPrefix(mode, "10") || mode == "120000" }

// A Range selects commits.
type Range struct {
	Include []string // revisions
	Exclude []string // revisions whose ancestors are left out
	all     bool     // every ref and HEAD
	Paths   []string // only commits that change these files, and of them only these
	Renames bool     // tell what each blob took the place of, under another name as well
}

func (g *Range) args() []string {
	args := []string{"rev-list", "--topo-order"} // newest first, as packs store trees: twice as fast as oldest first
	if len(g.Paths) == 0 {
		args = append(args, "--parents") // with paths it would select other commits
	}
	if g.all {
		args = append(args, "--all", "HEAD", "--ignore-missing")
	}
	if g.input() != nil {
		args = append(args, "--stdin")
	}
	args = append(args, "--end-of-options")
	args = append(args, g.Include...)
	for _, e := range g.Exclude {
		args = append(args, "^"+e)
	}
	return append(args, "--")
}

// input gives git the paths on its standard input, nil without any: a secret may be in one,
// and every user of the machine can read the arguments of a process. A path with a line break
// cannot be given so; then git selects more commits than need be.
func (g *Range) input() io.Reader {
	if len(g.Paths) == 0 || slices.ContainsFunc(g.Paths, func(p string) bool { return strings.Contains(p, "\n") }) {
		return nil
	}
	return strings.NewReader("--\n" + strings.Join(g.Paths, "\n") + "\n") // all pathspecs are literal, see Open
}

// messages returns the messages of the commits of a list as changes: each commit
// stands for its own.
func messages(list []byte) []Change {
	var out []Change
	for _, id := range strings.Fields(string(list)) {
		out = append(out, Change{Path: scanner.CommitMessage, ID: id, Commit: id})
	}
	return out
}

// Changes returns what the commits of g brought, oldest first, and how many
// commits there are. A merge brings what none of its parents has. With Renames
// their messages are among it. [Repo.History] is for all of a repository.
func (r *Repo) Changes(ctx context.Context, g Range) (changes []Change, commits int, err error) {
	if r.bin == "" {
		return r.changesLibrary(ctx, g)
	}
	list, err := r.revList(ctx, g.input(), g.args()...)
	if err != nil {
		return nil, 0, err
	}
	commits = int(list.commits)
	if !g.Renames {
		l, err := r.listed(ctx, list, &g)
		if err != nil {
			return nil, 0, err
		}
		return slices.Collect(l.Each()), commits, nil
	}
	changes, err = r.replaced(ctx, list, &g)
	if err != nil {
		return nil, 0, err
	}
	return changes, commits, nil
}

// revList runs git rev-list.
func (r *Repo) revList(ctx context.Context, stdin io.Reader, args ...string) (*commitList, error) {
	l := &commitList{meter: r.meter()}
	err := r.stream(ctx, r.Budget.Commits, args, stdin, func(out io.Reader) error { return lines(out, l.add) })
	return l, err
}

// History returns what the commits brought that any ref or HEAD reaches, oldest first,
// their messages at the end, and how many commits there are. A blob is in it once for
// each path.
func (r *Repo) History(ctx context.Context) (l *List, commits int, err error) {
	g := Range{all: true}
	if r.bin == "" {
		changes, commits, err := r.changesLibrary(ctx, g)
		return ListOf(changes), commits, err
	}
	head, err := r.Head(ctx)
	if err != nil {
		return nil, 0, err
	}
	args := g.args()
	if head == "" { // nothing is checked out: HEAD would be an error
		args = slices.DeleteFunc(args, func(a string) bool { return a == "HEAD" })
	}
	list, err := r.revList(ctx, nil, args...)
	if err != nil {
		return nil, 0, err
	}
	if l, err = r.listed(ctx, list, &g); err != nil {
		return nil, 0, err
	}
	for id := range bytes.Lines(list.ids) {
		id = bytes.TrimSpace(id)
		l.entries = l.put(l.entries, []byte(scanner.CommitMessage), id, id)
	}
	return l, int(list.commits), nil
}

// listed returns what the commits of list, newest first, brought: oldest first, each
// blob once for each path.
func (r *Repo) listed(ctx context.Context, list *commitList, g *Range) (*List, error) {
	l := newList()
	wanted := map[string]bool{}
	for _, p := range g.Paths {
		wanted[p] = true
	}
	parts := make([][]entry, partsOf(list.ids))
	err := r.diffTrees(ctx, list, g, len(parts), func(i int) *rawParser {
		return &rawParser{meter: list.meter, add: func(path, id, commit []byte, _ []string) error {
			if len(wanted) > 0 && !wanted[string(path)] {
				return nil
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			n := len(l.paths)
			parts[i] = l.put(parts[i], path, id, commit)
			if len(l.paths) > n {
				return list.path(len(path))
			}
			return nil
		}}
	})
	if err != nil || l.bad != nil {
		return nil, cmp.Or(err, l.bad)
	}
	l.entries = slices.Concat(parts...)
	l.oldest()
	return l, nil
}

// replaced returns what the commits of list, newest first, brought: oldest first, with
// what it took the place of, and at the end their messages.
func (r *Repo) replaced(ctx context.Context, list *commitList, g *Range) ([]Change, error) {
	parts := make([][]Change, partsOf(list.ids))
	err := r.diffTrees(ctx, list, g, len(parts), func(i int) *rawParser { return keepAll(list.meter, &parts[i]) })
	if err != nil {
		return nil, err
	}
	changes := parts[0]
	if len(parts) > 1 {
		changes = slices.Concat(parts...)
	}
	slices.Reverse(changes)
	return append(changes, messages(list.ids)...), nil
}

// mostShared is how many paths are kept once for all their changes. Others count each time.
const mostShared = 50_000

// keepAll is a parser that appends the changes to a slice. What many changes have alike is
// kept once.
func keepAll(m *meter, to *[]Change) *rawParser {
	paths := map[string]string{}
	var last Change
	return &rawParser{meter: m, old: true, add: func(path, id, commit []byte, old []string) error {
		c := Change{ID: last.ID, Old: old, Commit: last.Commit}
		if c.ID != string(id) {
			c.ID = string(id)
		}
		if c.Commit != string(commit) {
			c.Commit = string(commit)
		}
		var known bool
		if c.Path, known = paths[string(path)]; !known {
			c.Path = string(path)
			if len(paths) < mostShared {
				paths[c.Path] = c.Path
			}
			if err := m.path(len(path)); err != nil {
				return err
			}
		}
		last = c
		*to = append(*to, c)
		return nil
	}}
}

// partsOf is how many processes a list of commits is split between.
func partsOf(list []byte) int { return min(runtime.GOMAXPROCS(0), 4, 1+len(list)/(1000*41)) }

// diffTrees hands what the commits of list brought to as many parsers as there are
// parts, each of which has the commits of a part.
func (r *Repo) diffTrees(ctx context.Context, list *commitList, g *Range, parts int, parser func(part int) *rawParser) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		from, to := lineAt(list.ids, i*len(list.ids)/parts), lineAt(list.ids, (i+1)*len(list.ids)/parts)
		p := parser(i)
		group.Go(func() error { return r.diffTree(ctx, list.ids[from:to], g, p) })
	}
	return group.Wait()
}

// lineAt returns where the first line at or after i begins.
func lineAt(list []byte, i int) int {
	if i == 0 || i >= len(list) {
		return min(i, len(list))
	}
	if n := bytes.IndexByte(list[i-1:], '\n'); n >= 0 {
		return i + n
	}
	return len(list)
}

// diffTree runs one diff-tree over a list of commits. It asks for deletions as
// well, although they are not wanted: leaving them out is three times slower.
func (r *Repo) diffTree(ctx context.Context, list []byte, g *Range, p *rawParser) error {
	args := []string{"diff-tree", "--stdin", "-r", "-c", "--root", "--raw", "--no-abbrev", "-z", "--no-ext-diff", "--no-textconv", "--no-renames"}
	if g.Renames {
		args[len(args)-1] = "-M"
	}
	p.list = list
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	end := r.watch(ctx, list, g, p, cancel)
	err := r.stream(ctx, int64(len(list)/41), append(args, "--"), bytes.NewReader(list), p.parse)
	end()
	if errors.Is(err, errMemory) {
		var over *scanner.BudgetError
		if why := r.weigh(ctx, list, g, int(p.at.Load())); errors.As(why, &over) {
			return over
		}
	}
	return err
}

// rawParser reads the output of git diff-tree or diff-index --raw -z.
// https://git-scm.com/docs/git-diff-tree#_raw_output_format
type rawParser struct {
	*meter
	add      func(path, id, commit []byte, old []string) error // keeps nothing of the bytes
	old      bool                                              // tell what the blobs took the place of
	commit   []byte
	meta     []byte // the record that is read
	rest     []byte // of one that is longer than the reader's buffer
	mine     load   // of the commit
	unmerged bool   // a conflict is open
	counted  int64  // of the records, those that the meter knows of

	list    []byte       // the commits that git was given
	at      atomic.Int64 // where in it the commit stands
	records atomic.Int64
}

func (p *rawParser) parse(r io.Reader) error {
	br := bufio.NewReaderSize(r, 1<<16)
	for {
		rec, err := p.record(br)
		if errors.Is(err, io.EOF) && len(rec) == 0 {
			return p.tell()
		}
		if err != nil {
			return fmt.Errorf("read git's list of changes: %w", err)
		}
		if len(rec) == 0 || rec[0] != ':' {
			id, _, _ := bytes.Cut(bytes.TrimSpace(rec), []byte(" "))
			p.begin(id)
			continue
		}
		p.meta = append(p.meta[:0], rec...)
		if err := p.change(br); err != nil {
			return err
		}
	}
}

// begin notes that the changes of a commit follow.
func (p *rawParser) begin(id []byte) {
	p.commit = append(p.commit[:0], id...)
	p.mine = load{}
	at := int(p.at.Load())
	if n := bytes.Index(p.list[at:], id); n >= 0 {
		p.at.Store(int64(at + n))
	}
}

// tell tells the meter of the changes that it does not know of yet.
func (p *rawParser) tell() error {
	n := p.records.Load()
	news := n - p.counted
	p.counted = n
	return p.meter.change(news)
}

// count counts a change of so many bytes of paths.
func (p *rawParser) count(length int) error {
	p.mine.changes++
	p.mine.bytes += int64(length)
	if err := scanner.Exceeds(whatOneCommit, p.mine.changes, p.OneCommit); err != nil {
		return err
	}
	if err := scanner.Exceeds(whatPathBytes, p.mine.bytes, p.PathBytes); err != nil {
		return err
	}
	if p.records.Add(1)-p.counted >= 256 { // several processes share the meter
		return p.tell()
	}
	return nil
}

// record returns what comes before the next zero byte, until the next call.
func (p *rawParser) record(br *bufio.Reader) ([]byte, error) {
	rec, err := br.ReadSlice(0)
	if errors.Is(err, bufio.ErrBufferFull) {
		p.rest = append(p.rest[:0], rec...)
		var more []byte
		more, err = br.ReadBytes(0)
		p.rest = append(p.rest, more...)
		rec = p.rest
	}
	return bytes.TrimSuffix(rec, []byte{0}), err
}

// change reads one record: as many colons as there are parents, the modes of
// the parents and the result, their blobs, the status, and the path.
func (p *rawParser) change(br *bufio.Reader) error {
	parents := len(p.meta) - len(bytes.TrimLeft(p.meta, ":"))
	f := bytes.Split(p.meta[parents:], []byte(" "))
	if len(f) != 2*parents+3 || len(f[len(f)-1]) == 0 {
		return fmt.Errorf("git printed a change that is not understood: %q", p.meta)
	}
	path, err := p.record(br)
	if err != nil {
		return fmt.Errorf("git's list of changes ends early: %w", err)
	}
	length := len(path)
	status := f[len(f)-1]
	p.unmerged = p.unmerged || status[0] == 'U'
	if parents == 1 && (status[0] == 'R' || status[0] == 'C') {
		if path, err = p.record(br); err != nil {
			return fmt.Errorf("git's list of changes ends early: %w", err)
		}
		length += len(path)
	}
	if err := p.count(length); err != nil {
		return err
	}
	id := f[2*parents+1]
	if !isBlob(string(f[parents])) || len(bytes.Trim(id, "0")) == 0 {
		return nil
	}
	var old []string
	for i := range parents {
		if o := f[parents+1+i]; p.old && len(bytes.Trim(o, "0")) > 0 && isBlob(string(f[i])) {
			old = append(old, string(o))
		}
	}
	return p.add(path, id, p.commit, old)
}

// Commits returns what is known of the given commits.
func (r *Repo) Commits(ctx context.Context, ids []string) (map[string]*scanner.Commit, error) {
	out := map[string]*scanner.Commit{}
	if len(ids) == 0 {
		return out, nil
	}
	if r.bin == "" {
		return r.commitsLibrary(ids)
	}
	cmd := r.command(ctx, "rev-list", "--no-walk=unsorted", "--stdin", "--format=%H%x00%an%x00%aI")
	cmd.Stdin = strings.NewReader(strings.Join(ids, "\n") + "\n")
	text, err := cmd.Output()
	if err != nil {
		return nil, gitError("rev-list", err, stderrOf(err))
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\x00")
		if len(f) != 3 {
			continue
		}
		when, _ := time.Parse(time.RFC3339, f[2])
		out[f[0]] = &scanner.Commit{ID: f[0], Author: f[1], Date: when}
	}
	return out, nil
}

// stderrOf is what a command that failed printed on its standard error.
func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}

// Untracked returns the files of the work tree that git neither tracks nor
// ignores, and Ignored the directories and files that it ignores.
func (r *Repo) Untracked(ctx context.Context) ([]string, error) {
	return r.list(ctx, "ls-files", "-o", "--exclude-standard", "-z")
}

// Ignored returns what .gitignore leaves out of dir's work tree, directories
// with a slash at the end.
func (r *Repo) Ignored(ctx context.Context) ([]string, error) {
	return r.list(ctx, "ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z")
}

// Dirty returns the tracked files that may differ from the index: by size or
// time, not by content, so that no filter has to run.
func (r *Repo) Dirty(ctx context.Context) ([]string, error) {
	out, err := r.output(ctx, "diff-files", "--raw", "-z", "--diff-filter=d", "--ignore-submodules=all", "--no-ext-diff")
	if err != nil {
		return nil, err
	}
	var paths []string
	f := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(f); i += 2 {
		paths = append(paths, f[i+1])
	}
	hidden, err := r.list(ctx, "ls-files", "-v", "-z")
	if err != nil {
		return nil, err
	}
	for _, rec := range hidden { // assume-unchanged is lower case, skip-worktree is S
		if tag, path, ok := strings.Cut(rec, " "); ok && (tag == "S" || tag != strings.ToUpper(tag)) && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func (r *Repo) list(ctx context.Context, args ...string) ([]string, error) {
	if r.bin == "" {
		return nil, fmt.Errorf("git %s: git is not installed", args[0])
	}
	cmd := r.command(ctx, args...)
	if !r.Bare {
		cmd.Dir = r.Dir
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, gitError(args[0], err, stderr.String())
	}
	r.warn(stderr.String())
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == 0 }), nil
}

// StagedQuickly is [Repo.Staged] with a single git process, for a directory that is
// the top of a work tree. It does not say what the blobs took the place of, and in
// a merge it takes all that the merge brings for new. It answers false where more
// has to be known: the repository is not plain, has no commit, a conflict is open,
// git warned of something or is not there.
func StagedQuickly(ctx context.Context, dir string, opt Options) (r *Repo, changes []Change, ok bool) {
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err != nil || opt.NoGit {
		return nil, nil, false
	}
	r = &Repo{Dir: dir, Budget: opt.Budget.Or(scanner.Budget{}), env: environment(opt)}
	var err error
	if r.bin, err = exec.LookPath("git"); err != nil {
		return nil, nil, false
	}
	p := keepAll(r.meter(), &changes)
	err = r.stream(ctx, 0, []string{"diff-index", "--cached", "--raw", "--no-abbrev", "-z", "--no-renames", "--diff-filter=d", "HEAD", "--"}, nil, p.parse)
	return r, changes, err == nil && !p.unmerged && len(r.Warnings()) == 0
}
