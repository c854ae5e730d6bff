package server_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestAgainIsTheSame asks for checks again after the branch was merged: what was found
// is still found, and a fork's keys still open no issue.
func TestAgainIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	keys := w.variants("gitlab-pat", 3)
	again := func(known []githubtest.Check, title, at string) githubtest.Check {
		t.Helper()
		if err := w.gh.Rerequest("acme", "widgets", known[len(known)-1].ID); err != nil {
			t.Fatal(err)
		}
		check := w.anotherCheck("widgets", known...)
		expect(t, check, "failure", title, at)
		return check
	}
	first := w.pushed(c, "widgets", "The first commit of all", "first.env", "T="+keys[0]+"\n")
	expect(t, first, "failure", "1 key found", "first.env:1")
	again([]githubtest.Check{first}, "1 key found", "first.env:1")

	w.git(c.dir, "checkout", "-q", "-b", "topic")
	sha := c.commit("on a branch", "topic.env", "T="+keys[1]+"\n")
	c.push("HEAD:refs/heads/topic")
	check := w.check("widgets", "Keyward (push)", sha)
	expect(t, check, "failure", "1 key found", "topic.env:1")
	w.git(w.gh.RepoDir("acme", "widgets"), "update-ref", "refs/heads/main", sha) // merged, and the push was lost
	second := again([]githubtest.Check{check}, "1 key found", "topic.env:1")
	again([]githubtest.Check{check, second}, "1 key found", "topic.env:1")

	sha = c.commit("fork", "fork.env", "T="+keys[2]+"\n")
	w.git(w.gh.RepoDir("acme", "widgets"), "fetch", "-q", c.dir, sha)
	if _, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "Fork", Base: "main", Head: sha, HeadRepo: "stranger/widgets", Sender: "sam"}); err != nil {
		t.Fatal(err)
	}
	fork := w.check("widgets", "Keyward", sha)
	expect(t, fork, "failure", "1 key found", "fork.env:1")
	again([]githubtest.Check{fork}, "1 key found", "fork.env:1")
	w.issues("rotation", 2)
	w.idle()
	w.issues("rotation", 2)
}

// TestTooLong has a fetch never end: the check says so.
func TestTooLong(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.env["KEYWARD_SCAN_TIMEOUT"] = "3s"
		w.start()
		c := w.clone("widgets")
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
		w.gh.Fail(githubtest.Fault{Path: `git-upload-pack$`, Hang: true, Times: 1})
		sha := c.commit("key", "k.env", "T="+w.key("gitlab-pat")+"\n")
		c.push()
		check := w.check("widgets", "Keyward (push)", sha)
		expect(t, check, "failure", "Not scanned")
		if !strings.Contains(check.Summary, "took longer than 3s") {
			t.Errorf("the summary says\n%s", check.Summary)
		}
		w.issues("rotation", 1) // it is tried again
		w.eventually(20*time.Second, "the check says what came of it", func() string {
			if now := w.checkByID("widgets", check.ID); !strings.HasPrefix(now.Title, "1 key found") {
				return now.Title
			}
			return ""
		})
	})
}

// TestOneFails has checks and issues of one repository fail always: those of another are
// told all the same. What should be a file is a directory besides.
func TestOneFails(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.repo("bad", githubtest.Repo{})
		w.start()
		keys := w.variants("gitlab-pat", 2)
		bad, good := w.clone("bad"), w.clone("widgets")
		w.gh.Fail(githubtest.Fault{Method: "PATCH", Path: `/repos/acme/bad/check-runs`, Status: 500})
		w.gh.Fail(githubtest.Fault{Path: `/repos/acme/bad/commits/`, Status: 500})
		bad.commit("key", "k.env", "T="+keys[0]+"\n")
		bad.push()
		time.Sleep(500 * time.Millisecond)
		expect(t, w.pushed(good, "widgets", "key", "k.env", "T="+keys[1]+"\n", "CODEOWNERS/x", "y\n", ".keyward.toml/x", "y\n"), "failure", "1 key found", "k.env:1")
		w.issues("rotation", 1)
		w.gh.OpenIssue("acme", "widgets", "Help", "It says 403, with "+w.variants("gitlab-pat", 3)[2], "dana")
		w.issues("rotation", 2)
		w.gh.ClearFaults()
		w.issues("rotation", 3)
		w.idle()
		w.once("widgets", "bad", "rotation")
	})
}

// TestRefused has GitHub refuse what a check should say: it ends all the same.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	w.gh.Fail(githubtest.Fault{Method: "PATCH", Path: `/check-runs/`, Status: 422, Times: 1, Body: `{"message":"Invalid request."}`})
	w.gh.Fail(githubtest.Fault{Method: "POST", Path: `/issues$`, Status: 422, Times: 1, Body: `{"message":"Validation Failed"}`})
	check := w.pushed(c, "widgets", "key", "k.env", "T="+w.key("gitlab-pat")+"\n")
	expect(t, check, "failure", "1 key found")
	if !strings.Contains(check.Summary, "did not take the whole report") {
		t.Errorf("the summary says\n%s", check.Summary)
	}
	w.issues("rotation", 1)

	// A token that is refused for another reason than a suspension is asked for again.
	w.gh.ExpireTokens()
	w.gh.Fail(githubtest.Fault{Path: `/access_tokens$`, Status: 403, Times: 2, Body: `{"message":"Resource not accessible by integration"}`})
	expect(t, w.pushed(c, "widgets", "clean", "x", "y\n"), "success", "No keys found")
}

