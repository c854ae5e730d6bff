package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
)

// write opens the issue, or edits it.
func (k *Keeper) write(ctx context.Context, c *github.Client, cred *store.Credential, r *store.Rotation, repos map[int64]*store.Repository, l *life.Life) error {
	owner, name, _ := strings.Cut(r.Repository, "/")
	if r.Due.IsZero() {
		r.Due = l.Due()
	}
	mention := ""
	if r.Owner == "" {
		login, team, err := k.owner(ctx, c, cred, repos, owner, name)
		if err != nil {
			return err
		}
		r.Owner, mention = login, team
	}
	if mention == "" && r.Owner != "" {
		mention = "@" + r.Owner
	}
	text := k.issue(cred, r, repos, mention)
	text.State, text.Commands = string(l.State), life.Forms()
	if r.Number == 0 {
		return k.open(ctx, c, cred, r, text)
	}
	return k.edit(ctx, c, cred, r, text)
}

// files counts the files that a key stands in.
func files(cred *store.Credential) int {
	seen := map[string]bool{}
	for _, p := range cred.Places {
		seen[fmt.Sprint(p.Repository, " ", p.Path)] = true
	}
	return len(seen)
}

// maxLabel is what GitHub takes as the name of a label.
const maxLabel = 50

// open opens the issue. If an earlier try may have opened it, it is looked for first.
func (k *Keeper) open(ctx context.Context, c *github.Client, cred *store.Credential, r *store.Rotation, text *report.Issue) error {
	owner, name, _ := strings.Cut(r.Repository, "/")
	body := k.Guard.String(text.Body())
	var issue *gh.Issue
	var err error
	if r.Tries > 1 {
		if issue, err = k.find(ctx, c, owner, name, r); err != nil {
			return err
		}
	}
	if issue == nil {
		kind := "kw/kind:" + cred.Rule
		labels := append(text.Labels(), kind[:min(maxLabel, len(kind))])
		if !cred.PublicSince.IsZero() {
			labels = append(labels, "kw/public")
		}
		slices.Sort(labels)
		ask := &gh.IssueRequest{Title: gh.String(k.Guard.String(text.Title())), Body: &body, Labels: &labels}
		if r.Owner != "" {
			ask.Assignees = &[]string{r.Owner}
		}
		issue, _, err = c.Issues.Create(ctx, owner, name, ask)
		if github.Status(err) == http.StatusUnprocessableEntity { // who was to be assigned may have left since
			ask.Assignees, ask.Labels = nil, &[]string{"keyward"}
			issue, _, err = c.Issues.Create(ctx, owner, name, ask)
		}
		switch github.Status(err) {
		case http.StatusUnprocessableEntity:
			return k.nowhere(ctx, cred, "GitHub refuses the issue in "+r.Repository)
		case http.StatusGone:
			return k.nowhere(ctx, cred, "issues are switched off in "+r.Repository)
		case http.StatusForbidden:
			return k.nowhere(ctx, cred, "the App may not open issues in "+r.Repository+" (permission issues: write)")
		case http.StatusNotFound:
			return k.nowhere(ctx, cred, r.Repository+" is not there any more")
		}
		if err != nil {
			return fmt.Errorf("open the rotation issue in %s: %w", r.Repository, err)
		}
	}
	r.Number, r.Opened, r.Body, r.Told = issue.GetNumber(), time.Now(), sum(body), files(cred)
	k.Log.Info("rotation issue opened", "key", cred.Fingerprint[:12], "rule", cred.Rule, "repository", r.Repository, "issue", r.Number)
	return k.Store.PutRotation(ctx, r)
}

// nowhere notes that a key has no issue, and why.
func (k *Keeper) nowhere(ctx context.Context, cred *store.Credential, why string) error {
	k.Log.Warn("no rotation issue", "key", cred.Fingerprint[:12], "why", why)
	cred.Note = why
	return k.Store.SetState(ctx, cred.Installation, cred.Fingerprint, cred.State, why)
}

