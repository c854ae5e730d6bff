package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keyward/keyward/scanner"
)

// An Update is what a push does to one ref. Ids of zeros, and "", mean none: a
// new ref has no Old, a deleted one no New.
type Update struct{ Ref, Old, New string }

// Refs are the refs that reach what is known already.
type Refs string

const (
	NotRemotes Refs = "--remotes" // what any remote is known to have
	NotAll     Refs = "--all"     // what any ref of this repository reaches
)

// NotNone knows of nothing: all that the old ends of a push do not reach is new.
const NotNone Refs = "--remotes=//"

// NotRemote is what a remote is known to have, by its name.
func NotRemote(name string) Refs { return NotRemotes + "=" + Refs(name) }

// PushRemote returns the name of the remote that the current branch is pushed to, origin if
// git knows of none.
func (r *Repo) PushRemote(ctx context.Context) string {
	if r.bin != "" {
		out, err := r.output(ctx, "rev-parse", "--symbolic-full-name", "@{push}")
		if rest, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "refs/remotes/"); err == nil && ok {
			name, _, _ := strings.Cut(rest, "/")
			return name
		}
	}
	return "origin"
}

// Arrivals returns what the commits brought that updates add, oldest first, their
// messages included, and how many commits there are. Left out are those that the old ends of the updates
// reach, if they are here, and those that known reaches. A ref may also lead to a
// tree or a blob.
func (r *Repo) Arrivals(ctx context.Context, updates []Update, known Refs) ([]Change, int, error) {
	if r.bin == "" {
		return nil, 0, errors.New("a push can be scanned only with git installed")
	}
	if err := scanner.Exceeds(whatRefs, int64(len(updates)), r.Budget.Refs); err != nil {
		return nil, 0, err
	}
	kinds, err := r.kinds(ctx, updates)
	if err != nil {
		return nil, 0, err
	}
	g := Range{Renames: true}
	var odd []Change
	trees := map[string]bool{} // that refs name, each read once
	for _, u := range updates {
		if o := kinds[u.New]; o.tag {
			messages, _, err := r.unwrap(ctx, []string{u.New})
			if err != nil {
				return nil, 0, fmt.Errorf("%s: %w", u.Ref, err)
			}
			odd = append(odd, messages...)
		}
		if old := kinds[u.Old]; old.kind == "commit" {
			g.Exclude = append(g.Exclude, old.id)
		}
		if None(u.New) {
			continue
		}
		switch o := kinds[u.New]; o.kind {
		case "commit":
			g.Include = append(g.Include, o.id)
		case "tree":
			if trees[o.id] {
				continue
			}
			trees[o.id] = true
			if odd, err = r.addTree(ctx, odd, o.id, len(trees)); err != nil {
				return nil, 0, err
			}
		case "blob":
			odd = append(odd, Change{Path: u.Ref, ID: o.id})
		default:
			return nil, 0, fmt.Errorf("%s: object %.12s is not here", u.Ref, u.New)
		}
	}
	if len(g.Include) == 0 {
		return odd, 0, nil
	}
	var revs bytes.Buffer
	for _, id := range g.Include {
		revs.WriteString(id + "\n")
	}
	for _, id := range g.Exclude {
		revs.WriteString("^" + id + "\n")
	}
	list, err := r.revList(ctx, &revs, "rev-list", "--topo-order", "--parents", "--not", string(known), "--not", "--stdin")
	if err != nil {
		return nil, 0, err
	}
	if err := list.change(int64(len(odd))); err != nil {
		return nil, 0, err
	}
	changes, err := r.replaced(ctx, list, &g)
	if err != nil {
		return nil, 0, err
	}
	return append(changes, odd...), int(list.commits), nil
}

// A Tip is a ref and the commit that it names.
type Tip struct{ Ref, ID string }

// Tips returns the refs below a prefix such as "refs/remotes" that name commits, the ones
// with the newest commits first and at most so many. It needs the git binary.
func (r *Repo) Tips(ctx context.Context, prefix string, most int) ([]Tip, error) {
	if r.bin == "" {
		return nil, nil
	}
	out, err := r.output(ctx, "for-each-ref", "--sort=-committerdate", fmt.Sprint("--count=", most), "--format=%(objectname) %(objecttype) %(refname)", "--", prefix)
	if err != nil {
		return nil, err
	}
	var tips []Tip
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[1] == "commit" {
			tips = append(tips, Tip{Ref: f[2], ID: f[0]})
		}
	}
	return tips, nil
}

// None reports whether an object id stands for no object: "", or all zeros.
func None(id string) bool { return strings.Trim(id, "0") == "" }

// an object that a revision leads to, tags followed to their end.
type target struct {
	kind, id string
	tag      bool // it is named by an annotated tag
}

// kinds looks the objects up that updates name. What is not here has no kind.
func (r *Repo) kinds(ctx context.Context, updates []Update) (map[string]target, error) {
	var asked []string
	var in bytes.Buffer
	for _, u := range updates {
		for _, rev := range []string{u.Old, u.New} {
			if !None(rev) && !strings.ContainsAny(rev, " \n") && !strings.HasPrefix(rev, "-") {
				asked = append(asked, rev)
				in.WriteString(rev + "\n" + rev + "^{}\n")
			}
		}
	}
	out := map[string]target{}
	if len(asked) == 0 {
		return out, nil
	}
	cmd := r.command(ctx, "cat-file", "--batch-check=%(objecttype) %(objectname)")
	cmd.Stdin = &in
	text, err := cmd.Output()
	if err != nil {
		return nil, gitError("cat-file", err, stderrOf(err))
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) != 2*len(asked) {
		return nil, fmt.Errorf("git cat-file answered %d of %d questions", len(lines), 2*len(asked))
	}
	for i, rev := range asked {
		kind, id, ok := strings.Cut(lines[2*i+1], " ")
		if ok && !strings.HasSuffix(lines[2*i+1], " missing") {
			out[rev] = target{kind, id, strings.HasPrefix(lines[2*i], "tag ")}
		}
	}
	return out, nil
}

// Reaches reports whether a commit is an ancestor of another, or it itself.
func (r *Repo) Reaches(ctx context.Context, from, commit string) bool {
	if r.bin == "" {
		return false
	}
	_, err := r.output(ctx, "merge-base", "--is-ancestor", commit, from)
	return err == nil
}
