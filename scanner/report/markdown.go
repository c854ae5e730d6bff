package report

import (
	"cmp"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
)

// A Link leads to a line of a file on the web. It returns "" if there is no such place.
type Link func(commit, path string, line int) string

// GitHubLink returns the links into a repository on GitHub or GitHub Enterprise
// Server, such as https://github.com/acme/widgets. A place without a commit is
// linked at the commit head.
func GitHubLink(repository, head string) Link {
	return func(commit, path string, line int) string {
		commit = cmp.Or(commit, head)
		if commit == "" || strings.Contains(path, "!") {
			return ""
		}
		if path == scanner.CommitMessage {
			return repository + "/commit/" + commit
		}
		to := strings.NewReplacer("(", "%28", ")", "%29").Replace((&url.URL{Path: path}).EscapedPath())
		return fmt.Sprintf("%s/blob/%s/%s#L%d", repository, commit, strings.TrimPrefix(to, "./"), line)
	}
}

// maxRows is how many keys a table shows, maxBody how many bytes GitHub takes in
// an issue, a comment or a check's text, with room to spare.
// https://docs.github.com/rest/checks/runs
const (
	maxRows = 50
	maxBody = 60_000
)

// WriteSummary writes the report as Markdown, for a job's summary or a comment.
func WriteSummary(w io.Writer, r *Report, link Link) error {
	r = tidy(r)
	var b strings.Builder
	switch {
	case len(r.Keys) > 0:
		fmt.Fprintf(&b, "### Keyward found %s in %s\n\n", count(len(r.Keys), "key"), count(places(r.Keys), "place"))
		b.WriteString("| | Key | Where | Since | What its holder can do |\n|---|---|---|---|---|\n")
		for i, k := range r.Keys {
			if i == maxRows || b.Len() > maxBody-4000 {
				fmt.Fprintf(&b, "\nand %s more.\n", count(len(r.Keys)-i, "key"))
				break
			}
			fmt.Fprintf(&b, "| %s | %s<br>%s | %s | %s | %s |\n", k.Severity, text(k.Rule.Title), Code(k.Redacted), whereMarkdown(k, link), text(since(k)),
				text(string(k.Rule.Tier)+": "+cmp.Or(k.Rule.About.Holder, k.Rule.Tier.Power())))
		}
		b.WriteString("\nA key that was pushed has leaked, even if a later commit takes it out again: rotate it.\n")
		b.WriteString(pending(r.Keys))
		b.WriteString(steps(r.Keys))
	case r.Coverage.Complete():
		b.WriteString("### Keyward found no keys\n\n")
	default:
		b.WriteString("### Keyward could not scan everything\n\n")
	}
	for i := range r.Coverage.Gaps {
		if i == maxGaps {
			fmt.Fprintf(&b, "- not scanned: and %d more\n", len(r.Coverage.Gaps)-i)
			break
		}
		fmt.Fprintf(&b, "- not scanned: %s\n", text(r.Coverage.Gaps[i].Error()))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", text(n))
	}
	if n := len(r.Known); n > 0 {
		fmt.Fprintf(&b, "- %s known and not counted (%s)\n", count(n, "key"), knownBy(r.Known))
	}
	fmt.Fprintf(&b, "\n%s\n", text(r.Coverage.Sentence(r.Mode)))
	_, err := io.WriteString(w, b.String())
	return err
}

