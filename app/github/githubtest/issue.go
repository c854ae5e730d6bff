package githubtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	maxBody       = 65536
	maxIssueTitle = 256
)

// An issue is an issue, or the talk about a pull request.
type issue struct {
	id               int64
	number           int
	title, body      string
	state, reason    string
	labels           []string
	assignees        []string
	user             *account
	created, updated time.Time
	closed           *time.Time
	comments         []*comment
	parts            []*issue // sub-issues
	parent           *issue
	pull             *pull // nil unless it is a pull request
}

type comment struct {
	id               int64
	body             string
	user             *account
	reactions        []string // of the App: nobody else reacts
	created, updated time.Time
}

// issueInput is what a request says of an issue; nil is what it leaves alone.
type issueInput struct {
	Title       *string  `json:"title"`
	Body        *string  `json:"body"`
	State       *string  `json:"state"`
	StateReason *string  `json:"state_reason"`
	Labels      names    `json:"labels"`
	Assignee    *string  `json:"assignee"`
	Assignees   []string `json:"assignees"`
}

// check returns how to refuse the input, if it must be.
func (in *issueInput) check(c *call) (int, any) {
	if in.Assignee != nil && *in.Assignee != "" {
		in.Assignees = append(in.Assignees, *in.Assignee)
	}
	switch {
	case in.Body != nil && tooLong(*in.Body, maxBody):
		return unfit("Issue", "body", "custom", fmt.Sprintf("body is too long (maximum is %d characters)", maxBody))
	case in.Title != nil && tooLong(*in.Title, maxIssueTitle):
		return unfit("Issue", "title", "custom", fmt.Sprintf("title is too long (maximum is %d characters)", maxIssueTitle))
	case in.Title != nil && strings.TrimSpace(*in.Title) == "":
		return unfit("Issue", "title", "missing_field", "title can't be blank")
	}
	for _, login := range in.Assignees {
		if !c.assignable(login) {
			return unfit("Issue", "assignees", "invalid", login+" cannot be assigned")
		}
	}
	return 0, nil
}

// issue returns the issue that a request names.
func (c *call) issue() *issue { return c.repo.issue(c.number("issue_number")) }

func (r *repo) issue(number int) *issue {
	if number < 1 || number > len(r.issues) {
		return nil
	}
	return r.issues[number-1]
}

// off is the answer where a repository has no issues.
func (c *call) off() (int, any) { return problem(http.StatusGone, "Issues are disabled for this repo") }

// newIssue adds an issue, or the issue side of a pull request.
func (s *Server) newIssue(r *repo, title, body string, user *account) *issue {
	i := &issue{id: s.state.next(), number: len(r.issues) + 1, title: title, body: body, state: "open", user: user, created: now(), updated: now()}
	r.issues = append(r.issues, i)
	return i
}

func createIssue(c *call) (int, any) {
	if c.repo.noIssues {
		return c.off()
	}
	var in issueInput
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	if in.Title == nil {
		return unfit("Issue", "title", "missing_field", "title is required")
	}
	if status, body := in.check(c); status != 0 {
		return status, body
	}
	i := c.newIssue(c.repo, *in.Title, "", c.state.bot())
	if in.Body != nil {
		i.body = *in.Body
	}
	i.labels, i.assignees = unique(in.Labels), unique(in.Assignees)
	c.emitIssue(c.repo, i, "opened", i.user, nil)
	for _, name := range i.labels {
		c.emitIssue(c.repo, i, "labeled", i.user, object{"label": c.labelJSON(c.repo, name)})
	}
	for _, login := range i.assignees {
		c.emitIssue(c.repo, i, "assigned", i.user, object{"assignee": c.accountJSON(c.state.account(login, "User"))})
	}
	return http.StatusCreated, c.issueJSON(c.repo, i)
}

func unique(list []string) []string {
	var out []string
	for _, v := range list {
		if !slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, v) }) {
			out = append(out, v)
		}
	}
	return out
}

func (s *Server) emitIssue(r *repo, i *issue, action string, sender *account, extra object) {
	if i.pull != nil {
		return // the same goes out as pull_request, where it matters
	}
	payload := object{"issue": s.issueJSON(r, i)}
	for k, v := range extra {
		payload[k] = v
	}
	s.emit(r, "issues", action, sender, payload)
}

func getIssue(c *call) (int, any) {
	i := c.issue()
	switch {
	case i == nil && c.repo.noIssues:
		return c.off()
	case i == nil:
		return c.notFound()
	}
	return http.StatusOK, c.issueJSON(c.repo, i)
}

