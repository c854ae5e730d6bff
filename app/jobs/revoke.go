package jobs

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/riverqueue/river"

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
	Ways     map[string]*verify.Revocation // by rule
	Allowed  []string                      // rules, classes, or all; others are a dry run
}

// allows reports whether keys of a rule may be revoked.
func (v *Revoking) allows(rule, class string) bool {
	return slices.Contains(v.Allowed, "all") || slices.Contains(v.Allowed, rule) || class != "" && slices.Contains(v.Allowed, class)
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
	way := r.Revoking.Ways[cred.Rule]
	if way == nil {
		return "", life.Refusal("keys of this kind can not be ended by themselves: the issue says how to revoke it")
	}
	class := ""
	if rule := r.Keeper.Rules[cred.Rule]; rule != nil {
		class = string(rule.Class)
	}
	if !r.Revoking.allows(cred.Rule, class) {
		return fmt.Sprintf("a dry run: %s would end it. It is not sent, as KEYWARD_REVOKE names neither %s nor %s", report.Code(way.Request()), report.Code(cred.Rule), report.Code(class)), nil
	}
	code := r.code(a.rot, r.Keeper.Time())
	if a.cmd.Rest == "" {
		return fmt.Sprintf("%s ends the key for all who use it, at once and for good. Nothing is sent yet: two people have to comment %s", report.Code(way.Request()), report.Code("/revoke "+code)), nil
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
	source := fmt.Sprintf(rotation.BySource+"%d, line %d)", a.comment, a.cmd.Line)
	answer, err := r.happened(ctx, a.rot, source)
	if err != nil {
		return "", err
	}
	if answer == "" {
		_, steps, err := r.Keeper.Happen(ctx, a.rot.Installation, a.rot.Fingerprint, life.Event{Kind: life.Order, Actor: a.by}, source)
		if err != nil {
			return "", err
		}
		answer = life.Answer(steps)
	}
	course, err := r.Store.Course(ctx, a.rot.Installation, a.rot.Fingerprint)
	if err != nil {
		return "", err
	}
	l, err := rotation.Life(course)
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
	course, err := r.Store.Course(ctx, a.Installation, a.Fingerprint)
	if err != nil {
		return err
	}
	l, err := rotation.Life(course)
	if err != nil || l.Order == nil || !l.Order.Until.Equal(a.Order) || !l.State.Works() {
		return err // it is over, or came back since
	}
	seen, err := r.sight(ctx, cred, true)
	defer clear(seen.text)
	if err != nil {
		return err
	}
	if !r.Keeper.Time().Before(a.Order) {
		return r.unrevoked(ctx, a, "The order to revoke the key was not sent within "+life.OrderFor.String()+", and is void")
	}
	way := r.Revoking.Ways[cred.Rule]
	why, err := "", errors.New("its text can not be read again from where it was found")
	if seen.text != nil && way != nil {
		why, err = r.Revoking.Verifier.Revoke(ctx, way, seen.text)
	}
	log.Info("revocation sent", "key", a.Fingerprint[:12], "rule", cred.Rule, "done", err == nil)
	switch {
	case err == nil && way.Taken:
		err = r.unrevoked(ctx, a, "The order to revoke the key is taken ("+report.Code(why)+"). Whether it was carried out, a check has to say")
		if err != nil {
			return err
		}
	case err == nil:
		if _, _, err := r.Keeper.Happen(ctx, a.Installation, a.Fingerprint, life.Event{Kind: life.End, Actor: life.Actor{System: true}, Text: "revoked through its provider: " + why}, ""); err != nil {
			return err
		}
	default:
		if err := r.unrevoked(ctx, a, "The key's provider did not say that it is revoked: "+report.Code(r.Guard.String(err.Error()))); err != nil {
			return err
		}
	}
	if err := r.Store.LookAt(ctx, a.Installation, a.Fingerprint, r.Keeper.Time()); err != nil {
		return err
	}
	return errors.Join(r.lookSoon(ctx, a.Installation), r.tellSoon(ctx, a.Installation))
}

// unrevoked says in the issue what became of an order that did not, or not surely, revoke
// the key.
func (r *Runner) unrevoked(ctx context.Context, a *RevokeArgs, what string) error {
	repo, err := r.Store.Repository(ctx, a.Repository)
	if err != nil {
		return err
	}
	return r.say(ctx, r.GitHub.Installation(a.Installation), repo, a.Number, "revoke", fmt.Sprint(a.Fingerprint, a.Order.UnixMilli()),
		what+". If the key is not found inactive soon, revoke it by hand, as the issue says.\n")
}
