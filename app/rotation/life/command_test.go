package life_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	for comment, want := range map[string]string{
		"/ack":                             "1 ack ",
		"/ACK":                             "1 ack ",
		"/revoked.":                        "1 revoked ",
		"/False_Positive: it is a test":    "1 false-positive it is a test",
		"/deploy now":                      "1 deploy now",
		"  /ack  \r\n":                     "1 ack ",
		"    /ack":                         "", // code
		"\t/ack":                           "",
		"> /ack":                           "",
		"so /ack":                          "",
		"/usr/bin/ack":                     "",
		"/etc":                             "",
		"/ack/x":                           "",
		"/acknowledge":                     "1 acknowledge ",
		"/etc is full":                     "",
		"/roating k2":                      "1 roating k2",
		"/falsepositive x":                 "1 falsepositive x",
		"thanks\n\n/rotating k2\n/revoked": "3 rotating k2|4 revoked ",
		"```\n/ack\n```\n/revoked":         "4 revoked ",
		"````\n```\n/ack\n````\n/revoked":  "5 revoked ",
		"~~~sh\n/ack\n```\n/ack":           "",
		"<!-- /ack -->\n/revoked":          "2 revoked ",
		"<!--\n/ack\n-->\n/revoked":        "4 revoked ",
		"/false-positive it is a test":     "1 false-positive it is a test",
		strings.Repeat("/ack\n", 30):       strings.TrimSuffix(strings.Repeat("N ack |", 10), "|"),
		"/accept-risk until:2026-03-09 reason:a b": "1 accept-risk until:2026-03-09 reason:a b",
	} {
		var got []string
		for i, c := range life.Commands(comment) {
			n := fmt.Sprint(c.Line)
			if strings.Contains(want, "N ") && c.Line == i+1 {
				n = "N"
			}
			got = append(got, fmt.Sprintf("%s %s %s", n, c.Name, c.Rest))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: got %q, want %q", comment, got, want)
		}
	}
}

// TestForms: every form that people are told works, and mistakes show the right one.
func TestForms(t *testing.T) {
	t.Parallel()
	asked := []string{"assign", "verify", "revoke", "close-evidence", "timeline"} // that are no events
	if len(life.Forms()) != 14 {
		t.Errorf("%d forms", len(life.Forms()))
	}
	for _, form := range life.Forms() {
		list := life.Commands(form)
		if len(list) != 1 {
			t.Fatalf("%s: %d commands", form, len(list))
		}
		rest := strings.NewReplacer("[id of the new key]", "key-2").Replace(list[0].Rest)
		if _, err := (life.Command{Name: list[0].Name, Rest: rest}).Event(actors["writer"], noon); (err != nil) != slices.Contains(asked, list[0].Name) {
			t.Errorf("%s: %v", form, err)
		}
	}
	for line, want := range map[string]string{
		"/ack please":                           "/ack",
		"/rotating two words":                   "/rotating [id",
		"/false-positive":                       "/false-positive reason",
		"/snooze":                               "/snooze 3d",
		"/snooze 3 days":                        "/snooze 3d",
		"/snooze -3d":                           "/snooze 3d",
		"/snooze 99999999999999999999d":         "/snooze 3d",
		"/accept-risk":                          "/accept-risk until:",
		"/accept-risk until:soon reason:x":      "/accept-risk until:",
		"/accept-risk until:2026-03-09":         "/accept-risk until:",
		"/accept-risk reason: until:2026-03-09": "/accept-risk until:",
		"/roating":                              "unknown command /roating. Did you mean /rotating",
		"/deploy":                               "unknown command /deploy. Commands: /accept-risk",
	} {
		list := life.Commands(line)
		if len(list) != 1 {
			t.Fatalf("%s: %d commands", line, len(list))
		}
		if _, err := list[0].Event(actors["writer"], noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
	for _, rest := range []string{"until:2026-03-09 reason:a b", "reason:a b until:2026-03-09", "until: 2026-03-09 reason: a b"} { // in any order
		e, err := life.Command{Name: "accept-risk", Rest: rest}.Event(actors["approver"], noon)
		if err != nil || e.Text != "a b" || e.Until.Format(time.DateOnly) != "2026-03-09" {
			t.Errorf("/accept-risk %s: %+v %v", rest, e, err)
		}
	}
	e, err := life.Command{Name: "snooze", Rest: "2w"}.Event(actors["writer"], noon)
	if err != nil || e.Until.Sub(noon) != 14*24*time.Hour {
		t.Errorf("%+v, %v", e, err)
	}
}

// FuzzCommands: whatever a comment holds, it is read in bounds, and what it asks for is
// judged like everything else.
func FuzzCommands(f *testing.F) {
	f.Add("/ack\n```\n/revoked\n```\n/accept-risk until:2026-03-09 reason:x", "writer")
	f.Add("/false-positive @everyone <!-- --> | ` /ack", "stranger")
	f.Add("<!-- /ack\n/snooze 3d", "approver")
	f.Add("/accept_risk", "approver")
	f.Fuzz(func(t *testing.T, comment, who string) {
		list := life.Commands(comment)
		if len(list) > 10 {
			t.Fatalf("%d commands", len(list))
		}
		l := life.Begin(noon, "high", "T0", false, life.Clock{})
		for _, c := range list {
			if strings.ContainsAny(c.Rest, "\r\n") || !strings.Contains(strings.ToLower(strings.ReplaceAll(comment, "_", "-")), "/"+c.Name) {
				t.Errorf("%q: %+v", comment, c)
			}
			e, err := c.Event(actors[who], noon)
			if err != nil {
				continue
			}
			next, steps, err := l.Apply(e)
			if err == nil && actors[who].Role != "write" && actors[who].Role != "admin" {
				t.Errorf("%q: %s by %q was done", comment, c.Name, who)
			}
			if err == nil && life.Answer(steps) == "" || err != nil && err.Error() == "" {
				t.Errorf("%q: %s is not answered", comment, c.Name)
			}
			l = next
		}
	})
}
