package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/store"
)

// givenUp says what becomes of a job that has failed for good with its process. It must not
// look as if it were still under way: its check fails, or its history is marked.
func (r *Runner) givenUp(ctx context.Context, job *store.Rescued) error {
	why := fmt.Sprintf("the process that ran it ended %d times", job.Deaths)
	if job.Deaths == 0 {
		why = "it was tried as often as allowed, and the database lost how it ended"
	}
	r.Log.Error("job failed for good", "job", job.ID, "kind", job.Kind, "deaths", job.Deaths, "why", why)
	switch job.Kind {
	case ScanArgs{}.Kind():
		var args ScanArgs
		if err := json.Unmarshal([]byte(job.Args), &args); err != nil {
			return fmt.Errorf("read the arguments of job %d: %w", job.ID, err)
		}
		s, err := r.Store.Scan(ctx, scanID(&args.Event))
		if errors.Is(err, store.ErrGone) || err == nil && s.Result != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.finish(ctx, s, r.notScanned(s, why)); err != nil {
			return err
		}
		return r.tellSoon(ctx, s.Installation)
	case TellArgs{}.Kind(): // its updates are still pending
		var args TellArgs
		if err := json.Unmarshal([]byte(job.Args), &args); err != nil {
			return fmt.Errorf("read the arguments of job %d: %w", job.ID, err)
		}
		return r.insert(ctx, args, &river.InsertOpts{Queue: queueTell, Priority: 1, ScheduledAt: r.Store.Now().Add(tellAfterDeaths)})
	case BackfillArgs{}.Kind():
		var args BackfillArgs
		if err := json.Unmarshal([]byte(job.Args), &args); err != nil {
			return fmt.Errorf("read the arguments of job %d: %w", job.ID, err)
		}
		repo, err := r.Store.Repository(ctx, args.Repository)
		if errors.Is(err, store.ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		// The other histories' keys have waited for this one.
		return errors.Join(r.Store.SetBackfill(ctx, args.Repository, "failed", why), r.triageSoon(ctx, repo.Installation))
	}
	return nil
}

// tellAfterDeaths is when another job tells what one did that processes died of.
const tellAfterDeaths = 10 * time.Second

// lostAfter is how long a job may be running by the database and not in the process that has
// it: the queue starts a job a moment after it took it, and writes its end some time later,
// above all when the database was not there.
const lostAfter = 30 * time.Second

// running knows the jobs that run in this process. The zero value is ready for use.
type running struct {
	mu   sync.Mutex
	jobs map[int64]int       // how often a job runs here
	lost map[int64]time.Time // since when a job has been missing
}

// begin notes that a job runs until the returned function is called.
func (r *running) begin(job int64) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.jobs == nil {
		r.jobs = map[int64]int{}
	}
	r.jobs[job]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.jobs[job]--; r.jobs[job] == 0 {
			delete(r.jobs, job)
		}
	}
}

// missing returns those of the jobs that this process should run that it has not run for
// lostAfter.
func (r *running) missing(jobs []store.Rescued, now time.Time) (out []store.Rescued) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lost := map[int64]time.Time{}
	for _, job := range jobs {
		if r.jobs[job.ID] > 0 {
			continue
		}
		since, known := r.lost[job.ID]
		if !known {
			since = now
		}
		lost[job.ID] = since
		if now.Sub(since) >= lostAfter {
			out = append(out, job)
		}
	}
	r.lost = lost
	return out
}

// requeueLost has jobs run again that the database gave to this process and that it does not
// run: nothing else would take them up while it lives.
func (r *Runner) requeueLost(ctx context.Context) error {
	jobs, err := r.Store.Running(ctx, r.Process)
	if err != nil {
		return err
	}
	requeued, err := r.Store.Requeue(ctx, r.running.missing(jobs, r.Store.Now()), r.givenUp)
	for i := range requeued {
		r.Log.Warn("job requeued: the queue lost it", "job", requeued[i].ID, "kind", requeued[i].Kind)
	}
	return err
}
