package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

// tries is how often a scan is tried before its check says that it could not be made.
// It goes on being tried, and the check then says what came of it.
const tries = 6

// scan scans what an event brought, keeps what it found, and leaves it to be told.
func (r *Runner) scan(ctx context.Context, job *river.Job[ScanArgs], log *slog.Logger) error {
	e := &job.Args.Event
	repo, err := r.see(ctx, e)
	if err != nil {
		return err
	}
	s, err := r.Store.BeginScan(ctx, &store.Scan{ID: scanID(e), Installation: e.Installation, Repository: repo.ID, Source: source(e), Head: e.Head, Base: e.Base, Default: e.Default, Fork: e.Fork, Tag: e.Tag,
		Pull: e.Number, Sender: e.Sender})
	if err != nil {
		return err
	}
	return r.leased(ctx, s.ID, job.ID, func(s *store.Scan) error {
		switch {
		case s.Result != nil && s.Result.Unscanned:
		case s.State == store.ScanPublished:
			if again, err := r.overtaken(ctx, s); err != nil || !again {
				return err // another delivery told of the same commits
			}
			if err := r.Store.AgainScan(ctx, s.ID, r.Store.Now()); err != nil {
				return err
			}
			if s, err = r.Store.Scan(ctx, s.ID); err != nil {
				return err
			}
		case s.State == store.ScanDone:
			return r.tellSoon(ctx, e.Installation)
		}
		return r.rescan(ctx, s, repo, job.Attempt, log)
	})
}

// leased does work on a scan as it is now, while no other worker has it.
func (r *Runner) leased(ctx context.Context, id string, job int64, work func(*store.Scan) error) error {
	holder := store.Holder(r.Process, job)
	ok, err := r.Store.LeaseScan(ctx, id, holder, r.Store.Now(), r.Timeout+time.Minute)
	if err != nil {
		return err
	}
	if !ok {
		return river.JobSnooze(scanSoon)
	}
	defer func() { _ = r.Store.ReleaseScan(context.WithoutCancel(ctx), id, holder) }() // a lease that stays lapses
	s, err := r.Store.Scan(ctx, id)
	if err != nil {
		return err
	}
	return work(s)
}

// rescan does a scan that was begun.
func (r *Runner) rescan(ctx context.Context, s *store.Scan, repo *store.Repository, attempt int, log *slog.Logger) error {
	c := r.GitHub.Installation(s.Installation)
	if repo.Name == ".github" {
		r.policies.Remove(s.Installation)
	}
	if s.CheckRun == 0 && !s.Tag {
		if err := r.progress(ctx, c, s, repo, attempt > 1); err != nil {
			return err
		}
	}
	what := r.scanJob(c, s, repo)
	if s.Source == "pull" {
		live, err := r.Store.LiveKeys(ctx, repo.ID, over, maxLive)
		if err != nil {
			return err
		}
		what.Live = map[string][]scan.Spot{}
		for fp, places := range live {
			for _, p := range places {
				what.Live[fp] = append(what.Live[fp], scan.Spot{Path: p.Path, Commit: p.Commit, Blob: p.Blob})
			}
		}
	}
	res, err := r.Engine.Range(ctx, what)
	if err != nil {
		return r.unscanned(ctx, s, repo, attempt, err)
	}
	result, err := r.keep(ctx, s, repo, res)
	if err != nil {
		return r.unscanned(ctx, s, repo, attempt, err)
	}
	if s.Compared = res.Base; s.Compared == "" {
		s.Compared = store.Nothing
	}
	if err := r.finish(ctx, s, result); err != nil {
		return err
	}
	log.Info("scanned", "repository", repo.ID, "head", s.Head, "commits", res.Coverage.Commits, "blobs", res.Coverage.Blobs, "bytes", res.Coverage.Bytes,
		"keys", len(result.Keys), "not_scanned", len(res.Coverage.Gaps), "conclusion", result.Conclusion, "took", res.Coverage.Took.String())
	return r.tellSoon(ctx, s.Installation)
}

