package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

func TestAgainAndButtons(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.start()
		c := w.clone("widgets")
		keys := w.variants("gitlab-pat", 4)
		w.pushed(c, "widgets", "Start", ".keyward.toml", "[app]\nissues = \"none\"\n")
		check := w.pushed(c, "widgets", "Key", "a.env", "T="+keys[0]+"\n")
		expect(t, check, "failure", "1 key found", "a.env:1")
		if len(check.Actions) != 3 {
			t.Errorf("buttons %v", check.Actions)
		}

		// Asked for again: a new run with the same result.
		w.gh.Rerequest("acme", "widgets", check.ID)
		second := w.anotherCheck("widgets", check)
		expect(t, second, "failure", "1 key found", "a.env:1")
		w.gh.RerequestSuite("acme", "widgets", check.SHA)
		third := w.anotherCheck("widgets", check, second)
		expect(t, third, "failure", "1 key found", "a.env:1")

		// Who may not write presses in vain, and so does who pushed a critical one.
		w.gh.RequestAction("acme", "widgets", third.ID, "not-a-key", "sam")
		w.gh.SetPermission("acme", "widgets", "dev", "admin")
		w.gh.RequestAction("acme", "widgets", third.ID, "not-a-key", "dev")
		w.eventually(20*time.Second, "somebody else has to say so", func() string {
			if now := w.checkByID("widgets", third.ID); !strings.Contains(now.Summary, "somebody else has to say so, too") || now.Conclusion != "failure" || len(now.Annotations) != 1 {
				return fmt.Sprintf("%s %d annotations: %s", now.Conclusion, len(now.Annotations), now.Summary)
			}
			return ""
		})

		// Open rotation, though the policy wants no issues.
		w.gh.Rerequest("acme", "widgets", third.ID)
		fourth := w.anotherCheck("widgets", check, second, third)
		w.gh.RequestAction("acme", "widgets", fourth.ID, "open-rotation", "dev")
		w.issues("rotation", 1)

		// Two who may write to the repository, and not where the issue is, say nothing for all
		// the others.
		w.gh.SetPermission("acme", "widgets", "sam", "write")
		for _, who := range []string{"dev", "sam"} {
			w.gh.RequestAction("acme", "widgets", fourth.ID, "not-a-key", who)
			w.eventually(20*time.Second, who+" may not decide it", func() string {
				if now := w.checkByID("widgets", fourth.ID); now.Conclusion != "failure" || !strings.Contains(now.Summary, "`"+who+"` says that this is no key") {
					return now.Conclusion + " " + now.Summary
				}
				return ""
			})
			w.idle()
		}
		if issue := w.gh.Issues("acme", "rotation")[0]; issue.State != "open" || strings.Contains(issue.Body, "says that it is no key") {
			t.Errorf("the issue is %s: %s", issue.State, issue.Body)
		}

		// Two others than who pushed it say that it is no key: the check passes on, the issue is closed.
		w.gh.AddUser("ravi")
		for _, who := range []string{"ravi", "sam"} {
			w.gh.SetPermission("acme", "rotation", who, "write")
			w.gh.SetPermission("acme", "widgets", who, "write")
		}
		w.gh.RequestAction("acme", "widgets", fourth.ID, "ack", "sam")
		w.gh.RequestAction("acme", "widgets", fourth.ID, "not-a-key", "ravi")
		w.eventually(20*time.Second, "acknowledged, and one says that it is none", func() string {
			if body := w.gh.Issues("acme", "rotation")[0].Body; !strings.Contains(body, "| **State** | acknowledged |") || !strings.Contains(body, "`@ravi says that it is no key: somebody else has to confirm it (check run)`") {
				return body
			}
			return ""
		})
		w.gh.RequestAction("acme", "widgets", fourth.ID, "not-a-key", "sam")
		w.eventually(20*time.Second, "the key is none", func() string {
			now, issue := w.checkByID("widgets", fourth.ID), w.gh.Issues("acme", "rotation")[0]
			if now.Conclusion != "neutral" || issue.State != "closed" || issue.StateReason != "not_planned" {
				return now.Conclusion + " " + now.Summary + " " + issue.State
			}
			return ""
		})
		expect(t, w.pushed(c, "widgets", "Elsewhere", "b.env", "T="+keys[0]+"\n"), "success", "No keys found")
		w.idle()
	})
}

func (w *world) checkByID(repo string, id int64) githubtest.Check {
	for _, c := range w.gh.Checks("acme", repo) {
		if c.ID == id {
			return c
		}
	}
	return githubtest.Check{}
}

// anotherCheck waits for a finished check run of the same commit that is none of those.
func (w *world) anotherCheck(repo string, known ...githubtest.Check) (found githubtest.Check) {
	w.t.Helper()
	w.eventually(20*time.Second, "another check run", func() string {
		for _, c := range w.gh.Checks("acme", repo) {
			if c.SHA == known[0].SHA && c.Status == "completed" && !slices.ContainsFunc(known, func(k githubtest.Check) bool { return k.ID == c.ID }) {
				found = c
				return ""
			}
		}
		return "there is none"
	})
	return found
}

