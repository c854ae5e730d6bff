package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestRefusedToken: GitHub answers 404 to the token of an installation that is there. The
// push is scanned all the same, once GitHub answers again.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.start()
		c := w.clone("widgets")
		w.idle()
		w.gh.ExpireTokens()
		w.gh.Fail(githubtest.Fault{Method: http.MethodPost, Path: "/access_tokens$", Status: http.StatusNotFound, Times: 3})
		key := w.key("gitlab-pat")
		sha := c.commit("key", "a.env", "T="+key+"\n")
		c.push("HEAD:refs/heads/main")
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "a.env:1")
		w.idle()
	})
}

// TestOldEvents: events that come late do not switch off what is there: GitHub is asked how
// it is now.
func TestOldEvents(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.repo("gadgets", githubtest.Repo{})
		w.start()
		c := w.clone("widgets")
		expect(t, w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n"), "success", "No keys found")
		if err := w.gh.Suspend("acme", true); err != nil {
			t.Fatal(err)
		}
		w.idle()
		if err := w.gh.Suspend("acme", false); err != nil {
			t.Fatal(err)
		}
		w.idle()
		if err := w.gh.RemoveFromInstallation("acme", "gadgets"); err != nil {
			t.Fatal(err)
		}
		if err := w.gh.AddToInstallation("acme", "gadgets"); err != nil {
			t.Fatal(err)
		}
		w.idle()
		again := func(event, action string) {
			t.Helper()
			for _, d := range w.gh.Deliveries() {
				if d.Event == event && d.Action == action {
					// GitHub gives a delivery that it sends on its own a new GUID; the queue drops one that it knows.
					w.gh.DeliverRaw(event, fmt.Sprintf("late-%s-%s", strings.ReplaceAll(event, "_", "-"), action), d.Payload)
					w.idle()
					return
				}
			}
			t.Fatalf("GitHub sent no %s %s", event, action)
		}
		again("installation", "suspend")
		again("installation_repositories", "removed")
		key := w.key("gitlab-pat")
		expect(t, w.pushed(c, "widgets", "Key", "a.env", "T="+key+"\n"), "failure", "1 key found", "a.env:1")
		g := w.clone("gadgets")
		expect(t, w.pushed(g, "gadgets", "Start", "README.md", "# Gadgets\n"), "success", "No keys found")
		w.idle()
	})
}

// TestEditedCommand: a command counts only if the text that is read is the one that GitHub
// signed. A writer who edits an admin's comment at once commands nothing in their name.
func TestEditedCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	w.gh.SetPermission("acme", "rotation", "dana", "admin")
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Key", "a.env", "T="+w.key("gitlab-pat")+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.idle()
	w.gh.Fail(githubtest.Fault{Method: http.MethodGet, Path: "/issues/comments/", Delay: 300 * time.Millisecond})
	id := w.gh.Comment("acme", "rotation", n, "/ack", "dana")
	until := time.Now().AddDate(0, 0, 30).Format(time.DateOnly)
	if err := w.gh.EditComment("acme", "rotation", id, "/accept-risk until:"+until+" reason:not mine", "sam"); err != nil {
		t.Fatal(err)
	}
	w.rotating(n, "The comment was edited after it was posted", "kw/state:open")
	w.idle()
	w.rotating(n, "kw/state:open")
}

// TestEveryCommandIsAnswered: also those in capitals, with a full stop, unknown ones, and if
// the App may not react.
func TestEveryCommandIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	w.gh.SetPermission("acme", "rotation", "dana", "write")
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Key", "a.env", "T="+w.key("gitlab-pat")+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.idle()
	w.gh.Fail(githubtest.Fault{Path: "/reactions$", Status: http.StatusForbidden})
	w.gh.Comment("acme", "rotation", n, "/ACK", "dana")
	w.rotating(n, "kw/state:acknowledged", "`/ack`")
	w.gh.Comment("acme", "rotation", n, "/deploy", "dana")
	w.rotating(n, "unknown command /deploy")
	w.gh.Comment("acme", "rotation", n, "/revoked.", "dana")
	w.rotating(n, "`/revoked`")
	w.idle()
}

// TestManyFindings: of a push with very many findings the most severe are stored, the check
// says how many are not, and fails.
func TestManyFindings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Policy", ".keyward.toml", "[app]\nissues = \"none\"\n")
	var low strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&low, "password_%d = \"Xk4Fake%dmQz2Lp7w\"\n", i, 100000+i*37)
	}
	check := w.pushed(c, "widgets", "Many", "z.env", low.String(), "a.env", "T="+w.key("gitlab-pat")+"\n")
	if check.Conclusion != "failure" || !strings.Contains(check.Summary, "201 more findings not stored") {
		t.Errorf("the check is %s %q:\n%.600s", check.Conclusion, check.Title, check.Summary)
	}
	w.idle()
}
