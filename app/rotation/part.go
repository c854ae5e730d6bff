package rotation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/report"
)

// A key that stands in several repositories has one issue, the parent, and in each other
// repository a part: the places there, for those who work there. Parts are sub-issues of
// the parent.
//
// maxParts is how many sub-issues an issue gets: then a continuation in the same repository
// takes more.
const maxParts = github.MaxSubIssues

// maxContinued is how many continuations a key has at most.
const maxContinued = 9

// parts brings the parts up to date.
func (t *telling) parts(ctx context.Context, holder string) error {
	var ids []int64
	for _, p := range t.cred.Places {
		if repo := t.repos[p.Repository]; repo != nil && !slices.Contains(ids, p.Repository) {
			ids = append(ids, p.Repository)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if len(ids) == 1 { // it may have had more
		if _, err := t.k.Store.Issue(ctx, t.cred.Installation, store.SubIssue(t.cred.Fingerprint, ids[0])); errors.Is(err, store.ErrGone) {
			return nil
		} else if err != nil {
			return err
		}
	}
	n := 0
	for _, id := range ids {
		repo := t.repos[id]
		if repo.FullName() == t.r.Repository || repo.Archived || repo.Public && !t.k.Public && !t.cred.Settings.Public {
			continue
		}
		if n >= maxParts*(1+maxContinued) {
			return nil
		}
		parent := t.r.Number
		if at := n / maxParts; at > 0 {
			var err error
			if parent, err = t.continuation(ctx, at, holder); err != nil || parent == 0 {
				return err
			}
		}
		if err := t.part(ctx, repo, parent, n/maxParts, holder); err != nil {
			return err
		}
		n++
	}
	return nil
}

// part brings one part up to date. Its parent is continuation at of the key's issue.
func (t *telling) part(ctx context.Context, repo *store.Repository, parent, at int, holder string) error {
	title := fmt.Sprintf("[rotate] take %s out of this repository", report.Alias(t.cred.Fingerprint))
	r, err := t.side(ctx, store.SubIssue(t.cred.Fingerprint, repo.ID), repo.FullName(), repo.ID, title, holder, func(r *store.Rotation) string {
		var b strings.Builder
		fmt.Fprintf(&b, "<!-- keyward v1 key=%s mac=%s -->\n", r.Name, t.k.mac(t.cred.Installation, r.Name))
		fmt.Fprintf(&b, "A key of kind %s, %s, stands here and elsewhere. It is followed in %s#%d until it is dead: there is who rotates it, until when, and how.\n\nHere it has to be taken out: `keyward fix`. That is no rotation.\n\n",
			report.Code(t.cred.Rule), report.Alias(t.cred.Fingerprint), t.r.Repository, t.r.Number)
		for i, p := range t.cred.Places {
			if p.Repository == repo.ID {
				if b.Len() > 50_000 {
					fmt.Fprintf(&b, "- and more, %d places in all\n", len(t.cred.Places)-i)
					break
				}
				fmt.Fprintf(&b, "- %s\n", report.Code(fmt.Sprintf("%s:%d", p.Path, p.Line)))
			}
		}
		b.WriteString(report.EndMarker + "\n")
		return b.String()
	})
	if err != nil || r == nil || r.Told != 0 {
		return err
	}
	for {
		full, err := t.link(ctx, r, parent)
		if err != nil || !full || at == maxContinued {
			return err
		}
		at++ // repositories came in between
		if parent, err = t.continuation(ctx, at, holder); err != nil || parent == 0 {
			return err
		}
	}
}

// continuation returns the number of the issue that has the sub-issues for which the one
// before has no room, 0 if there can be none.
func (t *telling) continuation(ctx context.Context, n int, holder string) (int, error) {
	title := fmt.Sprintf("[rotate] %s, continued (%d)", report.Alias(t.cred.Fingerprint), n+1)
	r, err := t.side(ctx, store.OverflowIssue(t.cred.Fingerprint, n), t.r.Repository, t.r.RepositoryID, title, holder, func(r *store.Rotation) string {
		return fmt.Sprintf("<!-- keyward v1 key=%s mac=%s -->\nMore repositories that the key of #%d stands in: an issue has %d sub-issues at most.\n"+report.EndMarker+"\n", r.Name, t.k.mac(t.cred.Installation, r.Name), t.r.Number, maxParts)
	})
	if err != nil || r == nil {
		return 0, err
	}
	return r.Number, nil
}

// side opens an issue beside that of the key, or brings it up to date: its text, and
// whether it is open, which is what becomes of the key's own. Where it may not be, there
// is none: then it is nil.
func (t *telling) side(ctx context.Context, issue store.IssueID, target string, id int64, title, holder string, text func(*store.Rotation) string) (*store.Rotation, error) {
	r, ok, err := t.k.Store.Claim(ctx, t.cred.Installation, issue, target, holder, t.k.Store.Now(), claimFor)
	if err == nil && !ok {
		err = ErrBusy
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.k.Store.Release(context.WithoutCancel(ctx), r, holder) }() // a claim that stays lapses
	if r.Number == 0 {
		r.RepositoryID = id
	}
	owner, repo, _ := strings.Cut(r.Repository, "/")
	body := t.k.Guard.String(text(r))
	state, reason := t.wanted()
	if r.Number == 0 && state == "closed" {
		return nil, nil // nobody has to act any more
	}
	if r.Number == 0 && r.Tries > 1 {
		found, err := t.k.find(ctx, t.c, owner, repo, r)
		if err != nil {
			return nil, err
		}
		r.Number = found.GetNumber()
	}
	hash := sum(body + state)
	switch {
	case r.Number == 0:
		var issue *gh.Issue
		issue, _, err = t.c.Issues.Create(ctx, owner, repo, &gh.IssueRequest{Title: &title, Body: &body, Labels: &[]string{"keyward"}})
		r.Number, r.Opened = issue.GetNumber(), t.k.Time()
	case hash != r.Body:
		if body, err = t.k.splice(ctx, t.c, r, body); err == nil {
			_, _, err = t.c.Issues.Edit(ctx, owner, repo, r.Number, &gh.IssueRequest{Body: &body, State: &state, StateReason: &reason})
		}
	default:
		return r, nil
	}
	if errors.Is(err, errNotOurs) {
		t.k.Log.Warn("issue not written", "key", t.cred.Fingerprint[:12], "why", err.Error())
		return nil, nil
	}
	switch github.Status(err) {
	case http.StatusGone, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity:
		t.k.Log.Warn("no issue beside that of the key", "key", t.cred.Fingerprint[:12], "repository", r.Repository, "status", github.Status(err))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("write an issue in %s: %w", r.Repository, err)
	}
	r.Body = hash
	return r, t.k.Store.PutRotation(ctx, r)
}

// link makes a part a sub-issue of its parent, and reports whether that has no room. Where
// GitHub knows no sub-issues, the text of the part leads there.
// https://docs.github.com/rest/issues/sub-issues#add-sub-issue
func (t *telling) link(ctx context.Context, r *store.Rotation, parent int) (full bool, err error) {
	owner, repo, _ := strings.Cut(r.Repository, "/")
	issue, _, err := t.c.Issues.Get(ctx, owner, repo, r.Number)
	if err != nil {
		return false, fmt.Errorf("read issue %s#%d: %w", r.Repository, r.Number, err)
	}
	req, err := t.c.NewRequest(http.MethodPost, fmt.Sprintf("repos/%s/issues/%d/sub_issues", t.r.Repository, parent), map[string]int64{"sub_issue_id": issue.GetID()})
	if err != nil {
		return false, err
	}
	_, err = t.c.Do(ctx, req, nil)
	if github.TooManySubIssues(err) {
		return true, nil
	}
	switch github.Status(err) {
	case http.StatusUnprocessableEntity, http.StatusNotFound, http.StatusForbidden, http.StatusGone: // it is one already, or there are none here
		err = nil
	}
	if err != nil {
		return false, fmt.Errorf("make %s#%d a sub-issue of %s#%d: %w", r.Repository, r.Number, t.r.Repository, parent, err)
	}
	r.Told = 1
	return false, t.k.Store.PutRotation(ctx, r)
}
