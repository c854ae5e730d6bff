package server_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestHostileContent pushes what people could push to harm us: keys in paths, branches
// and messages, Markdown, links out of the tree, submodules elsewhere.
func TestHostileContent(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		a := w.start()
		c := w.clone("widgets")
		keys := w.variants("gitlab-pat", 8)
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")

		// A file that is called as a key, and holds another.
		w.pushed(c, "widgets", "path", "conf/"+keys[0]+".env", "T="+keys[1]+"\n")
		// A branch that is called as a key.
		w.git(c.dir, "checkout", "-q", "-b", "with-"+keys[2])
		sha := c.commit("branch", "b.env", "T="+keys[3]+"\n")
		c.push("HEAD:refs/heads/with-" + keys[2])
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "b.env:1")
		w.git(c.dir, "checkout", "-q", "main")

		// Markdown, mentions, and a marker of ours in a path.
		const path = "a`|<img src=x onerror=alert(1)>@everyone <!-- keyward v1 key=00 mac=00 --> #1 [x](http://evil.example).env"
		check := w.pushed(c, "widgets", "markdown", path, "T="+keys[4]+"\n")
		for _, bad := range []string{"<img", "](http://evil"} {
			if i := strings.Index(check.Summary, bad); i >= 0 && !inCode(check.Summary, i) {
				t.Errorf("the summary has %q in the open\n%s", bad, check.Summary)
			}
		}

		// Links and a submodule.
		if err := os.Symlink("/etc/passwd", filepath.Join(c.dir, "link")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/etc/hostname", filepath.Join(c.dir, ".keyward.toml")); err != nil {
			t.Fatal(err)
		}
		sub := w.git(c.dir, "rev-parse", "HEAD")
		w.git(c.dir, "update-index", "--add", "--cacheinfo", "160000,"+sub+",sub")
		if err := os.Mkdir(filepath.Join(c.dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, ".gitmodules"), []byte("[submodule \"sub\"]\n\tpath = sub\n\turl = ext::sh -c 'touch /tmp/keyward-pwned'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.git(c.dir, "add", "link", ".keyward.toml", ".gitmodules")
		w.git(c.dir, "commit", "-q", "-m", "links")
		sha = w.git(c.dir, "rev-parse", "HEAD")
		c.push()
		if check := w.check("widgets", "Keyward (push)", sha); check.Conclusion != "failure" || check.Title != "No keys found, but the policy is broken" {
			t.Errorf("links: %s %s\n%s", check.Conclusion, check.Title, check.Summary)
		}
		if _, err := os.Stat("/tmp/keyward-pwned"); err == nil {
			t.Error("a submodule's address was run")
		}
		w.issues("rotation", 3)
		for _, i := range w.gh.Issues("acme", "rotation") {
			if n := strings.Count(i.Body, "<!-- keyward"); n != 2 && !strings.Contains(i.Body, "¦") {
				t.Errorf("%d markers in %s", n, i.Body)
			}
			for at := range i.Body {
				if strings.HasPrefix(i.Body[at:], "<img") && !inCode(i.Body, at) {
					t.Errorf("markup in the open: %s", i.Body)
				}
			}
		}
		w.idle()
		if strings.Contains(a.log.String(), "job is dead") {
			t.Error("a job is dead")
		}
	})
}

// inCode reports whether a position in Markdown is inside a code span.
func inCode(md string, at int) bool {
	line := md[strings.LastIndexByte(md[:at], '\n')+1 : at]
	for len(line) > 0 {
		open := strings.IndexByte(line, '`')
		if open < 0 {
			return false
		}
		n := len(line[open:]) - len(strings.TrimLeft(line[open:], "`"))
		fence := line[open : open+n]
		line = line[open+n:]
		end := strings.Index(line, fence)
		if end < 0 {
			return true
		}
		line = line[end+n:]
	}
	return false
}

// TestForgery has people write markers of ours, and replay a delivery under another id.
func TestForgery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	key := w.key("gitlab-pat")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	w.gh.OpenIssue("acme", "rotation", "mine", "<!-- keyward v1 key="+strings.Repeat("0", 64)+" mac="+strings.Repeat("0", 24)+" -->\n", "sam")
	// The first try to open the issue loses its answer: it is looked for, and theirs is not ours.
	w.gh.Fail(githubtest.Fault{Method: "POST", Path: `/issues$`, Status: 500, AfterEffect: true, Times: 1})
	sha := c.commit("key", "k.env", "T="+key+"\n")
	c.push()
	w.check("widgets", "Keyward (push)", sha)
	w.issues("rotation", 2)
	var push githubtest.Delivery
	for _, d := range w.gh.Deliveries() {
		if d.Event == "push" {
			push = d
		}
	}
	w.gh.DeliverRaw("push", "11111111-2222-3333-4444-555555555555", push.Payload)
	w.idle()
	w.issues("rotation", 2)
	w.once("widgets", "rotation")

	// A button pressed on a check of which nothing is known, and events that make no sense.
	for event, payload := range map[string]map[string]any{
		"check_run":    {"action": "requested_action", "check_run": map[string]any{"id": 99, "head_sha": sha}, "requested_action": map[string]any{"identifier": "not-a-key"}},
		"check_suite":  {"action": "rerequested", "check_suite": map[string]any{"head_sha": strings.Repeat("9", 40)}},
		"push":         {"ref": 7},
		"pull_request": {"action": "opened"},
		"issues":       {"action": "opened", "issue": map[string]any{"number": 4711}},
		"installation": {"action": "created"},
	} {
		payload["installation"] = map[string]any{"id": w.install, "account": map[string]any{"login": "acme", "id": 1}}
		payload["sender"] = map[string]any{"login": "sam", "id": 5, "type": "User"}
		if event != "installation" {
			payload["repository"] = map[string]any{"id": 77, "full_name": "acme/unknown", "private": true, "default_branch": "main", "owner": map[string]any{"login": "acme", "id": 1}}
		}
		w.gh.Deliver(event, payload)
	}
	w.idle()
}

