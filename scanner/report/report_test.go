package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a report with everything that a report can hold.
func sample() *report.Report {
	day := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	commit := &scanner.Commit{ID: strings.Repeat("4b", 20), Author: "Dana Dev <dana@example.com>", Date: day}
	yes, no := true, false
	swarm := &scanner.Rule{ID: "docker-swarm-join-token", Issuer: "Docker", Title: "Docker Swarm join token", Class: "node-join",
		Tier: scanner.T0, Provisioning: true, About: scanner.About{
			Holder: "join machines to the cluster, as managers if it is the managers' token, and so read every secret that the cluster keeps",
			Rotate: []string{"Run docker swarm join-token --rotate worker on a manager", "Give the new token to whatever joins nodes"},
			Revoke: "docker swarm join-token --rotate ends the old token at once", Store: "a secrets manager that the provisioning job reads",
			Docs: []string{"https://docs.docker.com/reference/cli/docker/swarm/join-token/", "https://docs.docker.com/engine/swarm/"}}}
	generic := &scanner.Rule{ID: "generic-password", Issuer: "unknown", Title: "Password", Class: "generic", Tier: scanner.T2,
		About: scanner.About{Holder: "log in as its owner", Rotate: []string{"Change the password"}, Revoke: "change it", Store: "the environment"}}
	aws := &scanner.Rule{ID: "aws-access-key-id", Issuer: "AWS", Title: "AWS access key id", Class: "cloud-account", Tier: scanner.T3,
		About: scanner.About{Holder: "nothing without its secret", Docs: []string{"https://docs.aws.amazon.com/IAM/"}}}
	return &report.Report{
		Version: "v0.1.0", Target: "widgets", Mode: "history",
		Keys: []*scanner.Key{
			{Rule: swarm, Fingerprint: strings.Repeat("0a1b", 16), Redacted: "SWMTKN-1-…(85)", Severity: "critical", Confidence: 0.99,
				Facts:   []scanner.Fact{{Name: "cluster", Value: "c1"}, {Name: "role", Value: "worker"}},
				Expires: day.AddDate(1, 0, 0), First: commit, AtHead: &yes,
				Places: []scanner.Place{
					{Path: "deploy/join.sh", Line: 12, Col: 7, EndLine: 12, Commit: commit, Blob: strings.Repeat("c0", 20)},
					{Path: "deploy/values.yaml", Line: 3, Col: 10, EndLine: 3, Commit: commit, Blob: strings.Repeat("c1", 20), Decoded: "base64"},
					{Path: "testdata/join.sh", Line: 1, Col: 1, EndLine: 1, InTest: true, AllowComment: &scanner.Allow{Mark: scanner.AllowMark, Void: "it has no reason"}},
				}},
			{Rule: generic, Fingerprint: strings.Repeat("2c3d", 16), Redacted: "…(16)", Severity: "medium", Confidence: 0.71234, AtHead: &no, First: commit,
				Places: []scanner.Place{{Path: "config/app.env", Line: 2, Col: 13, EndLine: 2}}},
			{Rule: generic, Fingerprint: strings.Repeat("4e5f", 16), Redacted: "hun…(24)", Severity: "low", Confidence: 0.4, AtHead: &yes,
				Places: []scanner.Place{{Path: "docs/with space, comma: and 100%.md", Line: 40, Col: 2, EndLine: 44}}},
		},
		Known: []*scanner.Key{{Rule: aws, Fingerprint: strings.Repeat("6071", 16), Redacted: "AKIA…(20)", Severity: "low", Confidence: 0.9,
			Places: []scanner.Place{{Path: "README.md", Line: 5, Col: 1, EndLine: 5}},
			Known:  &scanner.Known{By: "policy", Where: ".keyward.toml:4", Reason: "the vendor's own example", Expires: day.AddDate(0, 6, 0)}}},
		Notes: []string{"rule generic-token is off: too many identifiers of the same form in this old code base (.keyward.toml)"},
		Coverage: report.Coverage{Blobs: 1234, Bytes: 5_678_901, Commits: 99, Skipped: map[string]int{"binary file": 2, "unchanged": 1},
			Gaps: []scanner.Gap{{Path: "big.iso", Reason: "larger than 20 MB: --max-size reads it"}, {Path: "old.txt", Commit: commit.ID, Reason: "object missing"}},
			Took: 1500 * time.Millisecond},
	}
}

