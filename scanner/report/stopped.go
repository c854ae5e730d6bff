package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/keyward/keyward/scanner"
)

// Stopped is what a hook stopped.
type Stopped struct {
	What      string // commit or push
	Message   bool   // it is the message that was scanned
	Committed bool   // the keys are in commits already
	Server    bool   // the hook runs where the push arrives
	List      string // the command that lists all keys, or ""
	Bypass    string // the command that goes past the hook, or ""
	Remedies  map[string]Remedy
}

// A Remedy is how one key, known by its fingerprint, is replaced where it stands.
type Remedy struct {
	File      string // that keyward fix can mend, or ""
	Reference string // what stands there instead of the key
	Staged    string // the command that stages the file, which no longer has the key, or ""
	Rebase    string // the command that gets at the commit that brought the key
	Untrack   bool   // the file is there to hold keys, and must not be in git
	Comment   string // an allow comment in the file's language, without its reason, or ""
}

// maxDetailed is how many keys are told in full on the one screen.
const maxDetailed = 2

// WriteStopped writes the one screen that a developer sees whose commit or push is
// stopped: which key, where, why it matters, what to do now, how to say that it
// is none, and how to go past the hook.
func WriteStopped(w io.Writer, r *Report, s *Stopped, opt Options) error {
	r = tidy(r)
	t := &textWriter{Writer: bufio.NewWriter(w), color: opt.Color, width: opt.Width}
	if t.width < 40 {
		t.width = 80
	}
	if n := len(r.Keys); n > 0 {
		fmt.Fprintln(t, t.paint("1", fmt.Sprintf("keyward stopped this %s: %s in %s", s.What, count(n, "key"), count(places(r.Keys), "place"))))
	} else {
		fmt.Fprintln(t, t.paint("1", fmt.Sprintf("keyward stopped this %s: not all of it could be scanned", s.What)))
	}
	for i, k := range r.Keys {
		if i == maxDetailed && len(r.Keys) > maxDetailed+1 {
			t.rest(r.Keys[i:])
			if s.List != "" {
				t.field("", "all of them: "+s.List)
			}
			break
		}
		t.WriteString("\n")
		t.stopped(k, s)
	}
	t.gaps(r.Coverage.Gaps)
	for _, n := range r.Notes {
		t.wrap("note: ", "      ", n)
	}
	t.WriteString("\n")
	if s.Bypass != "" {
		t.wrap("Bypass: ", "        ", s.Bypass+". It will be seen where Keyward's App or Action checks the push again.")
	} else if s.Server {
		t.wrap("", "", "Nothing of this push was accepted. A key that stood in a repository elsewhere has to be rotated all the same.")
	}
	return t.Flush()
}

// WriteUnsure names what may be keys, for a hook that stops nobody for it, and the notes:
// which rules are off, and which findings are excepted.
func WriteUnsure(w io.Writer, r *Report) error {
	const most = 3
	r = tidy(r)
	t := &textWriter{Writer: bufio.NewWriter(w)}
	for i, k := range r.Keys {
		if i == most && len(r.Keys) > most+1 {
			fmt.Fprintf(t, "keyward: and %d more: keyward scan lists them\n", len(r.Keys)-i)
			break
		}
		p := k.Places[0]
		fmt.Fprintf(t, "keyward: not stopped: may be a key, %.0f %% sure: %s:%d %s %s\n", 100*k.Confidence, p.Path, p.Line, k.Rule.ID, k.Redacted)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(t, "keyward: note: %s\n", n)
	}
	return t.Flush()
}

// rest names the keys for which the screen has no room.
func (t *textWriter) rest(keys []*scanner.Key) {
	const most = 5
	t.WriteString("\n")
	for i, k := range keys {
		if i == most && len(keys) > most+1 {
			t.field("", fmt.Sprintf("and %d more", len(keys)-i))
			return
		}
		label := ""
		if i == 0 {
			label = "Also"
		}
		t.field(label, t.cut(fmt.Sprintf("%s  %s", where(k), k.Rule.Title), t.width-labelWidth))
	}
}

