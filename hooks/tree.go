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
	head := j.headTree(ctx)
	j.noteUnless("submodules", head.err)
	for _, p := range head.links {
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
