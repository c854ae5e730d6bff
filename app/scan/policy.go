package scan

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/rules"
)

// trusted returns the commit whose policy and allow comments count, "" if there is none:
// that which a pull request or a merge goes into, and for a push the default branch.
// Nobody switches detection off for their own push; an exception counts once it is merged.
func (e *Engine) trusted(ctx context.Context, m *mirror, j *Job, base string) (string, error) {
	switch {
	case j.FromBase:
		return base, nil
	case j.IsDefault:
		return j.Head, nil
	}
	if err := m.fetchTip(ctx, "+"+j.defaultRef()+":refs/keyward/default"); err != nil {
		if refused(err) { // it does not exist yet
			return "", nil
		}
		return "", fmt.Errorf("fetch the default branch for its policy: %w", err)
	}
	return m.Resolve(ctx, "refs/keyward/default")
}

// markPending notes on each counted finding the exception that the head of a branch adds
// for it. Such an exception does not count before it is merged.
func (e *Engine) markPending(ctx context.Context, m *mirror, j *Job, r *Result) {
	head := &policy.Policy{}
	if name, text, err := policyAt(ctx, m.Repo, j.Head); err == nil && text != nil {
		if p, err := policy.Parse(name, text); err == nil { // a broken one excepts nothing
			head = p
		}
	}
	now := e.Now()
	for _, k := range r.Keys {
		if k.Pending = policy.Commented(k); k.Pending == nil {
			k.Pending = cmp.Or(head.Known(k, now), head.Disabled(k))
		}
	}
}

// setup reads the policy that holds, and makes the scanner that it wants. A broken policy
// is reported, and the defaults hold.
func (e *Engine) setup(ctx context.Context, m *mirror, j *Job, r *Result, trusted string) (*scanner.Scanner, error) {
	r.Policy = &policy.Policy{}
	name, text, err := policyAt(ctx, m.Repo, trusted)
	if err != nil {
		r.Broken = err.Error()
		return e.builtin, nil
	}
	fallback := false
	if text == nil && j.Fallback != nil {
		if name, text, err = j.Fallback(ctx); err != nil {
			return nil, err
		}
		fallback = true
	}
	if text == nil {
		return e.builtin, nil
	}
	p, err := policy.Parse(name, text)
	if err != nil {
		r.Broken = err.Error()
		return e.builtin, nil
	}
	s, err := e.scanner(ctx, m.Repo, p, trusted, fallback)
	if err != nil {
		r.Broken = err.Error()
		return e.builtin, nil
	}
	r.Policy = p
	for _, why := range s.refused {
		r.Coverage.Gaps = append(r.Coverage.Gaps, scanner.Gap{Path: p.Path, Reason: "policy error: " + why})
	}
	r.Notes = slices.Concat(r.Notes, p.Off(), s.notes, p.Lapsed(e.Now()))
	return s.Scanner, nil
}

// policyAt returns the text of the policy file that a revision holds, nil if there is
// none.
func policyAt(ctx context.Context, repo *git.Repo, rev string) (name string, text []byte, err error) {
	if rev == "" {
		return "", nil, nil
	}
	name, text, err = repo.FirstFile(ctx, rev, policy.Names(), policy.MaxFile)
	if err != nil {
		return name, nil, fmt.Errorf("policy %s: %w", cmp.Or(name, "at "+rev), err)
	}
	return name, text, nil
}

// maxRules is the largest file of rules that is read.
const maxRules = 1 << 20

// A custom scanner is one that a policy's rules and exceptions make.
type custom struct {
	*scanner.Scanner
	refused, notes []string // see rules.Addition
}

// scanner returns the scanner that a policy wants.
func (e *Engine) scanner(ctx context.Context, repo *git.Repo, p *policy.Policy, rev string, fallback bool) (*custom, error) {
	if len(p.Rules) == 0 && len(p.Disable) == 0 && !p.ForeignComments {
		return &custom{Scanner: e.builtin}, nil
	}
	if len(p.Rules) > 0 && fallback {
		return nil, fmt.Errorf("policy %s: rules: the organisation's policy cannot name rules files: they would be read from each repository", p.Path)
	}
	hash := sha256.New()
	texts := make([][]byte, len(p.Rules))
	for i, name := range p.Rules {
		text, err := repo.File(ctx, rev, path.Clean(filepath.ToSlash(name)), maxRules)
		if err == nil && text == nil {
			err = errors.New("no such file")
		}
		if err != nil {
			return nil, fmt.Errorf("rules %s: %w", name, err)
		}
		texts[i] = text
		fmt.Fprintf(hash, "%d %s\n%s\n", len(text), name, text)
	}
	for _, d := range p.Disable {
		fmt.Fprintf(hash, "- %q\n", d.Rule)
	}
	if p.ForeignComments {
		fmt.Fprint(hash, "foreign-comments\n")
	}
	id := [32]byte(hash.Sum(nil))
	if s, ok := e.scanners.Get(id); ok {
		return s, nil
	}
	s, err := e.build(p, texts)
	if err == nil {
		e.scanners.Add(id, s)
	}
	return s, err
}

// build makes a scanner of the built-in rules, with those that a policy adds and without
// those that it disables.
func (e *Engine) build(p *policy.Policy, texts [][]byte) (*custom, error) {
	builtin, err := rules.Lazy()
	if err != nil {
		return nil, err
	}
	out := &custom{}
	var added []*rules.Addition
	for i, text := range texts {
		set, err := rules.Parse(p.Rules[i], text)
		if err != nil {
			return nil, err
		}
		a := rules.Confine(builtin, p.Rules[i], set)
		out.refused = append(out.refused, a.Errors...)
		out.notes = append(out.notes, a.Notes...)
		added = append(added, a)
	}
	list, allow, err := rules.Join(builtin, added)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", p.Path, err)
	}
	if list, err = p.Enabled(list); err != nil {
		return nil, err
	}
	opt := e.options()
	opt.Allow, opt.Now, opt.ForeignComments = allow, e.Now(), p.ForeignComments
	out.Scanner, err = scanner.New(list, opt)
	return out, err
}
