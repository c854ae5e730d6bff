package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestOwner gives each key to who has to rotate it: the last rule of CODEOWNERS that fits,
// else the committer, else the policy's default; and to another when they leave.
func TestOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	for _, login := range []string{"olga", "pat"} {
		w.gh.AddUser(login)
		w.gh.AddMember("acme", login)
	}
	c := w.clone("widgets")
	keys := w.variants("gitlab-pat", 6)
	w.pushed(c, "widgets", "Owners", ".github/CODEOWNERS", strings.Join([]string{
		"*.env @nobody-here", "not a line [", "/api/ @olga", "/infra/** @acme/platform @acme/other", "/shared/ @acme/platform @olga", "/gone/ @left-long-ago", "",
	}, "\n"), ".keyward.toml", "[app]\ndefault-assignee = \"pat\"\n")
	for i, tt := range []struct{ path, assignee, owner string }{
		{"api/k.env", "olga", "@olga"},
		{"infra/deep/k.txt", "", "@acme/platform"},
		{"shared/k.txt", "olga", "@olga"},
		{"gone/k.txt", "dana", "@dana"}, // who committed it
		{"k.env", "dana", "@dana"},
	} {
		w.pushed(c, "widgets", "key", tt.path, "T="+keys[i]+"\n")
		w.issues("rotation", i+1)
		list := w.gh.Issues("acme", "rotation")
		at := slices.IndexFunc(list, func(is githubtest.Issue) bool { return strings.Contains(is.Body, "[`"+tt.path+":1`]") })
		if at < 0 {
			t.Fatalf("no issue of %s", tt.path)
		}
		if got := strings.Join(list[at].Assignees, " "); got != tt.assignee {
			t.Errorf("%s: assigned to %q, want %q", tt.path, got, tt.assignee)
		}
		if !strings.Contains(list[at].Body, "| **Owner** | "+tt.owner+" |") {
			t.Errorf("%s: the issue does not name %s\n%s", tt.path, tt.owner, list[at].Body)
		}
	}
	w.gh.Deliver("organization", map[string]any{"action": "member_removed", "membership": map[string]any{"user": map[string]any{"login": "olga", "id": 99}},
		"organization": map[string]any{"login": "acme", "id": 1}, "installation": map[string]any{"id": w.install}, "sender": map[string]any{"login": "dana", "id": 5, "type": "User"}})
	w.idle()
	if strings.Contains(strings.Join(w.gh.Invalid(), ""), "assignees") {
		t.Error("a wrong assignee")
	}
}

// TestFairShare floods one organisation, with a slow git: another one's push does not
// wait behind it.
func TestFairShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_WORKERS"] = "4"
	w.gh.AddOrg("small")
	if _, err := w.gh.AddRepo("small", "tools", githubtest.Repo{}); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.gh.Fail(githubtest.Fault{Path: `acme/.*git-upload-pack$`, Delay: 700 * time.Millisecond})
	const flood = 30
	c := w.clone("widgets")
	for i := range flood {
		c.commit("flood", "f", fmt.Sprint(i))
		c.push(fmt.Sprintf("HEAD:refs/heads/b%d", i))
	}
	s := &clone{w, t.TempDir() + "/s"}
	w.git(w.dir, "clone", "-q", w.gh.CloneURL("small", "tools"), s.dir)
	sha := s.commit("small", "x", "y")
	start := time.Now()
	s.push()
	w.eventually(20*time.Second, "the small one's check", func() string {
		for _, check := range w.gh.Checks("small", "tools") {
			if check.SHA == sha && check.Status == "completed" {
				return ""
			}
		}
		return "there is none"
	})
	done := 0
	for _, check := range w.gh.Checks("acme", "widgets") {
		if check.Status == "completed" {
			done++
		}
	}
	t.Logf("the small one waited %s; %d of %d of the large one's were done", time.Since(start).Round(time.Millisecond), done, flood)
	if done > flood-8 {
		t.Errorf("the small one waited behind %d of %d", done, flood)
	}
}
