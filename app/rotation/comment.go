package rotation

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

// formerSource is where an event comes from, at the end of the detail of a record of the
// release before.
var formerSource = regexp.MustCompile(` \((?:comment|answered|closed|reopened|assigned|scan|check run)[^()]*\)$`)

// last is the number of the key's last record in the ledger.
func (t *telling) last() int64 {
	if n := len(t.ledger); n > 0 {
		return t.ledger[n-1].Seq
	}
	return 0
}

// comment tells in one comment of what has happened since the last: changes of state,
// reminders, an issue that was closed by hand. The marker says which records it tells of,
// so that one whose answer was lost is recognised and not written twice.
func (t *telling) comment(ctx context.Context, mention string) error {
	var lines []string
	for i := range t.ledger {
		if r := &t.ledger[i]; r.Seq > t.r.Said {
			if line := t.line(r, mention); line != "" {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) > 0 {
		owner, name, _ := strings.Cut(t.r.Repository, "/")
		marks := t.k.Marks("steps", t.r.Installation, fmt.Sprint(t.r.Name, " ", t.r.Said), func(mac string) string {
			return fmt.Sprintf("<!-- keyward v1 steps mac=%s after=%d to=", mac, t.r.Said)
		})
		rest, err := t.c.Comment(ctx, owner, name, t.r.Number, marks)
		if err != nil {
			return err
		}
		to, _, _ := strings.Cut(rest, " ")
		if said, err := strconv.ParseInt(to, 10, 64); err == nil && said > t.r.Said && said <= t.last() { // its answer was lost; what came after has its turn
			t.r.Said = said
			if err := t.k.Store.PutRotation(ctx, t.r); err != nil {
				return err
			}
			return t.comment(ctx, mention)
		}
		text := t.k.Guard.String(fmt.Sprintf("%s%d -->\n%s\n", marks[0], t.last(), strings.Join(lines, "\n\n")))
		if _, _, err := t.c.Issues.CreateComment(ctx, owner, name, t.r.Number, &gh.IssueComment{Body: &text}); err != nil {
			return fmt.Errorf("comment on %s#%d: %w", t.r.Repository, t.r.Number, err)
		}
	}
	if t.r.Said == t.last() {
		return nil
	}
	t.r.Said = t.last()
	return t.k.Store.PutRotation(ctx, t.r)
}

// line is what is told of a record, "" for nothing.
func (t *telling) line(r *store.Record, mention string) string {
	at := r.At.UTC().Format("2006-01-02 15:04")
	if percent, ok := strings.CutPrefix(r.Event, reminder); ok {
		who := mentions(percent, &t.cred.Settings, mention)
		return strings.TrimSpace(fmt.Sprintf("%s **Reminder**: %s. It has to be revoked by %s UTC.", who, r.Detail, t.r.Due.UTC().Format("2006-01-02 15:04")))
	}
	switch {
	case r.Source.Kind == store.FromComment || r.Source.Kind == "" && strings.Contains(r.Detail, " (comment "): // whoever asked has a reply
		return ""
	case r.Event == string(life.Close) && r.From == r.To:
		return fmt.Sprintf("%s closed this issue. The key is not proved dead, so it is open again, once. What is missing:\n\n- %s\n\nClosed by hand a second time it stays closed, and is reported as closed without evidence.",
			report.Code(r.Actor), strings.Join(t.l.Missing(t.k.Time()), "\n- "))
	case r.From == r.To || r.From == "":
		return ""
	}
	line := fmt.Sprintf("**%s → %s** on %s UTC: %s", r.From, r.To, at, report.Code(formerSource.ReplaceAllString(r.Why(), "")))
	switch {
	case r.To == string(life.Closed):
		line += "\n\n" + t.receipt(r.Seq)
	case r.To == string(life.Open) && !life.State(r.From).Waived():
		line = strings.TrimSpace(mention + " " + line + "\n\nThe clock starts again, with half the time. What proved the key dead counts no more.")
	}
	return line
}

// mentions are who is told at a part of the time: the owner, the team, the security
// contact, the owners of the organisation. Where the policy names nobody it is the owner.
func mentions(percent string, p *policy.App, owner string) string {
	who := map[string]string{"100": p.Team, "150": p.Security, "200": p.Owners}[percent]
	if who == "" {
		return owner
	}
	return strings.TrimSpace(owner + " @" + who)
}

// receipt shows the receipt of a key that was closed by a record.
func (t *telling) receipt(seq int64) string {
	r, err := t.k.receipt(t.cred, t.ledger, seq)
	if err != nil {
		return ""
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return ""
	}
	return "<details><summary>Receipt</summary>\n\n```json\n" + strings.ReplaceAll(string(text), "`", "'") + "\n```\n\n`keyward-app receipt verify` checks it.\n\n</details>"
}
