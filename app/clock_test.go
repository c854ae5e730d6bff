package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// machineClock is a use of the machine's clock. Packages get theirs from the wiring.
var machineClock = regexp.MustCompile(`\btime\.(?:Now|Since|Until)\(`)

// TestOneClock fails where a package asks the machine for the time that is given a clock.
func TestOneClock(t *testing.T) {
	files := 0
	for _, dir := range []string{"store", "rotation", "rotation/life", "jobs", "scan"} {
		list, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range list {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			files++
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for n, line := range strings.Split(string(text), "\n") {
				if machineClock.MatchString(line) {
					t.Errorf("%s:%d asks the machine for the time: use the clock of the package", file, n+1)
				}
			}
		}
	}
	if files < 50 {
		t.Errorf("only %d files were read", files)
	}
}
