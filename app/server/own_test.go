package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// ownTexts returns all that the App has written in the organisation's repositories.
func (w *world) ownTexts() (out []string) {
	for _, repo := range []string{"widgets", "rotation", "gadgets"} {
		for _, i := range w.gh.Issues("acme", repo) {
			out = append(out, i.Title+"\n\n"+i.Body)
			for _, c := range i.Comments {
				out = append(out, c.Body)
			}
		}
		for _, c := range w.gh.Checks("acme", repo) {
			out = append(out, c.Title+"\n"+c.Summary)
		}
	}
	return out
}

// quoted is a text as a reply quotes it.
func quoted(s string) string { return "> " + strings.ReplaceAll(s, "\n", "\n> ") }

// mailed is a text as a mail has it: lines of 72 columns at most.
func mailed(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		for len(line) > 72 {
			i := strings.LastIndexByte(line[:72], ' ')
			if i <= 0 {
				break
			}
			b.WriteString("> " + line[:i] + "\n")
			line = line[i+1:]
		}
		b.WriteString("> " + line)
	}
	return b.String()
}

// TestOwnText: what the App writes is no finding, however people edit, quote, mail or commit
// it, and opens no issue. What people write into an issue survives the App's next edit.
func TestOwnText(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.live()
		w.repo("gadgets", githubtest.Repo{})
		w.start()
		w.gh.SetPermission("acme", "rotation", "dana", "write")
		key := w.key("tailscale-scim-key")
		w.provider.Issue(key)
		c := w.clone("widgets")
		w.pushed(c, "widgets", "SCIM", "a.env", "SCIM="+key+"\n")
		g := w.clone("gadgets")
		w.pushed(g, "gadgets", "SCIM", "a.env", "SCIM="+key+"\n")
		n := w.issues("rotation", 1)[0].Number
		w.idle()

		// A person ticks a box and adds words above and below.
		find := func() githubtest.Issue {
			for _, i := range w.gh.Issues("acme", "rotation") {
				if i.Number == n {
					return i
				}
			}
			t.Fatalf("there is no issue %d", n)
			return githubtest.Issue{}
		}
		body := strings.Replace(find().Body, "- [ ] ", "- [x] ", 1)
		body = "We talk of it in SEC-12.\r\n" + strings.ReplaceAll(body, "\n", "\r\n") + "\r\nDana: waiting for the vendor.\r\n"
		if err := w.gh.EditIssue("acme", "rotation", n, "", body, "dana"); err != nil {
			t.Fatal(err)
		}
		w.gh.Comment("acme", "rotation", n, "/rotating scim-2", "dana")
		w.rotating(n, "kw/state:rotating", "We talk of it in SEC-12.", "Dana: waiting for the vendor.", "- [x] ")
		w.idle()

		// Everything is quoted and mailed in comments and new issues, and committed.
		texts := w.ownTexts()
		if len(texts) < 6 {
			t.Fatalf("the App wrote %d texts", len(texts))
		}
		for i, text := range texts {
			switch i % 3 {
			case 0:
				w.gh.Comment("acme", "rotation", n, quoted(text), "dana")
			case 1:
				w.gh.Comment("acme", "widgets", w.gh.OpenIssue("acme", "widgets", "Question", "What is this?\n\n"+text, "dana"), mailed(text), "dana")
			case 2:
				w.gh.OpenIssue("acme", "widgets", "Fwd", mailed(text), "dana")
			}
		}
		files := []string{}
		for i, text := range texts {
			files = append(files, fmt.Sprintf("notes/%d.md", i), text, fmt.Sprintf("notes/%d.mail", i), mailed(text))
		}
		expect(t, w.pushed(c, "widgets", "Notes", files...), "success", "No keys found")
		w.idle()
		for _, repo := range []string{"rotation", "widgets", "gadgets"} {
			for _, i := range w.gh.Issues("acme", repo) {
				if strings.HasPrefix(i.Title, "[rotate]") && !strings.Contains(i.Title, "Tailscale") && !strings.Contains(i.Title, "take KW-") {
					t.Errorf("the App opened an issue for its own text: %s\n%s", i.Title, i.Body)
				}
			}
		}
		for _, text := range w.ownTexts() {
			if strings.Contains(text, "what looks like a key") {
				t.Errorf("the App took its own text for a key: %s", text)
			}
		}

		// A body whose end marker somebody removed keeps what they wrote.
		body = strings.Replace(find().Body, "<!-- keyward v1 end -->", "Sam: I have called them.", 1)
		if err := w.gh.EditIssue("acme", "rotation", n, "", body, "sam"); err != nil {
			t.Fatal(err)
		}
		w.clock.pass(13 * time.Hour)
		w.rotating(n, "Reminder", "Sam: I have called them.", "Earlier text of this issue")
	})
}
