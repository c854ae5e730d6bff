package rotation

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/report"
)

// a telling brings the issue of one key up to date.
type telling struct {
	k       *Keeper
	c       *github.Client
	cred    *store.Credential
	r       *store.Rotation
	repos   map[int64]*store.Repository
	l       *life.Life
	ledger  []store.Record // of the key
	lost    bool           // its issue cannot be written
	foreign bool           // the issue that the database names is not ours
}

// write opens the issue, or edits it.
func (t *telling) write(ctx context.Context) error {
	owner, name, _ := strings.Cut(t.r.Repository, "/")
	t.r.Due = t.l.Due()
	mention := ""
	if t.r.Owner == "" {
		login, team, err := t.k.owner(ctx, t.c, t.cred, t.repos, owner, name)
		if err != nil {
			return err
		}
		t.r.Owner, mention = login, team
	}
	if mention == "" && t.r.Owner != "" {
		mention = "@" + t.r.Owner
	}
	var err error
	if t.ledger, err = t.k.Store.Proven(ctx, t.k.seal(), t.cred.Installation, t.cred.Fingerprint); err != nil {
		return err
	}
	text := t.text(mention)
	if t.r.Number == 0 {
		return t.open(ctx, text)
	}
	if err := t.edit(ctx, text); err != nil || t.lost {
		return err
	}
	return t.comment(ctx, mention)
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
func (t *telling) open(ctx context.Context, text *report.Issue) error {
	k, c, cred, r := t.k, t.c, t.cred, t.r
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
			if _, _, there := c.Repositories.Get(ctx, owner, name); there == nil {
				break // for a moment: it is tried again
			}
			return k.nowhere(ctx, cred, r.Repository+" is not there any more")
		}
		if err != nil {
			return fmt.Errorf("open the rotation issue in %s: %w", r.Repository, err)
		}
	}
	r.Number, r.Opened, r.Body, r.Told, r.Said = issue.GetNumber(), k.Time(), sum(body), files(cred), t.last()
	k.Log.Info("rotation issue opened", "key", cred.Fingerprint[:12], "rule", cred.Rule, "repository", r.Repository, "issue", r.Number)
	return k.Store.PutRotation(ctx, r)
}

// nowhere notes that the issue cannot be written, and why.
func (t *telling) nowhere(ctx context.Context, why string) error {
	t.lost = true
	return t.k.nowhere(ctx, t.cred, why)
}

// nowhere notes that a key has no issue, and why.
func (k *Keeper) nowhere(ctx context.Context, cred *store.Credential, why string) error {
	k.Log.Warn("no rotation issue", "key", cred.Fingerprint[:12], "why", why)
	cred.Note = why
	return k.Store.SetNote(ctx, cred)
}

// find looks for an issue that an earlier try opened and whose answer was lost. Issues
// are listed, not searched: the search index lags behind.
func (k *Keeper) find(ctx context.Context, c *github.Client, owner, name string, r *store.Rotation) (*gh.Issue, error) {
	marks := k.Marks("issue", r.Installation, r.Name, func(mac string) string { return "key=" + r.Name + " mac=" + mac + " -->" })
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
			if issue.GetUser().GetType() == "Bot" && slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(issue.GetBody(), m) }) {
				return issue, nil
			}
		}
		if res.NextPage == 0 {
			return nil, nil
		}
		opt.Page = res.NextPage
	}
}

// notPlanned is the reason with which an issue is closed that leads to no dead key.
const notPlanned = "not_planned"

// wanted is whether the issue is open or closed, and why.
func (t *telling) wanted() (state, reason string) {
	switch {
	case t.l.State == life.Closed:
		return "closed", "completed"
	case t.l.State.Done():
		return "closed", notPlanned
	}
	return "open", "reopened"
}

// edit brings the issue up to date in place. What people ticked stays ticked. Whether it
// is open follows from the life of the key: closing it by hand does not end that.
func (t *telling) edit(ctx context.Context, text *report.Issue) error {
	k, c, cred, r := t.k, t.c, t.cred, t.r
	body := k.Guard.String(text.Body())
	if sum(body) == r.Body && files(cred) <= r.Told {
		return nil
	}
	owner, name, _ := strings.Cut(r.Repository, "/")
	issue, _, err := c.Issues.Get(ctx, owner, name, r.Number)
	if s := github.Status(err); s == http.StatusGone || s == http.StatusNotFound {
		return t.nowhere(ctx, fmt.Sprintf("issue %s#%d was deleted", r.Repository, r.Number))
	}
	if err != nil {
		return fmt.Errorf("read issue %s#%d: %w", r.Repository, r.Number, err)
	}
	if !k.owns(issue, r) {
		t.foreign = true
		return t.nowhere(ctx, fmt.Sprintf("issue %s#%d: %s", r.Repository, r.Number, errNotOurs))
	}
	change := &gh.IssueRequest{}
	if kept := report.Splice(body, issue.GetBody(), func(own string) bool { return sum(own) == r.Body }); kept != issue.GetBody() {
		change.Body = &kept
	}
	if title := k.Guard.String(text.Title()); title != issue.GetTitle() && strings.Contains(issue.GetTitle(), report.Alias(cred.Fingerprint)) {
		change.Title = &title
	}
	if state, reason := t.wanted(); state != issue.GetState() {
		change.State, change.StateReason = &state, &reason
	}
	if r.Owner != "" && len(issue.Assignees) == 0 {
		change.Assignees = &[]string{r.Owner}
	}
	if labels := relabelled(issue.Labels, text.Labels()); labels != nil {
		change.Labels = &labels
	}
	if *change != (gh.IssueRequest{}) {
		_, _, err := c.Issues.Edit(ctx, owner, name, r.Number, change)
		if github.Status(err) == http.StatusForbidden { // archived
			return t.nowhere(ctx, fmt.Sprintf("the App may not write to %s#%d any more", r.Repository, r.Number))
		}
		if err != nil {
			return fmt.Errorf("edit issue %s#%d: %w", r.Repository, r.Number, err)
		}
	}
	if files(cred) > r.Told {
		if err := t.again(ctx, text); err != nil {
			return err
		}
	}
	r.Body, r.Told = sum(body), files(cred)
	return k.Store.PutRotation(ctx, r)
}

