package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/keyward/keyward/scanner"
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
	return r.lsTree(ctx, rev, "-r", "-z", "--full-tree", "--end-of-options", rev)
}

// TreeAt returns those blobs of a commit or tree that stand at the paths. The rest
// of a large tree is not read. git is given the paths on its standard input: a secret may be
// in one, and every user of the machine can read the arguments of a process.
func (r *Repo) TreeAt(ctx context.Context, rev string, paths ...string) (blobs []Change, err error) {
	if len(paths) == 0 {
		return nil, nil
	}
	if r.bin == "" || slices.ContainsFunc(paths, func(p string) bool { return strings.Contains(p, "\n") }) {
		wanted := map[string]bool{}
		for _, p := range paths {
			wanted[p] = true
		}
		tree, err := r.Tree(ctx, rev)
		return slices.DeleteFunc(tree, func(c Change) bool { return !wanted[c.Path] }), err
	}
	var in strings.Builder
	in.WriteString(rev + "^{tree}\n")
	for _, p := range paths {
		in.WriteString(rev + ":" + p + "\n")
	}
	n := -1 // the tree comes first
	err = r.stream(ctx, 0, []string{"cat-file", "--batch-check=%(objecttype) %(objectname)"}, strings.NewReader(in.String()), func(out io.Reader) error {
		return lines(out, func(line []byte, _ bool) error {
			id, is := bytes.CutPrefix(bytes.TrimSpace(line), []byte("blob "))
			switch {
			case n == len(paths):
				return errors.New("git cat-file printed more than it was asked for")
			case n < 0 && !bytes.HasPrefix(line, []byte("tree ")):
				return fmt.Errorf("read the tree of %s: there is no such revision", rev)
			case n >= 0 && is:
				blobs = append(blobs, Change{Path: paths[n], ID: string(id)})
			}
			n++ // what is not there is a line, too
			return nil
		})
	})
	if err == nil && n < len(paths) {
		err = errors.New("git cat-file ended early")
	}
	return blobs, err
}

// manyFiles is how many files of a tree are listed before the rest is counted first.
const manyFiles = 50_000

func (r *Repo) lsTree(ctx context.Context, rev string, args ...string) (blobs []Change, links []string, err error) {
	n := 0
	err = r.entries(ctx, append([]string{"ls-tree"}, args...), func(mode, id, path string) error {
		switch {
		case isBlob(mode):
			blobs = append(blobs, Change{Path: path, ID: id})
		case mode == "160000":
			links = append(links, path)
		}
		if n++; n == manyFiles {
			return r.weighTree(ctx, rev) // before the memory is taken for them
		}
		return nil
	})
	return blobs, links, err
}

// entries calls each with the entries that git ls-tree -z or ls-files --stage -z prints.
func (r *Repo) entries(ctx context.Context, args []string, each func(mode, id, path string) error) error {
	m, n := r.meter(), 0
	return r.stream(ctx, 0, args, nil, func(out io.Reader) error {
		br := bufio.NewReaderSize(out, 1<<16)
		var p rawParser
		last := ""
		for {
			rec, err := p.record(br)
			if errors.Is(err, io.EOF) && len(rec) == 0 {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read what git %s prints: %w", args[0], err)
			}
			meta, path, ok := bytes.Cut(rec, []byte("\t"))
			f := bytes.Fields(meta)
			if !ok || len(f) != 3 {
				return fmt.Errorf("git %s printed %q", args[0], rec)
			}
			n++
			if err := m.file(n, len(path)); err != nil {
				return err
			}
			id := f[2] // of ls-tree, which prints what kind of object it is before it
			if args[0] == "ls-files" {
				id = f[1]
			}
			if string(id) != last { // many files have the same, in a tree that wants to be large
				last = string(id)
			}
			if err := each(string(f[0]), last, string(path)); err != nil {
				return err
			}
		}
	})
}

// mostTrees is how many different trees refs may name: each takes a process to read.
const mostTrees = 1000

// addTree appends the blobs of a tree that a ref names, the nth of such trees, to those of
// others.
func (r *Repo) addTree(ctx context.Context, to []Change, id string, n int) ([]Change, error) {
	if err := scanner.Exceeds(whatOddTrees, int64(n), mostTrees); err != nil {
		return nil, err
	}
	in, err := r.Tree(ctx, id)
	if err != nil {
		return nil, err
	}
	to = append(to, in...)
	return to, scanner.Exceeds(whatChanges, int64(len(to)), r.Budget.Changes)
}

// tagMessage is the path of what is written in an annotated tag.
const tagMessage = "tag message"

