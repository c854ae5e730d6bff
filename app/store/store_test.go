package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/store/storetest"
	"github.com/keyward/keyward/scanner/policy"
)

// postgres is the address of a PostgreSQL, "" if there is none.
var postgres string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if postgres = os.Getenv(storetest.Address); postgres != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "keyward-store-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	own, err := storetest.Start(dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "PostgreSQL did not start: %v\n", err)
		return 1
	}
	if own != nil {
		defer own.Stop()
		postgres = own.URL
	}
	return m.Run()
}

// stores runs a test on SQLite, and on PostgreSQL if it is installed.
func stores(t *testing.T, test func(t *testing.T, s *store.Store)) {
	open := func(t *testing.T, address string) {
		ctx := context.Background()
		s, err := store.Open(ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		if _, err := s.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	}
	t.Run("sqlite", func(t *testing.T) { open(t, filepath.Join(t.TempDir(), "strange % ? # name.db")) })
	t.Run("postgres", func(t *testing.T) { open(t, storetest.NewDatabase(t, postgres)) })
}

var number atomic.Int64

// installed makes an installation with a repository, and returns their ids.
func installed(t *testing.T, s *store.Store) (int64, int64) {
	t.Helper()
	id := time.Now().UnixNano()/1000*100 + number.Add(1)
	if err := s.PutInstallation(context.Background(), &store.Installation{ID: id, Account: "acme", AccountID: 7}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutRepository(context.Background(), &store.Repository{ID: id + 1000, Installation: id, Owner: "acme", Name: "widgets"}); err != nil {
		t.Fatal(err)
	}
	return id, id + 1000
}

func TestWriteSlot(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		id, _ := installed(t, s)
		now := time.UnixMilli(1_800_000_000_000)
		for i, want := range []time.Duration{0, 0, 0, time.Second, 2 * time.Second} {
			got, err := s.WriteSlot(ctx, id, now, time.Second, 3, time.Minute)
			if err != nil || got != want {
				t.Errorf("write %d: wait %s (%v), want %s", i, got, err, want)
			}
		}
		// Who is impatient books nothing.
		for range 3 {
			if got, err := s.WriteSlot(ctx, id, now, time.Second, 3, 100*time.Millisecond); err != nil || got != 3*time.Second {
				t.Errorf("impatient: wait %s (%v)", got, err)
			}
		}
		if got, err := s.WriteSlot(ctx, id, now.Add(time.Hour), time.Second, 3, 0); err != nil || got != 0 {
			t.Errorf("after a pause: wait %s (%v)", got, err)
		}
		if _, err := s.WriteSlot(ctx, 4711, now, time.Second, 3, 0); !errors.Is(err, store.ErrGone) {
			t.Errorf("unknown installation: %v", err)
		}
	})
}

// TestClaim has many ask for the issue of one key at once: one gets it.
func TestClaim(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		id, _ := installed(t, s)
		now := time.Now()
		var got atomic.Int64
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, ok, err := s.Claim(ctx, id, store.CredentialIssue("f"), "acme/rotation", fmt.Sprint("worker ", i), now, time.Minute)
				if err != nil {
					t.Error(err)
				}
				if ok {
					got.Add(1)
				}
			})
		}
		wg.Wait()
		if got.Load() != 1 {
			t.Fatalf("%d have it", got.Load())
		}
		r, ok, err := s.Claim(ctx, id, store.CredentialIssue("f"), "acme/rotation", "late", now.Add(2*time.Minute), time.Minute)
		if err != nil || !ok || r.Tries != 2 {
			t.Errorf("after it has lapsed: %v %v %+v", ok, err, r)
		}
		if err := s.Release(ctx, r, "another"); err != nil {
			t.Error(err)
		}
		if _, ok, err := s.Claim(ctx, id, store.CredentialIssue("f"), "acme/rotation", "third", now.Add(2*time.Minute), time.Minute); ok || err != nil {
			t.Errorf("released by another: %v %v", ok, err)
		}
	})
}

