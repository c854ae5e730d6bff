package jobs

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/report"
	"github.com/keyward/keyward/scanner/verify"
)

// RevokeArgs has the provider of a key end it, as two people ordered. Order is the time
// until which the order held: one order is followed once.
type RevokeArgs struct {
	Installation int64     `json:"installation"`
	Fingerprint  string    `json:"fingerprint"`
	Order        time.Time `json:"order"`
	Repository   int64     `json:"repository"` // of the issue
	Number       int       `json:"number"`
}

// Kind names the job.
func (RevokeArgs) Kind() string { return "revoke" }

// Revoking says which keys may be ended by their providers, and how.
type Revoking struct {
	Verifier *verify.Verifier
	Ways     verify.Revocations
	Allowed  []string // rules, classes, or all; others are a dry run
}

// allows reports whether keys of any of the kinds may be revoked.
func (v *Revoking) allows(kinds []string) bool {
	return slices.ContainsFunc(append(kinds, "all"), func(k string) bool { return slices.Contains(v.Allowed, k) })
}

// A way is how a key is ended.
type way struct {
	does    string    // if it does not end the key for everybody
	request string    // in words, without the key
	kinds   []string  // any of them has to be allowed
	text    bool      // the key itself is needed
	ends    life.Kind // what is known when it is done
	send    func(ctx context.Context, key *verify.Credential) (verify.Revoked, error)
}

// wayOf is how a key can be ended, nil if there is none. A refusal says why there is none
// just now.
func (r *Runner) wayOf(ctx context.Context, cred *store.Credential) (*way, error) {
	if cred.Rule == fineGrained && slices.Contains(r.Revoking.Allowed, tokenGrant) {
		return r.grantWay(ctx, cred)
	}
	v := r.Revoking.Ways.For(cred.Rule, nil)
	if v == nil {
		return r.deployKeyWay(ctx, cred)
	}
	w := &way{request: strings.Join(v.Requests(), ", then "), does: v.Does, kinds: []string{cred.Rule}, text: true, ends: life.End, send: func(ctx context.Context, key *verify.Credential) (verify.Revoked, error) {
		fits := r.Revoking.Ways.For(cred.Rule, key) // which form the value has is known only now
		if fits == nil {
			return verify.Revoked{}, errors.New("not sent: no revocation fits the form of this value, or a value that it needs does not stand beside it")
		}
		return r.Revoking.Verifier.Revoke(ctx, fits, key)
	}}
	if rule := r.Keeper.Rules[cred.Rule]; rule != nil && rule.Class != "" {
		w.kinds = append(w.kinds, string(rule.Class))
	}
	return w, nil
}

// revoke does what /revoke asks for. Alone it says what would be sent; with the code that
// it told, two people order it.
func (r *Runner) revoke(ctx context.Context, a *asked) (string, error) {
	if err := a.writer(); err != nil {
		return "", err
	}
	cred, err := r.Store.Credential(ctx, a.rot.Installation, a.rot.Fingerprint)
	if err != nil {
		return "", err
	}
	way, err := r.wayOf(ctx, cred)
	if err != nil {
		return "", err
	}
	if way == nil {
		return "", life.Refusal("keys of this kind can not be ended by themselves: the issue says how to revoke it")
	}
	if !r.Revoking.allows(way.kinds) {
		return fmt.Sprintf("a dry run: %s would end it. It is not sent, as KEYWARD_REVOKE does not name %s", report.Code(way.request), report.Code(strings.Join(way.kinds, " or "))), nil
	}
	code := r.code(a.rot, r.Keeper.Time())
	if a.cmd.Rest == "" {
		does := cmp.Or(way.does, "ends the key for all who use it, at once and for good")
		return fmt.Sprintf("%s %s. Nothing is sent yet: two people have to comment %s", report.Code(way.request), does, report.Code("/revoke "+code)), nil
	}
	yesterday := r.code(a.rot, r.Keeper.Time().Add(-24*time.Hour))
	if subtle.ConstantTimeCompare([]byte(a.cmd.Rest), []byte(code)) != 1 && subtle.ConstantTimeCompare([]byte(a.cmd.Rest), []byte(yesterday)) != 1 {
		return "", life.Refusal("this is not the code: /revoke alone tells it")
	}
	return r.order(ctx, a)
}

// code is what has to be said to have a key revoked; another one each day.
func (r *Runner) code(rot *store.Rotation, at time.Time) string {
	return r.Keeper.Mac("revoke", rot.Installation, rot.Fingerprint+" "+at.UTC().Format(time.DateOnly))[:8]
}

// order notes that somebody wants the key revoked; when a second person does, it is.
func (r *Runner) order(ctx context.Context, a *asked) (string, error) {
	source := store.CommentLine(a.comment, a.cmd.Line)
	answer, steps, err := r.happenOnce(ctx, a.rot, life.Event{Kind: life.Order, Actor: a.by}, source)
	if err != nil {
		return "", err
	}
	if answer == "" {
		answer = life.Answer(steps)
	}
	l, err := r.Keeper.Life(ctx, a.rot.Installation, a.rot.Fingerprint)
	if err != nil {
		return "", err
	}
	if l.Order != nil && l.Order.Second != "" {
		args := RevokeArgs{a.rot.Installation, a.rot.Fingerprint, l.Order.Until, a.repo.ID, a.rot.Number}
		if err := r.insert(ctx, args, &river.InsertOpts{Queue: queueLook, Priority: 1, UniqueOpts: river.UniqueOpts{ByArgs: true}}); err != nil {
			return "", err
		}
	}
	return report.Code(answer), nil
}

