package rotation

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
)

// LedgerKey is the key of the ledger's MACs.
func LedgerKey(pepper []byte) []byte {
	h := hmac.New(sha256.New, pepper)
	h.Write([]byte("keyward ledger"))
	return h.Sum(nil)
}

// Begin notes that a key was found and has to be rotated, unless that is noted already,
// and returns its life, also as the store keeps it.
func (k *Keeper) Begin(ctx context.Context, cred *store.Credential) (l life.Life, c store.Course, err error) {
	err = k.Store.Proceed(ctx, LedgerKey(k.Pepper), cred.Installation, cred.Fingerprint, func(old string) (store.Course, []store.Record, error) {
		if old != "" {
			var err error
			c, l, err = decode(old)
			return c, nil, err
		}
		tier := scanner.T2
		if rule := k.Rules[cred.Rule]; rule != nil {
			tier = rule.Tier
		}
		l = life.Begin(cred.Detected, cred.Severity, string(tier), !cred.PublicSince.IsZero(), life.Clock{By: cred.Settings.Due})
		var err error
		c, err = encode(&l)
		return c, []store.Record{{At: time.Now(), Event: "found", Actor: "keyward", To: string(l.State), Detail: fmt.Sprintf("%s of rule %s, %s", cred.Redacted, cred.Rule, cred.Severity)}}, err
	})
	return l, c, err
}

// Happen lets an event happen to a key. It returns its life after that, and the steps
// that it took; a [life.Refusal] if the event was refused. The ledger's details end with
// source, where the event comes from.
func (k *Keeper) Happen(ctx context.Context, installation int64, fingerprint string, e life.Event, source string) (l life.Life, steps []life.Step, err error) {
	err = k.Store.Proceed(ctx, LedgerKey(k.Pepper), installation, fingerprint, func(old string) (store.Course, []store.Record, error) {
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
		actor := e.Actor.Login
		if e.Actor.System {
			actor = "keyward"
		}
		records := make([]store.Record, 0, len(steps))
		for _, s := range steps {
			records = append(records, store.Record{At: e.At, Event: string(e.Kind), Actor: actor, From: string(s.From), To: string(s.To), Detail: s.Why + source})
		}
		if len(steps) == 0 && e.Kind != life.Tick { // a fact that moves nothing yet is evidence all the same
			records = append(records, store.Record{At: e.At, Event: string(e.Kind), Actor: actor, From: string(l.State), To: string(l.State), Detail: string(e.Verdict) + e.Text + source})
		}
		c, err := encode(&l)
		return c, records, err
	})
	return l, steps, err
}

func encode(l *life.Life) (store.Course, error) {
	text, err := json.Marshal(l)
	return store.Course{State: string(l.State), Due: l.Due(), Life: string(text)}, err
}

func decode(text string) (store.Course, life.Life, error) {
	var l life.Life
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return store.Course{}, l, fmt.Errorf("the life of the key can not be read: %w", err)
	}
	return store.Course{State: string(l.State), Due: l.Due(), Life: text}, l, nil
}

// Validity is what the last check of a key said.
func Validity(c *store.Course) string {
	_, l, err := decode(c.Life)
	if err != nil {
		return string(life.Unknown)
	}
	return string(l.Validity)
}