// pending lists the exceptions that a branch adds and that do not count yet.
func pending(keys []*scanner.Key) string {
	var b strings.Builder
	for _, k := range keys {
		if k.Pending != nil {
			fmt.Fprintf(&b, "\n- %s, %s: %s", text(k.Rule.Title), Code(k.Redacted), text(PendingText(k.Pending)))
		}
		if b.Len() > 4000 {
			break
		}
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// steps tells how to rotate each kind of key, folded.
func steps(keys []*scanner.Key) string {
	var b strings.Builder
	told := map[string]bool{}
	for _, k := range keys {
		if told[k.Rule.ID] || len(k.Rule.About.Rotate) == 0 || len(told) == 10 {
			continue
		}
		told[k.Rule.ID] = true
		fmt.Fprintf(&b, "\n<details><summary>How to rotate: %s</summary>\n\n", text(k.Rule.Title))
		for i, s := range k.Rule.About.Rotate {
			fmt.Fprintf(&b, "%d. %s\n", i+1, text(s))
		}
		b.WriteString("\n</details>\n")
	}
	return b.String()
}

func whereMarkdown(k *scanner.Key, link Link) string {
	var out []string
	for i, p := range k.Places {
		if i == 5 {
			out = append(out, fmt.Sprintf("and %d more", len(k.Places)-i))
			break
		}
		out = append(out, placeMarkdown(&p, link))
	}
	return strings.Join(out, "<br>")
}

func placeMarkdown(p *scanner.Place, link Link) string {
	s := Code(fmt.Sprintf("%s:%d", p.Path, p.Line))
	commit := ""
	if p.Commit != nil {
		commit = p.Commit.ID
	}
	if link != nil {
		if to := link(commit, p.Path, p.Line); to != "" {
			s = "[" + s + "](" + to + ")"
		}
	}
	if p.Decoded != "" {
		s += " inside " + text(p.Decoded)
	}
	return s
}

// Code writes text from a repository as a Markdown code span: nothing in it is
// markup, a mention, or the end of a table's cell.
func Code(s string) string {
	s = strings.ReplaceAll(plain(s), "|", "¦")
	s = strings.ReplaceAll(s, "<!--", "<\u200b!--") // it is no marker of Keyward's
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 || strings.HasPrefix(s, " ") {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}

// text escapes what Markdown or GitHub would read as more than text.
func text(s string) string { return markdownEscapes.Replace(plain(s)) }

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;",
	"|", `\|`, "#", `\#`, "@", "@\u200b", "!", `\!`, "~", `\~`, "://", `\://`) // an escaped colon makes no link, and can be copied

// An Issue is what a rotation issue says of a key. It is the same text whether the
// Action opens it or the App, which knows more.
type Issue struct {
	Key        *scanner.Key
	Repository string // such as acme/widgets
	Link       Link

	Spots    []Spot    // where the key stands, if that is in several repositories or not in files
	Mac      string    // shows that the marker is ours, or ""
	Owner    string    // a mention of who has to rotate it, such as @acme/platform, or ""
	Due      time.Time // until when it has to be revoked, or zero
	State    string    // where it is on its way to be dead, or ""
	Revoked  bool      // it is revoked
	Commands []string  // that a comment may have
	Exposure string    // who could read it, and since when
	Validity string    // what the last check said, and when
	Usage    string    // what the usage logs say
	Missing  []string  // what is not proved yet for it to be dead
	Evidence []Evidence
	Labelled []string // further labels
}

// Evidence is one record of what happened to a key.
type Evidence struct {
	At             time.Time
	State, By, Why string
}

// maxEvidence is how many records the issue shows, the last ones.
const maxEvidence = 25

// A Spot is one repository that a key stands in.
type Spot struct {
	Repository string
	Link       Link
	Places     []scanner.Place
}

// Alias is a short name for a key that can be said aloud: KW- and six characters.
func Alias(fingerprint string) string {
	sum, err := hex.DecodeString(fingerprint)
	if err != nil || len(sum) < 4 {
		return "KW-" + short(fingerprint)
	}
	return "KW-" + base32.StdEncoding.EncodeToString(sum[:5])[:6]
}

// Marker is in the body of every rotation issue: by it the issue of a key is found
// again, whatever people make of its title.
func Marker(fingerprint string) string { return "<!-- keyward v1 key=" + fingerprint + " -->" }

// Title is the title of the issue.
func (i *Issue) Title() string {
	in := i.Repository
	if len(i.Spots) > 1 {
		in = count(len(i.Spots), "repository")
	}
	return fmt.Sprintf("[rotate] %s %s in %s", plain(i.Key.Rule.Title), Alias(i.Key.Fingerprint), in)
}

// marker is the hidden first line of the body.
func (i *Issue) marker() string {
	if i.Mac == "" {
		return Marker(i.Key.Fingerprint)
	}
	return "<!-- keyward v1 key=" + i.Key.Fingerprint + " mac=" + i.Mac + " -->"
}

// stands says in how many places the key stands, and of what.
func (i *Issue) stands() string {
	n, of := len(i.Key.Places), Code(i.Repository)
	if len(i.Spots) > 0 {
		n = 0
		for _, s := range i.Spots {
			n += len(s.Places)
		}
	}
	if len(i.Spots) > 1 {
		of = count(len(i.Spots), "repository")
	}
	return count(n, "place") + " of " + of
}

// where writes the list of places.
func (i *Issue) where(b *strings.Builder, k *scanner.Key) {
	spots := i.Spots
	if len(spots) == 0 {
		spots = []Spot{{i.Repository, i.Link, k.Places}}
	}
	written, all := 0, 0
	for _, s := range spots {
		all += len(s.Places)
	}
	for _, s := range spots {
		if len(spots) > 1 && written < 100 {
			fmt.Fprintf(b, "\nIn %s:\n\n", Code(s.Repository))
		}
		for _, p := range s.Places {
			if written == 100 || b.Len() > maxBody-8000 {
				fmt.Fprintf(b, "- and %s more\n", count(all-written, "place"))
				return
			}
			p.Path = plain(p.Path)
			fmt.Fprintf(b, "- %s\n", placeMarkdown(&p, s.Link))
			written++
		}
	}
}

// StateLabel is what the label begins with that says the state of a key.
const StateLabel = "kw/state:"

// Labels are the labels of the issue.
func (i *Issue) Labels() []string {
	labels := []string{"keyward", "kw/sev:" + string(i.Key.Severity)}
	if i.State != "" {
		labels = append(labels, StateLabel+i.State)
	}
	return append(labels, i.Labelled...)
}

// Body is the text of the issue, in Markdown. It holds nothing of the key but its
// redacted form.
func (i *Issue) Body() string {
	k := tidyKeys([]*scanner.Key{i.Key})[0]
	about := &k.Rule.About
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", i.marker())
	danger := "Who can read it there can use it until it is revoked; taking it out does not end it."
	if i.Revoked {
		danger = "It is revoked. What is left is to prove that it is dead, and to see what was done with it."
	}
	fmt.Fprintf(&b, "A **%s** was found in %s. %s\n\n", text(k.Rule.Title), i.stands(), danger)
	b.WriteString("| | |\n|---|---|\n")
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| **%s** | %s |\n", name, value)
		}
	}
	row("Key", Code(k.Redacted)+" "+Alias(k.Fingerprint))
	row("Severity", string(k.Severity))
	row("State", i.State)
	if !i.Due.IsZero() && !i.Revoked {
		row("Revoke by", i.Due.UTC().Format("2006-01-02 15:04")+" UTC")
	}
	row("Owner", i.Owner)
	row("Exposure", text(i.Exposure))
	row("Issued by", text(k.Rule.Issuer))
	row("Power", text(string(k.Rule.Tier)+": "+cmp.Or(about.Holder, k.Rule.Tier.Power())))
	row("Alive", text(i.Validity))
	row("Usage logs", text(i.Usage))
	row("Since", text(since(k)))
	if !k.Expires.IsZero() {
		row("Expires", k.Expires.Format(time.DateOnly))
	}
	row("Lifetime", text(about.Lifetime))
	for _, f := range k.Facts {
		row(text(f.Name), Code(f.Value))
	}
	row("Its use is recorded in", text(logOf(about)))
	b.WriteString("\n## Where it stands\n\n")
	i.where(&b, k)
	b.WriteString("\n## What to do\n\n")
	for _, s := range i.checklist(k) {
		fmt.Fprintf(&b, "- [ ] %s\n", s)
	}
	if about.Store != "" {
		fmt.Fprintf(&b, "\nKeep the new one in: %s\n", text(about.Store))
	}
	if about.Scope != "" {
		fmt.Fprintf(&b, "\nGive the new one less: %s\n", text(about.Scope))
	}
	if len(about.Docs) > 0 {
		b.WriteString("\nDocumentation: " + strings.Join(links(about.Docs), ", ") + "\n")
	}
	i.proof(&b)
	if len(i.Commands) > 0 {
		b.WriteString("\n<details><summary>Commands, each on a line of its own in a comment</summary>\n\n")
		for _, c := range i.Commands {
			fmt.Fprintf(&b, "- %s\n", Code(c))
		}
		b.WriteString("\n</details>\n")
	}
	b.WriteString(EndMarker + "\n")
	return b.String()
}

