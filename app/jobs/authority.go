package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	gh "github.com/google/go-github/v62/github"
	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
)

// Nothing is dropped for one answer. Deliveries come late and in any order, and GitHub
// answers 404 to what it hides, or for a moment by mistake. Before an installation or a
// repository is forgotten, GitHub is asked how it is now.

// A standing is how an installation is.
type standing int

const (
	installedNow standing = iota
	suspendedNow
	uninstalledNow
)

// standing asks GitHub, as the App, how an installation is. The account is nil if it is
// uninstalled.
// https://docs.github.com/rest/apps/apps#get-an-installation-for-the-authenticated-app
func (r *Runner) standing(ctx context.Context, id int64) (standing, *gh.User, error) {
	inst, _, err := r.GitHub.Itself().Apps.GetInstallation(ctx, id)
	switch {
	case github.Status(err) == http.StatusNotFound:
		return uninstalledNow, nil, nil
	case err != nil:
		return 0, nil, fmt.Errorf("ask GitHub how installation %d is: %w", id, err)
	case !inst.GetSuspendedAt().IsZero():
		return suspendedNow, inst.GetAccount(), nil
	}
	return installedNow, inst.GetAccount(), nil
}

// errRefused says that GitHub refused the token of an installation that is there.
var errRefused = errors.New("GitHub refused a token, though the App is installed there: it is tried again")

// confirm asks GitHub whether an installation is as an answer made it look, uninstalled or
// suspended, and notes it. If the installation is there, it is an error to try again.
func (r *Runner) confirm(ctx context.Context, id int64) (standing, error) {
	now, _, err := r.standing(ctx, id)
	switch {
	case err != nil:
		return now, err
	case now == uninstalledNow:
		return now, r.uninstalled(ctx, id)
	case now == suspendedNow:
		return now, r.Store.Suspend(ctx, id, true)
	}
	return now, errRefused
}

// revive notes that an installation is there which the store has as uninstalled or
// suspended: somebody's signed event came from it. If GitHub says otherwise the event is an
// old one, and nothing is done.
func (r *Runner) revive(ctx context.Context, id int64) error {
	now, account, err := r.standing(ctx, id)
	switch {
	case err != nil:
		return err
	case now == uninstalledNow:
		return fmt.Errorf("installation %d: %w", id, store.ErrGone)
	case now == suspendedNow:
		return github.ErrSuspended
	}
	// The job comes first: once the installation counts as there, nothing else would ask for
	// its histories.
	e := webhook.Event{Name: "installation", Action: "unsuspend", Delivery: fmt.Sprint("revived ", id), Installation: id, Account: account.GetLogin(), AccountID: account.GetID()}
	if err := r.insert(ctx, InstallationArgs{e}, &river.InsertOpts{Queue: queueAdmin, Priority: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: underWay}}); err != nil {
		return err
	}
	if err := r.Store.PutInstallation(ctx, &store.Installation{ID: id, Account: account.GetLogin(), AccountID: account.GetID()}); err != nil {
		return err
	}
	r.Log.Warn("installation is there after all: its events had been dropped, its history is scanned", "installation", id)
	return r.Store.Suspend(ctx, id, false)
}

// covered lists the repositories that an installation covers when it is first called, by id.
type covered func() (map[int64]*gh.Repository, error)

// covers returns the list of an installation, which is read at most once.
func (r *Runner) covers(ctx context.Context, installation int64) covered {
	return sync.OnceValues(func() (map[int64]*gh.Repository, error) {
		out := map[int64]*gh.Repository{}
		return out, eachRepository(ctx, r.GitHub.Installation(installation), func(repo *gh.Repository) error {
			out[repo.GetID()] = repo
			return nil
		})
	})
}

// lookup returns a repository as GitHub has it now, nil if the installation does not cover
// it. A private one that can be read by its name is covered. Everybody can read a public one,
// and a name may lead elsewhere: then the list of those that the installation covers decides.
func (r *Runner) lookup(ctx context.Context, installation, id int64, owner, name string, list covered) (*gh.Repository, error) {
	now, _, err := r.GitHub.Installation(installation).Repositories.Get(ctx, owner, name)
	if err == nil && now.GetID() == id && now.GetPrivate() {
		return now, nil
	}
	switch s := github.Status(err); {
	case err == nil, s == http.StatusNotFound, s == http.StatusForbidden, s == http.StatusMovedPermanently, s == http.StatusUnavailableForLegalReasons:
	default:
		return nil, fmt.Errorf("look up repository %s/%s: %w", owner, name, err)
	}
	all, err := list()
	return all[id], err
}

// eachRepository calls do with the repositories of an installation.
func eachRepository(ctx context.Context, c *github.Client, do func(*gh.Repository) error) error {
	opt := &gh.ListOptions{PerPage: 100}
	for {
		list, res, err := c.Apps.ListRepos(ctx, opt)
		if err != nil {
			return fmt.Errorf("list the repositories of installation %d: %w", c.ID, err)
		}
		for _, repo := range list.Repositories {
			if err := do(repo); err != nil {
				return err
			}
		}
		if res.NextPage == 0 {
			return nil
		}
		opt.Page = res.NextPage
	}
}

// refresh brings a repository up to date with how GitHub has it, under another name or in
// other hands maybe. One that the installation does not see any more is forgotten, and is
// store.ErrGone.
func (r *Runner) refresh(ctx context.Context, repo *store.Repository) error {
	now, err := r.lookup(ctx, repo.Installation, repo.ID, repo.Owner, repo.Name, r.covers(ctx, repo.Installation))
	if err != nil {
		return err
	}
	if now == nil {
		if err := r.forgetRepository(ctx, repo.ID, false); err != nil {
			return err
		}
		return fmt.Errorf("repository %d: %w", repo.ID, store.ErrGone)
	}
	if fresh := r.repositoryFrom(now, repo.Installation); fresh.FullName() != repo.FullName() || fresh.DefaultBranch != repo.DefaultBranch || fresh.Archived != repo.Archived {
		return r.Store.PutRepository(ctx, fresh)
	}
	return nil
}

// gone finds out whether a repository that GitHub did not find is gone. If it is not, the
// cause stays what it was.
func (r *Runner) gone(ctx context.Context, repo *store.Repository, cause error) error {
	if err := r.refresh(ctx, repo); err != nil {
		return err
	}
	return cause
}

// removed forgets a repository that an event says is gone, if GitHub says so as well. One that
// is another installation's by now was transferred: what the former one says of it counts no
// more.
func (r *Runner) removed(ctx context.Context, installation, id int64, deleted bool, list covered) error {
	old, err := r.Store.Repository(ctx, id)
	switch {
	case errors.Is(err, store.ErrGone) && !deleted:
		return nil
	case errors.Is(err, store.ErrGone): // taken out before: credentials wait for what becomes of it
		if all, err := list(); err != nil || all[id] != nil {
			return err
		}
		return r.forgetRepository(ctx, id, true)
	case err != nil:
		return err
	case old.Installation != installation:
		r.Log.Info("event ignored: the repository belongs to another installation", "repository", id, "installation", old.Installation)
		return nil
	}
	now, err := r.lookup(ctx, installation, id, old.Owner, old.Name, list)
	if err != nil {
		return err
	}
	if now != nil {
		r.Log.Warn("repository is still there: the event was old", "repository", id)
		return r.Store.PutRepository(ctx, r.repositoryFrom(now, installation))
	}
	return r.forgetRepository(ctx, id, deleted)
}
