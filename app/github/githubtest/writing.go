package githubtest

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
)

// A Writing is a text that is no issue, no pull request and no comment on one.
type Writing struct {
	Event  string // such as discussion_comment: what tells of it, and its kind
	Number int    // of the pull request or discussion that it belongs to
	Body   string
	Sender string
}

// writing is one that was written.
type writing struct {
	id   int64
	kind string
	Writing
}

// Write has a person write a text, and tells of it. It returns the id, or 0 if there is no
// such repository.
func (s *Server) Write(owner, name string, w Writing) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state.repo(owner, name)
	if r == nil {
		return 0
	}
	t := &writing{id: s.state.next(), kind: w.Event, Writing: w}
	if r.writings = append(r.writings, t); t.Number == 0 && strings.HasPrefix(t.kind, "discussion") {
		t.Number = int(s.state.next())
	}
	payload, action := object{}, "created"
	switch t.kind {
	case "pull_request_review":
		payload["review"], payload["pull_request"], action = s.writingJSON(r, t), s.pullOf(r, t.Number), "submitted"
	case "pull_request_review_comment":
		payload["comment"], payload["pull_request"] = s.writingJSON(r, t), s.pullOf(r, t.Number)
	case "commit_comment":
		payload["comment"] = s.writingJSON(r, t)
	case "discussion":
		payload["discussion"] = s.writingJSON(r, t)
	case "discussion_comment":
		payload["discussion"], payload["comment"] = object{"number": t.Number, "node_id": fmt.Sprintf("D_%d", t.Number)}, s.writingJSON(r, t)
	case "release":
		payload["release"], action = s.writingJSON(r, t), "published"
	}
	s.emit(r, t.kind, action, s.state.sender(w.Sender), payload)
	return t.id
}

func (s *Server) pullOf(r *repo, number int) any {
	for _, i := range r.issues {
		if i.number == number && i.pull != nil {
			return s.pullJSON(r, i)
		}
	}
	return nil
}

// node is the global id of a text.
func (t *writing) node() string { return fmt.Sprintf("W_kw%d", t.id) }

func (s *Server) writingJSON(r *repo, t *writing) object {
	o := object{"id": t.id, "node_id": t.node(), "body": t.Body, "user": s.accountJSON(s.state.sender(t.Sender)), "created_at": stamp(now()), "updated_at": stamp(now()),
		"html_url": fmt.Sprintf("%s/%s/%s/%d", s.URL, r.full(), t.kind, t.id)}
	switch t.kind {
	case "discussion":
		o["number"], o["title"] = t.Number, "A question"
	case "commit_comment":
		o["commit_id"] = strings.Repeat("7", 40)
	case "release":
		o["name"], o["tag_name"], o["draft"] = "v1", "v1", false
	}
	return o
}

// getWriting returns the operation that reads texts of a kind by a parameter.
func getWriting(kind, param string) func(*call) (int, any) {
	return func(c *call) (int, any) {
		for _, t := range c.repo.writings {
			if t.kind == kind && t.id == c.id(param) {
				return http.StatusOK, c.writingJSON(c.repo, t)
			}
		}
		return c.notFound()
	}
}

// graphQL answers the one query that reads a discussion or a comment in one. A text that
// is not there is an error in an answer of status 200, as on GitHub.
func graphQL(c *call) (int, any) {
	var in struct {
		Query     string
		Variables struct{ ID string }
	}
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	for _, r := range c.state.byID {
		i := slices.IndexFunc(r.writings, func(t *writing) bool { return t.node() == in.Variables.ID && strings.HasPrefix(t.kind, "discussion") })
		if i >= 0 && (r.public || c.tok.reaches(r)) && c.allowed(c.tok, "discussions:read") {
			o := c.writingJSON(r, r.writings[i])
			return http.StatusOK, object{"data": object{"node": object{"title": o["title"], "body": o["body"], "url": o["html_url"]}}}
		}
	}
	return http.StatusOK, object{"data": object{"node": nil}, "errors": []object{{"type": "NOT_FOUND", "path": []string{"node"}, "message": "Could not resolve to a node with the global id of '" + in.Variables.ID + "'."}}}
}

// AddWiki makes the wiki of a repository, and returns where its bare repository lies.
func (s *Server) AddWiki(owner, name string) (dir string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return "", err
	}
	r.wiki = &repo{id: r.id, owner: r.owner, name: r.name + ".wiki", dir: strings.TrimSuffix(r.dir, ".git") + ".wiki.git", public: r.public}
	if err := os.MkdirAll(r.wiki.dir, 0o755); err != nil {
		return "", err
	}
	return r.wiki.dir, s.initBare(r.wiki)
}

// Gollum tells that a person changed a page of a wiki.
func (s *Server) Gollum(owner, name, page, sender string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return err
	}
	s.emit(r, "gollum", "", s.state.sender(sender), object{"pages": []object{{"page_name": page, "title": page, "action": "edited", "sha": strings.Repeat("0", 40),
		"html_url": s.URL + "/" + r.full() + "/wiki/" + page}}})
	return nil
}
