package rules_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/rules"
)

// TestBuiltin walks all rules through the whole scanner: each Match gives one
// finding of its rule, each NoMatch none of it.
// builtin returns the built-in rules and a scanner for them.
func builtin(t *testing.T) ([]scanner.Rule, *scanner.Scanner) {
	t.Helper()
	all, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	s, err := scanner.New(all, scanner.Options{Pepper: []byte("test")})
	if err != nil {
		t.Fatal(err)
	}
	return all, s
}

func TestBuiltin(t *testing.T) {
	all, s := builtin(t)
	if err := s.Compile(); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		r := &all[i]
		t.Run(r.ID, func(t *testing.T) { checkRule(t, s, r) })
	}
}

func checkRule(t *testing.T, s *scanner.Scanner, r *scanner.Rule) {
	if len(r.Match) < 2 || len(r.NoMatch) < 2 {
		t.Errorf("has %d examples and %d counter-examples, want 2 of each", len(r.Match), len(r.NoMatch))
	}
	a := r.About
	if r.Issuer == "" || r.Title == "" || r.Class == "" || r.Tier == "" || a.Holder == "" || a.Lifetime == "" || a.Maximum == "" ||
		a.Scope == "" || len(a.Rotate) == 0 || a.Revoke == "" || a.Log == "" || a.Store == "" || len(a.Docs) == 0 {
		t.Error("lacks a field that people need")
	}
	if !slices.Contains([]string{"documented", "peers", "recalled"}, a.Evidence) {
		t.Errorf("evidence is %q", a.Evidence)
	}
	path := "conf/app.conf"
	if len(r.Paths) > 0 {
		path = rules.ExamplePath(r)
	}
	for _, m := range r.Match {
		blob := scanner.Blob{Path: path, Data: []byte(m)}
		found, err := s.Scan(nil, blob)
		if err != nil || len(found) != 1 || found[0].Rule.ID != r.ID {
			t.Errorf("%q: got %s, %v; want one finding of %s\n%s", m, ids(found), err, r.ID, explained(s, blob))
		}
		for _, f := range found {
			if strings.Contains(m, "\n") || len(m) < 40 {
				continue
			}
			if len(f.Redacted) > 40 {
				t.Errorf("%q: shows %q", m, f.Redacted)
			}
		}
		if r.Finder == "" && !slices.ContainsFunc(r.Keywords, func(k string) bool { return strings.Contains(strings.ToLower(m), k) }) {
			t.Errorf("%q: has none of the keywords", m)
		}
	}
	for _, m := range r.NoMatch {
		blob := scanner.Blob{Path: path, Data: []byte(m)}
		found, _ := s.Scan(nil, blob)
		for _, f := range found {
			if f.Rule.ID == r.ID {
				t.Errorf("%q: found, and is a counter-example", m)
			}
		}
	}
}

func ids(found []scanner.Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Rule.ID+" "+f.Redacted)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func explained(s *scanner.Scanner, b scanner.Blob) string {
	var out []string
	for _, d := range s.Explain(b) {
		out = append(out, d.Rule.ID+" "+d.Redacted+": "+d.Why)
	}
	return strings.Join(out, "\n")
}

// TestReported holds what was reported once. A report becomes two lines of the file.
func TestReported(t *testing.T) {
	text, err := os.ReadFile("testdata/reported.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, s := builtin(t)
	n := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		n++
		f := strings.SplitN(line, "\t", 3)
		if len(f) != 3 {
			t.Fatalf("%q is not rule, path and text", line)
		}
		content := strings.NewReplacer("|", "", `\\`, `\`, `\n`, "\n", `\t`, "\t").Replace(f[2])
		b := scanner.Blob{Path: f[1], Data: []byte(content)}
		found, err := s.Scan(nil, b)
		got := "nothing"
		if len(found) > 0 {
			got = found[0].Rule.ID
		}
		if err != nil || got != f[0] || len(found) > 1 {
			t.Errorf("%s: got %s, %v; want %s\n%s", content, ids(found), err, f[0], explained(s, b))
		}
	}
	if n < 10 {
		t.Errorf("%d reports are read", n)
	}
}
