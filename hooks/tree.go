package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
)

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
			opt, prefix := j.fileOptions(), j.prefix(arg)
			if skip != nil {
				opt.Skip = func(p string) bool { return skip(prefix + p) }
			}
			if j.repo != nil {
				opt.LFS = j.repo.OpenLFS
			}
			empty := true
			for b, err := range files.Walk(ctx, j.env.path(arg), opt) {
				empty = false
				b.Path = prefix + b.Path
				if !yield(b, prefixed(err, prefix)) {
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
	head := j.headTree(ctx)
	j.noteUnless("submodules", head.err)
	prefix := j.prefix(j.args[0])
	for _, p := range head.links {
		if !strings.HasPrefix(p, prefix) {
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
	list, err := j.repo.Ignored(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, p := range list {
		out[strings.TrimSuffix(p, "/")] = true
	}
	return func(p string) bool { return out[p] }, nil
}

// prefix is what stands before the paths below an argument, so that they are relative to
// the top, else to the working directory: "" or with a slash at the end. What lies elsewhere
// has paths relative to the argument, or with its directory before them if there are several.
func (j *job) prefix(arg string) string {
	dir, err := j.env.directory(arg)
	if err != nil {
		return ""
	}
	for _, top := range []string{j.top(), j.env.path(".")} {
		if rel, ok := within(top, dir); ok {
			return rel
		}
	}
	if len(j.args) == 1 {
		return ""
	}
	if here, err := filepath.Abs(j.env.path(".")); err == nil {
		if rel, err := filepath.Rel(here, dir); err == nil {
			dir = rel
		}
	}
	return filepath.ToSlash(dir) + "/"
}

// top is the directory that paths are relative to: that of the repository; outside of one
// that of the policy, else the working directory if it holds what is scanned, or if there
// are several arguments.
func (j *job) top() string {
	if j.repo != nil && !j.repo.Bare {
		return j.repo.Dir
	}
	if j.policy.Path != "" {
		return j.root
	}
	if _, ok := within(j.env.path("."), j.dir); ok || len(j.args) > 1 {
		return j.env.path(".")
	}
	return j.dir
}

// within returns the path of dir relative to top with a slash at the end, "" for top itself,
// and whether dir lies in it.
func within(top, dir string) (string, bool) {
	top, err := filepath.Abs(top)
	if err != nil {
		return "", false
	}
	if top, err = filepath.EvalSymlinks(top); err != nil {
		return "", false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", false
	}
	rel, err := filepath.Rel(top, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	if rel == "." {
		return "", true
	}
	return filepath.ToSlash(rel) + "/", true
}

// prefixed returns err; the path of a gap gets a prefix.
func prefixed(err error, prefix string) error {
	var gap *scanner.Gap
	if prefix == "" || !errors.As(err, &gap) || gap.Path == "" {
		return err
	}
	moved := *gap
	moved.Path = prefix + gap.Path
	return &moved
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
	found, err := j.collect(ctx, j.reader().Blobs(ctx, git.ListOf(changes)), len(changes))
	if err != nil {
		return err
	}
	j.add(found, nil)
	if j.o.firstSeen && len(found) > 0 {
		j.noteUnless("first commits", j.lookup(ctx))
	}
	return nil
}
