package report

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
)

// jsonReport is the JSON format; schema.json describes it.
type jsonReport struct {
	Tool     string       `json:"tool"`
	Version  string       `json:"version"`
	Target   string       `json:"target"`
	Mode     string       `json:"mode"`
	Complete bool         `json:"complete"`
	Coverage jsonCoverage `json:"coverage"`
	Keys     []jsonKey    `json:"keys"`
	Known    []jsonKey    `json:"known"`
	Notes    []string     `json:"notes"`
}

type jsonCoverage struct {
	Coverage
	NotScanned []jsonGap `json:"not_scanned"`
}

type jsonGap struct {
	Path   string `json:"path"`
	Commit string `json:"commit,omitempty"`
	Reason string `json:"reason"`
}

type jsonKey struct {
	Fingerprint  string         `json:"fingerprint"`
	Rule         string         `json:"rule"`
	Issuer       string         `json:"issuer"`
	Title        string         `json:"title"`
	Class        string         `json:"class"`
	Tier         string         `json:"tier"`
	Provisioning bool           `json:"provisioning"`
	Severity     string         `json:"severity"`
	Confidence   float64        `json:"confidence"`
	Redacted     string         `json:"redacted"`
	Facts        []scanner.Fact `json:"facts"`
	Expires      string         `json:"expires,omitempty"`
	First        *jsonCommit    `json:"first,omitempty"`
	AtHead       *bool          `json:"at_head,omitempty"`
	Places       []jsonPlace    `json:"places"`
	Holder       string         `json:"holder"`
	Rotate       []string       `json:"rotate"`
	Revoke       string         `json:"revoke"`
	Store        string         `json:"store"`
	Docs         []string       `json:"docs"`
	Known        *jsonKnown     `json:"known,omitempty"`
	Pending      *jsonKnown     `json:"pending,omitempty"`
}

type jsonPlace struct {
	Path    string      `json:"path"`
	Line    int         `json:"line"`
	EndLine int         `json:"end_line"`
	Column  int         `json:"column"`
	Commit  *jsonCommit `json:"commit,omitempty"`
	Blob    string      `json:"blob,omitempty"`
	Decoded string      `json:"decoded,omitempty"`
	InTest  bool        `json:"in_test"`
}

type jsonCommit struct {
	ID     string `json:"id"`
	Author string `json:"author"`
	Date   string `json:"date"`
}

type jsonKnown struct {
	By      string `json:"by"`
	Where   string `json:"where"`
	Reason  string `json:"reason"`
	Expires string `json:"expires,omitempty"`
}

// jsonLine is one place in the jsonl format.
type jsonLine struct {
	Path        string  `json:"path"`
	Line        int     `json:"line"`
	EndLine     int     `json:"end_line"`
	Column      int     `json:"column"`
	Rule        string  `json:"rule"`
	Issuer      string  `json:"issuer"`
	Class       string  `json:"class"`
	Tier        string  `json:"tier"`
	Severity    string  `json:"severity"`
	Confidence  float64 `json:"confidence"`
	Fingerprint string  `json:"fingerprint"`
	Redacted    string  `json:"redacted"`
	Commit      string  `json:"commit"`
	Author      string  `json:"author,omitempty"`
	Date        string  `json:"date,omitempty"`
	Decoded     string  `json:"decoded,omitempty"`
	InTest      bool    `json:"in_test"`
}

func writeJSON(w io.Writer, r *Report) error {
	out := jsonReport{
		Tool: "keyward", Version: r.Version, Target: r.Target, Mode: r.Mode, Complete: r.Coverage.Complete(),
		Coverage: jsonCoverage{Coverage: r.Coverage, NotScanned: []jsonGap{}}, Keys: jsonKeys(r.Keys), Known: jsonKeys(r.Known),
		Notes: append([]string{}, r.Notes...),
	}
	if out.Coverage.Skipped == nil {
		out.Coverage.Skipped = map[string]int{}
	}
	for _, g := range r.Coverage.Gaps {
		out.Coverage.NotScanned = append(out.Coverage.NotScanned, jsonGap(g))
	}
	return encode(w, out)
}

