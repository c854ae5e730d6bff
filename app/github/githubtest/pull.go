package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Pull is a pull request to open.
type Pull struct {
	Title, Body string
	Base        string // branch
	Head        string // commit in the base repository, or a branch
	HeadRepo    string // full name of the fork, "" for the same repository
	Sender      string
}

// pull is what a pull request has and an issue has not.
type pull struct {
	base, baseSHA string
	branch, head  string // the head branch, "" if it was given as a commit
	from          *repo  // of the head; nil if the server does not have it
	fromName      string
}

// pullJSON is a pull request as webhooks and the API show it.
func (s *Server) pullJSON(r *repo, i *issue) object {
	p := i.pull
	o := s.issueJSON(r, i)
	url, web := s.api("/repos/%s/pulls/%d", r.full(), i.number), fmt.Sprintf("%s/%s/pull/%d", s.URL, r.full(), i.number)
	for _, name := range []string{"pull_request", "repository_url", "labels_url", "events_url", "timeline_url", "state_reason", "performed_via_github_app"} {
		delete(o, name)
	}
	issue, statuses := o["url"].(string), s.api("/repos/%s/statuses/%s", r.full(), p.head)
	for name, value := range map[string]string{"url": url, "diff_url": web + ".diff", "patch_url": web + ".patch", "issue_url": issue,
		"commits_url": url + "/commits", "review_comments_url": url + "/comments", "comments_url": issue + "/comments", "statuses_url": statuses,
		"review_comment_url": s.api("/repos/%s/pulls/comments{/number}", r.full())} {
		o[name] = value
	}
	link := func(to string) object { return object{"href": to} }
	o["_links"] = object{"self": link(url), "html": link(web), "issue": link(issue), "comments": link(issue + "/comments"),
		"review_comments": link(url + "/comments"), "commits": link(url + "/commits"), "statuses": link(statuses)}
	o["id"], o["node_id"] = i.id, fmt.Sprintf("PR_%d", i.id)
	o["base"] = object{"label": r.owner.login + ":" + p.base, "ref": p.base, "sha": p.baseSHA, "user": s.accountJSON(r.owner), "repo": s.repoJSON(r)}
	o["head"] = s.headJSON(p, i.number)
	o["requested_reviewers"], o["requested_teams"], o["auto_merge"] = []object{}, []object{}, nil
	o["draft"], o["merged"], o["mergeable"], o["rebaseable"], o["mergeable_state"] = false, false, nil, nil, "unknown"
	o["merged_by"], o["merged_at"], o["merge_commit_sha"], o["maintainer_can_modify"], o["review_comments"] = nil, nil, nil, false, 0
	o["commits"], o["changed_files"], o["additions"], o["deletions"] = s.extent(r, p)
	return o
}

func (s *Server) headJSON(p *pull, number int) object {
	ref := p.branch
	if ref == "" {
		ref = fmt.Sprintf("change-%d", number)
	}
	owner, _, _ := strings.Cut(p.fromName, "/")
	head := object{"label": owner + ":" + ref, "ref": ref, "sha": p.head, "user": s.accountJSON(s.state.account(owner, "User")), "repo": nil}
	if p.from != nil {
		head["repo"] = s.repoJSON(p.from)
	}
	return head
}

// extent counts what a pull request changes.
func (s *Server) extent(r *repo, p *pull) (commits, files, additions, deletions int) {
	if out, err := s.git(r, "rev-list", "--count", p.baseSHA+".."+p.head); err == nil {
		commits, _ = strconv.Atoi(strings.TrimSpace(out))
	}
	out, err := s.git(r, "diff", "--numstat", p.baseSHA+"..."+p.head)
	if err != nil {
		return
	}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		plus, _ := strconv.Atoi(f[0]) // "-" for a binary file
		minus, _ := strconv.Atoi(f[1])
		files, additions, deletions = files+1, additions+plus, deletions+minus
	}
	return
}

func (s *Server) emitPull(r *repo, i *issue, action string, by *account, payload object) {
	payload["number"], payload["pull_request"] = i.number, s.pullJSON(r, i)
	s.emit(r, "pull_request", action, by, payload)
}

// OpenPull opens a pull request: its head can be read as refs/pull/N/head of the base
// repository. If Head is a branch, a push to it moves the pull request.
func (s *Server) OpenPull(owner, name string, in Pull) (number int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return 0, err
	}
	p := &pull{base: in.Base, baseSHA: s.commit(r, in.Base), from: r, fromName: r.full()}
	if p.base == "" {
		p.base, p.baseSHA = defaultBranch, s.commit(r, defaultBranch)
	}
	if p.baseSHA == "" {
		return 0, fmt.Errorf("no branch %s in %s", p.base, r.full())
	}
	if in.HeadRepo != "" {
		p.fromName, p.from = in.HeadRepo, s.state.repos[strings.ToLower(in.HeadRepo)]
	}
	number = len(r.issues) + 1
	if err := s.setHead(r, p, number, in.Head); err != nil {
		return 0, err
	}
	i := s.newIssue(r, in.Title, in.Body, s.state.sender(in.Sender))
	i.pull = p
	s.emitPull(r, i, "opened", i.user, object{})
	return number, nil
}

