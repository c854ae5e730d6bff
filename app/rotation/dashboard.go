package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/report"
)

// maxListed is how many keys a dashboard lists.
const maxListed = 200

// A dashboard is opened when so many keys are under way, or one waits for its issue: before,
// their issues are as good a list. Then it is kept up to date.
const dashboardFrom = 5

// Triage sorts the keys that the histories of an installation held: the riskiest get
// their issues, the rest wait on the dashboard. It returns how many it opened.
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
		if err := k.Store.Triaged(ctx, inst.ID, k.Store.Now()); err != nil {
			return opened, err
		}
	}
	return opened, k.Dashboard(ctx, c, inst, holder, true)
}

// a board is what a dashboard shows: the keys of one tracker.
type board struct {
	held   []*store.Credential // they wait for their issues
	lines  []boardLine
	proved int            // closed with evidence
	none   map[string]int // credentials that have no issue, by the reason
}

// a boardLine is a key that has an issue.
type boardLine struct {
	course   *store.Course
	rotation *store.Rotation
	cred     *store.Credential
}

// Dashboard brings the dashboards of an installation up to date, one in each repository
// that has issues of keys: in the tracker, if there is one. Nothing is done where nothing
// happened since, unless there may be keys that wait.
func (k *Keeper) Dashboard(ctx context.Context, c *github.Client, inst *store.Installation, holder string, waiting bool) error {
	seq, err := k.Store.LedgerEnd(ctx, inst.ID)
	if err != nil {
		return err
	}
	rotations, err := k.Store.Rotations(ctx, inst.ID)
	if err != nil {
		return err
	}
	byName := map[string]*store.Rotation{}
	without, behind := true, waiting
	for _, r := range rotations {
		byName[r.Name] = r
		if r.Kind == store.IssueDashboard {
			without, behind = false, behind || r.Said != seq
		}
	}
	if !behind && (!without || len(rotations) < dashboardFrom) {
		return nil
	}
	held, err := k.Store.Credentials(ctx, inst.ID, store.StateHeld)
	if err != nil {
		return err
	}
	repos, err := k.repositories(ctx, inst)
	if err != nil {
		return err
	}
	boards, err := k.boards(ctx, c, inst, held, byName, repos)
	if err != nil {
		return err
	}
	none, err := k.Store.Unissued(ctx, inst.ID)
	if err != nil {
		return err
	}
	for target, b := range boards {
		b.none = none
		name := store.Dashboard(target).Name()
		under := slices.ContainsFunc(b.lines, func(l boardLine) bool { return !life.State(l.course.State).Done() })
		if old := byName[name]; old == nil && len(b.held) == 0 && (!under || len(b.lines) < dashboardFrom) {
			continue
		}
		if err := k.dashboard(ctx, c, inst, target, holder, seq, b, repos); err != nil {
			return err
		}
	}
	return nil
}

// boards sorts the keys of an installation by where their issues are, or would be.
func (k *Keeper) boards(ctx context.Context, c *github.Client, inst *store.Installation, held []*store.Credential, byName map[string]*store.Rotation, repos map[int64]*store.Repository) (map[string]*board, error) {
	out := map[string]*board{}
	of := func(target string) *board {
		if out[target] == nil {
			out[target] = &board{}
		}
		return out[target]
	}
	for _, r := range byName {
		if r.Kind == store.IssueDashboard {
			of(r.Repository) // it may have to say that nothing is left
		}
	}
	targets := map[string]string{} // of the trackers that policies name
	for _, cred := range held {
		tracker := fmt.Sprint(cred.Settings.Tracker, cred.Settings.Public)
		target, known := targets[tracker]
		if !known || len(of(target).held) < maxListed { // its places decide, or are shown
			var err error
			if cred, err = k.Store.Credential(ctx, inst.ID, cred.Fingerprint); err != nil {
				return nil, err
			}
		}
		if !known {
			var err error
			target, _, err = k.target(ctx, c, inst, cred, repos)
			if _, nowhere := err.(errNoPlace); err != nil && !nowhere {
				return nil, err
			}
			if cred.Settings.Tracker != "" || k.Tracker != "" {
				targets[tracker] = target
			}
		}
		if target != "" {
			of(target).held = append(of(target).held, cred)
		}
	}
	delete(out, "")
	courses, err := k.Store.Courses(ctx, inst.ID)
	if err != nil {
		return nil, err
	}
	creds, err := k.Store.Credentials(ctx, inst.ID, store.StateOpen, store.StateQuiet, store.StateDismissed)
	if err != nil {
		return nil, err
	}
	byPrint := map[string]*store.Credential{}
	for _, cred := range creds {
		byPrint[cred.Fingerprint] = cred
	}
	for i := range courses {
		course := &courses[i]
		r, cred := byName[course.Fingerprint], byPrint[course.Fingerprint]
		if r == nil || r.Number == 0 || cred == nil {
			continue
		}
		if life.State(course.State) == life.Closed {
			of(r.Repository).proved++
			continue
		}
		of(r.Repository).lines = append(of(r.Repository).lines, boardLine{course, r, cred})
	}
	return out, nil
}

