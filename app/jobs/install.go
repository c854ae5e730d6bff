package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
)

// BackfillArgs scans the history of a repository.
type BackfillArgs struct {
	Repository int64 `json:"repository" river:"unique"`
	Round      int64 `json:"round" river:"unique"` // tells one reason to do so from another
}

// Kind names the job.
func (BackfillArgs) Kind() string { return "backfill" }

// TriageArgs sorts what the histories of an installation held.
type TriageArgs struct {
	Installation int64 `json:"installation"`
}

// Kind names the job.
func (TriageArgs) Kind() string { return "triage" }

// installation takes note of where the App is installed.
func (r *Runner) installation(ctx context.Context, job *river.Job[InstallationArgs], log *slog.Logger) error {
	e := &job.Args.Event
	log.Info("installation", "installation", e.Installation, "event", e.Name, "action", e.Action, "added", len(e.Added), "removed", len(e.Gone))
	if e.Name == "installation_repositories" {
		return r.chosen(ctx, e, job.ID)
	}
	now, _, err := r.standing(ctx, e.Installation) // events may be old, or come in another order
	if err != nil {
		return err
	}
	switch now {
	case uninstalledNow:
		return r.uninstalled(ctx, e.Installation)
	case suspendedNow:
		return r.Store.Suspend(ctx, e.Installation, true)
	}
	if e.Action == "deleted" || e.Action == "suspend" {
		log.Warn("installation is there: the event was old", "installation", e.Installation, "action", e.Action)
	}
	if err := r.Store.PutInstallation(ctx, &store.Installation{ID: e.Installation, Account: e.Account, AccountID: e.AccountID}); err != nil {
		return err
	}
	if err := r.Store.Suspend(ctx, e.Installation, false); err != nil {
		return err
	}
	if err := r.Store.Retry(ctx, e.Installation); err != nil { // what was refused may be allowed now
		return err
	}
	if e.Action == "created" || e.Action == "unsuspend" { // after a suspension too: its events were never sent
		if err := r.enrol(ctx, e.Installation, job.ID); err != nil {
			return err
		}
	}
	return r.tellSoon(ctx, e.Installation) // what was found before it was suspended
}

// chosen takes note of which repositories an installation covers.
func (r *Runner) chosen(ctx context.Context, e *webhook.Event, round int64) error {
	if err := r.Store.SeeInstallation(ctx, &store.Installation{ID: e.Installation, Account: e.Account, AccountID: e.AccountID}); err != nil {
		return err
	}
	list := r.covers(ctx, e.Installation)
	for i := range e.Gone {
		if err := r.removed(ctx, e.Installation, e.Gone[i].ID, false, list); err != nil {
			return err
		}
	}
	for i := range e.Added {
		now, err := r.lookup(ctx, e.Installation, e.Added[i].ID, e.Added[i].Owner, e.Added[i].Name, list)
		if err != nil {
			return err
		}
		if now == nil {
			continue // it was removed since
		}
		if err := r.addRepository(ctx, r.repositoryFrom(now, e.Installation), round); err != nil {
			return err
		}
	}
	if err := r.Store.Retry(ctx, e.Installation); err != nil { // the tracker may be among them
		return err
	}
	return r.tellSoon(ctx, e.Installation)
}

// uninstalled deletes all that is known of an installation.
func (r *Runner) uninstalled(ctx context.Context, id int64) error {
	repos, err := r.Store.Repositories(ctx, id)
	if err != nil {
		return err
	}
	if err := r.Store.Forget(ctx, id); err != nil {
		return err
	}
	r.GitHub.Forget(id)
	for _, repo := range repos {
		if err := r.Engine.Remove(ctx, repo.ID); err != nil {
			return err
		}
	}
	return nil
}