func write(t *testing.T, format string, r *report.Report, opt report.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, format, r, opt); err != nil {
		t.Fatalf("write %s: %v", format, err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	full, clean, partial := sample(), &report.Report{Version: "v0.1.0", Target: ".", Mode: "tree", Coverage: report.Coverage{Blobs: 1, Bytes: 10}}, sample()
	partial.Keys, partial.Known, partial.Notes = nil, nil, nil
	all := sample()
	all.Advice = true
	tests := []struct {
		file, format string
		report       *report.Report
		opt          report.Options
	}{
		{"text.txt", "text", full, report.Options{Width: 80}},
		{"text-colour.txt", "text", full, report.Options{Width: 80, Color: true}},
		{"text-advice.txt", "text", all, report.Options{}},
		{"text-clean.txt", "text", clean, report.Options{}},
		{"text-partial.txt", "text", partial, report.Options{}},
		{"report.json", "json", full, report.Options{}},
		{"report.jsonl", "jsonl", full, report.Options{}},
		{"sarif.json", "sarif", full, report.Options{}},
		{"github.txt", "github", full, report.Options{}},
		{"report.csv", "csv", full, report.Options{}},
		{"junit.xml", "junit", full, report.Options{}},
		{"junit-clean.xml", "junit", clean, report.Options{}},
		{"report.html", "html", full, report.Options{}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			got := write(t, tt.format, tt.report, tt.opt)
			name := filepath.Join("testdata", "golden", tt.file)
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs from its golden file (go test ./scanner/report -update writes it anew):\ngot:\n%s\nwant:\n%s", tt.format, got, want)
			}
		})
	}
}

