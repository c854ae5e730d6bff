package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/app/store"
)

// TestSource: what one thing leads to that somebody did is in the ledger once, whoever tells
// of it at the same time, and the ledger shows where it comes from.
func TestSource(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *store.Store) {
		inst, _ := installed(t, s)
		from := func(ctx context.Context, fp string, source store.Source) error {
			return s.Proceed(ctx, ledgerKey, inst, fp, func(old string) (store.Course, []store.Record, error) {
				return store.Course{State: "rotating", Life: old + "x"}, []store.Record{
					{At: time.Now(), Event: "rotating", Actor: "dana", From: "open", To: "rotating", Detail: "a new key is made" + source.Suffix(), Source: source},
					{At: time.Now(), Event: "rotating", Actor: "dana", From: "rotating", To: "rotating", Detail: "and a second record" + source.Suffix(), Source: source},
				}, nil
			})
		}
		comment := store.CommentLine(12, 3)
		var done atomic.Int32
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				switch err := from(t.Context(), "fp", comment); {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, store.ErrHappened):
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := done.Load(); n != 1 {
			t.Errorf("one command counted %d times", n)
		}
		for _, tt := range []struct {
			fp     string
			source store.Source
			again  bool // may happen again
		}{
			{"other", comment, false}, // to another credential
			{"fp", store.CommentLine(12, 4), false},
			{"fp", store.Source{Kind: store.FromClosing, ID: "d-1"}, false},
			{"fp", store.Source{Kind: store.FromCheckRun}, true},
			{"fp", store.Source{Kind: store.FromScan, ID: "s"}, true},
			{"fp", store.Source{}, true},
		} {
			if err := from(t.Context(), tt.fp, tt.source); err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			if err := from(t.Context(), tt.fp, tt.source); errors.Is(err, store.ErrHappened) == tt.again {
				t.Errorf("%+v for the second time: %v", tt, err)
			}
		}
		if _, forged, err := s.VerifyLedger(t.Context(), ledgerKey); err != nil || len(forged) > 0 {
			t.Fatal(err, forged)
		}
		if _, err := s.DB.Exec(fmt.Sprintf("UPDATE ledger SET source_id = '13, line 3' WHERE installation = %d AND seq = 1", inst)); err != nil {
			t.Fatal(err)
		}
		if _, forged, err := s.VerifyLedger(t.Context(), ledgerKey); err != nil || len(forged) != 1 || !strings.Contains(forged[0].String(), "record 1: its source") {
			t.Errorf("another source: %v, %v", forged, err)
		}
	})
	// As the release before wrote it.
	old := store.Record{Detail: "a new key is made (comment 12, line 3)"}
	if !old.Of(store.CommentLine(12, 3)) || old.Of(store.CommentLine(12, 4)) || old.Of(store.Source{}) {
		t.Error("the source of a record of the release before is not found")
	}
}
