package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
)

// The text a person reads, at 80 columns: for each key what it is, what power it
// gives, where it stands, since when, and how to end it.

const labelWidth = 11

type textWriter struct {
	*bufio.Writer
	color bool
	width int
}

func writeText(w io.Writer, r *Report, opt Options) error {
	t := &textWriter{Writer: bufio.NewWriter(w), color: opt.Color, width: opt.Width}
	if t.width < 40 {
		t.width = 80
	}
	advised := map[string]bool{}
	for _, k := range r.Keys {
		t.key(k, r.Advice || !advised[k.Rule.ID])
		advised[k.Rule.ID] = true
	}
	t.gaps(r.Coverage.Gaps)
	for _, n := range r.Notes {
		t.wrap("note: ", "      ", n)
	}
	t.wrap("", "  ", t.summary(r))
	t.wrap("", "  ", r.Coverage.Sentence(r.Mode))
	return t.Flush()
}

var severityColor = map[scanner.Severity]string{scanner.Critical: "1;97;41", scanner.High: "1;31", scanner.Medium: "1;33", scanner.Low: "1;36"}

func (t *textWriter) paint(style, s string) string {
	if !t.color {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

func (t *textWriter) key(k *scanner.Key, advice bool) {
	head := fmt.Sprintf("%-8s  %s", strings.ToUpper(string(k.Severity)), k.Rule.Title)
	if n := len([]rune(head)); n > t.width {
		head = string([]rune(head)[:t.width-1]) + "…"
	}
	if pad := t.width - len([]rune(head)) - len(k.Rule.ID); pad >= 2 {
		head += strings.Repeat(" ", pad) + k.Rule.ID
	}
	fmt.Fprintln(t, t.paint(severityColor[k.Severity], head))
	t.field("Value", fmt.Sprintf("%s   fingerprint %s", k.Redacted, short(k.Fingerprint)))
	t.field("Power", string(k.Rule.Tier)+": "+cmp.Or(k.Rule.About.Holder, k.Rule.Tier.Power()))
	t.places(k)
	t.field("Since", since(k))
	if k.Pending != nil {
		t.field("Pending", PendingText(k.Pending))
	}
	for _, f := range k.Facts {
		t.field("Fact", f.Name+" "+f.Value)
	}
	if !k.Expires.IsZero() {
		t.field("Expires", k.Expires.Format(time.DateOnly))
	}
	if advice {
		for i, step := range k.Rule.About.Rotate {
			label := ""
			if i == 0 {
				label = "Rotate"
			}
			t.field(label, fmt.Sprintf("%d. %s", i+1, step))
		}
		t.field("Keep in", k.Rule.About.Store)
		if len(k.Rule.About.Docs) > 0 {
			t.field("Docs", k.Rule.About.Docs[0])
		}
	} else {
		t.field("Rotate", "as above for "+k.Rule.ID)
	}
	t.WriteString("\n")
}

const maxPlaces = 6

func (t *textWriter) places(k *scanner.Key) {
	for i, p := range k.Places {
		label := ""
		if i == 0 {
			label = "Where"
		}
		if i == maxPlaces {
			t.field("", "and "+count(len(k.Places)-i, "more place"))
			return
		}
		where := fmt.Sprintf("%s:%d:%d", p.Path, p.Line, p.Col)
		var notes []string
		if p.Decoded != "" {
			notes = append(notes, "inside "+p.Decoded)
		}
		if p.InTest {
			notes = append(notes, "test or example")
		}
		if p.AllowComment != nil && p.AllowComment.Void != "" {
			notes = append(notes, "its "+p.AllowComment.Mark+" does not hold: "+p.AllowComment.Void)
		}
		if len(notes) > 0 {
			where += "  (" + strings.Join(notes, "; ") + ")"
		}
		t.field(label, where)
	}
}

// since says when a key came and whether it is still there.
func since(k *scanner.Key) string {
	var s string
	if c := k.First; c != nil {
		s = fmt.Sprintf("%s in commit %s", c.Date.Format(time.DateOnly), short(c.ID))
		if c.Author != "" {
			s += " by " + c.Author
		}
	}
	if k.AtHead != nil {
		if s == "" {
			s = "not committed yet"
		}
		if *k.AtHead {
			s += ", still at HEAD"
		} else if k.First != nil {
			s += ", no longer at HEAD"
		}
	}
	return s
}

func short(id string) string { return id[:min(len(id), 12)] }

// field writes a labelled line, wrapped; nothing if the value is empty.
func (t *textWriter) field(label, value string) {
	if value == "" {
		return
	}
	t.wrap("  "+t.paint("2", fmt.Sprintf("%-*s", labelWidth-2, label)), strings.Repeat(" ", labelWidth), value)
}

// wrap writes text between words so that it fits, with an indent. What has no
// space, such as a path, is never cut: it can be copied.
func (t *textWriter) wrap(first, indent, text string) {
	t.WriteString(first)
	at := visible(first)
	begin := true
	for word := range strings.FieldsSeq(text) {
		n := visible(word)
		if !begin && at+1+n > t.width {
			t.WriteString("\n" + indent)
			at, begin = len([]rune(indent)), true
		}
		if !begin {
			t.WriteString(" ")
			at++
		}
		t.WriteString(word)
		at += n
		begin = false
	}
	t.WriteString("\n")
}

// Wrap writes text between words so that it fits so many columns, after first and
// indented as it is.
func Wrap(w io.Writer, width int, first, text string) error {
	t := &textWriter{Writer: bufio.NewWriter(w), width: width}
	t.wrap(first, strings.Repeat(" ", visible(first)), text)
	return t.Flush()
}

// visible is how many columns s takes, colours aside.
func visible(s string) int {
	n, escape := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			n++
		}
	}
	return n
}

const maxGaps = 10

func (t *textWriter) gaps(gaps []scanner.Gap) {
	for i := range gaps {
		if i == maxGaps {
			t.wrap(t.paint("1;33", "not scanned: "), "  ", fmt.Sprintf("and %d more", len(gaps)-i))
			break
		}
		t.wrap(t.paint("1;33", "not scanned: "), "  ", gaps[i].Error())
	}
}

// summary counts the keys.
func (t *textWriter) summary(r *Report) string {
	var s string
	switch {
	case len(r.Keys) > 0:
		by := map[scanner.Severity]int{}
		for _, k := range r.Keys {
			by[k.Severity]++
		}
		var parts []string
		for _, sev := range scanner.Severities() {
			if by[sev] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", by[sev], sev))
			}
		}
		s = t.paint("1", fmt.Sprintf("%s in %s: %s", count(len(r.Keys), "key"), count(places(r.Keys), "place"), strings.Join(parts, ", ")))
	case r.Coverage.Complete():
		s = t.paint("1;32", "no keys found")
	default:
		s = t.paint("1;33", "no keys found in what was scanned")
	}
	if n := len(r.Known); n > 0 {
		s += fmt.Sprintf("; %d known, not counted (%s)", n, knownBy(r.Known))
	}
	return s
}

func knownBy(keys []*scanner.Key) string {
	by := map[string]int{}
	for _, k := range keys {
		by[k.Known.By]++
	}
	var parts []string
	for _, w := range []string{"comment", "policy", "baseline", "remote"} {
		if by[w] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", w, by[w]))
		}
	}
	return strings.Join(parts, ", ")
}
