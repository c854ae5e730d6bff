package server_test

import (
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/keyward/keyward/app/github/githubtest"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
)

// rotating waits until the issue of a key says all of what is wanted in its body and
// comments, and returns it.
func (w *world) rotating(number int, want ...string) (found githubtest.Issue) {
	w.t.Helper()
	w.eventually(20*time.Second, strings.Join(want, ", "), func() string {
		for _, i := range w.gh.Issues("acme", "rotation") {
			if i.Number != number {
				continue
			}
			found = i
			text := "is " + i.State + " " + i.StateReason + "\n" + strings.Join(i.Labels, " ") + "\n" + i.Body
			for _, c := range i.Comments {
				text += "\n---\n" + c.Body
			}
			for _, s := range want {
				if !strings.Contains(text, s) {
					return fmt.Sprintf("%q is not in\n%s", s, text)
				}
			}
			return ""
		}
		return "there is no such issue"
	})
	return found
}

// TestLife follows a key from the push to its receipt, and back when it is pushed again.
func TestLife(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.live()
		a := w.start()
		w.gh.SetPermission("acme", "rotation", "dana", "write")
		key := w.key("tailscale-scim-key")
		w.provider.Issue(key)
		w.gh.Grant(permissions("secret_scanning_alerts"))
		for _, secret := range []string{w.key("gitlab-pat"), w.key("npm-access-token"), key} { // the pages are of two
			if _, err := w.gh.AddAlert("acme", "widgets", secret); err != nil {
				t.Fatal(err)
			}
		}
		c := w.clone("widgets")
		w.pushed(c, "widgets", "SCIM", "deploy.env", "TAILSCALE_SCIM="+key+"\n")
		n := w.issues("rotation", 1)[0].Number
		w.rotating(n, "is open", "| **State** | open |", "| **Alive** | active (POST https\\:", "a default branch has it", "not monitored", "two checks at least 1 hour apart", "a check says active")

		w.clock.pass(13 * time.Hour)
		w.rotating(n, "@", "**Reminder**: half of the time is used up")
		w.gh.Comment("acme", "rotation", n, "I look into it", "dana")
		w.rotating(n, "**open → acknowledged**", "kw/state:acknowledged")
		w.gh.Comment("acme", "rotation", n, "/rotating scim-2", "dana")
		w.rotating(n, "kw/state:rotating")

		// Said, but not so: what counts is what the provider says.
		w.gh.Comment("acme", "rotation", n, "/revoked", "dana")
		w.rotating(n, "it counts when a check")
		w.clock.pass(2 * time.Hour)
		w.idle()
		w.rotating(n, "is open", "kw/state:rotating")

		// Closed by hand it is opened again, once.
		if err := w.gh.CloseIssue("acme", "rotation", n, "completed", "dana"); err != nil {
			t.Fatal(err)
		}
		w.rotating(n, "is open", "`dana` closed this issue", "it is open again, once")

		w.provider.Revoke(key)
		w.clock.pass(time.Hour)
		w.rotating(n, "**rotating → revoked**", "kw/state:revoked", "| **Alive** | inactive")
		w.pushed(c, "widgets", "Without", "deploy.env", "TAILSCALE_SCIM=from-the-vault\n")
		w.clock.pass(2 * time.Hour)
		i := w.rotating(n, "**revoked → verified-dead**", "**verified-dead → closed**", "kw/state:closed", "is closed completed", "<summary>Receipt</summary>", "it is gone from the default branches")
		if strings.Count(i.Body, "## Closed when it is proved") != 0 {
			t.Errorf("a closed key has something missing:\n%s", i.Body)
		}
		w.receipts(a, i, key)
		w.alerts("closed", "open", "open", "resolved revoked inactive")

		// It comes back: not proved dead any more.
		w.provider.Issue(key)
		w.pushed(c, "widgets", "Again", "b.env", "TAILSCALE_SCIM="+key+"\n")
		w.rotating(n, "is open reopened", "**closed → open**", "the key was pushed again", "kw/regression", "half the time")
		w.alerts("pushed again", "open", "open", "open")
		w.once("widgets")
		w.idle()
		if out, errs, code := run(t, w.environment(a), "ledger", "verify"); code != 0 {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
		comments := map[string]int{}
		for _, c := range w.rotating(n).Comments {
			_, text, ours := strings.Cut(c.Body, "\n")
			if comments[text]++; ours && comments[text] > 1 {
				t.Errorf("said twice: %s", c.Body)
			}
		}
	})
}