// splice returns the body of an issue with Keyward's part replaced. What is gone or may not
// be read is written whole: the edit says why it fails.
func (k *Keeper) splice(ctx context.Context, c *github.Client, r *store.Rotation, text string) (string, error) {
	owner, name, _ := strings.Cut(r.Repository, "/")
	issue, _, err := c.Issues.Get(ctx, owner, name, r.Number)
	if s := github.Status(err); s == http.StatusNotFound || s == http.StatusGone || s == http.StatusForbidden {
		return text, nil
	}
	if err != nil {
		return "", fmt.Errorf("read issue %s#%d: %w", r.Repository, r.Number, err)
	}
	if !k.owns(issue, r) {
		return "", fmt.Errorf("write issue %s#%d: %w", r.Repository, r.Number, errNotOurs)
	}
	return report.Splice(text, issue.GetBody(), func(own string) bool { return sum(own) == r.Body }), nil
}

// ownMarker is a marker of ours with what it names and the MAC that proves it.
var ownMarker = regexp.MustCompile(`<!-- keyward v1 key=([^<>]{1,300}?) mac=([0-9a-f]{24}) -->`)

// Foreign returns a text without the markers that are proved by their MAC to be ours: they
// are not scanned.
func (k *Keeper) Foreign(installation int64, text string) string {
	return ownMarker.ReplaceAllStringFunc(text, func(mark string) string {
		m := ownMarker.FindStringSubmatch(mark)
		if k.marked(installation, m[1], m[2]) {
			return ""
		}
		return mark
	})
}

// marked reports whether the MAC in a marker of an issue is right, under any pepper.
func (k *Keeper) marked(installation int64, name, mac string) bool {
	return slices.ContainsFunc(k.Peppers.Macs("issue", installation, name), func(right string) bool { return hmac.Equal([]byte(mac), []byte(right)) })
}

// errNotOurs says that an issue is not the one that the database says it is: nothing is
// written there.
var errNotOurs = errors.New("it is not the issue that Keyward opened: the database was changed, or the issue was")

// owns reports whether an issue is the one that Keyward opened under the name of r. Its
// marker proves it. People may remove that; then it has to be of a program, and not another
// of Keyward's.
func (k *Keeper) owns(issue *gh.Issue, r *store.Rotation) bool {
	other := false
	for _, m := range ownMarker.FindAllStringSubmatch(issue.GetBody(), -1) {
		if !k.marked(r.Installation, m[1], m[2]) {
			continue
		}
		if m[1] == r.Name || r.Kind == store.IssueDashboard && store.ParseIssueName(m[1]).Kind == r.Kind { // which has the name of its repository in it
			return true
		}
		other = true
	}
	return !other && issue.GetUser().GetType() == "Bot"
}

// Owns reports whether the issue of a credential, or of a part of it, is the one that the
// database says it is.
func (k *Keeper) Owns(ctx context.Context, c *github.Client, r *store.Rotation) (bool, error) {
	owner, name, _ := strings.Cut(r.Repository, "/")
	issue, _, err := c.Issues.Get(ctx, owner, name, r.Number)
	if err != nil {
		return false, fmt.Errorf("read issue %s#%d: %w", r.Repository, r.Number, err)
	}
	return k.owns(issue, r), nil
}

// relabelled returns the labels of an issue with those that follow from the state in the
// place of older ones; nil if it has them already. Other labels are people's.
func relabelled(old []*gh.Label, want []string) (names []string) {
	ours := func(name string) bool {
		return strings.HasPrefix(name, report.StateLabel) || strings.HasPrefix(name, "kw/sev:") || slices.Contains(marks, name)
	}
	var have []string
	for _, l := range old {
		have = append(have, l.GetName())
		if !ours(l.GetName()) || slices.Contains(want, l.GetName()) {
			names = append(names, l.GetName())
		}
	}
	for _, name := range want {
		if ours(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == len(have) && !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(have, n) }) {
		return nil
	}
	return names
}

// again says once that the key was found in another file. A comment whose answer was
// lost is recognised by its marker.
func (t *telling) again(ctx context.Context, text *report.Issue) error {
	k, c, cred, r := t.k, t.c, t.cred, t.r
	owner, name, _ := strings.Cut(r.Repository, "/")
	n := files(cred)
	marks := k.Marks("issue", r.Installation, fmt.Sprint(r.Name, " ", n), func(mac string) string { return fmt.Sprintf("<!-- keyward v1 files=%d mac=%s -->", n, mac) })
	if said, err := c.Said(ctx, owner, name, r.Number, marks, &r.Claimed); err != nil || said {
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
	body := k.Guard.String(fmt.Sprintf("%s\nThe key was found in another place: %s. It stands in %d now; the list above is up to date.", marks[0], where, n))
	if _, _, err := c.Issues.CreateComment(ctx, owner, name, r.Number, &gh.IssueComment{Body: &body}); err != nil {
		return fmt.Errorf("comment on %s#%d: %w", r.Repository, r.Number, err)
	}
	return nil
}

func sum(body string) string {
	h := sha256.Sum256([]byte(body))
	return hex.EncodeToString(h[:12])
}