// schema compiles a schema and checks formats such as date-time as well.
func schema(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(file, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(file)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return s
}

func valid(s *jsonschema.Schema, text string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// variants are the reports that every machine format has to hold.
func variants() map[string]*report.Report {
	bare := sample() // what a user's own rule leaves out
	bare.Keys[0].Rule = &scanner.Rule{ID: "own", Title: "own"}
	return map[string]*report.Report{"full": sample(), "empty": {Version: "v0.1.0", Target: ".", Mode: "tree"}, "own rule": bare, "hostile": hostileReport()}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	whole, line, sarif := schema(t, "schema.json"), schema(t, "jsonl.schema.json"), schema(t, "testdata/sarif-schema-2.1.0.json")
	for name, r := range variants() {
		if err := valid(whole, write(t, "json", r, report.Options{})); err != nil {
			t.Errorf("%s: json does not fit schema.json: %v", name, err)
		}
		if err := valid(sarif, write(t, "sarif", r, report.Options{})); err != nil {
			t.Errorf("%s: sarif does not fit the schema of SARIF 2.1.0: %v", name, err)
		}
		lines := slices.Collect(strings.Lines(write(t, "jsonl", r, report.Options{})))
		places := 0
		for _, k := range r.Keys {
			places += len(k.Places)
		}
		if len(lines) != places {
			t.Errorf("%s: jsonl has %d lines, want one for each of %d places", name, len(lines), places)
		}
		for _, l := range lines {
			if err := valid(line, l); err != nil {
				t.Errorf("%s: jsonl does not fit jsonl.schema.json: %v\n%s", name, err, l)
			}
		}
	}
	text := write(t, "json", sample(), report.Options{})
	for _, wrong := range []string{ // the schema is strict
		strings.Replace(text, `"tool"`, `"secret": "x", "tool"`, 1),
		strings.Replace(text, `"end_line"`, `"value": "x", "end_line"`, 1),
		strings.Replace(text, `"critical"`, `"grave"`, 1),
		strings.Replace(text, "2026-03-14T", "14.3.2026 ", 1),
		strings.Replace(text, `"redacted": "SWMTKN-1-…(85)"`, `"redacted": "hunter2"`, 1),
	} {
		if wrong == text || valid(whole, wrong) == nil {
			t.Errorf("got a wrong report accepted by schema.json, want it refused:\n%.200s", wrong)
		}
	}
}

// TestSchemaDescriptions holds the schemas strict and explained: every object
// closed, every field described.
func TestSchemaDescriptions(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"schema.json", "jsonl.schema.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		describe(t, file, doc)
	}
}

func describe(t *testing.T, at string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	if props, ok := m["properties"].(map[string]any); ok {
		if m["additionalProperties"] != false {
			t.Errorf("%s: additionalProperties is %v, want false", at, m["additionalProperties"])
		}
		for name, p := range props {
			if text, _ := p.(map[string]any)["description"].(string); !strings.HasSuffix(text, ".") {
				t.Errorf("%s/%s: description is %q, want a sentence", at, name, text)
			}
		}
	}
	for name, sub := range m {
		describe(t, at+"/"+name, sub)
	}
}

func TestSARIF(t *testing.T) {
	t.Parallel()
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						ID   string
						Help struct{ Text, Markdown string }
					}
				}
			}
			Results []struct {
				RuleID              string
				RuleIndex           int
				Level               string
				PartialFingerprints map[string]string
				Suppressions        []struct{ Kind, Justification string }
				Locations           []struct {
					PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(write(t, "sarif", sample(), report.Options{})), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	var got []string
	for _, r := range run.Results {
		rule := run.Tool.Driver.Rules[r.RuleIndex]
		if rule.ID != r.RuleID || rule.Help.Text == "" || rule.Help.Markdown == "" {
			t.Errorf("got rule %q with help %q at the index of %q, want the same rule with help", rule.ID, rule.Help.Text, r.RuleID)
		}
		s := r.Level + " " + r.Locations[0].PhysicalLocation.ArtifactLocation.URI + " " + r.PartialFingerprints["keyward/v1"][:4]
		for _, x := range r.Suppressions {
			s += " " + x.Kind + ": " + x.Justification
		}
		got = append(got, s)
	}
	want := []string{"error deploy/join.sh 0a1b", "error deploy/values.yaml 0a1b", "error testdata/join.sh 0a1b", "warning config/app.env 2c3d",
		"note docs/with%20space,%20comma:%20and%20100%25.md 4e5f", "note README.md 6071 external: the vendor's own example"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	for name, r := range variants() {
		var got struct {
			Suite struct {
				Tests    int `xml:"tests,attr"`
				Failures int `xml:"failures,attr"`
				Errors   int `xml:"errors,attr"`
				Cases    []struct {
					Failed []string `xml:"failure"`
					Erred  []string `xml:"error"`
				} `xml:"testcase"`
			} `xml:"testsuite"`
		}
		text := write(t, "junit", r, report.Options{})
		if err := xml.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		failed, erred := 0, 0
		for _, c := range got.Suite.Cases {
			failed, erred = failed+len(c.Failed), erred+len(c.Erred)
		}
		s := got.Suite
		if s.Tests != len(s.Cases) || s.Tests == 0 || s.Failures != failed || failed != len(r.Keys) || s.Errors != erred || erred != len(r.Coverage.Gaps) {
			t.Errorf("%s: got tests %d, failures %d, errors %d for %d cases, %d failures, %d errors; want them equal, and one for each of %d keys and %d gaps",
				name, s.Tests, s.Failures, s.Errors, len(s.Cases), failed, erred, len(r.Keys), len(r.Coverage.Gaps))
		}
	}
}

// TestCSVFormulas holds that no cell is a formula to a spreadsheet.
// https://owasp.org/www-community/attacks/CSV_Injection
func TestCSVFormulas(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", `=HYPERLINK("https://evil.example/","x")`, `a",=1+1`, "a\r\n=1+1,b"} {
		r := sample()
		r.Keys[0].Places[0].Path = evil
		r.Keys[0].Places[0].Commit = &scanner.Commit{ID: strings.Repeat("4b", 20), Author: evil}
		rows, err := csv.NewReader(strings.NewReader(write(t, "csv", r, report.Options{}))).ReadAll()
		if err != nil {
			t.Errorf("%q: %v", evil, err)
			continue
		}
		if len(rows) != 6 {
			t.Errorf("%q: got %d rows, want a head and 5 places", evil, len(rows))
		}
		for _, row := range rows {
			for i, c := range row {
				if c != "" && strings.ContainsAny(c[:1], "=+-@\t\r\n") {
					t.Errorf("%q: column %s: got %q, want no formula", evil, rows[0][i], c)
				}
			}
		}
	}
}

var command = regexp.MustCompile(`^::(error|warning|notice)( \w+=[^,:]*(,\w+=[^,:]*)*)?::(.*)$`)

func TestGitHubCommands(t *testing.T) {
	t.Parallel()
	unescape := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
	for _, path := range []string{"a.txt", "a,line=1.txt", "a::b.txt", "c:/d.txt", "100%.txt", "%0A::error::x.txt", "%3A%2C"} {
		r := sample()
		r.Keys[0].Places[0].Path = path
		lines := strings.Split(strings.TrimSuffix(write(t, "github", r, report.Options{}), "\n"), "\n")
		if len(lines) != 5+2+len(r.Notes)+1 {
			t.Errorf("%q: got %d lines, want 5 places, 2 gaps, %d notes and a summary", path, len(lines), len(r.Notes))
		}
		for _, l := range lines[:len(lines)-1] {
			if !command.MatchString(l) {
				t.Errorf("%q: got %q, want a workflow command", path, l)
			}
		}
		_, rest, _ := strings.Cut(lines[0], " file=")
		value, _, _ := strings.Cut(rest, ",")
		if got := unescape.Replace(value); got != path {
			t.Errorf("got file %q, want %q", got, path)
		}
	}
	r := sample()
	r.Keys[0].Places[0].Path = "a\n::error::pwned\r\n::stop-commands::x"
	for l := range strings.Lines(write(t, "github", r, report.Options{})) {
		if strings.HasPrefix(l, "::error::") || strings.HasPrefix(l, "::stop") {
			t.Errorf("got the path's own command %q", l)
		}
	}
}

var paint = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestTextWidth: no line is wider than the terminal, except for a word that
// cannot be broken, such as a path.
func TestTextWidth(t *testing.T) {
	t.Parallel()
	long := sample()
	long.Keys[0].Rule.Title = strings.TrimSpace(strings.Repeat("long title ", 12))
	long.Keys[0].Places[0].Path = "a/" + strings.Repeat("very-long-directory/", 8) + "file.txt"
	long.Keys[1].First.Author = strings.TrimSpace(strings.Repeat("Name ", 40))
	long.Coverage.Skipped["file that .gitignore names and that nobody wants to see"] = 3
	for range 12 {
		long.Keys[0].Places = append(long.Keys[0].Places, long.Keys[0].Places[1])
		long.Coverage.Gaps = append(long.Coverage.Gaps, scanner.Gap{Path: "x/y", Reason: strings.TrimSpace(strings.Repeat("reason ", 20))})
	}
	known := sample()
	known.Keys[0].Known, known.Keys[1].Known = &scanner.Known{By: "comment"}, &scanner.Known{By: "baseline"}
	known.Known = append(known.Known, known.Keys[:2]...)
	for name, r := range map[string]*report.Report{"sample": sample(), "long": long, "known": known} {
		for _, width := range []int{40, 60, 80, 100} {
			for _, color := range []bool{false, true} {
				for l := range strings.Lines(write(t, "text", r, report.Options{Width: width, Color: color})) {
					l = paint.ReplaceAllString(strings.TrimSuffix(l, "\n"), "")
					if n := utf8.RuneCountInString(l); n > width && breakable(l) {
						t.Errorf("%s, colour %v: got a line of %d columns, want at most %d: %q", name, color, n, width, l)
					}
					if strings.TrimRight(l, " ") != l {
						t.Errorf("%s: got white space at the end of %q", name, l)
					}
				}
			}
		}
	}
	plain, coloured := write(t, "text", sample(), report.Options{}), write(t, "text", sample(), report.Options{Color: true})
	if got := paint.ReplaceAllString(coloured, ""); got != plain {
		t.Errorf("got other text with colour:\n%s\nwant\n%s", got, plain)
	}
	if strings.Contains(plain, "\x1b") || !strings.Contains(coloured, "\x1b[") {
		t.Error("got escapes without colour, or none with it")
	}
}

var label = regexp.MustCompile(`^( {2}\w[\w ]{0,8} *| +|note: |not scanned: )`)

// breakable reports whether a line could have been broken between words after
// its label.
func breakable(line string) bool {
	return len(strings.Fields(label.ReplaceAllString(line, ""))) > 1
}

// hostile is text that a stranger can put into a path, a name or a reason.
const hostile = "a\x1b[31m\x1b]8;;https://evil.example\x07\x00\x08\u009b31m\u202etxt.\u2066\u200f\u2028\ufeff\x7f\n\r\n::error file=x::pwned\r::stop-commands::x\n" +
	"##[error]pwned <script>alert(1)</script><img src=https://evil.example/x onerror=alert(1)>\"' -->]]>&amp; " +
	"**[click](https://evil.example)** ![i](https://evil.example/i) `code` {0} %0A::error::x, = | \xff\xfe ::error::end"

// hostileReport has hostile text wherever text can come from a repository: its
// policy may name rules files, so the words of a rule are a stranger's as well.
func hostileReport() *report.Report {
	r := sample()
	r.Target, r.Notes = hostile, []string{hostile}
	r.Coverage.Gaps = []scanner.Gap{{Path: hostile, Reason: hostile}, {Reason: hostile}}
	c := &scanner.Commit{ID: strings.Repeat("4b", 20), Author: hostile, Date: time.Unix(1, 0).UTC()}
	rule := *r.Keys[0].Rule
	rule.Title, rule.Issuer = hostile, hostile
	rule.About = scanner.About{Holder: hostile, Rotate: []string{hostile}, Revoke: hostile, Store: hostile, Docs: []string{"javascript:alert(1)//" + hostile}}
	r.Keys = []*scanner.Key{r.Keys[0], r.Keys[1]}
	r.Keys[0].First = c
	for _, k := range r.Keys {
		k.Facts = []scanner.Fact{{Name: "iss", Value: hostile}}
		for i := range k.Places {
			p := &k.Places[i]
			p.Path, p.Commit, p.AllowComment = hostile, c, &scanner.Allow{Mark: scanner.AllowMark, Void: hostile}
		}
	}
	r.Keys[1].Rule = &rule
	r.Known[0].Places[0].Path = hostile
	r.Known[0].Known = &scanner.Known{By: "policy", Where: hostile, Reason: hostile}
	return r
}

// TestHostile: what strangers wrote cannot drive a terminal, a CI log or a browser.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, format := range report.Formats() {
		for _, color := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", format, color), func(t *testing.T) {
				t.Parallel()
				text := write(t, format, hostileReport(), report.Options{Color: color})
				if !utf8.ValidString(text) {
					t.Error("got invalid UTF-8")
				}
				if color {
					text = paint.ReplaceAllStringFunc(text, func(s string) string {
						if slices.Contains([]string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[1;97;41m", "\x1b[1;33m"}, s) {
							return ""
						}
						return s
					})
				}
				for bad := range dangerous(text) {
					t.Errorf("got %U in the output, want it escaped or replaced", bad)
				}
				for l := range strings.Lines(text) {
					// GitHub's runner drops leading space before it looks for a command.
					if l := strings.TrimSpace(l); strings.HasPrefix(l, "::") && (format != "github" || !command.MatchString(l) || strings.HasPrefix(l, "::error::") || strings.HasPrefix(l, "::stop")) {
						t.Errorf("got the workflow command %.80q of a stranger", l)
					}
				}
				if (format == "text" || format == "github") && strings.Contains(text, "##[") {
					// The runner's older form of commands is obeyed anywhere in a line.
					t.Error("got ##[, the older form of a workflow command")
				}
			})
		}
	}
}