// alerts waits until GitHub's own alerts are as they should be.
func (w *world) alerts(when string, want ...string) {
	w.t.Helper()
	w.eventually(20*time.Second, "alerts when "+when, func() string {
		for i, a := range w.gh.Alerts("acme", "widgets") {
			if got := strings.TrimSpace(a.State + " " + a.Resolution + " " + a.Validity); !strings.HasPrefix(got, want[i]) {
				return fmt.Sprintf("alert %d is %s, want %s", a.Number, got, want[i])
			}
		}
		return ""
	})
}

// receipts checks the receipt in the last comment of an issue with the command, as it is
// and with each field changed.
func (w *world) receipts(a *app, i githubtest.Issue, key string) {
	w.t.Helper()
	last := i.Comments[len(i.Comments)-1].Body
	_, text, ok := strings.Cut(last, "```json\n")
	text, _, end := strings.Cut(text, "\n```")
	if !ok || !end || strings.Contains(text, key) {
		w.t.Fatalf("no receipt in\n%s", last)
	}
	file := filepath.Join(w.t.TempDir(), "receipt.json")
	check := func(text string, args ...string) (string, int) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
		out, errs, code := run(w.t.(*testing.T), w.environment(a), append([]string{"receipt", "verify", file}, args...)...)
		return out + errs, code
	}
	if out, code := check(text); code != 0 || !strings.Contains(out, "signature: good") {
		w.t.Errorf("exit %d\n%s", code, out)
	}
	public, _, _ := run(w.t.(*testing.T), w.environment(a), "receipt", "key")
	if out, code := check(text, "--key", strings.TrimSpace(public)); code != 0 {
		w.t.Errorf("with the key: exit %d\n%s", code, out)
	}
	if out, code := check(text, "--key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="); code != 2 || !strings.Contains(out, "another key") {
		w.t.Errorf("with another key: exit %d\n%s", code, out)
	}
	var r rotation.Receipt
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		w.t.Fatal(err)
	}
	if len(r.Proof) < 3 || !strings.Contains(r.Statement, "proved dead") || !strings.Contains(r.Statement, "not monitored") {
		w.t.Errorf("receipt %+v", r)
	}
	for name, change := range map[string]func(*rotation.Receipt){
		"key":       func(r *rotation.Receipt) { r.Key = "KW-AAAAAA" },
		"closed":    func(r *rotation.Receipt) { r.Closed = r.Closed.Add(-time.Hour) },
		"statement": func(r *rotation.Receipt) { r.Statement += "." },
		"proof":     func(r *rotation.Receipt) { r.Proof = r.Proof[1:] },
		"mac":       func(r *rotation.Receipt) { r.Ledger.Mac = string(r.Ledger.Mac[0]^1) + r.Ledger.Mac[1:] },
		"signature": func(r *rotation.Receipt) { r.Signature = strings.Repeat("A", 86) + "==" },
		"version":   func(r *rotation.Receipt) { r.Version = 2 },
	} {
		changed := r
		change(&changed)
		text, err := json.Marshal(changed)
		if err != nil {
			w.t.Fatal(err)
		}
		if out, code := check(string(text)); code != 2 {
			w.t.Errorf("%s changed: exit %d\n%s", name, code, out)
		}
	}
	for _, text := range []string{"", "{}", "null", `{"version":1,"more":2}`, text + text} {
		if out, code := check(text); code != 2 || strings.Contains(out, "panic") {
			w.t.Errorf("%.40q: exit %d\n%s", text, code, out)
		}
	}
	shown, _, code := run(w.t.(*testing.T), w.environment(a), "receipt", "show", r.Key)
	if code != 0 || strings.TrimSpace(shown) != strings.TrimSpace(text) {
		w.t.Errorf("shown: exit %d\n%s\nwant\n%s", code, shown, text)
	}
}

