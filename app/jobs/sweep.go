package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
)

// SweepArgs asks GitHub for the deliveries that failed, and cleans up.
type SweepArgs struct{}

// Kind names the job.
func (SweepArgs) Kind() string { return "sweep" }

// InsertOpts puts it with the other housekeeping.
func (SweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueAdmin, Priority: 2}
}

// GitHub sends a delivery again for three days. It never does so by itself.
// https://docs.github.com/webhooks/using-webhooks/handling-failed-webhook-deliveries
const (
	redeliverFor  = 3 * 24 * time.Hour
	maxAttempts   = 100           // more than there are hourly sweeps in that time
	maxPages      = 2000          // requests that one look at the deliveries may cost
	redeliverEach = 3 * time.Hour // how far back the hourly looks go after the first
	keepScans     = 90 * 24 * time.Hour
)

func (r *Runner) sweep(ctx context.Context, _ *river.Job[SweepArgs], log *slog.Logger) error {
	if _, err := r.Store.ScrubUninstalled(ctx, time.Now()); err != nil { // first: it must not wait for GitHub
		return err
	}
	since := redeliverFor
	if r.swept.Load() {
		since = redeliverEach
	}
	n, err := Redeliver(ctx, r.GitHub, since)
	if n > 0 {
		log.Info("GitHub was asked for deliveries again that had failed", "deliveries", n)
	}
	if err != nil {
		return err
	}
	r.swept.Store(true)
	if _, err := r.Store.PruneScans(ctx, time.Now().Add(-min(keepScans, r.Retention))); err != nil {
		return err
	}
	if err := r.Store.PruneDeaths(ctx); err != nil {
		return err
	}
	if n, err := r.Store.Prune(ctx, time.Now().Add(-r.Retention)); err != nil {
		return err
	} else if n > 0 {
		log.Info("old findings deleted", "rows", n, "older_than", r.Retention.String())
	}
	all, err := r.Store.Installations(ctx)
	if err != nil {
		return err
	}
	for _, inst := range all {
		if err := r.Store.Retry(ctx, inst.ID); err != nil { // what was in the way of an issue may be gone
			return err
		}
		if more, err := r.anything(ctx, inst.ID); err != nil {
			return err
		} else if more && !inst.Suspended {
			if err := r.tellSoon(ctx, inst.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Redeliver asks GitHub to send the deliveries again that were never taken, and returns
// how many. What we refused as not understood is left: it would be again.
func Redeliver(ctx context.Context, app *github.App, since time.Duration) (int, error) {
	type tried struct {
		last  int64
		taken bool
		times int
	}
	seen := map[string]*tried{}
	var order []string
	opt := &gh.ListCursorOptions{PerPage: 100}
	oldest := time.Now().Add(-since)
pages:
	for range maxPages {
		list, res, err := app.Itself().Apps.ListHookDeliveries(ctx, opt)
		if err != nil {
			return 0, fmt.Errorf("list GitHub's deliveries: %w", err)
		}
		for _, d := range list { // the newest first
			if d.GetDeliveredAt().Before(oldest) {
				break pages
			}
			t := seen[d.GetGUID()]
			if t == nil {
				t = &tried{last: d.GetID()}
				seen[d.GetGUID()] = t
				order = append(order, d.GetGUID())
			}
			t.times++
			code := d.GetStatusCode()
			t.taken = t.taken || code >= 200 && code < 300 || code == http.StatusBadRequest || code == http.StatusRequestEntityTooLarge
		}
		if res.Cursor == "" {
			break
		}
		opt.Cursor = res.Cursor
	}
	n := 0
	for i := len(order) - 1; i >= 0; i-- { // the oldest first, as they came
		t := seen[order[i]]
		if t.taken || t.times >= maxAttempts {
			continue
		}
		if _, _, err := app.Itself().Apps.RedeliverHookDelivery(ctx, t.last); err != nil && !accepted(err) {
			return n, fmt.Errorf("ask for delivery %s again: %w", order[i], err)
		}
		n++
	}
	return n, nil
}

// accepted reports whether an error only says that GitHub does it later.
func accepted(err error) bool {
	_, ok := err.(*gh.AcceptedError)
	return ok
}
