package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// once checks that everything that people see was done once: for each commit one
// finished check run of a name, whose annotations are not repeated, for each key one
// issue, no comment twice.
func (w *world) once(repos ...string) {
	w.t.Helper()
	for _, repo := range repos {
		runs := map[string]int{}
		for _, c := range w.gh.Checks("acme", repo) {
			runs[c.Name+" "+c.SHA]++
			if c.Status != "completed" {
				w.t.Errorf("check %s of %.7s in %s is %s", c.Name, c.SHA, repo, c.Status)
			}
			seen := map[string]bool{}
			for _, a := range c.Annotations {
				at := fmt.Sprint(a.Path, a.StartLine, a.Title)
				if seen[at] {
					w.t.Errorf("annotation %s of %.7s is there twice", at, c.SHA)
				}
				seen[at] = true
			}
		}
		for run, n := range runs {
			if n != 1 {
				w.t.Errorf("%d check runs %s in %s", n, run, repo)
			}
		}
		titles := map[string]bool{}
		for _, i := range w.gh.Issues("acme", repo) {
			if strings.HasPrefix(i.Title, "[rotate]") && titles[i.Title] {
				w.t.Errorf("two issues %q in %s", i.Title, repo)
			}
			titles[i.Title] = true
			said := map[string]bool{}
			for _, c := range i.Comments {
				if said[c.Body] && strings.HasPrefix(c.Body, "<!-- keyward") {
					w.t.Errorf("comment twice on #%d: %s", i.Number, c.Body)
				}
				said[c.Body] = true
			}
		}
	}
}

// finished waits until every commit has its finished check.
func (w *world) finished(repo string, shas []string) {
	w.t.Helper()
	w.eventually(120*time.Second, "all checks", func() string {
		done := w.ended(repo)
		for _, sha := range shas {
			if !done[sha] {
				return "none for " + sha
			}
		}
		return ""
	})
}

// TestKill kills the App with SIGKILL before and after every request that it makes for
// a push, and at random moments besides, at least fifty times in all. Nothing may be
// lost, and nothing that people see repeated.
func TestKill(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.env["KEYWARD_WRITE_PAUSE"] = "1ms"
		w.env["KEYWARD_HEARTBEAT"] = "200ms"
		c := w.clone("widgets")
		current := w.spawn()
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
		keys := w.variants("gitlab-pat", 40)
		var shas []string
		kills := 0
		restart := func() {
			current.kill()
			kills++
			current = w.spawn() // it asks by itself for what it missed
		}
		// At every request: the n-th of the push, before it does anything and after.
		for n := 1; n <= 14; n++ {
			for _, after := range []bool{false, true} {
				hit := make(chan struct{})
				var once sync.Once
				count := 0
				var mu sync.Mutex
				victim := current
				w.gh.OnRequest(func(_ int, r *http.Request, done bool) {
					mu.Lock()
					if !done {
						count++
					}
					now := count == n && done == after
					mu.Unlock()
					if now {
						once.Do(func() { victim.kill(); close(hit) })
					}
				})
				shas = append(shas, c.commit("key", "k.env", fmt.Sprintf("T=%s\nN=%d\n", keys[(len(shas))%len(keys)], len(shas))))
				c.push()
				select {
				case <-hit:
				case <-time.After(3 * time.Second): // there are not so many requests
				}
				w.gh.OnRequest(nil)
				restart()
			}
		}
		for range 24 {
			shas = append(shas, c.commit("key", "k.env", fmt.Sprintf("T=%s\nN=%d\n", keys[(len(shas))%len(keys)], len(shas))))
			c.push()
			time.Sleep(time.Duration(rand.IntN(350)) * time.Millisecond)
			restart()
		}
		if kills < 50 {
			t.Errorf("killed %d times, want 50", kills)
		}
		w.finished("widgets", shas)
		w.idle()
		w.issues("rotation", min(len(shas), len(keys)))
		w.once("widgets", "rotation")
	})
}

