package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/hooks"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/verify"
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
	"":              {"hooks"},
	"hooks":         {"scanner", "scanner/changes", "scanner/files", "scanner/fix", "scanner/foreign", "scanner/git", "scanner/guard", "scanner/policy", "scanner/report", "scanner/rules", "scanner/verify"},
	"scanner":       {"scanner/extract", "scanner/score"},
	"scanner/score": {},
	// programs that make what package score embeds
	"scanner/score/train":         {"scanner", "scanner/rules", "scanner/score"},
	"scanner/score/train/letters": {"scanner/score"},

	"scanner/changes":           {"scanner", "scanner/files", "scanner/git"},
	"scanner/extract":           {"scanner/score"},
	"scanner/files":             {"scanner"},
	"scanner/fix":               {"scanner"},
	"scanner/foreign":           {"scanner/rules"},
	"scanner/git":               {"scanner", "scanner/files", "scanner/git/pack"},
	"scanner/git/pack":          {},
	"scanner/guard":             {"scanner", "scanner/rules"},
	"scanner/policy":            {"scanner"},
	"scanner/report":            {"scanner"},
	"scanner/rules":             {"scanner"},
	"scanner/verify":            {"scanner"},
	"scanner/verify/verifytest": {"scanner", "scanner/verify"},
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

var stopped = regexp.MustCompile("(?s)(<!-- stopped[^\n]*-->\n```console\n)(.*?)(```\n)")

// TestReadmeStopped holds the screen of a stopped commit equal to what the hook prints.
func TestReadmeStopped(t *testing.T) {
	t.Setenv("KEYWARD_PEPPER", "")
	dir := t.TempDir()
	text := "services:\n  mesh:\n    environment:\n      TS_AUTHKEY: " + "tskey-auth-" + "kFAKEkeyward11CNTRL-FAKEkeywardNOTREALfakeKEYWARD7" + "\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"remote", "add", "origin", "https://github.com/acme/widgets"}, {"add", "."}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	var out, errs bytes.Buffer
	code := hooks.Main(context.Background(), hooks.Env{Args: []string{"hook", "pre-commit"}, Dir: dir, Stdout: &out, Stderr: &errs})
	if code != 1 || out.Len() > 0 {
		t.Fatalf("got exit %d and %q, want 1 and nothing on standard output", code, out.String())
	}
	got := "$ git commit -m 'Join the mesh'\n" + errs.String()
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if n := strings.Count(got, "\n"); n > 24 {
		t.Errorf("%d lines are more than one screen", n)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := stopped.FindSubmatch(readme)
	if m == nil {
		t.Fatal("README.md does not show the screen of a stopped commit")
	}
	if *update {
		readme = stopped.ReplaceAllFunc(readme, func([]byte) []byte { return []byte(string(m[1]) + got + string(m[3])) })
		if err := os.WriteFile("README.md", readme, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(m[2]) != got {
		t.Errorf("the README's screen is old (go test . -update):\n--- got\n%s\n--- want\n%s", got, m[2])
	}
}

// TestReadmeAction holds the README's inputs, outputs and workflows against action.yml.
func TestReadmeAction(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs, Outputs map[string]any
	}
	if err := yaml.Unmarshal(text, &action); err != nil {
		t.Fatal(err)
	}
	for _, words := range []map[string]any{action.Inputs, action.Outputs} {
		for name := range words {
			if !bytes.Contains(readme, []byte("`"+name+"`")) {
				t.Errorf("README.md does not name `%s` of action.yml", name)
			}
		}
	}
	if _, err := exec.LookPath("actionlint"); err != nil {
		t.Skip("actionlint is not installed")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".github/workflows"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "action.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile("(?s)```yaml\n(on:.*?)```").FindAllSubmatch(readme, -1) {
		n++
		workflow := regexp.MustCompile(`keyward/keyward@\S+`).ReplaceAll(m[1], []byte("./"))
		if err := os.WriteFile(filepath.Join(dir, ".github/workflows", strings.Repeat("w", n)+".yml"), workflow, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n < 5 {
		t.Errorf("README.md has %d workflows, want 5", n)
	}
	for _, args := range [][]string{{"init", "-q"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	cmd := exec.Command("actionlint", "-shellcheck=")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
}

// TestReadmePolicy holds the README's policies to what is read, and its counts to what there is.
func TestReadmePolicy(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(readme, -1) {
		n++
		if _, err := policy.Parse(".keyward.toml", m[1]); err != nil {
			t.Errorf("a policy of the README: %v\n%s", err, m[1])
		}
	}
	if n != 2 {
		t.Errorf("README.md has %d policies, want 2", n)
	}
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("for %d kinds", len(checks)); !bytes.Contains(readme, []byte(want)) {
		t.Errorf("README.md does not say that keys are verified %s", want)
	}
	ways, err := verify.BuiltinRevocations()
	if err != nil {
		t.Fatal(err)
	}
	for rule := range ways {
		if issuer, _, _ := strings.Cut(rule, "-"); !bytes.Contains(bytes.ToLower(readme), []byte(issuer)) {
			t.Errorf("README.md does not say that keys of %s can be revoked", issuer)
		}
	}
}
