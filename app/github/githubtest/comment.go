package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

func (s *Server) issueJSON(r *repo, i *issue) object {
	url, kind := s.api("/repos/%s/issues/%d", r.full(), i.number), "issues"
	if i.pull != nil {
		kind = "pull"
	}
	web := fmt.Sprintf("%s/%s/%s/%d", s.URL, r.full(), kind, i.number)
	labels, assignees := []object{}, []object{}
	for _, name := range i.labels {
		labels = append(labels, s.labelJSON(r, name))
	}
	for _, login := range i.assignees {
		assignees = append(assignees, s.accountJSON(s.state.account(login, "User")))
	}
	o := object{"id": i.id, "node_id": fmt.Sprintf("I_%d", i.id), "url": url, "repository_url": s.api("/repos/%s", r.full()), "html_url": web,
		"labels_url": url + "/labels{/name}", "comments_url": url + "/comments", "events_url": url + "/events", "number": i.number,
		"title": i.title, "body": orNil(i.body), "user": s.accountJSON(i.user), "labels": labels, "state": i.state, "state_reason": orNil(i.reason),
		"locked": false, "assignee": nil, "assignees": assignees, "milestone": nil, "comments": len(i.comments), "created_at": stamp(i.created),
		"updated_at": stamp(i.updated), "closed_at": stampOrNil(i.closed), "author_association": "NONE", "active_lock_reason": nil,
		"performed_via_github_app": nil, "timeline_url": url + "/timeline"}
	if len(assignees) > 0 {
		o["assignee"] = assignees[0]
	}
	if i.pull != nil {
		o["pull_request"] = object{"url": s.api("/repos/%s/pulls/%d", r.full(), i.number), "html_url": web, "diff_url": web + ".diff", "patch_url": web + ".patch", "merged_at": nil}
		o["draft"] = false
	}
	if i.user.kind == "Bot" {
		o["performed_via_github_app"] = s.appJSON()
	}
	return o
}

func stampOrNil(t *time.Time) any {
	if t == nil {
		return nil
	}
	return stamp(*t)
}

func (s *Server) commentJSON(r *repo, i *issue, m *comment) object {
	o := object{"id": m.id, "node_id": fmt.Sprintf("IC_%d", m.id), "url": s.api("/repos/%s/issues/comments/%d", r.full(), m.id),
		"html_url":  fmt.Sprintf("%s/%s/issues/%d#issuecomment-%d", s.URL, r.full(), i.number, m.id),
		"issue_url": s.api("/repos/%s/issues/%d", r.full(), i.number), "user": s.accountJSON(m.user), "body": m.body,
		"created_at": stamp(m.created), "updated_at": stamp(m.updated), "author_association": "NONE", "performed_via_github_app": nil}
	if m.user.kind == "Bot" {
		o["performed_via_github_app"] = s.appJSON()
	}
	return o
}

func (s *Server) addComment(r *repo, i *issue, body string, user *account) *comment {
	m := &comment{id: s.state.next(), body: body, user: user, created: now(), updated: now()}
	i.comments = append(i.comments, m)
	i.updated = now()
	s.emitComment(r, i, m, "created", user, object{})
	return m
}

func (s *Server) editComment(r *repo, i *issue, m *comment, body string, by *account) {
	was := m.body
	m.body, m.updated, i.updated = body, now(), now()
	s.emitComment(r, i, m, "edited", by, object{"changes": object{"body": object{"from": was}}})
}

func (s *Server) emitComment(r *repo, i *issue, m *comment, action string, by *account, payload object) {
	payload["issue"], payload["comment"] = s.issueJSON(r, i), s.commentJSON(r, i, m)
	s.emit(r, "issue_comment", action, by, payload)
}

func (r *repo) comment(id int64) (*issue, *comment) {
	for _, i := range r.issues {
		for _, m := range i.comments {
			if m.id == id {
				return i, m
			}
		}
	}
	return nil, nil
}

// commentBody reads the text of a comment.
func (c *call) commentBody() (string, int, any) {
	var in struct{ Body *string }
	if status, body := c.decode(&in); status != 0 {
		return "", status, body
	}
	if in.Body == nil || *in.Body == "" {
		status, body := unfit("IssueComment", "body", "missing_field", "body can't be blank")
		return "", status, body
	}
	if tooLong(*in.Body, maxBody) {
		status, body := unfit("IssueComment", "data", "unprocessable", fmt.Sprintf("Body is too long (maximum is %d characters)", maxBody))
		return "", status, body
	}
	return *in.Body, 0, nil
}

func listComments(c *call) (int, any) {
	i := c.issue()
	if i == nil {
		return getIssue(c)
	}
	list := []object{}
	for _, m := range page(c, i.comments) {
		list = append(list, c.commentJSON(c.repo, i, m))
	}
	return http.StatusOK, list
}

func createComment(c *call) (int, any) {
	i := c.issue()
	if i == nil {
		return getIssue(c)
	}
	text, status, body := c.commentBody()
	if status != 0 {
		return status, body
	}
	return http.StatusCreated, c.commentJSON(c.repo, i, c.addComment(c.repo, i, text, c.state.bot()))
}

func getComment(c *call) (int, any) {
	i, m := c.repo.comment(c.id("comment_id"))
	if m == nil {
		return c.notFound()
	}
	return http.StatusOK, c.commentJSON(c.repo, i, m)
}

func updateComment(c *call) (int, any) {
	i, m := c.repo.comment(c.id("comment_id"))
	if m == nil {
		return c.notFound()
	}
	text, status, body := c.commentBody()
	if status != 0 {
		return status, body
	}
	c.editComment(c.repo, i, m, text, c.state.bot())
	return http.StatusOK, c.commentJSON(c.repo, i, m)
}

// react adds a reaction of the App to a comment; the same one again is the one that is
// there. https://docs.github.com/rest/reactions/reactions#create-reaction-for-an-issue-comment
func react(c *call) (int, any) {
	_, m := c.repo.comment(c.id("comment_id"))
	if m == nil {
		return c.notFound()
	}
	var in struct{ Content string }
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	if !slices.Contains([]string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}, in.Content) {
		return unfit("Reaction", "content", "invalid", "")
	}
	status := http.StatusOK
	if !slices.Contains(m.reactions, in.Content) {
		m.reactions = append(m.reactions, in.Content)
		status = http.StatusCreated
	}
	return status, object{"id": m.id*10 + int64(len(in.Content)), "node_id": fmt.Sprintf("REA_%d", m.id), "user": c.accountJSON(c.state.bot()), "content": in.Content, "created_at": stamp(m.created)}
}
