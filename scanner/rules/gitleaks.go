package rules

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/keyward/keyward/scanner"
)

// The form that gitleaks and betterleaks share.
// https://github.com/gitleaks/gitleaks#configuration
type leaksFile struct {
	Title      string       `toml:"title"`
	Extend     leaksExtend  `toml:"extend"`
	Rules      []leaksRule  `toml:"rules"`
	Allowlist  *leaksAllow  `toml:"allowlist"`
	Allowlists []leaksAllow `toml:"allowlists"`
}

type leaksExtend struct {
	UseDefault    bool     `toml:"useDefault"`
	DisabledRules []string `toml:"disabledRules"`
	Path          string   `toml:"path"`
	URL           string   `toml:"url"`
}

type leaksRule struct {
	ID          string       `toml:"id"`
	Description string       `toml:"description"`
	Regex       string       `toml:"regex"`
	Path        string       `toml:"path"`
	SecretGroup int          `toml:"secretGroup"`
	Entropy     float64      `toml:"entropy"`
	Keywords    []string     `toml:"keywords"`
	SkipReport  bool         `toml:"skipReport"`
	Allowlist   *leaksAllow  `toml:"allowlist"`
	Allowlists  []leaksAllow `toml:"allowlists"`
	Required    []leaksNear  `toml:"required"`
}

type leaksNear struct {
	ID          string `toml:"id"`
	WithinLines *int   `toml:"withinLines"`
}

type leaksAllow struct {
	Description string   `toml:"description"`
	Condition   string   `toml:"condition"`
	Commits     []string `toml:"commits"`
	Paths       []string `toml:"paths"`
	RegexTarget string   `toml:"regexTarget"`
	Regexes     []string `toml:"regexes"`
	StopWords   []string `toml:"stopwords"`
	TargetRules []string `toml:"targetRules"`
}

// honoured are the keys of the form that have a meaning here, by table.
var honoured = map[string][]string{
	"": {"title", "description", "version", "extend", "rules", "allowlist", "allowlists", "minVersion"},
	"rules": {"id", "description", "regex", "path", "secretGroup", "entropy", "keywords", "skipReport", "allowlist", "allowlists",
		"required", "tags"},
	"extend":     {"useDefault", "disabledRules"},
	"required":   {"id", "withinLines"},
	"allowlists": {"description", "condition", "commits", "paths", "regexTarget", "regexes", "stopwords", "targetRules"},
}

func parseGitleaks(name string, data []byte, raw map[string]any) (*Set, error) {
	var f leaksFile
	if err := toml.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("rules %s: %w", name, position(err))
	}
	set := &Set{Builtin: f.Extend.UseDefault, Disabled: f.Extend.DisabledRules}
	set.Ignored = unhonoured("", raw)
	if f.Extend.Path != "" || f.Extend.URL != "" {
		set.Ignored = append(set.Ignored, "extend.path and extend.url: give the other file with a --rules of its own")
	}
	byID := map[string]*leaksRule{}
	for i := range f.Rules {
		byID[f.Rules[i].ID] = &f.Rules[i]
	}
	for i := range f.Rules {
		if why := set.add(&f.Rules[i], byID); why != "" {
			set.Ignored = append(set.Ignored, fmt.Sprintf("rule %s: %s", f.Rules[i].ID, why))
		}
	}
	if f.Allowlist != nil {
		f.Allowlists = append(f.Allowlists, *f.Allowlist)
	}
	for _, a := range f.Allowlists {
		list, err := a.allowlist()
		if err != nil {
			return nil, fmt.Errorf("rules %s: %w", name, err)
		}
		set.Allow = append(set.Allow, list)
	}
	sort.Strings(set.Ignored)
	return set, nil
}