// dashboard writes one dashboard issue, which says all that the ledger does up to seq.
func (k *Keeper) dashboard(ctx context.Context, c *github.Client, inst *store.Installation, target, holder string, seq int64, shown *board, repos map[int64]*store.Repository) error {
	r, ok, err := k.Store.Claim(ctx, inst.ID, store.Dashboard(target), target, holder, k.Store.Now(), claimFor)
	if err != nil || !ok {
		return err
	}
	defer func() { _ = k.Store.Release(context.WithoutCancel(ctx), r, holder) }() // a claim that stays lapses
	title := "[keyward] " + shown.title()
	body := k.Guard.String(k.dashboardBody(inst, r, shown, repos))
	owner, repo, _ := strings.Cut(r.Repository, "/")
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
		r.Number, r.Opened = issue.GetNumber(), k.Store.Now()
	case sum(body) != r.Body:
		open := "open" // who closed it does not see it any more, and others may need it
		kept, err := k.splice(ctx, c, r, body)
		if errors.Is(err, errNotOurs) {
			k.Log.Warn("dashboard not written", "repository", r.Repository, "number", r.Number, "why", err.Error())
			return nil
		}
		if err != nil {
			return err
		}
		_, _, err = c.Issues.Edit(ctx, owner, repo, r.Number, &gh.IssueRequest{Title: &title, Body: &kept, State: &open})
		switch s := github.Status(err); {
		case s == http.StatusGone || s == http.StatusNotFound:
			r.Number, body = 0, "" // it was deleted: the next time there is another
		case s == http.StatusForbidden: // the repository is archived
			k.Log.Warn("dashboard not brought up to date", "repository", r.Repository, "status", s)
		case err != nil:
			return fmt.Errorf("edit the dashboard %s#%d: %w", r.Repository, r.Number, err)
		}
	}
	r.Body, r.Said = sum(body), seq
	return k.Store.PutRotation(ctx, r)
}

// title says how many keys there are of each sort.
func (b *board) title() string {
	under := 0
	for _, l := range b.lines {
		if !life.State(l.course.State).Done() {
			under++
		}
	}
	title := fmt.Sprintf("%s under way", plural(under, "key is", "keys are"))
	if len(b.held) > 0 {
		title += fmt.Sprintf(", %s for their rotation", plural(len(b.held), "waits", "wait"))
	}
	return title
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", more)
}