// OddRefs returns the messages of annotated tags, and the blobs behind refs that name no
// commit: a tag may point at a blob or a tree.
func (r *Repo) OddRefs(ctx context.Context) ([]Change, error) {
	if r.bin == "" {
		return r.oddLibrary()
	}
	var changes []Change
	trees := map[string]bool{}   // each read once
	named := map[string]string{} // tags to refs
	refs := int64(0)
	odd := func(line []byte, _ bool) error {
		f := strings.Split(string(line), " ")
		if len(f) < 3 {
			return fmt.Errorf("git for-each-ref printed %q", line)
		}
		refs++
		kind, id := f[0], f[1]
		switch kind {
		case "tag":
			named[id] = f[2]
		case "blob":
			changes = append(changes, Change{Path: f[2], ID: id})
		case "tree":
			trees[id] = true
		}
		return scanner.Exceeds(whatRefs, refs, r.Budget.Refs)
	}
	args := []string{"for-each-ref", "--format=%(objecttype) %(objectname) %(refname)"}
	err := r.stream(ctx, 0, args, nil, func(out io.Reader) error { return lines(out, odd) })
	if err != nil {
		return nil, err
	}
	tags, ends, err := r.unwrap(ctx, slices.Sorted(maps.Keys(named)))
	if err != nil {
		return nil, err
	}
	changes = append(changes, tags...)
	for tag, end := range ends {
		switch end.kind {
		case "blob":
			changes = append(changes, Change{Path: named[tag], ID: end.id})
		case "tree":
			trees[end.id] = true
		}
	}
	for n, id := range slices.Sorted(maps.Keys(trees)) {
		if changes, err = r.addTree(ctx, changes, id, n+1); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// maxTags is how many tags may name each other in a row.
const maxTags = 20

// TagMessages returns the messages of an annotated tag and of those that it names, none for
// any other object.
func (r *Repo) TagMessages(ctx context.Context, id string) ([]Change, error) {
	if r.bin == "" {
		return nil, errors.New("a tag can be scanned only with git installed")
	}
	kinds, err := r.kinds(ctx, []Update{{New: id}})
	if err != nil || !kinds[id].tag {
		return nil, err
	}
	messages, _, err := r.unwrap(ctx, []string{id})
	return messages, err
}

// unwrap follows annotated tags to what they name in the end. It returns the messages of all
// tags on the way.
func (r *Repo) unwrap(ctx context.Context, tags []string) (messages []Change, ends map[string]target, err error) {
	ends = map[string]target{}
	from := map[string][]string{} // tags of this round to those that lead to them
	for _, id := range tags {
		from[id] = []string{id}
	}
	for range maxTags {
		if len(from) == 0 {
			return messages, ends, nil
		}
		next := map[string][]string{}
		err := r.eachTag(ctx, slices.Sorted(maps.Keys(from)), func(id string, to target) {
			messages = append(messages, Change{Path: tagMessage, ID: id})
			if to.kind == "tag" {
				next[to.id] = append(next[to.id], from[id]...)
				return
			}
			for _, first := range from[id] {
				ends[first] = to
			}
		})
		if err != nil {
			return nil, nil, err
		}
		from = next
	}
	if len(from) == 0 {
		return messages, ends, nil
	}
	return nil, nil, fmt.Errorf("more than %d tags name each other in a row", maxTags)
}

// eachTag calls each with what tags name.
// https://git-scm.com/docs/git-mktag#_tag_format
func (r *Repo) eachTag(ctx context.Context, ids []string, each func(id string, to target)) error {
	in := strings.NewReader(strings.Join(ids, "\n") + "\n")
	return r.stream(ctx, 0, []string{"cat-file", "--batch"}, in, func(out io.Reader) error {
		br := bufio.NewReaderSize(out, 1<<16)
		for _, id := range ids {
			head, err := br.ReadString('\n')
			if err != nil {
				return fmt.Errorf("git cat-file ended early at %s: %w", id, err)
			}
			f := strings.Fields(head)
			if len(f) != 3 || f[1] != "tag" {
				return fmt.Errorf("read tag %s: git cat-file printed %q", id, head)
			}
			size, err := strconv.ParseInt(f[2], 10, 64)
			if err != nil {
				return fmt.Errorf("read tag %s: git cat-file printed %q", id, head)
			}
			body := &io.LimitedReader{R: br, N: size + 1} // and a line break
			start, err := io.ReadAll(io.LimitReader(body, 200))
			if err != nil {
				return fmt.Errorf("read tag %s: %w", id, err)
			}
			var to target
			if n, _ := fmt.Sscanf(string(start), "object %s\ntype %s\n", &to.id, &to.kind); n != 2 {
				return fmt.Errorf("read tag %s: it does not say what it names", id)
			}
			each(id, to)
			if _, err := io.Copy(io.Discard, body); err != nil {
				return fmt.Errorf("git cat-file ended early at %s: %w", id, err)
			}
		}
		return nil
	})
}

// Unreachable returns the blobs in the object store that are not among seen.
func (r *Repo) Unreachable(ctx context.Context, seen *List) ([]Change, error) {
	if r.bin == "" {
		return nil, errors.New("unreachable objects can be listed only with git installed")
	}
	var changes []Change
	m := r.meter()
	err := r.stream(ctx, r.Budget.Commits, []string{"cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)"}, nil, func(out io.Reader) error {
		return lines(out, func(line []byte, _ bool) error {
			id, ok := strings.CutPrefix(string(line), "blob ")
			if !ok || seen.Has(id) {
				return nil
			}
			changes = append(changes, Change{Path: "unreachable/" + id, ID: id})
			return m.change(1)
		})
	})
	return changes, err
}
