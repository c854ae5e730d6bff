package scanner

import (
	"strings"
	"testing"
)

// TestSamples holds that the table can be read, and knows examples of standards by their value.
func TestSamples(t *testing.T) {
	lines := 0
	for line := range strings.Lines(sampleTable) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines++
		}
	}
	if lines == 0 || len(samples()) != lines {
		t.Errorf("%d of %d lines are hashes", len(samples()), lines)
	}
	for v, want := range map[string]bool{
		"QWxhZGRpbjpvcGVuIHNlc2FtZQ==": true, // https://www.rfc-editor.org/rfc/rfc7617#section-2
		"2YotnFZFEjr1zCsicMWpAA":       true, // https://www.rfc-editor.org/rfc/rfc6749#section-4.1.4
		"2YotnFZFEjr1zCsicMWpAB":       false,
		"":                             false,
	} {
		if sample([]byte(v)) != want {
			t.Errorf("%q: got %v, want %v", v, !want, want)
		}
	}
}
