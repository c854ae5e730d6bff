// Package foreign reads what other secret scanners were told to ignore: gitleaks,
// detect-secrets, trufflehog and ggshield. It only reads: which findings of Keyward an entry
// speaks of, its caller finds out.
//
// The files come from a repository and are hostile input: they are bounded in size and count,
// and a file that is not of its form is an error.
package foreign

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/scanner/rules"
)

// An Entry is one exception of another scanner. Of its criteria those that are given hold
// together, but for Globs, which stand for whole files.
type Entry struct {
	File string // that has the entry
	Line int    // in File, 0 if not known

	Path   string // of a finding; "" for any
	At     int    // its line, 0 for any
	Commit string // that brought it, "" for any

	Value  string // the secret itself. It must not be shown
	Part   bool   // Value is a part of the secret
	SHA1   string // of the secret, in hexadecimal
	SHA256 string

	Globs []string // files that are not scanned

	// Known says that the secret is one: it is not reported again, and still has to be
	// rotated. Otherwise a person marked it as a false positive.
	Known bool
}

// A Problem is an entry that has no equivalent.
type Problem struct {
	File string
	Line int
	Why  string
}

// maxEntries is how many entries are read from one file.
const maxEntries = 100_000

// Names are the files that are looked for at the top of a repository.
func Names() []string {
	return []string{".gitleaksignore", ".gitleaks.toml", "gitleaks.toml", ".secrets.baseline", ".trufflehogignore", "trufflehog-ignore.txt", "trufflehog_exclude.txt",
		".gitguardian.yaml", ".gitguardian.yml", ".ggshield.yaml", ".ggshield.yml"}
}

// Read reads a file, whose name and content say what it is.
func Read(name string, data []byte) ([]Entry, []Problem, error) {
	entries, problems, err := read(name, data)
	if err == nil && len(entries) > maxEntries {
		err = fmt.Errorf("%d entries, at most %d are read", len(entries), maxEntries)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", name, err)
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool {
		all := e.Path == "" && e.Commit == "" && e.Value == "" && e.SHA1 == "" && e.SHA256 == "" && len(e.Globs) == 0
		if all {
			problems = append(problems, Problem{Line: e.Line, Why: "it would hold for every finding"})
		}
		return all
	})
	for i := range entries {
		entries[i].File = name
	}
	for i := range problems {
		problems[i].File = name
	}
	return entries, problems, nil
}

func read(name string, data []byte) ([]Entry, []Problem, error) {
	base := path.Base(name)
	switch ext := path.Ext(base); {
	case base == ".gitleaksignore":
		return gitleaksIgnore(data)
	case ext == ".toml":
		return gitleaksConfig(name, data)
	case ext == ".yaml" || ext == ".yml":
		return ggshield(data)
	case strings.Contains(base, "trufflehog"):
		return trufflehog(data)
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")):
		return gitleaksReport(data)
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")):
		return detectSecrets(data)
	}
	return nil, nil, errors.New("unknown format: expected .gitleaksignore, a configuration or report of gitleaks, .secrets.baseline, .gitguardian.yaml, or a trufflehog list of paths")
}

// eachLine calls each for the lines of data that are neither blank nor comments.
func eachLine(data []byte, each func(n int, line string)) error {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<16)
	for n := 1; lines.Scan(); n++ {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			each(n, line)
		}
	}
	return lines.Err()
}

// gitleaksIgnore reads lines of the form COMMIT:FILE:RULE:LINE or FILE:RULE:LINE.
// https://github.com/gitleaks/gitleaks#gitleaksignore
func gitleaksIgnore(data []byte) (out []Entry, bad []Problem, err error) {
	err = eachLine(data, func(n int, line string) {
		f := strings.Split(line, ":")
		at, numberErr := strconv.Atoi(f[len(f)-1])
		if len(f) < 3 || numberErr != nil {
			bad = append(bad, Problem{Line: n, Why: "it has not the form COMMIT:FILE:RULE:LINE"})
			return
		}
		e := Entry{Line: n, At: at}
		f = f[:len(f)-2]
		if len(f) > 1 && len(f[0]) == 40 && strings.Trim(f[0], "0123456789abcdef") == "" {
			e.Commit, f = f[0], f[1:]
		}
		e.Path = strings.Join(f, ":")
		out = append(out, e)
	})
	return out, bad, err
}

