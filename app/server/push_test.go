package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

func expect(t testing.TB, c githubtest.Check, conclusion, title string, annotations ...string) {
	t.Helper()
	if c.Conclusion != conclusion || !strings.Contains(c.Title, title) {
		t.Errorf("check %s of %.7s: %s %q, want %s %q\n%s", c.Name, c.SHA, c.Conclusion, c.Title, conclusion, title, c.Summary)
	}
	var got []string
	for _, a := range c.Annotations {
		got = append(got, fmt.Sprintf("%s:%d", a.Path, a.StartLine))
	}
	slices.Sort(got)
	if strings.Join(got, " ") != strings.Join(annotations, " ") {
		t.Errorf("check %s of %.7s: annotations %v, want %v", c.Name, c.SHA, got, annotations)
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.start()
		c := w.clone("widgets")
		mesh, pat := w.key("tailscale-auth-key"), w.key("gitlab-pat")

		expect(t, w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n"), "success", "No keys found")
		expect(t, w.pushed(c, "widgets", "Join", "a/join.env", "x=1\nTS_AUTHKEY="+mesh+"\n"), "failure", "1 key found: Tailscale", "a/join.env:2")
		first := w.issues("rotation", 1)[0]
		for _, want := range []string{"<!-- keyward v1 key=", " mac=", "- [ ] ", "acme/widgets/blob/", "a/join.env", "**Revoke by**", "**Exposure**", "remove what nobody knows"} {
			if !strings.Contains(first.Body, want) {
				t.Errorf("the issue does not say %q\n%s", want, first.Body)
			}
		}
		if !slices.Contains(first.Assignees, "dana") {
			t.Errorf("the issue is assigned to %v, want the committer", first.Assignees)
		}
		if !slices.Contains(first.Labels, "keyward") || !slices.Contains(first.Labels, "kw/sev:critical") {
			t.Errorf("labels %v", first.Labels)
		}

		// The same key elsewhere: the same issue, one comment.
		expect(t, w.pushed(c, "widgets", "Again", "b/again.env", "TS_AUTHKEY="+mesh+"\n"), "failure", "1 key found", "b/again.env:1")
		w.eventually(20*time.Second, "the issue tells of the other place", func() string {
			i := w.gh.Issues("acme", "rotation")[0]
			if len(i.Comments) != 1 || !strings.Contains(i.Body, "b/again.env") {
				return fmt.Sprintf("%d comments, body %s", len(i.Comments), i.Body)
			}
			return ""
		})
		// A line beside it is no new place.
		expect(t, w.pushed(c, "widgets", "Beside", "a/join.env", "x=2\nTS_AUTHKEY="+mesh+"\n"), "success", "No keys found")

		// A key that came and went again in one push has leaked.
		c.commit("Oops", "oops.env", "TOKEN="+pat+"\n")
		expect(t, w.pushed(c, "widgets", "Take it out", "oops.env", ""), "failure", "1 key found: GitLab")
		w.issues("rotation", 2)

		// A message of a commit.
		swarm := w.key("docker-swarm-join-token")
		expect(t, w.pushed(c, "widgets", "Run docker swarm join --token "+swarm, "x", "y\n"), "failure", "1 key found: Docker Swarm")
		w.issues("rotation", 3)
		w.idle()
		if n := len(w.gh.Issues("acme", "rotation")[0].Comments); n != 1 {
			t.Errorf("%d comments on the first issue, want 1", n)
		}
	})
}

// key variants: the same kind of key with other digits.
func (w *world) variants(rule string, n int) []string {
	key := w.key(rule)
	out := []string{}
	for i := range n {
		at := len(key) - 8
		v := key[:at] + fmt.Sprintf("%c%c%c%c", 'a'+i%26, 'b'+(i/26)%20, '2'+byte(i%7), 'c'+byte((i/3)%19)) + key[at+4:]
		if !slices.Contains(out, v) {
			out = append(out, v)
			w.planted = append(w.planted, v)
		}
	}
	return out
}

