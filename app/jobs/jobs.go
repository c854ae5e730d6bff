// Package jobs is what the App does, one kind of job in a file: scan what an event
// brought, tell GitHub of it, scan a history, look at a comment, take note of an
// installation. River is the queue; jobs carry identities and hashes, never contents.
//
// # Repeating
//
// A process may be killed at any point, and an answer of GitHub be lost. Each job can
// therefore be run again from its start: what it did is in the store under a name
// that follows from the event, and what it asked GitHub for is looked up before it is
// asked for again. Nothing that people see is done twice.
//
// # Writing
//
// Scans do not write to GitHub, but for the check run in progress if that can be
// made at once. What is to be told stands in the store, and one job at a time tells
// it for each installation, at the pace that GitHub asks for. So no worker waits
// behind another's writes, and an installation with much to tell holds no other up.
package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner/guard"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/verify"
)

// Config is what the jobs work with.
type Config struct {
	Store   *store.Store
	GitHub  *github.App
	Engine  *scan.Engine
	Keeper  *rotation.Keeper
	Guard   *guard.Guard
	Log     *slog.Logger
	Process string // unique name of this process
	Workers int    // how many scans run at once
	First   int    // how many keys of a first history get their issues at once
	// Alone says that no other process uses the database: what was under way when this
	// one starts was left by one that is gone.
	Alone bool
	// Beat is how often a process says that it is alive; 0 means 3 seconds. One that
	// is silent for five beats counts as gone.
	Beat time.Duration
	// Timeout is how long one scan may take; 0 means 15 minutes.
	Timeout time.Duration
	// Verifier asks providers whether keys are alive; nil asks nobody.
	Verifier *verify.Verifier
	// Revoking says which keys may be ended by their providers.
	Revoking Revoking
	// Watch is how often it is looked what time has changed; 0 means a minute.
	Watch time.Duration
	// ObserveOnly says that checks of all repositories end neutral where they would fail.
	ObserveOnly policy.Observe
	// Retention is how long findings without an issue are kept; 0 means 400 days.
	Retention time.Duration
	// Observe is told of every job that ends; may be nil.
	Observe func(kind, outcome string, took time.Duration)
}

// queue is what is used of River, whatever the database.
type queue interface {
	Insert(context.Context, river.JobArgs, *river.InsertOpts) (*rivertype.JobInsertResult, error)
	InsertMany(context.Context, []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	Start(context.Context) error
	Stop(context.Context) error
	StopAndCancel(context.Context) error
}

// A Runner takes events in and works on them. It is safe for concurrent use.
type Runner struct {
	Config
	queue     queue
	policies  *lru.Cache[int64, orgPolicy] // by installation
	rush      *rush
	shares    *shares
	histories *shares // of the workers for histories
	running   running
	swept     atomic.Bool // this process has checked all of GitHub's deliveries once
	stop      context.CancelFunc
	beats     sync.WaitGroup // of what goes on until it is stopped
}

// The queues. Scans of events are in one, in the order of fair.go; the lanes are those of
// the release before, which may still have jobs in them.
const (
	lanes         = 4
	queueScan     = "scan"
	queueTell     = "tell"
	queueAdmin    = "admin"
	queueBackfill = "backfill"
	queueLook     = "look"
)

// underWay are the states of jobs that are not done.
var underWay = []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled}

// The times after which jobs are stopped. Those that a process left that is gone are
// taken up within seconds; rescueAfter is for those that hang.
const (
	backfillTimeout = 2 * time.Hour
	writeTimeout    = 30 * time.Second // for noting that another time was up
	rescueAfter     = 3 * time.Hour
	// keepCompleted is how long a job's delivery is remembered: GitHub redelivers what is
	// up to three days old.
	keepCompleted = 4 * 24 * time.Hour
)