func (k *Keeper) dashboardBody(inst *store.Installation, r *store.Rotation, shown *board, repos map[int64]*store.Repository) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- keyward v1 key=%s mac=%s -->\n", r.Name, k.mac(inst.ID, r.Name))
	now := k.Time()
	var late, going, waived, unproved []boardLine
	for _, l := range shown.lines {
		switch s := life.State(l.course.State); {
		case s.Waived():
			waived = append(waived, l)
		case s == life.Unproved:
			unproved = append(unproved, l)
		case s.Works() && l.course.Due.Before(now):
			late = append(late, l)
		default:
			going = append(going, l)
		}
	}
	fmt.Fprintf(&b, "| Overdue | Under way | Waived | Closed without evidence | Wait | Proved dead |\n|---|---|---|---|---|---|\n| %d | %d | %d | %d | %d | %d |\n",
		len(late), len(going), len(waived), len(unproved), len(shown.held), shown.proved)
	k.section(&b, "Overdue", late)
	k.section(&b, "Under way", going)
	k.section(&b, "Waived", waived)
	k.section(&b, "Closed without evidence", unproved)
	k.waiting(&b, shown.held, repos)
	unissued(&b, shown.none)
	b.WriteString("\nThis issue is kept up to date, and opened again when something happens.\n" + report.EndMarker + "\n")
	return b.String()
}

// unissued lists why credentials have no issue. Keyward retries hourly, and when GitHub
// reports a change of permissions or repositories.
func unissued(b *strings.Builder, none map[string]int) {
	if len(none) == 0 {
		return
	}
	b.WriteString("\n## No issue\n\n")
	for _, why := range slices.Sorted(maps.Keys(none)) {
		fmt.Fprintf(b, "- %s no issue: %s\n", plural(none[why], "credential has", "credentials have"), report.Code(why))
	}
}

// maxDashboard is how long the text of a dashboard gets, but for its last lines.
const maxDashboard = 55_000

// section lists keys that have issues, those that are due first at the top.
func (k *Keeper) section(b *strings.Builder, name string, list []boardLine) {
	if len(list) == 0 {
		return
	}
	slices.SortFunc(list, func(x, y boardLine) int {
		return cmp.Or(x.course.Due.Compare(y.course.Due), cmp.Compare(x.rotation.Number, y.rotation.Number))
	})
	fmt.Fprintf(b, "\n## %s\n\n| Issue | | Key | State | Until (UTC) | Owner |\n|---|---|---|---|---|---|\n", name)
	for n, l := range list {
		if n == maxListed || b.Len() > maxDashboard {
			fmt.Fprintf(b, "\nand %d more.\n", len(list)-n)
			return
		}
		until, owner := "", ""
		if due := l.course.Due; !due.IsZero() { // of a waived key, the end of the waiver
			until = due.UTC().Format("2006-01-02 15:04")
		}
		if l.rotation.Owner != "" {
			owner = report.Code(l.rotation.Owner)
		}
		fmt.Fprintf(b, "| #%d | %s | %s %s | %s | %s | %s |\n", l.rotation.Number, l.cred.Severity, report.Code(l.cred.Rule), report.Alias(l.cred.Fingerprint), l.course.State, until, owner)
	}
}

// waiting lists the keys that have no issues yet.
func (k *Keeper) waiting(b *strings.Builder, list []*store.Credential, repos map[int64]*store.Repository) {
	if len(list) == 0 {
		return
	}
	b.WriteString("\n## Wait\n\nThese keys stand in the history of the repositories. The riskiest have issues of their own; these wait for theirs. A key gets its issue at once when it is pushed again.\n\n")
	b.WriteString("| | Key | Where | Found |\n|---|---|---|---|\n")
	for n, cred := range list {
		if n == maxListed || b.Len() > maxDashboard {
			fmt.Fprintf(b, "\nand %d more.\n", len(list)-n)
			break
		}
		i := k.issue(cred, &store.Rotation{}, repos, "")
		where := ""
		if len(i.Spots) > 0 {
			where = report.Code(i.Spots[0].Repository)
			if more := len(cred.Places) - 1; more > 0 {
				where += " and " + plural(more, "more place", "more places")
			}
		}
		fmt.Fprintf(b, "| %s | %s %s %s | %s | %s |\n", cred.Severity, report.Code(i.Key.Rule.Title), report.Code(cred.Redacted), report.Alias(cred.Fingerprint), where, cred.Detected.Format(time.DateOnly))
	}
}
