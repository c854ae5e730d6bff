package jobs

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
)

// issue takes note of what somebody did to the issue of a key by hand: closed it, opened
// it again, or gave it to somebody.
func (r *Runner) issue(ctx context.Context, job *river.Job[IssueArgs], log *slog.Logger) error {
	e := &job.Args.Event
	if !r.authentic(e) {
		log.Warn("event ignored: it is not one that GitHub sent")
		return errUnsigned
	}
	repo, err := r.see(ctx, e)
	if err != nil {
		return err
	}
	rot, err := r.ourIssue(ctx, r.GitHub.Installation(e.Installation), repo, e)
	if err != nil || rot == nil {
		return err
	}
	if rot.Kind == store.IssueSub {
		return nil // that it is out of one repository says nothing of the key
	}
	by := actor(e, "")
	kind := map[string]life.Kind{"closed": life.Close, "reopened": life.Reopen, "assigned": life.Ack}[e.Action]
	if kind == life.Ack {
		if by.Role, err = r.role(ctx, repo, senderOf(e)); err != nil {
			return err
		}
	}
	if err := r.once(ctx, rot, life.Event{Kind: kind, Actor: by}, store.Source{Kind: store.SourceKind(e.Action), ID: e.Delivery}); err != nil {
		return err
	}
	log.Info("issue changed by hand", "key", rot.Fingerprint[:12], "number", e.Number, "action", e.Action)
	return r.tellSoon(ctx, e.Installation)
}

// ourIssue returns what is known of the issue that an event is about, nil if it is not one
// that Keyward opened: what the database says of its number is not enough.
func (r *Runner) ourIssue(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event) (*store.Rotation, error) {
	rot, err := r.Store.RotationAt(ctx, e.Installation, e.Repo.ID, repo.FullName(), e.Number)
	if errors.Is(err, store.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	at := *rot
	at.Repository = repo.FullName() // it may have been renamed since
	ours, err := r.Keeper.Owns(ctx, c, &at)
	if s := github.Status(err); s == http.StatusNotFound || s == http.StatusGone {
		return nil, nil // deleted in the meantime
	}
	if err != nil {
		return nil, err
	}
	if !ours {
		r.Log.Warn("event ignored: the issue is not the one that Keyward opened", "key", rot.Fingerprint[:12], "repository", repo.ID, "number", e.Number)
		return nil, nil
	}
	return rot, nil
}

// once lets an event happen that nobody waits for an answer to, unless the ledger says
// that it did. If it is refused nothing happens.
func (r *Runner) once(ctx context.Context, rot *store.Rotation, e life.Event, source store.Source) error {
	_, _, err := r.happenOnce(ctx, rot, e, source)
	var refusal life.Refusal
	if errors.As(err, &refusal) {
		return nil
	}
	return err
}

// happenOnce lets an event happen whose source stands for something that happens once. If the
// ledger has it already, done is what it says of it.
func (r *Runner) happenOnce(ctx context.Context, rot *store.Rotation, e life.Event, source store.Source) (done string, steps []life.Step, err error) {
	if done, err = r.happened(ctx, rot, source); err != nil || done != "" {
		return done, nil, err
	}
	_, steps, err = r.Keeper.Happen(ctx, rot.Installation, rot.Fingerprint, e, source)
	if errors.Is(err, store.ErrHappened) { // another process was quicker
		done, err = r.happened(ctx, rot, source)
	}
	return done, steps, err
}

// happened returns what the ledger says of the events of a source, "" if nothing.
func (r *Runner) happened(ctx context.Context, rot *store.Rotation, source store.Source) (what string, err error) {
	err = r.Store.Ledger(ctx, rot.Installation, rot.Fingerprint, func(rec store.Record) error {
		if rec.Of(source) {
			why := strings.TrimSuffix(rec.Detail, source.Suffix())
			if rec.From != rec.To {
				why = rec.From + " -> " + rec.To + ", " + why
			}
			what += "; " + why
		}
		return nil
	})
	return strings.TrimPrefix(what, "; "), err
}
