// Package rotation opens one issue for each key that has to be rotated, and keeps it
// up to date: what the key is, what its holder can do, where it stands, who has to
// act and until when, and how.
//
// One key has one issue, whatever happens: the issue is claimed in the store before
// it is asked for, and a claim that was left without an answer is looked for in the
// tracker, by the marker in the issue's body, before it is asked for again. The
// marker carries a MAC, as anybody who may write there could paste another's.
package rotation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/guard"
)

// A Keeper keeps the issues. It is safe for concurrent use.
type Keeper struct {
	Store   *store.Store
	Web     string // address of GitHub for people
	Peppers Peppers
	Guard   *guard.Guard
	Rules   map[string]*scanner.Rule
	Tracker string // name or owner/name of the repository for issues where the policy names none, "" for the key's own
	Public  bool   // issues may be opened in public repositories
	Log     *slog.Logger
	Now     func() time.Time // by which keys live; time.Now if nil

	owners ownersFiles
}

// claimFor is how long a claim holds without being renewed: longer than a job may
// take for it.
const claimFor = 5 * time.Minute

// mac shows that the marker of an issue is ours.
func (k *Keeper) mac(installation int64, name string) string {
	return k.Mac("issue", installation, name)
}

// Mac shows that a marker is ours: of a kind of text, of what has the id.
func (k *Keeper) Mac(kind string, id int64, name string) string {
	return mac(k.Peppers.Current(), kind, id, name)
}

// Marks returns the forms of a text that a MAC makes different under each pepper, the present
// one first: a text that was written before the pepper was replaced is still recognised.
func (k *Keeper) Marks(kind string, id int64, name string, form func(mac string) string) (out []string) {
	for _, m := range k.Peppers.Macs(kind, id, name) {
		out = append(out, form(m))
	}
	return out
}

// ErrBusy says that another worker writes the issue of the key: come again soon.
var ErrBusy = errors.New("another worker is at the issue")

// errNoPlace says that there is nowhere to open an issue, and why.
type errNoPlace string

func (e errNoPlace) Error() string { return string(e) }

// Tell opens the issue of a key, or brings it up to date. holder is whoever calls:
// a claim of the same holder is taken up again.
func (k *Keeper) Tell(ctx context.Context, c *github.Client, inst *store.Installation, fingerprint, holder string) error {
	cred, err := k.Store.Credential(ctx, inst.ID, fingerprint)
	if err != nil {
		return err
	}
	old, err := k.Store.Rotation(ctx, inst.ID, fingerprint)
	if err != nil && !errors.Is(err, store.ErrGone) {
		return err
	}
	course, err := k.Store.Course(ctx, k.seal(), inst.ID, fingerprint)
	if err != nil && !errors.Is(err, store.ErrGone) {
		return err
	}
	if cred.State != store.StateOpen && (course == nil || cred.State != store.StateDismissed) {
		return k.unlived(ctx, c, cred, old)
	}
	l, err := k.Begin(ctx, cred)
	if err != nil {
		return err
	}
	if l, err = k.spread(ctx, cred, l); err != nil {
		return err
	}
	if !cred.PublicSince.IsZero() && !l.Public {
		if l, _, err = k.Happen(ctx, inst.ID, fingerprint, life.Event{Kind: life.Publish, Actor: system}, store.Source{}); err != nil {
			return err
		}
	}
	repos, err := k.repositories(ctx, inst)
	if err != nil {
		return err
	}
	target, id := "", int64(0)
	if old != nil && old.Number != 0 {
		target = old.Repository
	} else if cred.State == store.StateDismissed {
		return k.Store.Fresh(ctx, cred) // it never had an issue, and needs none
	} else if target, id, err = k.target(ctx, c, inst, cred, repos); err != nil {
		var nowhere errNoPlace
		if errors.As(err, &nowhere) {
			return errors.Join(k.nowhere(ctx, cred, nowhere.Error()), k.Store.Fresh(ctx, cred))
		}
		return err
	}
	r, ok, err := k.Store.Claim(ctx, inst.ID, store.CredentialIssue(fingerprint), target, holder, k.Store.Now(), claimFor)
	if err == nil && !ok {
		err = ErrBusy
	}
	if err != nil {
		return err
	}
	defer func() { _ = k.Store.Release(context.WithoutCancel(ctx), r, holder) }() // a claim that stays lapses
	if id != 0 && r.Number == 0 {
		r.RepositoryID = id
	}
	t := &telling{k: k, c: c, cred: cred, r: r, repos: repos, l: &l}
	if err := t.write(ctx); err != nil {
		return err
	}
	if r.Number != 0 && !t.foreign {
		if err := t.parts(ctx, holder); err != nil {
			return err
		}
	}
	return k.Store.Fresh(ctx, cred)
}

