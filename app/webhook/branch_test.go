package webhook_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner/rules"
)

// withDefault is a push to a repository with a default branch of this name.
func withDefault(t testing.TB, name string) []byte {
	t.Helper()
	quoted, err := json.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.Replace(push, `"default_branch":"main"`, `"default_branch":`+string(quoted), 1))
}

func TestDefaultBranch(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long/", 50)
	for name, kept := range map[string]bool{
		"main": true, "größe": true, "release+1": true, "release/1.0": true, "日本語/v1": true, "feat/ä-b": true, "-x": true, "a;b'c$(d)": true,
		"dependabot/npm_and_yarn/acme-1.2.3": true, "internationalization-2024": true, "release2024december31": true, long + "x": true, long + "xxxxx": true,
		"": false, "feat/ä b": false, "main~1": false, "main:refs/heads/evil": false, "x..y": false, "x.lock": false, "@{1}": false, "x*": false,
		"a\nb": false, "a\x00b": false, "a\u2028b": false, "a\u202eb": false, "a\ufffdb": false, long + "xxxxxx": false,
		"deploy-3f9a1c07b2d84e6f5a0b": false, // random, without a format
	} {
		e, err := webhook.Decode(cleaner, "d", "push", withDefault(t, name))
		want := name
		if !kept {
			want = ""
		}
		if err != nil || e.Repo.Default != want {
			t.Errorf("%q: %v, got %q, want %q", name, err, e.Repo.Default, want)
		}
		if err == nil && e.Default != (name == "main") {
			t.Errorf("%q: a push to main is a push to the default branch: %v", name, e.Default)
		}
	}
}

// TestDefaultBranchIsNoCredential names default branches like the examples of the rules
// that know a credential by its format alone: none is stored.
func TestDefaultBranchIsNoCredential(t *testing.T) {
	t.Parallel()
	list, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, r := range list {
		for _, example := range r.Match {
			for _, name := range strings.FieldsFunc(example, func(c rune) bool { return strings.ContainsRune(" =\"'`,\n", c) }) {
				if len(name) < 16 || cleaner.String(name) == name {
					continue
				}
				checked++
				e, err := webhook.Decode(cleaner, "d", "push", withDefault(t, "fix-"+name))
				if alone, err := webhook.Decode(cleaner, "d", "push", withDefault(t, name)); err != nil || alone.Repo.Default != "" {
					t.Errorf("%s: %v, a credential is stored as the name of a branch", r.ID, err)
				}
				kept, fault := json.Marshal(e)
				if err != nil || fault != nil || cleaner.String("fix-"+name) != "fix-"+name && bytes.Contains(kept, []byte(name)) {
					t.Errorf("%s: %v, a credential is stored in the name of a branch", r.ID, err)
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d examples were checked", checked)
	}
}

// FuzzDefaultBranch holds that each name that is stored is valid for git, is stored as it
// was and fits into one line.
func FuzzDefaultBranch(f *testing.F) {
	for _, name := range []string{"main", "größe", "release+1", "-x", "a b", "x@{1}", "a\u202eb"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		e, err := webhook.Decode(cleaner, "d", "push", withDefault(t, name))
		if err != nil || e.Repo.Default == "" {
			return
		}
		got := e.Repo.Default
		if utf8.ValidString(name) && got != name || len(got) > 255 || strings.ContainsAny(got, "\x00\r\n ") {
			t.Errorf("%q is stored as %q", name, got)
		}
		if err := exec.Command("git", "check-ref-format", "refs/heads/"+got).Run(); err != nil {
			t.Errorf("%q is stored, git refuses it: %v", got, err)
		}
	})
}
