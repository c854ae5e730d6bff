package githubtest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
)

// names is a list of labels, each a string or an object with a name.
type names []string

func (n *names) UnmarshalJSON(data []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*n = names{}
	for _, r := range raw {
		var o struct{ Name string }
		if json.Unmarshal(r, &o.Name) != nil && json.Unmarshal(r, &o) != nil {
			return fmt.Errorf("label %s is no name", r)
		}
		*n = append(*n, o.Name)
	}
	return nil
}

func (s *Server) labelJSON(r *repo, name string) object {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return object{"id": h.Sum32(), "node_id": fmt.Sprintf("LA_%d", h.Sum32()), "url": s.api("/repos/%s/labels/%s", r.full(), name), "name": name,
		"color": "ededed", "default": false, "description": nil}
}

func listLabels(c *call) (int, any) {
	i := c.issue()
	if i == nil {
		return c.notFound()
	}
	list := []object{}
	for _, name := range i.labels {
		list = append(list, c.labelJSON(c.repo, name))
	}
	return http.StatusOK, list
}

func addLabels(c *call) (int, any) {
	i := c.issue()
	if i == nil {
		return c.notFound()
	}
	var in struct{ Labels names }
	if c.decode(&in.Labels); len(in.Labels) == 0 { // a bare list is right as well
		if status, body := c.decode(&in); status != 0 {
			return status, body
		}
	}
	c.change(c.repo, i, &issueInput{Labels: append(slices.Clone(i.labels), in.Labels...)}, c.state.bot())
	return listLabels(c)
}

func removeLabel(c *call) (int, any) {
	i := c.issue()
	if i == nil || !slices.Contains(i.labels, c.params["name"]) {
		return c.notFound()
	}
	rest := slices.DeleteFunc(slices.Clone(i.labels), func(n string) bool { return n == c.params["name"] })
	c.change(c.repo, i, &issueInput{Labels: append(names{}, rest...)}, c.state.bot())
	return listLabels(c)
}