// TestKillWhileTelling kills the App at each write that it makes, before and after it has
// its effect: the next process takes it up within seconds.
func TestKillWhileTelling(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.env["KEYWARD_WRITE_PAUSE"] = "1ms"
		w.env["KEYWARD_HEARTBEAT"] = "200ms"
		c := w.clone("widgets")
		current := w.spawn()
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
		keys := w.variants("gitlab-pat", 12)
		known := 0
		for i, tt := range []struct {
			method, path string
			old          bool // a key that has its issue already
		}{{"POST", "/check-runs", false}, {"PATCH", "/check-runs/", false}, {"POST", "/issues", false}, {"PATCH", "/issues/", true}, {"POST", "/comments", true}} {
			for j, after := range []bool{false, true} {
				key := keys[0]
				if !tt.old {
					key = keys[2*i+j]
					known++
				}
				victim, hit := current, make(chan struct{})
				var once sync.Once
				w.gh.OnRequest(func(_ int, r *http.Request, done bool) {
					match := r.Method == tt.method && (strings.HasSuffix(r.URL.Path, tt.path) || strings.HasSuffix(tt.path, "/") && strings.Contains(r.URL.Path, tt.path) && !strings.HasSuffix(r.URL.Path, "comments"))
					if match && done == after {
						once.Do(func() { victim.kill(); close(hit) })
					}
				})
				sha := c.commit("key", fmt.Sprintf("k%d-%d.env", i, j), "T="+key+"\n")
				c.push()
				select {
				case <-hit:
				case <-time.After(20 * time.Second):
					t.Errorf("%s %s was never asked", tt.method, tt.path)
				}
				w.gh.OnRequest(nil)
				victim.kill()
				current = w.spawn()
				expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", fmt.Sprintf("k%d-%d.env:1", i, j))
				w.issues("rotation", known)
			}
		}
		w.idle()
		w.once("widgets", "rotation")
		if n := len(w.gh.Issues("acme", "rotation")[0].Comments); n < 1 || n > 4 {
			t.Errorf("%d comments on the first issue, of four new places", n)
		}
	})
}

// TestDuplicates delivers everything twice, and in another order.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		c := w.clone("widgets")
		a := w.start()
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
		keys := w.variants("gitlab-pat", 5)
		w.gh.Webhook("http://127.0.0.1:1/nobody", webhookSecret) // the App is not to be reached
		var shas []string
		for i, k := range keys {
			shas = append(shas, c.commit("key", fmt.Sprintf("k%d.env", i%2), "T="+k+"\n"))
			c.push()
		}
		flush(t, w)
		w.gh.Webhook("http://"+a.address+"/webhook", webhookSecret)
		var missed []string
		for _, d := range w.gh.Deliveries() {
			// The sweep of the App's start may have asked for some again already.
			if d.StatusCode == 0 && d.Event == "push" && !slices.Contains(missed, d.GUID) {
				missed = append(missed, d.GUID)
			}
		}
		if len(missed) != len(keys) {
			t.Fatalf("%d deliveries were missed, want %d", len(missed), len(keys))
		}
		w.gh.Parallel(4)
		for i := range missed { // the last first, each three times
			for range 3 {
				w.gh.Redeliver(missed[len(missed)-1-i])
			}
		}
		w.finished("widgets", shas)
		w.idle()
		w.issues("rotation", len(keys))
		w.once("widgets", "rotation")
		for _, d := range w.gh.Deliveries() {
			// 0 is the sweep of the start, which asked while nobody was to be reached.
			if d.Redelivery && d.StatusCode != http.StatusAccepted && d.StatusCode != 0 {
				t.Errorf("a redelivery was answered %d", d.StatusCode)
			}
		}
	})
}

func flush(t testing.TB, w *world) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.gh.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestMissed has deliveries fail while the App is down: it asks for them at its start.
func TestMissed(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		c := w.clone("widgets")
		a := w.start()
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
		a.stop()
		key := w.key("gitlab-pat")
		sha := c.commit("key", "k.env", "T="+key+"\n")
		c.push()
		flush(t, w)
		w.start()
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "k.env:1")
		w.issues("rotation", 1)
		w.idle()
		w.once("widgets", "rotation")
	})
}

// TestGitHubFails has GitHub answer each request of a push badly in turn.
func TestGitHubFails(t *testing.T) {
	t.Parallel()
	faults := map[string]githubtest.Fault{
		"500":            {Status: 500, Times: 2},
		"502":            {Status: 502, Times: 1, Body: "<html>bad gateway</html>"},
		"truncated":      {Truncate: true, Times: 2},
		"lost answer":    {Status: 500, AfterEffect: true, Times: 1},
		"lost and cut":   {AfterEffect: true, Truncate: true, Times: 1, Status: 201},
		"secondary":      {Status: 403, Times: 1, Header: http.Header{"Retry-After": {"1"}}, Body: `{"message":"You have exceeded a secondary rate limit."}`},
		"too many":       {Status: 429, Times: 1, Header: http.Header{"Retry-After": {"1"}}},
		"primary":        {Status: 403, Times: 1, Header: http.Header{"X-RateLimit-Remaining": {"0"}, "X-RateLimit-Reset": {fmt.Sprint(time.Now().Add(2 * time.Second).Unix())}}, Body: `{"message":"API rate limit exceeded"}`},
		"slow":           {Delay: 1500 * time.Millisecond, Times: 3},
		"not yet there":  {Status: 404, Times: 1},
		"closes at once": {Truncate: true, Status: 200, Times: 1},
	}
	paths := map[string]string{
		"token": `/access_tokens$`, "check": `/check-runs`, "issue": `/issues$`, "git": `git-upload-pack$`, "anything": `^/(repos|app|installation)`,
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			w.env["KEYWARD_WRITE_PAUSE"] = "1ms"
			w.start()
			c := w.clone("widgets")
			w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
			keys := w.variants("gitlab-pat", len(paths))
			var shas []string
			i := 0
			for where, path := range paths {
				if name == "not yet there" && (where == "token" || where == "issue" || where == "anything") {
					continue // there it means what it says
				}
				f.Path = path
				f.Method = ""
				if where == "anything" {
					f.Method = "GET"
				}
				w.gh.Fail(f)
				shas = append(shas, c.commit("key "+where, fmt.Sprintf("k%d.env", i), "T="+keys[i]+"\n"))
				c.push()
				i++
				w.finished("widgets", shas)
				w.idle()
				w.gh.ClearFaults()
			}
			for _, check := range w.gh.Checks("acme", "widgets") {
				if strings.Contains(check.Title, "could not") || check.Title == "Not scanned" {
					t.Errorf("%s: %s", check.SHA, check.Summary)
				}
			}
			w.issues("rotation", i)
			w.once("widgets", "rotation")
		})
	}
}

