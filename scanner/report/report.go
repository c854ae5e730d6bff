// Package report says how the result of a scan looks: as text for a person, and
// in the formats that other programs read. It knows neither rules nor sources,
// and it is never given a secret.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
)

// A Report is the result of one scan.
type Report struct {
	Version  string // of the program
	Target   string // what was scanned, as the user named it
	Mode     string // tree, staged, uncommitted, range, history or stdin
	Keys     []*scanner.Key
	Known    []*scanner.Key // found, and allowed or in the baseline
	Notes    []string       // what the user should know besides, such as a rule that could not be honoured
	Coverage Coverage
	Advice   bool      // tell in full how to rotate each key, not once per kind
	At       time.Time // when the scan ended
}

// Coverage is what was scanned and what was not.
type Coverage struct {
	Blobs   int            `json:"blobs"`
	Bytes   int64          `json:"bytes"`
	Commits int            `json:"commits"`
	Skipped map[string]int `json:"skipped"` // left out on purpose, by reason
	Gaps    []scanner.Gap  `json:"-"`       // meant to be scanned and not scanned
	Refused bool           `json:"-"`       // a gap is a part of the policy that was refused
	Took    time.Duration  `json:"-"`
}

// Complete reports whether all that was to be scanned was.
func (c *Coverage) Complete() bool { return len(c.Gaps) == 0 }

// Formats are the names of the formats, in the order of the help text.
var formats = []string{"text", "json", "jsonl", "sarif", "github", "csv", "junit", "html", "gitlab", "codequality"}

// Formats returns the names of the formats.
func Formats() []string { return slices.Clone(formats) }

// Options say how text looks.
type Options struct {
	Color bool
	Width int // columns; 0 means 80
}

// Write writes r in a format.
func Write(w io.Writer, format string, r *Report, opt Options) error {
	switch format {
	case "text", "github", "csv", "junit", "html":
		r = tidy(r)
	}
	switch format {
	case "text":
		return writeText(w, r, opt)
	case "json":
		return writeJSON(w, r)
	case "jsonl":
		return writeJSONL(w, r)
	case "sarif":
		return writeSARIF(w, r)
	case "gitlab":
		return writeGitLab(w, r)
	case "codequality":
		return writeCodeQuality(w, r)
	case "github":
		return writeGitHub(w, r)
	case "csv":
		return writeCSV(w, r)
	case "junit":
		return writeJUnit(w, r)
	case "html":
		return writeHTML(w, r)
	}
	return fmt.Errorf("unknown format %q: use one of %s", format, strings.Join(formats, ", "))
}

// PendingText says that an exception does not count yet, and why.
func PendingText(p *scanner.Known) string {
	return fmt.Sprintf("exception in %s (%q): pending until it is merged into the default branch", p.Where, p.Reason)
}

// Places returns how many places the keys stand in.
func places(keys []*scanner.Key) int {
	n := 0
	for _, k := range keys {
		n += len(k.Places)
	}
	return n
}

// Sentence is the last line of a report: what was covered, and what was not.
func (c *Coverage) Sentence(mode string) string {
	var b strings.Builder
	what := "file"
	if mode == "history" || mode == "range" {
		what = "blob"
	}
	fmt.Fprintf(&b, "scanned %s, %s", count(c.Blobs, what), size(c.Bytes))
	if c.Commits > 0 {
		fmt.Fprintf(&b, " in %s", count(c.Commits, "commit"))
	}
	if c.Took > 0 {
		fmt.Fprintf(&b, ", %s", took(c.Took))
	}
	if n := c.skipped(); n > 0 {
		fmt.Fprintf(&b, "; skipped %d (%s)", n, strings.Join(c.reasons(), ", "))
	}
	if n := len(c.Gaps); n > 0 {
		fmt.Fprintf(&b, "; NOT SCANNED: %d", n)
	}
	return b.String()
}

func (c *Coverage) skipped() int {
	n := 0
	for _, m := range c.Skipped {
		n += m
	}
	return n
}