// TestOddNames pushes files whose names are no text.
func TestOddNames(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.start()
		c := w.clone("widgets")
		sha := c.commit("key", "a\xff\x01b.env", "T="+w.key("gitlab-pat")+"\n")
		c.push()
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "a\uFFFD\x01b.env:1")
		w.issues("rotation", 1)
		w.idle()
	})
}

// TestNotKeyOfTheRest says of a key that it is none, where something was not scanned.
func TestNotKeyOfTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_MAX_FILE_MB"] = "1"
	w.start()
	w.gh.SetPermission("acme", "widgets", "sam", "write")
	w.gh.SetPermission("acme", "widgets", "dana", "write")
	w.gh.SetPermission("acme", "rotation", "sam", "write")
	w.gh.SetPermission("acme", "rotation", "dana", "write")
	c := w.clone("widgets")
	check := w.pushed(c, "widgets", "Large", "large.txt", strings.Repeat("text\n", 400_000), "k.env", "T="+w.key("gitlab-pat")+"\n")
	expect(t, check, "failure", "1 key found", "k.env:1")
	for i, who := range []string{"sam", "dana", "sam"} { // the third says nothing new
		if err := w.gh.RequestAction("acme", "widgets", check.ID, "not-a-key", who); err != nil {
			t.Fatal(err)
		}
		w.eventually(20*time.Second, "the key is none", func() string {
			check = w.checkByID("widgets", check.ID)
			if !strings.Contains(check.Summary, "says that this is no key") || i > 0 && strings.HasPrefix(check.Title, "1 key found") {
				return check.Summary
			}
			return ""
		})
		w.idle()
		check = w.checkByID("widgets", check.ID)
		if i == 0 {
			continue
		}
		if check.Conclusion != "failure" || check.Title != "Not everything could be scanned" || strings.Count(check.Summary, "says that") != 1 {
			t.Errorf("%s %q\n%s", check.Conclusion, check.Title, check.Summary)
		}
	}
}

// TestGrown pushes branches that come and go, until the copy is larger than allowed
// though the repository is not.
func TestGrown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_MAX_REPOSITORY_MB"] = "4"
	w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	for i := range 3 {
		w.git(c.dir, "checkout", "-q", "-B", "big", "origin/main")
		sha := c.commit("big", fmt.Sprintf("big%d.bin", i), noise(2<<20, i), "k.env", "T="+w.variants("gitlab-pat", i+1)[i]+"\n")
		c.push("+HEAD:refs/heads/big")
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "k.env:1")
		c.push(":refs/heads/big")
	}
}

// TestHistoryGone takes a repository away while its history is fetched: the keys of the
// others do not wait for it for ever.
func TestHistoryGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.repo("old", githubtest.Repo{})
	w.repo("stuck", githubtest.Repo{})
	for _, name := range []string{"old", "stuck"} {
		c := w.clone(name)
		c.commit("key", "k.env", "T="+w.key("gitlab-pat")+"\n")
		c.push()
	}
	w.gh.Fail(githubtest.Fault{Path: `/stuck\.git/`, Status: 503})
	w.start()
	w.gh.Install("acme")
	w.idle()
	if n := len(w.gh.Issues("acme", "rotation")); n != 0 {
		t.Fatalf("%d issues before all histories were looked at", n)
	}
	if err := w.gh.RemoveFromInstallation("acme", "stuck"); err != nil {
		t.Fatal(err)
	}
	w.issues("rotation", 1)
	left, _ := filepath.Glob(filepath.Join(w.dir, "app", "repositories", "*whole.git"))
	if len(left) != 0 {
		t.Errorf("%v is left on disk", left)
	}
}

// TestTrackerLater names a tracker after the key was found that had nowhere to go.
func TestTrackerLater(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.env["KEYWARD_TRACKER"] = ""
		w.repo("open", githubtest.Repo{Public: true})
		w.repo("second", githubtest.Repo{Public: true})
		w.repo("third", githubtest.Repo{Public: true})
		w.repo(".github", githubtest.Repo{})
		a := w.start()
		keys := w.variants("gitlab-pat", 3)
		c := w.clone("open")
		w.pushed(c, "open", "Key", "k.env", "T="+keys[0]+"\n")
		w.pushed(w.clone("second"), "second", "Key", "k.env", "T="+keys[1]+"\n")
		w.pushed(c, "open", "Policy", ".keyward.toml", "[app]\ntracker = \"acme/rotation\"\n")
		w.issues("rotation", 1)
		w.pushed(w.clone(".github"), ".github", "Policy of all", ".keyward.toml", "[app]\ntracker = \"acme/rotation\"\n")
		w.issues("rotation", 2)
		w.pushed(w.clone("third"), "third", "Key and policy", "k.env", "T="+keys[2]+"\n", ".keyward.toml", "[app]\nfail-on = \"low\"\n")
		w.idle()
		w.issues("rotation", 2)
		a.stop()
		w.env["KEYWARD_TRACKER"] = "rotation"
		w.start()
		w.issues("rotation", 3)
	})
}

// TestStrangers has somebody who may not write paste a key into a public repository.
func TestStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.repo("open", githubtest.Repo{Public: true})
	w.start()
	keys := w.variants("gitlab-pat", 2)
	w.gh.SetPermission("acme", "open", "dana", "write")
	w.gh.OpenIssue("acme", "open", "Help", "It says 403, with "+keys[0], "sam")
	w.idle()
	w.issues("rotation", 0)
	w.gh.OpenIssue("acme", "open", "Help", "It says 403, with "+keys[1], "dana")
	w.issues("rotation", 1)
}
