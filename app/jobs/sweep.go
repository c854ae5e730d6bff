package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
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
	if _, err := r.Store.ScrubUninstalled(ctx, r.Store.Now()); err != nil { // first: it must not wait for GitHub
		return err
	}
	since := redeliverFor
	if r.swept.Load() {
		since = redeliverEach
	}
	n, err := Redeliver(ctx, r.GitHub, r.Store.Now().Add(-since))
	if n > 0 {
		log.Info("GitHub was asked for deliveries again that had failed", "deliveries", n)
	}
	if errors.Is(err, errNotAgain) { // trying again does not help
		log.Error("GitHub does not send some deliveries again", "why", r.Guard.String(err.Error()))
		err = nil
	}
	switch {
	case err == nil:
		r.swept.Store(true)
	case ctx.Err() != nil:
		return err
	}
	return errors.Join(err, r.tidy(ctx, log)) // the rest does not wait for the deliveries; these are tried again soon
}

// tidy deletes what nobody needs any more, and wakes what waits.
func (r *Runner) tidy(ctx context.Context, log *slog.Logger) error {
	if _, err := r.Store.PruneScans(ctx, r.Store.Now().Add(-min(keepScans, r.Retention))); err != nil {
		return err
	}
	if err := r.Store.PruneDeaths(ctx); err != nil {
		return err
	}
	if n, err := r.Store.Prune(ctx, r.Store.Now().Add(-r.Retention)); err != nil {
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

// Redeliver asks GitHub to send the deliveries since oldest again that were never taken, and returns
// how many. What we refused as not understood is left: it would be again. One that GitHub does
// not send again does not keep the others from being asked for.
func Redeliver(ctx context.Context, app *github.App, oldest time.Time) (n int, err error) {
	seen := map[string]*tried{}
	var order []string
	whole, err := deliveries(ctx, app, "failure", oldest, maxPages, func(d *gh.HookDelivery) {
		t := seen[d.GetGUID()]
		if t == nil {
			t = &tried{last: d.GetID()}
			seen[d.GetGUID()] = t
			order = append(order, d.GetGUID())
		}
		t.times++
		t.first = d.GetDeliveredAt().Time
		t.taken = t.taken || taken(d.GetStatusCode())
	})
	if err != nil || len(order) == 0 {
		return 0, err
	}
	var bad, refused []error
	if !whole {
		bad = append(bad, fmt.Errorf("more than %d deliveries have failed: those before %s are not asked for", maxPages*perPage, seen[order[len(order)-1]].first.UTC().Format(time.DateTime)))
	}
	// Some were taken later. Of those that the list does not reach this is not known: they are
	// sent once more, and the queue drops what it has.
	if _, err := deliveries(ctx, app, "", seen[order[len(order)-1]].first, maxPages/10, func(d *gh.HookDelivery) {
		if t := seen[d.GetGUID()]; t != nil {
			t.taken = t.taken || taken(d.GetStatusCode())
		}
	}); err != nil {
		return 0, err
	}
	for i := len(order) - 1; i >= 0; i-- { // the oldest first, as they came
		t := seen[order[i]]
		if t.taken || t.times >= maxAttempts {
			continue
		}
		if _, _, err := app.Itself().Apps.RedeliverHookDelivery(ctx, t.last); err != nil && !accepted(err) {
			err = fmt.Errorf("ask for delivery %s again: %w", order[i], err)
			if _, wait := github.Wait(err); wait || ctx.Err() != nil {
				return n, err
			}
			if s := github.Status(err); s == http.StatusUnprocessableEntity || s == http.StatusBadRequest {
				refused = append(refused, err)
			} else {
				bad = append(bad, err)
			}
			continue
		}
		n++
	}
	if len(bad) == 0 && len(refused) > 0 {
		return n, fmt.Errorf("%w: %w", errNotAgain, someErrors(refused))
	}
	return n, someErrors(bad)
}

// errNotAgain says that GitHub refuses to send deliveries again.
var errNotAgain = errors.New("GitHub refuses to send them again")

// tried is what is known of a delivery.
type tried struct {
	last  int64 // id of the last try
	first time.Time
	taken bool
	times int
}

// taken reports whether a status says that a delivery was taken, or refused for good.
func taken(code int) bool {
	return code >= 200 && code < 300 || code == http.StatusBadRequest || code == http.StatusRequestEntityTooLarge
}

// perPage is how many deliveries a page has.
const perPage = 100

// deliveries calls each with the deliveries, the newest first, back to a time: all, or those
// with a status. It reports whether it got there within so many pages.
// https://docs.github.com/rest/apps/webhooks#list-deliveries-for-an-app-webhook
func deliveries(ctx context.Context, app *github.App, status string, oldest time.Time, pages int, each func(*gh.HookDelivery)) (whole bool, err error) {
	cursor := ""
	for range pages {
		query := url.Values{"per_page": {strconv.Itoa(perPage)}}
		if status != "" {
			query.Set("status", status)
		}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		req, err := app.Itself().NewRequest(http.MethodGet, "app/hook/deliveries?"+query.Encode(), nil)
		if err != nil {
			return false, err
		}
		var list []*gh.HookDelivery
		res, err := app.Itself().Do(ctx, req, &list)
		if err != nil {
			return false, fmt.Errorf("list GitHub's deliveries: %w", err)
		}
		for _, d := range list {
			if d.GetDeliveredAt().Before(oldest) {
				return true, nil
			}
			each(d)
		}
		if cursor = res.Cursor; cursor == "" {
			return true, nil
		}
	}
	return false, nil
}

// someErrors joins the first few errors, and counts the others.
func someErrors(list []error) error {
	const most = 3
	if more := len(list) - most; more > 0 {
		list = append(list[:most:most], fmt.Errorf("and %d more", more))
	}
	return errors.Join(list...)
}

// accepted reports whether an error only says that GitHub does it later.
func accepted(err error) bool {
	_, ok := err.(*gh.AcceptedError)
	return ok
}