// encode writes JSON, indented, with what a terminal obeys as \u escapes.
func encode(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, escapeControls(string(text))+"\n")
	return err
}

// escapeControls writes control characters and direction marks, which JSON
// allows in strings, as \u escapes: the value stays the same.
func escapeControls(text string) string {
	if strings.IndexFunc(text, control) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if control(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func control(r rune) bool {
	return r >= 0x7f && r < 0xa0 || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
}

func jsonKeys(keys []*scanner.Key) []jsonKey {
	out := []jsonKey{}
	for _, k := range keys {
		a := &k.Rule.About
		j := jsonKey{
			Fingerprint: k.Fingerprint, Rule: k.Rule.ID, Issuer: k.Rule.Issuer, Title: k.Rule.Title, Class: string(k.Rule.Class),
			Tier: string(k.Rule.Tier), Provisioning: k.Rule.Provisioning, Severity: string(k.Severity), Confidence: round(k.Confidence),
			Redacted: k.Redacted, Facts: append([]scanner.Fact{}, k.Facts...), Expires: stamp(k.Expires), First: commitOf(k.First),
			AtHead: k.AtHead, Places: []jsonPlace{}, Holder: a.Holder, Rotate: append([]string{}, a.Rotate...), Revoke: a.Revoke,
			Store: a.Store, Docs: append([]string{}, a.Docs...),
		}
		j.Known, j.Pending = knownOf(k.Known), knownOf(k.Pending)
		for _, p := range k.Places {
			j.Places = append(j.Places, jsonPlace{p.Path, p.Line, p.EndLine, p.Col, commitOf(p.Commit), p.Blob, p.Decoded, p.InTest})
		}
		out = append(out, j)
	}
	return out
}

func knownOf(k *scanner.Known) *jsonKnown {
	if k == nil {
		return nil
	}
	return &jsonKnown{k.By, k.Where, k.Reason, stamp(k.Expires)}
}

func round(f float64) float64 { return float64(int(f*1000+0.5)) / 1000 }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func commitOf(c *scanner.Commit) *jsonCommit {
	if c == nil {
		return nil
	}
	return &jsonCommit{c.ID, c.Author, stamp(c.Date)}
}

func writeJSONL(w io.Writer, r *Report) error {
	bw := bufio.NewWriter(w)
	for _, k := range r.Keys {
		for _, p := range k.Places {
			line := jsonLine{
				Path: p.Path, Line: p.Line, EndLine: p.EndLine, Column: p.Col, Rule: k.Rule.ID, Issuer: k.Rule.Issuer,
				Class: string(k.Rule.Class), Tier: string(k.Rule.Tier), Severity: string(k.Severity), Confidence: round(k.Confidence),
				Fingerprint: k.Fingerprint, Redacted: k.Redacted, Decoded: p.Decoded, InTest: p.InTest,
			}
			if c := p.Commit; c != nil {
				line.Commit, line.Author, line.Date = c.ID, c.Author, stamp(c.Date)
			}
			text, err := json.Marshal(line)
			if err != nil {
				return err
			}
			bw.WriteString(escapeControls(string(text)) + "\n")
		}
	}
	return bw.Flush()
}

func writeCSV(w io.Writer, r *Report) error {
	cw := csv.NewWriter(w)
	err := cw.Write([]string{"severity", "rule", "issuer", "title", "class", "tier", "path", "line", "end_line", "column", "redacted",
		"fingerprint", "confidence", "commit", "author", "date", "first_commit", "at_head", "in_test", "decoded"})
	if err != nil {
		return err
	}
	for _, k := range r.Keys {
		for _, p := range k.Places {
			c, first, head := p.Commit, "", ""
			if c == nil {
				c = &scanner.Commit{}
			}
			if k.First != nil {
				first = k.First.ID
			}
			if k.AtHead != nil {
				head = strconv.FormatBool(*k.AtHead)
			}
			row := []string{string(k.Severity), k.Rule.ID, k.Rule.Issuer, k.Rule.Title, string(k.Rule.Class), string(k.Rule.Tier), p.Path,
				strconv.Itoa(p.Line), strconv.Itoa(p.EndLine), strconv.Itoa(p.Col), k.Redacted, k.Fingerprint,
				strconv.FormatFloat(round(k.Confidence), 'f', -1, 64), c.ID, c.Author, stamp(c.Date), first, head,
				strconv.FormatBool(p.InTest), p.Decoded}
			for i := range row {
				row[i] = cell(row[i])
			}
			if err := cw.Write(row); err != nil {
				return err
			}
		}
	}
	cw.Flush()
	return cw.Error()
}

// cell keeps a spreadsheet from taking a path or a name for a formula.
// https://owasp.org/www-community/attacks/CSV_Injection
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// writeGitHub writes workflow commands, which GitHub shows on the lines.
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
func writeGitHub(w io.Writer, r *Report) error {
	bw := bufio.NewWriter(w)
	for _, k := range r.Keys {
		level := "error"
		if !k.Severity.AtLeast(scanner.Medium) {
			level = "warning"
		}
		for _, p := range k.Places {
			text := fmt.Sprintf("%s (%s): %s. %s", k.Redacted, short(k.Fingerprint), strings.TrimSuffix(k.Rule.About.Holder, "."), firstStep(k))
			fmt.Fprintf(bw, "::%s file=%s,line=%d,endLine=%d,col=%d,title=%s::%s\n", level, property(p.Path), p.Line, p.EndLine, p.Col,
				property(k.Rule.Title), message(text))
		}
	}
	for i := range r.Coverage.Gaps {
		fmt.Fprintf(bw, "::warning title=not scanned::%s\n", message(r.Coverage.Gaps[i].Error()))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(bw, "::notice title=Keyward::%s\n", message(n))
	}
	fmt.Fprintf(bw, "%s\n", message(r.Coverage.Sentence(r.Mode)))
	return bw.Flush()
}

func firstStep(k *scanner.Key) string {
	if len(k.Rule.About.Rotate) == 0 {
		return ""
	}
	return "Rotate it: " + k.Rule.About.Rotate[0] + "."
}

var messageEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func message(s string) string { return messageEscapes.Replace(s) }

var propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")

func property(s string) string { return propertyEscapes.Replace(s) }

// The JUnit form that CI systems read: a test case for each key, which fails.
type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
	Output   string      `xml:"system-out,omitempty"` // the notes
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Error   *junitMessage `xml:"error,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func writeJUnit(w io.Writer, r *Report) error {
	s := junitSuite{Name: "keyward", Failures: len(r.Keys), Errors: len(r.Coverage.Gaps), Time: fmt.Sprintf("%.3f", r.Coverage.Took.Seconds())}
	for _, k := range r.Keys {
		p := k.Places[0]
		var text strings.Builder
		for _, p := range k.Places {
			fmt.Fprintf(&text, "%s:%d:%d\n", p.Path, p.Line, p.Col)
		}
		fmt.Fprintf(&text, "%s\n%s", k.Rule.About.Holder, firstStep(k))
		s.Cases = append(s.Cases, junitCase{Name: k.Rule.Title + " " + short(k.Fingerprint), Class: "keyward." + k.Rule.ID, File: p.Path, Line: p.Line,
			Failure: &junitMessage{Message: k.Redacted, Type: string(k.Severity), Text: text.String()}})
	}
	for i := range r.Coverage.Gaps {
		g := &r.Coverage.Gaps[i]
		s.Cases = append(s.Cases, junitCase{Name: "not scanned: " + g.Path, Class: "keyward.coverage",
			Error: &junitMessage{Message: g.Reason, Type: "not-scanned"}})
	}
	s.Output = strings.Join(r.Notes, "\n")
	if len(s.Cases) == 0 {
		s.Cases = []junitCase{{Name: r.Coverage.Sentence(r.Mode), Class: "keyward.coverage"}}
	}
	s.Tests = len(s.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(junitSuites{Suite: s}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
