package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/verify"
)

// A Spot is where a key stood when it was found.
type Spot struct{ Path, Commit, Blob string }

// A Sight is what a look at a key in a repository sees.
type Sight struct {
	Known  bool // there is a default branch, and it was looked at
	AtHead bool // it has the key
	// Credential is the key itself with the values near it, nil if it cannot be read
	// again. Its value is to be cleared after use.
	Credential *verify.Credential
}

// Look searches the default branch for a key: where it stood, and in every file that is
// the same as one it stood in. With text it reads the key again, from there or from the
// commits that it was found in. The text is in memory only.
func (e *Engine) Look(ctx context.Context, j *Job, fingerprint string, spots []Spot, text bool) (s Sight, err error) {
	_, err = e.withSlot(ctx, copyOf(j.Repository), j, func(ctx context.Context, m *mirror, j *Job) (*Result, error) {
		r := &Result{}
		var err error
		s, err = e.look(ctx, m, j, r, fingerprint, spots, text)
		return r, err
	})
	return s, err
}

func (e *Engine) look(ctx context.Context, m *mirror, j *Job, r *Result, fingerprint string, spots []Spot, text bool) (s Sight, err error) {
	// The branch that HEAD names is the default one, whatever it is called by now.
	head := ""
	if err := m.fetchTip(ctx, "+HEAD:refs/keyward/default"); err != nil && !refused(err) {
		return s, fmt.Errorf("fetch the default branch: %w", err)
	} else if err == nil {
		if head, err = m.Resolve(ctx, "refs/keyward/default"); err != nil {
			return s, err
		}
	}
	s.Known = head != ""
	// What the policy switches off, or excepts in its rules, is there all the same.
	wanted, err := e.setup(ctx, m, j, r, head)
	if err != nil {
		return s, err
	}
	sc := []*scanner.Scanner{e.builtin}
	if wanted != e.builtin {
		sc = append(sc, wanted)
	}
	seek := func(list []git.Change) error {
		return e.seek(ctx, m, sc, list, fingerprint, false, func(c *verify.Credential) { s.Credential = c })
	}
	read := false // it was seen where it was found, maybe encoded
	var tree []git.Change
	if head != "" {
		tree, err = m.Tree(ctx, head)
		var over *scanner.BudgetError
		if errors.As(err, &over) { // nothing can be said of it
			tree, s.Known = nil, false
		} else if err != nil {
			return s, fmt.Errorf("read the tree of %.12s: %w", head, err)
		}
		there := slices.DeleteFunc(slices.Clone(tree), func(c git.Change) bool {
			return !slices.ContainsFunc(spots, func(p Spot) bool { return p.Path == c.Path || p.Blob != "" && p.Blob == c.ID })
		})
		if s.Known {
			if s.AtHead, s.Known, err = judge(seek(there)); err != nil {
				return s, err
			}
		}
	}
	for i, p := range spots {
		if s.Credential != nil || i == maxSpots || !text && (!s.Known || s.AtHead) {
			break
		}
		if p.Blob == "" || p.Commit == "" || m.get(ctx, p.Commit) != nil { // a commit may be gone: the next one, then
			continue
		}
		read = errors.Is(seek([]git.Change{{Path: p.Path, ID: p.Blob}}), errSeen) || read
	}
	switch {
	case !s.Known || s.AtHead:
	case s.Credential != nil: // in a file that it was not found in, or under a name that says nothing
		if s.AtHead, err = m.holds(ctx, head, s.Credential.Value); err != nil {
			return s, err
		}
	case !read: // its text is gone from the history, or where it stood is not known any more
		err := e.seek(ctx, m, sc, tree, fingerprint, true, func(c *verify.Credential) { s.Credential = c })
		if s.AtHead = errors.Is(err, errSeen); err != nil && !s.AtHead {
			return s, err
		}
	}
	if !text && s.Credential != nil {
		clear(s.Credential.Value)
		s.Credential = nil
	}
	return s, ctx.Err()
}

// judge says what the end of a search means: whether the credential was seen, and whether
// that is known, which it is not if a file could not be searched.
func judge(err error) (seen, known bool, _ error) {
	var gap *scanner.Gap
	switch {
	case errors.Is(err, errSeen):
		return true, true, nil
	case errors.As(err, &gap):
		return false, false, nil
	}
	return false, err == nil, err
}

// holds reports whether a text stands in any file of a commit. Of a text with several lines
// or escapes it looks for the longest run. git is given it on its standard input.
func (m *mirror) holds(ctx context.Context, commit string, text []byte) (bool, error) {
	var run []byte
	for _, part := range bytes.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' }) {
		if len(part) > len(run) {
			run = part
		}
	}
	if len(run) < leastRun {
		return false, nil
	}
	cmd := m.git(ctx, "grep", "-q", "-a", "-F", "-f", "-", commit)
	cmd.Stdin = bytes.NewReader(append(bytes.Clone(run), '\n'))
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return false, ctx.Err()
	}
	return false, fmt.Errorf("search the default branch for the key: git grep: %w", err)
}

