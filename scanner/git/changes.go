package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
)

// A Change is a blob that came to stand at a path: by a commit, or in the index.
type Change struct {
	Path   string
	ID     string   // the blob
	Old    []string // the blobs it took the place of, one for each parent that had the path
	Commit string   // "" in the index
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

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
		out, err := r.output(ctx, "ls-files", "--stage", "-z")
		if err != nil {
			return nil, err
		}
		return parseStage(out)
	}
	changes, err := r.diffIndex(ctx, head)
	if err != nil || len(changes) == 0 {
		return changes, err
	}
	merged, err := r.Resolve(ctx, "MERGE_HEAD")
	if err != nil || merged == "" {
		return changes, err
	}
	other, err := r.diffIndex(ctx, merged)
	if err != nil {
		return nil, err
	}
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
	return both, nil
}

func (r *Repo) diffIndex(ctx context.Context, tree string) ([]Change, error) {
	out, err := r.output(ctx, "diff-index", "--cached", "--raw", "--no-abbrev", "-z", "-M", "--diff-filter=d", tree, "--")
	if err != nil {
		return nil, err
	}
	var p rawParser
	err = p.parse(bytes.NewReader(out))
	return p.changes, err
}

// parseStage reads the output of ls-files --stage -z.
func parseStage(out []byte) ([]Change, error) {
	var changes []Change
	for _, rec := range strings.Split(string(out), "\x00") {
		if rec == "" {
			continue
		}
		meta, path, ok := strings.Cut(rec, "\t")
		f := strings.Fields(meta)
		if !ok || len(f) != 3 {
			return nil, fmt.Errorf("git ls-files printed %q", rec)
		}
		if isBlob(f[0]) {
			changes = append(changes, Change{Path: path, ID: f[1]})
		}
	}
	return changes, nil
}

// isBlob reports whether an entry of this mode is a file or a symbolic link.
func isBlob(mode string) bool { return strings.HasPrefix(mode, "10") || mode == "120000" }

// A Range selects commits.
type Range struct {
	Include []string // revisions
	Exclude []string // revisions whose ancestors are left out
	All     bool     // every ref and HEAD
	Paths   []string // only commits that change these
	Renames bool     // tell a renamed file from a new one
}

func (g *Range) args() []string {
	args := []string{"rev-list", "--topo-order", "--reverse"}
	if g.All {
		args = append(args, "--all", "HEAD", "--ignore-missing")
	}
	args = append(args, "--end-of-options")
	args = append(args, g.Include...)
	for _, e := range g.Exclude {
		args = append(args, "^"+e)
	}
	args = append(args, "--")
	return append(args, g.Paths...)
}

// Changes returns what the commits of g brought, oldest first, and how many
// commits there are. A merge brings what none of its parents has.
func (r *Repo) Changes(ctx context.Context, g Range) (changes []Change, commits int, err error) {
	if r.bin == "" {
		return r.changesLibrary(ctx, g)
	}
	if g.All {
		head, err := r.Head(ctx)
		if err != nil {
			return nil, 0, err
		}
		if head == "" { // nothing is checked out: HEAD would be an error
			g.All = false
			g.Include = append(g.Include, "--all")
		}
	}
	args := g.args()
	if i := slices.Index(args, "--end-of-options"); i >= 0 && slices.Contains(g.Include, "--all") {
		args = slices.Delete(args, i, i+1)
	}
	list := r.command(ctx, args...)
	diffArgs := []string{"diff-tree", "--stdin", "-r", "-c", "--root", "--raw", "--no-abbrev", "-z", "--diff-filter=d", "--no-ext-diff", "--no-textconv"}
	if g.Renames {
		diffArgs = append(diffArgs, "-M")
	} else {
		diffArgs = append(diffArgs, "--no-renames")
	}
	diff := r.command(ctx, append(append(diffArgs, "--"), g.Paths...)...)
	pipe, err := list.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	lister := &commitCounter{r: pipe}
	diff.Stdin = lister
	p := rawParser{ids: map[string]string{}}
	if err := r.run(list, diff, &p); err != nil {
		return nil, 0, err
	}
	return p.changes, lister.n, nil
}

// run runs list | diff and parses what diff prints.
func (r *Repo) run(list, diff *exec.Cmd, p *rawParser) error {
	var listErr, diffErr bytes.Buffer
	list.Stderr, diff.Stderr = &listErr, &diffErr
	out, err := diff.StdoutPipe()
	if err != nil {
		return err
	}
	if err := list.Start(); err != nil {
		return fmt.Errorf("git rev-list: %w", err)
	}
	if err := diff.Start(); err != nil {
		_ = list.Process.Kill()
		_ = list.Wait()
		return fmt.Errorf("git diff-tree: %w", err)
	}
	parseErr := p.parse(out)
	if parseErr != nil {
		_ = diff.Process.Kill()
		_ = list.Process.Kill()
	}
	diffWait, listWait := diff.Wait(), list.Wait()
	switch {
	case parseErr != nil:
		return parseErr
	case listWait != nil:
		return gitError("rev-list", listWait, listErr.String())
	case diffWait != nil:
		return gitError("diff-tree", diffWait, diffErr.String())
	}
	return nil
}

