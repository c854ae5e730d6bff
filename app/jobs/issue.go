package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
)

// issue takes note of what somebody did to the issue of a key by hand: closed it, opened
// it again, or gave it to somebody.
func (r *Runner) issue(ctx context.Context, job *river.Job[IssueArgs], log *slog.Logger) error {
	e := &job.Args.Event
	repo, err := r.see(ctx, e)
	if err != nil {
		return err
	}
	rot, err := r.Store.RotationAt(ctx, e.Installation, e.Repo.ID, repo.FullName(), e.Number)
	if errors.Is(err, store.ErrGone) {
		return nil // not an issue of ours
	}
	if err != nil {
		return err
	}
	if _, isPart := rot.KeyOf(); isPart {
		return nil // that it is out of one repository says nothing of the key
	}
	by := actor(e, "")
	kind := map[string]life.Kind{"closed": life.Close, "reopened": life.Reopen, "assigned": life.Ack}[e.Action]
	if kind == life.Ack {
		if by.Role, err = r.role(ctx, repo, senderOf(e)); err != nil {
			return err
		}
	}
	if err := r.once(ctx, rot, life.Event{Kind: kind, Actor: by}, fmt.Sprintf(" (%s, delivery %s)", e.Action, e.Delivery)); err != nil {
		return err
	}
	log.Info("issue changed by hand", "key", rot.Fingerprint[:12], "number", e.Number, "action", e.Action)
	return r.tellSoon(ctx, e.Installation)
}

// once lets an event happen that nobody waits for an answer to, unless the ledger says
// that it did. If it is refused nothing happens.
func (r *Runner) once(ctx context.Context, rot *store.Rotation, e life.Event, source string) error {
	done, err := r.happened(ctx, rot, source)
	if err != nil || done != "" {
		return err
	}
	_, _, err = r.Keeper.Happen(ctx, rot.Installation, rot.Fingerprint, e, source)
	var refusal life.Refusal
	if errors.As(err, &refusal) {
		return nil
	}
	return err
}

// happened returns what the ledger says of the events of a source, "" if nothing.
func (r *Runner) happened(ctx context.Context, rot *store.Rotation, source string) (what string, err error) {
	err = r.Store.Ledger(ctx, rot.Installation, rot.Fingerprint, func(rec store.Record) error {
		if why, found := strings.CutSuffix(rec.Detail, source); found {
			if rec.From != rec.To {
				why = rec.From + " -> " + rec.To + ", " + why
			}
			what += "; " + why
		}
		return nil
	})
	return strings.TrimPrefix(what, "; "), err
}
