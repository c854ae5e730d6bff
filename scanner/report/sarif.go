package report

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner"
)

// SARIF 2.1.0, as code scanning reads it.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	URI     string      `json:"informationUri"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	Short      sarifText    `json:"shortDescription"`
	Full       sarifText    `json:"fullDescription"`
	HelpURI    string       `json:"helpUri,omitempty"`
	Help       sarifText    `json:"help"`
	Config     sarifConfig  `json:"defaultConfiguration"`
	Properties sarifRuleBag `json:"properties"`
}

type sarifRuleBag struct {
	Tags             []string `json:"tags"`
	SecuritySeverity string   `json:"security-severity"`
	Precision        string   `json:"precision"`
}

type sarifConfig struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Suppressions []sarifSuppress   `json:"suppressions,omitempty"`
	Properties   map[string]any    `json:"properties"`
}

type sarifSuppress struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification,omitempty"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   sarifRegion   `json:"region"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
	EndLine     int `json:"endLine"`
}

// mostResults is how many results GitHub shows of a run; it refuses one with more than
// 25,000. The keys are in the order of their severity, so the most severe are kept.
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning#validating-your-sarif-file
const mostResults = 5000

func writeSARIF(w io.Writer, r *Report) error {
	run := sarifRun{ColumnKind: "utf16CodeUnits", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "Keyward", Version: r.Version, URI: "https://github.com/keyward/keyward", Rules: []sarifRule{}}
	index := map[string]int{}
	for _, keys := range [][]*scanner.Key{r.Keys, r.Known} {
		for _, k := range keys {
			n, ok := index[k.Rule.ID]
			if !ok {
				n = len(run.Tool.Driver.Rules)
				index[k.Rule.ID] = n
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(k.Rule))
			}
			run.Results = append(run.Results, sarifResults(k, n)...)
		}
	}
	dropped := len(run.Results) - mostResults
	run.Results = run.Results[:min(len(run.Results), mostResults)]
	inv := sarifInvocation{Successful: r.Coverage.Complete()}
	for i := range r.Coverage.Gaps {
		inv.Notifications = append(inv.Notifications, sarifNotification{"error", sarifText{Text: "not scanned: " + r.Coverage.Gaps[i].Error()}})
	}
	if dropped > 0 {
		inv.Notifications = append(inv.Notifications, sarifNotification{"warning", sarifText{Text: fmt.Sprintf(
			"%d more results are not in this file, which has the %d most severe: GitHub shows no more. The format json has all.", dropped, mostResults)}})
	}
	for _, n := range r.Notes {
		inv.Notifications = append(inv.Notifications, sarifNotification{"note", sarifText{Text: plain(n)}})
	}
	inv.Notifications = append(inv.Notifications, sarifNotification{"note", sarifText{Text: r.Coverage.Sentence(r.Mode)}})
	run.Invocations = []sarifInvocation{inv}
	return encode(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

var tierScore = map[scanner.Tier]string{scanner.T0: "9.5", scanner.T1: "8.0", scanner.T2: "5.5", scanner.T3: "3.0"}

func sarifRuleOf(r *scanner.Rule) sarifRule {
	a := &r.About
	var md strings.Builder
	md.WriteString("**" + markdown(r.Title) + "** (" + string(r.Tier) + ", " + r.Tier.Power() + ")\n\n" + markdown(a.Holder) + "\n\nRotate:\n")
	text := r.Title + " (" + string(r.Tier) + ", " + r.Tier.Power() + ")\n\n" + a.Holder + "\n\nRotate:\n"
	for i, s := range a.Rotate {
		md.WriteString("1. " + markdown(s) + "\n")
		text += fmt.Sprintf("%d. %s\n", i+1, s)
	}
	md.WriteString("\nRevoke: " + markdown(a.Revoke) + "\n\nKeep it in: " + markdown(a.Store) + "\n")
	text += "\nRevoke: " + a.Revoke + "\n\nKeep it in: " + a.Store + "\n"
	help := ""
	if len(a.Docs) > 0 {
		help = a.Docs[0]
	}
	precision := "high"
	if r.Class == "generic" {
		precision = "medium"
	}
	score := tierScore[r.Tier]
	if score == "" {
		score = "5.5"
	}
	return sarifRule{
		ID: r.ID, Name: strings.ReplaceAll(r.ID, "-", "_"), Short: sarifText{Text: r.Title}, Full: sarifText{Text: orDash(a.Holder)},
		HelpURI: help, Help: sarifText{Text: text, Markdown: md.String()}, Config: sarifConfig{levelOf(r)},
		Properties: sarifRuleBag{Tags: []string{"security", "secret", string(r.Class)}, SecuritySeverity: score, Precision: precision},
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func levelOf(r *scanner.Rule) string {
	switch r.Tier {
	case scanner.T0, scanner.T1:
		return "error"
	case scanner.T3:
		return "note"
	}
	return "warning"
}

var levelBySeverity = map[scanner.Severity]string{scanner.Critical: "error", scanner.High: "error", scanner.Medium: "warning", scanner.Low: "note"}

func sarifResults(k *scanner.Key, rule int) []sarifResult {
	var out []sarifResult
	for _, p := range k.Places {
		props := map[string]any{"severity": k.Severity, "confidence": round(k.Confidence), "redacted": k.Redacted, "tier": string(k.Rule.Tier)}
		if p.Commit != nil {
			props["commit"] = p.Commit.ID
		}
		if k.AtHead != nil {
			props["atHead"] = *k.AtHead
		}
		if p.Decoded != "" {
			props["decoded"] = p.Decoded
		}
		res := sarifResult{
			RuleID: k.Rule.ID, RuleIndex: rule, Level: levelBySeverity[k.Severity],
			Message:      sarifText{Text: sarifPlain(k.Rule.Title + " " + k.Redacted + ". " + k.Rule.About.Holder + " " + firstStep(k))},
			Locations:    []sarifLocation{{sarifPhysical{sarifArtifact{pathURI(p.Path)}, sarifRegion{p.Line, 0, p.EndLine}}}},
			Fingerprints: map[string]string{"keyward/v1": k.Fingerprint},
			Properties:   props,
		}
		if k.Known != nil {
			kind := "external"
			if k.Known.By == "comment" {
				kind = "inSource"
			}
			res.Suppressions = []sarifSuppress{{kind, k.Known.Reason}}
		}
		if !slices.ContainsFunc(out, func(o sarifResult) bool { return o.Locations[0] == res.Locations[0] }) {
			out = append(out, res)
		}
	}
	return out
}

// sarifPlain escapes what a SARIF message takes for a link or a placeholder (3.11.5, 3.11.6).
func sarifPlain(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "{", "{{", "}", "}}").Replace(plain(s))
}

// markdown escapes what Markdown and HTML take for markup.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "<", `\<`, "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`, "`", "\\`").Replace(plain(s))
}

// pathURI is a path as a relative URI reference.
func pathURI(p string) string {
	u := (&url.URL{Path: "./" + p}).EscapedPath()
	if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ":") { // else it would read as a scheme
		return u
	}
	return strings.TrimPrefix(u, "./")
}