// add converts one rule, or returns why it cannot be honoured.
func (set *Set) add(l *leaksRule, byID map[string]*leaksRule) string {
	switch {
	case l.SkipReport:
		return "" // only a part of other rules
	case l.ID == "":
		return "has no id"
	case l.Regex == "" && l.Path != "":
		return "has a path and no regex: files are not reported by their name alone"
	case l.Regex == "":
		return "has no regex: changing a rule of the default set is not supported, write it whole"
	}
	r := scanner.Rule{
		ID: l.ID, Issuer: "custom", Title: orElse(l.Description, l.ID), Class: "generic", Tier: scanner.T2,
		Pattern: l.Regex, Loose: true, Check: scanner.Check{Entropy: l.Entropy, Group: l.SecretGroup},
	}
	if l.Path != "" {
		r.Paths = []string{l.Path}
	}
	for _, k := range l.Keywords {
		if len(k) < 3 { // too short to look for: search without
			r.Keywords = nil
			break
		}
		r.Keywords = append(r.Keywords, strings.ToLower(k))
	}
	if len(r.Keywords) == 0 {
		r.Keywords = literals(l.Regex)
	}
	for _, n := range l.Required {
		part := byID[n.ID]
		if part == nil || part.Regex == "" {
			return "requires " + n.ID + ", which the file does not define"
		}
		lines := 20
		if n.WithinLines != nil {
			lines = *n.WithinLines
		}
		r.Near = append(r.Near, scanner.Near{Pattern: part.Regex, Lines: min(lines, 100), Required: true})
	}
	if l.Allowlist != nil {
		l.Allowlists = append(l.Allowlists, *l.Allowlist)
	}
	for _, a := range l.Allowlists {
		list, err := a.allowlist()
		if err != nil {
			return err.Error()
		}
		r.Allow = append(r.Allow, list)
	}
	if err := r.Validate(); err != nil {
		return err.Error()
	}
	set.Rules = append(set.Rules, r)
	return ""
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (a *leaksAllow) allowlist() (scanner.Allowlist, error) {
	list := scanner.Allowlist{
		Description: a.Description, Rules: a.TargetRules, Paths: a.Paths, Commits: a.Commits, Regexes: a.Regexes,
		Stopwords: a.StopWords, All: strings.EqualFold(a.Condition, "AND") || a.Condition == "&&", Target: a.RegexTarget,
	}
	return list, list.Compile()
}

// unhonoured lists the keys of a file that mean nothing here.
func unhonoured(table string, raw map[string]any) []string {
	var out []string
	for key, v := range raw {
		known := honoured[strings.TrimSuffix(table, "s")]
		if known == nil {
			known = honoured[table]
		}
		if !slices.Contains(known, key) {
			out = append(out, strings.TrimPrefix(table+"."+key, ".")+": not supported, ignored")
			continue
		}
		child := key
		if key == "allowlist" {
			child = "allowlists"
		}
		if honoured[child] == nil {
			continue
		}
		switch v := v.(type) {
		case map[string]any:
			out = append(out, unhonoured(child, v)...)
		case []any:
			for _, e := range v {
				if m, ok := e.(map[string]any); ok {
					out = append(out, unhonoured(child, m)...)
				}
			}
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// literals returns lower-case strings of which every match of expr contains at
// least one, or nil if there are none of 3 bytes or more.
func literals(expr string) []string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	found := required(re.Simplify())
	for i, s := range found {
		if len(s) < 3 {
			return nil
		}
		found[i] = strings.ToLower(s)
	}
	return found
}

// required returns a set of strings of which each match contains one; nil if
// none is known. Of several such sets it takes that with the longest strings.
func required(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		s := string(re.Rune)
		for _, r := range s {
			if r >= 0x80 { // case folding beyond ASCII is not the index's
				return nil
			}
		}
		return []string{s}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpAlternate:
		var all []string
		for _, s := range re.Sub {
			part := required(s)
			if part == nil {
				return nil
			}
			all = append(all, part...)
		}
		return all
	case syntax.OpConcat:
		var best []string
		for _, s := range re.Sub {
			if part := required(s); shortest(part) > shortest(best) {
				best = part
			}
		}
		return best
	}
	return nil
}

func shortest(list []string) int {
	if len(list) == 0 {
		return 0
	}
	n := len(list[0])
	for _, s := range list {
		n = min(n, len(s))
	}
	return n
}
