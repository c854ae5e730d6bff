package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/verify"
)

// wikiOf names the copy of a repository's wiki.
func wikiOf(id int64) string { return copyOf(id) + "-wiki" }

// Wiki scans the pages of a wiki, which [Job.URL] names, as they are now. A wiki has no
// policy: people who may not push can write there.
func (e *Engine) Wiki(ctx context.Context, j *Job) (*Result, error) {
	return e.withSlot(ctx, wikiOf(j.Repository), j, func(ctx context.Context, m *mirror, j *Job) (*Result, error) {
		return e.scanWiki(ctx, m)
	})
}

// WikiKey reads a credential again from a page of a wiki, nil if it does not stand there any
// more. Its value is to be cleared after use.
func (e *Engine) WikiKey(ctx context.Context, j *Job, page, fingerprint string) (key *verify.Credential, err error) {
	_, err = e.withSlot(ctx, wikiOf(j.Repository), j, func(ctx context.Context, m *mirror, _ *Job) (*Result, error) {
		_, tree, err := m.pages(ctx)
		if err != nil {
			return nil, err
		}
		tree = slices.DeleteFunc(tree, func(c git.Change) bool { return c.Path != page })
		err = e.seek(ctx, m, []*scanner.Scanner{e.builtin}, tree, fingerprint, false, func(c *verify.Credential) { key = c })
		if errors.Is(err, errSeen) {
			err = nil
		}
		return &Result{}, err
	})
	return key, err
}

// pages returns the tip of a wiki, and the files that it has.
func (m *mirror) pages(ctx context.Context) (tip string, tree []git.Change, err error) {
	if err := m.fetchTip(ctx, "+HEAD:refs/keyward/default"); err != nil {
		return "", nil, fmt.Errorf("fetch the wiki: %w", err)
	}
	if tip, err = m.Resolve(ctx, "refs/keyward/default"); err != nil {
		return "", nil, err
	}
	if tree, err = m.Tree(ctx, tip); err != nil {
		return "", nil, fmt.Errorf("list the pages of the wiki: %w", err)
	}
	return tip, tree, nil
}

func (e *Engine) scanWiki(ctx context.Context, m *mirror) (*Result, error) {
	started := e.Now()
	r := &Result{Policy: &policy.Policy{}}
	head, tree, err := m.pages(ctx)
	if err != nil {
		return nil, err
	}
	r.Head = head
	_, found, err := e.read(ctx, m, e.builtin, git.ListOf(tree), r)
	if err != nil {
		return nil, err
	}
	var keys scanner.Keys
	for i := range found {
		keys.Add(&found[i], nil)
	}
	r.Keys = keys.Sorted()
	r.Coverage.Took = e.Now().Sub(started)
	return r, nil
}
