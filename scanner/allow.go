package scanner

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/wasilibs/go-re2"
)

// An Allowlist is an exception in the shape that gitleaks and betterleaks
// share. A match is excepted if any of the criteria holds, or all of those
// given with All.
type Allowlist struct {
	Description string
	All         bool     // condition = "AND"
	Rules       []string // if any, only for these rules
	Paths       []string // RE2 on the path
	Commits     []string
	Regexes     []string // RE2 on the Target
	Target      string   // secret (default), match or line
	Stopwords   []string // words in the secret, ASCII case ignored

	paths, regexes []*re2.Regexp
}

// Compile compiles the expressions; it must be called once before use.
func (a *Allowlist) Compile() error {
	for _, list := range []struct {
		from []string
		to   *[]*re2.Regexp
	}{{a.Paths, &a.paths}, {a.Regexes, &a.regexes}} {
		for _, p := range list.from {
			re, err := compileRE(p)
			if err != nil {
				return err
			}
			*list.to = append(*list.to, re)
		}
	}
	return nil
}

// excepted returns why an allowlist excepts a match, or "".
func (w *work) excepted(c *compiled, secret, whole span) string {
	if sample(w.text[secret.start:secret.end]) {
		return "an example of a standard or of its vendor's documentation"
	}
	for _, lists := range [][]Allowlist{c.Allow, w.s.opt.Allow} {
		for i := range lists {
			if a := &lists[i]; a.matches(w, c, secret, whole) {
				return strings.TrimSpace("excepted by an allowlist " + a.Description)
			}
		}
	}
	return ""
}

// reaches reports whether one of the paths of a matches.
func (a *Allowlist) reaches(path string) bool {
	return slices.ContainsFunc(a.paths, func(re *re2.Regexp) bool { return re.MatchString(path) })
}

func (a *Allowlist) matches(w *work, c *compiled, secret, whole span) bool {
	if len(a.Rules) > 0 && !slices.Contains(a.Rules, c.ID) {
		return false
	}
	v := w.text[secret.start:secret.end]
	target := v
	switch a.Target {
	case "match":
		target = w.text[whole.start:whole.end]
	case "line":
		from, to := lineSpan(w.text, whole.start, whole.end, 0)
		target = w.text[from:to]
	}
	given, held := 0, 0
	criterion := func(present, holds bool) {
		if present {
			given++
			if holds {
				held++
			}
		}
	}
	matches := func(list []*re2.Regexp, text []byte) bool {
		return slices.ContainsFunc(list, func(re *re2.Regexp) bool { return re.Match(text) })
	}
	criterion(len(a.paths) > 0, matches(a.paths, []byte(w.blob.Path)))
	criterion(len(a.regexes) > 0, matches(a.regexes, target))
	criterion(len(a.Commits) > 0, slices.Contains(a.Commits, w.blob.Commit))
	low := bytes.ToLower(v)
	criterion(len(a.Stopwords) > 0, slices.ContainsFunc(a.Stopwords, func(s string) bool {
		return bytes.Contains(low, []byte(strings.ToLower(s)))
	}))
	return held > 0 && (!a.All || held == given)
}

// An Allow is an allow comment: keyward:allow [rule=ID[,ID]] [until=DATE] reason,
// at the end of the key's line or alone on the line before.
type Allow struct {
	Mark   string    // the words that begin it: AllowMark, or those of another scanner
	Rules  []string  // empty means any
	Reason string    // why this is no key; a comment without one allows nothing
	Until  time.Time // the day after which it allows nothing, or zero
	Line   int
	// Void says why the comment does not allow the finding: no reason, expired,
	// another rule. Empty means that it does.
	Void string
}

// A foreign mark is what another scanner takes for an exception. The comments hold where a
// policy says foreign-comments = true; elsewhere they are named beside the finding.
//
// https://github.com/gitleaks/gitleaks#gitleaksallow
// https://github.com/Yelp/detect-secrets#inline-allowlisting
// https://github.com/trufflesecurity/trufflehog#can-i-ignore-secrets
// https://github.com/GitGuardian/ggshield (ggignore)
// https://bandit.readthedocs.io/en/latest/config.html#suppressing-individual-lines
// https://semgrep.dev/docs/ignoring-files-folders-code
var foreignMark = regexp.MustCompile(`(?i)(?:\b(?:gitleaks|betterleaks|kingfisher):(?:allow|ignore)\b|\btrufflehog:ignore\b|\bggignore\b|` +
	`\bpragma:\s?(?:allow|white)list[ -]secret\b|(?:#|//|/\*|--)\s?(?:nosec|nosemgrep)\b|\bnoqa:\s?S10[567]\b)`)

