package life

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Command is a line of a comment that asks for something: /name and what follows.
type Command struct {
	Line int // in the comment, from 1
	Name string
	Rest string
}

// The limits of a comment: more is not looked at.
const (
	maxCommands = 10
	maxComment  = 64 << 10
)

// forms are the right forms of the commands.
var forms = map[string]string{
	"ack":            "/ack",
	"rotating":       "/rotating [id of the new key]",
	"rotated":        "/rotated",
	"revoked":        "/revoked",
	"false-positive": "/false-positive reason",
	"confirm":        "/confirm",
	"accept-risk":    "/accept-risk until:2026-12-31 reason:why",
	"snooze":         "/snooze 3d",
	"key-id":         "/key-id id-of-the-old-key",
	"assign":         "/assign @login",
	"verify":         "/verify",
	"revoke":         "/revoke [code]",
	"close-evidence": "/close-evidence",
	"timeline":       "/timeline",
}

// Forms are the right forms of all commands.
func Forms() []string {
	var out []string
	for _, f := range forms {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

var commandLine = regexp.MustCompile(`^ {0,3}/([A-Za-z][A-Za-z_-]{1,30})[.,;:!?]{0,3}(?:[ \t]+(.*))?$`)

// roots are directories that a line may begin with which is no command.
var roots = []string{"bin", "boot", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var", "api", "app"}

// Commands returns the commands of a comment: one on a line, at its beginning. Code in
// fences, quotes and what is commented out are left aside, and so is what only looks like
// a command, such as a path.
func Commands(comment string) (out []Command) {
	if len(comment) > maxComment {
		comment = comment[:maxComment]
	}
	fence, hidden := "", false
	n := 0
	for line := range strings.Lines(comment) {
		n++
		line = strings.TrimRight(line, "\r\n\t ")
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case hidden:
			hidden = !strings.Contains(line, "-->")
			continue
		case fence != "":
			if strings.HasPrefix(trimmed, fence) && strings.Trim(trimmed, fence[:1]) == "" {
				fence = ""
			}
			continue
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, trimmed[:1]))]
			continue
		case strings.Contains(line, "<!--"):
			hidden = !strings.Contains(line[strings.Index(line, "<!--"):], "-->")
			continue
		}
		m := commandLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := strings.ToLower(strings.ReplaceAll(m[1], "_", "-"))
		if forms[name] == "" && slices.Contains(roots, name) {
			continue
		}
		rest := strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return ' '
			}
			return r
		}, m[2])
		out = append(out, Command{n, name, strings.TrimSpace(rest)})
		if len(out) == maxCommands {
			return out
		}
	}
	return out
}

// meant is the command that a word is nearly the name of, "" if there is none.
func meant(word string) string {
	for name := range forms {
		if len(name) > 3 && Distance(word, name) <= 2 || strings.ReplaceAll(name, "-", "") == strings.ReplaceAll(word, "-", "") {
			return name
		}
	}
	return ""
}

// Distance is how many bytes have to be changed, added or removed to turn one short string
// into another (Levenshtein).
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Event is what a command asks for, by whom and when. A command that is not understood
// is a [Refusal] that shows the right form.
func (c Command) Event(by Actor, at time.Time) (Event, error) {
	e := Event{Kind: Kind(c.Name), At: at, Actor: by, Text: c.Rest}
	wrong := c.Wrong()
	switch e.Kind {
	case Ack, Placed, Claim, Confirm:
		e.Yes = e.Kind == Ack
		if strings.Trim(c.Rest, ".,;:!? ") != "" {
			return e, wrong
		}
	case Rotate:
		if strings.ContainsAny(c.Rest, " \t") {
			return e, wrong
		}
	case Name:
		if c.Rest == "" || strings.ContainsAny(c.Rest, " \t") {
			return e, wrong
		}
	case Deny:
		if c.Rest == "" {
			return e, wrong
		}
	case Snooze:
		d, ok := span(c.Rest)
		if !ok {
			return e, wrong
		}
		e.Until, e.Text = at.Add(d), ""
	case Accept:
		var ok bool
		if e.Until, e.Text, ok = waiver(c.Rest); !ok {
			return e, wrong
		}
	default:
		if name := meant(c.Name); name != "" {
			return e, refuse("unknown command /%s. Did you mean %s?", c.Name, forms[name])
		}
		return e, refuse("unknown command /%s. Commands: %s", c.Name, strings.Join(Forms(), ", "))
	}
	return e, nil
}

// Wrong is the refusal of a command whose form is not right: it shows the right one.
func (c Command) Wrong() error { return refuse("the form is %s", forms[c.Name]) }

// span reads 3d, 12h or 2w.
func span(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[len(s)-1]]
	n, err := strconv.Atoi(s[:len(s)-1])
	return time.Duration(n) * unit, ok && err == nil && n > 0 && n <= 1000
}

// untilOption is the day of a waiver, anywhere in the line.
var untilOption = regexp.MustCompile(`(?:^|\s)until:\s?(\S+)`)

// waiver reads until:2026-12-31 and reason:why, in either order.
func waiver(s string) (until time.Time, reason string, ok bool) {
	m := untilOption.FindStringSubmatch(s)
	if m == nil {
		return until, "", false
	}
	rest := strings.TrimSpace(untilOption.ReplaceAllString(s, " "))
	reason, found := strings.CutPrefix(rest, "reason:")
	until, err := time.Parse(time.DateOnly, m[1])
	reason = strings.TrimSpace(reason)
	return until, reason, found && err == nil && reason != ""
}

// Answer says in words what came of a command.
func Answer(steps []Step) string {
	var out []string
	for _, s := range steps {
		if s.From == s.To {
			out = append(out, s.Why)
		} else {
			out = append(out, fmt.Sprintf("%s -> %s, %s", s.From, s.To, s.Why))
		}
	}
	return strings.Join(out, "; ")
}
