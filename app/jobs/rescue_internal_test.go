package jobs

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner/guard"
)

// newRunner returns a runner on a database of its own, which is not started.
func newRunner(t *testing.T) *Runner {
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
	if _, err := Migrate(ctx, s); err != nil {
		t.Fatal(err)
	}
	g := &guard.Guard{}
	r, err := New(Config{Store: s, Keeper: &rotation.Keeper{Store: s, Peppers: rotation.Peppers{[]byte("a fake pepper of the tests")}}, Guard: g, Log: slog.New(slog.DiscardHandler), Process: "me", Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPoison: a job that processes keep dying of goes to quarantine, and then fails: its
// check says so, and it is not run any more.
func TestPoison(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRunner(t)
	e := &webhook.Event{Delivery: "0000-poison", Name: "push", Installation: 7, Repo: &webhook.Repo{ID: 8, Owner: "acme", Name: "widgets"}, Head: strings.Repeat("a", 40), Base: strings.Repeat("b", 40)}
	for _, err := range []error{
		r.Store.PutInstallation(ctx, &store.Installation{ID: 7, Account: "acme", AccountID: 1}),
		r.Store.PutRepository(ctx, repositoryOf(e.Repo, 7)),
		r.Enqueue(ctx, e),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Store.BeginScan(ctx, &store.Scan{ID: scanID(e), Installation: 7, Repository: 8, Source: "push", Head: e.Head, Base: e.Base}); err != nil {
		t.Fatal(err)
	}
	job := func() (state, queue string) {
		if err := r.Store.DB.QueryRow("SELECT state, queue FROM river_job WHERE kind = 'scan'").Scan(&state, &queue); err != nil {
			t.Fatal(err)
		}
		return state, queue
	}
	for death, want := range []struct{ state, queue string }{
		{"available", queueScan}, {"available", queueScan}, {"available", store.QueueQuarantine}, {"available", store.QueueQuarantine}, {"available", store.QueueQuarantine},
		{"available", store.QueueQuarantine}, {"available", store.QueueQuarantine}, {"discarded", store.QueueQuarantine},
	} {
		if _, err := r.Store.DB.Exec("UPDATE river_job SET state = 'running', attempt = attempt + 1, attempted_by = json_array('dead')"); err != nil {
			t.Fatal(err)
		}
		if err := r.beat(ctx, false); err != nil {
			t.Fatal(err)
		}
		if state, queue := job(); state != want.state || queue != want.queue {
			t.Errorf("after %d deaths the job is %s in %s, want %s in %s", death+1, state, queue, want.state, want.queue)
		}
		if want.state == "available" {
			var waits float64
			if err := r.Store.DB.QueryRow("SELECT (julianday(scheduled_at) - julianday('now', 'subsec')) * 86400 FROM river_job").Scan(&waits); err != nil {
				t.Fatal(err)
			}
			if least := 5 * r.Beat.Seconds() * float64(int(1)<<max(death-2, 0)) / 2; (waits > least) != (want.queue == store.QueueQuarantine) {
				t.Errorf("after %d deaths the job waits for %.1f s, want %.1f s or none", death+1, waits, 2*least)
			}
		}
	}
	s, err := r.Store.Scan(ctx, scanID(e))
	if err != nil {
		t.Fatal(err)
	}
	if s.Result == nil || s.Result.Conclusion != "failure" || !strings.Contains(s.Result.Summary, "ended 8 times") {
		t.Errorf("its check: %+v", s.Result)
	}
}

// TestRescuedAttempts: a job that was tried as often as allowed is not taken up once more.
func TestRescuedAttempts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRunner(t)
	if err := r.insert(ctx, TellArgs{7}, &river.InsertOpts{Queue: queueTell}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Store.DB.Exec("UPDATE river_job SET state = 'running', attempt = 25, max_attempts = 25, attempted_by = json_array('dead')"); err != nil {
		t.Fatal(err)
	}
	got, err := r.Store.Rescue(ctx, []string{"me"}, time.Second, r.givenUp)
	if err != nil || len(got) != 1 || !got[0].Failed {
		t.Errorf("%+v %v, want one job that has failed", got, err)
	}
	if got, err := r.Store.Rescue(ctx, []string{"me"}, time.Second, r.givenUp); err != nil || len(got) != 0 {
		t.Errorf("once more: %+v %v", got, err)
	}
}

// TestLostJobs: a job that the database gave to this process and that does not run in it is
// queued again after a while; one that runs is left alone, however long it takes.
func TestLostJobs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRunner(t)
	for id := range int64(3) {
		if err := r.tellSoon(ctx, id+1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Store.DB.Exec("UPDATE river_job SET state = 'running', attempt = 1, attempted_by = json_array('me')"); err != nil {
		t.Fatal(err)
	}
	var ids []int64
	if err := func() error {
		rows, err := r.Store.DB.Query("SELECT id FROM river_job ORDER BY id")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	}(); err != nil || len(ids) != 3 {
		t.Fatal(ids, err)
	}
	states := func() (out string) {
		if err := r.Store.DB.QueryRow("SELECT group_concat(state, ' ') FROM (SELECT state FROM river_job ORDER BY id)").Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	end := r.running.begin(ids[1])
	for _, want := range []string{"running running running", "available running available"} {
		if err := r.beat(ctx, false); err != nil {
			t.Fatal(err)
		}
		if got := states(); got != want {
			t.Errorf("jobs are %s, want %s", got, want)
		}
		r.running.mu.Lock()
		for id := range r.running.lost {
			r.running.lost[id] = r.running.lost[id].Add(-lostAfter)
		}
		r.running.mu.Unlock()
	}
	end()
	if err := r.beat(ctx, false); err != nil {
		t.Fatal(err)
	}
	if got := states(); got != "available running available" { // its end may just be written
		t.Errorf("right after its end: %s", got)
	}
}
