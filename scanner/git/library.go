package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
)

// This file is the way without the git binary, through go-git. It gives the
// same changes and blobs for SHA-1 repositories.

func (r *Repo) openLibrary() error {
	lib, err := gogit.PlainOpenWithOptions(r.Dir, &gogit.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, gogit.ErrRepositoryNotExists) {
		return fmt.Errorf("%s: %w", r.Dir, ErrNotRepository)
	}
	if err != nil {
		return fmt.Errorf("open repository %s without git: %w (install git to scan it)", r.Dir, err)
	}
	cfg, err := lib.Config()
	if err != nil {
		return fmt.Errorf("open repository %s: %w", r.Dir, err)
	}
	r.lib, r.Bare = lib, cfg.Core.IsBare
	shallow, err := lib.Storer.Shallow()
	if err != nil {
		return fmt.Errorf("open repository %s: %w", r.Dir, err)
	}
	r.Shallow = len(shallow) > 0
	if _, err := os.Lstat(filepath.Join(r.Dir, ".git")); err == nil {
		r.Bare = false // core.bare lies: there is a work tree around
	}
	if tree, err := lib.Worktree(); err == nil {
		r.Dir = tree.Filesystem.Root()
		r.GitDir = path.Join(r.Dir, ".git")
	} else {
		r.GitDir = r.Dir
	}
	return nil
}

func (r *Repo) resolveLibrary(rev string) (string, error) {
	h, err := r.lib.ResolveRevision(plumbing.Revision(rev))
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", rev, err)
	}
	if tag, err := r.lib.TagObject(*h); err == nil {
		c, err := tag.Commit()
		if err != nil {
			return "", nil
		}
		return c.Hash.String(), nil
	}
	return h.String(), nil
}

func (r *Repo) tree(rev string) (*object.Tree, error) {
	id, err := r.resolveLibrary(rev)
	if err != nil || id == "" {
		return nil, err
	}
	c, err := r.lib.CommitObject(plumbing.NewHash(id))
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", id, err)
	}
	return c.Tree()
}