// TestRedirect has GitHub, or somebody in its place, send us elsewhere: no token may go
// there, by the API or by git.
func TestRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	var asked atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	evil := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			t.Errorf("a token went to another host: %s", r.URL)
		}
		http.NotFound(rw, r)
	})}
	go func() { _ = evil.Serve(l) }()
	t.Cleanup(func() { _ = evil.Close() })
	w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	for i, f := range []githubtest.Fault{{Method: "POST", Path: `git-upload-pack$`}, {Method: "GET", Path: `^/repos/`}, {Method: "POST", Path: `^/repos/`}} {
		f.Redirect, f.Times, f.Status = "http://"+l.Addr().String()+"/x", 2, 302+5*(i%2)
		key := w.key("gitlab-pat")
		w.gh.Fail(f)
		sha := c.commit("key", "k.env", fmt.Sprintf("T=%s\nN=%d\n", key, i))
		c.push()
		w.check("widgets", "Keyward (push)", sha)
		w.idle()
		w.gh.ClearFaults()
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("another host was asked %d times", n)
	}
}

// TestEverythingWithoutRights takes rights away: the scan is made all the same, nothing
// is tried for ever.
func TestEverythingWithoutRights(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"checks", "issues", "pull_requests"} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			w.gh.Grant(map[string]string{lost: ""})
			a := w.start()
			c := w.clone("widgets")
			key := w.key("gitlab-pat")
			c.commit("key", "k.env", "T="+key+"\n")
			c.push()
			w.eventually(20*time.Second, "it is scanned", func() string {
				if !strings.Contains(a.log.String(), `"keys":1`) {
					return a.log.String()
				}
				return ""
			})
			w.idle()
			if log := a.log.String(); strings.Contains(log, "job failed") {
				t.Error("a job failed")
			}
			if lost != "issues" {
				w.issues("rotation", 1)
			}
		})
	}
}

// TestHostilePolicy has policies that would cost us time or open what is ours.
func TestHostilePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.gh.AddOrg("other")
	if _, err := w.gh.AddRepo("other", "theirs", githubtest.Repo{}); err != nil {
		t.Fatal(err)
	}
	w.start()
	c := w.clone("widgets")
	keys := w.variants("gitlab-pat", 4)
	rules := "[[rules]]\nid = \"a\"\nregex = '''(a+)+$'''\nkeywords = [\"aaaa\"]\n"
	for i, policy := range []string{
		"[app]\ntracker = \"other/theirs\"\n",
		"rules = [\"../../etc/passwd\"]\n",
		"rules = [\"rules.toml\"]\n",
		strings.Repeat("[[allow]]\nreason = \"many\"\npaths = [\"**/x/**/x/**/x/**/x\"]\n", 2000),
	} {
		name := fmt.Sprintf("k%d.env", i)
		check := w.pushed(c, "widgets", "policy", ".keyward.toml", policy, "rules.toml", rules, name, "T="+keys[i]+"\n", "a.txt", strings.Repeat("a", 50_000)+"!\n")
		if check.Conclusion != "failure" || !strings.Contains(check.Title, "key") {
			t.Errorf("policy %d: %s %s\n%s", i, check.Conclusion, check.Title, check.Summary)
		}
	}
	w.idle()
	if n := len(w.gh.Issues("other", "theirs")); n > 0 {
		t.Errorf("%d issues in the tracker of another account", n)
	}
}

// TestTables looks at what is kept in the end: shapes, not texts.
func TestTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newDatabase(t))
	w.start()
	c := w.clone("widgets")
	key := w.key("gitlab-pat")
	w.pushed(c, "widgets", "private matters of Dana", "k.env", "T="+key+"\n")
	w.issues("rotation", 1)
	w.idle()
	text := string(dump(t, w.database))
	for _, never := range []string{"private matters", "Dana Dev", "dana@users.example", "refs/heads"} {
		if strings.Contains(text, never) {
			t.Errorf("the database keeps %q", never)
		}
	}
	for _, r := range w.gh.Requests() {
		if strings.Contains(r.Path, "check-runs") && r.Method == "POST" {
			var body map[string]any
			if err := json.Unmarshal(r.Body, &body); err != nil || body["external_id"] == "" {
				t.Errorf("%v: a check run without external_id: %s", err, r.Body)
			}
		}
	}
}