// find looks for an issue that an earlier try opened and whose answer was lost. Issues
// are listed, not searched: the search index lags behind.
func (k *Keeper) find(ctx context.Context, c *github.Client, owner, name string, r *store.Rotation) (*gh.Issue, error) {
	mark := "key=" + r.Fingerprint + " mac=" + k.mac(r.Installation, r.Fingerprint) + " -->"
	opt := &gh.IssueListByRepoOptions{State: "all", Labels: []string{"keyward"}, Since: r.Claimed.Add(-time.Hour), ListOptions: gh.ListOptions{PerPage: 100}}
	for {
		list, res, err := c.Issues.ListByRepo(ctx, owner, name, opt)
		switch github.Status(err) {
		case http.StatusGone, http.StatusNotFound, http.StatusForbidden:
			return nil, nil // opening one will say so
		}
		if err != nil {
			return nil, fmt.Errorf("look for the rotation issue in %s/%s: %w", owner, name, err)
		}
		for _, issue := range list {
			if issue.GetUser().GetType() == "Bot" && strings.Contains(issue.GetBody(), mark) {
				return issue, nil
			}
		}
		if res.NextPage == 0 {
			return nil, nil
		}
		opt.Page = res.NextPage
	}
}

// edit brings the issue up to date in place. What people ticked stays ticked. One that
// was closed as not planned stays closed: somebody decided so.
func (k *Keeper) edit(ctx context.Context, c *github.Client, cred *store.Credential, r *store.Rotation, text *report.Issue) error {
	body := k.Guard.String(text.Body())
	if sum(body) == r.Body && files(cred) <= r.Told {
		return nil
	}
	owner, name, _ := strings.Cut(r.Repository, "/")
	issue, _, err := c.Issues.Get(ctx, owner, name, r.Number)
	if s := github.Status(err); s == http.StatusGone || s == http.StatusNotFound {
		return k.nowhere(ctx, cred, fmt.Sprintf("issue %s#%d was deleted", r.Repository, r.Number))
	}
	if err != nil {
		return fmt.Errorf("read issue %s#%d: %w", r.Repository, r.Number, err)
	}
	if issue.GetState() == "closed" && issue.GetStateReason() == "not_planned" {
		r.Body, r.Told = sum(body), files(cred)
		return k.Store.PutRotation(ctx, r)
	}
	change := &gh.IssueRequest{}
	if kept := report.KeepTicks(body, issue.GetBody()); kept != issue.GetBody() {
		change.Body = &kept
	}
	if title := k.Guard.String(text.Title()); title != issue.GetTitle() && strings.Contains(issue.GetTitle(), report.Alias(cred.Fingerprint)) {
		change.Title = &title
	}
	if issue.GetState() == "closed" && files(cred) > r.Told {
		change.State = gh.String("open")
	}
	if r.Owner != "" && len(issue.Assignees) == 0 {
		change.Assignees = &[]string{r.Owner}
	}
	if labels := relabelled(issue.Labels, report.StateLabel+text.State); labels != nil {
		change.Labels = &labels
	}
	if *change != (gh.IssueRequest{}) {
		_, _, err := c.Issues.Edit(ctx, owner, name, r.Number, change)
		if github.Status(err) == http.StatusForbidden { // archived
			return k.nowhere(ctx, cred, fmt.Sprintf("the App may not write to %s#%d any more", r.Repository, r.Number))
		}
		if err != nil {
			return fmt.Errorf("edit issue %s#%d: %w", r.Repository, r.Number, err)
		}
	}
	if files(cred) > r.Told {
		if err := k.again(ctx, c, cred, r, text); err != nil {
			return err
		}
	}
	r.Body, r.Told = sum(body), files(cred)
	return k.Store.PutRotation(ctx, r)
}

// relabelled returns the labels of an issue with that of the state in the place of an
// older one; nil if it has it already.
func relabelled(old []*gh.Label, state string) (names []string) {
	for _, l := range old {
		if l.GetName() == state {
			return nil
		}
		if !strings.HasPrefix(l.GetName(), report.StateLabel) {
			names = append(names, l.GetName())
		}
	}
	return append(names, state)
}

// again says once that the key was found in another file. A comment whose answer was
// lost is recognised by its marker.
func (k *Keeper) again(ctx context.Context, c *github.Client, cred *store.Credential, r *store.Rotation, text *report.Issue) error {
	owner, name, _ := strings.Cut(r.Repository, "/")
	n := files(cred)
	mark := fmt.Sprintf("<!-- keyward v1 files=%d mac=%s -->", n, k.mac(r.Installation, fmt.Sprint(r.Fingerprint, " ", n)))
	if said, err := c.Said(ctx, owner, name, r.Number, mark, &r.Claimed); err != nil || said {
		return err
	}
	newest := slices.MaxFunc(cred.Places, func(a, b store.Place) int { return a.Seen.Compare(b.Seen) })
	where := ""
	for _, s := range text.Spots {
		for _, p := range s.Places {
			if p.Path == newest.Path {
				where = report.Code(s.Repository + " " + p.Path)
			}
		}
	}
	body := k.Guard.String(fmt.Sprintf("%s\nThe key was found in another place: %s. It stands in %d now; the list above is up to date.", mark, where, n))
	if _, _, err := c.Issues.CreateComment(ctx, owner, name, r.Number, &gh.IssueComment{Body: &body}); err != nil {
		return fmt.Errorf("comment on %s#%d: %w", r.Repository, r.Number, err)
	}
	return nil
}

