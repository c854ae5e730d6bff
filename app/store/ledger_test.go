package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/app/store"
)

var ledgerKey = seal("a key of the tests")

// seal is one that takes every state for consistent with its records.
func seal(key string) *store.Seal {
	return &store.Seal{Order: []string{"test"}, Keys: map[string][]byte{"test": []byte(key)}, Restored: func(life string, _ []store.Record) (string, error) { return life, nil }}
}

// proceed appends one record to the ledger.
func proceed(ctx context.Context, s *store.Store, inst int64, fp, detail string) error {
	return s.Proceed(ctx, ledgerKey, inst, fp, func(old string) (store.Course, []store.Record, error) {
		return store.Course{State: "rotating", Due: time.UnixMilli(5), Life: old + "x"},
			[]store.Record{{At: time.Now(), Event: "found", Actor: "dana", From: "open", To: "rotating", Detail: detail}}, nil
	})
}

// TestLedger: whatever is changed in a ledger, the record is named.
func TestLedger(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		verify := func() (int, string) {
			t.Helper()
			n, forged, err := s.VerifyLedger(ctx, ledgerKey)
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, f := range forged {
				all = append(all, f.String())
			}
			return n, strings.Join(all, "\n")
		}
		inst, _ := installed(t, s)
		for i := range 6 {
			if err := proceed(ctx, s, inst, fmt.Sprintf("fp%d", i%2), fmt.Sprintf("a detail with \x00 and \xff of record %d", i+1)); err != nil {
				t.Fatal(err)
			}
		}
		if n, forged := verify(); n < 6 || forged != "" {
			t.Fatalf("%d records, forged: %s", n, forged)
		}
		exec := func(format string, args ...any) {
			t.Helper()
			if _, err := s.DB.ExecContext(ctx, fmt.Sprintf(format, args...)); err != nil {
				t.Fatal(err)
			}
		}
		where := fmt.Sprintf("WHERE installation = %d AND seq", inst)
		for _, column := range []string{"fingerprint", "event", "actor", "from_state", "to_state", "detail", "mac"} {
			for _, seq := range []int{1, 3, 6} {
				var old string
				if err := s.DB.QueryRowContext(ctx, fmt.Sprintf("SELECT %s FROM ledger %s = %d", column, where, seq)).Scan(&old); err != nil {
					t.Fatal(err)
				}
				c := "0"
				if old[0] == '0' {
					c = "1"
				}
				exec("UPDATE ledger SET %s = '%s' || substr(%s, 2) %s = %d", column, c, column, where, seq)
				if _, forged := verify(); !strings.HasPrefix(forged, fmt.Sprintf("installation %d, record %d:", inst, seq)) {
					t.Errorf("%s of record %d: told %q", column, seq, forged)
				}
				exec("UPDATE ledger SET %s = '%s' %s = %d", column, old, where, seq)
			}
		}
		exec("UPDATE ledger SET happened = happened + 1 %s = 2", where)
		if _, forged := verify(); !strings.Contains(forged, "record 2: it does not match") || strings.Contains(forged, "record 3") {
			t.Errorf("another time: told %q", forged)
		}
		exec("UPDATE ledger SET happened = happened - 1 %s = 2", where)
		exec("UPDATE ledger SET due = due + 1 %s = 2", where)
		if _, forged := verify(); !strings.Contains(forged, "record 2: it does not match") {
			t.Errorf("due at another time: told %q", forged)
		}
		exec("UPDATE ledger SET due = due - 1 %s = 2", where)
		exec("UPDATE ledger SET seq = 100 %s = 4", where)
		if _, forged := verify(); !strings.Contains(forged, "record 4: it is gone") {
			t.Errorf("another number: told %q", forged)
		}
		exec("UPDATE ledger SET seq = 4 %s = 100", where)
		if _, forged := verify(); forged != "" {
			t.Fatalf("as it was: %s", forged)
		}
		exec("UPDATE life SET state = 'closed' WHERE installation = %d AND fingerprint = 'fp0'", inst)
		if _, forged := verify(); !strings.Contains(forged, `leads to "rotating"; the database says that the key is closed`) {
			t.Errorf("another state: told %q", forged)
		}
		exec("UPDATE life SET state = 'rotating' WHERE installation = %d AND fingerprint = 'fp0'", inst)

		exec("UPDATE installation SET ledger_seq = 5, ledger_mac = (SELECT mac FROM ledger %s = 5) WHERE id = %d", where, inst)
		if _, forged := verify(); !strings.Contains(forged, "record 5: its head says that it is the last; 1 more follow") {
			t.Errorf("more than the head says: told %q", forged)
		}
		exec("UPDATE installation SET ledger_seq = 6, ledger_mac = (SELECT mac FROM ledger %s = 6) WHERE id = %d", where, inst)

		// Who cuts off the last ones unseen is seen by who has kept the head.
		heads, err := s.Heads(ctx)
		if err != nil || len(heads) != 1 || heads[0].Seq != 6 {
			t.Fatalf("heads %v %v", heads, err)
		}
		kept, err := store.ParseHead(heads[0].String())
		if err != nil || kept != heads[0] {
			t.Errorf("a head is read as %v %v", kept, err)
		}
		exec("DELETE FROM ledger %s = 6", where)
		exec("UPDATE installation SET ledger_seq = 5, ledger_mac = (SELECT mac FROM ledger %s = 5) WHERE id = %d", where, inst)
		_, forged := verify()
		if ok, err := s.Has(ctx, kept); err != nil || ok || forged != "" {
			t.Errorf("cut off: %v %v; told %q", ok, err, forged)
		}
		exec("UPDATE installation SET ledger_seq = 6 WHERE id = %d", inst)
		if _, forged := verify(); !strings.Contains(forged, "record 5: the ledger ends here") {
			t.Errorf("the last is gone: told %q", forged)
		}
		if err := s.Forget(ctx, inst); err != nil {
			t.Fatal(err)
		}
		if err := proceed(ctx, s, inst, "fp0", ""); !errors.Is(err, store.ErrGone) {
			t.Errorf("an installation that is gone: %v", err)
		}
	})
}

// TestProceedAtOnce: many at once lose nothing, and what fails leaves nothing.
func TestProceedAtOnce(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		inst, _ := installed(t, s)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					if err := proceed(ctx, s, inst, "fp", "x"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		no := errors.New("no")
		err := s.Proceed(ctx, ledgerKey, inst, "fp", func(string) (store.Course, []store.Record, error) { return store.Course{}, make([]store.Record, 3), no })
		if !errors.Is(err, no) {
			t.Errorf("got %v", err)
		}
		c, err := s.Course(ctx, ledgerKey, inst, "fp")
		if err != nil || c.Life != strings.Repeat("x", 80) {
			t.Errorf("%d changes of 80 are there (%v)", len(c.Life), err)
		}
		n := int64(0)
		if err := s.Ledger(ctx, inst, "fp", func(r store.Record) error { n++; return nil }); err != nil || n != 80 {
			t.Errorf("%d records of 80 (%v)", n, err)
		}
		if _, forged, err := s.VerifyLedger(ctx, ledgerKey); err != nil || len(forged) > 0 {
			t.Errorf("forged: %v, %v", forged, err)
		}
		if _, forged, err := s.VerifyLedger(ctx, seal("another key")); err != nil || len(forged) < 80 {
			t.Errorf("with another key %d records are wrong (%v), want all", len(forged), err)
		}
	})
}