// end tells the provider of a key to end it, and the issue what it said. It is asked once:
// if the answer is lost, a check says whether the key is dead.
func (r *Runner) end(ctx context.Context, job *river.Job[RevokeArgs], log *slog.Logger) error {
	a := &job.Args
	cred, err := r.Store.Credential(ctx, a.Installation, a.Fingerprint)
	if err != nil {
		return err
	}
	l, err := r.Keeper.Life(ctx, a.Installation, a.Fingerprint)
	if err != nil || l.Order == nil || l.Order.Second == "" || !l.Order.Until.Equal(a.Order) {
		return err // it came back since, or nobody confirmed it
	}
	if l.State == life.Revoked { // that was noted, but maybe no more
		return r.lookNow(ctx, a.Installation, a.Fingerprint)
	}
	if !l.State.Works() {
		return nil
	}
	if !r.Keeper.Time().Before(a.Order) {
		return r.unrevoked(ctx, a, "The order to revoke the key was not sent within "+life.OrderFor.String()+", and is void")
	}
	if err := rotation.Same(cred, &l); err != nil {
		return err
	}
	way, err := r.wayOf(ctx, cred)
	var refusal life.Refusal
	if err != nil && !errors.As(err, &refusal) {
		return err
	}
	if way == nil || !r.Revoking.allows(way.kinds) {
		return r.unrevoked(ctx, a, "The key can not be revoked any more as it was ordered")
	}
	got, err := r.sent(ctx, cred, way)
	if _, wait := github.Wait(err); err != nil && (wait || ctx.Err() != nil) {
		return err
	}
	log.Info("revocation sent", "key", a.Fingerprint[:12], "rule", cred.Rule, "answer", string(got.Verdict))
	if err := r.noteRevocation(ctx, a, way, got, err); err != nil {
		return err
	}
	return errors.Join(r.lookNow(ctx, a.Installation, a.Fingerprint), r.tellSoon(ctx, a.Installation))
}

// noteRevocation notes what came of an order: only a documented answer ends the key; for
// every other one the issue says what happened, and a check decides.
func (r *Runner) noteRevocation(ctx context.Context, a *RevokeArgs, way *way, got verify.Revoked, err error) error {
	switch {
	case err != nil:
		return r.unrevoked(ctx, a, "The provider did not confirm the revocation: "+report.Code(r.Guard.String(err.Error())))
	case got.Verdict == verify.Done:
		_, _, err := r.Keeper.Happen(ctx, a.Installation, a.Fingerprint, life.Event{Kind: way.ends, Actor: life.Actor{System: true}, Text: "revoked through its provider: " + got.Why}, store.Source{})
		return err
	case got.Verdict == verify.Taken:
		return r.unrevoked(ctx, a, "The provider accepted the order to revoke the credential ("+report.Code(got.Why)+"). A check has to confirm that it was carried out")
	case got.Verdict == verify.Already:
		return r.unrevoked(ctx, a, "The provider does not know the credential any more ("+report.Code(got.Why)+"). A check has to confirm it")
	}
	return r.unrevoked(ctx, a, "The provider did not revoke the credential: "+report.Code(r.Guard.String(got.Why)))
}

// answered is what GitHub answered to a request that ends a key, for which the App needs a
// right. An error that can be waited out stays what it is.
func answered(request, right string, err error) (verify.Revoked, error) {
	if err == nil {
		return verify.Revoked{Verdict: verify.Done, Why: request + " answered 204"}, nil
	}
	if _, wait := github.Wait(err); wait {
		return verify.Revoked{}, err
	}
	if s := github.Status(err); s != 0 {
		return verify.Revoked{}, fmt.Errorf("%s answered %d (the App needs %s: write)", request, s, right)
	}
	return verify.Revoked{}, errors.New(request + ": no answer")
}

// sent sends the order to end a key.
func (r *Runner) sent(ctx context.Context, cred *store.Credential, way *way) (verify.Revoked, error) {
	if !way.text {
		return way.send(ctx, nil)
	}
	seen, err := r.sight(ctx, cred, nil, true)
	defer seen.clear()
	if err != nil {
		return verify.Revoked{}, err
	}
	if seen.value == nil {
		return verify.Revoked{}, errors.New("not sent: the value cannot be read again from where it was found")
	}
	seen.value.Token = r.agentToken(cred.Installation)
	return way.send(ctx, seen.value)
}

// unrevoked says in the issue what became of an order that did not, or not surely, revoke
// the key.
func (r *Runner) unrevoked(ctx context.Context, a *RevokeArgs, what string) error {
	repo, err := r.Store.Repository(ctx, a.Repository)
	if err != nil {
		return err
	}
	return r.say(ctx, r.GitHub.Installation(a.Installation), repo, a.Number, "revoke", fmt.Sprint(a.Fingerprint, a.Order.UnixMilli()),
		what+". If no check finds it inactive soon, revoke it by hand as the issue describes.\n")
}