// TestKillWhileRotating kills the App at each write that a command or an issue closed by
// hand leads to, before and after it has its effect: what was asked for happens once, is
// answered once and told once.
func TestKillWhileRotating(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.env["KEYWARD_WRITE_PAUSE"], w.env["KEYWARD_HEARTBEAT"] = "1ms", "200ms"
		w.gh.SetPermission("acme", "rotation", "dana", "write")
		current := w.spawn()
		c := w.clone("widgets")
		cases := []struct{ act, method, path string }{
			{"/ack", "POST", "/reactions"}, {"/ack", "POST", "/comments"}, {"/ack", "PATCH", "/issues/"},
			{"close", "PATCH", "/issues/"}, {"close", "POST", "/comments"},
		}
		keys := w.variants("gitlab-pat", 2*len(cases))
		text := ""
		for i, key := range keys {
			text += fmt.Sprintf("T%d=%s\n", i, key)
		}
		w.pushed(c, "widgets", "Keys", "keys.env", text)
		issues := w.issues("rotation", len(keys))
		w.idle()
		for i, tt := range cases {
			for j, after := range []bool{false, true} {
				n := issues[2*i+j].Number
				victim, hit := current, make(chan struct{})
				var once sync.Once
				w.gh.OnRequest(func(_ int, r *http.Request, done bool) {
					if r.Method == tt.method && done == after && (strings.HasSuffix(r.URL.Path, tt.path) || tt.path == "/issues/" && strings.HasSuffix(r.URL.Path, fmt.Sprint("/issues/", n))) {
						once.Do(func() { victim.kill(); close(hit) })
					}
				})
				if tt.act == "close" {
					if err := w.gh.CloseIssue("acme", "rotation", n, "completed", "dana"); err != nil {
						t.Fatal(err)
					}
				} else {
					w.gh.Comment("acme", "rotation", n, tt.act, "dana")
				}
				select {
				case <-hit:
				case <-time.After(30 * time.Second):
					t.Errorf("%s: %s %s was never asked", tt.act, tt.method, tt.path)
				}
				w.gh.OnRequest(nil)
				victim.kill()
				current = w.spawn()
				want, comments := []string{"is open", "kw/state:acknowledged", "**State** | acknowledged", "open -> acknowledged, by @dana"}, 2
				if tt.act == "close" {
					want, comments = []string{"is open", "it is open again, once"}, 1
				}
				found := w.rotating(n, want...)
				w.idle()
				if found = w.rotating(n, want...); len(found.Comments) != comments {
					t.Errorf("%s, killed at %s %s: %d comments", tt.act, tt.method, tt.path, len(found.Comments))
				}
				if k := strings.Count(found.Body, "by @dana (comment"); tt.act == "/ack" && k != 1 {
					t.Errorf("it was acknowledged %d times", k)
				}
				if k := strings.Count(found.Body, "closed by @dana without evidence"); tt.act == "close" && k != 1 {
					t.Errorf("it was closed %d times", k)
				}
			}
		}
		w.once("widgets", "rotation")
		if out, errs, code := run(t, w.environment(current), "ledger", "verify"); code != 0 {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
	})
}

// TestRemoval has a pull request take out a key that works: its check passes, and says
// that this is no rotation.
func TestRemoval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	key := w.key("gitlab-pat")
	w.pushed(c, "widgets", "Start", "a.env", "T="+key+"\n", "b.env", "X=1\n")
	w.issues("rotation", 1)
	for i, tt := range []struct {
		files []string
		says  bool
	}{{[]string{"a.env", "T=vault\n"}, true}, {[]string{"a.env", ""}, true}, {[]string{"b.env", "X=2\n"}, false}, {[]string{"a.env", "U=1\nT=" + key + "\n"}, false}} {
		branch := fmt.Sprint("change", i)
		w.git(c.dir, "checkout", "-q", "-B", branch, "origin/main")
		sha := c.commit(branch, tt.files...)
		c.push("HEAD:refs/heads/" + branch)
		if _, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Head: branch, Base: "main", Title: branch, Sender: "dana"}); err != nil {
			t.Fatal(err)
		}
		check := w.check("widgets", "Keyward", sha)
		said := strings.Contains(check.Summary, "Taking a key out is not rotating it") && strings.Contains(check.Summary, "`gitlab-pat` KW-") && strings.Contains(check.Summary, "is open: `acme/rotation#1`")
		if said != tt.says || tt.says && (check.Conclusion != "success" || !strings.HasPrefix(check.Title, "A key is taken out")) {
			t.Errorf("%v: %s %q\n%s", tt.files, check.Conclusion, check.Title, check.Summary)
		}
	}
	w.idle()
}

// TestParts has a key stand in more repositories than an issue has sub-issues: each has a
// part, which follows the key's own issue.
func TestParts(t *testing.T) { // alone: it has a hundred repositories to scan
	w := newWorld(t, "")
	w.env["KEYWARD_WRITE_PAUSE"] = "1ms"
	w.live()
	w.start()
	key := w.key("tailscale-scim-key")
	w.provider.Issue(key)
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "a.env", "T="+key+"\n")
	n := w.issues("rotation", 1)[0].Number
	const more = 103
	for i := range more {
		name := fmt.Sprint("copy-", i)
		w.repo(name, githubtest.Repo{Public: i == 0})
		w.git(c.dir, "push", "-q", w.gh.CloneURL("acme", name), "HEAD:refs/heads/main")
	}
	w.eventually(60*time.Second, "a part in each repository", func() string {
		own := w.gh.Issues("acme", "rotation")
		if len(own) != 2 || own[0].SubIssues != 100 || own[1].SubIssues != more-100 {
			return fmt.Sprintf("%d issues, sub-issues %+v", len(own), own)
		}
		return ""
	})
	w.idle()
	if k := len(w.gh.Issues("acme", "copy-0")); k != 0 {
		t.Errorf("%d issues in the public repository", k)
	}
	parts := w.gh.Issues("acme", "copy-7")
	if len(parts) != 1 || !strings.Contains(parts[0].Body, fmt.Sprintf("followed in acme/rotation#%d", n)) || !strings.Contains(parts[0].Body, "- `a.env:1`") || strings.Contains(parts[0].Body, "widgets") {
		t.Errorf("part %+v", parts)
	}

	// What is said of a part is said of the key; closing it says nothing.
	w.gh.SetPermission("acme", "copy-7", "dana", "write")
	w.gh.Comment("acme", "copy-7", parts[0].Number, "/ack", "dana")
	w.rotating(n, "kw/state:acknowledged")
	if err := w.gh.CloseIssue("acme", "copy-7", parts[0].Number, "completed", "dana"); err != nil {
		t.Fatal(err)
	}
	w.idle()
	w.rotating(n, "is open", "kw/state:acknowledged")
	w.once("widgets", "rotation", "copy-7")
}

