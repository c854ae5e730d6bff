package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestKillUnderFaults kills processes 50 times at random while 60 pushes arrive, with
// deliveries sent twice and in any order, and one in ten answers of GitHub a 404, a 502 or a
// rate limit: on SQLite one process, on PostgreSQL two. Each push has one check that says
// what it should, each key one issue, and the ledger is good.
func TestKillUnderFaults(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.env["KEYWARD_WRITE_PAUSE"] = "1ms"
		w.env["KEYWARD_HEARTBEAT"] = "200ms"
		c := w.clone("widgets")
		processes := []*app{w.spawn()}
		if database != "" {
			processes = append(processes, w.spawn())
		}
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
		w.gh.Parallel(8)
		w.idle()
		stop := faults(w)
		keys := w.variants("gitlab-pat", 60)
		var shas []string
		kills, ended := 0, -1
		for i := range 60 {
			shas = append(shas, c.commit("key", fmt.Sprintf("k%d.env", i), "T="+keys[i]+"\n"))
			c.push()
			time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
			if kills < 50 {
				kills++
				w.progress("widgets", ended, len(shas))
				ended = len(w.ended("widgets"))
				n := rand.IntN(len(processes))
				processes[n].kill()
				processes[n] = w.spawn()
			}
			if d := w.gh.Deliveries(); rand.IntN(3) == 0 { // sent again, late and out of order
				w.gh.Redeliver(d[rand.IntN(len(d))].GUID)
			}
		}
		stop()
		w.finished("widgets", shas)
		w.issues("rotation", len(keys))
		w.idle()
		w.once("widgets", "rotation")
		for i, sha := range shas {
			if got := w.checksOf("widgets", sha)["Keyward (push)"]; len(got) != 1 || got[0].Conclusion != "failure" || got[0].Title[:11] != "1 key found" {
				t.Errorf("push %d: %+v", i, got)
			}
		}
		if out, errs, code := run(t, w.environment(processes[0]), "ledger", "verify"); code != 0 {
			t.Errorf("ledger verify: exit %d\n%s%s", code, out, errs)
		}
	})
}

// progress waits until more checks of a repository ended than so many, or as many as there are
// commits: processes that are killed faster than they can work prove nothing.
func (w *world) progress(repo string, ended, commits int) {
	w.t.Helper()
	w.eventually(60*time.Second, "a check since the last kill", func() string {
		if n := len(w.ended(repo)); n <= ended && n < commits {
			return fmt.Sprintf("%d of %d ended", n, commits)
		}
		return ""
	})
}

// ended returns the commits of a repository with a check that ended.
func (w *world) ended(repo string) map[string]bool {
	done := map[string]bool{}
	for _, c := range w.gh.Checks("acme", repo) {
		if c.Status == "completed" {
			done[c.SHA] = true
		}
	}
	return done
}

// faults makes about one in ten answers of GitHub's API wrong, until it is told to stop.
func faults(w *world) (stop func()) {
	kinds := []githubtest.Fault{
		{Status: http.StatusNotFound}, {Status: http.StatusBadGateway}, {Status: http.StatusForbidden, Header: http.Header{"Retry-After": {"1"}}},
	}
	for n := range 400 { // each strikes once, after ten more requests than the one before
		f := kinds[n%len(kinds)]
		f.Path, f.Times, f.Skip = "^/(repos|app|installation)", 1, 10*n+rand.IntN(10)
		w.gh.Fail(f)
	}
	var once sync.Once
	return func() { once.Do(w.gh.ClearFaults) }
}