func TestText(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.repo("open", githubtest.Repo{Public: true})
		w.start()
		keys := w.variants("gitlab-pat", 5)
		n := w.gh.OpenIssue("acme", "widgets", "Help", "It says 403, with "+keys[0], "dana")
		w.issues("rotation", 1)
		reply := func(repo string, number, want int) []githubtest.Comment {
			var out []githubtest.Comment
			w.eventually(20*time.Second, "replies", func() string {
				for _, i := range w.gh.Issues("acme", repo) {
					if i.Number == number {
						out = out[:0]
						for _, c := range i.Comments {
							if strings.HasPrefix(c.Body, "<!-- keyward") {
								out = append(out, c)
							}
						}
					}
				}
				if len(out) != want {
					return fmt.Sprintf("%d, want %d", len(out), want)
				}
				return ""
			})
			return out
		}
		if body := reply("widgets", n, 1)[0].Body; !strings.Contains(body, "KW-") || !strings.Contains(body, "Rotate it") {
			t.Errorf("the reply says %s", body)
		}
		id := w.gh.Comment("acme", "widgets", n, "and with "+keys[1], "sam")
		issue := w.issues("rotation", 2)[1]
		reply("widgets", n, 2)
		if !strings.Contains(issue.Body, fmt.Sprintf("comment %d on #%d", id, n)) || !strings.Contains(issue.Body, "#issuecomment-") {
			t.Errorf("the issue does not link to the comment\n%s", issue.Body)
		}
		// The same comment edited tells nothing twice.
		w.gh.EditComment("acme", "widgets", id, "oh, and with "+keys[1]+" again", "sam")
		// In public nobody is pointed at it.
		w.gh.SetPermission("acme", "open", "dana", "write")
		p := w.gh.OpenIssue("acme", "open", "Help", "It says 403, with "+keys[2], "dana")
		w.issues("rotation", 3)
		w.idle()
		reply("widgets", n, 2)
		reply("open", p, 0)
	})
}

func TestInstallation(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.env["KEYWARD_FIRST_ISSUES"] = "3"
		w.repo("old", githubtest.Repo{})
		w.repo("empty", githubtest.Repo{})
		keys := w.variants("gitlab-pat", 5)
		swarm := w.key("docker-swarm-join-token")
		c := w.clone("old")
		for i, k := range keys {
			c.commit("key", fmt.Sprintf("k%d.env", i), "T="+k+"\n")
		}
		c.commit("swarm in a test", "test/join.sh", "docker swarm join --token "+swarm+"\n")
		c.push()
		w.start()
		w.gh.Install("acme")
		list := w.issues("rotation", 3)
		board := func(title string, keys int) {
			t.Helper()
			w.eventually(20*time.Second, title, func() string {
				all := w.gh.Issues("acme", "rotation")
				for _, i := range all {
					if i.Title == title && strings.Count(i.Body, "KW-") == keys {
						return ""
					}
				}
				return fmt.Sprintf("%+v", all)
			})
		}
		board("[keyward] 3 keys are under way, 3 wait for their rotation", 6)
		// One that waits gets its issue when it is pushed again.
		waiting := -1
		for i := range keys {
			if !slices.ContainsFunc(list, func(is githubtest.Issue) bool {
				return strings.HasPrefix(is.Title, "[rotate]") && strings.Contains(is.Body, fmt.Sprintf("k%d.env", i))
			}) {
				waiting = i
			}
		}
		w.pushed(c, "old", "again", "again.env", "T="+keys[waiting]+"\n")
		w.issues("rotation", 4)
		board("[keyward] 4 keys are under way, 2 wait for their rotation", 6)

		// Suspended: nothing is asked. Then the history catches up.
		w.gh.Suspend("acme", true)
		w.idle()
		w.gh.Suspend("acme", false)
		w.idle()

		// Uninstalled: everything is deleted.
		w.gh.Uninstall("acme")
		w.idle()
		if w.database != "" {
			if text := string(dump(t, w.database)); strings.Contains(text, "k0.env") {
				t.Error("paths of an uninstalled organisation are still in the database")
			}
		}
	})
}

func TestRepositoryEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	keys := w.variants("gitlab-pat", 3)
	w.pushed(c, "widgets", "Key", "a.env", "T="+keys[0]+"\n")
	w.issues("rotation", 1)
	says := func(what, want string) {
		t.Helper()
		w.eventually(20*time.Second, what, func() string {
			if body := w.gh.Issues("acme", "rotation")[0].Body; !strings.Contains(body, want) {
				return body
			}
			return ""
		})
	}
	says("private", "private: whoever can read the repository")
	w.gh.Publicize("acme", "widgets")
	says("public", "public: everybody can read it")
	w.gh.Rename("acme", "widgets", "things")
	says("renamed", "acme/things/blob/")
	w.git(c.dir, "remote", "set-url", "origin", w.gh.CloneURL("acme", "things"))
	expect(t, w.pushed(c, "things", "After", "b.env", "T="+keys[1]+"\n"), "failure", "1 key found", "b.env:1")
	w.gh.DeleteRepo("acme", "things")
	w.idle()
}

func TestPublicRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_TRACKER"] = ""
	w.repo("open", githubtest.Repo{Public: true})
	w.repo("told", githubtest.Repo{Public: true})
	w.repo("quiet", githubtest.Repo{NoIssues: true})
	w.start()
	keys := w.variants("gitlab-pat", 4)
	open, told, quiet, private := w.clone("open"), w.clone("told"), w.clone("quiet"), w.clone("widgets")
	expect(t, w.pushed(open, "open", "Key", "a.env", "T="+keys[0]+"\n"), "failure", "1 key found", "a.env:1")
	w.pushed(told, "told", "Key", ".keyward.toml", "[app]\npublic-issues = true\n", "a.env", "T="+keys[1]+"\n")
	w.issues("told", 1)
	w.pushed(quiet, "quiet", "Key", "a.env", "T="+keys[2]+"\n")
	w.pushed(private, "widgets", "Key", "a.env", "T="+keys[3]+"\n")
	w.issues("widgets", 1)
	// Another place that is private: there it may be opened.
	w.pushed(private, "widgets", "The public one", "b.env", "T="+keys[0]+"\n")
	w.issues("widgets", 2)
	w.idle()
	w.issues("open", 0)
	w.issues("quiet", 0)
}
