package githubtest

import (
	"net/http"
	"slices"
	"time"
)

// A grant lets a fine-grained token of a member into an organisation.
type grant struct {
	id      int64
	owner   string
	expires time.Time
}

// AddGrant adds the grant of a fine-grained token that expires.
func (s *Server) AddGrant(org, owner string, expires time.Time) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.state.account(org, "Organization")
	g := &grant{s.state.next(), owner, expires.UTC()}
	a.grants = append(a.grants, g)
	return g.id
}

// Grants returns the ids of the grants of an organisation.
func (s *Server) Grants(org string) (ids []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.state.account(org, "Organization").grants {
		ids = append(ids, g.id)
	}
	return ids
}

func listGrants(c *call) (int, any) {
	org := c.state.account(c.params["org"], "Organization")
	list := []object{}
	for _, g := range page(c, org.grants) {
		list = append(list, object{"id": g.id, "owner": c.accountJSON(c.state.account(g.owner, "User")), "repository_selection": "all", "repositories_url": "https://api.github.com/repositories",
			"permissions": object{}, "access_granted_at": stamp(now()), "token_id": g.id, "token_name": "of the stand-in", "token_expired": false, "token_expires_at": stamp(g.expires), "token_last_used_at": nil})
	}
	return http.StatusOK, list
}

func revokeGrant(c *call) (int, any) {
	org := c.state.account(c.params["org"], "Organization")
	var in struct {
		Action string `json:"action"`
	}
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	id, before := int64(c.number("pat_id")), len(org.grants)
	org.grants = slices.DeleteFunc(org.grants, func(g *grant) bool { return g.id == id })
	if in.Action != "revoke" || len(org.grants) == before {
		return c.notFound()
	}
	return http.StatusNoContent, nil
}
