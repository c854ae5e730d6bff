package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/hooks"
)

var update = flag.Bool("update", false, "write the README's transcript anew")

var transcript = regexp.MustCompile("(?s)(<!-- transcript[^\n]*-->\n```console\n)(.*?)(```\n)")

// elapsed is the one part of the output that is never the same.
var elapsed = regexp.MustCompile(`\d+(\.\d+)? m?s\b`)

// TestReadme holds the README's transcript equal to what the command prints for
// the demo repository.
func TestReadme(t *testing.T) {
	t.Setenv("KEYWARD_PEPPER", "")
	dir := t.TempDir()
	maker, err := filepath.Abs("testdata/demo/make.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", maker, "widgets")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the demo repository: %v\n%s", err, out)
	}
	var out, errs bytes.Buffer
	code := hooks.Main(context.Background(), hooks.Env{Args: []string{"scan", "--history", "widgets"}, Dir: dir, Stdout: &out, Stderr: &errs})
	if code != 1 || errs.Len() > 0 {
		t.Fatalf("got exit %d and %q, want 1 and nothing on standard error", code, errs.String())
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := transcript.FindSubmatch(readme)
	if m == nil {
		t.Fatal("README.md has no transcript")
	}
	got := "$ sh testdata/demo/make.sh widgets\n$ keyward scan --history widgets\n" + out.String()
	if *update {
		readme = transcript.ReplaceAllFunc(readme, func([]byte) []byte { return []byte(string(m[1]) + got + string(m[3])) })
		if err := os.WriteFile("README.md", readme, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	mask := func(s string) string { return elapsed.ReplaceAllString(s, "N ms") }
	if want := string(m[2]); mask(got) != mask(want) {
		t.Errorf("the README's transcript is old (go test . -update):\n--- got\n%s\n--- want\n%s", got, want)
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "https://") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// allowed are the arrows that imports may follow inside the module.
var allowed = map[string][]string{
	"":               {"hooks"},
	"hooks":          {"scanner", "scanner/files", "scanner/fix", "scanner/git", "scanner/policy", "scanner/report", "scanner/rules"},
	"scanner":        {},
	"scanner/files":  {"scanner"},
	"scanner/fix":    {"scanner"},
	"scanner/git":    {"scanner", "scanner/files"},
	"scanner/policy": {"scanner"},
	"scanner/report": {"scanner"},
	"scanner/rules":  {"scanner"},
}

// TestImports fails on an arrow between packages that is not listed.
func TestImports(t *testing.T) {
	const module = "github.com/keyward/keyward"
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	name := func(p string) string { return strings.TrimPrefix(strings.TrimPrefix(p, module), "/") }
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		may, ok := allowed[name(f[0])]
		if !ok {
			t.Errorf("package %s is not in the list of arrows", f[0])
		}
		for _, imp := range f[1:] {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			found := false
			for _, a := range may {
				found = found || a == name(imp)
			}
			if !found {
				t.Errorf("%s imports %s, which is not in the list of arrows", f[0], imp)
			}
		}
	}
}
