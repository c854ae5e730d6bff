package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/report"
)

// A job is one scan: it brings sources, scanner and repository together.
type job struct {
	*session
	o       *scanOptions
	args    []string
	dir     string
	started time.Time
	cov     report.Coverage
	keys    scanner.Keys

	found    []scanner.Finding // of a tree
	trusted  map[string]bool   // keys whose allow comments hold though they come from people who may not allow
	profiles map[string]string
	stopAt   time.Time // when reading has to end; zero means never
	late     bool      // it ended before all was read
}

// run does the work of a job and adds what git warned of.
func (j *job) run(ctx context.Context, work func(*job, context.Context) error) error {
	err := work(j, ctx)
	if err == nil {
		err = ctx.Err()
	}
	if j.repo != nil {
		for _, w := range j.repo.Warnings() {
			j.cov.Gaps = append(j.cov.Gaps, scanner.Gap{Reason: "git: " + w})
		}
	}
	return err
}

// do is the work of keyward scan: what its flags name.
func (j *job) do(ctx context.Context) error {
	if m := j.o.mode(); m != "tree" && m != "stdin" && j.repo == nil {
		return hint(fmt.Errorf("--%s: %s: not a git repository", m, j.args[0]), "nothing was scanned: run it in a repository, or scan the files without --"+m)
	}
	switch j.o.mode() {
	case "staged":
		return j.staged(ctx)
	case "uncommitted":
		return j.uncommitted(ctx)
	case "range":
		return j.commitRange(ctx)
	case "history":
		return j.history(ctx)
	case "stdin":
		return j.stdin(ctx)
	}
	return j.tree(ctx)
}

// profile is the scanner's, remembered for each path.
func (j *job) profile(path string) string {
	if j.profiles == nil {
		j.profiles = map[string]string{}
	}
	p, ok := j.profiles[path]
	if !ok {
		p = j.scanner.Profile(path)
		j.profiles[path] = p
	}
	return p
}

// speaksOf reports whether a finding in a blob holds where the blob stands at
// path: it was made under a path of the same profile.
func (j *job) speaksOf(f *scanner.Finding, path string) bool {
	if f.Path == path {
		return true
	}
	container, _, _ := strings.Cut(f.Path, "!")
	p := j.profile(path)
	return j.profile(f.Path) == p || j.profile(container) == p
}

// fileOptions says how files and blobs are read.
func (j *job) fileOptions() files.Options {
	return files.Options{MaxSize: j.o.maxSize, Archives: j.o.archives, Skipped: func(_, why string) { j.cov.Skipped[why]++ }}
}

// collect scans a source, counts what it covers and returns the findings. What
// could not be read is counted; any other error ends the scan.
func (j *job) collect(ctx context.Context, src scanner.Source, total int) ([]scanner.Finding, error) {
	bar := j.progress(total)
	defer func() { _ = bar.Finish() }() // only a display
	counted := func(yield func(scanner.Blob, error) bool) {
		read := 0
		for b, err := range src {
			if !j.stopAt.IsZero() && time.Now().After(j.stopAt) {
				j.late = true
				j.cov.Gaps = append(j.cov.Gaps, scanner.Gap{Path: b.Path, Reason: fmt.Sprintf("the time budget ended here: of %d files the last %d were not scanned", total, max(1, total-read))})
				return
			}
			if err == nil {
				if b.Offset == 0 {
					read++
				}
				j.cov.Bytes += int64(len(b.Data))
				if b.Offset == 0 && !isMessage(&b) {
					j.cov.Blobs++
					_ = bar.Add(1) // only a display
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
	var found []scanner.Finding
	for f, err := range j.scanner.Run(ctx, counted) {
		var gap *scanner.Gap
		switch {
		case errors.As(err, &gap):
			j.cov.Gaps = append(j.cov.Gaps, *gap)
		case err != nil:
			return nil, err
		default:
			found = append(found, f)
		}
	}
	slices.SortFunc(j.cov.Gaps, func(a, b scanner.Gap) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Reason, b.Reason))
	})
	return found, nil
}

// isMessage reports whether a blob is the message of a commit: it belongs to the
// commit, and is not counted beside it.
func isMessage(b *scanner.Blob) bool { return b.Commit != "" && b.ID == b.Commit }

// progress shows a bar on a terminal for what takes longer than a moment.
func (j *job) progress(total int) *progressbar.ProgressBar {
	visible := !j.o.quiet && j.env.isTerminal(j.env.rawErr)
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(j.env.Stderr), progressbar.OptionSetVisibility(visible),
		progressbar.OptionSetDescription("scanning"), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true))
}