// TestNotAgain: a pull request brings the same commits with each push, a merge and a re-run
// do too. A key that is proved dead comes back only by a commit that is new.
func TestNotAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.live()
	w.start()
	key := w.key("tailscale-scim-key")
	w.provider.Issue(key)
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "widgets\n")
	w.git(c.dir, "checkout", "-q", "-B", "topic")
	leak := c.commit("Leak", "a.env", "T="+key+"\n")
	c.push("HEAD:refs/heads/topic")
	if _, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Head: "topic", Base: "main", Title: "Topic", Sender: "dana"}); err != nil {
		t.Fatal(err)
	}
	check := w.check("widgets", "Keyward", leak)
	n := w.issues("rotation", 1)[0].Number
	w.rotating(n, "is open", "| **Alive** | active")
	w.provider.Revoke(key)
	w.clock.pass(7 * time.Hour)
	w.rotating(n, "kw/state:revoked")
	w.clock.pass(2 * time.Hour)
	w.rotating(n, "is closed completed", "**verified-dead → closed**")
	w.idle()
	closed := w.rotating(n, "kw/state:closed")

	same := func(what string) {
		t.Helper()
		w.idle()
		if i := w.rotating(n, "is closed completed", "kw/state:closed"); len(i.Comments) != len(closed.Comments) {
			t.Errorf("%s: there are comments\n%s", what, i.Comments[len(i.Comments)-1].Body)
		}
	}
	sha := c.commit("Without", "a.env", "T=vault\n")
	c.push("HEAD:refs/heads/topic")
	w.check("widgets", "Keyward", sha)
	same("another push to the pull request")
	if err := w.gh.Rerequest("acme", "widgets", check.ID); err != nil {
		t.Fatal(err)
	}
	same("a check that is made again")
	c.push("HEAD:refs/heads/main")
	w.check("widgets", "Keyward (push)", sha)
	same("the merge")
	w.pushed(c, "widgets", "Revert", "a.env", "T="+key+"\n")
	w.rotating(n, "is open reopened", "**closed → open**", "the key was pushed again")
	w.once("rotation")
}

// TestUnseen: what a policy switches off is on the default branch all the same, and of a
// branch that can not be looked at nothing is known.
func TestUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.live()
	w.start()
	key := w.key("tailscale-scim-key")
	w.provider.Issue(key)
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Leak", "a.env", "T="+key+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.rotating(n, "a default branch has it")
	w.pushed(c, "widgets", "Policy", ".keyward.toml", "[[disable]]\nrule = \"tailscale-scim-key\"\nreason = \"it is in the way\"\n")
	w.provider.Revoke(key)
	for range 3 {
		w.clock.pass(7 * time.Hour)
		w.idle()
	}
	w.rotating(n, "is open", "kw/state:revoked", "- a default branch still has it")

	// It is taken out, and the branch is gone that HEAD names: before the push, for that is
	// followed by a look at the branch.
	bare := w.gh.RepoDir("acme", "widgets")
	w.git(bare, "symbolic-ref", "HEAD", "refs/heads/nowhere")
	sha := c.commit("Without", "a.env", "T=vault\n")
	c.push("HEAD:refs/heads/main")
	w.check("widgets", "Keyward (push)", sha)
	w.clock.pass(25 * time.Hour)
	w.idle()
	w.rotating(n, "is open", "kw/state:revoked")
	w.git(bare, "symbolic-ref", "HEAD", "refs/heads/main")
	w.clock.pass(25 * time.Hour)
	w.rotating(n, "is closed completed")
}

