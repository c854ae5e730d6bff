package rotation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/report"
)

// dashboard is the name under which a dashboard is kept beside the issues of keys.
func dashboard(target string) string { return "dashboard " + target }

// maxListed is how many keys a dashboard lists.
const maxListed = 200

// Triage sorts the keys that the histories of an installation held: the riskiest get
// their issues, the rest wait on one dashboard issue in each tracker. It returns how
// many it opened.
func (k *Keeper) Triage(ctx context.Context, c *github.Client, inst *store.Installation, first int, holder string) (opened int, err error) {
	held, err := k.Store.Credentials(ctx, inst.ID, store.StateHeld)
	if err != nil {
		return 0, err
	}
	if inst.Triaged.IsZero() {
		for _, cred := range held[:min(first, len(held))] {
			if err := k.Store.SetState(ctx, inst.ID, cred.Fingerprint, store.StateOpen, ""); err != nil {
				return opened, err
			}
			opened++
		}
		if err := k.Store.Triaged(ctx, inst.ID, time.Now()); err != nil {
			return opened, err
		}
		held = held[opened:]
	}
	repos, err := k.repositories(ctx, inst)
	if err != nil {
		return opened, err
	}
	byTarget := map[string][]*store.Credential{}
	for _, cred := range held {
		full, err := k.Store.Credential(ctx, inst.ID, cred.Fingerprint)
		if err != nil {
			return opened, err
		}
		target, err := k.target(ctx, c, inst, full, repos)
		if _, nowhere := err.(errNoPlace); nowhere {
			continue
		}
		if err != nil {
			return opened, err
		}
		byTarget[target] = append(byTarget[target], full)
	}
	for target, list := range byTarget {
		if err := k.dashboard(ctx, c, inst, target, holder, list, repos); err != nil {
			return opened, err
		}
	}
	return opened, nil
}

// dashboard writes one dashboard issue.
func (k *Keeper) dashboard(ctx context.Context, c *github.Client, inst *store.Installation, target, holder string, list []*store.Credential, repos map[int64]*store.Repository) error {
	name := dashboard(target)
	r, ok, err := k.Store.Claim(ctx, inst.ID, name, target, holder, time.Now(), claimFor)
	if err != nil || !ok {
		return err
	}
	defer func() { _ = k.Store.Release(context.WithoutCancel(ctx), r, holder) }() // a claim that stays lapses
	title := fmt.Sprintf("[keyward] %d keys wait for their rotation", len(list))
	body := k.Guard.String(k.dashboardBody(inst, r, list, repos))
	owner, repo, _ := strings.Cut(target, "/")
	if r.Number == 0 && r.Tries > 1 {
		found, err := k.find(ctx, c, owner, repo, r)
		if err != nil {
			return err
		}
		r.Number = found.GetNumber()
	}
	switch {
	case r.Number == 0:
		issue, _, err := c.Issues.Create(ctx, owner, repo, &gh.IssueRequest{Title: &title, Body: &body, Labels: &[]string{"keyward", "kw/dashboard"}})
		switch github.Status(err) {
		case http.StatusGone, http.StatusForbidden, http.StatusNotFound:
			k.Log.Warn("no dashboard issue", "repository", target, "status", github.Status(err))
			return nil
		}
		if err != nil {
			return fmt.Errorf("open the dashboard in %s: %w", target, err)
		}
		r.Number, r.Opened = issue.GetNumber(), time.Now()
	case sum(body) != r.Body:
		_, _, err := c.Issues.Edit(ctx, owner, repo, r.Number, &gh.IssueRequest{Title: &title, Body: &body})
		if s := github.Status(err); err != nil && s != http.StatusGone && s != http.StatusNotFound {
			return fmt.Errorf("edit the dashboard %s#%d: %w", target, r.Number, err)
		}
	}
	r.Body = sum(body)
	return k.Store.PutRotation(ctx, r)
}

func (k *Keeper) dashboardBody(inst *store.Installation, r *store.Rotation, list []*store.Credential, repos map[int64]*store.Repository) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- keyward v1 key=%s mac=%s -->\n", r.Fingerprint, k.mac(inst.ID, r.Fingerprint))
	b.WriteString("These keys stand in the history of the repositories. The riskiest have issues of their own; these wait for theirs. A key gets its issue at once when it is pushed again.\n\n")
	b.WriteString("| | Key | Where | Found |\n|---|---|---|---|\n")
	for n, cred := range list {
		if n == maxListed || b.Len() > 55_000 {
			fmt.Fprintf(&b, "\nand %d more.\n", len(list)-n)
			break
		}
		i := k.issue(cred, &store.Rotation{}, repos, "")
		where := ""
		if len(i.Spots) > 0 {
			where = report.Code(i.Spots[0].Repository)
			if more := len(cred.Places) - 1; more > 0 {
				where += fmt.Sprintf(" and %d more places", more)
			}
		}
		fmt.Fprintf(&b, "| %s | %s %s %s | %s | %s |\n", cred.Severity, report.Code(i.Key.Rule.Title), report.Code(cred.Redacted), report.Alias(cred.Fingerprint), where, cred.Detected.Format(time.DateOnly))
	}
	return b.String()
}