// tree scans the files below each path, or the tree at HEAD of a bare repository.
func (j *job) tree(ctx context.Context) error {
	if j.repo != nil && j.repo.Bare && len(j.args) == 1 {
		return j.bareTree(ctx)
	}
	skip, err := j.ignored(ctx)
	if err != nil {
		return err
	}
	src := func(yield func(scanner.Blob, error) bool) {
		for _, arg := range j.args {
			opt := j.fileOptions()
			opt.Skip = skip
			if j.repo != nil {
				opt.LFS = j.repo.OpenLFS
			}
			empty := true
			for b, err := range files.Walk(ctx, j.env.path(arg), opt) {
				empty = false
				if len(j.args) > 1 {
					b.Path = filepath.ToSlash(filepath.Join(arg, b.Path))
				}
				if !yield(b, err) {
					return
				}
			}
			if empty && len(j.args) > 1 && !yield(scanner.Blob{}, &scanner.Gap{Path: arg, Reason: "there are no files in it: is it the right directory?"}) {
				return
			}
		}
	}
	found, err := j.collect(ctx, src, 0)
	if err != nil {
		return err
	}
	if j.cov.Blobs == 0 && len(j.cov.Gaps) == 0 {
		return hint(fmt.Errorf("scan %s: there are no files in it", strings.Join(j.args, " ")), "nothing was scanned, and that is not a pass: is it the right directory?")
	}
	j.countSubmodules(ctx)
	j.found = slices.Clone(found)
	j.add(found, nil)
	if j.o.firstSeen && len(found) > 0 && len(j.args) == 1 {
		j.noteUnless("first commits", j.lookup(ctx))
	}
	return nil
}

// countSubmodules counts the submodules below the scanned directory that are not
// checked out: their files are not there to be read.
func (j *job) countSubmodules(ctx context.Context) {
	if j.repo == nil || j.repo.Bare || len(j.args) > 1 {
		return
	}
	if _, err := os.Lstat(filepath.Join(j.repo.Dir, ".gitmodules")); err != nil {
		return // most repositories have none: no need to ask git
	}
	for _, p := range j.repo.Submodules(ctx, "HEAD") {
		if !strings.HasPrefix(p, j.prefix()) {
			continue
		}
		if entries, err := os.ReadDir(filepath.Join(j.repo.Dir, filepath.FromSlash(p))); err != nil || len(entries) == 0 {
			j.cov.Skipped["unfetched submodule"]++
		}
	}
}

// ignored returns a test for what .gitignore leaves out, if that is wanted.
func (j *job) ignored(ctx context.Context) (func(string) bool, error) {
	if !j.o.gitignore {
		return nil, nil
	}
	if j.repo == nil {
		return nil, hint(fmt.Errorf("--gitignore: %s: not a git repository", j.args[0]), "nothing was scanned")
	}
	if len(j.args) > 1 {
		return nil, hint(errors.New("--gitignore takes one path"), "nothing was scanned: run keyward once for each")
	}
	list, err := j.repo.Ignored(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, p := range list {
		out[strings.TrimSuffix(p, "/")] = true
	}
	prefix := j.prefix()
	return func(p string) bool { return out[prefix+p] }, nil
}

// prefix is what stands before a scanned path to make it relative to the
// repository, "" or with a slash at the end.
func (j *job) prefix() string {
	if j.repo == nil || j.repo.Bare || j.o.mode() != "tree" || len(j.args) > 1 {
		return ""
	}
	top, err := filepath.EvalSymlinks(j.repo.Dir)
	if err != nil {
		return ""
	}
	dir, err := filepath.EvalSymlinks(j.dir)
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(top, dir)
	if err != nil || rel == "." || strings.HasPrefix(rel, "..") {
		return ""
	}
	return filepath.ToSlash(rel) + "/"
}

func (j *job) bareTree(ctx context.Context) error {
	head, err := j.repo.Head(ctx)
	if err != nil {
		return err
	}
	if head == "" {
		return hint(fmt.Errorf("scan %s: a bare repository without commits at HEAD", j.args[0]), "nothing was scanned")
	}
	changes, err := j.repo.Tree(ctx, head)
	if err != nil {
		return err
	}
	j.notes = append(j.notes, "a bare repository: the tree at HEAD was scanned; --history scans all commits")
	found, err := j.collect(ctx, j.repo.Blobs(ctx, changes, j.profile, j.fileOptions()), len(changes))
	if err != nil {
		return err
	}
	j.add(found, nil)
	if j.o.firstSeen && len(found) > 0 {
		j.noteUnless("first commits", j.lookup(ctx))
	}
	return nil
}

// noteUnless turns the failure to find out something about keys that were found
// into a note: the keys are reported all the same.
func (j *job) noteUnless(what string, err error) {
	if err != nil {
		j.notes = append(j.notes, fmt.Sprintf("%s are not told: %v", what, err))
	}
}

func (j *job) add(found []scanner.Finding, commit *scanner.Commit) {
	slices.SortFunc(found, byPlace)
	for i := range found {
		j.keys.Add(&found[i], commit)
	}
}

func byPlace(a, b scanner.Finding) int {
	return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), strings.Compare(a.Rule.ID, b.Rule.ID))
}

func (j *job) stdin(ctx context.Context) error {
	found, err := j.collect(ctx, files.Reader("stdin", j.env.input(), j.fileOptions()), 0)
	if err != nil {
		return err
	}
	if j.cov.Bytes == 0 {
		return hint(errors.New("standard input is empty"), "nothing was scanned, and that is not a pass")
	}
	j.add(found, nil)
	return nil
}

