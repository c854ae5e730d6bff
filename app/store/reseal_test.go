package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keyward/keyward/app/store"
)

// ring is a seal with several keys, the oldest first.
func ring(keys ...string) *store.Seal {
	s := &store.Seal{Keys: map[string][]byte{}, Restored: func(life string, _ []store.Record) (string, error) { return life, nil }}
	for _, k := range keys {
		s.Order = append(s.Order, k)
		s.Keys[k] = []byte(k)
	}
	return s
}

// note appends one record about a credential.
func note(s *store.Store, seal *store.Seal, inst int64, fp string) error {
	return s.Proceed(context.Background(), seal, inst, fp, func(old string) (store.Course, []store.Record, error) {
		return store.Course{State: "open", Life: old + "x"}, []store.Record{{At: time.Now(), Event: "found", To: "open"}}, nil
	})
}

// TestReseal changes the key of the seals while credentials change, is interrupted, and goes
// on. After the pin the former key proves nothing; before it, all that was written counts.
func TestReseal(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		inst, _ := installed(t, s)
		former, both, after := ring("former"), ring("former", "present"), ring("present")
		good := func(when string, seal *store.Seal) {
			t.Helper()
			if _, forged, err := s.VerifyLedger(ctx, seal); err != nil || len(forged) > 0 {
				t.Errorf("%s: %v %v", when, forged, err)
			}
		}
		for i := range 5 {
			if err := note(s, former, inst, fmt.Sprint("fp", i)); err != nil {
				t.Fatal(err)
			}
		}
		if done, err := s.Pin(ctx, both, inst, time.Now()); err == nil || done {
			t.Error("pinned with states under the former key")
		}
		// Interrupted after two, while a third changes by itself.
		for _, fp := range []string{"fp0", "fp1"} {
			if err := s.Reseal(ctx, both, inst, fp); err != nil {
				t.Fatal(err)
			}
		}
		if err := note(s, both, inst, "fp2"); err != nil {
			t.Fatal(err)
		}
		good("half way", both)
		for _, seal := range []*store.Seal{former, after} {
			if err := note(s, seal, inst, "fp3"); !errors.Is(err, store.ErrPepper) {
				t.Errorf("with one of the keys only: %v", err)
			}
		}
		left, err := s.Unsealed(ctx, both, inst, 100)
		if err != nil || fmt.Sprint(left) != "[fp3 fp4]" {
			t.Fatalf("left %v, %v", left, err)
		}
		for _, fp := range left {
			if err := s.Reseal(ctx, both, inst, fp); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []bool{true, false} {
			if done, err := s.Pin(ctx, both, inst, time.Now()); err != nil || done != want {
				t.Errorf("pinned: %v %v, want %v", done, err, want)
			}
		}
		good("pinned", both)
		if err := note(s, both, inst, "fp3"); err != nil {
			t.Error(err)
		}
		good("after a change", both)

		// The former key, in other hands.
		c, err := s.Course(ctx, both, inst, "fp4")
		if err != nil {
			t.Fatal(err)
		}
		c.State, c.Life = "closed", "forged"
		store.SealWith(former, c)
		if _, err := s.DB.Exec(fmt.Sprintf("UPDATE life SET state = '%s', life = '%s', key_id = '%s', mac = '%s' WHERE fingerprint = 'fp4'", c.State, c.Life, c.KeyID, c.Mac)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Course(ctx, both, inst, "fp4"); !errors.Is(err, store.ErrForged) {
			t.Errorf("a state under the former key: %v", err)
		}
		if err := s.Reseal(ctx, both, inst, "fp4"); !errors.Is(err, store.ErrForged) {
			t.Errorf("sealed again: %v", err)
		}
		r := store.Record{Installation: inst, Seq: 8, At: time.UnixMilli(1), Fingerprint: "fp3", Event: "checked", From: "open", To: "open", KeyID: "former"}
		var before string
		if err := s.DB.QueryRow("SELECT mac FROM ledger WHERE seq = 7").Scan(&before); err != nil {
			t.Fatal(err)
		}
		store.SignWith(former, &r, before)
		if _, err := s.DB.Exec(fmt.Sprintf("UPDATE ledger SET happened = 1, event = 'checked', actor = '', from_state = 'open', to_state = 'open', detail = '', fact = '', due = 0, key_id = 'former', mac = '%s' WHERE seq = 8", r.Mac)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Proven(ctx, both, inst, "fp3"); !errors.Is(err, store.ErrForged) {
			t.Errorf("a record under the former key, after the pin: %v", err)
		}
	})
}

// TestFormerPepper: who has a pepper that was replaced proves nothing with it, whichever it
// is, wherever the installation was when it was replaced, and whatever they change of the
// record that says so.
func TestFormerPepper(t *testing.T) {
	one, two, three := ring("p1"), ring("p1", "p2"), ring("p1", "p2", "p3")
	for _, tt := range []struct {
		name  string
		setup func(t *testing.T, s *store.Store, inst int64)
		all   *store.Seal
	}{
		{"a second change", func(t *testing.T, s *store.Store, inst int64) {
			rotated(t, s, inst, one, two)
		}, three},
		{"no record before the change", func(t *testing.T, s *store.Store, inst int64) {
			if done, err := s.Pin(t.Context(), two, inst, time.Now()); done || err != nil {
				t.Fatal(done, err)
			}
			if err := note(s, two, inst, "fp"); err != nil {
				t.Fatal(err)
			}
		}, two},
		{"the record is changed", func(t *testing.T, s *store.Store, inst int64) {
			rotated(t, s, inst, one, two)
			change(t, s, "UPDATE ledger SET event = 'x' WHERE event = 'pepper-rotated'")
		}, two},
		{"the record is gone", func(t *testing.T, s *store.Store, inst int64) {
			rotated(t, s, inst, one, two)
			if err := note(s, two, inst, "other"); err != nil {
				t.Fatal(err)
			}
			change(t, s, "DELETE FROM ledger WHERE event = 'pepper-rotated'")
		}, two},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stores(t, func(t *testing.T, s *store.Store) {
				ctx := t.Context()
				inst, _ := installed(t, s)
				tt.setup(t, s, inst)
				c, err := s.Course(ctx, tt.all, inst, "fp")
				if err != nil {
					t.Fatal(err)
				}
				c.Life = "forged"
				store.SealWith(one, c)
				change(t, s, fmt.Sprintf("UPDATE life SET life = '%s', key_id = '%s', mac = '%s' WHERE fingerprint = 'fp'", c.Life, c.KeyID, c.Mac))
				if _, err := s.Course(ctx, tt.all, inst, "fp"); !errors.Is(err, store.ErrForged) {
					t.Errorf("a state under a former pepper: %v", err)
				}
				if err := s.Reseal(ctx, tt.all, inst, "fp"); !errors.Is(err, store.ErrForged) {
					t.Errorf("sealed with the present pepper: %v", err)
				}
				if _, forged, err := s.VerifyLedger(ctx, tt.all); err != nil || len(forged) == 0 {
					t.Errorf("the ledger is verified: %v %v", forged, err)
				}
			})
		})
	}
}

// rotated makes a credential and changes the pepper.
func rotated(t *testing.T, s *store.Store, inst int64, from, to *store.Seal) {
	t.Helper()
	if err := note(s, from, inst, "fp"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reseal(t.Context(), to, inst, "fp"); err != nil {
		t.Fatal(err)
	}
	if done, err := s.Pin(t.Context(), to, inst, time.Now()); err != nil || !done {
		t.Fatal(done, err)
	}
}

func change(t *testing.T, s *store.Store, statement string) {
	t.Helper()
	if _, err := s.DB.Exec(statement); err != nil {
		t.Fatal(err)
	}
}
