package scanner_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/keyward/keyward/scanner"
)

func TestBudgetError(t *testing.T) {
	if err := scanner.Exceeds("commits", 5, 5); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	err := fmt.Errorf("list: %w", scanner.Exceeds("commits", 1_234_567, 1000))
	var over *scanner.BudgetError
	if want := "list: at least 1,234,567 commits, more than the limit of 1,000 for one scan"; err.Error() != want || !errors.As(err, &over) {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestBudgetOr(t *testing.T) {
	all := scanner.Budget{}.Or(scanner.Budget{})
	got := scanner.Budget{Commits: 1}.Or(scanner.Budget{Commits: 2, Refs: 3})
	want := all
	want.Commits, want.Refs = 1, 3
	if got != want || all.Changes == 0 || all.Findings == 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCollected(t *testing.T) {
	for _, n := range []int{0, 3, 4, 5000} {
		c := scanner.Budget{Findings: 3}.Collect()
		for i := range n {
			c.Add(scanner.Finding{Line: i})
		}
		want := ""
		switch n {
		case 4:
			want = "4 findings, only the first 3 are reported"
		case 5000:
			want = "5,000 findings, only the first 3 are reported"
		}
		g := c.Gap()
		if len(c.Findings) != min(n, 3) || (g != nil) != (want != "") || g != nil && g.Error() != want {
			t.Errorf("%d findings: kept %d, gap %v; want %q", n, len(c.Findings), g, want)
		}
	}
}

// TestPlaces adds one key at many places, each twice.
func TestPlaces(t *testing.T) {
	var keys scanner.Keys
	rule := &scanner.Rule{ID: "fake"}
	for i := range 400 {
		keys.Add(&scanner.Finding{Rule: rule, Fingerprint: "f", Path: fmt.Sprint(i % 200), Line: i % 2}, nil)
	}
	if n := len(keys.Sorted()[0].Places); n != 200 {
		t.Errorf("%d places, want 200", n)
	}
}