func TestRecord(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		id, repo := installed(t, s)
		key := func(state store.State, path string, line int) store.Credential {
			return store.Credential{Fingerprint: "f", Rule: "r", Severity: "high", State: state, Places: []store.Place{{Path: path, Line: line}}}
		}
		record := func(c store.Credential) store.Change {
			t.Helper()
			changes, err := s.Record(ctx, repo, []store.Credential{c})
			if err != nil || len(changes) != 1 {
				t.Fatalf("%v %v", changes, err)
			}
			return changes[0]
		}
		for i, tt := range []struct {
			c    store.Credential
			want store.Change
		}{
			{key(store.StateHeld, "a", 1), store.Change{Fingerprint: "f", State: store.StateHeld, New: true}},
			{key(store.StateHeld, "a", 1), store.Change{Fingerprint: "f", State: store.StateHeld}},
			{key(store.StateHeld, "a", 2), store.Change{Fingerprint: "f", State: store.StateHeld}},
			{key(store.StateHeld, "b", 1), store.Change{Fingerprint: "f", State: store.StateHeld, Elsewhere: true}},
			{key(store.StateOpen, "b", 1), store.Change{Fingerprint: "f", State: store.StateOpen, New: true}},
			{key(store.StateQuiet, "c", 1), store.Change{Fingerprint: "f", State: store.StateOpen, Elsewhere: true}},
		} {
			if got := record(tt.c); got != tt.want {
				t.Errorf("%d: got %+v, want %+v", i, got, tt.want)
			}
		}
		c, err := s.Credential(ctx, id, "f")
		if err != nil || len(c.Places) != 4 {
			t.Fatalf("%+v %v", c, err)
		}
		stale, err := s.Stale(ctx, id, 10)
		if err != nil || len(stale) != 1 {
			t.Errorf("stale %v %v", stale, err)
		}
		record(key(store.StateOpen, "d", 1)) // while its issue is written
		if err := s.Fresh(ctx, c); err != nil {
			t.Fatal(err)
		}
		if stale, err = s.Stale(ctx, id, 10); err != nil || len(stale) != 1 {
			t.Errorf("what came meanwhile is forgotten: %v %v", stale, err)
		}
		if err := s.SetState(ctx, id, "f", store.StateDismissed, "no key"); err != nil {
			t.Fatal(err)
		}
		if got := record(key(store.StateOpen, "e", 1)); got.State != store.StateDismissed {
			t.Errorf("dismissed and found again: %+v", got)
		}

		if err := s.Forget(ctx, id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Record(ctx, repo, []store.Credential{key(store.StateOpen, "a", 1)}); !errors.Is(err, store.ErrGone) {
			t.Errorf("recorded after the App was uninstalled: %v", err)
		}
		if err := s.SeeInstallation(ctx, &store.Installation{ID: id, Account: "acme"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Installation(ctx, id); !errors.Is(err, store.ErrGone) {
			t.Errorf("an old event brought an installation back: %v", err)
		}
		if err := s.PutRepository(ctx, &store.Repository{ID: repo, Installation: id, Owner: "acme", Name: "widgets"}); !errors.Is(err, store.ErrGone) {
			t.Errorf("an old event brought a repository back: %v", err)
		}
	})
}

func TestScans(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		id, repo := installed(t, s)
		c := &store.Scan{ID: fmt.Sprint("scan ", id), Installation: id, Repository: repo, Source: "push", Head: "h", Base: "b"}
		first, err := s.BeginScan(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetCheckRun(ctx, first, 9); err != nil {
			t.Fatal(err)
		}
		second, err := s.BeginScan(ctx, c)
		if err != nil || second.CheckRun != 9 || second.State != store.ScanBegun {
			t.Errorf("begun twice: %+v %v", second, err)
		}
		if err := s.FinishScan(ctx, first, &store.Result{Title: "done", Keys: []string{"f"}}); err != nil {
			t.Fatal(err)
		}
		untold, err := s.Untold(ctx, id, 10)
		if err != nil || len(untold) != 1 || untold[0].Result.Title != "done" {
			t.Fatalf("%+v %v", untold, err)
		}
		untold[0].Finished = untold[0].Finished.Add(-time.Millisecond) // it had another result while that was told
		if err := s.Published(ctx, untold[0]); err != nil {
			t.Fatal(err)
		}
		if untold, err = s.Untold(ctx, id, 10); err != nil || len(untold) != 1 {
			t.Fatalf("a result that was not told: %+v %v", untold, err)
		}
		if err := s.Published(ctx, untold[0]); err != nil {
			t.Fatal(err)
		}
		for range 2 { // asked for twice
			if err := s.AgainScan(ctx, c.ID, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		again, err := s.Scan(ctx, c.ID)
		if err != nil || again.Round != 1 || again.CheckRun != 0 || again.ExternalID() == first.ExternalID() {
			t.Errorf("again: %+v %v", again, err)
		}
		if err := s.FinishScan(ctx, first, &store.Result{Title: "old"}); !errors.Is(err, store.ErrGone) {
			t.Errorf("a result of the round before: %v", err)
		}
		if err := s.SetCheckRun(ctx, first, 10); err != nil { // of the round before
			t.Fatal(err)
		}
		if again, err = s.Scan(ctx, c.ID); err != nil || again.CheckRun != 0 {
			t.Errorf("an old round's check run is taken for the new one's: %+v %v", again, err)
		}
	})
}

// TestAlive has a process be silent: another one notices, whatever its own clock says.
func TestAlive(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		a, b := fmt.Sprint("a", number.Add(1)), fmt.Sprint("b", number.Add(1))
		look := func(id string, silent time.Duration, want ...string) {
			t.Helper()
			alive, err := s.Alive(ctx, id, silent)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{a, b} {
				if slices.Contains(alive, p) != slices.Contains(want, p) {
					t.Errorf("alive %v, want %v", alive, want)
				}
			}
		}
		look(a, time.Minute, a)
		look(b, time.Minute, a, b)
		time.Sleep(300 * time.Millisecond)
		look(b, time.Minute, a, b)
		look(b, 200*time.Millisecond, b)
		look(a, time.Minute, a, b)
		look(b, -time.Hour, b) // it is alone
	})
}

