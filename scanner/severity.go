package scanner

import (
	"fmt"
	"slices"
)

// Severity is how bad a finding is.
type Severity string

// The severities. Their values are stored.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// Severities returns all severities, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low} }

// ParseSeverity reads the name of a severity.
func ParseSeverity(name string) (Severity, error) {
	if s := Severity(name); slices.Contains(Severities(), s) {
		return s, nil
	}
	return "", fmt.Errorf("invalid severity %q: expected critical, high, medium or low", name)
}

// AtLeast reports whether s is as bad as least or worse. What is no severity counts as the
// worst: nothing is passed over because its severity cannot be read.
func (s Severity) AtLeast(least Severity) bool { return s.order() <= least.order() || s.order() < 0 }

// order is the place of s among the severities, the worst being 0; -1 if s is not a severity.
func (s Severity) order() int { return slices.Index(Severities(), s) }

// Severity is how bad the finding is. It follows from the privilege tier of the rule, and is
// one step lower in tests and examples.
func (f *Finding) Severity() Severity {
	n := 2
	switch f.Rule.Tier {
	case T0:
		n = 0
	case T1:
		n = 1
	case T3:
		n = 3
	}
	if f.InTest || f.Confidence < 0.5 {
		n = min(n+1, 3)
	}
	return Severities()[n]
}