// TestLeft: of what a repository has that the App does not see any more nothing is known;
// one that is deleted has nothing. A key that stands under another name is still there.
func TestLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.live()
	w.start()
	key := w.key("tailscale-scim-key")
	w.provider.Issue(key)
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "widgets\n")
	w.repo("gadgets", githubtest.Repo{})
	g := w.clone("gadgets")
	w.pushed(g, "gadgets", "Leak", "a.env", "T="+key+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.rotating(n, "a default branch has it", "| **Alive** | active")
	// Moved to where it was not found, in a form that no rule knows.
	sha := g.commit("Moved", "a.env", "", "b.txt", "a"+key+"b\n")
	g.push("HEAD:refs/heads/main")
	w.check("gadgets", "Keyward (push)", sha)
	w.provider.Revoke(key)
	for range 3 {
		w.clock.pass(7 * time.Hour)
		w.idle()
	}
	w.rotating(n, "is open", "kw/state:revoked", "- a default branch still has it")

	if err := w.gh.RemoveFromInstallation("acme", "gadgets"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.clock.pass(25 * time.Hour)
		w.idle()
	}
	w.rotating(n, "is open", "kw/state:revoked")
	if err := w.gh.AddToInstallation("acme", "gadgets"); err != nil {
		t.Fatal(err)
	}
	w.idle()
	w.pushed(g, "gadgets", "Without", "b.txt", "vault\n")
	w.clock.pass(25 * time.Hour)
	w.idle()
	w.rotating(n, "is closed completed")
}

// TestDeleted: a repository that is deleted has no branch that could have a key.
func TestDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.live()
	w.start()
	key := w.key("tailscale-scim-key")
	w.provider.Issue(key)
	w.repo("gadgets", githubtest.Repo{})
	g, c := w.clone("gadgets"), w.clone("widgets")
	w.pushed(g, "gadgets", "Leak", "a.env", "T="+key+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.pushed(c, "widgets", "Leak", "a.env", "T="+key+"\n")
	w.rotating(n, "a default branch has it", "| **Alive** | active", "1 more repository")
	w.pushed(c, "widgets", "Without", "a.env", "")
	w.provider.Revoke(key)
	for range 3 {
		w.clock.pass(7 * time.Hour)
		w.idle()
	}
	w.rotating(n, "is open", "kw/state:revoked", "- a default branch still has it")
	if err := w.gh.DeleteRepo("acme", "gadgets"); err != nil {
		t.Fatal(err)
	}
	w.idle()
	w.clock.pass(25 * time.Hour)
	w.rotating(n, "is closed completed", "a repository that it was found in was deleted")
}

// TestOverParts: who may write to some repository that has a key may say that they see to
// it, but not that it is none. The issues of a repository go with its name.
func TestOverParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	key := w.key("gitlab-pat")
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "a.env", "T="+key+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.repo("copy", githubtest.Repo{})
	w.git(c.dir, "push", "-q", w.gh.CloneURL("acme", "copy"), "HEAD:refs/heads/main")
	part := w.issues("copy", 1)[0].Number
	w.gh.SetPermission("acme", "copy", "dana", "admin")
	w.gh.SetPermission("acme", "rotation", "ravi", "write")
	replied := 0
	say := func(repo string, number int, who, text, want string) {
		t.Helper()
		w.gh.Comment("acme", repo, number, text, who)
		replied++
		w.eventually(20*time.Second, text, func() string {
			var said []string
			for _, i := range append(w.gh.Issues("acme", "copy"), w.gh.Issues("acme", "rotation")...) {
				for _, c := range i.Comments {
					if strings.HasPrefix(c.Body, "<!-- keyward v1 commands") {
						said = append(said, c.Body)
					}
				}
			}
			if len(said) != replied || !strings.Contains(strings.Join(said, "\n"), want) {
				return fmt.Sprintf("replies %q", said)
			}
			return ""
		})
	}
	say("copy", part, "dana", "/false-positive a test", "@dana needs to be able to write")
	say("copy", part, "dana", "/accept-risk until:"+time.Now().AddDate(0, 0, 9).Format(time.DateOnly)+" reason:x", "`/accept-risk`: `@dana needs to be able to write")
	say("copy", part, "dana", "/ack", "open -> acknowledged")
	say("copy", part, "ravi", "/revoked", "it counts when a check")
	if err := w.gh.Rename("acme", "rotation", "keys"); err != nil {
		t.Fatal(err)
	}
	w.idle()
	w.gh.Comment("acme", "keys", n, "/rotating new-1", "ravi")
	w.eventually(20*time.Second, "a command where the name is new", func() string {
		i := w.gh.Issues("acme", "keys")
		if len(i) != 1 || !strings.Contains(strings.Join(i[0].Labels, " "), "kw/state:rotating") {
			return fmt.Sprintf("%+v", i)
		}
		return ""
	})
}

