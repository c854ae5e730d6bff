package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestForgedEvents: who can write to the database, and has no pepper, does nothing in the name
// of people, neither by jobs nor by the row that says that a key is none, and no check passes
// by what they write.
func TestForgedEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	a := w.start()
	for _, who := range []string{"dana", "sam"} {
		w.gh.SetPermission("acme", "widgets", who, "write")
		w.gh.SetPermission("acme", "rotation", who, "write")
	}
	c := w.clone("widgets")
	key := w.key("gitlab-pat")
	check := w.pushed(c, "widgets", "key", "k.env", "T="+key+"\n")
	n := w.issues("rotation", 1)[0].Number
	for _, who := range []string{"dana", "sam"} {
		w.gh.OpenIssue("acme", "widgets", "Hello", "Nothing.", who)
	}
	w.idle()
	event := w.queued("scan")
	for i, job := range []struct {
		kind   string
		change map[string]any
	}{
		{"button", map[string]any{"name": "check_run", "action": "requested_action", "button": "not-a-key", "check_run": check.ID, "head": check.SHA}},
		{"button", map[string]any{"name": "check_run", "action": "requested_action", "button": "not-a-key", "check_run": check.ID, "head": check.SHA}},
		{"issue", map[string]any{"name": "issues", "action": "assigned", "number": n}},
	} {
		for name, value := range job.change {
			event[name] = value
		}
		event["sender_login"] = []string{"dana", "sam"}[i%2]
		event["sender"] = json.Number(w.account(event["sender_login"].(string)))
		event["delivery"] = fmt.Sprintf("11111111-1111-1111-1111-%012d", i)
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		w.exec(fmt.Sprintf("INSERT INTO river_job (args, kind, max_attempts, metadata, priority, queue, state, scheduled_at, tags, created_at, attempt) SELECT jsonb('%s'), '%s', 25, metadata, 1, queue, 'available', created_at, tags, created_at, 0 FROM river_job WHERE kind = 'scan' LIMIT 1",
			strings.ReplaceAll(string(text), "'", "''"), job.kind))
		w.eventually(20*time.Second, "the job ends", func() string {
			if log := a.log.String(); strings.Count(log, "ignored: ") <= i {
				return log
			}
			return ""
		})
	}
	w.idle()
	w.rotating(n, "is open", "kw/state:open")

	w.exec("UPDATE credential SET state = 'dismissed'")
	check = w.pushed(c, "widgets", "again", "prod/other.env", "T="+key+"\n")
	expect(t, check, "failure", "1 key found", "prod/other.env:1")
	w.idle()

	w.exec("UPDATE scan SET state = 'done', result = replace(result, '\"failure\"', '\"success\"')")
	w.pushed(c, "widgets", "more", "more.txt", "nothing\n")
	w.eventually(20*time.Second, "the commit is scanned again", func() string {
		var last githubtest.Check
		for _, o := range w.gh.Checks("acme", "widgets") {
			if o.SHA == check.SHA {
				last = o
				if o.Conclusion == "success" {
					t.Fatal("a result that the App did not write was published")
				}
			}
		}
		if last.ID == check.ID || !strings.HasPrefix(last.Title, "1 key found") {
			return last.Status + " " + last.Title
		}
		return ""
	})
	w.idle()
}

// queued returns the arguments of a job of a kind.
func (w *world) queued(kind string) (args map[string]any) {
	w.t.Helper()
	s := w.openDatabase()
	defer s.Close()
	var text string
	if err := s.DB.QueryRow("SELECT json(args) FROM river_job WHERE kind = '" + kind + "' LIMIT 1").Scan(&text); err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		w.t.Fatal(err)
	}
	return args
}

// TestBrokenApprovers: a policy that names approvers and has a mistake in it makes nobody an
// approver.
func TestBrokenApprovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	r := w.clone("rotation")
	r.commit("policy", ".keyward.toml", "[app]\nrisk-approvers = [\"sam\"]\nno-such-setting = true\n")
	r.push()
	w.start()
	w.gh.SetPermission("acme", "rotation", "dana", "admin")
	w.pushed(w.clone("widgets"), "widgets", "key", "k.env", "T="+w.key("gitlab-pat")+"\n")
	n := w.issues("rotation", 1)[0].Number
	w.gh.Comment("acme", "rotation", n, "/accept-risk until:"+time.Now().AddDate(0, 0, 20).Format(time.DateOnly)+" reason:because", "dana")
	w.rotating(n, "not among the approvers")
	w.idle()
	w.rotating(n, "kw/state:open")
}

// TestPusherPresses: the person who pushed a grave key cannot be one of the two people who
// mark it as a false positive.
func TestPusherPresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	for _, who := range []string{"dana", "sam", "ravi"} {
		w.gh.SetPermission("acme", "widgets", who, "write")
		w.gh.SetPermission("acme", "rotation", who, "write")
	}
	c := w.clone("widgets")
	w.git(c.dir, "remote", "set-url", "origin", w.gh.CloneURLAs("acme", "widgets", "dana"))
	check := w.pushed(c, "widgets", "key", "k.env", "T="+w.key("gitlab-pat")+"\n")
	w.issues("rotation", 1)
	for i, who := range []string{"dana", "sam", "ravi"} {
		if err := w.gh.RequestAction("acme", "widgets", check.ID, "not-a-key", who); err != nil {
			t.Fatal(err)
		}
		w.idle()
		want := []string{"failure", "failure", "neutral"}[i]
		checks := w.gh.Checks("acme", "widgets")
		at := slices.IndexFunc(checks, func(o githubtest.Check) bool { return o.ID == check.ID })
		if got := checks[at].Conclusion; got != want {
			t.Errorf("after %s: %s, want %s", who, got, want)
		}
	}
}