func where(k *scanner.Key) string {
	p := k.Places[0]
	s := fmt.Sprintf("%s:%d:%d", p.Path, p.Line, p.Col)
	if p.Commit != nil {
		s += " in commit " + short(p.Commit.ID)
	}
	return s
}

// cut shortens text to so many columns.
func (t *textWriter) cut(s string, columns int) string {
	if r := []rune(s); len(r) > columns {
		return string(r[:columns-1]) + "…"
	}
	return s
}

func (t *textWriter) stopped(k *scanner.Key, s *Stopped) {
	head := t.cut(fmt.Sprintf("%-8s  %s", strings.ToUpper(string(k.Severity)), k.Rule.Title), t.width)
	fmt.Fprintln(t, t.paint(severityColor[k.Severity], head))
	place := where(k) + ": " + k.Redacted
	if p := k.Places[0]; p.Decoded != "" {
		place += " (inside " + p.Decoded + ")"
	}
	if n := len(k.Places); n > 1 {
		place += fmt.Sprintf(" and in %s", count(n-1, "other place"))
	}
	t.field("Where", place)
	t.field("Why", t.cut(string(k.Rule.Tier)+": "+cmp.Or(k.Rule.About.Holder, k.Rule.Tier.Power()), t.width-labelWidth))
	if c := k.Places[0].AllowComment; c != nil && c.Void != "" {
		t.field("", "its "+c.Mark+" does not hold: "+c.Void)
	}
	remedy := s.Remedies[k.Fingerprint]
	switch {
	case s.Message:
		t.field("Do now", "take it out of the message: git commit -e -F .git/COMMIT_EDITMSG")
	case s.Committed:
		t.committed(k, remedy.Rebase)
	case remedy.Staged != "":
		t.field("Do now", plain(remedy.Staged))
		t.field("", "the file no longer has the key, but what is staged still has it")
	case remedy.Untrack:
		t.field("Do now", "keyward fix "+plain(remedy.File))
		t.field("", "takes the file out of git, not from the disk, and writes "+plain(remedy.File)+".example")
	case remedy.File != "" && remedy.Reference != "":
		t.field("Do now", "keyward fix "+plain(remedy.File))
		t.field("", "puts "+plain(remedy.Reference)+" in its place")
	case remedy.Reference != "":
		t.field("Do now", "take it out and write "+plain(remedy.Reference)+" instead")
	default:
		t.field("Do now", "take it out")
	}
	t.field("Keep in", t.cut(k.Rule.About.Store, t.width-labelWidth))
	t.field("Rotate", "if it ever left this machine: keyward rules show "+k.Rule.ID)
	if s.Message {
		t.field("No key?", fmt.Sprintf("keyward allow %s --reason \"why it is none\"", short(k.Fingerprint)))
		return
	}
	t.field("No key?", fmt.Sprintf("keyward allow %s --reason \"why it is none\"", short(k.Fingerprint)))
	switch {
	case remedy.Comment != "" && s.Committed:
		t.field("", "or in that commit, on its line: "+remedy.Comment+" WHY")
	case remedy.Comment != "":
		t.field("", "or on its line: "+remedy.Comment+" WHY")
	}
}

// committed says how a key gets out of a commit that has not left yet.
func (t *textWriter) committed(k *scanner.Key, rebase string) {
	c := k.Places[0].Commit
	switch {
	case c == nil:
		t.field("Do now", "take it out of what is pushed")
	case k.Places[0].Path == scanner.CommitMessage:
		t.field("Do now", rebase+" and reword "+short(c.ID))
	default:
		t.field("Do now", rebase+" and mark "+short(c.ID)+" for edit; take the key out (keyward fix), git commit -a --amend, git rebase --continue")
		t.field("", "a later commit that deletes the key does not take it out")
	}
}
