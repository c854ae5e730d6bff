package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
)

// TestNews: whatever becomes known of a credential while its issue is written has the issue
// written again, whether it is committed before the end of the writing is noted or only
// while that waits for it.
func TestNews(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		inst, repo := installed(t, s)
		key := store.Credential{Fingerprint: "f", Rule: "r", Severity: "high", State: store.StateOpen, Places: []store.Place{{Path: "a"}}}
		if _, err := s.Record(ctx, repo, []store.Credential{key}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Claim(ctx, inst, store.CredentialIssue("f"), "acme/widgets", "me", time.Now(), time.Minute); err != nil {
			t.Fatal(err)
		}
		stale := func() bool {
			t.Helper()
			list, err := s.Stale(ctx, inst, 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(list) == 1
		}
		events := map[string]func(c *store.Credential) error{
			"found elsewhere": func(*store.Credential) error {
				other := key
				other.Places = []store.Place{{Path: fmt.Sprint("b", time.Now().UnixNano())}}
				_, err := s.Record(ctx, repo, []store.Credential{other})
				return err
			},
			"owner": func(*store.Credential) error {
				return s.SetOwner(ctx, &store.Rotation{Installation: inst, Name: "f", Fingerprint: "f"}, "dana")
			},
			"renamed": func(*store.Credential) error { return s.Freshen(ctx, inst, repo) },
			"facts": func(c *store.Credential) error {
				return s.AddFacts(ctx, c, []scanner.Fact{{Name: "owner", Value: "dana"}})
			},
			"event":    func(*store.Credential) error { return proceed(ctx, s, inst, "f", "") },
			"released": func(*store.Credential) error { return s.SetState(ctx, inst, "f", store.StateOpen, "") },
			"again":    func(*store.Credential) error { return s.Restale(ctx, inst, "f") },
		}
		for name, happens := range events {
			c, err := s.Credential(ctx, inst, "f")
			if err != nil {
				t.Fatal(err)
			}
			if err := happens(c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := s.Fresh(ctx, c); err != nil {
				t.Fatal(err)
			}
			if !stale() {
				t.Errorf("%s: forgotten", name)
			}
			if c, err = s.Credential(ctx, inst, "f"); err != nil {
				t.Fatal(err)
			}
			if err := s.Fresh(ctx, c); err != nil || stale() {
				t.Errorf("%s: written, and still to be written (%v)", name, err)
			}
		}

		// The end of the writing comes while an event has the row.
		c, err := s.Credential(ctx, inst, "f")
		if err != nil {
			t.Fatal(err)
		}
		tx, err := s.DB.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{"UPDATE life SET life = 'z' WHERE installation = %d", "UPDATE credential SET stale = TRUE, news = news + 1 WHERE installation = %d"} {
			if _, err := tx.Exec(fmt.Sprintf(statement, inst)); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		go func() { done <- s.Fresh(ctx, c) }()
		for !blocked(t, s) {
			time.Sleep(time.Millisecond)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !stale() {
			t.Error("an event that was committed while the end of the writing waited for it: forgotten")
		}
	})
}

// blocked reports whether somebody waits for a lock of the database, or for SQLite's one
// connection.
func blocked(t *testing.T, s *store.Store) bool {
	t.Helper()
	if s.Pool == nil {
		return s.DB.Stats().WaitCount > 0
	}
	var n int
	if err := s.DB.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n > 0
}
