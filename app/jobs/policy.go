package jobs

import (
	"context"
	"net/http"
	"time"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/policy"
)

// policyFor is how long the policy of an organisation is not asked for again: most
// repositories have none of their own, and each push would cost two requests.
const policyFor = time.Minute

// an orgPolicy is what the account's .github repository said at a time.
type orgPolicy struct {
	name string
	text []byte
	at   time.Time
}

// organisationPolicy returns the policy of the account's .github repository.
func (r *Runner) organisationPolicy(ctx context.Context, c *github.Client, repo *store.Repository) (string, []byte, error) {
	if repo.Name == ".github" {
		return "", nil, nil
	}
	if p, ok := r.policies.Get(repo.Installation); ok && r.Store.Now().Sub(p.at) < policyFor {
		return p.name, p.text, nil
	}
	p := orgPolicy{at: r.Store.Now()}
	name, text, err := r.policyOf(ctx, c, repo.Owner, ".github")
	if err != nil {
		return "", nil, err
	}
	if text != nil {
		p.name, p.text = repo.Owner+"/.github/"+name, text
	}
	r.policies.Add(repo.Installation, p)
	return p.name, p.text, nil
}

// policyOf returns the text of the policy file on a repository's default branch and its
// name, nil if there is none.
func (r *Runner) policyOf(ctx context.Context, c *github.Client, owner, repo string) (string, []byte, error) {
	for _, name := range policy.Names() {
		text, err := c.File(ctx, owner, repo, name, policy.MaxFile)
		if github.Status(err) == http.StatusForbidden {
			continue
		}
		if err != nil || text != nil {
			return name, text, err
		}
	}
	return "", nil, nil
}

// settings returns the App's table of the policy on the default branch, of the
// organisation's where there is none. A broken one counts as none.
func (r *Runner) settings(ctx context.Context, c *github.Client, repo *store.Repository) (policy.App, error) {
	app, _, err := r.ownSettings(ctx, c, repo)
	return app, err
}

// ownSettings returns the settings of a repository, none if its policy cannot be read: then it
// is broken.
func (r *Runner) ownSettings(ctx context.Context, c *github.Client, repo *store.Repository) (app policy.App, broken bool, err error) {
	name, text, err := r.policyOf(ctx, c, repo.Owner, repo.Name)
	if err == nil && text == nil {
		name, text, err = r.organisationPolicy(ctx, c, repo)
	}
	if err != nil || text == nil {
		return policy.App{}, false, err
	}
	if p, err := policy.Parse(name, text); err == nil {
		return p.App, false, nil
	}
	return policy.App{}, true, nil
}