// enrol lists the repositories of an installation, has the history of each scanned, and
// forgets those that are not in the list any more.
func (r *Runner) enrol(ctx context.Context, id, round int64) error {
	list := r.covers(ctx, id)
	all, err := list()
	if err != nil {
		return err
	}
	for _, number := range slices.Sorted(maps.Keys(all)) {
		if err := r.addRepository(ctx, r.repositoryFrom(all[number], id), round); err != nil {
			return err
		}
	}
	known, err := r.Store.Repositories(ctx, id)
	if err != nil {
		return err
	}
	for _, repo := range known {
		if all[repo.ID] != nil {
			continue
		}
		if err := r.removed(ctx, id, repo.ID, false, list); err != nil {
			return err
		}
	}
	return nil
}

// addRepository notes a repository, and has its history scanned. If another installation had
// it before, what that knew of it is forgotten.
func (r *Runner) addRepository(ctx context.Context, repo *store.Repository, round int64) error {
	if old, err := r.Store.Repository(ctx, repo.ID); err == nil && old.Installation != repo.Installation {
		if err := r.forgetRepository(ctx, repo.ID, false); err != nil {
			return err
		}
	} else if err != nil && !errors.Is(err, store.ErrGone) {
		return err
	}
	if err := r.Store.PutRepository(ctx, repo); err != nil {
		return err
	}
	if err := r.Store.SetBackfill(ctx, repo.ID, "queued", ""); err != nil {
		return err
	}
	return r.insert(ctx, BackfillArgs{repo.ID, round}, &river.InsertOpts{Queue: queueBackfill, Priority: 4, UniqueOpts: river.UniqueOpts{ByArgs: true}})
}

// history scans the history of a repository when it is its installation's turn.
func (r *Runner) history(ctx context.Context, job *river.Job[BackfillArgs], log *slog.Logger) error {
	repo, err := r.Store.Repository(ctx, job.Args.Repository)
	if err != nil {
		return err
	}
	if later, ok := r.histories.enter(repo.Installation); !ok {
		return river.JobSnooze(later)
	}
	defer r.histories.leave(repo.Installation)
	return r.backfill(ctx, job, log)
}

// backfill scans the history of a repository. Its keys wait until all histories of the
// installation have been seen.
func (r *Runner) backfill(ctx context.Context, job *river.Job[BackfillArgs], log *slog.Logger) error {
	repo, err := r.Store.Repository(ctx, job.Args.Repository)
	if err != nil {
		return err
	}
	c := r.GitHub.Installation(repo.Installation)
	res, err := r.Engine.History(ctx, r.scanJob(c, &store.Scan{Source: "push"}, repo))
	state, note := "done", ""
	ctx, cancel, late := overtime(ctx, backfillTimeout)
	defer cancel()
	if late != nil {
		err = late
	}
	_, wait := github.Wait(err)
	switch {
	case err == nil:
		if err := r.recognise(ctx, repo.Installation, res.Keys); err != nil {
			return err
		}
		list := r.credentials(mostSevere(res), res.Policy.App, store.StateHeld)
		if _, err := r.Store.Record(ctx, repo.ID, list); err != nil {
			return err
		}
		if n := len(res.Coverage.Gaps); n > 0 {
			note = fmt.Sprintf("not scanned: %d, such as %s", n, r.Guard.String(res.Coverage.Gaps[0].Error()))
		}
		log.Info("history scanned", "repository", repo.ID, "commits", res.Coverage.Commits, "blobs", res.Coverage.Blobs, "bytes", res.Coverage.Bytes, "keys", len(res.Keys),
			"not_scanned", len(res.Coverage.Gaps), "took", res.Coverage.Took.String())
	case !wait && ctx.Err() == nil && !ended(err) && (late != nil || errors.Is(err, scan.ErrTooLarge) || job.Attempt >= tries): // the other histories do not wait for it
		state, note = "failed", r.Guard.String(err.Error())
		log.Error("history not scanned", "repository", repo.ID, "why", note)
		if late != nil || errors.Is(err, scan.ErrTooLarge) {
			err = river.JobCancel(err)
		}
	default:
		return err
	}
	if err := r.Store.SetBackfill(ctx, repo.ID, state, note); err != nil {
		return err
	}
	return errors.Join(err, r.triageSoon(ctx, repo.Installation))
}