// proof writes what is proved and what is not.
func (i *Issue) proof(b *strings.Builder) {
	if len(i.Missing) > 0 {
		b.WriteString("\n## Closed when it is proved\n\nThis issue closes by itself. Closing it by hand is no proof. What is missing:\n\n")
		for _, m := range i.Missing {
			fmt.Fprintf(b, "- %s\n", text(m))
		}
	}
	if len(i.Evidence) == 0 {
		return
	}
	b.WriteString("\n## Evidence\n\n| When (UTC) | State | By | What |\n|---|---|---|---|\n")
	first := max(0, len(i.Evidence)-maxEvidence)
	for _, e := range i.Evidence[first:] {
		if b.Len() > maxBody-2000 {
			b.WriteString("| | | | the rest is in the ledger |\n")
			return
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", e.At.UTC().Format("2006-01-02 15:04"), text(e.State), text(e.By), Code(e.Why))
	}
	if first > 0 {
		fmt.Fprintf(b, "\n%s earlier in the ledger (`/timeline`).\n", count(first, "record"))
	}
}

// logOf is where the use of a key is recorded, "" if its provider does not say.
func logOf(about *scanner.About) string {
	if strings.HasPrefix(about.Log, "not documented") {
		return ""
	}
	return about.Log
}

// checklist are the steps that end a key: those of its kind, and those of any key
// that makes others.
func (i *Issue) checklist(k *scanner.Key) []string {
	about := &k.Rule.About
	var out []string
	for _, s := range about.Rotate {
		out = append(out, text(s))
	}
	log := ""
	if l := logOf(about); l != "" {
		log = ", in " + text(l)
	}
	out = append(out, "See that the new key is used, and the old one is not any more"+log)
	if about.Revoke != "" {
		out = append(out, "Revoke the old one: "+text(about.Revoke))
	}
	if k.Rule.Provisioning {
		out = append(out, "List what was created with the key since it leaked (users, devices, nodes, keys)"+log+", and remove what nobody knows: revoking the key does not remove what it made")
	}
	return append(out, "Take it out of the files: `keyward fix`", "Make sure that the old one is refused")
}

// links are the addresses in a list of documentation, as they are: they come from
// the rules.
func links(docs []string) []string {
	out := slices.Clone(docs)
	for i, d := range out {
		if u, err := url.Parse(d); err == nil && u.Scheme == "https" {
			out[i] = "<" + u.String() + ">"
		} else {
			out[i] = text(d)
		}
	}
	return out
}

// MarkedKey returns the fingerprint in the marker of a rotation issue's body, "" if
// there is none.
func MarkedKey(body string) string {
	_, rest, ok := strings.Cut(body, "<!-- keyward v1 key=")
	rest, _, end := strings.Cut(rest, " -->")
	fp, _, _ := strings.Cut(rest, " mac=")
	if !ok || !end || strings.Trim(fp, "0123456789abcdef") != "" {
		return ""
	}
	return fp
}

// EndMarker ends Keyward's part of an issue's body. What stands before the first marker or
// after this one was written by people, and stays.
const EndMarker = "<!-- keyward v1 end -->"

// beginMarker begins Keyward's part of an issue's body.
const beginMarker = "<!-- keyward v1 key="

// maxIssue is what GitHub takes as the body of an issue, with room to spare.
const maxIssue = 65_000

// Splice puts a new text of Keyward into the body of an issue, in the place of its old one.
// The words of people around it stay, and so do the boxes that they ticked. A body whose
// end marker somebody removed is kept whole below the new text, unless unchanged says that
// nobody wrote into it.
func Splice(text, body string, unchanged func(own string) bool) string {
	body = strings.ReplaceAll(body, "\r\n", "\n") // as a browser sends it
	text = keepTicks(text, body)
	before, rest, ours := strings.Cut(body, beginMarker)
	if !ours {
		return join(text, "", body)
	}
	own, after, ended := strings.Cut(rest, EndMarker)
	if ended {
		return join(text, before, strings.TrimPrefix(after, "\n"))
	}
	if unchanged(before + untick(beginMarker+own)) {
		return text
	}
	_, words, _ := strings.Cut(own, "-->\n")
	return join(text, before, "\n<details><summary>Earlier text of this issue</summary>\n\n"+words+"\n</details>\n")
}

// join puts Keyward's text between the words of people, and shortens it where GitHub would
// not take both.
func join(text, before, after string) string {
	if room := maxIssue - len(before) - len(after) - len(EndMarker) - 100; len(text) > room && room > 0 {
		text = strings.ToValidUTF8(text[:room], "")
		text = text[:strings.LastIndexByte(text, '\n')+1] + "\nThe rest is in `/timeline`.\n" + EndMarker + "\n"
	}
	return before + text + after
}

// keepTicks ticks the boxes of a text that people ticked in the old one.
func keepTicks(text, old string) string {
	for line := range strings.Lines(old) {
		if task, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "- [x] "); ok {
			text = strings.Replace(text, "- [ ] "+task+"\n", "- [x] "+task+"\n", 1)
		}
	}
	return text
}

// untick is a text as it was before anybody ticked a box.
func untick(text string) string { return strings.ReplaceAll(text, "- [x] ", "- [ ] ") }
