package git

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Tree returns the blobs of a commit or tree.
func (r *Repo) Tree(ctx context.Context, rev string) ([]Change, error) {
	blobs, _, err := r.TreeAndLinks(ctx, rev)
	return blobs, err
}

// TreeAndLinks returns the blobs of a commit or tree, and the paths at which it links to
// other repositories. Without the git binary links are not told.
func (r *Repo) TreeAndLinks(ctx context.Context, rev string) (blobs []Change, links []string, err error) {
	if r.bin == "" {
		blobs, err = r.treeLibrary(rev)
		return blobs, nil, err
	}
	return r.lsTree(ctx, "-r", "-z", "--full-tree", "--end-of-options", rev)
}

// maxArgs is how many bytes of paths a command is given at most.
const maxArgs = 100_000

// TreeAt returns those blobs of a commit or tree that stand at the paths. The rest
// of a large tree is not read.
func (r *Repo) TreeAt(ctx context.Context, rev string, paths ...string) ([]Change, error) {
	length := 0
	for _, p := range paths {
		length += len(p) + 1
	}
	if r.bin == "" || length > maxArgs {
		tree, err := r.Tree(ctx, rev)
		return slices.DeleteFunc(tree, func(c Change) bool { return !slices.Contains(paths, c.Path) }), err
	}
	if len(paths) == 0 {
		return nil, nil
	}
	blobs, _, err := r.lsTree(ctx, append([]string{"-z", "--full-tree", "--end-of-options", rev, "--"}, paths...)...)
	return blobs, err
}

func (r *Repo) lsTree(ctx context.Context, args ...string) (blobs []Change, links []string, err error) {
	out, err := r.output(ctx, append([]string{"ls-tree"}, args...)...)
	if err != nil {
		return nil, nil, err
	}
	for rec := range strings.SplitSeq(string(out), "\x00") {
		meta, path, ok := strings.Cut(rec, "\t")
		f := strings.Fields(meta)
		switch {
		case !ok || len(f) != 3:
		case isBlob(f[0]):
			blobs = append(blobs, Change{Path: path, ID: f[2]})
		case f[0] == "160000":
			links = append(links, path)
		}
	}
	return blobs, links, nil
}

// OddRefs returns the blobs behind refs that name no commit: a tag may point at
// a blob or a tree.
func (r *Repo) OddRefs(ctx context.Context) ([]Change, error) {
	if r.bin == "" {
		return r.oddLibrary()
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
func (r *Repo) Unreachable(ctx context.Context, seen *List) ([]Change, error) {
	if r.bin == "" {
		return nil, errors.New("unreachable objects can be listed only with git installed")
	}
	out, err := r.output(ctx, "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)")
	if err != nil {
		return nil, err
	}
	var changes []Change
	for line := range strings.Lines(string(out)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "blob "); ok && !seen.Has(id) {
			changes = append(changes, Change{Path: "unreachable/" + id, ID: id})
		}
	}
	return changes, nil
}
