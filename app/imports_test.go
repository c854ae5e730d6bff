package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed are the arrows that imports may follow inside the module, tests left aside.
// Into the other module they lead to scanner/… only.
var allowed = map[string][]string{
	"":                  {"server"},
	"demo":              {"server", "github/githubtest"},
	"server":            {"webhook", "jobs", "rotation", "rotation/life", "scan", "store", "github"},
	"jobs":              {"webhook", "rotation", "rotation/life", "scan", "store", "github"},
	"rotation":          {"rotation/life", "store", "github"},
	"rotation/life":     {},
	"scan":              {},
	"store":             {},
	"store/storetest":   {},
	"github":            {},
	"github/githubtest": {},
	"webhook":           {},
}

// TestImports fails on an arrow between packages that is not listed.
func TestImports(t *testing.T) {
	const module, root = "github.com/keyward/keyward/app", "github.com/keyward/keyward"
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		from := strings.TrimPrefix(strings.TrimPrefix(f[0], module), "/")
		may, ok := allowed[from]
		if !ok {
			t.Errorf("package %s is not in the list of arrows", f[0])
		}
		for _, to := range f[1:] {
			switch {
			case strings.HasPrefix(to, module+"/"):
				if !slices.Contains(may, strings.TrimPrefix(to, module+"/")) {
					t.Errorf("%s imports %s, which is not in the list of arrows", f[0], to)
				}
			case strings.HasPrefix(to, root+"/") && !strings.HasPrefix(to, root+"/scanner"):
				t.Errorf("%s imports %s: the App uses the scanner only", f[0], to)
			}
		}
	}
}