// setHead points a pull request at a branch or commit, and brings it over from the fork.
func (s *Server) setHead(r *repo, p *pull, number int, head string) error {
	from := p.from
	if from == nil {
		from = r
	}
	sha := s.commit(from, head)
	if sha == "" {
		from, sha = r, s.commit(r, head)
	}
	if sha == "" {
		return fmt.Errorf("no commit %s for a pull request to %s", head, r.full())
	}
	if from != r {
		if _, err := s.git(r, "fetch", "-q", "--no-tags", from.dir, sha); err != nil {
			return err
		}
	}
	if _, err := s.git(r, "update-ref", fmt.Sprintf("refs/pull/%d/head", number), sha); err != nil {
		return err
	}
	if _, isBranch := s.refs(from)["refs/heads/"+head]; isBranch {
		p.branch = head
	}
	p.head = sha
	return nil
}

// findPull returns a pull request that an act needs.
func (s *Server) findPull(owner, name string, number int) (*repo, *issue, error) {
	r, err := s.state.find(owner, name)
	if err != nil {
		return nil, nil, err
	}
	if i := r.issue(number); i != nil && i.pull != nil {
		return r, i, nil
	}
	return nil, nil, fmt.Errorf("no pull request %d in %s", number, r.full())
}

// UpdatePull moves the head of a pull request to a branch or commit. Nothing happens if
// it is there already.
func (s *Server) UpdatePull(owner, name string, number int, head string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, i, err := s.findPull(owner, name, number)
	if err != nil {
		return err
	}
	return s.movePull(r, i, head, i.user)
}

func (s *Server) movePull(r *repo, i *issue, head string, by *account) error {
	before := i.pull.head
	if err := s.setHead(r, i.pull, i.number, head); err != nil || before == i.pull.head {
		return err
	}
	if tip := s.commit(r, i.pull.base); tip != "" {
		i.pull.baseSHA = tip
	}
	i.updated = now()
	s.emitPull(r, i, "synchronize", by, object{"before": before, "after": i.pull.head})
	return nil
}

// followPush moves the open pull requests of a branch that was pushed to.
func (s *Server) followPush(from *repo, branch, after string, by *account) {
	for _, r := range s.state.byID {
		for _, i := range r.issues {
			if i.pull != nil && i.state == "open" && i.pull.from == from && i.pull.branch == branch {
				_ = s.movePull(r, i, after, by) // cannot fail: the commit was just pushed
			}
		}
	}
}

// EditPull changes the base branch, title or body of a pull request; "" leaves one as it
// is.
func (s *Server) EditPull(owner, name string, number int, base, title, body string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, i, err := s.findPull(owner, name, number)
	if err != nil {
		return err
	}
	changes := object{}
	if base != "" && base != i.pull.base {
		sha := s.commit(r, base)
		if sha == "" {
			return fmt.Errorf("no branch %s in %s", base, r.full())
		}
		changes["base"] = object{"ref": object{"from": i.pull.base}, "sha": object{"from": i.pull.baseSHA}}
		i.pull.base, i.pull.baseSHA = base, sha
	}
	if title != "" && title != i.title {
		changes["title"], i.title = object{"from": i.title}, title
	}
	if body != "" && body != i.body {
		changes["body"], i.body = object{"from": i.body}, body
	}
	i.updated = now()
	s.emitPull(r, i, "edited", i.user, object{"changes": changes})
	return nil
}

// ClosePull closes a pull request without merging it.
func (s *Server) ClosePull(owner, name string, number int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, i, err := s.findPull(owner, name, number)
	if err != nil {
		return err
	}
	at := now()
	i.state, i.closed, i.updated = "closed", &at, at
	s.emitPull(r, i, "closed", i.user, object{})
	return nil
}

func getPull(c *call) (int, any) {
	i := c.repo.issue(c.number("pull_number"))
	if i == nil || i.pull == nil {
		return c.notFound()
	}
	return http.StatusOK, c.pullJSON(c.repo, i)
}

func listPulls(c *call) (int, any) {
	state := c.query("state")
	var found []*issue
	for _, i := range c.repo.issues {
		if i.pull == nil || state == "" && i.state != "open" || state != "" && state != "all" && i.state != state ||
			c.query("base") != "" && c.query("base") != i.pull.base {
			continue
		}
		if head := c.query("head"); head == "" || head == c.headJSON(i.pull, i.number)["label"] {
			found = append(found, i)
		}
	}
	if c.query("direction") != "asc" {
		slices.Reverse(found)
	}
	list := []object{}
	for _, i := range page(c, found) {
		list = append(list, c.pullJSON(c.repo, i))
	}
	return http.StatusOK, list
}