// over are the states in which nobody minds that a key is taken out of a file. maxLive is of
// how many it is looked whether a pull request does.
var over = []string{string(life.Dead), string(life.Closed), string(life.FalsePositive)}

const maxLive = 100

// takenOut says in Markdown which keys a pull request takes out that may still work.
func (r *Runner) takenOut(ctx context.Context, s *store.Scan, removed []string) (string, error) {
	var b strings.Builder
	for _, fp := range removed {
		cred, err := r.Store.Credential(ctx, s.Installation, fp)
		if errors.Is(err, store.ErrGone) {
			continue
		}
		if err != nil {
			return "", err
		}
		l, err := r.Keeper.Life(ctx, s.Installation, fp)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "- %s %s is %s", report.Code(cred.Rule), report.Alias(fp), l.State)
		if rot, err := r.Store.Rotation(ctx, s.Installation, fp); err == nil && rot.Number != 0 {
			fmt.Fprintf(&b, ": %s", report.Code(fmt.Sprintf("%s#%d", rot.Repository, rot.Number)))
		} else if err != nil && !errors.Is(err, store.ErrGone) {
			return "", err
		}
		b.WriteString("\n")
	}
	if b.Len() == 0 {
		return "", nil
	}
	return "> **Taking a key out is not rotating it.** This takes out what is not proved dead: it stays in the history, and with all who have cloned it.\n\n" + b.String() + "\n", nil
}

// see makes sure that the store knows the repository that an event speaks of: the event
// that told of it may have been lost.
func (r *Runner) see(ctx context.Context, e *webhook.Event) (*store.Repository, error) {
	if err := r.Store.SeeInstallation(ctx, &store.Installation{ID: e.Installation, Account: e.Account, AccountID: e.AccountID}); err != nil {
		return nil, err
	}
	inst, err := r.Store.Installation(ctx, e.Installation)
	if errors.Is(err, store.ErrGone) || err == nil && inst.Suspended { // a signed event came from it all the same
		err = r.revive(ctx, e.Installation)
	}
	if err != nil {
		return nil, err
	}
	old, err := r.Store.Repository(ctx, e.Repo.ID)
	if err == nil && old.Installation == e.Installation {
		return old, nil // its name is kept up to date by its own events, which may be newer
	}
	if err != nil && !errors.Is(err, store.ErrGone) {
		return nil, err
	}
	if old != nil { // it was transferred, or this is an old event from before that
		now, err := r.lookup(ctx, e.Installation, e.Repo.ID, e.Repo.Owner, e.Repo.Name, r.covers(ctx, e.Installation))
		if err != nil {
			return nil, err
		}
		if now == nil {
			return nil, fmt.Errorf("repository %d, which belongs to another installation: %w", e.Repo.ID, store.ErrGone)
		}
		if err := r.addRepository(ctx, r.repositoryFrom(now, e.Installation), r.Store.Now().UnixMilli()); err != nil {
			return nil, err
		}
		return r.Store.Repository(ctx, e.Repo.ID)
	}
	if err := r.Store.PutRepository(ctx, repositoryOf(e.Repo, e.Installation)); err != nil {
		return nil, err
	}
	return r.Store.Repository(ctx, e.Repo.ID)
}

func repositoryOf(p *webhook.Repo, installation int64) *store.Repository {
	return &store.Repository{ID: p.ID, Installation: installation, Owner: p.Owner, Name: p.Name, Public: p.Public, Archived: p.Archived, DefaultBranch: p.Default}
}

func source(e *webhook.Event) string {
	switch e.Name {
	case "pull_request":
		return "pull"
	case "merge_group":
		return "merge"
	}
	return "push"
}

// scanID names the commits that are compared: two deliveries that tell of the same are
// one scan.
func scanID(e *webhook.Event) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %s %d %s %s %v", e.Repo.ID, source(e), e.Number, e.Base, e.Head, e.Tag))
	return hex.EncodeToString(h[:12])
}

