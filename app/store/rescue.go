package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// QueueQuarantine has one worker: it runs the jobs that processes died of.
const QueueQuarantine = "quarantine"

// How often a process may die while it runs a job before the job runs in quarantine, and
// before it has failed for good. A kill that has nothing to do with the job counts as well,
// so that both are more than one.
const (
	deathsToQuarantine = 3
	deathsToFail       = 8
)

// waitAfter is how long a job waits in quarantine that so many processes died of: twice as
// long after each. Processes that are killed again and again for another reason, as in a bad
// rollout, do not use up the attempts of a job within seconds.
func waitAfter(deaths int, unit time.Duration) time.Duration {
	return unit << min(max(deaths-deathsToQuarantine, 0), deathsToFail)
}

// A Rescued job is running by the database, and no process runs it.
type Rescued struct {
	ID     int64
	Kind   string
	Args   string // JSON
	Deaths int    // of processes that ran it
	Failed bool   // it will not be run any more

	attempt, most int
}

// Rescue takes the jobs over that processes run which are not alive, and their bookings. The
// queue would do so by itself only after its longest job could have ended. A job that
// processes keep dying of goes to the quarantine queue, and then fails for good, as one does
// that was tried as often as allowed. failing is told of such a job before the queue gives it
// up, so that nobody has to remember it; it may be told of one again. In quarantine a job
// waits before it runs: for wait at first, then for twice as long each time.
func (s *Store) Rescue(ctx context.Context, alive []string, wait time.Duration, failing func(context.Context, *Rescued) error) (out []Rescued, err error) {
	if len(alive) == 0 {
		return nil, nil
	}
	if err := s.unbook(ctx, alive); err != nil {
		return nil, fmt.Errorf("take bookings from processes that are gone: %w", err)
	}
	args := make([]any, len(alive))
	for i, id := range alive {
		args[i] = id
	}
	orphans, err := s.runningJobs(ctx, "NOT IN ("+marks(len(alive))+")", args...)
	if err != nil {
		return nil, fmt.Errorf("read jobs of processes that are gone: %w", err)
	}
	for i := range orphans {
		orphans[i].Deaths++
	}
	return s.takeOver(ctx, orphans, wait, failing)
}

// Running returns the jobs that a process runs, by the database.
func (s *Store) Running(ctx context.Context, process string) ([]Rescued, error) {
	out, err := s.runningJobs(ctx, "= ?", process)
	if err != nil {
		return nil, fmt.Errorf("read jobs of this process: %w", err)
	}
	return out, nil
}

// Requeue takes over jobs that the process that runs them does not know of: the answer of the
// database that gave them to it was lost, or it could not write that they ended. They are run
// again, or given up as by Rescue.
func (s *Store) Requeue(ctx context.Context, lost []Rescued, failing func(context.Context, *Rescued) error) ([]Rescued, error) {
	return s.takeOver(ctx, lost, 0, failing)
}

// takeOver puts jobs back, or gives them up. It returns those that no other process took.
func (s *Store) takeOver(ctx context.Context, jobs []Rescued, wait time.Duration, failing func(context.Context, *Rescued) error) (out []Rescued, err error) {
	for _, job := range jobs {
		if job.Failed = job.Deaths >= deathsToFail || job.attempt >= job.most; job.Failed {
			if err := failing(ctx, &job); err != nil {
				return out, fmt.Errorf("give up job %d: %w", job.ID, err)
			}
		}
		taken, err := s.rescue(ctx, &job, wait)
		if err != nil {
			return out, fmt.Errorf("take over job %d: %w", job.ID, err)
		}
		if taken {
			out = append(out, job)
		}
	}
	return out, nil
}

// runningJobs returns the jobs that are running, by the database, in a process that meets a
// condition.
func (s *Store) runningJobs(ctx context.Context, process string, args ...any) (out []Rescued, err error) {
	last, text := "json_extract(j.attempted_by, '$[#-1]')", "json(j.args)"
	if s.Pool != nil {
		last, text = "j.attempted_by[array_upper(j.attempted_by, 1)]", "CAST(j.args AS TEXT)"
	}
	err = s.rows(ctx, func(r *sql.Rows) error {
		var o Rescued
		err := r.Scan(&o.ID, &o.Kind, &o.Args, &o.attempt, &o.most, &o.Deaths)
		out = append(out, o)
		return err
	}, "SELECT j.id, j.kind, "+text+", j.attempt, j.max_attempts, coalesce(d.deaths, 0) FROM river_job j LEFT JOIN job_death d ON d.job = j.id WHERE j.state = 'running' AND coalesce("+last+", '') "+process, args...)
	return out, err
}

// rescue takes one job over, unless another process has done so.
func (s *Store) rescue(ctx context.Context, o *Rescued, wait time.Duration) (taken bool, err error) {
	set, args := "state = 'available', scheduled_at = "+s.queueNow(), []any{}
	switch {
	case o.Failed:
		set = "state = 'discarded', finalized_at = " + s.queueNow()
	case o.Deaths >= deathsToQuarantine:
		set = "state = 'available', scheduled_at = " + s.queueAfter() + ", queue = ?"
		args = append(args, waitAfter(o.Deaths, wait).Seconds(), QueueQuarantine)
	}
	err = s.tx(ctx, func(tx *tx) error {
		n, err := tx.exec("UPDATE river_job SET "+set+" WHERE id = ? AND state = 'running' AND attempt = ?", append(args, o.ID, o.attempt)...)
		if taken = n == 1; err != nil || !taken {
			return err
		}
		_, err = tx.exec("INSERT INTO job_death (job, deaths) VALUES (?, ?) ON CONFLICT (job) DO UPDATE SET deaths = excluded.deaths", o.ID, o.Deaths)
		return err
	})
	return taken, err
}

// unbook gives back what processes booked that are not alive.
func (s *Store) unbook(ctx context.Context, alive []string) error {
	for _, b := range []struct{ read, give string }{
		{"SELECT DISTINCT teller FROM installation WHERE teller <> ''", "UPDATE installation SET teller = '', teller_until = 0 WHERE teller = ?"},
		{"SELECT DISTINCT holder FROM rotation WHERE holder <> ''", "UPDATE rotation SET holder = '', held_until = 0 WHERE holder = ?"},
		{"SELECT DISTINCT holder FROM scan WHERE holder <> ''", "UPDATE scan SET holder = '', held_until = 0 WHERE holder = ?"},
	} {
		var gone []string
		err := s.rows(ctx, func(r *sql.Rows) error {
			var holder string
			err := r.Scan(&holder)
			if process, _, _ := strings.Cut(holder, "/"); !slices.Contains(alive, process) {
				gone = append(gone, holder)
			}
			return err
		}, b.read)
		if err != nil {
			return err
		}
		for _, holder := range gone {
			if _, err := s.exec(ctx, b.give, holder); err != nil {
				return err
			}
		}
	}
	return nil
}

// PruneDeaths forgets the jobs that the queue has forgotten.
func (s *Store) PruneDeaths(ctx context.Context) error {
	if _, err := s.exec(ctx, "DELETE FROM job_death WHERE job NOT IN (SELECT id FROM river_job)"); err != nil {
		return fmt.Errorf("prune the deaths of jobs: %w", err)
	}
	return nil
}