// unlived is a key that nobody has to rotate: if it has an issue all the same, as it was
// dismissed before lives were kept, that is closed.
func (k *Keeper) unlived(ctx context.Context, c *github.Client, cred *store.Credential, r *store.Rotation) error {
	if cred.State != store.StateDismissed {
		return nil
	}
	if r != nil && r.Number != 0 {
		owner, name, _ := strings.Cut(r.Repository, "/")
		ours, err := k.Owns(ctx, c, r)
		if err == nil && !ours {
			return errors.Join(k.nowhere(ctx, cred, fmt.Sprintf("issue %s#%d: %s", r.Repository, r.Number, errNotOurs)), k.Store.Fresh(ctx, cred))
		}
		if err == nil {
			_, _, err = c.Issues.Edit(ctx, owner, name, r.Number, &gh.IssueRequest{State: gh.String("closed"), StateReason: gh.String(notPlanned)})
		}
		if s := github.Status(err); err != nil && s != http.StatusGone && s != http.StatusNotFound && s != http.StatusForbidden {
			return fmt.Errorf("close issue %s#%d: %w", r.Repository, r.Number, err)
		}
	}
	return k.Store.Fresh(ctx, cred)
}

func (k *Keeper) repositories(ctx context.Context, inst *store.Installation) (map[int64]*store.Repository, error) {
	list, err := k.Store.Repositories(ctx, inst.ID)
	out := map[int64]*store.Repository{}
	for _, r := range list {
		out[r.ID] = r
	}
	return out, err
}

// target returns the repository in which the issue of a key belongs: the tracker, or
// else the first private repository that the key stands in. Never a public one unless
// that is allowed: an issue there would tell everybody of a key that still works.
func (k *Keeper) target(ctx context.Context, c *github.Client, inst *store.Installation, cred *store.Credential, repos map[int64]*store.Repository) (string, int64, error) {
	tracker := cred.Settings.Tracker
	if tracker == "" {
		tracker = k.Tracker
	}
	public := k.Public || cred.Settings.Public
	if tracker != "" {
		owner, name, ok := strings.Cut(tracker, "/")
		if !ok {
			owner, name = inst.Account, tracker
		}
		if !strings.EqualFold(owner, inst.Account) {
			return "", 0, errNoPlace("the tracker " + tracker + " belongs to another account")
		}
		repo, _, err := c.Repositories.Get(ctx, owner, name)
		switch {
		case github.Status(err) == http.StatusNotFound:
			return "", 0, errNoPlace("the tracker " + owner + "/" + name + " is not there, or the App is not installed on it")
		case err != nil:
			return "", 0, fmt.Errorf("look up the tracker %s/%s: %w", owner, name, err)
		case !repo.GetPrivate() && !public:
			return "", 0, errNoPlace("the tracker " + repo.GetFullName() + " is public: an issue there would tell everybody of a key that still works")
		}
		return repo.GetFullName(), repo.GetID(), nil
	}
	for _, p := range cred.Places {
		if r := repos[p.Repository]; r != nil && !r.Archived && (!r.Public || public) {
			return r.FullName(), r.ID, nil
		}
	}
	return "", 0, errNoPlace("the key stands in public or archived repositories only, and no private tracker is set")
}
