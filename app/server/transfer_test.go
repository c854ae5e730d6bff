package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestTransfer: after a repository went from one installation to another, what the former
// one says of it late neither deletes it nor takes it over.
func TestTransfer(t *testing.T) {
	t.Parallel()
	for _, public := range []bool{false, true} {
		t.Run(fmt.Sprint("public ", public), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			zeta := w.gh.AddOrg("zeta")
			id, err := w.gh.AddRepo("zeta", "tools", githubtest.Repo{Public: public})
			if err != nil {
				t.Fatal(err)
			}
			w.start()
			if err := w.gh.Transfer("zeta", "tools", "acme"); err != nil {
				t.Fatal(err)
			}
			c := w.clone("tools")
			check := w.pushed(c, "tools", "key", "k.env", "T="+w.key("gitlab-pat")+"\n")
			expect(t, check, "failure", "1 key found", "k.env:1")
			w.issues("rotation", 1)
			w.idle()
			want := fmt.Sprintf("1 places of installation %d, row of %d", w.install, w.install)
			kept := func(after string) {
				t.Helper()
				w.idle()
				if got := w.keptOf(id); got != want {
					t.Errorf("after %s: %s, want %s", after, got, want)
				}
			}
			kept("the transfer")
			repo := map[string]any{"id": id, "name": "tools", "full_name": "zeta/tools", "private": !public, "default_branch": "main", "owner": map[string]any{"login": "zeta", "id": 77, "type": "Organization"}}
			from := map[string]any{"id": zeta, "account": map[string]any{"login": "zeta", "id": 77, "type": "Organization"}}
			sender := map[string]any{"id": 1, "login": "dana", "type": "User"}
			w.gh.Deliver("installation_repositories", map[string]any{"action": "removed", "repository_selection": "all", "repositories_added": []any{}, "repositories_removed": []any{repo}, "installation": from, "sender": sender})
			kept("installation_repositories")
			w.gh.Deliver("push", map[string]any{"ref": "refs/heads/main", "before": strings.Repeat("0", 40), "after": check.SHA, "repository": repo, "installation": from, "sender": sender})
			kept("push")
			for _, action := range []string{"deleted", "edited", "privatized"} {
				w.gh.Deliver("repository", map[string]any{"action": action, "repository": repo, "installation": from, "sender": sender})
				kept("repository " + action)
			}
		})
	}
}

// keptOf says what the database has of a repository.
func (w *world) keptOf(id int64) string {
	w.t.Helper()
	s := w.openDatabase()
	defer s.Close()
	var places, of, row int64
	if err := s.DB.QueryRow(fmt.Sprintf("SELECT count(*), coalesce(max(installation), 0) FROM place WHERE repository = %d", id)).Scan(&places, &of); err != nil {
		w.t.Fatal(err)
	}
	if err := s.DB.QueryRow(fmt.Sprintf("SELECT coalesce(max(installation), 0) FROM repository WHERE id = %d", id)).Scan(&row); err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("%d places of installation %d, row of %d", places, of, row)
}

// TestTakenOut: a public repository that is taken out of an installation is forgotten, though
// everybody can still read it.
func TestTakenOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	id := w.repo("open", githubtest.Repo{Public: true})
	w.start()
	w.pushed(w.clone("open"), "open", "key", "k.env", "T="+w.key("gitlab-pat")+"\n")
	w.idle()
	if err := w.gh.RemoveFromInstallation("acme", "open"); err != nil {
		t.Fatal(err)
	}
	w.eventually(20*time.Second, "it is forgotten", func() string {
		if got := w.keptOf(id); got != "0 places of installation 0, row of 0" {
			return got
		}
		return ""
	})
	w.idle()
}

// TestNotRedelivered: a delivery that GitHub does not send again does not keep others from
// being asked for.
func TestNotRedelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	a := w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "start", "a", "b\n")
	w.idle()
	if code := a.stop(); code != 0 {
		t.Fatal(code)
	}
	g := w.clone("rotation")
	g.commit("one", "x", "y\n")
	g.push()
	flush(t, w)
	sha := c.commit("key", "k.env", "T="+w.key("gitlab-pat")+"\n")
	c.push()
	flush(t, w)
	var first int64
	for _, d := range w.gh.Deliveries() {
		if d.Event == "push" && d.StatusCode/100 != 2 {
			first = d.ID
			break
		}
	}
	w.gh.Fail(githubtest.Fault{Method: "POST", Path: fmt.Sprintf(`/app/hook/deliveries/%d/attempts`, first), Status: 422, Body: `{"message":"Validation Failed"}`})
	w.start()
	w.check("widgets", "Keyward (push)", sha)
	w.idle()
}

// TestSlowHistories: histories of one installation that hang leave a worker to the others.
func TestSlowHistories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	c := w.clone("widgets")
	c.commit("start", "a", "b\n")
	c.push()
	for i := range 6 {
		w.repo(fmt.Sprint("slow", i), githubtest.Repo{})
		w.git(w.gh.RepoDir("acme", fmt.Sprint("slow", i)), "fetch", "-q", c.dir, "HEAD:refs/heads/main")
	}
	w.gh.Fail(githubtest.Fault{Path: `acme/slow\d.*git-upload-pack$`, Hang: true})
	w.env["KEYWARD_DRAIN"] = "1ms"
	w.start()
	w.gh.AddOrg("zeta")
	id, err := w.gh.AddRepo("zeta", "tools", githubtest.Repo{})
	if err != nil {
		t.Fatal(err)
	}
	w.gh.Install("acme")
	flush(t, w)
	w.gh.Install("zeta")
	w.eventually(20*time.Second, "the history of another installation", func() string {
		s := w.openDatabase()
		defer s.Close()
		var state string
		if err := s.DB.QueryRow(fmt.Sprintf("SELECT coalesce(max(backfill), '') FROM repository WHERE id = %d", id)).Scan(&state); err != nil {
			t.Fatal(err)
		}
		if state != "done" {
			return "it is " + state
		}
		return ""
	})
	w.gh.ClearFaults()
	w.idle()
}
