package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/policy"
)

const fingerprint = "4be0a1bc7fe3b0c1fe77f11f1d0bde3aa21c02219a545cf44a921e7447a0c838"

// newKeeper returns a keeper with a clock and one credential that was found.
func newKeeper(t *testing.T) (*Keeper, *time.Time) {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "keyward.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		s.PutInstallation(ctx, &store.Installation{ID: 1, Account: "acme", AccountID: 7}),
		s.PutRepository(ctx, &store.Repository{ID: 2, Installation: 1, Owner: "acme", Name: "widgets"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Record(ctx, 2, []store.Credential{{Fingerprint: fingerprint, Rule: "gitlab-pat", Severity: "critical", State: store.StateOpen, Settings: policy.App{},
		Places: []store.Place{{Path: "a.env", Line: 1}}}}); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	k := &Keeper{Store: s, Peppers: Peppers{[]byte("a fake pepper of the tests")}, Now: func() time.Time { return now }}
	cred, err := s.Credential(ctx, 1, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Begin(ctx, cred); err != nil {
		t.Fatal(err)
	}
	return k, &now
}

func (k *Keeper) system(t *testing.T, e life.Event) life.Life {
	t.Helper()
	e.Actor = system
	l, _, err := k.Happen(context.Background(), 1, fingerprint, e, store.Source{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (k *Keeper) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := k.Store.DB.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

// forged is the life of the credential with a change, as somebody writes it who can write to
// the database and has no pepper.
func (k *Keeper) forge(t *testing.T, change func(*life.Life)) {
	t.Helper()
	l, err := k.Life(context.Background(), 1, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	change(&l)
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	k.exec(t, "UPDATE life SET life = ?, state = ?", string(text), string(l.State))
}

// TestForgedState: a state that was changed in the database leads to nothing: no event
// happens to it, nothing is closed, and ledger verify names it.
func TestForgedState(t *testing.T) {
	for name, change := range map[string]func(l *life.Life){
		"revoked":        func(l *life.Life) { l.State, l.Ended = life.Revoked, &life.Fact{What: "x", At: l.Start} },
		"checks":         func(l *life.Life) { l.Checks = []time.Time{l.Start, l.Start.Add(2 * time.Hour)} },
		"verified dead":  func(l *life.Life) { l.State = life.Dead },
		"closed":         func(l *life.Life) { l.State = life.Closed },
		"removed":        func(l *life.Life) { l.Removed = &life.Fact{What: "x", At: l.Start} },
		"off the branch": func(l *life.Life) { no := false; l.AtHead = &no },
		"false positive": func(l *life.Life) {
			l.State, l.Waiver = life.FalsePositive, &life.Waiver{By: "eve", Until: l.Start.AddDate(1, 0, 0)}
		},
	} {
		for _, seal := range []string{"as it is", "taken off"} {
			t.Run(name+", its MAC "+seal, func(t *testing.T) {
				ctx := context.Background()
				k, _ := newKeeper(t)
				k.forge(t, change)
				if seal == "taken off" { // as the release before this one wrote
					k.exec(t, "UPDATE life SET mac = '', key_id = '', seq = 0")
				}
				if _, err := k.Life(ctx, 1, fingerprint); !errors.Is(err, store.ErrForged) {
					t.Errorf("its life: %v, want ErrForged", err)
				}
				if _, _, err := k.Happen(ctx, 1, fingerprint, life.Event{Kind: life.Tick, Actor: system}, store.Source{}); !errors.Is(err, store.ErrForged) {
					t.Errorf("time went on: %v, want ErrForged", err)
				}
				_, forged, err := k.Store.VerifyLedger(ctx, k.seal())
				if err != nil || len(forged) != 1 || !strings.Contains(forged[0].Problem, fingerprint[:12]) {
					t.Errorf("ledger verify: %v %v, want one problem", forged, err)
				}
			})
		}
	}
}

// TestUnprovedWords: an order or a request that no MAC covers is nobody's word. It is taken
// out of a state that the release before may have written.
func TestUnprovedWords(t *testing.T) {
	for _, mac := range []string{"", "00ff"} {
		k, now := newKeeper(t)
		k.forge(t, func(l *life.Life) {
			word := &life.Waiver{By: "eve", ByID: 1, Second: "eve2", SecondID: 2, Until: now.AddDate(1, 0, 0)}
			l.Order, l.Asked, l.Waiver, l.Listed = word, word, word, "acme/widgets 1 SHA256:x"
		})
		k.exec(t, "UPDATE life SET mac = ?", mac)
		l, err := k.Life(context.Background(), 1, fingerprint)
		if err != nil || l.Order != nil || l.Asked != nil || l.Waiver != nil || l.Listed != "" {
			t.Errorf("MAC %q: %+v %v", mac, l, err)
		}
		k.system(t, life.Event{Kind: life.Head, Yes: true}) // seals what is left
		if l, err = k.Life(context.Background(), 1, fingerprint); err != nil || l.Order != nil || l.Asked != nil {
			t.Errorf("MAC %q, sealed: %+v %v", mac, l, err)
		}
	}
}

// TestLostState: the state of a key with records cannot be deleted: it does not begin anew,
// its issue is not closed, and ledger verify names it.
func TestLostState(t *testing.T) {
	ctx := context.Background()
	k, _ := newKeeper(t)
	cred, err := k.Store.Credential(ctx, 1, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	k.exec(t, "DELETE FROM life")
	if _, err := k.Begin(ctx, cred); !errors.Is(err, store.ErrForged) {
		t.Errorf("begins anew: %v, want ErrForged", err)
	}
	if _, err := k.Life(ctx, 1, fingerprint); !errors.Is(err, store.ErrForged) {
		t.Errorf("its life: %v, want ErrForged", err)
	}
	_, forged, err := k.Store.VerifyLedger(ctx, k.seal())
	if err != nil || len(forged) != 1 || !strings.Contains(forged[0].Problem, "no state") {
		t.Errorf("ledger verify: %v %v, want one problem", forged, err)
	}
}

// TestOldState: a state that an older one, with its own right MAC, was put in the place of
// is forged; one that the release before wrote, which sealed nothing, is taken and sealed.
func TestOldState(t *testing.T) {
	ctx := context.Background()
	k, now := newKeeper(t)
	var text, state, key, mac string
	var seq int64
	if err := k.Store.DB.QueryRow("SELECT life, state, seq, key_id, mac FROM life").Scan(&text, &state, &seq, &key, &mac); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(time.Hour)
	k.system(t, life.Event{Kind: life.Check, Verdict: life.Active, Text: "answered 200"})
	k.exec(t, "UPDATE life SET mac = '', key_id = '', seq = 0") // as the release before has it
	k.system(t, life.Event{Kind: life.Head, Yes: true})
	if _, forged, err := k.Store.VerifyLedger(ctx, k.seal()); err != nil || len(forged) > 0 {
		t.Errorf("a state of the release before: %v %v", forged, err)
	}
	*now = now.Add(time.Hour)
	k.system(t, life.Event{Kind: life.Check, Verdict: life.Inactive, Text: "answered 401"})
	k.exec(t, "UPDATE life SET life = ?, state = ?, seq = ?, key_id = ?, mac = ?", text, state, seq, key, mac)
	if _, err := k.Life(ctx, 1, fingerprint); !errors.Is(err, store.ErrForged) {
		t.Errorf("an older state: %v, want ErrForged", err)
	}
}

// TestReceiptNeedsProof: there is no receipt unless the records prove what it states.
func TestReceiptNeedsProof(t *testing.T) {
	ctx := context.Background()
	k, now := newKeeper(t)
	receipt := func() (*Receipt, error) {
		cred, err := k.Store.Credential(ctx, 1, fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		records, err := k.Store.Proven(ctx, k.seal(), 1, fingerprint)
		if err != nil {
			return nil, err
		}
		return NewReceipt(k.Peppers, cred, records)
	}
	k.system(t, life.Event{Kind: life.Head, Yes: false})
	for range 2 {
		*now = now.Add(2 * time.Hour)
		k.system(t, life.Event{Kind: life.Check, Verdict: life.Inactive, Text: "answered 401"})
	}
	r, err := receipt()
	if err != nil || len(r.Proof) < 3 {
		t.Fatalf("%+v %v, want a receipt with three facts", r, err)
	}
	// Without its checks, and with records whose MACs are right, there is none.
	cred, _ := k.Store.Credential(ctx, 1, fingerprint)
	records, _ := k.Store.Proven(ctx, k.seal(), 1, fingerprint)
	var some []store.Record
	for _, rec := range records {
		if life.Kind(rec.Event) != life.Check || rec.From != rec.To {
			some = append(some, rec)
		}
	}
	if r, err := NewReceipt(k.Peppers, cred, some); !errors.Is(err, ErrUnproved) {
		t.Errorf("without checks: %+v %v, want ErrUnproved", r, err)
	}
	k.exec(t, "UPDATE ledger SET detail = 'a check says inactive: answered 418' WHERE seq = 4")
	if r, err := receipt(); !errors.Is(err, store.ErrForged) {
		t.Errorf("with a changed record: %+v %v, want ErrForged", r, err)
	}
}
