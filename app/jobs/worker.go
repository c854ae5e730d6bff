package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/store"
)

// worker runs one kind of job, and turns what went wrong into what River should do:
// wait, give up, or try again.
type worker[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	r       *Runner
	timeout time.Duration
	work    func(context.Context, *river.Job[T], *slog.Logger) error
}

func add[T river.JobArgs](r *Runner, w *river.Workers, timeout time.Duration, work func(context.Context, *river.Job[T], *slog.Logger) error) error {
	return river.AddWorkerSafely(w, &worker[T]{r: r, timeout: timeout, work: work})
}

func (w *worker[T]) Timeout(*river.Job[T]) time.Duration { return w.timeout }

func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	log := w.r.Log.With("job", job.ID, "kind", job.Kind, "attempt", job.Attempt)
	if d, ok := any(job.Args).(interface{ delivery() string }); ok {
		log = log.With("delivery", d.delivery())
	}
	defer w.r.running.begin(job.ID)()
	start := w.r.Store.Now()
	err := w.r.verdict(ctx, installationOf(job.Args), w.work(ctx, job, log), log)
	if w.r.Observe != nil {
		w.r.Observe(job.Kind, outcome(err), w.r.Store.Now().Sub(start))
	}
	return err
}

func outcome(err error) string {
	var snooze *river.JobSnoozeError
	var cancel *river.JobCancelError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &snooze):
		return "snoozed"
	case errors.As(err, &cancel):
		return "cancelled"
	}
	return "failed"
}

// ended reports whether an error says that an installation or repository is not there
// to be worked for.
func ended(err error) bool {
	return errors.Is(err, store.ErrGone) || errors.Is(err, github.ErrUninstalled) || errors.Is(err, github.ErrSuspended)
}

// overtime looks whether the time of a job is up. If so it returns why, and a context
// under which that can still be noted; cancel has to be called.
func overtime(ctx context.Context, limit time.Duration) (_ context.Context, cancel context.CancelFunc, late error) {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx, func() {}, nil
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	return ctx, cancel, fmt.Errorf("it took longer than %s", limit)
}

// verdict decides what becomes of a job by its error.
func (r *Runner) verdict(ctx context.Context, installation int64, err error, log *slog.Logger) error {
	var snooze *river.JobSnoozeError
	var cancel *river.JobCancelError
	switch {
	case err == nil, errors.As(err, &snooze):
		return err
	case errors.As(err, &cancel):
		return river.JobCancel(errors.New(r.Guard.String(cancel.Error())))
	case errors.Is(err, github.ErrUninstalled), errors.Is(err, github.ErrSuspended):
		if err = r.dropped(ctx, installation, err, log); errors.As(err, &cancel) {
			return err
		}
	case errors.Is(err, store.ErrGone):
		log.Info("job cancelled: what it works for is not there any more", "why", r.Guard.String(err.Error()))
		return river.JobCancel(errors.New(r.Guard.String(err.Error())))
	}
	if errors.Is(err, rotation.ErrBusy) {
		return river.JobSnooze(3 * time.Second)
	}
	if until, ok := github.Wait(err); ok {
		// Spread, so that all that waited does not come at once.
		wait := min(max(time.Second, until.Sub(r.Store.Now())), time.Hour) + time.Duration(rand.Int64N(int64(2*time.Second)))
		log.Info("waiting for GitHub", "why", err.Error(), "for", wait.Round(time.Second).String())
		return river.JobSnooze(wait)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New(r.Guard.String(err.Error()))
}

// dropped decides what becomes of a job whose installation looks uninstalled or suspended.
// GitHub is asked first. A job that ends so is cancelled, not done: the same delivery has to
// be taken once more when it is sent again.
func (r *Runner) dropped(ctx context.Context, installation int64, cause error, log *slog.Logger) error {
	if installation == 0 {
		return cause
	}
	now, err := r.confirm(ctx, installation)
	switch {
	case err != nil:
		return err
	case now == suspendedNow:
		log.Info("job cancelled: the installation is suspended; its history is scanned when it is not any more")
	default:
		log.Info("job cancelled: the App was uninstalled")
	}
	return river.JobCancel(errors.New(r.Guard.String(cause.Error())))
}

// installationOf is the installation that a job works for, 0 if it is none or not named.
func installationOf(args any) int64 {
	if a, ok := args.(interface{ installation() int64 }); ok {
		return a.installation()
	}
	return 0
}

// backoff doubles the time to the next try up to half an hour, so that a job outlives
// an outage of eight hours.
type backoff struct{ now func() time.Time }

// NextRetry returns when a job that failed is tried again.
func (b backoff) NextRetry(job *rivertype.JobRow) time.Time {
	wait := min(time.Second<<min(len(job.Errors), 20), 30*time.Minute)
	return b.now().UTC().Add(wait + time.Duration(rand.Int64N(int64(wait)/4)))
}

// HandleError logs what a job ended with. The job is tried again, or dead.
func (r *Runner) HandleError(_ context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	r.logEnd(job, "why", err.Error())
	return nil
}

// HandlePanic logs a panic. Its value may quote what was being read, and is not logged.
func (r *Runner) HandlePanic(_ context.Context, job *rivertype.JobRow, _ any, trace string) *river.ErrorHandlerResult {
	r.logEnd(job, "why", "panic", "trace", r.Guard.String(trace))
	return nil
}

func (r *Runner) logEnd(job *rivertype.JobRow, args ...any) {
	log := r.Log.With("job", job.ID, "kind", job.Kind, "attempt", job.Attempt)
	if job.Attempt >= job.MaxAttempts {
		log.Error("job is dead: it was tried as often as allowed (keyward-app redeliver --dead tries again)", args...)
		return
	}
	log.Warn("job failed, it is tried again", args...)
}

// quiet passes on what River warns of, and says where it comes from.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && q.Handler.Enabled(ctx, l)
}
func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(name string) slog.Handler   { return quiet{q.Handler.WithGroup(name)} }
