package scan

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/rules"
)

// setup reads the policy that holds, and makes the scanner that it wants. A broken
// policy is told, and the defaults hold.
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
	r.Notes = append(r.Notes, p.Off()...)
	r.Notes = append(r.Notes, p.Lapsed(time.Now())...)
	return s, nil
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

// maxRules is the largest file of rules that is read, maxRuleFiles how many there may be.
const (
	maxRules     = 1 << 20
	maxRuleFiles = 8
)

// scanner returns the scanner that a policy wants.
func (e *Engine) scanner(ctx context.Context, repo *git.Repo, p *policy.Policy, rev string, fallback bool) (*scanner.Scanner, error) {
	if len(p.Rules) == 0 && len(p.Disable) == 0 {
		return e.builtin, nil
	}
	if len(p.Rules) > 0 && fallback {
		return nil, fmt.Errorf("policy %s: rules: the organisation's policy can not name rules files: they would be read from each repository", p.Path)
	}
	if len(p.Rules) > maxRuleFiles {
		return nil, fmt.Errorf("policy %s: rules: %d files, at most %d are read", p.Path, len(p.Rules), maxRuleFiles)
	}
	hash := sha256.New()
	texts := make([][]byte, len(p.Rules))
	for i, name := range p.Rules {
		text, err := repo.File(ctx, rev, path.Clean(filepath.ToSlash(name)), maxRules)
		if err == nil && text == nil {
			err = errors.New("is not there")
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

// build makes a scanner of the built-in rules, with those of a policy and without
// those that it disables.
func (e *Engine) build(p *policy.Policy, texts [][]byte) (*scanner.Scanner, error) {
	list, err := rules.Lazy()
	if err != nil {
		return nil, err
	}
	var allow []scanner.Allowlist
	for i, text := range texts {
		set, err := rules.Parse(p.Rules[i], text)
		if err != nil {
			return nil, err
		}
		set.Builtin = true // a repository's policy may add rules, not take all away
		list = rules.Merge(list, set)
		allow = append(allow, set.Allow...)
	}
	if list, err = p.Enabled(list); err != nil {
		return nil, err
	}
	return scanner.New(list, scanner.Options{Pepper: e.pepper, Allow: allow, Now: time.Now()})
}
