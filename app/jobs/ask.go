package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner"
)

// The buttons of a check run.
const (
	buttonNotKey = "not-a-key"
	buttonRotate = "open-rotation"
	buttonAck    = "ack"
)

// again scans a commit again whose check somebody asked for again.
func (r *Runner) again(ctx context.Context, job *river.Job[AgainArgs], log *slog.Logger) error {
	e := &job.Args.Event
	repo, err := r.see(ctx, e)
	if err != nil {
		return err
	}
	scans, err := r.Store.ScansOf(ctx, repo.ID, e.Head, e.CheckRun)
	if err != nil {
		return err
	}
	for _, s := range scans {
		if err := r.leased(ctx, s.ID, job.ID, func(s *store.Scan) error { return r.scanAgain(ctx, job, s, repo, log) }); err != nil {
			return err
		}
	}
	return nil
}

// scanAgain makes a scan again, unless it was begun again after this job was asked for: a
// second request for the same commit has been served by the first.
func (r *Runner) scanAgain(ctx context.Context, job *river.Job[AgainArgs], s *store.Scan, repo *store.Repository, log *slog.Logger) error {
	if s.State == store.ScanPublished {
		if s.Begun.After(job.CreatedAt) {
			return nil
		}
		if err := r.Store.AgainScan(ctx, s.ID, r.Store.Now()); err != nil {
			return err
		}
		var err error
		if s, err = r.Store.Scan(ctx, s.ID); err != nil {
			return err
		}
	}
	if s.State != store.ScanBegun { // its result is being told
		if r.Store.Now().Sub(job.CreatedAt) > time.Hour {
			return fmt.Errorf("scan again: the result of scan %s could not be told for an hour", s.ID)
		}
		return river.JobSnooze(scanSoon)
	}
	return r.rescan(ctx, s, repo, job.Attempt, log)
}

// button does what a button of a check says, if who pressed it may write to the
// repository. What counts is what they may do now, not what the event says.
func (r *Runner) button(ctx context.Context, job *river.Job[ButtonArgs], log *slog.Logger) error {
	e := &job.Args.Event
	if !r.authentic(e) {
		log.Warn("button ignored: the event is not one that GitHub sent")
		return errUnsigned
	}
	repo, err := r.see(ctx, e)
	if err != nil {
		return err
	}
	scans, err := r.Store.ScansOf(ctx, repo.ID, e.Head, e.CheckRun)
	if err != nil || len(scans) == 0 {
		return err
	}
	s := scans[0]
	if s.State != store.ScanPublished {
		return river.JobSnooze(scanSoon) // it is being told: the button was pressed on an older one
	}
	role, err := r.role(ctx, repo, senderOf(e))
	if err != nil {
		return err
	}
	if !life.MayWrite(role) {
		log.Info("button not honoured", "button", e.Button, "why", "who pressed it may not write to the repository")
		return nil
	}
	switch e.Button {
	case buttonRotate:
		for _, fp := range s.Result.Keys {
			if err := r.openKey(ctx, s.Installation, fp); err != nil {
				return err
			}
		}
		return r.tellSoon(ctx, s.Installation)
	case buttonAck:
		return r.ack(ctx, s, e, role)
	case buttonNotKey:
		return r.notKey(ctx, s, e, role)
	}
	return nil
}