// dismissed closes the issue of a key that people said is none.
func (k *Keeper) dismissed(ctx context.Context, c *github.Client, cred *store.Credential, r *store.Rotation) error {
	life := ""
	if course, err := k.Store.Course(ctx, cred.Installation, cred.Fingerprint); err == nil {
		life = course.Life
	} else if !errors.Is(err, store.ErrGone) {
		return err
	}
	if r == nil || r.Number == 0 {
		return k.Store.Fresh(ctx, cred, life)
	}
	owner, name, _ := strings.Cut(r.Repository, "/")
	_, _, err := c.Issues.Edit(ctx, owner, name, r.Number, &gh.IssueRequest{State: gh.String("closed"), StateReason: gh.String("not_planned")})
	if s := github.Status(err); err != nil && s != http.StatusGone && s != http.StatusNotFound && s != http.StatusForbidden {
		return fmt.Errorf("close issue %s#%d: %w", r.Repository, r.Number, err)
	}
	return k.Store.Fresh(ctx, cred, life)
}

func sum(body string) string {
	h := sha256.Sum256([]byte(body))
	return hex.EncodeToString(h[:12])
}

// issue makes the text of a key's issue.
func (k *Keeper) issue(cred *store.Credential, r *store.Rotation, repos map[int64]*store.Repository, owner string) *report.Issue {
	rule := k.Rules[cred.Rule]
	if rule == nil { // of a policy that has changed since
		rule = &scanner.Rule{ID: cred.Rule, Title: "Key of rule " + cred.Rule, Tier: scanner.T2}
	}
	key := &scanner.Key{Rule: rule, Fingerprint: cred.Fingerprint, Redacted: cred.Redacted, Severity: cred.Severity, Confidence: cred.Confidence, Facts: cred.Facts, Expires: cred.Expires}
	if cred.FirstCommit != "" {
		key.First = &scanner.Commit{ID: cred.FirstCommit, Date: cred.FirstAt}
	}
	i := &report.Issue{Key: key, Mac: k.mac(cred.Installation, cred.Fingerprint), Owner: owner, Due: r.Due, Exposure: exposure(cred, repos)}
	for _, p := range cred.Places {
		repo := repos[p.Repository]
		if repo == nil {
			continue
		}
		n := slices.IndexFunc(i.Spots, func(s report.Spot) bool { return s.Repository == repo.FullName() })
		if n < 0 {
			n = len(i.Spots)
			i.Spots = append(i.Spots, report.Spot{Repository: repo.FullName(), Link: k.link(cred, repo)})
		}
		place := scanner.Place{Path: p.Path, Line: p.Line, Decoded: p.Decoded, InTest: p.InTest}
		if p.Commit != "" {
			place.Commit = &scanner.Commit{ID: p.Commit}
		}
		i.Spots[n].Places = append(i.Spots[n].Places, place)
		key.Places = append(key.Places, place)
	}
	if len(i.Spots) > 0 {
		i.Repository = i.Spots[0].Repository
	}
	return i
}

// link leads to the places of a key in a repository: into files, or to the comments.
func (k *Keeper) link(cred *store.Credential, repo *store.Repository) report.Link {
	file := report.GitHubLink(k.Web+"/"+repo.FullName(), "")
	return func(commit, path string, line int) string {
		for _, p := range cred.Places {
			if p.URL != "" && p.Repository == repo.ID && p.Path == path {
				return p.URL
			}
		}
		return file(commit, path, line)
	}
}

// exposure says who could read the key, and since when.
func exposure(cred *store.Credential, repos map[int64]*store.Repository) string {
	since := "found on " + cred.Detected.Format(time.DateOnly)
	if !cred.FirstAt.IsZero() {
		since = "committed on " + cred.FirstAt.UTC().Format(time.DateOnly) + ", " + since
	}
	if !cred.PublicSince.IsZero() {
		return "public: everybody can read it (" + since + "; known to be public on " + cred.PublicSince.Format(time.DateOnly) + ")"
	}
	return "private: whoever can read the repository (" + since + ")"
}
