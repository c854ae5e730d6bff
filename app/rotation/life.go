package rotation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
)

// seal is that of the keeper's peppers.
func (k *Keeper) seal() *store.Seal { return k.Peppers.Seal() }

// Life returns the life of a key, or store.ErrGone; store.ErrForged if it was changed
// outside Keyward.
func (k *Keeper) Life(ctx context.Context, installation int64, fingerprint string) (life.Life, error) {
	c, err := k.Store.Course(ctx, k.seal(), installation, fingerprint)
	if err != nil {
		return life.Life{}, err
	}
	return Life(c)
}

// system is who causes what becomes known.
var system = life.Actor{System: true}

// Time is the time by which keys live.
func (k *Keeper) Time() time.Time {
	if k.Now != nil {
		return k.Now()
	}
	return k.Store.Now()
}

// Begin notes that a key was found and has to be rotated, unless that is noted already,
// and returns its life.
func (k *Keeper) Begin(ctx context.Context, cred *store.Credential) (l life.Life, err error) {
	err = k.Store.Proceed(ctx, k.seal(), cred.Installation, cred.Fingerprint, func(old string) (store.Course, []store.Record, error) {
		if old != "" {
			c, begun, err := decode(old)
			l = begun
			return c, nil, err
		}
		tier := scanner.T2
		if rule := k.Rules[cred.Rule]; rule != nil {
			tier = rule.Tier
		}
		found := cred.Detected
		if k.Now != nil { // the store goes by the machine's clock
			found = k.Time()
		}
		l = life.Begin(found, cred.Severity, tier, !cred.PublicSince.IsZero(), life.Clock{By: cred.Settings.Due, BusinessHours: cred.Settings.BusinessHours})
		l.OldID, l.Rule, l.Repositories = publicID(cred.Facts), cred.Rule, repositoriesOf(cred)
		c, err := encode(&l)
		return c, []store.Record{{At: k.Time(), Event: "found", Actor: keyward, To: string(l.State), Detail: fmt.Sprintf("%s of rule %s, %s", cred.Redacted, cred.Rule, cred.Severity)}}, err
	})
	return l, err
}