// revokeCode is the code that the last comment of an issue tells to those who want the key
// revoked.
func revokeCode(t *testing.T, i githubtest.Issue) string {
	t.Helper()
	_, code, found := strings.Cut(i.Comments[len(i.Comments)-1].Body, "comment `/revoke ")
	if !found || len(code) < 8 {
		t.Fatalf("the last comment tells no code: %s", i.Comments[len(i.Comments)-1].Body)
	}
	return code[:8]
}

// TestRevoke has two people have a key revoked. One alone, a wrong code, somebody who may
// not write, and keys for which it is not switched on end nothing.
func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.live()
	w.env["KEYWARD_REVOKE"] = "key-issuing-admin"
	w.env["KEYWARD_VERIFY"] = "false" // what is not asked may be told
	w.start()
	for _, who := range []string{"dana", "ravi"} {
		w.gh.SetPermission("acme", "rotation", who, "write")
	}
	key, other, none := w.key("gitlab-pat"), w.key("buildkite-api-token"), w.key("tailscale-auth-key")
	w.provider.Issue(key)
	w.provider.Issue(other)
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Keys", "a.env", "T="+key+"\n", "b.env", "BUILDKITE_API_TOKEN="+other+"\n", "c.env", "T="+none+"\n")
	number := map[string]int{}
	for _, i := range w.issues("rotation", 3) {
		for _, kind := range []string{"gitlab-pat", "buildkite-api-token", "tailscale-auth-key"} {
			if strings.Contains(strings.Join(i.Labels, " "), "kw/kind:"+kind) {
				number[kind] = i.Number
			}
		}
	}
	say := func(kind, who, text, want string) githubtest.Issue {
		t.Helper()
		w.gh.Comment("acme", "rotation", number[kind], text, who)
		return w.rotating(number[kind], want)
	}
	say("tailscale-auth-key", "dana", "/revoke", "can not be ended by themselves")
	say("buildkite-api-token", "dana", "/revoke", "a dry run: `DELETE https://api.buildkite.com/v2/access-token`")
	say("gitlab-pat", "sam", "/revoke", "needs to be able to write")
	i := say("gitlab-pat", "dana", "/revoke", "two people have to comment `/revoke ")
	code := revokeCode(t, i)
	say("gitlab-pat", "dana", "/revoke 00000000", "this is not the code")
	say("gitlab-pat", "dana", "/revoke "+code, "somebody else has to confirm it within 24 hours")
	say("gitlab-pat", "dana", "  /revoke "+code, "@dana has said so")
	w.idle()
	if n := len(w.provider.Asked()); n != 0 {
		t.Fatalf("%d requests before it was ordered: %q", n, w.provider.Asked())
	}
	say("gitlab-pat", "ravi", "/revoke "+code, "@dana and @ravi want the key revoked")
	w.rotating(number["gitlab-pat"], "kw/state:revoked", "revoked through its provider: DELETE https://gitlab.com/api/v4/personal_access_tokens/self answered 204")
	say("gitlab-pat", "ravi", "/revoke "+code, "the key is revoked already")
	w.idle()
	if asked := w.provider.Asked(); len(asked) != 1 || asked[0] != "DELETE https://gitlab.com/api/v4/personal_access_tokens/self" {
		t.Errorf("requests %q", asked)
	}
	w.once("widgets", "rotation")
}

// TestDeployKey follows a private key that is a deploy key of another repository: GitHub's
// list says that it works, and that it is gone, when two people had it deleted.
func TestDeployKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.live()
	w.gh.Grant(permissions("administration"))
	w.env["KEYWARD_REVOKE"] = "deploy-key"
	w.start()
	text, line := w.sshKey()
	w.repo("gadgets", githubtest.Repo{})
	g := w.clone("gadgets")
	w.pushed(g, "gadgets", "Start", "README.md", "gadgets\n") // now the App knows it
	for _, title := range []string{"first", "second"} {       // the pages are of two
		_, other := w.sshKey()
		if _, err := w.gh.AddDeployKey("acme", "gadgets", title, other, true); err != nil {
			t.Fatal(err)
		}
	}
	id, err := w.gh.AddDeployKey("acme", "gadgets", "deployer", line, false)
	if err != nil {
		t.Fatal(err)
	}
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Key", "deploy.pem", text)
	n := w.issues("rotation", 1)[0].Number
	w.rotating(n, fmt.Sprintf("active (GitHub lists it as deploy key %d of acme/gadgets, read and write)", id))
	w.pushed(c, "widgets", "Without", "deploy.pem", "")
	for _, who := range []string{"dana", "ravi"} {
		w.gh.SetPermission("acme", "rotation", who, "write")
	}
	w.gh.Comment("acme", "rotation", n, "/revoke", "dana")
	i := w.rotating(n, fmt.Sprintf("`DELETE /repos/acme/gadgets/keys/%d` ends the key", id), "two people have to comment `/revoke ")
	code := revokeCode(t, i)
	w.gh.Comment("acme", "rotation", n, "/revoke "+code, "dana")
	w.rotating(n, "somebody else has to confirm it")
	w.gh.Comment("acme", "rotation", n, "/revoke "+code, "ravi")
	w.rotating(n, "kw/state:closed", "is closed completed", fmt.Sprintf("revoked through its provider: DELETE /repos/acme/gadgets/keys/%d answered 204", id))
	if left := w.gh.DeployKeys("acme", "gadgets"); !slices.Equal(left, []string{"first", "second"}) {
		t.Errorf("deploy keys %q are left", left)
	}
	if n := len(w.provider.Asked()); n > 0 {
		t.Errorf("%d requests to providers", n)
	}
	w.once("widgets", "gadgets", "rotation")
}

