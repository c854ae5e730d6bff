package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
	"github.com/keyward/keyward/scanner/rules"
)

func newRules(env *Env) *cobra.Command {
	var o setup
	c := &cobra.Command{Use: "rules", Short: "List, show and test the rules", Args: noCommand, SuggestionsMinimumDistance: 2,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var wanted ruleFilter
	list := &cobra.Command{Use: "list", Short: "List all rules: id, class, power, title", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return env.listRules(&o, &wanted) }}
	list.Flags().StringVar(&wanted.class, "class", "", "only rules of this class")
	list.Flags().StringVar(&wanted.issuer, "issuer", "", "only rules of this issuer")
	list.Flags().BoolVar(&wanted.json, "json", false, "print JSON lines")
	show := &cobra.Command{Use: "show ID", Short: "Show what is known of a kind of key", Args: needs("the id of a rule", "keyward rules list lists them"),
		RunE: func(_ *cobra.Command, args []string) error { return env.showRule(&o, args[0]) }}
	test := &cobra.Command{Use: "test [FILE...]", Short: "Run the examples of the built-in rules, or of rules files, through the scanner",
		RunE: func(_ *cobra.Command, args []string) error { return env.testRules(args) }}
	for _, sub := range []*cobra.Command{list, show} {
		sub.Flags().StringArrayVar(&o.rules, "rules", nil, "more rules, in our form or that of gitleaks; may be repeated")
	}
	c.AddCommand(list, show, test)
	return c
}

// ruleSet returns the built-in rules and those of the --rules files.
func (env *Env) ruleSet(o *setup) ([]scanner.Rule, error) {
	list, err := rules.Builtin()
	if err != nil {
		return nil, err
	}
	for _, f := range o.rules {
		set, err := rules.ReadFile(env.path(f))
		if err != nil {
			return nil, err
		}
		for _, what := range set.Ignored {
			fmt.Fprintf(env.Stderr, "keyward: note: %s: %s\n", f, what)
		}
		list = rules.Merge(list, set)
	}
	return list, nil
}

// A ruleFilter says which rules to list, and how.
type ruleFilter struct {
	class, issuer string
	json          bool
}

func (f *ruleFilter) has(r *scanner.Rule) bool {
	return (f.class == "" || f.class == string(r.Class)) && (f.issuer == "" || strings.EqualFold(f.issuer, r.Issuer))
}

// A listedRule is one line of rules list --json.
type listedRule struct {
	ID           string        `json:"id"`
	Title        string        `json:"title"`
	Issuer       string        `json:"issuer"`
	Class        scanner.Class `json:"class"`
	Tier         scanner.Tier  `json:"tier"`
	Provisioning bool          `json:"provisioning"`
	Impact       string        `json:"impact"`
}

func (env *Env) listRules(o *setup, wanted *ruleFilter) error {
	all, err := env.ruleSet(o)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(slices.Clone(all), func(r scanner.Rule) bool { return !wanted.has(&r) })
	if len(list) == 0 {
		return hint(wanted.nothing(all), "keyward rules list shows all")
	}
	if wanted.json {
		e := json.NewEncoder(env.Stdout)
		e.SetEscapeHTML(false)
		for i := range list {
			r := &list[i]
			if err := e.Encode(listedRule{r.ID, r.Title, r.Issuer, r.Class, r.Tier, r.Provisioning, r.About.Holder}); err != nil {
				return err
			}
		}
		return nil
	}
	provisioning, issuers := 0, map[string]bool{}
	for i := range list {
		r := &list[i]
		mark := " "
		if r.Provisioning {
			provisioning++
			mark = "p"
		}
		issuers[r.Issuer] = true
		fmt.Fprintf(env.Stdout, "%-36s %-2s %s %-23s %s\n", r.ID, r.Tier, mark, r.Class, r.Title)
	}
	_, err = fmt.Fprintf(env.Stdout, "%d rules, %d of them for provisioning keys (p), from %s\n", len(list), provisioning, report.Count(len(issuers), "issuer"))
	return err
}

