package rules

import (
	"errors"
	"fmt"
	"slices"

	"github.com/keyward/keyward/scanner"
)

// The bounds of what a repository may add: its rules run on every blob of everybody's
// scan, and one without a keyword is tried on every byte.
const (
	maxAdded     = 200 // rules of all files
	maxUnindexed = 10  // rules without a keyword of three letters
)

// An Addition is what the rules files of a repository's policy add to the built-in rules.
// A repository adds rules; it never changes, hides or switches off those that are there:
// that would disable detection without a trace. Switching one off takes a [[disable]]
// table with a reason, which every report names.
type Addition struct {
	Rules []scanner.Rule
	Allow []scanner.Allowlist
	// Errors are the parts of the files that were refused; a scan with any is not
	// complete. Notes are what had less effect than its author may expect.
	Errors, Notes []string
}

// Confine returns what the set read from file may add to a scan with the rules base.
func Confine(base []scanner.Rule, file string, set *Set) *Addition {
	a := &Addition{}
	taken := make(map[string]bool, len(base))
	for i := range base {
		taken[base[i].ID] = true
	}
	for _, r := range set.Rules {
		if taken[r.ID] {
			a.Errors = append(a.Errors, fmt.Sprintf("%s: rule %s would replace the built-in rule, which stays on: give the new rule another id", file, r.ID))
			continue
		}
		a.Rules = append(a.Rules, untrusted(r))
	}
	for _, id := range set.Disabled {
		a.Errors = append(a.Errors, fmt.Sprintf("%s: disabledRules: rule %s stays on: switch it off in the policy, with [[disable]] and a reason", file, id))
	}
	if !set.Builtin {
		a.Notes = append(a.Notes, file+": the built-in rules stay on: a policy switches rules off one by one, with [[disable]]")
	}
	a.confineAllow(file, set)
	for _, what := range set.Ignored {
		a.Notes = append(a.Notes, file+": "+what)
	}
	return a
}

// untrusted returns a rule as a repository may add it. A companion must not be kept in
// clear: a hostile pattern could name the secret itself.
func untrusted(r scanner.Rule) scanner.Rule {
	r.Untrusted = true
	r.Near = slices.Clone(r.Near)
	for i := range r.Near {
		r.Near[i].Name = ""
	}
	return r
}

// confineAllow keeps the global allowlists of a file, but for its own rules only.
func (a *Addition) confineAllow(file string, set *Set) {
	own := make([]string, 0, len(a.Rules))
	for i := range a.Rules {
		own = append(own, a.Rules[i].ID)
	}
	foreign := func(id string) bool { return !slices.Contains(own, id) }
	for _, list := range set.Allow {
		everywhere := len(list.Rules) == 0
		if everywhere || slices.ContainsFunc(list.Rules, foreign) {
			a.Notes = append(a.Notes, file+": an allowlist holds for the rules of this file only: for built-in rules write [[allow]] in the policy, with a reason")
		}
		if list.Rules = slices.DeleteFunc(slices.Clone(list.Rules), foreign); everywhere {
			list.Rules = own
		}
		if len(list.Rules) > 0 {
			a.Allow = append(a.Allow, list)
		}
	}
	a.Notes = slices.Compact(a.Notes)
}

// Join adds the additions of several files to base, in their order. An id that two files
// define is an error.
func Join(base []scanner.Rule, additions []*Addition) ([]scanner.Rule, []scanner.Allowlist, error) {
	out := slices.Clone(base)
	var allow []scanner.Allowlist
	seen := map[string]bool{}
	unindexed := 0
	for _, a := range additions {
		for _, r := range a.Rules {
			if seen[r.ID] {
				return nil, nil, fmt.Errorf("rule %s is defined twice", r.ID)
			}
			seen[r.ID] = true
			if !r.Indexed() {
				unindexed++
			}
			out = append(out, r)
		}
		allow = append(allow, a.Allow...)
	}
	switch {
	case len(seen) > maxAdded:
		return nil, nil, fmt.Errorf("the policy's rules files define %d rules, at most %d are read", len(seen), maxAdded)
	case unindexed > maxUnindexed:
		return nil, nil, fmt.Errorf("%d rules of the policy have no keyword of three letters or more, at most %d may: they are tried on every byte", unindexed, maxUnindexed)
	case len(out) == 0:
		return nil, nil, errors.New("no rules are left: nothing could be found")
	}
	return out, allow, nil
}
