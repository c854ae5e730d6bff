package githubtest

import (
	"fmt"
	"slices"
)

// MergeGroup tells of a group of pull requests that waits to be merged: a branch at
// head, meant for a branch at base. Both may be branches or commits.
func (s *Server) MergeGroup(owner, name, base, head string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return err
	}
	baseSHA, headSHA := s.commit(r, base), s.commit(r, head)
	if baseSHA == "" || headSHA == "" {
		return fmt.Errorf("no commit %s or %s in %s", base, head, r.full())
	}
	target := defaultBranch
	if _, ok := s.refs(r)["refs/heads/"+base]; ok {
		target = base
	}
	s.emit(r, "merge_group", "checks_requested", s.state.sender(""), object{"merge_group": object{
		"base_sha": baseSHA, "base_ref": "refs/heads/" + target, "head_sha": headSHA,
		"head_ref":    fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-1-%s", target, baseSHA),
		"head_commit": s.simpleCommit(r, headSHA)}})
	return nil
}

// simpleCommit is a commit as some webhooks show it.
func (s *Server) simpleCommit(r *repo, sha string) any {
	list := s.readCommits(r, []string{sha})
	if len(list) == 0 {
		return nil
	}
	c := list[0]
	return object{"id": c.sha, "tree_id": c.tree, "message": c.message, "timestamp": c.committed,
		"author":    object{"name": c.author.name, "email": c.author.email},
		"committer": object{"name": c.committer.name, "email": c.committer.email}}
}

// Rerequest asks for a check run again.
func (s *Server) Rerequest(owner, name string, checkRun int64) error {
	return s.askCheck(owner, name, checkRun, "rerequested", "", nil)
}

// RequestAction presses a button of a check run.
func (s *Server) RequestAction(owner, name string, checkRun int64, identifier, sender string) error {
	return s.askCheck(owner, name, checkRun, "requested_action", sender, object{"requested_action": object{"identifier": identifier}})
}

func (s *Server) askCheck(owner, name string, id int64, action, sender string, payload object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return err
	}
	k := r.check(id)
	if k == nil {
		return fmt.Errorf("no check run %d in %s", id, r.full())
	}
	if payload == nil {
		payload = object{}
	}
	payload["check_run"] = s.checkJSON(r, k)
	s.emit(r, "check_run", action, s.state.sender(sender), payload)
	return nil
}

// RerequestSuite asks for all checks of a commit again.
func (s *Server) RerequestSuite(owner, name, sha string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return err
	}
	if s.commit(r, sha) == "" {
		return fmt.Errorf("no commit %s in %s", sha, r.full())
	}
	suite := s.suiteJSON(r, s.commit(r, sha))
	suite["head_commit"] = s.simpleCommit(r, sha)
	s.emit(r, "check_suite", "rerequested", s.state.sender(""), object{"check_suite": suite})
	return nil
}

// OpenIssue opens an issue for a person. It returns 0 if there is no such repository.
func (s *Server) OpenIssue(owner, name, title, body, sender string) (number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state.repo(owner, name)
	if r == nil {
		return 0
	}
	i := s.newIssue(r, title, body, s.state.sender(sender))
	s.emitIssue(r, i, "opened", i.user, nil)
	return i.number
}

// EditIssue changes the title and body of an issue; "" leaves one as it is.
func (s *Server) EditIssue(owner, name string, number int, title, body, sender string) error {
	in := &issueInput{}
	if title != "" {
		in.Title = &title
	}
	if body != "" {
		in.Body = &body
	}
	return s.changeIssue(owner, name, number, in, sender)
}

// CloseIssue closes an issue for a reason: completed or not_planned.
func (s *Server) CloseIssue(owner, name string, number int, reason, sender string) error {
	state, in := "closed", &issueInput{}
	if in.State = &state; reason != "" {
		in.StateReason = &reason
	}
	return s.changeIssue(owner, name, number, in, sender)
}

// ReopenIssue opens an issue again.
func (s *Server) ReopenIssue(owner, name string, number int, sender string) error {
	state := "open"
	return s.changeIssue(owner, name, number, &issueInput{State: &state}, sender)
}

// LabelIssue gives an issue these labels and takes away all others.
func (s *Server) LabelIssue(owner, name string, number int, labels []string, sender string) error {
	return s.changeIssue(owner, name, number, &issueInput{Labels: append(names{}, labels...)}, sender)
}

func (s *Server) changeIssue(owner, name string, number int, in *issueInput, sender string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return err
	}
	i := r.issue(number)
	if i == nil {
		return fmt.Errorf("no issue %d in %s", number, r.full())
	}
	s.change(r, i, in, s.state.sender(sender))
	return nil
}

// Comment comments on an issue or a pull request. It returns 0 if there is none.
func (s *Server) Comment(owner, name string, number int, body, sender string) (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state.repo(owner, name)
	if r == nil || r.issue(number) == nil {
		return 0
	}
	return s.addComment(r, r.issue(number), body, s.state.sender(sender)).id
}

// EditComment changes the text of a comment.
func (s *Server) EditComment(owner, name string, id int64, body, sender string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return err
	}
	i, m := r.comment(id)
	if m == nil {
		return fmt.Errorf("no comment %d in %s", id, r.full())
	}
	s.editComment(r, i, m, body, s.state.sender(sender))
	return nil
}

// An Issue is an issue as it stands.
type Issue struct {
	Number             int
	Title, Body        string
	State, StateReason string
	Labels, Assignees  []string
	User               string
	Comments           []Comment
	SubIssues          int // how many it has
}

// A Comment is one on an issue or a pull request.
type Comment struct {
	ID         int64
	Body, User string
	Reactions  []string
}

// Issues returns the issues of a repository, without pull requests, oldest first.
func (s *Server) Issues(owner, name string) []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state.repo(owner, name)
	if r == nil {
		return nil
	}
	var list []Issue
	for _, i := range r.issues {
		if i.pull == nil {
			list = append(list, Issue{Number: i.number, Title: i.title, Body: i.body, State: i.state, StateReason: i.reason,
				Labels: slices.Clone(i.labels), Assignees: slices.Clone(i.assignees), User: i.user.login, Comments: i.said(), SubIssues: len(i.parts)})
		}
	}
	return list
}

func (i *issue) said() []Comment {
	var list []Comment
	for _, m := range i.comments {
		list = append(list, Comment{ID: m.id, Body: m.body, User: m.user.login, Reactions: slices.Clone(m.reactions)})
	}
	return list
}

// Comments returns the comments on an issue or a pull request, oldest first.
func (s *Server) Comments(owner, name string, number int) []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state.repo(owner, name)
	if r == nil || r.issue(number) == nil {
		return nil
	}
	return r.issue(number).said()
}

// Checks returns the check runs of a repository, oldest first.
func (s *Server) Checks(owner, name string) []Check {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state.repo(owner, name)
	if r == nil {
		return nil
	}
	var list []Check
	for _, k := range r.checks {
		c := k.Check
		c.Annotations, c.Actions = slices.Clone(k.Annotations), slices.Clone(k.Actions)
		list = append(list, c)
	}
	return list
}
