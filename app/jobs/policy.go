package jobs

import (
	"context"
	"fmt"
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
	if p, ok := r.policies.Get(repo.Installation); ok && time.Since(p.at) < policyFor {
		return p.name, p.text, nil
	}
	p := orgPolicy{at: time.Now()}
	for _, name := range policy.Names() {
		content, _, _, err := c.Repositories.GetContents(ctx, repo.Owner, ".github", name, nil)
		if s := github.Status(err); s == http.StatusNotFound || s == http.StatusForbidden {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("read the organisation's policy: %w", err)
		}
		if content == nil || content.GetSize() > policy.MaxFile {
			continue
		}
		text, err := content.GetContent()
		if err != nil {
			return "", nil, fmt.Errorf("read the organisation's policy: %w", err)
		}
		p.name, p.text = repo.Owner+"/.github/"+name, []byte(text)
		break
	}
	r.policies.Add(repo.Installation, p)
	return p.name, p.text, nil
}

// settings returns the App's table of the policy on the default branch, of the
// organisation's where there is none. A broken one counts as none.
func (r *Runner) settings(ctx context.Context, c *github.Client, repo *store.Repository) (policy.App, error) {
	for _, name := range policy.Names() {
		content, _, _, err := c.Repositories.GetContents(ctx, repo.Owner, repo.Name, name, nil)
		if s := github.Status(err); s == http.StatusNotFound || s == http.StatusForbidden {
			continue
		}
		if err != nil {
			return policy.App{}, fmt.Errorf("read the policy: %w", err)
		}
		text, err := content.GetContent()
		if err != nil {
			continue
		}
		if p, err := policy.Parse(name, []byte(text)); err == nil {
			return p.App, nil
		}
		return policy.App{}, nil
	}
	name, text, err := r.organisationPolicy(ctx, c, repo)
	if err != nil || text == nil {
		return policy.App{}, err
	}
	if p, err := policy.Parse(name, text); err == nil {
		return p.App, nil
	}
	return policy.App{}, nil
}