// nothing says why a filter leaves no rule.
func (f *ruleFilter) nothing(all []scanner.Rule) error {
	var known []string
	for i := range all {
		if f.class != "" {
			known = append(known, string(all[i].Class))
		} else {
			known = append(known, all[i].Issuer)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	if f.class != "" {
		return fmt.Errorf("no rule has class %q: the classes are %s", f.class, strings.Join(known, ", "))
	}
	if like := similar(f.issuer, known); len(like) > 0 {
		return fmt.Errorf("no rule has issuer %q: did you mean %s?", f.issuer, strings.Join(like, ", "))
	}
	return fmt.Errorf("no rule has issuer %q: keyward rules list --json names the issuer of each rule", f.issuer)
}

// mostCandidates is how many rules are suggested for an id that no rule has.
const mostCandidates = 12

// candidates are hints about the rules that somebody may have meant: of that issuer, with that
// word in their id, or with nearly that id.
func candidates(list []scanner.Rule, id string) []string {
	var like, ids []string
	for i := range list {
		ids = append(ids, list[i].ID)
		if low := strings.ToLower(id); strings.EqualFold(list[i].Issuer, id) || strings.Contains(list[i].ID, low) {
			like = append(like, list[i].ID)
		}
	}
	if len(like) == 0 {
		like = similar(id, ids)
	}
	if len(like) == 0 {
		return nil
	}
	return []string{"did you mean " + strings.Join(like[:min(len(like), mostCandidates)], ", ") + "?"}
}

func (env *Env) showRule(o *setup, id string) error {
	list, err := env.ruleSet(o)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(list, func(r scanner.Rule) bool { return r.ID == id })
	if n < 0 {
		return hint(fmt.Errorf("there is no rule %q", id), append(candidates(list, id), "keyward rules list shows all rules")...)
	}
	r := &list[n]
	a := &r.About
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(env.Stdout, "%-12s %s\n", name, value)
		}
	}
	row("id", r.ID)
	row("title", r.Title)
	row("issuer", r.Issuer)
	row("class", string(r.Class))
	row("power", fmt.Sprintf("%s, %s", r.Tier, r.Tier.Power()))
	row("holder can", a.Holder)
	row("keywords", strings.Join(r.Keywords, " "))
	row("pattern", r.Pattern)
	row("name", r.Name)
	row("value", r.Value)
	row("finder", r.Finder)
	row("checksum", r.Check.Checksum)
	for _, near := range r.Near {
		row("near", fmt.Sprintf("%s within %d lines: %s", near.Name, near.Lines, near.Pattern))
	}
	row("paths", strings.Join(r.Paths, " "))
	row("lifetime", a.Lifetime)
	row("maximum", a.Maximum)
	row("scope", a.Scope)
	for i, s := range a.Rotate {
		row([]string{"rotate", ""}[min(i, 1)], fmt.Sprintf("%d. %s", i+1, s))
	}
	row("revoke", a.Revoke)
	row("verify", a.Verify)
	row("list", a.List)
	row("delete", a.Delete)
	row("log", a.Log)
	row("keep in", a.Store)
	row("docs", strings.Join(a.Docs, " "))
	row("evidence", a.Evidence)
	return nil
}

// testRules runs every example through the whole scanner.
func (env *Env) testRules(args []string) error {
	base, err := rules.Builtin()
	if err != nil {
		return err
	}
	list := base
	for i, f := range args {
		set, err := rules.ReadFile(env.path(f))
		if err != nil {
			return err
		}
		if i == 0 {
			list = nil
		}
		list = append(list, set.Rules...)
	}
	s, err := scanner.New(list, scanner.Options{})
	if err != nil {
		return err
	}
	bad, examples := 0, 0
	for i := range list {
		r := &list[i]
		for _, m := range r.Match {
			examples++
			if got := foundBy(s, r, m); got != 1 {
				bad++
				fmt.Fprintf(env.Stdout, "%s: an example gives %d findings of it, want 1\n", r.ID, got)
			}
		}
		for _, m := range r.NoMatch {
			examples++
			if got := foundBy(s, r, m); got != 0 {
				bad++
				fmt.Fprintf(env.Stdout, "%s: a counter-example is found\n", r.ID)
			}
		}
	}
	fmt.Fprintf(env.Stdout, "%d rules, %d examples, %d wrong\n", len(list), examples, bad)
	if bad > 0 {
		return hint(errors.New("examples of rules fail"), "keyward explain says why something was found or dropped")
	}
	return nil
}

func foundBy(s *scanner.Scanner, r *scanner.Rule, text string) int {
	path := "example.conf"
	if len(r.Paths) > 0 {
		path = rules.ExamplePath(r)
	}
	found, err := s.Scan(nil, scanner.Blob{Path: filepath.ToSlash(path), Data: []byte(text)})
	if err != nil {
		return -1
	}
	n := 0
	for i := range found {
		if found[i].Rule.ID == r.ID {
			n++
		}
	}
	return n
}
