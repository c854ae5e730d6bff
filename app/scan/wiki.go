package scan

import (
	"context"
	"fmt"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
)

// wikiOf names the copy of a repository's wiki.
func wikiOf(id int64) string { return copyOf(id) + "-wiki" }

// Wiki scans the pages of a wiki, which [Job.URL] names, as they are now. A wiki has no
// policy: people who may not push can write there.
func (e *Engine) Wiki(ctx context.Context, j *Job) (*Result, error) {
	return e.with(ctx, wikiOf(j.Repository), j, func(ctx context.Context, m *mirror, j *Job) (*Result, error) {
		if err := e.slots.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer e.slots.Release(1)
		return e.scanWiki(ctx, m)
	})
}

func (e *Engine) scanWiki(ctx context.Context, m *mirror) (*Result, error) {
	started := e.Now()
	r := &Result{Policy: &policy.Policy{}}
	if err := m.fetchTip(ctx, "+HEAD:refs/keyward/default"); err != nil {
		return nil, fmt.Errorf("fetch the wiki: %w", err)
	}
	head, err := m.Resolve(ctx, "refs/keyward/default")
	if err != nil {
		return nil, err
	}
	r.Head = head
	tree, err := m.Tree(ctx, head)
	if err != nil {
		return nil, fmt.Errorf("list the pages of the wiki: %w", err)
	}
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
