package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
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
	ok, err := r.Store.Teller(ctx, id, holder, r.Store.Now(), tellHold)
	if err != nil {
		return err
	}
	if !ok {
		if job.Attempt > 1 { // the booking may be our own, of a process that is gone
			return river.JobSnooze(3 * time.Second)
		}
		return nil
	}
	done := func() error { return r.Store.TellerDone(context.WithoutCancel(ctx), id, holder) }
	failed := map[string]error{}
	more, err := r.tellAll(ctx, id, holder, job.Attempt, failed)
	if err := errors.Join(err, done()); err != nil {
		return err
	}
	if len(failed) < maxFailed && !more { // what came after the last look has a job that found us at it
		if next, err := r.next(ctx, id, failed); err != nil || next == nil {
			return errors.Join(append(slices.Collect(maps.Values(failed)), err)...)
		}
		more = true
	}
	err = errors.Join(slices.Collect(maps.Values(failed))...)
	if more {
		err = errors.Join(err, r.tellSoon(ctx, id))
	}
	return err
}

// an untold is something to tell: a scan's result, or what is known of a key.
type untold struct {
	name string // by which it is known in what failed
	scan *store.Scan
	key  string
}

// next returns what is to be told next, scans before keys and the oldest first, without
// what failed; nil if there is nothing. What can not be told must not keep the rest
// from being told.
func (r *Runner) next(ctx context.Context, installation int64, failed map[string]error) (*untold, error) {
	scans, err := r.Store.Untold(ctx, installation, len(failed)+1)
	if err != nil {
		return nil, err
	}
	for _, s := range scans {
		if u := (untold{name: "scan " + s.ID, scan: s}); failed[u.name] == nil {
			return &u, nil
		}
	}
	stale, err := r.Store.Stale(ctx, installation, len(failed)+1)
	if err != nil {
		return nil, err
	}
	for _, key := range stale {
		if u := (untold{name: "key " + key[:min(12, len(key))], key: key}); failed[u.name] == nil {
			return &u, nil
		}
	}
	return nil, nil
}

// anything reports whether there is something to tell.
func (r *Runner) anything(ctx context.Context, installation int64) (bool, error) {
	u, err := r.next(ctx, installation, nil)
	return u != nil, err
}

// maxFailed is after how many failures the rest is left for the next time: then it is
// not one check or issue that is the matter.
const maxFailed = 20

// tellAll tells until there is nothing more or the time is up; then there is more. What
// can not be told it adds to failed.
func (r *Runner) tellAll(ctx context.Context, id int64, holder string, attempt int, failed map[string]error) (more bool, err error) {
	inst, err := r.Store.Installation(ctx, id)
	if err != nil {
		return false, err
	}
	if inst.Suspended {
		return false, github.ErrSuspended
	}
	c := r.GitHub.Installation(id)
	end := r.Store.Now().Add(tellFor)
	for r.Store.Now().Before(end) && len(failed) < maxFailed {
		if _, err := r.Store.Teller(ctx, id, holder, r.Store.Now(), tellHold); err != nil {
			return false, err
		}
		u, err := r.next(ctx, id, failed)
		if err == nil && u == nil {
			err = r.Keeper.Dashboard(ctx, c, inst, holder, false)
		}
		if err != nil || u == nil {
			return false, err
		}
		if err := r.tellOne(ctx, c, inst, u, holder, attempt); err != nil {
			if _, wait := github.Wait(err); wait || ctx.Err() != nil || errors.Is(err, github.ErrSuspended) || errors.Is(err, github.ErrUninstalled) {
				return false, err
			}
			if errors.Is(err, store.ErrGone) { // it, not the installation
				err = errors.New(err.Error())
			}
			failed[u.name] = fmt.Errorf("%s: %w", u.name, err)
		}
	}
	return len(failed) < maxFailed, nil
}

// tellOne tells one thing. A panic is an error, so that the rest is told.
func (r *Runner) tellOne(ctx context.Context, c *github.Client, inst *store.Installation, u *untold, holder string, attempt int) (err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("panic at %s", debug.Stack())
		}
	}()
	if u.scan != nil {
		return r.publish(ctx, c, u.scan, attempt)
	}
	behind := r.alertsOf(ctx, c, inst.ID, u.key) // before the issue, which is what is looked at to see that all is told
	err = r.Keeper.Tell(ctx, c, inst, u.key, holder)
	if err == nil && behind != nil { // they are not brought up to date again before more happens
		return errors.Join(behind, r.Store.Restale(ctx, inst.ID, u.key))
	}
	return errors.Join(behind, err)
}