// foreignNext is such a mark for the line that follows it.
var foreignNext = regexp.MustCompile(`(?i)\bpragma:\s?(?:allow|white)list nextline secret\b`)

// foreignAllow returns the comment of another scanner that speaks of the lines text[from:to],
// or nil.
func foreignAllow(text []byte, from, to int, holds bool) *Allow {
	mark := markIn(foreignMark, text[from:to])
	if mark == "" && from > 0 {
		prev, _ := lineSpan(text, from-1, from-1, 0)
		mark = markIn(foreignNext, text[prev:from])
	}
	if mark == "" {
		return nil
	}
	a := &Allow{Mark: mark, Reason: mark}
	if !holds {
		a.Void = "the policy does not say foreign-comments = true"
	}
	return a
}

// markIn returns the mark in a line of ordinary length, in lower case, or "".
func markIn(mark *regexp.Regexp, line []byte) string {
	if len(line) > maxComment || !mayMark(line) {
		return ""
	}
	return strings.ToLower(strings.TrimLeft(string(mark.Find(line)), "#/*- "))
}

// mayMark reports whether a line has letters of "allow", "ignore", "nosec", "nosemgrep", "noqa"
// or "pragma" in it: one of them is in each mark, and the expressions are slow.
func mayMark(line []byte) bool {
	for i := 1; i+1 < len(line); i++ {
		if line[i] >= 0x80 || line[i+1] >= 0x80 { // signs beyond ASCII fold to letters
			return true
		}
		switch before, after := line[i-1]|0x20, line[i+1]|0x20; line[i] | 0x20 {
		case 'o':
			if before == 'n' && (after == 'r' || after == 's' || after == 'q') || before == 'l' && after == 'w' {
				return true
			}
		case 'g':
			if before == 'a' && after == 'm' {
				return true
			}
		}
	}
	return false
}

// maxComment is the longest line in which a comment is looked for, in bytes.
const maxComment = 4096

// AllowMark begins an allow comment.
const AllowMark = "keyward:allow"

var allowMark = []byte(AllowMark)

// allowSyntax reads what follows the mark. The standard engine serves here:
// the expression is fixed and sees one line at most.
var allowSyntax = regexp.MustCompile(`^(?:\s+rule=([\w,.-]+)|\s+until=(\d{4}-\d{2}-\d{2}))`)

// straySetting finds a setting that was not read as one, and would not hold.
var straySetting = regexp.MustCompile(`(?i)\b(?:rules?|until|expires?)\s*[=:]`)

// allowFor returns the allow comment that speaks of the finding in the given
// line of text, or nil.
func (o *Options) allowFor(text []byte, key span, rule string) *Allow {
	from, to := lineSpan(text, key.start, key.end, 0)
	if a := parseAllow(text[from:to], rule, o.Now); a != nil {
		return a
	}
	if from > 0 {
		prev, _ := lineSpan(text, from-1, from-1, 0)
		line := bytes.TrimSpace(text[prev:from])
		alone := func(before []byte) bool { // after the comment's sign
			return !bytes.ContainsFunc(before, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
		}
		if i := bytes.Index(line, allowMark); i >= 0 && alone(line[:i]) {
			return parseAllow(line, rule, o.Now)
		}
	}
	return foreignAllow(text, from, to, o.ForeignComments)
}

func parseAllow(line []byte, rule string, now time.Time) *Allow {
	_, rest, ok := bytes.Cut(line, allowMark)
	if !ok || len(line) > maxComment {
		return nil
	}
	a := &Allow{Mark: AllowMark}
	for {
		m := allowSyntax.FindSubmatch(rest)
		if m == nil {
			break
		}
		if len(m[1]) > 0 {
			a.Rules = strings.Split(string(m[1]), ",")
		} else if t, err := time.Parse(time.DateOnly, string(m[2])); err == nil {
			a.Until = t
		} else {
			a.Void = "its date " + string(m[2]) + " is none"
		}
		rest = rest[len(m[0]):]
	}
	a.Reason = strings.TrimRight(strings.TrimSpace(string(rest)), "*/->#% \t\r")
	switch {
	case a.Void != "":
	case straySetting.MatchString(a.Reason):
		a.Void = "rule= and until=2027-01-31 have to stand right behind it, before the reason"
	case len(a.Rules) > 0 && !slices.Contains(a.Rules, rule):
		a.Void = "it names another rule"
	case len(strings.TrimSpace(a.Reason)) < 3, a.Reason == "WHY": // as messages write it where a reason belongs
		a.Void = "it gives no reason"
	case !a.Until.IsZero() && now.After(a.Until.AddDate(0, 0, 1)):
		a.Void = "it expired on " + a.Until.Format(time.DateOnly)
	}
	return a
}