func updateIssue(c *call) (int, any) {
	i := c.issue()
	if i == nil {
		return getIssue(c)
	}
	var in issueInput
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	if status, body := in.check(c); status != 0 {
		return status, body
	}
	c.change(c.repo, i, &in, c.state.bot())
	return http.StatusOK, c.issueJSON(c.repo, i)
}

// change applies a request to an issue, and sends a webhook for each thing it changed.
func (s *Server) change(r *repo, i *issue, in *issueInput, by *account) {
	changes := object{}
	if in.Title != nil && *in.Title != i.title {
		changes["title"], i.title = object{"from": i.title}, *in.Title
	}
	if in.Body != nil && *in.Body != i.body {
		changes["body"], i.body = object{"from": i.body}, *in.Body
	}
	i.updated = now()
	if len(changes) > 0 {
		s.emitIssue(r, i, "edited", by, object{"changes": changes})
	}
	if in.Labels != nil {
		was := i.labels
		i.labels = unique(in.Labels)
		s.emitDifference(was, i.labels, func(name, verb string) {
			s.emitIssue(r, i, verb+"labeled", by, object{"label": s.labelJSON(r, name)})
		})
	}
	if in.Assignees != nil {
		was := i.assignees
		i.assignees = unique(in.Assignees)
		s.emitDifference(was, i.assignees, func(login, verb string) {
			s.emitIssue(r, i, verb+"assigned", by, object{"assignee": s.accountJSON(s.state.account(login, "User"))})
		})
	}
	s.setState(r, i, in, by)
}

// emitDifference tells of each member that left a list ("un") or came to it ("").
func (s *Server) emitDifference(was, is []string, tell func(name, verb string)) {
	for _, name := range was {
		if !slices.Contains(is, name) {
			tell(name, "un")
		}
	}
	for _, name := range is {
		if !slices.Contains(was, name) {
			tell(name, "")
		}
	}
}

func (s *Server) setState(r *repo, i *issue, in *issueInput, by *account) {
	if in.State == nil || *in.State == i.state {
		if in.State != nil && in.StateReason != nil {
			i.reason = *in.StateReason
		}
		return
	}
	i.state, i.reason, i.closed = *in.State, "reopened", nil
	action := "reopened"
	if i.state == "closed" {
		at := now()
		action, i.reason, i.closed = "closed", "completed", &at
		if in.StateReason != nil {
			i.reason = *in.StateReason
		}
	}
	s.emitIssue(r, i, action, by, nil)
}

func listIssues(c *call) (int, any) {
	if c.repo.noIssues {
		return c.off()
	}
	state, since := c.query("state"), time.Time{}
	if text := c.query("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return unfit("Issue", "since", "invalid", "since is no time")
		}
	}
	var found []*issue
	for _, i := range c.repo.issues {
		if state == "" && i.state != "open" || state != "" && state != "all" && i.state != state || i.updated.Before(since) || !c.listed(i) {
			continue
		}
		found = append(found, i)
	}
	slices.SortStableFunc(found, func(a, b *issue) int {
		order := 0
		switch c.query("sort") {
		case "updated":
			order = a.updated.Compare(b.updated)
		case "comments":
			order = cmp.Compare(len(a.comments), len(b.comments))
		}
		order = cmp.Or(order, cmp.Compare(a.number, b.number))
		if c.query("direction") != "asc" {
			order = -order
		}
		return order
	})
	list := []object{}
	for _, i := range page(c, found) {
		list = append(list, c.issueJSON(c.repo, i))
	}
	return http.StatusOK, list
}

// listed reports whether an issue has the labels, author and assignee asked for.
func (c *call) listed(i *issue) bool {
	has := func(list []string, want string) bool {
		return slices.ContainsFunc(list, func(v string) bool { return strings.EqualFold(v, want) })
	}
	if labels := c.query("labels"); labels != "" {
		for label := range strings.SplitSeq(labels, ",") {
			if !has(i.labels, strings.TrimSpace(label)) {
				return false
			}
		}
	}
	if creator := c.query("creator"); creator != "" && !strings.EqualFold(i.user.login, creator) {
		return false
	}
	switch assignee := c.query("assignee"); assignee {
	case "", "*":
		return assignee == "" || len(i.assignees) > 0
	case "none":
		return len(i.assignees) == 0
	default:
		return has(i.assignees, assignee)
	}
}