// repositoriesOf are the repositories in whose files a credential was found, in order.
func repositoriesOf(cred *store.Credential) (ids []int64) {
	for i := range cred.Places {
		if cred.Places[i].URL == "" {
			ids = append(ids, cred.Places[i].Repository)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// spread notes in the life of a credential where it was found since, so that a look cannot
// miss a repository whose places are gone from the database. A credential whose rule is not
// the one that its life began with is store.ErrForged: it would be sent to another provider.
func (k *Keeper) spread(ctx context.Context, cred *store.Credential, l life.Life) (life.Life, error) {
	if err := Same(cred, &l); err != nil {
		return l, err
	}
	more := slices.DeleteFunc(repositoriesOf(cred), func(id int64) bool { return slices.Contains(l.Repositories, id) })
	if len(more) == 0 && l.Rule != "" {
		return l, nil
	}
	l, _, err := k.Happen(ctx, cred.Installation, cred.Fingerprint, life.Event{Kind: life.Spread, Text: cred.Rule, Repositories: more, Actor: system}, store.Source{})
	return l, err
}

// Same returns store.ErrForged if a credential is of another rule than its life.
func Same(cred *store.Credential, l *life.Life) error {
	if l.Rule != "" && l.Rule != cred.Rule {
		return fmt.Errorf("rule of credential %.12s: %w", cred.Fingerprint, store.ErrForged)
	}
	return nil
}

// keyward is the actor of what nobody did.
const keyward = "keyward"

// Happen lets an event happen to a key. It returns its life after that, and the steps
// that it took; a [life.Refusal] if the event was refused; [store.ErrHappened] if the source
// stands for something that happens once, and the ledger has it.
func (k *Keeper) Happen(ctx context.Context, installation int64, fingerprint string, e life.Event, source store.Source) (l life.Life, steps []life.Step, err error) {
	if e.At.IsZero() {
		e.At = k.Time()
	}
	err = k.Store.Proceed(ctx, k.seal(), installation, fingerprint, func(old string) (store.Course, []store.Record, error) {
		if old == "" {
			return store.Course{}, nil, store.ErrGone
		}
		_, before, err := decode(old)
		if err != nil {
			return store.Course{}, nil, err
		}
		if l, steps, err = before.Apply(e); err != nil {
			return store.Course{}, nil, err
		}
		c, err := encode(&l)
		c.Looked = e.Kind == life.Head || e.Kind == life.Check || e.Kind == life.Remove
		if e.Kind == life.Tick && !c.Wake.IsZero() && !c.Wake.After(e.At) {
			c.Wake = e.At.Add(time.Hour) // other things are missing
		}
		return c, records(&e, &before, &l, steps, source), err
	})
	return l, steps, err
}

// publicID is the id by which a key's provider knows it, "" if it is not to be seen in the
// key or beside it.
func publicID(facts []scanner.Fact) string {
	for _, name := range []string{"key_id", "access_key_id", "private_key_id", "access_id", "jti", "kid", "ssh_fingerprint"} {
		for _, f := range facts {
			if f.Name == name {
				return f.Value
			}
		}
	}
	return ""
}

// reminder is what the ledger's events begin with that tell of a reminder.
const reminder = "reminder "

// records are what the ledger says of an event.
func records(e *life.Event, before, after *life.Life, steps []life.Step, source store.Source) (out []store.Record) {
	actor := e.Actor.Login
	if e.Actor.System {
		actor = keyward
	}
	if !e.Kind.ByPeople() && e.Kind != life.Tick && changed(before, after) { // the fact, and then what it led to
		out = append(out, store.Record{At: e.At, Event: string(e.Kind), Actor: actor, From: string(before.State), To: string(before.State), Detail: said(e) + source.Suffix(), Source: source, Fact: fact(e), Due: before.Due()})
	}
	for _, s := range steps {
		r := store.Record{At: e.At, Event: string(e.Kind), Actor: actor, ActorID: e.Actor.ID, From: string(s.From), To: string(s.To), Detail: s.Why + source.Suffix(), Source: source, Due: before.Due()}
		if s.Remind > 0 {
			r.Event = fmt.Sprint(reminder, s.Remind)
		}
		out = append(out, r)
	}
	return out
}

// changed reports whether anything else than the time of a look is new.
func changed(before, after *life.Life) bool {
	a, b := *before, *after
	a.Looked, a.Answer, b.Looked, b.Answer = time.Time{}, "", time.Time{}, ""
	was, err := json.Marshal(a)
	is, err2 := json.Marshal(b)
	return err != nil || err2 != nil || string(was) != string(is)
}

// What the ledger says of the default branches.
const (
	atHead       = "a default branch has it"
	goneFromHead = "it is gone from the default branches"
)

// said is a fact in words.
func said(e *life.Event) string {
	switch e.Kind {
	case life.Check:
		return "a check says " + string(e.Verdict) + ": " + e.Text
	case life.Head:
		if e.Yes {
			return atHead
		}
		return goneFromHead
	case life.Publish:
		return "it stands where everybody can read it"
	case life.Again:
		return "it was pushed again"
	case life.Deleted:
		return "a repository that it was found in was deleted"
	case life.Spread:
		return fmt.Sprintf("%s, found in the files of %s", e.Text, plural(len(e.Repositories), "more repository", "more repositories"))
	}
	return strings.TrimSpace(string(e.Kind) + " " + e.Text)
}

// Wake lets time go by for the keys that it changes, and returns their installations.
func (k *Keeper) Wake(ctx context.Context) (installations []int64, err error) {
	const atOnce = 500
	seen := map[int64]bool{}
	list, err := k.Store.Waking(ctx, k.Time(), atOnce)
	for i := range list {
		c := &list[i]
		if _, _, err := k.Happen(ctx, c.Installation, c.Fingerprint, life.Event{Kind: life.Tick, Actor: system}, store.Source{}); err != nil {
			return installations, err
		}
		if !seen[c.Installation] {
			seen[c.Installation] = true
			installations = append(installations, c.Installation)
		}
	}
	return installations, err
}

// lifeVersion is the version of the form in which lives are stored.
const lifeVersion = 1

func encode(l *life.Life) (store.Course, error) {
	stored := *l
	stored.Version = lifeVersion
	text, err := json.Marshal(&stored)
	c := store.Course{State: string(l.State), Due: l.Due(), Wake: l.Wake(), Look: l.Look(), Life: string(text)}
	if l.State == life.FalsePositive {
		c.Dismissed = "not a key, says " + l.Waiver.By
	}
	return c, err
}

func decode(text string) (store.Course, life.Life, error) {
	var l life.Life
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return store.Course{}, l, fmt.Errorf("the life of the key can not be read: %w", err)
	}
	if err := store.NewerThan("the life of the key", l.Version, lifeVersion); err != nil {
		return store.Course{}, l, err
	}
	c, err := encode(&l)
	c.Life = text
	return c, l, err
}

// Life returns the life of a key as it stands in the store.
func Life(c *store.Course) (life.Life, error) {
	_, l, err := decode(c.Life)
	return l, err
}
