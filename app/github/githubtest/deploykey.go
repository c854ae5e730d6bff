package githubtest

import (
	"net/http"
	"slices"
	"time"
)

// A deployKey opens one repository by SSH.
type deployKey struct {
	id         int64
	title, key string
	readOnly   bool
	created    time.Time
}

// AddDeployKey adds a deploy key, a public key as authorized_keys has it.
func (s *Server) AddDeployKey(owner, name, title, key string, readOnly bool) (id int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return 0, err
	}
	k := &deployKey{s.state.next(), title, key, readOnly, now()}
	r.deployKeys = append(r.deployKeys, k)
	return k.id, nil
}

// DeployKeys returns the titles of the deploy keys of a repository.
func (s *Server) DeployKeys(owner, name string) (titles []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.state.repo(owner, name); r != nil {
		for _, k := range r.deployKeys {
			titles = append(titles, k.title)
		}
	}
	return titles
}

func listDeployKeys(c *call) (int, any) {
	list := []object{}
	for _, k := range page(c, c.repo.deployKeys) {
		list = append(list, object{"id": k.id, "key": k.key, "url": "https://api.github.com/keys", "title": k.title, "verified": true, "created_at": stamp(k.created), "read_only": k.readOnly})
	}
	return http.StatusOK, list
}

func deleteDeployKey(c *call) (int, any) {
	id := int64(c.number("key_id"))
	before := len(c.repo.deployKeys)
	c.repo.deployKeys = slices.DeleteFunc(c.repo.deployKeys, func(k *deployKey) bool { return k.id == id })
	if len(c.repo.deployKeys) == before {
		return c.notFound()
	}
	return http.StatusNoContent, nil
}