// forgetRepository forgets a repository that is deleted, or that the App does not see any
// more. Others of its installation may have waited for its history.
func (r *Runner) forgetRepository(ctx context.Context, id int64, deleted bool) error {
	repo, err := r.Store.Repository(ctx, id)
	if err != nil && !errors.Is(err, store.ErrGone) {
		return err
	}
	if deleted { // nothing is left there to look into
		found, err := r.Store.FoundIn(ctx, id)
		if err != nil {
			return err
		}
		for _, c := range found {
			e := life.Event{Kind: life.Deleted, Repositories: []int64{id}, Actor: life.Actor{System: true}}
			if _, _, err := r.Keeper.Happen(ctx, c.Installation, c.Fingerprint, e, store.Source{}); err != nil && !errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrForged) {
				return err
			}
		}
	}
	if err := r.Store.ForgetRepository(ctx, id, deleted); err != nil {
		return err
	}
	if err := r.Engine.Remove(ctx, id); err != nil || repo == nil {
		return err
	}
	return r.triageSoon(ctx, repo.Installation)
}

// scanJob is what the engine has to scan. A scan that is made again is compared with
// what it was compared with first: a branch may have been merged since.
func (r *Runner) scanJob(c *github.Client, s *store.Scan, repo *store.Repository) *scan.Job {
	j := &scan.Job{
		Repository: repo.ID, URL: r.GitHub.CloneURL(repo.Owner, repo.Name), Base: s.Base, Head: s.Head, Pull: s.Pull, Default: repo.DefaultBranch,
		IsDefault: s.Default, FromBase: s.Source != "push",
		Token:    c.GitToken,
		Fallback: func(ctx context.Context) (string, []byte, error) { return r.organisationPolicy(ctx, c, repo) },
	}
	switch {
	case j.FromBase, s.Compared == "":
	case s.Compared == store.Nothing:
		j.Base, j.IsDefault = "", true
	default:
		j.Base = s.Compared
	}
	return j
}

// unscanned decides what becomes of a scan that could not be made. After a few tries,
// or when it takes too long, its check says so: it must not stay in progress for ever,
// and never pass.
func (r *Runner) unscanned(ctx context.Context, s *store.Scan, repo *store.Repository, attempt int, cause error) error {
	ctx, cancel, late := overtime(ctx, r.Timeout)
	defer cancel()
	if _, wait := github.Wait(cause); wait || ctx.Err() != nil || ended(cause) {
		return cause
	}
	if late != nil {
		cause = late
	}
	if said := cause.Error(); errors.Is(cause, scan.ErrTokenRefused) || strings.Contains(said, "not found") || strings.Contains(said, "404") || strings.Contains(said, "403") || strings.Contains(said, "301") || strings.Contains(said, "redirect") {
		if err := r.refresh(ctx, repo); err != nil {
			return err
		}
	}
	large := errors.Is(cause, scan.ErrTooLarge)
	if attempt < tries && !large && late == nil {
		return cause
	}
	if s.Result == nil || !s.Result.Unscanned {
		result := r.notScanned(s, cause.Error())
		var over *scanner.BudgetError
		if errors.As(cause, &over) {
			result.Title += ": " + over.Error()
			result.Summary = "### Keyward could not scan this\n\n" + report.Code(r.Guard.String(cause.Error())) +
				"\n\nThis is not a pass. Keyward does not retry, as the result would be the same. Push fewer files at a time.\n"
		}
		if err := r.finish(ctx, s, result); err != nil {
			return err
		}
		if err := r.tellSoon(ctx, s.Installation); err != nil {
			return err
		}
	}
	if large {
		return river.JobCancel(cause)
	}
	return cause
}

// notScanned is what the check of a scan says that could not be made.
func (r *Runner) notScanned(s *store.Scan, why string) *store.Result {
	return &store.Result{Conclusion: "failure", Title: "Not scanned", Head: s.Head, Unscanned: true,
		Summary: "### Keyward could not scan this\n\n" + report.Code(r.Guard.String(why)) + "\n\nThis is not a pass. Keyward retries for some hours. Re-run the check once the reason is fixed.\n"}
}