// sshKey makes an SSH key of its own for a test: the private one as PEM, which is looked for
// at the end, and the public one as authorized_keys has it.
func (w *world) sshKey() (private, public string) {
	w.t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "fake, of a test")
	if err != nil {
		w.t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(pub)
	if err != nil {
		w.t.Fatal(err)
	}
	private = string(pem.EncodeToMemory(block))
	w.planted = append(w.planted, strings.Fields(private)[6])
	return private, string(ssh.MarshalAuthorizedKey(line))
}

// TestGrant takes a fine-grained token its access to the organisation: which grant is its,
// its owner and its expiry say, if they say it of one alone.
func TestGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.live()
	w.gh.Grant(permissions("organization_personal_access_tokens"))
	w.env["KEYWARD_REVOKE"] = "token-grant"
	w.start()
	for _, who := range []string{"dana", "ravi"} {
		w.gh.SetPermission("acme", "rotation", who, "write")
	}
	expires := time.Date(2027, 3, 4, 5, 6, 7, 0, time.UTC)
	for i := range 2 { // the pages are of two
		w.gh.AddGrant("acme", "dana", expires.Add(time.Duration(i+1)*time.Second))
	}
	its := w.gh.AddGrant("acme", "dana", expires)
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Key", "a.env", "T="+w.key("github-pat-fine-grained")+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.gh.Comment("acme", "rotation", n, "/revoke", "dana")
	w.rotating(n, "which a check has to say first")

	// What a check at GitHub would tell.
	s, err := store.Open(t.Context(), filepath.Join(w.dir, "app", "keyward.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	inst, err := s.Installations(t.Context())
	if err != nil || len(inst) != 1 {
		t.Fatal(len(inst), err)
	}
	all, err := s.Credentials(t.Context(), inst[0].ID, store.StateOpen)
	if err != nil || len(all) != 1 {
		t.Fatal(len(all), err)
	}
	if err := s.AddFacts(t.Context(), all[0], []scanner.Fact{{Name: "owner", Value: "dana"}, {Name: "expires", Value: "2027-03-04 05:06:07 UTC"}}); err != nil {
		t.Fatal(err)
	}
	w.gh.Comment("acme", "rotation", n, "/revoke", "dana")
	i := w.rotating(n, fmt.Sprintf("`POST /orgs/acme/personal-access-tokens/%d` takes the token its access to the organisation", its), "two people have to comment `/revoke ")
	code := revokeCode(t, i)
	w.gh.Comment("acme", "rotation", n, "/revoke "+code, "dana")
	w.rotating(n, "somebody else has to confirm it")
	w.gh.Comment("acme", "rotation", n, "/revoke "+code, "ravi")
	w.rotating(n, "is open", "kw/state:open", "the token itself is not revoked", "A check has to confirm")
	if left := w.gh.Grants("acme"); len(left) != 2 || slices.Contains(left, its) {
		t.Errorf("grants %d are left", left)
	}
	w.gh.AddGrant("acme", "dana", expires)
	w.gh.AddGrant("acme", "dana", expires)
	w.gh.Comment("acme", "rotation", n, "/revoke", "dana")
	w.rotating(n, "2 grants of dana are of tokens that expire in the same second")
	w.idle()
}

// TestKillWhileClosing kills the App at each write that ends a key and closes its issue,
// before and after it has its effect: the key is ended, the issue and the alert closed, the
// receipt given once.
func TestKillWhileClosing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_WRITE_PAUSE"], w.env["KEYWARD_HEARTBEAT"], w.env["KEYWARD_REVOKE"], w.env["KEYWARD_WATCH"] = "1ms", "200ms", "deploy-key", "200ms"
	w.gh.Grant(permissions("administration", "secret_scanning_alerts"))
	for _, who := range []string{"dana", "ravi"} {
		w.gh.SetPermission("acme", "rotation", who, "write")
	}
	current := w.spawn()
	c := w.clone("widgets")
	for i, tt := range []struct{ method, path string }{
		{"DELETE", "/keys/"}, {"PATCH", "/alerts/"}, {"POST", "/comments"}, {"PATCH", "/issues/"},
	} {
		for j, after := range []bool{false, true} {
			text, line := w.sshKey()
			name := fmt.Sprintf("k%d-%d.pem", i, j)
			if _, err := w.gh.AddDeployKey("acme", "widgets", name, line, false); err != nil {
				t.Fatal(err)
			}
			if _, err := w.gh.AddAlert("acme", "widgets", text); err != nil {
				t.Fatal(err)
			}
			w.pushed(c, "widgets", "Key", name, text)
			all := w.issues("rotation", 2*i+j+1)
			n := all[len(all)-1].Number
			w.rotating(n, "GitHub lists it as deploy key")
			w.pushed(c, "widgets", "Without", name, "")
			w.gh.Comment("acme", "rotation", n, "/revoke", "dana")
			code := revokeCode(t, w.rotating(n, "two people have to comment `/revoke "))
			w.gh.Comment("acme", "rotation", n, "/revoke "+code, "dana")
			w.rotating(n, "somebody else has to confirm it")
			w.idle()
			victim, hit := current, make(chan struct{})
			var once sync.Once
			var ordered atomic.Bool
			w.gh.OnRequest(func(_ int, r *http.Request, done bool) {
				if r.Method == "DELETE" && strings.Contains(r.URL.Path, "/keys/") && (done || tt.method == "DELETE") {
					ordered.Store(true)
				}
				if ordered.Load() && r.Method == tt.method && done == after && strings.Contains(r.URL.Path, tt.path) {
					once.Do(func() { victim.kill(); close(hit) })
				}
			})
			w.gh.Comment("acme", "rotation", n, "/revoke "+code, "ravi")
			select {
			case <-hit:
			case <-time.After(30 * time.Second):
				t.Errorf("%s %s was never asked", tt.method, tt.path)
			}
			w.gh.OnRequest(nil)
			victim.kill()
			current = w.spawn()
			w.rotating(n, "kw/state:closed", "is closed completed", "**verified-dead → closed**")
			w.idle()
			found := w.rotating(n, "is closed completed")
			receipts := 0
			for _, c := range found.Comments {
				receipts += strings.Count(c.Body, "<summary>Receipt</summary>")
			}
			if alerts := w.gh.Alerts("acme", "widgets"); receipts != 1 || alerts[len(alerts)-1].Resolution != "revoked" || len(w.gh.DeployKeys("acme", "widgets")) > 0 {
				t.Errorf("killed at %s %s (after: %v): %d receipts, alert %+v, deploy keys %q", tt.method, tt.path, after, receipts, alerts[len(alerts)-1], w.gh.DeployKeys("acme", "widgets"))
			}
		}
	}
	w.once("widgets", "rotation")
	if out, errs, code := run(t, w.environment(current), "ledger", "verify"); code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// TestNobodyAsked has a key looked at where checks are switched off: its provider hears
// nothing, and nothing is proved.
func TestNobodyAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.live()
	delete(w.env, "KEYWARD_VERIFY")
	w.start()
	w.gh.SetPermission("acme", "rotation", "dana", "write")
	key := w.key("gitlab-pat")
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Key", "a.env", "T="+key+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.rotating(n, "not asked: checks are switched off (KEYWARD\\_VERIFY)", "| **Alive** | unknown", "a default branch has it")
	for _, text := range []string{"/revoked", "/verify", "/revoke", "/close-evidence"} {
		w.gh.Comment("acme", "rotation", n, text, "dana")
	}
	w.rotating(n, "it counts when a check", "Its provider is not asked", "a dry run", "it closes by itself when this is proved")
	w.pushed(c, "widgets", "Without", "a.env", "T=vault\n")
	for range 10 {
		w.clock.pass(24 * time.Hour)
		w.idle()
	}
	w.rotating(n, "is open", "kw/state:open", "kw/overdue", "a default branch still has it")
	if asked := w.provider.Asked(); len(asked) != 0 {
		t.Errorf("its provider was asked: %q", asked)
	}
}

// permissions are those that the App asks for, and more to write.
func permissions(more ...string) map[string]string {
	all := map[string]string{"checks": "write", "contents": "read", "issues": "write", "metadata": "read", "pull_requests": "read"}
	for _, name := range more {
		all[name] = "write"
	}
	return all
}
