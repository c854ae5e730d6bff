package hooks

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/changes"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
)

// scanNew scans the blobs of changes, adds what is new with them, and returns all
// that was found.
func (j *job) scanNew(ctx context.Context, list []git.Change) ([]scanner.Finding, error) {
	list = changes.NotMoved(list)
	found, err := j.collect(ctx, j.reader().Blobs(ctx, git.ListOf(list)), len(list))
	if err != nil {
		return nil, err
	}
	return found, j.reader().AddNew(ctx, &j.keys, list, found)
}

// staged scans the blobs of the index that HEAD has not.
func (j *job) staged(ctx context.Context) error {
	_, err := j.scanStaged(ctx)
	return err
}

// scanStaged is staged, and returns what the index changes.
func (j *job) scanStaged(ctx context.Context) ([]git.Change, error) {
	j.published = j.ofPushRemote
	list, err := j.repo.Staged(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 && j.o.staged {
		j.notes = append(j.notes, "nothing is staged: the index equals HEAD, or only removes files")
	}
	_, err = j.scanNew(ctx, list)
	return list, err
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
	return j.scanOnDisk(ctx, slices.Concat(dirty, untracked), func(string) bool { return true })
}

// scanOnDisk scans files and directories of the work tree, and adds what was found: at
// the paths where onlyNew, what HEAD has not.
func (j *job) scanOnDisk(ctx context.Context, names []string, onlyNew func(path string) bool) error {
	src := func(yield func(scanner.Blob, error) bool) {
		for _, name := range names {
			opt := j.fileOptions()
			opt.LFS = j.repo.OpenLFS
			for b, err := range files.One(ctx, j.repo.Dir, strings.TrimSuffix(name, "/"), opt) {
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
		j.add(found, nil) // they may be new
		return err
	}
	j.add(slices.DeleteFunc(found, func(f scanner.Finding) bool { return onlyNew(f.Path) && old[f.Path][f.Fingerprint] }), nil)
	return nil
}

// atHead returns the fingerprints that HEAD has at the paths of the findings.
func (j *job) atHead(ctx context.Context, found []scanner.Finding) (map[string]map[string]bool, error) {
	head, err := j.repo.Head(ctx)
	if err != nil || head == "" || len(found) == 0 {
		return nil, err
	}
	paths := map[string]bool{}
	for _, f := range found {
		paths[f.Path] = true
	}
	return j.reader().PrintsAt(ctx, head, slices.Sorted(maps.Keys(paths)))
}
