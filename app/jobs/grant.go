package jobs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/verify"
)

// fineGrained is the rule of tokens that an organisation grants access, and tokenGrant what
// KEYWARD_REVOKE calls taking that away.
const (
	fineGrained = "github-pat-fine-grained"
	tokenGrant  = "token-grant"
)

// A grant is what GitHub tells of a fine-grained token that may reach an organisation. It
// tells nothing by which the token itself could be known.
// https://docs.github.com/rest/orgs/personal-access-tokens
type grant struct {
	ID      int64      `json:"id"`
	Expires *time.Time `json:"token_expires_at"`
	Name    string     `json:"token_name"`
}

// grantWay is how a fine-grained token loses its access to the organisation. Its owner and
// the second in which it expires, which its check has told, say which grant is its; a
// refusal says why none is. The token lives on, without the organisation.
func (r *Runner) grantWay(ctx context.Context, cred *store.Credential) (*way, error) {
	owner := factOf(cred, "owner")
	if owner == "" || cred.Expires.IsZero() {
		return nil, life.Refusal("which grant is the token's is told by its owner and its expiry, which a check has to say first (KEYWARD_VERIFY)")
	}
	inst, err := r.Store.Installation(ctx, cred.Installation)
	if err != nil {
		return nil, err
	}
	c := r.GitHub.Installation(cred.Installation)
	found, err := grantsOf(ctx, c, inst.Account, owner)
	if err != nil {
		return nil, err
	}
	var its []grant
	for _, g := range found {
		if g.Expires != nil && g.Expires.Equal(cred.Expires) {
			its = append(its, g)
		}
	}
	if len(its) != 1 {
		return nil, life.Refusal(fmt.Sprintf("%d grants of %s are of tokens that expire in the same second: it has to be exactly 1", len(its), owner))
	}
	path := fmt.Sprintf("orgs/%s/personal-access-tokens/%d", inst.Account, its[0].ID)
	request := "POST /" + path
	return &way{request: request, does: "takes the token its access to the organisation; elsewhere it lives on", kinds: []string{tokenGrant}, send: func(ctx context.Context, _ *verify.Credential) (verify.Revoked, error) {
		req, err := c.NewRequest(http.MethodPost, path, map[string]string{"action": "revoke"})
		if err != nil {
			return verify.Revoked{}, err
		}
		_, err = c.Do(ctx, req, nil)
		got, err := answered(request, "personal access tokens", err)
		if err == nil { // it lives on elsewhere
			got.Verdict, got.Why = verify.Taken, got.Why+": the organisation is closed to it, the token itself is not revoked"
		}
		return got, err
	}}, nil
}

// maxGrants is how many grants of one person are read.
const maxGrants = 1000

// grantsOf returns the grants of the fine-grained tokens of a person.
func grantsOf(ctx context.Context, c *github.Client, org, owner string) (out []grant, err error) {
	for page := 1; page != 0 && len(out) < maxGrants; {
		req, err := c.NewRequest(http.MethodGet, fmt.Sprintf("orgs/%s/personal-access-tokens?owner[]=%s&per_page=100&page=%d", org, url.QueryEscape(owner), page), nil)
		if err != nil {
			return nil, err
		}
		var list []grant
		res, err := c.Do(ctx, req, &list)
		if silent(err) {
			return nil, life.Refusal("the App may not see the grants of tokens: it needs personal access tokens: read and write")
		}
		if err != nil {
			return nil, fmt.Errorf("list the grants of tokens of %s: %w", org, err)
		}
		out, page = append(out, list...), res.NextPage
	}
	return out, nil
}
