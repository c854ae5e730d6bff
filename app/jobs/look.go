package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/verify"
)

// LookArgs looks at the keys of an installation that it is time for: is the key alive,
// if its provider may be asked, and does a default branch still have it?
type LookArgs struct {
	Installation int64 `json:"installation"`
}

// Kind names the job.
func (LookArgs) Kind() string { return "look" }

// How long one job looks before others get their turn, and after how long a key is
// looked at again that could not be.
const (
	lookFor   = 30 * time.Second
	lookLater = time.Hour
	looks     = 100 // keys that are read at once
)

// watch lets time go by for keys. It runs often and does little.
func (r *Runner) watch(ctx context.Context) error {
	woken, err := r.Keeper.Wake(ctx)
	for _, id := range woken {
		err = errors.Join(err, r.tellSoon(ctx, id))
	}
	if err != nil {
		return err
	}
	all, err := r.Store.Installations(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		due, err := r.Store.Looking(ctx, all[i].ID, r.Keeper.Time(), 1)
		if err != nil {
			return err
		}
		if len(due) > 0 {
			if err := r.lookSoon(ctx, all[i].ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookSoon queues the looking for an installation: there is one such job at a time.
func (r *Runner) lookSoon(ctx context.Context, installation int64) error {
	return r.insert(ctx, LookArgs{installation}, &river.InsertOpts{Queue: queueLook, Priority: 2, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: underWay}})
}

// lookNow has a key looked at.
func (r *Runner) lookNow(ctx context.Context, installation int64, fingerprint string) error {
	if err := r.Store.LookAt(ctx, installation, fingerprint, r.Keeper.Time()); err != nil {
		return err
	}
	return r.lookSoon(ctx, installation)
}

// look looks at keys until it is time for none, or the time is up.
func (r *Runner) look(ctx context.Context, job *river.Job[LookArgs], log *slog.Logger) error {
	id := job.Args.Installation
	end := r.Store.Now().Add(lookFor)
	told := false
	for r.Store.Now().Before(end) {
		due, err := r.Store.Looking(ctx, id, r.Keeper.Time(), looks)
		if err != nil {
			return err
		}
		if len(due) == 0 {
			break
		}
		for i := range due {
			if r.Store.Now().After(end) {
				break
			}
			if err := r.lookAt(ctx, id, due[i].Fingerprint, log); err != nil {
				return err
			}
			told = true
		}
	}
	if told {
		return r.tellSoon(ctx, id)
	}
	return nil
}

// lookAt looks at one key. What keeps one from being looked at does not keep the others.
func (r *Runner) lookAt(ctx context.Context, installation int64, fingerprint string, log *slog.Logger) error {
	cred, err := r.Store.Credential(ctx, installation, fingerprint)
	if errors.Is(err, store.ErrGone) { // with its repository
		return r.Store.LookAt(ctx, installation, fingerprint, time.Time{})
	}
	if err != nil {
		return err
	}
	l, err := r.Keeper.Life(ctx, installation, fingerprint)
	if err == nil {
		err = rotation.Same(cred, &l)
	}
	if errors.Is(err, store.ErrForged) { // the other credentials are still rechecked
		return r.unlooked(ctx, cred, err, log)
	}
	if err != nil {
		return err
	}
	seen, err := r.sight(ctx, cred, l.Repositories, r.asks(cred) && l.Asks(r.Keeper.Time()))
	defer seen.clear()
	if err != nil {
		return r.unlooked(ctx, cred, err, log)
	}
	if seen.known || seen.atHead {
		if _, _, err := r.Keeper.Happen(ctx, installation, fingerprint, life.Event{Kind: life.Head, Yes: seen.atHead, Actor: life.Actor{System: true}}, store.Source{}); err != nil {
			return err
		}
	}
	if !l.Asks(r.Keeper.Time()) {
		if seen.known || seen.atHead {
			return nil
		}
		return r.Store.LookAt(ctx, installation, fingerprint, r.Keeper.Time().Add(lookLater))
	}
	e, facts, ok, err := r.listed(ctx, cred, &l)
	if err != nil {
		return r.unlooked(ctx, cred, err, log)
	}
	if err := r.learn(ctx, cred, facts); err != nil {
		return err
	}
	if ok {
		log.Info("key looked for among the deploy keys", "key", fingerprint[:12], "said", string(e.Kind))
		_, _, err = r.Keeper.Happen(ctx, installation, fingerprint, e, store.Source{})
		return err
	}
	verdict := r.ask(ctx, cred, seen.value)
	if verdict.Sent {
		if err := r.Store.AddVerification(ctx, installation, fingerprint, verdict.At, string(verdict.Verdict)); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	with := r.compare(cred.Installation, &l, &verdict)
	log.Info("key looked at", "key", fingerprint[:12], "rule", cred.Rule, "verdict", string(verdict.Verdict), "at_head", seen.atHead)
	if err := r.learn(ctx, cred, verdict.Facts); err != nil {
		return err
	}
	e = checkEvent(&verdict)
	e.With = with
	_, _, err = r.Keeper.Happen(ctx, installation, fingerprint, e, store.Source{})
	return err
}

// compare judges an answer by what was sent with the credential when it was last active. It
// returns what was sent now, in a form that may be stored.
//
// A host that called the credential active and does not know it now is no other host: the
// credential is inactive. But if the values beside it have changed since, its refusal may be
// due to these.
func (r *Runner) compare(installation int64, l *life.Life, v *verify.Result) (with string) {
	if v.With == "" {
		return ""
	}
	macs := r.Keeper.Peppers.Macs("companions", installation, v.With)
	same := slices.Contains(macs, l.ActiveWith)
	switch {
	case v.Verdict == verify.Inactive && l.ActiveWith != "" && !same:
		v.Verdict, v.Why = verify.Unknown, v.Why+"; but it was active with other values beside it, which may be why"
	case v.Elsewhere && (same || l.ActiveWith == "" && l.Validity != life.Unknown && v.With == verify.Alone): // the release before did not store it
		v.Verdict, v.Why = verify.Inactive, "not known any more, and it was"
	}
	return macs[0]
}

// checkEvent is what a check of a provider means for the life of a key.
func checkEvent(v *verify.Result) life.Event {
	return life.Event{Kind: life.Check, Verdict: life.Verdict(v.Verdict), Text: why(v), Actor: life.Actor{System: true}}
}

// unlooked leaves a key that could not be looked at for later.
func (r *Runner) unlooked(ctx context.Context, cred *store.Credential, cause error, log *slog.Logger) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) { // the others would never have their turn
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		defer cancel()
		return errors.Join(cause, r.Store.LookAt(late, cred.Installation, cred.Fingerprint, r.Keeper.Time().Add(lookLater)))
	}
	if _, wait := github.Wait(cause); wait || ctx.Err() != nil || ended(cause) {
		return cause
	}
	log.Warn("key not looked at", "key", cred.Fingerprint[:12], "why", r.Guard.String(cause.Error()))
	return r.Store.LookAt(ctx, cred.Installation, cred.Fingerprint, r.Keeper.Time().Add(lookLater))
}

// learn keeps what a key's provider told of it.
func (r *Runner) learn(ctx context.Context, cred *store.Credential, facts []scanner.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	return r.Store.AddFacts(ctx, cred, facts)
}

// why is what a check says in words.
func why(v *verify.Result) string {
	if v.Request == "" {
		return v.Why
	}
	return v.Request + " " + v.Why
}

// asks reports whether the provider of a key may be asked about it.
func (r *Runner) asks(cred *store.Credential) bool {
	return r.Verifier != nil && len(r.Verifier.Checks[cred.Rule]) > 0 && r.Keeper.Rules[cred.Rule] != nil
}

// ask asks the provider of a key. Without its text, or the permission, nothing is known.
func (r *Runner) ask(ctx context.Context, cred *store.Credential, value *verify.Credential) verify.Result {
	now := r.Keeper.Time()
	switch {
	case r.Verifier == nil:
		return verify.Result{Verdict: verify.Unknown, At: now, Why: "not asked: checks are switched off (KEYWARD_VERIFY)"}
	case !r.asks(cred):
		return verify.Result{Verdict: verify.Unknown, At: now, Why: "no check is known for this kind"}
	case value == nil:
		return verify.Result{Verdict: verify.Unknown, At: now, Why: "not asked: the value cannot be read again from where it was found"}
	}
	value.Token = r.agentToken(cred.Installation)
	return r.Verifier.Verify(ctx, r.Keeper.Rules[cred.Rule], value)
}

// agentToken goes into the user agent of an installation's checks, so that the logs of
// providers tell them from everybody else's use of the key. Nobody else can make it.
func (r *Runner) agentToken(installation int64) string {
	return r.Keeper.Mac("verification", installation, "user agent")
}

// a sight is what is seen of a key in all repositories.
type sight struct {
	known  bool // every repository could be looked into
	atHead bool
	value  *verify.Credential
}

// clear forgets the key.
func (s *sight) clear() {
	if s.value != nil {
		clear(s.value.Value)
	}
}

// sight looks for a key wherever it was found. What was found in a text that is no file
// is not on a branch; it is read from GitHub again. known are the repositories that its life
// says it was found in: if one of them is not among its places, not all can be looked into.
func (r *Runner) sight(ctx context.Context, cred *store.Credential, known []int64, text bool) (s sight, err error) {
	spots := map[int64][]scan.Spot{}
	var order []int64
	for _, p := range cred.Places {
		if p.URL != "" {
			continue
		}
		if spots[p.Repository] == nil {
			order = append(order, p.Repository)
		}
		spots[p.Repository] = append(spots[p.Repository], scan.Spot{Path: p.Path, Commit: p.Commit, Blob: p.Blob})
	}
	unseen, err := r.Store.Unseen(ctx, cred.Installation, cred.Fingerprint)
	if err != nil {
		return s, err
	}
	s.known = !unseen && !slices.ContainsFunc(known, func(id int64) bool { return spots[id] == nil })
	for _, id := range order {
		repo, err := r.Store.Repository(ctx, id)
		if errors.Is(err, store.ErrGone) { // since just now
			s.known = false
			continue
		}
		if err != nil {
			return s, err
		}
		c := r.GitHub.Installation(repo.Installation)
		seen, err := r.Engine.Look(ctx, r.scanJob(c, &store.Scan{Source: "push"}, repo), cred.Fingerprint, spots[id], text && s.value == nil)
		if err != nil {
			return s, fmt.Errorf("look into repository %d: %w", id, err)
		}
		s.known = s.known && seen.Known
		s.atHead = s.atHead || seen.AtHead
		if s.value == nil {
			s.value = seen.Credential
		}
	}
	if text && s.value == nil {
		s.value, err = r.reread(ctx, cred)
	}
	return s, err
}

// reread reads a key again from the text on GitHub that it was found in.
func (r *Runner) reread(ctx context.Context, cred *store.Credential) (*verify.Credential, error) {
	for _, p := range cred.Places {
		origin := p.Origin
		if origin.Kind == "" {
			origin = formerOrigin(&p)
		}
		if origin.Kind == "" {
			continue
		}
		repo, err := r.Store.Repository(ctx, p.Repository)
		if err != nil {
			continue // it is gone
		}
		c := r.GitHub.Installation(repo.Installation)
		if origin.Kind == store.TextWiki {
			key, err := r.Engine.WikiKey(ctx, r.wikiJob(c, repo), origin.Item, cred.Fingerprint)
			if err != nil || key != nil {
				return key, err
			}
			continue
		}
		in, err := read(ctx, c, repo, origin)
		if silent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if key := r.Engine.Read(p.Path, []byte(in.text), cred.Fingerprint); key != nil {
			return key, nil
		}
	}
	return nil, nil
}
