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
	holder := fmt.Sprintf("%s/%d", r.Process, job.ID)
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

// batch is how many annotations GitHub takes at once.
// https://docs.github.com/rest/checks/runs#update-a-check-run
const batch = 50

// publish writes the result of a scan into its check run: the annotations in batches,
// which GitHub adds to those that are there, and the conclusion with the last of them.
func (r *Runner) publish(ctx context.Context, c *github.Client, s *store.Scan, attempt int) error {
	if s.Result == nil || s.Result.Silent {
		return r.Store.Published(ctx, s)
	}
	repo, err := r.Store.Repository(ctx, s.Repository)
	if err != nil {
		return err
	}
	if err := r.worst(ctx, c, s, repo); err != nil {
		return err
	}
	there := 0
	if s.CheckRun == 0 {
		id, err := r.findCheck(ctx, c, s, repo, s.Result.Head)
		if err != nil {
			return err
		}
		if id == 0 {
			if id, err = r.createCheck(ctx, c, s, repo); err != nil || id == 0 {
				if err == nil {
					err = r.Store.Published(ctx, s) // it may not be written, which was logged
				}
				return err
			}
			there = min(batch, len(s.Result.Annotations))
		}
		if err := r.Store.SetCheckRun(ctx, s, id); err != nil {
			return err
		}
		if there > 0 && there == len(s.Result.Annotations) {
			return r.Store.Published(ctx, s)
		}
	}
	if there == 0 && (attempt > 1 || len(s.Result.Annotations) > 0) { // an answer may have been lost
		run, _, err := c.Checks.GetCheckRun(ctx, repo.Owner, repo.Name, s.CheckRun)
		if github.Status(err) == http.StatusNotFound {
			if err := r.gone(ctx, repo, nil); err != nil {
				return err
			}
			return r.Store.Published(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("read the check run: %w", err)
		}
		there = run.GetOutput().GetAnnotationsCount()
	}
	if err := r.updateCheck(ctx, c, s, repo, there); err != nil {
		return err
	}
	return r.Store.Published(ctx, s)
}

// buttons are shown beside a check that found something. GitHub takes three at most,
// with labels of 20 characters.
func buttons(s *store.Scan) []*gh.CheckRunAction {
	if len(s.Result.Keys) == 0 {
		return nil
	}
	return []*gh.CheckRunAction{
		{Label: "Not a key", Description: "What was found here is none", Identifier: buttonNotKey},
		{Label: "Open rotation", Description: "Open the rotation issues now", Identifier: buttonRotate},
	}
}

func output(s *store.Scan, from int) *gh.CheckRunOutput {
	out := &gh.CheckRunOutput{Title: &s.Result.Title, Summary: &s.Result.Summary}
	for _, a := range s.Result.Annotations[min(from, len(s.Result.Annotations)):min(from+batch, len(s.Result.Annotations))] {
		out.Annotations = append(out.Annotations, &gh.CheckRunAnnotation{Path: &a.Path, StartLine: &a.Line, EndLine: &a.EndLine, AnnotationLevel: &a.Level, Title: &a.Title, Message: &a.Message})
	}
	return out
}

// createCheck creates the check run of a scan that has none, complete if one request
// can say all. It returns 0 if it may not be.
func (r *Runner) createCheck(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository) (int64, error) {
	opt := gh.CreateCheckRunOptions{Name: checkName(s), HeadSHA: s.Result.Head, ExternalID: gh.String(s.ExternalID()), Status: gh.String("in_progress"), Output: output(s, 0)}
	if len(s.Result.Annotations) <= batch {
		opt.Status, opt.Conclusion, opt.Actions = gh.String("completed"), &s.Result.Conclusion, buttons(s)
	}
	run, _, err := c.Checks.CreateCheckRun(ctx, repo.Owner, repo.Name, opt)
	if err != nil {
		return 0, r.checkError(ctx, repo, err)
	}
	return run.GetID(), nil
}

// updateCheck writes what the check run does not say yet: the annotations from a number
// on, and the conclusion.
func (r *Runner) updateCheck(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository, there int) error {
	for {
		last := there+batch >= len(s.Result.Annotations)
		opt := gh.UpdateCheckRunOptions{Name: checkName(s), Output: output(s, there)}
		if last {
			opt.Status, opt.Conclusion, opt.Actions = gh.String("completed"), &s.Result.Conclusion, buttons(s)
		}
		if _, _, err := c.Checks.UpdateCheckRun(ctx, repo.Owner, repo.Name, s.CheckRun, opt); err != nil {
			return r.checkError(ctx, repo, err)
		}
		if last {
			return nil
		}
		there += batch
	}
}