// repositoryFrom is a repository as GitHub's API tells of it.
func (r *Runner) repositoryFrom(now *gh.Repository, installation int64) *store.Repository {
	owner, name, _ := strings.Cut(now.GetFullName(), "/")
	return &store.Repository{ID: now.GetID(), Installation: installation, Owner: owner, Name: name, Public: !now.GetPrivate() && now.GetVisibility() != "internal",
		Archived: now.GetArchived(), DefaultBranch: webhook.BranchName(r.Guard, now.GetDefaultBranch())}
}

// keep records the keys that a scan found, and makes what the check says.
func (r *Runner) keep(ctx context.Context, s *store.Scan, repo *store.Repository, res *scan.Result) (*store.Result, error) {
	state := store.StateOpen
	if s.Fork { // anybody can open one: it must not make us open issues
		state = store.StateQuiet
	}
	nameless(res)
	if err := r.recognise(ctx, repo.Installation, res.Keys, res.Known); err != nil {
		return nil, err
	}
	kept := mostSevere(res)
	list := r.credentials(kept, res.Policy.App, state)
	if s.Fork { // when its commits are merged, the key is pushed
		for i := range list {
			list[i].Commits = nil
		}
		var err error
		if list, err = r.fromOutside(ctx, repo, list); err != nil {
			return nil, err
		}
	}
	if !s.Fork {
		if err := r.returned(ctx, s, list); err != nil {
			return nil, err
		}
	}
	changes, err := r.Store.Record(ctx, repo.ID, list)
	if err != nil {
		return nil, err
	}
	if s.Default && res.Broken == "" {
		if err := r.settle(ctx, repo, res); err != nil {
			return nil, err
		}
	}
	dismissed := map[string]bool{}
	for _, change := range changes {
		if change.State != store.StateDismissed {
			continue
		}
		l, err := r.Keeper.Life(ctx, repo.Installation, change.Fingerprint) // what the row says of it is no proof
		if err != nil && !errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrForged) {
			return nil, err
		}
		dismissed[change.Fingerprint] = err == nil && l.State == life.FalsePositive
	}
	var keys []*scanner.Key
	for _, k := range kept {
		if dismissed[k.Fingerprint] {
			k.Known = &scanner.Known{By: "policy", Where: "the App", Reason: "people said that it is no key"}
			res.Known = append(res.Known, k)
			continue
		}
		keys = append(keys, k)
	}
	res.Keys = keys
	result, err := r.result(s, repo, res)
	if err != nil || len(res.Removed) == 0 {
		return result, err
	}
	said, err := r.takenOut(ctx, s, res.Removed)
	result.Summary = cut(said+result.Summary, maxSummary)
	if said != "" && len(keys) == 0 && result.Conclusion == "success" {
		result.Title = "A key is taken out that is not proved dead"
	}
	return result, err
}

// outsiderFindings is how many findings are stored of what people from outside write or
// propose in a repository in a day. The check of a pull request counts all of them.
const outsiderFindings = 200

// maxStored is how many findings of one scan are stored.
const maxStored = 1000

// mostSevere returns the findings of a scan that are stored: the most severe and, among
// these, the most confident. If there are more, the scan is not complete.
func mostSevere(res *scan.Result) []*scanner.Key {
	if len(res.Keys) <= maxStored {
		return res.Keys
	}
	keys := slices.Clone(res.Keys) // the most severe first
	slices.SortStableFunc(keys, func(a, b *scanner.Key) int {
		switch {
		case a.Severity == b.Severity:
			return cmp.Compare(b.Confidence, a.Confidence)
		case a.Severity.AtLeast(b.Severity):
			return -1
		}
		return 1
	})
	res.Coverage.Gaps = append(res.Coverage.Gaps, scanner.Gap{Reason: fmt.Sprintf("%d more findings not stored: Keyward stores the %d most severe of a scan", len(keys)-maxStored, maxStored)})
	return keys[:maxStored]
}

// endedStates are the states of keys that are opened again when they are pushed again.
var endedStates = []string{string(life.Dead), string(life.Closed), string(life.Unproved), string(life.AcceptedRisk)}