// staged scans the blobs of the index that HEAD has not.
func (j *job) staged(ctx context.Context) error {
	changes, err := j.repo.Staged(ctx)
	if err != nil {
		return err
	}
	if len(changes) == 0 && j.o.staged {
		j.notes = append(j.notes, "nothing is staged: the index equals HEAD, or only removes files")
	}
	found, err := j.collect(ctx, j.repo.Blobs(ctx, changes, j.profile, j.fileOptions()), len(changes))
	if err != nil {
		return err
	}
	return j.addNew(ctx, changes, found)
}

// uncommitted scans what is staged, and the files that are changed or untracked.
func (j *job) uncommitted(ctx context.Context) error {
	if j.repo.Bare {
		return hint(errors.New("--uncommitted: a bare repository has no work tree"), "nothing was scanned")
	}
	if err := j.staged(ctx); err != nil {
		return err
	}
	dirty, err := j.repo.Dirty(ctx)
	if err != nil {
		return err
	}
	untracked, err := j.repo.Untracked(ctx)
	if err != nil {
		return err
	}
	src := func(yield func(scanner.Blob, error) bool) {
		for _, p := range slices.Concat(dirty, untracked) {
			opt := j.fileOptions()
			opt.LFS = j.repo.OpenLFS
			for b, err := range files.One(ctx, j.repo.Dir, strings.TrimSuffix(p, "/"), opt) {
				if !yield(b, err) {
					return
				}
			}
		}
	}
	found, err := j.collect(ctx, src, 0)
	if err != nil {
		return err
	}
	old, err := j.atHead(ctx, found)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(f scanner.Finding) bool { return old[f.Path][f.Fingerprint] })
	j.add(found, nil)
	return nil
}

// atHead returns the fingerprints that HEAD has at the paths of the findings.
func (j *job) atHead(ctx context.Context, found []scanner.Finding) (map[string]map[string]bool, error) {
	out := map[string]map[string]bool{}
	head, err := j.repo.Head(ctx)
	if err != nil || head == "" || len(found) == 0 {
		return out, err
	}
	tree, err := j.repo.Tree(ctx, head)
	if err != nil {
		return nil, err
	}
	at := map[string]string{}
	for _, c := range tree {
		at[c.Path] = c.ID
	}
	ids := map[string]string{}
	for _, f := range found {
		if id := at[f.Path]; id != "" {
			ids[id] = f.Path
		}
	}
	prints, err := j.prints(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		out[f.Path] = prints[at[f.Path]]
	}
	return out, nil
}

// prints scans blobs, given with a path of each, for their fingerprints only. What
// cannot be read has none.
func (j *job) prints(ctx context.Context, ids map[string]string) (map[string]map[string]bool, error) {
	var changes []git.Change
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		changes = append(changes, git.Change{ID: id, Path: ids[id]})
	}
	out := map[string]map[string]bool{}
	for f, err := range j.scanner.Run(ctx, j.repo.Blobs(ctx, changes, nil, files.Options{MaxSize: j.o.maxSize, Archives: j.o.archives})) {
		var gap *scanner.Gap
		if errors.As(err, &gap) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if out[f.Blob] == nil {
			out[f.Blob] = map[string]bool{}
		}
		out[f.Blob][f.Fingerprint] = true
	}
	return out, nil
}

// addNew adds the findings that are new with the changes: a value that the
// blob's predecessor has at the same path is not, wherever it stands in it.
func (j *job) addNew(ctx context.Context, changes []git.Change, found []scanner.Finding) error {
	if len(found) == 0 {
		return nil
	}
	byBlob := map[string][]*scanner.Finding{}
	for i := range found {
		byBlob[found[i].Blob] = append(byBlob[found[i].Blob], &found[i])
	}
	old, commits := map[string]string{}, map[string]bool{}
	for _, c := range changes {
		if byBlob[c.ID] != nil {
			for _, id := range c.Old {
				old[id] = c.Path
			}
			if c.Commit != "" {
				commits[c.Commit] = true
			}
		}
	}
	prints, err := j.prints(ctx, old)
	if err != nil {
		return err
	}
	about, err := j.repo.Commits(ctx, slices.Sorted(maps.Keys(commits)))
	if err != nil {
		return err
	}
	for _, c := range changes {
		for _, f := range byBlob[c.ID] {
			if !j.speaksOf(f, c.Path) || slices.ContainsFunc(c.Old, func(id string) bool { return prints[id][f.Fingerprint] }) {
				continue
			}
			g := *f
			g.Path, g.Commit = member(c.Path, f.Path), c.Commit
			k := j.keys.Add(&g, about[c.Commit])
			if k.First == nil {
				k.First = about[c.Commit]
			}
		}
	}
	return nil
}

// member is the path of a finding in a blob that stands at several paths: if it
// was found in a member of an archive, the member's name stays.
func member(at, found string) string {
	if i := strings.IndexByte(found, '!'); i >= 0 && !strings.HasPrefix(found, at) {
		return at + found[i:]
	} else if i >= 0 {
		return found
	}
	return at
}