// gitleaksReport reads a report in JSON, which gitleaks takes as its baseline.
// https://github.com/gitleaks/gitleaks#creating-a-baseline
func gitleaksReport(data []byte) (out []Entry, bad []Problem, err error) {
	var list []struct {
		File, Commit, Secret string
		StartLine            int
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, nil, err
	}
	for _, f := range list {
		if f.File == "" {
			return nil, nil, errors.New("it is no report of gitleaks: an element has no File")
		}
		out = append(out, Entry{Path: f.File, At: f.StartLine, Commit: f.Commit, Known: true})
	}
	return out, nil, nil
}

// gitleaksConfig reads the allowlists that hold for all rules.
// https://github.com/gitleaks/gitleaks#configuration
func gitleaksConfig(name string, data []byte) (out []Entry, bad []Problem, err error) {
	set, err := rules.Parse(name, data)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range set.Allow {
		if a.All && len(a.Paths) > 0 && len(a.Regexes)+len(a.Stopwords)+len(a.Commits) > 0 {
			bad = append(bad, Problem{Why: "an allowlist whose criteria hold together"})
			continue
		}
		for _, p := range a.Paths {
			if globs := Globs(p); globs != nil {
				out = append(out, Entry{Globs: globs})
			} else {
				bad = append(bad, Problem{Why: fmt.Sprintf("the path %q is not that of a glob", p)})
			}
		}
		for _, w := range a.Stopwords {
			out = append(out, Entry{Value: w, Part: true})
		}
		for _, c := range a.Commits {
			out = append(out, Entry{Commit: c})
		}
		for range a.Regexes {
			bad = append(bad, Problem{Why: "a regular expression for values: allow the findings it was for, by keyward allow"})
		}
	}
	return out, bad, nil
}