// returned opens the lives of keys again that were over and came back: by a commit that was
// not known to bring them. A pull request is scanned from its base with each push, and what
// is merged or re-run was there before. It comes before the commits are noted, so that a
// process that ends in between loses nothing.
func (r *Runner) returned(ctx context.Context, s *store.Scan, list []store.Credential) error {
	byPrint := map[string]*store.Credential{}
	prints := make([]string, 0, len(list))
	for i := range list {
		byPrint[list[i].Fingerprint] = &list[i]
		prints = append(prints, list[i].Fingerprint)
	}
	over, err := r.Store.InState(ctx, s.Installation, prints, endedStates)
	if err != nil {
		return err
	}
	for _, fp := range over {
		fresh, err := r.Store.NewCommit(ctx, s.Installation, s.Repository, fp, byPrint[fp].Commits)
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		if _, _, err := r.Keeper.Happen(ctx, s.Installation, fp, life.Event{Kind: life.Again, Actor: life.Actor{System: true}}, store.Source{Kind: store.FromScan, ID: s.ID}); err != nil {
			return err
		}
	}
	return nil
}

// settle lets the keys that have no issue know of a policy that may be new: it may name
// a tracker. That of the organisation holds for all repositories that have none.
func (r *Runner) settle(ctx context.Context, repo *store.Repository, res *scan.Result) error {
	n, err := r.Store.Settle(ctx, repo.Installation, repo.ID, res.Policy.App)
	if err == nil && repo.Name == ".github" {
		var more int64
		more, err = r.Store.Settle(ctx, repo.Installation, 0, res.Policy.App)
		n += more
	}
	if err != nil || n == 0 {
		return err
	}
	return r.tellSoon(ctx, repo.Installation)
}

// nameless takes the names of people out of a result: the commit says who it was to
// those who may see it, and the database keeps no names.
func nameless(res *scan.Result) {
	for _, k := range slices.Concat(res.Keys, res.Known) {
		if k.First != nil {
			k.First = &scanner.Commit{ID: k.First.ID, Date: k.First.Date}
		}
	}
}

// recognise gives findings that an installation has credentials of under a former pepper the
// fingerprint of these: a credential keeps its identity when the pepper is replaced.
func (r *Runner) recognise(ctx context.Context, installation int64, lists ...[]*scanner.Key) error {
	keys := slices.Concat(lists...)
	var former []string
	for _, k := range keys {
		former = append(former, k.Former...)
	}
	if len(former) == 0 {
		return nil
	}
	known, err := r.Store.Recognised(ctx, installation, former)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if i := slices.IndexFunc(k.Former, func(fp string) bool { return known[fp] }); i >= 0 {
			k.Fingerprint = k.Former[i]
		}
	}
	return nil
}

// credentials are keys as the store keeps them. Paths are cleaned: a key may stand in one.
func (r *Runner) credentials(keys []*scanner.Key, settings policy.App, state store.State) (out []store.Credential) {
	const maxPlaces = 200
	for _, k := range keys {
		c := store.Credential{Fingerprint: k.Fingerprint, Rule: k.Rule.ID, Severity: k.Severity, Redacted: k.Redacted, Confidence: k.Confidence, Expires: k.Expires, Settings: settings, State: state}
		for _, f := range k.Facts {
			c.Facts = append(c.Facts, scanner.Fact{Name: f.Name, Value: r.Guard.String(f.Value)})
		}
		if least := settings.Issues; state == store.StateOpen && least != "" && (least == "none" || !k.Severity.AtLeast(scanner.Severity(least))) {
			c.State = store.StateQuiet
		}
		c.Commits = k.Commits
		if k.First != nil {
			c.FirstCommit, c.FirstAt = k.First.ID, k.First.Date
		}
		for i, p := range k.Places {
			if i == maxPlaces {
				break
			}
			place := store.Place{Path: r.Guard.String(p.Path), Line: p.Line, Col: p.Col, Blob: p.Blob, Decoded: p.Decoded, InTest: p.InTest}
			if p.Commit != nil {
				place.Commit = p.Commit.ID
			}
			c.Places = append(c.Places, place)
		}
		out = append(out, c)
	}
	return out
}