// ack notes that somebody sees to the keys that a check found.
func (r *Runner) ack(ctx context.Context, s *store.Scan, e *webhook.Event, role string) error {
	for _, fp := range s.Result.Keys {
		c, err := r.Store.Credential(ctx, s.Installation, fp)
		if errors.Is(err, store.ErrGone) || err == nil && c.State != store.StateOpen {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := r.Keeper.Begin(ctx, c); err != nil {
			return err
		}
		_, _, err = r.Keeper.Happen(ctx, s.Installation, fp, life.Event{Kind: life.Ack, Actor: actor(e, role)}, store.Source{Kind: store.FromCheckRun})
		var refusal life.Refusal
		if err != nil && !errors.As(err, &refusal) { // it may be acknowledged already
			return err
		}
	}
	return r.tellSoon(ctx, s.Installation)
}

const scanSoon = 2 * time.Second

// senderOf is who caused an event.
func senderOf(e *webhook.Event) life.Person { return life.Person{Login: e.SenderLogin, ID: e.Sender} }

// actor is who caused an event, with what they may do.
func actor(e *webhook.Event, role string) life.Actor {
	return life.Actor{Login: e.SenderLogin, ID: e.Sender, Role: role}
}

// role is what somebody may do in a repository. GitHub is asked by login, which may be
// another account's by now: the answer has to be about the same account.
// https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
func (r *Runner) role(ctx context.Context, repo *store.Repository, who life.Person) (string, error) {
	if who.Login == "" || who.ID == 0 {
		return "none", nil
	}
	level, _, err := r.GitHub.Installation(repo.Installation).Repositories.GetPermissionLevel(ctx, repo.Owner, repo.Name, who.Login)
	if s := github.Status(err); s == http.StatusNotFound || s == http.StatusForbidden {
		return "none", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask what %s may do: %w", who.Login, err)
	}
	if level.GetUser().GetID() != who.ID {
		return "none", nil
	}
	return level.GetPermission(), nil
}

// openKey makes a key get its issue, if it has none.
func (r *Runner) openKey(ctx context.Context, installation int64, fp string) error {
	c, err := r.Store.Credential(ctx, installation, fp)
	if errors.Is(err, store.ErrGone) || err == nil && c.State == store.StateDismissed {
		return nil
	}
	if err != nil {
		return err
	}
	return r.Store.SetState(ctx, installation, fp, store.StateOpen, "")
}

// deny notes that somebody says that a key is none, and reports whether it counts as none
// now. For grave ones it takes two people: whoever presses the button second confirms what
// the first said. A grave key that nobody has to rotate yet counts as none for this check
// only, if who did not push it says so: who pushed it may be a friend, and the key may still
// come to a branch that everybody builds on. The person who pushed a grave
// one cannot be either of the two people.
func (r *Runner) deny(ctx context.Context, s *store.Scan, e *webhook.Event, c *store.Credential, role string) (bool, error) {
	if c.State != store.StateOpen {
		if c.State != store.StateDismissed && c.Severity.AtLeast(scanner.High) {
			return e.Sender != s.Sender, nil
		}
	} else if e.Sender == s.Sender && c.Severity.AtLeast(scanner.High) {
		return false, nil // the person who pushed it does not count
	}
	role, err := r.roleOf(ctx, c, e, role)
	if err != nil || !life.MayWrite(role) {
		return false, err
	}
	l, err := r.Keeper.Begin(ctx, c)
	if err != nil {
		return false, err
	}
	if l.State == life.FalsePositive {
		return true, nil
	}
	what := life.Event{Kind: life.Deny, Text: "by the button of a check", Actor: actor(e, role)}
	now := r.Keeper.Time()
	said := l.ProposedBy(senderOf(e), now)
	if l.Proposed(now) != nil && !said {
		what.Kind = life.Confirm
	}
	if !said { // who presses twice has said so already
		if l, _, err = r.Keeper.Happen(ctx, s.Installation, c.Fingerprint, what, store.Source{Kind: store.FromCheckRun}); err != nil {
			var refusal life.Refusal
			if errors.As(err, &refusal) {
				return false, nil
			}
			return false, err
		}
	}
	return l.State == life.FalsePositive, nil
}

// roleOf is the role of the person who pressed a button, where the issue of a key is, if it has one:
// what is said of it holds in all repositories, also in those where they may do nothing.
func (r *Runner) roleOf(ctx context.Context, c *store.Credential, e *webhook.Event, here string) (string, error) {
	rot, err := r.Store.Rotation(ctx, c.Installation, c.Fingerprint)
	if errors.Is(err, store.ErrGone) || err == nil && rot.Number == 0 {
		return here, nil
	}
	if err != nil {
		return "", err
	}
	return r.roleAbove(ctx, rot, senderOf(e))
}

// notKey notes that what a check found is no key, says who pressed its button.
func (r *Runner) notKey(ctx context.Context, s *store.Scan, e *webhook.Event, role string) error {
	if ok, err := r.proved(s); err != nil {
		return err
	} else if !ok { // what publishes it has the commit scanned again
		return errors.Join(r.Store.FinishScan(ctx, s, s.Result), r.tellSoon(ctx, s.Installation))
	}
	if len(s.Result.Keys) == 0 {
		return nil
	}
	result := *s.Result
	var left []string
	grave := false
	for _, fp := range s.Result.Keys {
		c, err := r.Store.Credential(ctx, s.Installation, fp)
		if errors.Is(err, store.ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		ok, err := r.deny(ctx, s, e, c, role)
		if err != nil {
			return err
		}
		if !ok {
			grave = true
			left = append(left, fp)
		}
	}
	who := "`" + e.SenderLogin + "`"
	switch {
	case grave:
		result.Note = "> " + who + " says that this is no key. For critical and high ones somebody else has to say so, too: by the same button, or `/confirm` in the issue."
	case result.Rest == "failure":
		result.Title = titleIncomplete
		result.Note = "> " + who + " says that this is no key: it is not counted any more. What was not scanned is."
	default:
		result.Conclusion, result.Title = "neutral", "No key, says "+e.SenderLogin
		result.Note = "> " + who + " says that this is no key: it is not counted any more."
	}
	result.Keys = left
	if err := r.finish(ctx, s, &result); err != nil {
		return err
	}
	return r.tellSoon(ctx, s.Installation)
}