// TestPrune: what nobody has to act on and was last seen long ago goes, the rest stays.
func TestPrune(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		inst, repo := installed(t, s)
		for state, fp := range map[store.State]string{store.StateQuiet: "a1", store.StateHeld: "b2", store.StateOpen: "c3", store.StateDismissed: "d4"} {
			if _, err := s.Record(ctx, repo, []store.Credential{{Fingerprint: fp, Rule: "gitlab-pat", Severity: "low", State: state, Places: []store.Place{{Path: "x", Line: 1}}, Commits: []string{"1", "2"}}}); err != nil {
				t.Fatal(err)
			}
		}
		left := func() (n int) {
			list, err := s.Credentials(ctx, inst, store.StateQuiet, store.StateHeld, store.StateOpen, store.StateDismissed)
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		if _, err := s.Prune(ctx, time.Now().Add(-time.Hour)); err != nil || left() != 4 {
			t.Errorf("of today: %d left, %v", left(), err)
		}
		if n, err := s.Prune(ctx, time.Now().Add(time.Hour)); err != nil || left() != 2 || n < 8 {
			t.Errorf("of long ago: %d left after %d rows, %v, want the open and the dismissed one", left(), n, err)
		}
	})
}

// TestOutsiders: in a day no more than the limit is added, whoever writes and how often.
func TestOutsiders(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		inst, repo := installed(t, s)
		now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		total := 0
		for range 10 {
			n, err := s.AllowOutsider(ctx, inst, repo, now, 30, 100)
			if err != nil {
				t.Fatal(err)
			}
			total += n
		}
		if total != 100 {
			t.Errorf("%d were allowed, want 100", total)
		}
		if n, err := s.AllowOutsider(ctx, inst, repo, now.Add(24*time.Hour), 30, 100); err != nil || n != 30 {
			t.Errorf("the next day: %d %v, want 30", n, err)
		}
	})
}

