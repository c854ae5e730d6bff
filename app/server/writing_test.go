package server_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestWritings: a credential in any text that people write on GitHub gets a rotation issue,
// which links to the text. The text is read from GitHub by its id, and stored nowhere.
func TestWritings(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.start()
		c := w.clone("widgets")
		w.pushed(c, "widgets", "Start", "README.md", "hello\n")
		c.commit("Change", "a.txt", "hello\n")
		c.push("HEAD:refs/heads/change")
		pull, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "Change", Base: "main", Head: "change", Sender: "dana"})
		if err != nil {
			t.Fatal(err)
		}
		kinds := []struct {
			event, location string
			number          int
		}{
			{"pull_request_review", "review ", pull},
			{"pull_request_review_comment", "review comment ", pull},
			{"commit_comment", " on commit 777777777777", 0},
			{"discussion", "text of discussion #", 0},
			{"discussion_comment", " of discussion #41", 41},
			{"release", "notes of release ", 0},
			{"gollum", "wiki page guide/Set-Up.md", 0},
		}
		keys := w.variants("gitlab-pat", len(kinds))
		for i, k := range kinds {
			text := "Use " + keys[i] + " for now.\n"
			if k.event == "gollum" {
				w.page("guide/Set-Up.md", text)
			} else if w.gh.Write("acme", "widgets", githubtest.Writing{Event: k.event, Number: k.number, Body: text, Sender: "dana"}) == 0 {
				t.Fatalf("%s: there is no repository", k.event)
			}
			issue := w.issues("rotation", i+1)[i]
			if !strings.Contains(issue.Body, k.location) || !strings.Contains(issue.Body, "](http") {
				t.Errorf("%s: the issue does not link to %q:\n%s", k.event, k.location, issue.Body)
			}
		}
		w.idle()
		// A text that was deleted before it could be read, and a wiki that is not there.
		w.gh.Write("acme", "rotation", githubtest.Writing{Event: "discussion", Body: "nothing", Sender: "dana"})
		if err := w.gh.Gollum("acme", "rotation", "Home", "dana"); err != nil {
			t.Fatal(err)
		}
		w.eventually(20*time.Second, "a try to scan the wiki", func() string {
			if !slices.ContainsFunc(w.gh.GitRequests(), func(r githubtest.Request) bool { return strings.Contains(r.Path, "rotation.wiki") }) {
				return "there was none"
			}
			return ""
		})
		w.issues("rotation", len(kinds))
	})
}

// page writes a page into the wiki of widgets, and tells of it.
func (w *world) page(name, text string) {
	w.t.Helper()
	bare, err := w.gh.AddWiki("acme", "widgets")
	if err != nil {
		w.t.Fatal(err)
	}
	dir := filepath.Join(w.dir, "wiki")
	w.git(w.dir, "clone", "-q", bare, dir)
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.git(dir, "add", ".")
	w.git(dir, "commit", "-q", "-m", "Page")
	w.git(dir, "push", "-q", "origin", "HEAD:main")
	if err := w.gh.Gollum("acme", "widgets", strings.TrimSuffix(filepath.Base(name), ".md"), "dana"); err != nil {
		w.t.Fatal(err)
	}
}