func (r *Repo) stagedLibrary() ([]Change, error) {
	idx, err := r.lib.Storer.Index()
	if err != nil {
		return nil, fmt.Errorf("read index of %s: %w", r.Dir, err)
	}
	at := map[string]string{}
	for _, rev := range []string{"HEAD", "MERGE_HEAD"} {
		tree, err := r.tree(rev)
		if err != nil {
			return nil, err
		}
		if tree == nil {
			continue
		}
		changes, err := r.flatten(tree)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			at[rev+"\x00"+c.Path] = c.ID
		}
	}
	var out []Change
	m := r.meter()
	for n, e := range idx.Entries {
		if err := m.file(n+1, len(e.Name)); err != nil {
			return nil, err
		}
		head, merged, id := at["HEAD\x00"+e.Name], at["MERGE_HEAD\x00"+e.Name], e.Hash.String()
		if !isFile(e.Mode) || id == head || id == merged || e.IntentToAdd {
			continue
		}
		c := Change{Path: e.Name, ID: id}
		for _, old := range []string{head, merged} {
			if old != "" {
				c.Old = append(c.Old, old)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func isFile(m filemode.FileMode) bool {
	return m == filemode.Regular || m == filemode.Executable || m == filemode.Symlink || m == filemode.Deprecated
}

func (r *Repo) treeLibrary(rev string) ([]Change, error) {
	tree, err := r.tree(rev)
	if err != nil {
		return nil, err
	}
	if tree == nil {
		return nil, fmt.Errorf("no commit %s", rev)
	}
	return r.flatten(tree)
}

func (r *Repo) flatten(tree *object.Tree) ([]Change, error) {
	var out []Change
	m := r.meter()
	err := r.added(tree, nil, "", 0, func(c Change) error {
		out = append(out, c)
		return m.file(len(out), len(c.Path))
	})
	return out, err
}

// maxTreeDepth bounds the depth of directories: a tree object is hostile input.
const maxTreeDepth = 256

// added calls add for each blob of tree that none of the parents has at its path.
func (r *Repo) added(tree *object.Tree, parents []*object.Tree, dir string, depth int, add func(Change) error) error {
	if depth > maxTreeDepth {
		return &scanner.BudgetError{What: tooDeep, Count: int64(depth), Limit: maxTreeDepth}
	}
	for i := range tree.Entries {
		e := &tree.Entries[i]
		name := path.Join(dir, e.Name)
		var old []string
		var below []*object.Tree
		same := false
		for _, p := range parents {
			pe, err := p.FindEntry(e.Name)
			if err != nil {
				continue
			}
			same = same || pe.Hash == e.Hash
			switch {
			case e.Mode == filemode.Dir && pe.Mode == filemode.Dir && !same:
				t, err := r.lib.TreeObject(pe.Hash)
				if err != nil {
					return fmt.Errorf("read tree of %s: %w", name, err)
				}
				below = append(below, t)
			case isFile(pe.Mode):
				old = append(old, pe.Hash.String())
			}
		}
		switch {
		case same:
		case e.Mode == filemode.Dir:
			t, err := r.lib.TreeObject(e.Hash)
			if err != nil {
				return fmt.Errorf("read tree of %s: %w", name, err)
			}
			if err := r.added(t, below, name, depth+1, add); err != nil {
				return err
			}
		case isFile(e.Mode):
			if err := add(Change{Path: name, ID: e.Hash.String(), Old: old}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Repo) changesLibrary(ctx context.Context, g Range) ([]Change, int, error) {
	hidden := map[plumbing.Hash]bool{}
	for _, rev := range g.Exclude {
		if err := r.ancestors(ctx, []string{rev}, hidden, nil); err != nil {
			return nil, 0, err
		}
	}
	tips := g.Include
	if g.all {
		refs, err := r.lib.References()
		if err != nil {
			return nil, 0, err
		}
		tips = append(tips, "HEAD")
		err = refs.ForEach(func(ref *plumbing.Reference) error {
			if err := scanner.Exceeds(whatRefs, int64(len(tips)), r.Budget.Refs); err != nil {
				return err
			}
			if ref.Type() == plumbing.SymbolicReference {
				return nil // what it leads to is a ref itself, or is not there yet
			}
			if _, err := r.lib.Storer.EncodedObject(plumbing.AnyObject, ref.Hash()); err != nil {
				return fmt.Errorf("read %s, which %s names: %w", ref.Hash(), ref.Name(), err)
			}
			tips = append(tips, ref.Hash().String())
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	var commits []*object.Commit
	if err := r.ancestors(ctx, tips, hidden, &commits); err != nil {
		return nil, 0, err
	}
	var out []Change
	m := r.meter()
	paths := map[string]bool{}
	for i := len(commits) - 1; i >= 0; i-- { // oldest first
		c := commits[i]
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		tree, err := c.Tree()
		if err != nil {
			return nil, 0, fmt.Errorf("read tree of commit %s: %w", c.Hash, err)
		}
		if err := scanner.Exceeds(whatParents, int64(len(c.ParentHashes)), m.Parents); err != nil {
			return nil, 0, err
		}
		var parents []*object.Tree
		for _, h := range c.ParentHashes {
			p, err := r.lib.CommitObject(h)
			if err != nil {
				continue // the boundary of a shallow clone
			}
			t, err := p.Tree()
			if err != nil {
				return nil, 0, fmt.Errorf("read tree of commit %s: %w", h, err)
			}
			parents = append(parents, t)
		}
		id := c.Hash.String()
		n := int64(0)
		err = r.added(tree, parents, "", 0, func(ch Change) error {
			ch.Commit = id
			if len(g.Paths) == 0 || within(ch.Path, g.Paths) {
				out = append(out, ch)
			}
			if !paths[ch.Path] {
				paths[ch.Path] = true
				if err := m.path(len(ch.Path)); err != nil {
					return err
				}
			}
			n++
			return cmp.Or(scanner.Exceeds(whatOneCommit, n, m.OneCommit), m.change(1))
		})
		if err != nil {
			return nil, 0, err
		}
	}
	if g.Renames || g.all {
		for _, c := range commits {
			id := c.Hash.String()
			out = append(out, Change{Path: scanner.CommitMessage, ID: id, Commit: id})
		}
	}
	return out, len(commits), nil
}

func within(p string, paths []string) bool {
	for _, q := range paths {
		if p == q || strings.HasPrefix(p, q+"/") {
			return true
		}
	}
	return false
}

// ancestors marks the commits that the revisions reach and, newest first,
// appends them to list if it is not nil.
func (r *Repo) ancestors(ctx context.Context, revs []string, seen map[plumbing.Hash]bool, list *[]*object.Commit) error {
	for _, rev := range revs {
		id, err := r.resolveLibrary(rev)
		if err != nil {
			return err
		}
		if id == "" || seen[plumbing.NewHash(id)] {
			continue
		}
		c, err := r.lib.CommitObject(plumbing.NewHash(id))
		if err != nil {
			continue // a ref to a tree or a blob
		}
		iter := object.NewCommitIterCTime(c, seen, nil)
		err = iter.ForEach(func(c *object.Commit) error {
			if seen[c.Hash] {
				return nil
			}
			seen[c.Hash] = true
			if list != nil {
				*list = append(*list, c)
				if err := scanner.Exceeds(whatCommits, int64(len(*list)), r.Budget.Commits); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		if err != nil && !(r.Shallow && errors.Is(err, plumbing.ErrObjectNotFound)) {
			return fmt.Errorf("walk the history of %s: %w", rev, err)
		}
	}
	return nil
}

func (r *Repo) commitsLibrary(ids []string) (map[string]*scanner.Commit, error) {
	out := map[string]*scanner.Commit{}
	for _, id := range ids {
		c, err := r.lib.CommitObject(plumbing.NewHash(id))
		if err != nil {
			return nil, fmt.Errorf("read commit %s: %w", id, err)
		}
		out[id] = &scanner.Commit{ID: id, Author: c.Author.Name, Date: c.Author.When}
	}
	return out, nil
}

func (r *Repo) blobsLibrary(ctx context.Context, want wanted, opt files.Options) scanner.Source {
	return func(yield func(scanner.Blob, error) bool) {
		for i := range want.len() {
			c := want.get(i)
			if ctx.Err() != nil {
				yield(scanner.Blob{}, ctx.Err())
				return
			}
			if c.Path == scanner.CommitMessage && c.ID == c.Commit {
				commit, err := r.lib.CommitObject(plumbing.NewHash(c.ID))
				if err != nil {
					err = &scanner.Gap{Path: c.Path, Commit: c.Commit, Reason: err.Error()}
				}
				b := scanner.Blob{}
				if err == nil {
					b = scanner.Blob{Path: c.Path, Commit: c.Commit, ID: c.ID, Data: []byte(commit.Message)}
				}
				if !yield(b, err) {
					return
				}
				continue
			}
			blob, err := r.lib.BlobObject(plumbing.NewHash(c.ID))
			if err != nil {
				if !yield(scanner.Blob{}, &scanner.Gap{Path: c.Path, Commit: c.Commit, Reason: "object " + c.ID[:12] + ": " + err.Error()}) {
					return
				}
				continue
			}
			rd, err := blob.Reader()
			if err != nil {
				if !yield(scanner.Blob{}, &scanner.Gap{Path: c.Path, Commit: c.Commit, Reason: err.Error()}) {
					return
				}
				continue
			}
			ok := opt.Content(scanner.Blob{Path: c.Path, Commit: c.Commit, ID: c.ID}, rd, blob.Size, yield)
			_ = rd.Close() // nothing was written
			if !ok {
				return
			}
		}
	}
}

// oddLibrary returns the blobs behind refs that name no commit.
func (r *Repo) oddLibrary() ([]Change, error) {
	refs, err := r.lib.References()
	if err != nil {
		return nil, err
	}
	var out []Change
	seen := map[plumbing.Hash]bool{} // trees, each read once
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		id := ref.Hash()
		if tag, err := r.lib.TagObject(id); err == nil {
			out = append(out, Change{Path: tagMessage, ID: id.String()})
			id = tag.Target
		}
		if _, err := r.lib.BlobObject(id); err == nil {
			out = append(out, Change{Path: ref.Name().String(), ID: id.String()})
		} else if tree, err := r.lib.TreeObject(id); err == nil && !seen[id] {
			seen[id] = true
			if err := scanner.Exceeds(whatOddTrees, int64(len(seen)), mostTrees); err != nil {
				return err
			}
			in, err := r.flatten(tree)
			if err != nil {
				return err
			}
			out = append(out, in...)
		}
		return scanner.Exceeds(whatChanges, int64(len(out)), r.Budget.Changes)
	})
	return out, err
}

func (r *Repo) firstLibrary(ctx context.Context, head string) string {
	var commits []*object.Commit
	if r.ancestors(ctx, []string{head}, map[plumbing.Hash]bool{}, &commits) != nil {
		return ""
	}
	first := "~"
	for _, c := range commits {
		if c.NumParents() == 0 {
			first = min(first, c.Hash.String())
		}
	}
	return first
}