func TestPushRefs(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.gh.CommitCap = 1
		w.start()
		c := w.clone("widgets")
		keys := w.variants("gitlab-pat", 9)
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")

		// A new branch is compared with the default one.
		w.git(c.dir, "checkout", "-q", "-b", "new")
		c.commit("one", "one.env", "T="+keys[0]+"\n")
		sha := c.commit("two", "two", "clean\n")
		c.push("HEAD:refs/heads/new")
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "one.env:1")

		// Forced: what took the place of the old commits is scanned.
		w.git(c.dir, "reset", "-q", "--hard", "HEAD~2")
		sha = c.commit("forced", "forced.env", "T="+keys[1]+"\n")
		c.push("+HEAD:refs/heads/new")
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "forced.env:1")

		// History that has nothing in common.
		w.git(c.dir, "checkout", "-q", "--orphan", "orphan")
		sha = c.commit("orphan", "orphan.env", "T="+keys[2]+"\n")
		c.push("+HEAD:refs/heads/new")
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "2 keys found", "forced.env:1", "orphan.env:1")

		// Deleted: nothing. No check, no job.
		c.push(":refs/heads/new")

		// A merge that brings what no parent has.
		w.git(c.dir, "checkout", "-q", "-b", "side", "origin/main")
		c.commit("side", "side", "s\n")
		w.git(c.dir, "checkout", "-q", "-B", "main", "origin/main")
		c.commit("main", "main", "m\n")
		w.git(c.dir, "merge", "-q", "--no-commit", "--no-ff", "side")
		sha = c.commit("merge", "evil.env", "T="+keys[3]+"\n")
		c.push()
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "evil.env:1")

		// A tag with a key in its message, at a commit that is known.
		w.git(c.dir, "tag", "-a", "-m", "release with "+keys[4], "v1")
		c.push("refs/tags/v1")
		w.issues("rotation", 5)

		// A tag at commits that are on no branch.
		w.git(c.dir, "checkout", "-q", "--detach")
		sha = c.commit("only tagged", "tagged.env", "T="+keys[5]+"\n")
		w.git(c.dir, "tag", "v2")
		c.push("refs/tags/v2")
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "tagged.env:1")

		// Two branches at once at one commit.
		sha = c.commit("both", "both.env", "T="+keys[6]+"\n")
		c.push("HEAD:refs/heads/b1", "HEAD:refs/heads/b2")
		expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "found", "both.env:1", "tagged.env:1")
		w.issues("rotation", 7)
		w.idle()
	})
}

func TestManyKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_TRACKER"] = ""
	w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Policy", ".keyward.toml", "[app]\nissues = \"none\"\n")
	keys := w.variants("gitlab-pat", 120)
	var b strings.Builder
	for i, k := range keys {
		fmt.Fprintf(&b, "T%d=%s\n", i, k)
	}
	check := w.pushed(c, "widgets", "Many", "many.env", b.String())
	if len(check.Annotations) != len(keys) {
		t.Errorf("%d annotations, want %d", len(check.Annotations), len(keys))
	}
	if n := len(w.gh.Issues("acme", "widgets")); n != 0 {
		t.Errorf("%d issues, the policy wants none", n)
	}
	w.idle()
}

