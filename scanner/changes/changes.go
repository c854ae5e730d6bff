// Package changes says which of the findings in the blobs of changes are keys that
// the changes brought: a value that the predecessor of a blob has is not new,
// wherever it stands in it. The command and the App judge by it alike.
package changes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
)

// A Reader looks into one repository with one scanner. It is not safe for
// concurrent use.
//
// A blob may stand at very many paths: a few directories that are all the same hold
// millions. It is read once for each profile of its paths, and a finding in it is reported
// at each path until there are as many locations as the budget of the repository allows.
// From then on a blob counts once for each profile. Gap tells of the rest.
type Reader struct {
	Repo    *git.Repo
	Scanner *scanner.Scanner
	Files   files.Options // how blobs are read; Skipped is not told of those that are read to compare

	profiles map[string]string // of paths
	known    map[string]string
	added    int64         // locations that keys have
	dropped  int64         // locations that no key has, because there are too many
	seen     map[seen]bool // what was added
}

// seen is a blob at the paths of a profile.
type seen struct{ blob, profile string }

// Gap returns what AddNew and AddHistory left out, or nil if they left out nothing.
func (r *Reader) Gap() *scanner.Gap {
	if r.dropped == 0 {
		return nil
	}
	return &scanner.Gap{Reason: fmt.Sprintf("findings at %d locations, only %d of the locations are reported", r.added+r.dropped, r.added)}
}

// room reports whether the findings of a blob are to be added at a path.
func (r *Reader) room(c *git.Change, findings int) bool {
	at := seen{c.ID, r.Profile(c.Path)}
	if r.added >= r.Repo.Budget.Findings && r.seen[at] {
		r.dropped += int64(findings)
		return false
	}
	if r.seen == nil {
		r.seen = map[seen]bool{}
	}
	r.seen[at] = true
	return true
}

// mostProfiles is of how many paths the profile is remembered.
const mostProfiles = 100_000

// Profile is the scanner's, remembered for most paths.
func (r *Reader) Profile(path string) string {
	if r.profiles == nil {
		r.profiles, r.known = map[string]string{}, map[string]string{}
	}
	p, ok := r.profiles[path]
	if !ok {
		p = r.Scanner.Profile(path)
		if r.known[p] == "" { // there are few: all paths share them
			r.known[p] = p
		}
		p = r.known[p]
		if len(r.profiles) < mostProfiles {
			r.profiles[path] = p
		}
	}
	return p
}

// Blobs yields the blobs of the changes.
func (r *Reader) Blobs(ctx context.Context, changes *git.List) scanner.Source {
	return r.Repo.Blobs(ctx, changes, r.Profile, r.Files)
}

// speaksOf reports whether a finding in a blob holds where the blob stands at
// path: it was made under a path of the same profile.
func (r *Reader) speaksOf(f *scanner.Finding, path string) bool {
	if f.Path == path {
		return true
	}
	container, _, _ := strings.Cut(f.Path, "!")
	p := r.Profile(path)
	return r.Profile(f.Path) == p || r.Profile(container) == p
}

// look scans blobs a second time, for what is in them. What cannot be read has nothing.
func (r *Reader) look(ctx context.Context, changes []git.Change, profile func(string) string, each func(*scanner.Finding)) error {
	opt := r.Files
	opt.Skipped = nil
	for f, err := range r.Scanner.Run(ctx, r.Repo.Blobs(ctx, git.ListOf(changes), profile, opt)) {
		var gap *scanner.Gap
		if errors.As(err, &gap) {
			continue
		}
		if err != nil {
			return err
		}
		each(&f)
	}
	return nil
}

// NotMoved returns the changes but those that only moved a blob, or changed its mode: it has
// nothing that was not there before, and nothing of it has to be read, such as an object of
// Git LFS that is not here.
func NotMoved(list []git.Change) []git.Change {
	out := make([]git.Change, 0, len(list))
	for _, c := range list {
		if !slices.Contains(c.Old, c.ID) {
			out = append(out, c)
		}
	}
	return out
}

// Prints returns the fingerprints of the keys in blobs, which are given with a path of
// each. What cannot be read has none.
func (r *Reader) Prints(ctx context.Context, ids map[string]string) (map[string]map[string]bool, error) {
	var changes []git.Change
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		changes = append(changes, git.Change{ID: id, Path: ids[id]})
	}
	out := map[string]map[string]bool{}
	err := r.look(ctx, changes, nil, func(f *scanner.Finding) {
		if out[f.Blob] == nil {
			out[f.Blob] = map[string]bool{}
		}
		out[f.Blob][f.Fingerprint] = true
	})
	return out, err
}

