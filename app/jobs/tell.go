package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
)

// TellArgs tells GitHub what the store holds of an installation: check runs first, as
// somebody waits for them, then the issues.
type TellArgs struct {
	Installation int64 `json:"installation"`
}

// Kind names the job.
func (TellArgs) Kind() string { return "tell" }

// How long one job tells before others get their turn, and how long its booking holds
// without being renewed.
const (
	tellFor  = 20 * time.Second
	tellHold = 90 * time.Second
)

// tellSoon queues the telling for an installation.
func (r *Runner) tellSoon(ctx context.Context, installation int64) error {
	return r.insert(ctx, TellArgs{installation}, &river.InsertOpts{Queue: queueTell, Priority: 1})
}

// tell tells what there is to tell, until there is no more. If another job is at it, it
// will see what this one would: what is to be told was stored before either began.
func (r *Runner) tell(ctx context.Context, job *river.Job[TellArgs], log *slog.Logger) error {
	id := job.Args.Installation
	holder := store.Holder(r.Process, job.ID)
	ok, err := r.Store.Teller(ctx, id, holder, time.Now(), tellHold)
	if err != nil {
		return err
	}
	if !ok {
		if job.Attempt > 1 { // the booking may be our own, of a process that is gone
			return river.JobSnooze(3 * time.Second)
		}
		return nil
	}
	more, err := r.tellAll(ctx, id, holder, job.Attempt)
	if done := r.Store.TellerDone(context.WithoutCancel(ctx), id, holder); err == nil {
		err = done
	}
	if err != nil {
		return err
	}
	if !more { // what came after the last look has a job that found us at it
		if more, err = r.anything(ctx, id); err != nil {
			return err
		}
	}
	if more {
		return r.tellSoon(ctx, id)
	}
	return nil
}

// anything reports whether there is something to tell.
func (r *Runner) anything(ctx context.Context, installation int64) (bool, error) {
	scans, err := r.Store.Untold(ctx, installation, 1)
	if err != nil || len(scans) > 0 {
		return len(scans) > 0, err
	}
	stale, err := r.Store.Stale(ctx, installation, 1)
	return len(stale) > 0, err
}

// tellAll tells until there is nothing more or the time is up; then there is more.
func (r *Runner) tellAll(ctx context.Context, id int64, holder string, attempt int) (more bool, err error) {
	inst, err := r.Store.Installation(ctx, id)
	if err != nil {
		return false, err
	}
	if inst.Suspended {
		return false, github.ErrSuspended
	}
	c := r.GitHub.Installation(id)
	end := time.Now().Add(tellFor)
	for time.Now().Before(end) {
		if _, err := r.Store.Teller(ctx, id, holder, time.Now(), tellHold); err != nil {
			return false, err
		}
		scans, err := r.Store.Untold(ctx, id, 1)
		if err != nil {
			return false, err
		}
		if len(scans) > 0 {
			if err := r.publish(ctx, c, scans[0], attempt); err != nil {
				return false, err
			}
			continue
		}
		stale, err := r.Store.Stale(ctx, id, 1)
		if err != nil {
			return false, err
		}
		if len(stale) == 0 {
			return false, nil
		}
		if err := r.Keeper.Tell(ctx, c, inst, stale[0], holder); err != nil {
			return false, fmt.Errorf("key %.12s: %w", stale[0], err)
		}
	}
	return true, nil
}