// detectSecrets reads a baseline of detect-secrets.
// https://github.com/Yelp/detect-secrets
func detectSecrets(data []byte) (out []Entry, bad []Problem, err error) {
	var f struct {
		Results map[string][]struct {
			Hash   string `json:"hashed_secret"`
			Line   int    `json:"line_number"`
			Secret *bool  `json:"is_secret"`
		} `json:"results"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, nil, err
	}
	if f.Results == nil {
		return nil, nil, errors.New("it is no baseline of detect-secrets: it has no results")
	}
	for name, list := range f.Results {
		for _, r := range list {
			if len(r.Hash) != 40 {
				bad = append(bad, Problem{Why: "an entry of " + name + " has no hash of its secret"})
				continue
			}
			out = append(out, Entry{Path: name, SHA1: strings.ToLower(r.Hash), Known: r.Secret == nil || *r.Secret})
		}
	}
	return out, bad, nil
}

// trufflehog reads a list of paths, each a regular expression.
// https://github.com/trufflesecurity/trufflehog (--exclude-paths)
func trufflehog(data []byte) (out []Entry, bad []Problem, err error) {
	err = eachLine(data, func(n int, line string) {
		if globs := Globs(line); globs != nil {
			out = append(out, Entry{Line: n, Globs: globs})
		} else {
			bad = append(bad, Problem{Line: n, Why: fmt.Sprintf("the path %q is not that of a glob", line)})
		}
	})
	return out, bad, err
}

// ggshield reads the configuration of ggshield, in its present and its first form.
// https://docs.gitguardian.com/ggshield-docs/configuration
func ggshield(data []byte) (out []Entry, bad []Problem, err error) {
	type match struct {
		Match string `yaml:"match"`
	}
	var f struct {
		Secret struct {
			Matches   []match  `yaml:"ignored_matches"`
			Paths     []string `yaml:"ignored_paths"`
			Detectors []string `yaml:"ignored_detectors"`
		} `yaml:"secret"`
		OldMatches []yaml.Node `yaml:"matches-ignore"`
		OldPaths   []string    `yaml:"paths-ignore"`
	}
	if err := yaml.Unmarshal(data, &f); err != nil {
		return nil, nil, notGGShield(err)
	}
	for _, n := range f.OldMatches {
		m := match{Match: n.Value}
		if n.Kind == yaml.MappingNode {
			if err := n.Decode(&m); err != nil {
				return nil, nil, notGGShield(err)
			}
		}
		f.Secret.Matches = append(f.Secret.Matches, m)
	}
	for _, g := range append(f.Secret.Paths, f.OldPaths...) {
		out = append(out, Entry{Globs: []string{g}})
	}
	for _, m := range f.Secret.Matches {
		if len(m.Match) == 64 && strings.Trim(m.Match, "0123456789abcdef") == "" {
			out = append(out, Entry{SHA256: m.Match})
		} else if m.Match != "" {
			out = append(out, Entry{Value: m.Match})
		}
	}
	for _, d := range f.Secret.Detectors {
		bad = append(bad, Problem{Why: fmt.Sprintf("the detector %q: switch a rule off with [[disable]], see keyward rules list", d)})
	}
	return out, bad, nil
}

// notGGShield is the error of a file that cannot be read. The library quotes values, which may
// be secrets: only the number of the line is passed on.
func notGGShield(err error) error {
	where := ""
	if m := lineNumber.FindStringSubmatch(err.Error()); m != nil {
		where = " (line " + m[1] + ")"
	}
	return errors.New("it is not of the form that ggshield documents" + where)
}

var lineNumber = regexp.MustCompile(`^yaml: (?:unmarshal errors:\n\s*)?line (\d+):`)

// Globs returns globs that match what a regular expression of paths matches, nil if there are
// none: of an expression that consists of text, anchors and .* only.
func Globs(expr string) []string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	begins, ends := false, false
	var glob strings.Builder // with \x00 for .*
	for i, p := range parts {
		switch {
		case (p.Op == syntax.OpBeginText || p.Op == syntax.OpBeginLine) && i == 0:
			begins = true
		case (p.Op == syntax.OpEndText || p.Op == syntax.OpEndLine) && i == len(parts)-1:
			ends = true
		case p.Op == syntax.OpLiteral && p.Flags&syntax.FoldCase == 0:
			text := string(p.Rune)
			if strings.ContainsAny(text, `*?[]{}\`) {
				return nil
			}
			glob.WriteString(text)
		case (p.Op == syntax.OpStar || p.Op == syntax.OpPlus) && (p.Sub[0].Op == syntax.OpAnyCharNotNL || p.Sub[0].Op == syntax.OpAnyChar):
			glob.WriteByte(0)
		default:
			return nil
		}
	}
	g := glob.String()
	if !begins && !strings.HasPrefix(g, "\x00") {
		g = "\x00" + g
	}
	if !ends && !strings.HasSuffix(g, "\x00") {
		g += "\x00"
	}
	if strings.Trim(g, "\x00") == "" || strings.Count(g, "\x00") > 4 { // each doubles the globs
		return nil
	}
	return expand(g)
}

// expand writes each .* as what a glob has for it: something within a directory, or across
// directories.
func expand(g string) []string {
	before, after, ok := strings.Cut(g, "\x00")
	if !ok {
		return []string{g}
	}
	var out []string
	for _, rest := range expand(after) {
		if rest == "" { // at the end
			out = append(out, before+"*")
			if strings.HasSuffix(before, "/") {
				out[len(out)-1] = before + "**"
			} else {
				out = append(out, before+"*/**")
			}
			continue
		}
		if before == "" || strings.HasSuffix(before, "/") {
			out = append(out, before+"**/*"+rest)
			continue
		}
		out = append(out, before+"*"+rest, before+"*/**/*"+rest)
	}
	return out
}