func TestPull(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.start()
		c := w.clone("widgets")
		keys := w.variants("gitlab-pat", 6)
		w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n", ".keyward.toml", "[[allow]]\npaths = [\"known/**\"]\nreason = \"fixtures\"\n")

		// From the repository itself: all its commits count, also those scanned by a push.
		w.git(c.dir, "checkout", "-q", "-b", "topic")
		c.commit("key", "k.env", "T="+keys[0]+"\n")
		sha := c.commit("gone", "k.env", "", "known/x.env", "T="+keys[1]+"\n")
		c.push("HEAD:refs/heads/topic")
		n, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "Topic", Base: "main", Head: "topic", Sender: "dana"})
		if err != nil {
			t.Fatal(err)
		}
		check := w.check("widgets", "Keyward", sha)
		expect(t, check, "failure", "1 key found")
		if !strings.Contains(check.Summary, "k.env") || !strings.Contains(check.Summary, "1 key known") {
			t.Errorf("the summary says\n%s", check.Summary)
		}

		// More commits; an allow comment and a policy of the pull request do not count.
		sha = c.commit("allowed by itself", "own.env", "T="+keys[2]+" # keyward:allow my own\n", ".keyward.toml", "[[allow]]\npaths = [\"own.env\"]\nreason = \"my own\"\n\n[app]\nfail-on = \"none\"\n")
		c.push("HEAD:refs/heads/topic")
		if err := w.gh.UpdatePull("acme", "widgets", n, sha); err != nil {
			t.Fatal(err)
		}
		expect(t, w.check("widgets", "Keyward", sha), "failure", "2 keys found", "own.env:1")

		// From a fork: no issue, whatever it brings.
		w.git(c.dir, "checkout", "-q", "-B", "fork", "origin/main")
		sha = c.commit("fork", "fork.env", "T="+keys[3]+"\n")
		w.git(w.gh.RepoDir("acme", "widgets"), "fetch", "-q", c.dir, sha) // its objects are in the base repository too
		if _, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "Fork", Base: "main", Head: sha, HeadRepo: "stranger/widgets", Sender: "sam"}); err != nil {
			t.Fatal(err)
		}
		expect(t, w.check("widgets", "Keyward", sha), "failure", "1 key found", "fork.env:1")

		// The merge queue reports under the name that is required.
		base := w.git(c.dir, "rev-parse", "origin/main")
		w.git(c.dir, "checkout", "-q", "-B", "queue", "origin/main")
		sha = c.commit("queued", "q.env", "T="+keys[4]+"\n")
		c.push("HEAD:refs/heads/gh-readonly-queue/main/pr-1")
		w.gh.MergeGroup("acme", "widgets", base, sha)
		expect(t, w.check("widgets", "Keyward", sha), "failure", "1 key found", "q.env:1")
		w.idle()
	})
}

// TestNotScanned holds that what was not scanned is no success: a file that is too large
// fails, and what lies in Git LFS, which is never in a fetch, is neutral.
func TestNotScanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_MAX_FILE_MB"] = "1"
	w.start()
	c := w.clone("widgets")
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("4d", 32) + "\nsize 12345\n"
	expect(t, w.pushed(c, "widgets", "LFS", "image.psd", pointer), "neutral", "Not everything could be scanned")
	expect(t, w.pushed(c, "widgets", "Large", "large.txt", strings.Repeat("text\n", 400_000)), "failure", "Not everything could be scanned")
	w.idle()
}

// TestSameHead opens a second pull request with the same commit into a branch that has
// the key already, and moves the first one there and back: it still fails.
func TestSameHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	key := w.key("gitlab-pat")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n", ".keyward.toml", "[app]\nissues = \"none\"\n")
	c.commit("key", "k.env", "T="+key+"\n")
	c.push("HEAD:refs/heads/lenient")
	sha := c.commit("clean", "x", "y\n")
	c.push("HEAD:refs/heads/topic")
	last := func(n int) githubtest.Check { // the newest of n checks
		t.Helper()
		var last githubtest.Check
		w.eventually(60*time.Second, fmt.Sprintf("%d checks", n), func() string {
			done := 0
			for _, check := range w.gh.Checks("acme", "widgets") {
				if check.Name == "Keyward" && check.SHA == sha && check.Status == "completed" {
					done++
					if check.ID > last.ID {
						last = check
					}
				}
			}
			if done < n {
				return fmt.Sprintf("there are %d", done)
			}
			return ""
		})
		return last
	}
	first, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "Topic", Base: "main", Head: "topic"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, last(1), "failure", "1 key found", "k.env:1")
	if _, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "Sly", Base: "lenient", Head: "topic"}); err != nil {
		t.Fatal(err)
	}
	expect(t, last(2), "failure", fmt.Sprintf("Fails for pull request #%d", first))
	if err := w.gh.ClosePull("acme", "widgets", first); err != nil {
		t.Fatal(err)
	}
	if _, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "Third", Base: "lenient", Head: "topic"}); err != nil {
		t.Fatal(err)
	}
	last(3)
	for i, base := range []string{"lenient", "main"} {
		if err := w.gh.EditPull("acme", "widgets", first, base, "", ""); err != nil {
			t.Fatal(err)
		}
		last(4 + i)
	}
	expect(t, last(5), "failure", "1 key found", "k.env:1")
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.repo(".github", githubtest.Repo{})
	w.repo("gadgets", githubtest.Repo{})
	w.start()
	keys := w.variants("gitlab-pat", 4)
	g := w.clone(".github")
	w.pushed(g, ".github", "Policy of all", ".keyward.toml", "[app]\nfail-on = \"none\"\n")

	// The organisation's, where there is none.
	c := w.clone("gadgets")
	expect(t, w.pushed(c, "gadgets", "Key", "a.env", "T="+keys[0]+"\n"), "neutral", "1 key found", "a.env:1")
	// The repository's own.
	expect(t, w.pushed(c, "gadgets", "Own", ".github/keyward.toml", "[app]\nfail-on = \"low\"\n", "b.env", "T="+keys[1]+"\n"), "failure", "1 key found", "b.env:1")
	// A broken one: safe defaults, and it is said.
	check := w.pushed(c, "gadgets", "Broken", ".github/keyward.toml", "[app]\nfail-of = 1\n")
	expect(t, check, "failure", "the policy is broken")
	if !strings.Contains(check.Summary, "The policy is broken") || !strings.Contains(check.Summary, "line 2: unknown key") {
		t.Errorf("the summary says\n%s", check.Summary)
	}
	expect(t, w.pushed(c, "gadgets", "Still broken", "c.env", "T="+keys[2]+"\n"), "failure", "1 key found", "c.env:1")
	w.idle()
}