// commitCounter counts the lines that pass through it.
type commitCounter struct {
	r io.Reader
	n int
}

func (c *commitCounter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += bytes.Count(p[:n], []byte("\n"))
	return n, err
}

// rawParser reads the output of git diff-tree or diff-index --raw -z.
// https://git-scm.com/docs/git-diff-tree#_raw_output_format
type rawParser struct {
	changes []Change
	commit  string
	ids     map[string]string // paths, so that each is kept once
}

func (p *rawParser) parse(r io.Reader) error {
	br := bufio.NewReaderSize(r, 1<<18)
	for {
		rec, err := br.ReadString(0)
		if errors.Is(err, io.EOF) && rec == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read git's list of changes: %w", err)
		}
		rec = strings.TrimSuffix(rec, "\x00")
		if !strings.HasPrefix(rec, ":") {
			p.commit, _, _ = strings.Cut(strings.TrimSpace(rec), " ")
			continue
		}
		if err := p.change(rec, br); err != nil {
			return err
		}
	}
}

// change reads one record: as many colons as there are parents, the modes of
// the parents and the result, their blobs, the status, and the path.
func (p *rawParser) change(rec string, br *bufio.Reader) error {
	parents := len(rec) - len(strings.TrimLeft(rec, ":"))
	f := strings.Split(rec[parents:], " ")
	if len(f) != 2*parents+3 {
		return fmt.Errorf("git printed a change that is not understood: %q", rec)
	}
	path, err := br.ReadString(0)
	if err != nil {
		return fmt.Errorf("git's list of changes ends early: %w", err)
	}
	status := f[len(f)-1]
	if parents == 1 && (status[0] == 'R' || status[0] == 'C') {
		if path, err = br.ReadString(0); err != nil {
			return fmt.Errorf("git's list of changes ends early: %w", err)
		}
	}
	path = strings.TrimSuffix(path, "\x00")
	id := f[2*parents+1]
	if !isBlob(f[parents]) || strings.Trim(id, "0") == "" {
		return nil
	}
	if p.ids != nil {
		if kept, ok := p.ids[path]; ok {
			path = kept
		} else {
			p.ids[path] = path
		}
	}
	c := Change{Path: path, ID: strings.Clone(id), Commit: p.commit}
	for i := range parents {
		if old := f[parents+1+i]; strings.Trim(old, "0") != "" && isBlob(f[i]) {
			c.Old = append(c.Old, strings.Clone(old))
		}
	}
	p.changes = append(p.changes, c)
	return nil
}

// Tree returns the blobs of a commit or tree.
func (r *Repo) Tree(ctx context.Context, rev string) ([]Change, error) {
	if r.bin == "" {
		return r.treeLibrary(rev)
	}
	out, err := r.output(ctx, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", rev)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, rec := range strings.Split(string(out), "\x00") {
		meta, path, ok := strings.Cut(rec, "\t")
		if f := strings.Fields(meta); ok && len(f) == 3 && isBlob(f[0]) {
			changes = append(changes, Change{Path: path, ID: f[2]})
		}
	}
	return changes, nil
}

// Submodules returns the paths that a tree links to other repositories at.
func (r *Repo) Submodules(ctx context.Context, rev string) []string {
	if r.bin == "" {
		return nil
	}
	out, err := r.output(ctx, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", rev)
	if err != nil {
		return nil
	}
	var paths []string
	for _, rec := range strings.Split(string(out), "\x00") {
		if strings.HasPrefix(rec, "160000 ") {
			_, path, _ := strings.Cut(rec, "\t")
			paths = append(paths, path)
		}
	}
	return paths
}

// OddRefs returns the blobs behind refs that name no commit: a tag may point at
// a blob or a tree.
func (r *Repo) OddRefs(ctx context.Context) ([]Change, error) {
	if r.bin == "" {
		return nil, nil
	}
	out, err := r.output(ctx, "for-each-ref", "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)")
	if err != nil {
		return nil, err
	}
	var changes []Change
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), " ")
		if len(f) < 5 {
			f = append(f, "", "")
		}
		kind, id, name := f[0], f[1], f[len(f)-1]
		if kind == "tag" {
			kind, id = f[2], f[3]
		}
		switch kind {
		case "blob":
			changes = append(changes, Change{Path: name, ID: id})
		case "tree":
			in, err := r.Tree(ctx, id)
			if err != nil {
				return nil, err
			}
			changes = append(changes, in...)
		}
	}
	return changes, nil
}

// Unreachable returns the blobs in the object store that are not among seen.
func (r *Repo) Unreachable(ctx context.Context, seen []Change) ([]Change, error) {
	if r.bin == "" {
		return nil, errors.New("unreachable objects can be listed only with git installed")
	}
	known := make(map[string]bool, len(seen))
	for _, c := range seen {
		known[c.ID] = true
	}
	out, err := r.output(ctx, "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)")
	if err != nil {
		return nil, err
	}
	var changes []Change
	for line := range strings.Lines(string(out)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "blob "); ok && !known[id] {
			changes = append(changes, Change{Path: "unreachable/" + id, ID: id})
		}
	}
	return changes, nil
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
		return nil, gitError("rev-list", err, "")
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
	return strings.FieldsFunc(string(out), func(c rune) bool { return c == 0 }), nil
}