// leastRun is the length of the shortest text that is looked for: shorter ones are words.
const leastRun = 12

// maxSpots is in how many places the text of a key is looked for.
const maxSpots = 10

// errSeen says that a key was seen, and the search is over.
var errSeen = errors.New("seen")

// seek looks for a key in blobs, and returns errSeen when it has seen it as it is, or
// encoded. What it is read as goes to take, if it stands as it is. With tolerant, what cannot
// be read is passed over: in files that it was never found in.
func (e *Engine) seek(ctx context.Context, m *mirror, sc []*scanner.Scanner, list []git.Change, fingerprint string, tolerant bool, take func(*verify.Credential)) error {
	seen := false
	var unread error
	opt := files.Options{MaxSize: e.maxFile, Skipped: func(string, string) {}}
	for b, err := range m.Blobs(ctx, git.ListOf(list), nil, opt) {
		var gap *scanner.Gap
		if tolerant && errors.As(err, &gap) {
			continue
		}
		if err != nil {
			return fmt.Errorf("search for the key: %w", err)
		}
		var found []scanner.Finding
		for _, s := range sc {
			var gap error
			if found, gap = s.Scan(found, b); gap != nil && !tolerant { // it does not matter where the key is seen elsewhere
				unread = fmt.Errorf("search for the key: %w", gap)
			}
		}
		for i := range found {
			f := &found[i]
			if !f.Is(fingerprint) {
				continue
			}
			seen = true
			from, to := f.Start-b.Offset, f.End-b.Offset
			if f.Decoded == "" && 0 <= from && from < to && to <= int64(len(b.Data)) {
				take(verify.NewCredential(f, bytes.Clone(b.Data[from:to])))
				return errSeen
			}
		}
	}
	if seen {
		return errSeen
	}
	return unread
}

// Read returns a key that stands in a text that is no file, nil if it does not.
func (e *Engine) Read(name string, text []byte, fingerprint string) *verify.Credential {
	found, _ := e.builtin.Scan(nil, scanner.Blob{Path: name, Data: text}) // as above
	for i := range found {
		if f := &found[i]; f.Is(fingerprint) && f.Decoded == "" && f.Start < f.End && f.End <= int64(len(text)) {
			return verify.NewCredential(f, bytes.Clone(text[f.Start:f.End]))
		}
	}
	return nil
}

// removed returns which live keys stand at base, in files that a pull request changes, and
// not at its head any more.
func (e *Engine) removed(ctx context.Context, m *mirror, sc *scanner.Scanner, base string, j *Job) (out []string, err error) {
	touched, err := touched(ctx, m, base, j)
	if err != nil || len(touched) == 0 {
		return nil, err
	}
	for _, fp := range slices.Sorted(maps.Keys(j.Live)) {
		var mine []string
		for _, p := range j.Live[fp] {
			if touched[p.Path] && !slices.Contains(mine, p.Path) {
				mine = append(mine, p.Path)
			}
		}
		if len(mine) == 0 {
			continue
		}
		stands := func(rev string) (bool, error) {
			tree, err := m.TreeAt(ctx, rev, mine...)
			if err != nil {
				return false, fmt.Errorf("read the tree of %.12s: %w", rev, err)
			}
			err = e.seek(ctx, m, []*scanner.Scanner{sc}, tree, fp, false, func(c *verify.Credential) { clear(c.Value) })
			if errors.Is(err, errSeen) {
				return true, nil
			}
			return false, err
		}
		before, err := stands(base)
		after := true
		if err == nil && before {
			after, err = stands(j.Head)
		}
		var gap *scanner.Gap
		switch {
		case errors.As(err, &gap): // nothing can be said of it
		case err != nil:
			return nil, err
		case !after:
			out = append(out, fp)
		}
	}
	return out, nil
}

// touched returns the files in which live credentials stood that a pull request changes: those
// that differ between its head and the commit that it comes from.
func touched(ctx context.Context, m *mirror, base string, j *Job) (map[string]bool, error) {
	var paths []string
	for _, spots := range j.Live {
		for _, p := range spots {
			paths = append(paths, p.Path)
		}
	}
	slices.Sort(paths)
	if paths = slices.Compact(paths); len(paths) == 0 {
		return nil, nil
	}
	from, err := m.git(ctx, "merge-base", base, j.Head).Output()
	if err != nil { // without a commit that both come from nothing can be said
		return nil, ctx.Err()
	}
	before, err := m.TreeAt(ctx, strings.TrimSpace(string(from)), paths...)
	if err != nil {
		return nil, fmt.Errorf("read the tree that %.12s comes from: %w", j.Head, err)
	}
	after, err := m.TreeAt(ctx, j.Head, paths...)
	if err != nil {
		return nil, fmt.Errorf("read the tree of %.12s: %w", j.Head, err)
	}
	out := map[string]bool{}
	for _, c := range before {
		out[c.Path] = !slices.ContainsFunc(after, func(o git.Change) bool { return o.Path == c.Path && o.ID == c.ID })
	}
	return out, nil
}