// TestBranchPolicy: on a branch the policy of the default branch counts. An exception that
// the branch adds, in the policy or in a comment, is pending until it is merged, and rules
// that would replace built-in ones fail the check.
func TestBranchPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.repo("gadgets", githubtest.Repo{})
	w.start()
	keys := w.variants("gitlab-pat", 5)
	c := w.clone("widgets")
	expect(t, w.pushed(c, "widgets", "Start", ".keyward.toml", "[[allow]]\npaths = [\"fixtures/**\"]\nreason = \"fixtures of the tests\"\n"), "success", "No keys found")
	push := func(branch, message string, files ...string) githubtest.Check {
		t.Helper()
		sha := c.commit(message, files...)
		c.push("HEAD:refs/heads/" + branch)
		return w.check("widgets", "Keyward (push)", sha)
	}
	// What the default branch excepts is excepted.
	expect(t, push("a", "Fixture", "fixtures/k.env", "T="+keys[0]+"\n"), "success", "No keys found")
	// What only the branch excepts is pending: by the policy, by a comment, by [[disable]].
	for _, files := range [][]string{
		{"b.env", "T=" + keys[1] + "\n", ".keyward.toml", "[[allow]]\npaths = [\"b.env\"]\nreason = \"mine to allow\"\n"},
		{"c.env", "T=" + keys[2] + " # keyward:allow mine to allow\n"},
		{"d.env", "T=" + keys[3] + "\n", ".keyward.toml", "[[disable]]\nrule = \"gitlab-pat\"\nreason = \"mine to allow\"\n"},
	} {
		check := push("a", "Exception", files...)
		expect(t, check, "failure", "1 key found", files[0]+":1")
		if !strings.Contains(check.Summary, "mine to allow") || !strings.Contains(check.Summary, "pending until it is merged") {
			t.Errorf("the summary does not say that the exception is pending:\n%s", check.Summary)
		}
	}
	// On the default branch a rule of the repository does not replace a built-in one.
	g := w.clone("gadgets")
	check := w.pushed(g, "gadgets", "Redefine", ".keyward.toml", "rules = [\"r.toml\"]\n", "e.env", "T="+keys[4]+"\n",
		"r.toml", "[[rule]]\nid = \"gitlab-pat\"\ntitle = \"Nothing\"\nclass = \"generic\"\nkeywords = [\"nothing-at-all\"]\npattern = 'nothing-at-all[0-9]{50}'\n")
	expect(t, check, "failure", "1 key found", "e.env:1")
	if !strings.Contains(check.Summary, "rule gitlab-pat would replace the built-in rule") {
		t.Errorf("the summary does not report the policy error:\n%s", check.Summary)
	}
	expect(t, w.pushed(g, "gadgets", "Clean", "README.md", "# Gadgets\n"), "failure", "Not everything could be scanned")
	w.idle()
}
