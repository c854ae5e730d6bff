package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner/report"
)

// commands does what a comment on the issue of a key asks for. Only comments that were
// just made count: one that is edited could say today what its author may not have said.
func (r *Runner) commands(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event, in writing, log *slog.Logger) error {
	if e.Name != "issue_comment" || e.Action != "created" || e.Bot || e.IsPull || in.edited {
		return nil
	}
	list := life.Commands(in.text)
	if len(list) == 0 {
		return nil
	}
	rot, err := r.Store.RotationAt(ctx, e.Installation, repo.FullName(), e.Number)
	if errors.Is(err, store.ErrGone) {
		return nil // not an issue of ours
	}
	if err != nil {
		return err
	}
	role, err := r.role(ctx, repo, e.SenderLogin)
	if err != nil {
		return err
	}
	by := life.Actor{Login: e.SenderLogin, Role: role, Approver: role == "admin"}
	var answers []string
	refused := false
	for _, cmd := range list {
		answer, ok, err := r.command(ctx, rot, e.Comment, cmd, by)
		if err != nil {
			return err
		}
		refused = refused || !ok
		answers = append(answers, fmt.Sprintf("- %s: %s", report.Code("/"+cmd.Name), answer))
	}
	log.Info("commands", "key", rot.Fingerprint[:12], "number", e.Number, "commands", len(list), "refused", refused)
	return errors.Join(r.answer(ctx, c, repo, e, answers, refused), r.tellSoon(ctx, e.Installation))
}

// command lets one command happen, once: where it is in the ledger already it was done
// before, and its answer is there.
func (r *Runner) command(ctx context.Context, rot *store.Rotation, comment int64, cmd life.Command, by life.Actor) (answer string, ok bool, err error) {
	if cmd.Name == "timeline" {
		answer, err := r.timeline(ctx, rot)
		return answer, true, err
	}
	source := fmt.Sprintf(" (comment %d, line %d)", comment, cmd.Line)
	err = r.Store.Ledger(ctx, rot.Installation, rot.Fingerprint, func(rec store.Record) error {
		if why, found := strings.CutSuffix(rec.Detail, source); found {
			answer += "; " + why
		}
		return nil
	})
	if err != nil || answer != "" {
		return report.Code(strings.TrimPrefix(answer, "; ")), true, err
	}
	e, err := cmd.Event(by, time.Now())
	var steps []life.Step
	if err == nil {
		_, steps, err = r.Keeper.Happen(ctx, rot.Installation, rot.Fingerprint, e, source)
	}
	var refusal life.Refusal
	if err != nil && !errors.As(err, &refusal) {
		return "", false, err
	}
	return report.Code(life.Answer(steps, err)), err == nil, nil
}

// maxTimeline is how many records a comment shows.
const maxTimeline = 50

// timeline is what has happened to a key, the last first to be left out.
func (r *Runner) timeline(ctx context.Context, rot *store.Rotation) (string, error) {
	var lines []string
	err := r.Store.Ledger(ctx, rot.Installation, rot.Fingerprint, func(rec store.Record) error {
		lines = append(lines, fmt.Sprintf("  - %s %s by %s: %s, %s", rec.At.UTC().Format("2006-01-02 15:04"), rec.Event, report.Code(rec.Actor), rec.To, report.Code(rec.Detail)))
		return nil
	})
	if n := len(lines) - maxTimeline; n > 0 {
		lines = append([]string{fmt.Sprintf("  - %d earlier ones are in the ledger", n)}, lines[n:]...)
	}
	return "what happened so far\n" + strings.Join(lines, "\n"), err
}

// answer reacts to a comment and replies to it, once.
func (r *Runner) answer(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event, answers []string, refused bool) error {
	reaction := "+1"
	if refused {
		reaction = "confused"
	}
	_, _, err := c.Reactions.CreateIssueCommentReaction(ctx, repo.Owner, repo.Name, e.Comment, reaction) // again, it is the same one
	if silent(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("react to comment %d: %w", e.Comment, err)
	}
	return r.say(ctx, c, repo, e.Number, "commands", fmt.Sprint(e.Comment), strings.Join(answers, "\n")+"\n")
}