// TestSettle gives credentials the settings of a policy that has changed. What a former release
// stored is compared by what it says: it lacks fields that this release has, and its version.
func TestSettle(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		if err := s.SeeInstallation(ctx, &store.Installation{ID: 1, Account: "acme", AccountID: 2}); err != nil {
			t.Fatal(err)
		}
		if err := s.PutRepository(ctx, &store.Repository{ID: 3, Installation: 1, Owner: "acme", Name: "app"}); err != nil {
			t.Fatal(err)
		}
		strict := policy.App{FailOn: "high", Tracker: "acme/rotation"}
		var list []store.Credential
		for _, fp := range []string{"none", "older", "strict"} {
			list = append(list, store.Credential{Fingerprint: fp, Rule: "r", Severity: "high", State: store.StateOpen, Places: []store.Place{{Path: fp, Line: 1}}})
		}
		list[2].Settings = strict
		if _, err := s.Record(ctx, 3, list); err != nil {
			t.Fatal(err)
		}
		// As a release wrote it that knew fewer fields: an empty policy, and no version.
		if _, err := s.DB.Exec(`UPDATE credential SET settings = '{"FailOn":"","Issues":"","Tracker":""}' WHERE fingerprint = 'older'`); err != nil {
			t.Fatal(err)
		}
		settle := func(repository int64, p policy.App, want int64) {
			t.Helper()
			if n, err := s.Settle(ctx, 1, repository, p); err != nil || n != want {
				t.Errorf("settings of %d credentials changed (%v), want %d", n, err, want)
			}
		}
		settle(0, strict, 2) // those without settings
		settle(0, strict, 0)
		settle(3, strict, 0)
		strict.Issues = "high"
		settle(0, strict, 0) // they have settings
		settle(3, strict, 3)
		c, err := s.Credential(ctx, 1, "older")
		if err != nil || c.Settings.Issues != "high" || c.Settings.FailOn != "high" {
			t.Errorf("got %+v, %v", c, err)
		}
		if _, err := s.DB.Exec(`UPDATE credential SET settings = '{"v":99}' WHERE fingerprint = 'older'`); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Credential(ctx, 1, "older"); !errors.Is(err, store.ErrNewer) {
			t.Errorf("settings of a newer release: %v, want %v", err, store.ErrNewer)
		}
	})
}

// TestIssueKinds keeps what an issue is for in columns, and still reads the rows of the release
// before, which had it in the name only.
func TestIssueKinds(t *testing.T) {
	t.Parallel()
	fp := strings.Repeat("a", 64)
	ids := []store.IssueID{store.CredentialIssue(fp), store.SubIssue(fp, 12), store.OverflowIssue(fp, 1), store.Dashboard("acme/rotation")}
	for _, id := range ids {
		if got := store.ParseIssueName(id.Name()); got != id {
			t.Errorf("name %q: got %+v, want %+v", id.Name(), got, id)
		}
	}
	stores(t, func(t *testing.T, s *store.Store) {
		inst, _ := installed(t, s)
		for n, id := range ids {
			r, ok, err := s.Claim(t.Context(), inst, id, "acme/rotation", "me", time.Now(), time.Minute)
			if err != nil || !ok || r.Kind != id.Kind || r.Fingerprint != id.Credential || r.Name != id.Name() {
				t.Errorf("claimed %+v, %v: got %+v", id, err, r)
			}
			r.Number = n + 1
			if err := s.PutRotation(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		for _, columns := range []string{"", "kind = '', credential = ''"} {
			if columns != "" {
				if _, err := s.DB.Exec(fmt.Sprintf("UPDATE rotation SET %s WHERE installation = %d", columns, inst)); err != nil {
					t.Fatal(err)
				}
			}
			for n, id := range ids {
				r, err := s.RotationAt(t.Context(), inst, 0, "acme/rotation", n+1)
				if id.Kind == store.IssueDashboard || id.Kind == store.IssueOverflow {
					if !errors.Is(err, store.ErrGone) {
						t.Errorf("%s: people can act on it: %+v, %v", id.Kind, r, err)
					}
				} else if err != nil || r.Kind != id.Kind || r.Fingerprint != fp {
					t.Errorf("%s: got %+v, %v", id.Kind, r, err)
				}
			}
		}
	})
}