// PrintsAt returns the fingerprints of the keys that a revision has at paths.
func (r *Reader) PrintsAt(ctx context.Context, rev string, paths []string) (map[string]map[string]bool, error) {
	tree, err := r.Repo.TreeAt(ctx, rev, paths...)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, c := range tree {
		ids[c.ID] = c.Path
	}
	prints, err := r.Prints(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]bool{}
	for _, c := range tree {
		out[c.Path] = prints[c.ID]
	}
	return out, nil
}

// AddNew adds to keys the findings that are new with the changes.
func (r *Reader) AddNew(ctx context.Context, keys *scanner.Keys, changes []git.Change, found []scanner.Finding) error {
	if len(found) == 0 {
		return nil
	}
	byBlob := ordered(found)
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
	prints, err := r.Prints(ctx, old)
	if err != nil {
		return err
	}
	about, err := r.Repo.Commits(ctx, slices.Sorted(maps.Keys(commits)))
	if err != nil {
		return err
	}
	for _, c := range changes {
		if len(byBlob[c.ID]) == 0 || !r.room(&c, len(byBlob[c.ID])) {
			continue
		}
		for _, f := range byBlob[c.ID] {
			if !r.speaksOf(f, c.Path) || slices.ContainsFunc(c.Old, func(id string) bool { return prints[id][f.Fingerprint] }) {
				continue
			}
			r.added++
			add(keys, f, c, about[c.Commit])
		}
	}
	return nil
}

// AddHistory adds to keys the findings with the commit that first brought each. A file
// that kept a key through many versions is one place: that of the first.
func (r *Reader) AddHistory(ctx context.Context, keys *scanner.Keys, changes *git.List, found []scanner.Finding) error {
	byBlob := ordered(found)
	type where struct{ print, path string }
	chosen := map[where]string{} // the blob that stands for a key at a path
	commits := map[string]bool{}
	type pick struct {
		f *scanner.Finding
		c git.Change
	}
	var picked []pick
	for c := range changes.Of(maps.Keys(byBlob)) {
		if !r.room(&c, len(byBlob[c.ID])) {
			continue
		}
		for _, f := range byBlob[c.ID] {
			if !r.speaksOf(f, c.Path) {
				continue
			}
			w := where{f.Fingerprint, member(c.Path, f.Path)}
			if _, ok := chosen[w]; !ok {
				chosen[w] = f.Blob + c.Commit
			}
			if chosen[w] == f.Blob+c.Commit {
				r.added++
				picked = append(picked, pick{f, c})
				commits[c.Commit] = true
			}
		}
	}
	delete(commits, "")
	about, err := r.Repo.Commits(ctx, slices.Sorted(maps.Keys(commits)))
	if err != nil {
		return err
	}
	for _, p := range picked { // oldest first
		add(keys, p.f, p.c, about[p.c.Commit])
	}
	return nil
}

// ordered returns findings by blob, those of each in the order of their places.
func ordered(found []scanner.Finding) map[string][]*scanner.Finding {
	byBlob := map[string][]*scanner.Finding{}
	for i := range found {
		byBlob[found[i].Blob] = append(byBlob[found[i].Blob], &found[i])
	}
	for _, in := range byBlob {
		slices.SortFunc(in, scanner.ByPlace)
	}
	return byBlob
}

// add adds a finding in the blob of a change.
func add(keys *scanner.Keys, f *scanner.Finding, c git.Change, commit *scanner.Commit) {
	g := *f
	g.Path, g.Commit = member(c.Path, f.Path), c.Commit
	k := keys.Add(&g, commit)
	if k.First == nil {
		k.First = commit
	}
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

// Trusted returns the keys that an allow comment in a revision speaks for. Of a
// contribution from outside the comments do not count, those that are there do. An empty
// revision has none.
func (r *Reader) Trusted(ctx context.Context, keys *scanner.Keys, rev string) (map[string]bool, error) {
	out := map[string]bool{}
	paths := map[string]bool{}
	for _, k := range keys.Sorted() {
		for _, p := range k.Places {
			if p.AllowComment != nil && p.AllowComment.Void == "" {
				paths[p.Path] = true
			}
		}
	}
	if len(paths) == 0 || rev == "" {
		return out, nil
	}
	tree, err := r.Repo.TreeAt(ctx, rev, slices.Sorted(maps.Keys(paths))...)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var changes []git.Change
	for _, c := range tree {
		if !seen[c.ID] {
			seen[c.ID] = true
			changes = append(changes, c)
		}
	}
	err = r.look(ctx, changes, r.Profile, func(f *scanner.Finding) {
		if f.Allow != nil && f.Allow.Void == "" {
			out[f.Fingerprint] = true
		}
	})
	return out, err
}
