package server_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// checksOf are the check runs of a commit, by name.
func (w *world) checksOf(repo, sha string) map[string][]githubtest.Check {
	out := map[string][]githubtest.Check{}
	for _, c := range w.gh.Checks("acme", repo) {
		if c.SHA == sha {
			out[c.Name] = append(out[c.Name], c)
		}
	}
	return out
}

// TestOneCheck: however many events tell of the same commits at once, there is one check run
// for each name, it ends, and a second one appears only when somebody asks for it; at the
// speeds that GitHub has.
func TestOneCheck(t *testing.T) {
	for _, latency := range []time.Duration{0, 50 * time.Millisecond, 300 * time.Millisecond} {
		databases(t, func(t *testing.T, database string) {
			t.Run(latency.String(), func(t *testing.T) { oneCheck(t, database, latency) })
		})
	}
}

func oneCheck(t *testing.T, database string, latency time.Duration) {
	w := newWorld(t, database)
	w.gh.Parallel(8)
	w.start()
	if latency > 0 {
		w.gh.Fail(githubtest.Fault{Delay: latency})
	}
	c := w.clone("widgets")
	c.commit("start", "README.md", "# Widgets\n")
	c.push("HEAD:refs/heads/main", "HEAD:refs/heads/release")
	w.idle()
	one := func(what, sha, name string, want int) githubtest.Check {
		t.Helper()
		var found []githubtest.Check
		w.eventually(60*time.Second, what, func() string {
			found = w.checksOf("widgets", sha)[name]
			for _, check := range found {
				if check.Status != "completed" {
					return fmt.Sprintf("check %d is %s", check.ID, check.Status)
				}
			}
			if len(found) < want {
				return fmt.Sprintf("there are %d checks", len(found))
			}
			return ""
		})
		w.idle()
		if found = w.checksOf("widgets", sha)[name]; len(found) != want {
			t.Errorf("%s: %d checks, want %d", what, len(found), want)
		}
		return found[len(found)-1]
	}

	// Two branches that were at one commit are pushed to another at once.
	sha := c.commit("both", "a.txt", "a\n")
	c.push("HEAD:refs/heads/main", "HEAD:refs/heads/release")
	one("two branches", sha, "Keyward (push)", 1)

	// Three new branches at one commit.
	sha = c.commit("three", "b.txt", "b\n")
	c.push("HEAD:refs/heads/x", "HEAD:refs/heads/y", "HEAD:refs/heads/z")
	check := one("three new branches", sha, "Keyward (push)", 1)

	// A re-run that was asked for twice at once is one more check.
	for range 2 {
		if err := w.gh.Rerequest("acme", "widgets", check.ID); err != nil {
			t.Fatal(err)
		}
	}
	one("a doubled re-run", sha, "Keyward (push)", 2)

	// A pull request that is opened and at once ready for review.
	sha = c.commit("pull", "c.txt", "c\n")
	c.push("HEAD:refs/heads/topic")
	if _, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "Topic", Base: "main", Head: "topic"}); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.gh.Deliveries() {
		if d.Event == "pull_request" && d.Action == "opened" {
			w.gh.DeliverRaw("pull_request", "ready-for-review-0001", bytes.Replace(d.Payload, []byte(`"action":"opened"`), []byte(`"action":"ready_for_review"`), 1))
		}
	}
	one("opened and ready for review", sha, "Keyward", 1)
}
