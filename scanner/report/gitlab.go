package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/keyward/keyward/scanner"
)

// The report of GitLab's secret detection, version 15.2.4 of its schema.
// https://gitlab.com/gitlab-org/security-products/security-report-schemas/-/blob/v15.2.4/dist/secret-detection-report-format.json
type gitlabReport struct {
	Version         string             `json:"version"`
	Scan            gitlabScan         `json:"scan"`
	Vulnerabilities []gitlabVulnerable `json:"vulnerabilities"`
}

type gitlabScan struct {
	Start    string          `json:"start_time"`
	End      string          `json:"end_time"`
	Status   string          `json:"status"`
	Type     string          `json:"type"`
	Analyzer gitlabTool      `json:"analyzer"`
	Scanner  gitlabTool      `json:"scanner"`
	Messages []gitlabMessage `json:"messages,omitempty"`
}

type gitlabTool struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	URL     string       `json:"url"`
	Vendor  gitlabVendor `json:"vendor"`
	Version string       `json:"version"`
}

type gitlabVendor struct {
	Name string `json:"name"`
}

type gitlabMessage struct {
	Level string `json:"level"`
	Value string `json:"value"`
}

type gitlabVulnerable struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Description string             `json:"description"`
	Severity    string             `json:"severity"`
	Solution    string             `json:"solution,omitempty"`
	Location    gitlabLocation     `json:"location"`
	Identifiers []gitlabIdentifier `json:"identifiers"`
	Links       []gitlabLink       `json:"links,omitempty"`
}

type gitlabLocation struct {
	File   string       `json:"file"`
	Start  int          `json:"start_line"`
	End    int          `json:"end_line"`
	Commit gitlabCommit `json:"commit"`
}

type gitlabCommit struct {
	SHA    string `json:"sha"`
	Author string `json:"author,omitempty"`
	Date   string `json:"date,omitempty"`
}

type gitlabIdentifier struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

type gitlabLink struct {
	URL string `json:"url"`
}

var gitlabSeverity = map[scanner.Severity]string{scanner.Critical: "Critical", scanner.High: "High", scanner.Medium: "Medium", scanner.Low: "Low"}

// gitlabTime is the form of times in the report.
const gitlabTime = "2006-01-02T15:04:05"

// noCommit stands for the commit of a file on disk, which has none.
const noCommit = "0000000"

func writeGitLab(w io.Writer, r *Report) error {
	tool := gitlabTool{ID: "keyward", Name: "Keyward", URL: "https://github.com/keyward/keyward", Vendor: gitlabVendor{"Keyward"}, Version: orDash(r.Version)}
	end := r.At
	if end.IsZero() {
		end = time.Unix(0, 0)
	}
	out := gitlabReport{Version: "15.2.4", Vulnerabilities: []gitlabVulnerable{}, Scan: gitlabScan{
		Start: end.Add(-r.Coverage.Took).UTC().Format(gitlabTime), End: end.UTC().Format(gitlabTime),
		Status: "success", Type: "secret_detection", Analyzer: tool, Scanner: tool,
	}}
	for i := range r.Coverage.Gaps {
		out.Scan.Status = "failure"
		out.Scan.Messages = append(out.Scan.Messages, gitlabMessage{"fatal", "not scanned: " + plain(r.Coverage.Gaps[i].Error())})
	}
	for _, n := range r.Notes {
		out.Scan.Messages = append(out.Scan.Messages, gitlabMessage{"info", plain(n)})
	}
	for _, k := range r.Keys {
		for _, p := range k.Places {
			out.Vulnerabilities = append(out.Vulnerabilities, gitlabVulnerability(k, &p))
		}
	}
	return encode(w, out)
}

func gitlabVulnerability(k *scanner.Key, p *scanner.Place) gitlabVulnerable {
	v := gitlabVulnerable{
		ID: placeID(k, p), Name: plain(k.Rule.Title), Severity: gitlabSeverity[k.Severity], Solution: plain(firstStep(k)),
		Description: plain(k.Rule.Title + " " + k.Redacted + ". " + k.Rule.About.Holder),
		Location:    gitlabLocation{plain(p.Path), p.Line, p.EndLine, gitlabCommit{SHA: noCommit}},
		Identifiers: []gitlabIdentifier{{"keyward_rule_id", "Keyward rule " + k.Rule.ID, k.Rule.ID}, {"keyward_fingerprint", "Keyward fingerprint " + short(k.Fingerprint), k.Fingerprint}},
	}
	if c := p.Commit; c != nil {
		v.Location.Commit = gitlabCommit{c.ID, plain(c.Author), stamp(c.Date)}
	}
	if docs := k.Rule.About.Docs; len(docs) > 0 {
		v.Links = []gitlabLink{{docs[0]}}
	}
	return v
}

// placeID identifies a key at a place, the same in each report.
func placeID(k *scanner.Key, p *scanner.Place) string {
	commit := ""
	if p.Commit != nil {
		commit = p.Commit.ID
	}
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s\x00%s\x00%d\x00%d\x00%s", k.Fingerprint, p.Path, p.Line, p.Col, commit)))
	return hex.EncodeToString(sum[:])
}

// An issue of the Code Climate form, of which GitLab's code quality reads a part.
// https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
type qualityIssue struct {
	Description string          `json:"description"`
	Check       string          `json:"check_name"`
	Fingerprint string          `json:"fingerprint"`
	Severity    string          `json:"severity"`
	Location    qualityLocation `json:"location"`
}

type qualityLocation struct {
	Path  string       `json:"path"`
	Lines qualityLines `json:"lines"`
}

type qualityLines struct {
	Begin int `json:"begin"`
}

var qualitySeverity = map[scanner.Severity]string{scanner.Critical: "blocker", scanner.High: "critical", scanner.Medium: "major", scanner.Low: "minor"}

func writeCodeQuality(w io.Writer, r *Report) error {
	out := []qualityIssue{}
	for _, k := range r.Keys {
		for _, p := range k.Places {
			out = append(out, qualityIssue{
				Description: plain(k.Rule.Title + " " + k.Redacted + ". " + firstStep(k)), Check: k.Rule.ID, Fingerprint: placeID(k, &p),
				Severity: qualitySeverity[k.Severity], Location: qualityLocation{plain(p.Path), qualityLines{p.Line}},
			})
		}
	}
	for i := range r.Coverage.Gaps {
		g := &r.Coverage.Gaps[i]
		sum := sha256.Sum256([]byte("not scanned\x00" + g.Path + "\x00" + g.Reason))
		out = append(out, qualityIssue{Description: "not scanned: " + plain(g.Reason), Check: "not-scanned", Fingerprint: hex.EncodeToString(sum[:]), Severity: "info",
			Location: qualityLocation{plain(g.Path), qualityLines{1}}})
	}
	return encode(w, out)
}
