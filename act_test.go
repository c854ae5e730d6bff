package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAct runs the composite action as a runner does, with github.com/nektos/act,
// for each event: its steps, their inputs and outputs. What each event means is
// tested in hooks.
func TestAct(t *testing.T) {
	if _, err := exec.LookPath("act"); err != nil || testing.Short() {
		t.Skip("act is not installed")
	}
	checkout, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=Dana", "-c", "user.email=dana@example.com", "-c", "init.defaultBranch=main"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	put := func(name, text string) string {
		t.Helper()
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		git("add", "-A")
		git("commit", "-q", "-m", name)
		return git("rev-parse", "HEAD")
	}
	git("init", "-q")
	base := put(".github/workflows/keys.yml", `on: [push, pull_request, merge_group, schedule, workflow_dispatch]
jobs:
  keys:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: {fetch-depth: 0}
      - id: keyward
        uses: acme/keyward@main
        with: {sarif-file: out/keys.sarif}
      - if: always()
        env:
          OUT: ${{ toJSON(steps.keyward.outputs) }}
        run: echo "$OUT"; grep -c '"version"' out/keys.sarif
`)
	head := put("values.yaml", "token: "+fakes["gitlab"]+"\n")
	repository := map[string]any{"full_name": "acme/widgets", "default_branch": "main"}
	for event, payload := range map[string]map[string]any{
		"push":              {"before": base, "after": head, "ref": "refs/heads/main", "repository": repository},
		"pull_request":      {"number": 1, "pull_request": map[string]any{"number": 1, "base": map[string]any{"sha": base}, "head": map[string]any{"sha": head}}, "repository": repository},
		"merge_group":       {"merge_group": map[string]any{"base_sha": base, "head_sha": head}, "repository": repository},
		"schedule":          {"schedule": "0 3 * * *", "repository": repository},
		"workflow_dispatch": {"inputs": map[string]any{}, "repository": repository},
	} {
		t.Run(event, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "event.json")
			text, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("act", event, "-P", "ubuntu-latest=-self-hosted", "-e", file, "--local-repository", "acme/keyward@main="+checkout)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			log := string(out)
			for _, want := range []string{`"findings": "1"`, `"keys": "1"`, `"exit-code": "1"`, `"sarif-file": "out/keys.sarif"`, "values.yaml", "Keyward found 1 key in 1 place", "exit status 1"} {
				if !strings.Contains(log, want) {
					t.Errorf("it does not say %s", want)
				}
			}
			if err == nil {
				t.Error("the job passes")
			}
			if strings.Contains(log, fakes["gitlab"]) {
				t.Error("the log holds the key")
			}
			if t.Failed() {
				t.Log(log)
			}
		})
	}
}