// dangerous returns the control characters and direction marks of a text.
func dangerous(text string) map[rune]bool {
	out := map[rune]bool{}
	for _, c := range text {
		if c < 0x20 && c != '\n' || c >= 0x7f && c < 0xa0 || strings.ContainsRune("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2066\u2067\u2068\u2069\u061c\ufeff", c) {
			out[c] = true
		}
	}
	return out
}

// TestJSONKeepsPaths: escaping for people must not change what programs read.
func TestJSONKeepsPaths(t *testing.T) {
	t.Parallel()
	want := "dir/\x1b[31m\u009b\u202e\n<b>&'\".txt"
	r := sample()
	r.Keys = r.Keys[1:2]
	r.Keys[0].Places[0].Path = want
	var whole struct {
		Keys []struct{ Places []struct{ Path string } }
	}
	var line struct{ Path string }
	if err := errors.Join(json.Unmarshal([]byte(write(t, "json", r, report.Options{})), &whole), json.Unmarshal([]byte(write(t, "jsonl", r, report.Options{})), &line)); err != nil {
		t.Fatal(err)
	}
	if got := whole.Keys[0].Places[0].Path; got != want {
		t.Errorf("json: got path %q, want %q", got, want)
	}
	if line.Path != want {
		t.Errorf("jsonl: got path %q, want %q", line.Path, want)
	}
}