// New returns a runner that is not started. A runner that is never started takes events
// all the same.
func New(cfg Config) (*Runner, error) {
	if cfg.Beat <= 0 {
		cfg.Beat = 3 * time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 15 * time.Minute
	}
	if cfg.Retention <= 0 {
		cfg.Retention = 400 * 24 * time.Hour
	}
	if cfg.Watch <= 0 {
		cfg.Watch = time.Minute
	}
	r := &Runner{Config: cfg, rush: newRush(), shares: newShares(2 * max(1, cfg.Workers)), histories: newShares(histories(cfg.Workers))}
	var err error
	if r.policies, err = lru.New[int64, orgPolicy](1000); err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	for _, err := range []error{
		add(r, workers, cfg.Timeout, shared(r, r.scan)), add(r, workers, cfg.Timeout, shared(r, r.text)), add(r, workers, cfg.Timeout, shared(r, r.writing)), add(r, workers, cfg.Timeout, shared(r, r.wiki)), add(r, workers, cfg.Timeout, shared(r, r.again)), add(r, workers, time.Minute, shared(r, r.button)),
		add(r, workers, 5*time.Minute, r.tell), add(r, workers, 10*time.Minute, r.installation), add(r, workers, 10*time.Minute, r.repository), add(r, workers, time.Minute, r.member),
		add(r, workers, backfillTimeout, r.history), add(r, workers, 10*time.Minute, r.triage), add(r, workers, 10*time.Minute, r.sweep),
		add(r, workers, 10*time.Minute, r.look), add(r, workers, time.Minute, shared(r, r.issue)), add(r, workers, 10*time.Minute, r.end),
	} {
		if err != nil {
			return nil, err
		}
	}
	queues := map[string]river.QueueConfig{queueTell: {MaxWorkers: 4 * cfg.Workers}, queueAdmin: {MaxWorkers: 2}, queueLook: {MaxWorkers: max(1, cfg.Workers/2)}, queueBackfill: {MaxWorkers: histories(cfg.Workers)}}
	queues[queueScan], queues[store.QueueQuarantine] = river.QueueConfig{MaxWorkers: 2 * max(1, cfg.Workers)}, river.QueueConfig{MaxWorkers: 1}
	for i := range lanes {
		queues[fmt.Sprintf("scan_%d", i)] = river.QueueConfig{MaxWorkers: 1}
	}
	rc := &river.Config{
		ID: cfg.Process, Queues: queues, Workers: workers, Logger: slog.New(quiet{cfg.Log.Handler()}), ErrorHandler: r, MaxAttempts: 25, RetryPolicy: backoff{cfg.Store.Now},
		FetchCooldown: 20 * time.Millisecond, FetchPollInterval: 500 * time.Millisecond, RescueStuckJobsAfter: max(rescueAfter, cfg.Timeout+time.Hour), JobTimeout: cfg.Timeout,
		CompletedJobRetentionPeriod: keepCompleted, CancelledJobRetentionPeriod: 30 * 24 * time.Hour, DiscardedJobRetentionPeriod: 30 * 24 * time.Hour,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(time.Hour), func() (river.JobArgs, *river.InsertOpts) {
			return SweepArgs{}, nil
		}, &river.PeriodicJobOpts{ID: "sweep", RunOnStart: true})},
	}
	if cfg.Store.Pool != nil {
		r.queue, err = river.NewClient[pgx.Tx](riverpgxv5.New(cfg.Store.Pool), rc)
	} else {
		r.queue, err = river.NewClient[*sql.Tx](riversqlite.New(cfg.Store.DB), rc)
	}
	if err != nil {
		return nil, fmt.Errorf("make the queue: %w", err)
	}
	return r, nil
}

// Start begins to work. Jobs that were under way in processes that are gone are taken
// up again.
func (r *Runner) Start(ctx context.Context) error {
	if err := r.beat(ctx, r.Alone); err != nil {
		return fmt.Errorf("start the queue: %w", err)
	}
	if err := r.queue.Start(ctx); err != nil {
		return fmt.Errorf("start the queue: %w", err)
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.beats.Add(2)
	go r.live(ctx)
	go r.watching(ctx)
	return nil
}

// Stop takes no more jobs, and waits for those under way until ctx ends. Then they are
// cut off: they are run again by whoever comes next.
func (r *Runner) Stop(ctx context.Context) error {
	err := r.queue.Stop(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		cut, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = r.queue.StopAndCancel(cut)
	}
	if r.stop != nil {
		r.stop()
		r.beats.Wait()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, r.Store.Leave(end, r.Process))
}

// live says that this process is alive, and takes up the jobs of those that are not.
func (r *Runner) live(ctx context.Context) {
	defer r.beats.Done()
	tick := time.NewTicker(r.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.beat(ctx, false); err != nil && ctx.Err() == nil {
				r.Log.Error("cannot say that this process is alive", "why", err.Error())
			}
		}
	}
}

// watching lets time go by for keys.
func (r *Runner) watching(ctx context.Context) {
	defer r.beats.Done()
	tick := time.NewTicker(r.Watch)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.watch(ctx); err != nil && ctx.Err() == nil {
				r.Log.Error("cannot look what time has changed", "why", r.Guard.String(err.Error()))
			}
		}
	}
}

func (r *Runner) beat(ctx context.Context, alone bool) error {
	silent := 5 * r.Beat
	if alone {
		silent = -time.Hour // whoever was there before is gone
	}
	alive, err := r.Store.Alive(ctx, r.Process, silent)
	if err != nil {
		return err
	}
	rescued, err := r.Store.Rescue(ctx, alive, 5*r.Beat, r.givenUp)
	for i := range rescued {
		if job := &rescued[i]; !job.Failed {
			r.Log.Warn("job taken over from a process that is gone", "job", job.ID, "kind", job.Kind, "deaths", job.Deaths)
		}
	}
	return errors.Join(err, r.requeueLost(ctx))
}

// Enqueue keeps what an event asks for. An event that was kept before, under the same
// delivery, is dropped unless its jobs ended without being done.
func (r *Runner) Enqueue(ctx context.Context, e *webhook.Event) error {
	jobs := jobsOf(e, func() int { return r.rush.priority(e.Installation, r.Store.Now()) })
	switch len(jobs) {
	case 0:
		return nil
	case 1:
		_, err := r.queue.Insert(ctx, jobs[0].Args, jobs[0].InsertOpts)
		return err
	}
	_, err := r.queue.InsertMany(ctx, jobs)
	return err
}

// insert adds a job that another one asks for.
func (r *Runner) insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) error {
	if _, err := r.queue.Insert(ctx, args, opts); err != nil {
		return fmt.Errorf("queue %s: %w", args.Kind(), err)
	}
	return nil
}
