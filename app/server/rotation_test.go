package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestCommands has people comment on the issue of a key: what they may do is done, once,
// and told; what they may not, or got wrong, is told too.
func TestCommands(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		a := w.start()
		w.gh.SetPermission("acme", "rotation", "dana", "write")
		w.gh.SetPermission("acme", "rotation", "ravi", "admin")
		w.gh.SetPermission("acme", "rotation", "sam", "read")
		w.gh.OpenIssue("acme", "widgets", "Help", "It says 403, with "+w.key("gitlab-pat"), "dana")
		n := w.issues("rotation", 1)[0].Number
		find := func() githubtest.Issue {
			for _, i := range w.gh.Issues("acme", "rotation") {
				if i.Number == n {
					return i
				}
			}
			return githubtest.Issue{}
		}
		replies := 0
		say := func(who, text, want, state string) {
			t.Helper()
			id := w.gh.Comment("acme", "rotation", n, text, who)
			reaction := "+1"
			if strings.HasPrefix(want, "!") {
				want, reaction = want[1:], "confused"
			}
			replies++
			w.eventually(20*time.Second, text, func() string {
				i := find()
				var said []githubtest.Comment
				for _, c := range i.Comments {
					if strings.HasPrefix(c.Body, "<!-- keyward v1 commands") {
						said = append(said, c)
					}
					if c.ID == id && !slices.Equal(c.Reactions, []string{reaction}) {
						return fmt.Sprintf("reactions %q", c.Reactions)
					}
				}
				switch {
				case len(said) != replies:
					return fmt.Sprintf("%d replies, want %d", len(said), replies)
				case !strings.Contains(said[len(said)-1].Body, want):
					return "the reply is " + said[len(said)-1].Body
				case !strings.Contains(i.Body, "| **State** | "+state+" |"):
					return "the issue does not say that the key is " + state + ":\n" + i.Body
				case !slices.Contains(i.Labels, "kw/state:"+state) || strings.Count(strings.Join(i.Labels, " "), "kw/state:") != 1:
					return fmt.Sprintf("labels %q", i.Labels)
				}
				return ""
			})
		}
		say("sam", "/ack", "!needs to be able to write", "open")
		say("dana", "Thanks, I see to it.\n\n```\n/revoked\n```\n/ack", "open -> acknowledged, by @dana", "acknowledged")
		say("dana", "/ack", "!acknowledged already", "acknowledged")
		say("dana", "/rotating key-2", "acknowledged -> rotating", "rotating")
		say("dana", "/rotated", "it counts when it is seen there", "rotating")
		say("dana", "/revoked", "it counts when a check", "rotating")
		say("dana", "/roating", "!unknown command /roating. Did you mean /rotating", "rotating")
		say("dana", "/accept-risk until:"+time.Now().AddDate(0, 0, 20).Format(time.DateOnly)+" reason:x", "!not among the approvers", "rotating")
		say("dana", "/false-positive see @everyone | `x` <img src=x>", "somebody else has to confirm it", "rotating")
		say("dana", "/confirm", "!somebody else has to confirm it", "rotating")
		say("dana", "/timeline", "found by", "rotating")
		say("dana", "/rotating "+w.key("gitlab-pat"), "!there is a key in it", "rotating")
		say("ravi", "/confirm", "say that it is no key", "false-positive")

		// What is edited, said by programs, or stands in another issue does nothing.
		w.idle()
		replied := len(find().Comments)
		other := w.gh.OpenIssue("acme", "rotation", "Another", "x", "dana")
		w.gh.Comment("acme", "rotation", other, "/ack", "dana")
		id := w.gh.Comment("acme", "rotation", n, "nothing", "ravi")
		w.idle()                            // a comment that changes before it is read is answered
		time.Sleep(1100 * time.Millisecond) // GitHub tells times to the second
		if err := w.gh.EditComment("acme", "rotation", id, "/ack", "ravi"); err != nil {
			t.Error(err)
		}
		w.idle()
		if got := len(find().Comments); got != replied+1 {
			t.Errorf("%d comments, want %d", got, replied+1)
		}
		for _, c := range find().Comments {
			if strings.HasPrefix(c.Body, "<!-- keyward v1 commands") && strings.Contains(c.Body, "@everyone") && !strings.Contains(c.Body, "`` ") {
				t.Errorf("a mention is not in code: %s", c.Body)
			}
		}
		if out, errs, code := run(t, w.environment(a), "ledger", "verify"); code != 0 {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
	})
}