// TestSARIFMarkdown: in help Markdown and in messages, where [text](link) is a
// link, a stranger's rule brings neither links, images nor HTML.
func TestSARIFMarkdown(t *testing.T) {
	t.Parallel()
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct{ Help struct{ Markdown string } }
				}
			}
			Results []struct{ Message struct{ Text string } }
		}
	}
	if err := json.Unmarshal([]byte(write(t, "sarif", hostileReport(), report.Options{})), &log); err != nil {
		t.Fatal(err)
	}
	check := func(what, text string, bad *regexp.Regexp) {
		t.Helper()
		if m := bad.FindString(text); m != "" {
			t.Errorf("%s: got %q alive, want it escaped", what, m)
		}
	}
	for _, r := range log.Runs[0].Tool.Driver.Rules {
		check("help", r.Help.Markdown, regexp.MustCompile(`(^|[^\\])(<(script|img)|\[click\])`))
	}
	for _, r := range log.Runs[0].Results {
		check("message", r.Message.Text, regexp.MustCompile(`(^|[^\\])\[click\]|(^|[^{])\{0\}`))
	}
}

// loads are the attributes and words by which a page fetches something.
var loads = regexp.MustCompile(`(?i)url\(|@import|expression\(|javascript:`)

func TestHTML(t *testing.T) {
	t.Parallel()
	void := []string{"meta", "link", "br", "hr", "img", "input"}
	for name, r := range variants() {
		text := write(t, "html", r, report.Options{})
		if !strings.HasPrefix(text, "<!doctype html>") {
			t.Errorf("%s: got no doctype", name)
		}
		d := xml.NewDecoder(strings.NewReader(text))
		d.Strict, d.Entity = false, xml.HTMLEntity
		var open []string
		seen := map[string]int{}
		for {
			tok, err := d.RawToken()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch e := tok.(type) {
			case xml.StartElement:
				tag := e.Name.Local
				seen[tag]++
				if slices.Contains([]string{"script", "iframe", "object", "embed", "img", "link", "base", "form", "svg", "video"}, tag) {
					t.Errorf("%s: got an element %s, want a page without", name, tag)
				}
				for _, a := range e.Attr {
					if n := a.Name.Local; strings.HasPrefix(n, "on") || n == "src" || n == "style" || n == "srcset" || n == "href" && !strings.HasPrefix(a.Value, "https://") && a.Value != "#ZgotmplZ" {
						t.Errorf("%s: got attribute %s=%.60q on %s", name, n, a.Value, tag)
					}
				}
				if !slices.Contains(void, tag) {
					open = append(open, tag)
				}
			case xml.EndElement:
				if len(open) == 0 || open[len(open)-1] != e.Name.Local {
					t.Fatalf("%s: got </%s> with %v open", name, e.Name.Local, open)
				}
				open = open[:len(open)-1]
			case xml.CharData:
				if len(open) > 0 && open[len(open)-1] == "style" && loads.Match(e) {
					t.Errorf("%s: the style sheet loads something", name)
				}
			}
		}
		if len(open) > 0 || seen["html"] != 1 || seen["body"] != 1 || seen["title"] != 1 || seen["h1"] != 1 || seen["article"] != len(r.Keys) {
			t.Errorf("%s: got elements %v with %v open at the end, want one html, body, title and h1, %d articles, none open", name, seen, open, len(r.Keys))
		}
		if !strings.Contains(text, "default-src 'none'") {
			t.Errorf("%s: got no policy that forbids loading", name)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	err := report.Write(io.Discard, "yaml", sample(), report.Options{})
	if err == nil || !strings.Contains(err.Error(), "sarif") {
		t.Errorf("got %v, want an error that names the formats", err)
	}
}

// TestGitLab holds the reports for GitLab: each place of a key once, and what was not scanned.
func TestGitLab(t *testing.T) {
	r := sample()
	r.At = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var buf bytes.Buffer
	if err := report.Write(&buf, "gitlab", r, report.Options{}); err != nil {
		t.Fatal(err)
	}
	var secret struct {
		Version string
		Scan    struct {
			Type, Status, End_time string
		}
		Vulnerabilities []struct {
			ID, Severity string
			Location     struct {
				File       string
				Start_line int
				Commit     struct{ SHA string }
			}
			Identifiers []struct{ Type, Name, Value string }
		}
	}
	if err := json.Unmarshal(buf.Bytes(), &secret); err != nil {
		t.Fatal(err)
	}
	places := 0
	for _, k := range r.Keys {
		places += len(k.Places)
	}
	if len(secret.Vulnerabilities) != places || secret.Scan.Type != "secret_detection" || secret.Scan.End_time != "2026-03-04T05:06:07" {
		t.Errorf("got %d vulnerabilities, want %d:\n%s", len(secret.Vulnerabilities), places, buf.Bytes())
	}
	if want := "failure"; len(r.Coverage.Gaps) > 0 && secret.Scan.Status != want {
		t.Errorf("status %s with gaps, want %s", secret.Scan.Status, want)
	}
	ids := map[string]bool{}
	for _, v := range secret.Vulnerabilities {
		if ids[v.ID] || v.Severity == "" || v.Location.File == "" || v.Location.Start_line < 1 || v.Location.Commit.SHA == "" || len(v.Identifiers) == 0 {
			t.Errorf("incomplete, or twice: %+v", v)
		}
		ids[v.ID] = true
	}
	buf.Reset()
	if err := report.Write(&buf, "codequality", r, report.Options{}); err != nil {
		t.Fatal(err)
	}
	var quality []struct {
		Description, Check_name, Fingerprint, Severity string
		Location                                       struct {
			Path  string
			Lines struct{ Begin int }
		}
	}
	if err := json.Unmarshal(buf.Bytes(), &quality); err != nil {
		t.Fatal(err)
	}
	if len(quality) != places+len(r.Coverage.Gaps) {
		t.Errorf("got %d issues, want %d", len(quality), places+len(r.Coverage.Gaps))
	}
}

// TestSARIFLimit holds that a SARIF file has no more results than GitHub shows, the most
// severe, and says how many are missing.
func TestSARIFLimit(t *testing.T) {
	r := sample()
	k := *r.Keys[0]
	k.Places = nil
	for i := range 6000 {
		k.Places = append(k.Places, scanner.Place{Path: "a.env", Line: i + 1, EndLine: i + 1, Col: 1})
	}
	r.Keys = []*scanner.Key{&k}
	r.Known = nil
	var buf bytes.Buffer
	if err := report.Write(&buf, "sarif", r, report.Options{}); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(buf.Bytes(), []byte(`"ruleIndex"`)); n != 5000 {
		t.Errorf("%d results, want 5000", n)
	}
	if !bytes.Contains(buf.Bytes(), []byte("1000 more results are not in this file")) {
		t.Error("the file does not say how many results are missing")
	}
}