// triageSoon has the keys of the histories sorted if all histories were looked at.
func (r *Runner) triageSoon(ctx context.Context, installation int64) error {
	left, err := r.Store.Backfilling(ctx, installation)
	if err != nil || left > 0 {
		return err
	}
	held, err := r.Store.Credentials(ctx, installation, store.StateHeld)
	if err != nil || len(held) == 0 {
		return err
	}
	return r.insert(ctx, TriageArgs{installation}, &river.InsertOpts{Queue: queueTell, Priority: 3})
}

// triage sorts the keys that histories held.
func (r *Runner) triage(ctx context.Context, job *river.Job[TriageArgs], log *slog.Logger) error {
	inst, err := r.Store.Installation(ctx, job.Args.Installation)
	if err != nil {
		return err
	}
	holder := store.Holder(r.Process, job.ID)
	n, err := r.Keeper.Triage(ctx, r.GitHub.Installation(inst.ID), inst, r.First, holder)
	if n > 0 {
		log.Info("histories sorted", "installation", inst.ID, "opened", n)
		if err := r.tellSoon(ctx, inst.ID); err != nil {
			return err
		}
	}
	return err
}

// repository takes note of what became of a repository.
func (r *Runner) repository(ctx context.Context, job *river.Job[RepositoryArgs], log *slog.Logger) error {
	e := &job.Args.Event
	log.Info("repository", "repository", e.Repo.ID, "action", e.Action)
	if e.Action == "deleted" {
		return r.removed(ctx, e.Installation, e.Repo.ID, true, r.covers(ctx, e.Installation))
	}
	if e.Action == "renamed" && e.From != "" { // issues may be in a repository that was never scanned
		if err := r.Store.MoveIssues(ctx, e.Installation, e.Repo.Owner+"/"+e.From, e.Repo.Owner+"/"+e.Repo.Name); err != nil {
			return err
		}
	}
	old, err := r.Store.Repository(ctx, e.Repo.ID)
	if errors.Is(err, store.ErrGone) && e.Action != "created" {
		return nil // transferred away, or never ours: other events say so
	} else if err != nil && !errors.Is(err, store.ErrGone) {
		return err
	}
	// Events may come out of order: GitHub is asked how it is now.
	now, err := r.lookup(ctx, e.Installation, e.Repo.ID, e.Repo.Owner, e.Repo.Name, r.covers(ctx, e.Installation))
	if err != nil {
		return err
	}
	transferred := old != nil && old.Installation != e.Installation
	switch {
	case now == nil && transferred:
		return nil // an old event of the installation that had it
	case now == nil:
		return r.forgetRepository(ctx, e.Repo.ID, false)
	}
	if err := r.Store.SeeInstallation(ctx, &store.Installation{ID: e.Installation, Account: e.Account, AccountID: e.AccountID}); err != nil {
		return err
	}
	if transferred {
		err = r.addRepository(ctx, r.repositoryFrom(now, e.Installation), job.ID)
	} else {
		err = r.Store.PutRepository(ctx, r.repositoryFrom(now, e.Installation))
	}
	if err != nil {
		return err
	}
	if err := errors.Join(r.Store.Freshen(ctx, e.Installation, e.Repo.ID), r.Store.Retry(ctx, e.Installation)); err != nil {
		return err
	}
	return r.tellSoon(ctx, e.Installation)
}

// member takes note of who left: their issues need another owner.
func (r *Runner) member(ctx context.Context, job *river.Job[MemberArgs], log *slog.Logger) error {
	e := &job.Args.Event
	n, err := r.Store.FreshenOwner(ctx, e.Installation, e.Member)
	if err != nil || n == 0 {
		return err
	}
	log.Info("owner of keys has left", "installation", e.Installation, "issues", n, "at", r.Store.Now().UTC().Format(time.RFC3339))
	return r.tellSoon(ctx, e.Installation)
}