// TestTokenExpires has all tokens end before their time.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	for i, k := range w.variants("gitlab-pat", 3) {
		w.gh.ExpireTokens()
		expect(t, w.pushed(c, "widgets", "key", fmt.Sprintf("k%d.env", i), "T="+k+"\n"), "failure", "1 key found", fmt.Sprintf("k%d.env:1", i))
	}
	w.issues("rotation", 3)
	w.once("widgets", "rotation")
}

// TestGone deletes the repository, or the installation, while it is scanned.
func TestGone(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*world){
		"repository deleted": func(w *world) { w.gh.DeleteRepo("acme", "widgets") },
		"uninstalled":        func(w *world) { w.gh.Uninstall("acme") },
		"suspended":          func(w *world) { w.gh.Suspend("acme", true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			a := w.start()
			c := w.clone("widgets")
			w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
			key := w.key("gitlab-pat")
			w.gh.Fail(githubtest.Fault{Path: `widgets\.git/`, Delay: time.Second, Times: 1})
			c.commit("key", "k.env", "T="+key+"\n")
			c.push()
			time.Sleep(300 * time.Millisecond)
			act(w)
			time.Sleep(3 * time.Second)
			w.idle()
			if log := a.log.String(); strings.Contains(log, "job is dead") {
				t.Errorf("a job is dead")
			}
			if name == "suspended" {
				w.gh.Suspend("acme", false)
				w.issues("rotation", 1) // its history was scanned
			}
		})
	}
}

// TestDatabaseRestarts stops PostgreSQL at once, under load, and starts it again.
func TestDatabaseRestarts(t *testing.T) {
	if ownPostgres == nil {
		t.Skip("no PostgreSQL of our own to restart")
	}
	w := newWorld(t, newDatabase(t)) // not parallel: all others would feel it
	w.env["KEYWARD_WRITE_PAUSE"] = "1ms"
	w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	keys := w.variants("gitlab-pat", 12)
	var shas []string
	for i, k := range keys {
		shas = append(shas, c.commit("key", fmt.Sprintf("k%d.env", i), "T="+k+"\n"))
		c.push()
		if i == 4 || i == 8 {
			if err := ownPostgres.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
	flush(t, w)
	for _, d := range w.gh.Deliveries() { // what was refused meanwhile is asked for again by the sweep
		if d.StatusCode == http.StatusServiceUnavailable {
			w.gh.Redeliver(d.GUID)
		} else if d.StatusCode != http.StatusAccepted {
			t.Errorf("a delivery was answered %d", d.StatusCode)
		}
	}
	w.finished("widgets", shas)
	w.idle()
	w.issues("rotation", len(keys))
	w.once("widgets", "rotation")
}

// TestTwoProcesses has two processes share one PostgreSQL, and kills one of them.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newDatabase(t))
	w.env["KEYWARD_WRITE_PAUSE"] = "1ms"
	w.env["KEYWARD_HEARTBEAT"] = "200ms"
	first, second := w.spawn(), w.spawn()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	keys := w.variants("gitlab-pat", 20)
	var shas []string
	for i, k := range keys {
		to := first
		if i%2 == 0 || i >= 10 {
			to = second
		}
		w.gh.Webhook("http://"+to.address+"/webhook", webhookSecret)
		// The same key by two pushes at once, to both.
		shas = append(shas, c.commit("key", fmt.Sprintf("k%d.env", i), "T="+k+"\n"))
		c.push("HEAD:refs/heads/main", "HEAD:refs/heads/also")
		if i == 9 {
			first.kill()
		}
	}
	w.finished("widgets", shas)
	w.idle()
	w.issues("rotation", len(keys))
	w.issuesOnce()
}

func (w *world) issuesOnce() {
	w.t.Helper()
	w.once("rotation")
}