func (c *Coverage) reasons() []string {
	var out []string
	for why, n := range c.Skipped {
		out = append(out, count(n, why))
	}
	slices.Sort(out)
	return out
}

// Count writes a number and what is counted: "1 finding", "2,000 findings".
func Count(n int, what string) string { return count(n, what) }

// count writes a number and what is counted, in the plural if it is.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	switch {
	case strings.HasSuffix(what, "ed"):
		return thousands(n) + " " + what
	case strings.HasSuffix(what, "ry"):
		return thousands(n) + " " + strings.TrimSuffix(what, "y") + "ies"
	}
	return thousands(n) + " " + what + "s"
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// tidy returns a copy of r whose texts are plain: paths, names and reasons come
// from a repository, the words of a rule perhaps from its policy.
func tidy(r *Report) *Report {
	c := *r
	c.Target = plain(r.Target)
	c.Keys, c.Known, c.Notes = tidyKeys(r.Keys), tidyKeys(r.Known), plains(r.Notes)
	c.Coverage.Gaps = slices.Clone(r.Coverage.Gaps)
	for i := range c.Coverage.Gaps {
		g := &c.Coverage.Gaps[i]
		g.Path, g.Reason = plain(g.Path), plain(g.Reason)
	}
	return &c
}

func plains(list []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = plain(out[i])
	}
	return out
}

func tidyKeys(keys []*scanner.Key) []*scanner.Key {
	out := make([]*scanner.Key, len(keys))
	for i, k := range keys {
		t := *k
		rule := *k.Rule
		rule.Title, rule.Issuer, rule.ID = plain(rule.Title), plain(rule.Issuer), plain(rule.ID)
		a := &rule.About
		a.Holder, a.Revoke, a.Store, a.Rotate, a.Docs = plain(a.Holder), plain(a.Revoke), plain(a.Store), plains(a.Rotate), plains(a.Docs)
		t.Rule, t.Redacted = &rule, plain(k.Redacted)
		t.Facts, t.Places = slices.Clone(k.Facts), slices.Clone(k.Places)
		for j := range t.Facts {
			t.Facts[j] = scanner.Fact{Name: plain(t.Facts[j].Name), Value: plain(t.Facts[j].Value)}
		}
		for j := range t.Places {
			p := &t.Places[j]
			p.Path, p.Commit = plain(p.Path), tidyCommit(p.Commit)
			if p.AllowComment != nil {
				comment := *p.AllowComment
				comment.Void, comment.Reason = plain(comment.Void), plain(comment.Reason)
				p.AllowComment = &comment
			}
		}
		t.First = tidyCommit(k.First)
		t.Known, t.Pending = tidyKnown(k.Known), tidyKnown(k.Pending)
		out[i] = &t
	}
	return out
}

func tidyKnown(k *scanner.Known) *scanner.Known {
	if k == nil {
		return nil
	}
	t := *k
	t.Where, t.Reason = plain(t.Where), plain(t.Reason)
	return &t
}

func tidyCommit(c *scanner.Commit) *scanner.Commit {
	if c == nil {
		return nil
	}
	t := *c
	t.ID, t.Author = plain(t.ID), plain(t.Author)
	return &t
}

// Plain makes text from a repository fit for a line of a terminal, as reports show it.
func Plain(s string) string { return plain(s) }

// plain makes text from a repository fit for a line of a terminal, a log or a
// file format: no control characters, no direction marks, nothing that a workflow's
// log takes for a command, bounded in length.
func plain(s string) string {
	s = commands.Replace(plainLine(s))
	if rest, ok := strings.CutPrefix(s, "::"); ok {
		s = ": :" + rest
	}
	if len(s) > 1024 {
		s = strings.ToValidUTF8(s[:1024], "") + "…"
	}
	return s
}

var commands = strings.NewReplacer(" ::", " : :", "##[", "# #[")

// plainLine is plain without the bound.
func plainLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029, r == 0xfeff:
			return '�'
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
