package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's transcript anew")

var (
	transcript = regexp.MustCompile("(?s)(<!-- demo[^\n]*-->\n```console\n)(.*?)(```\n)")
	seconds    = regexp.MustCompile(`(\d+\.\d\d) s`)
	dates      = regexp.MustCompile(`\d{4}-\d\d-\d\d( +\d\d:\d\d)?`)
)

// TestReadme holds the README's transcript equal to what the demo shows.
func TestReadme(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), &out, false, false); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	got := "$ go run ./app/demo\n" + out.String()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := transcript.FindSubmatch(readme)
	if m == nil {
		t.Fatal("README.md has no transcript of the demo")
	}
	if *update {
		readme = transcript.ReplaceAllFunc(readme, func([]byte) []byte { return []byte(string(m[1]) + got + string(m[3])) })
		if err := os.WriteFile("../../README.md", readme, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	mask := func(s string) string {
		return dates.ReplaceAllString(seconds.ReplaceAllString(s, "N s"), "DATE")
	}
	if want := string(m[2]); mask(got) != mask(want) {
		t.Errorf("the README's transcript is old (go test ./app/demo -update):\n--- got\n%s\n--- want\n%s", got, want)
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
