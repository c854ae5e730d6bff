package hooks_test

import (
	"bytes"
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/hooks"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/rules"
)

// The hook's quick way says what the whole scan says, whatever state a repository
// is in: each step changes the one before it and names the exit code of both.
func TestHookEqualsScan(t *testing.T) {
	t.Setenv("GITLAB", gitlab)
	for name, steps := range map[string][]struct {
		shell string
		code  int
	}{
		"before the first commit": {
			{`git init -q .`, 0},
			{`echo clean >a; git add a`, 0},
			{`echo "TOKEN=$GITLAB" >b; git add b`, 1},
			{`git reset -q b 2>/dev/null || git rm -q --cached b`, 0},
		},
		"changes": {
			{`git init -q .; echo clean >a; git add a; git commit -qm a`, 0},
			{`echo "TOKEN=$GITLAB" >b`, 0},
			{`git add -N b`, 0},
			{`git add b`, 1},
			{`git commit -qm b; git mv b c`, 0},
			{`echo more >>c; git add c`, 0},
			{`git commit -qm c; mkdir sub; cp c sub/d; git add sub`, 1},
			{`git reset -q; ln -s "$GITLAB" link; git add link`, 1},
			{`git rm -qf --cached link; rm link; printf 'x\0y\0' >bin; git add bin`, 0},
			{`printf '\0\0%s\0' "$GITLAB" >bin; git add bin`, 1},
			{`git reset -q; printf '%s' "$GITLAB" | base64 >enc; git add enc`, 1},
			{`git reset -q; echo "TOKEN=$GITLAB # keyward:allow revoked in SEC-1" >e; git add e`, 0},
			{`echo "TOKEN=$GITLAB # keyward:allow" >e; git add e`, 1},
			{`git reset -q; git rm -q c; git commit -qm gone`, 0},
		},
		"policy": {
			{`git init -q .; echo clean >a; git add a; git commit -qm a`, 0},
			{`printf '[[allow]]\npaths = ["fixtures/**"]\nreason = "fixtures"\n' >.keyward.toml; git add .; mkdir fixtures; echo "$GITLAB" >fixtures/x; git add .`, 0},
			{`cp fixtures/x y; git add y`, 1},
			{`git rm -qf --cached y; rm y; echo 'nonsense = 1' >>.keyward.toml`, 2},
			{`printf 'rules = ["r.toml"]\n' >.keyward.toml`, 2},
			{`printf '[[rule]]\nid = "acme"\nkeywords = ["acmekey"]\npattern = "acmekey[0-9]{8}"\nmatch = [["acmekey", "12345678"]]\n' >r.toml; echo x >z; git add z`, 1},
			{`git rm -qf --cached -r fixtures; rm -r fixtures; git add .`, 0},
			{`echo acmekey12345678 >z; git add z`, 1},
			{`printf '[[disable]]\nrule = "gitlab-pat"\nreason = "not ours"\n' >.keyward.toml; git rm -q --cached z; echo "$GITLAB" >q; git add q`, 0},
		},
		"merges": {
			{`git init -q .; echo clean >a; git add a; git commit -qm a; git checkout -q -b side; echo side >a; git commit -qam side; git checkout -q main; echo main >a; git commit -qam main`, 0},
			{`git merge side >/dev/null; true`, 2},
			{`echo "main $GITLAB" >a; git add a`, 1},
			{`echo both >a; git add a`, 0},
		},
		"what is not there": {
			{`git init -q .; echo clean >a; git add a; git commit -qm a`, 0},
			{`printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12\n' 7 >big; git add big`, 2},
			{`git rm -q --cached big; rm big; echo lost >l; git add l; rm -f .git/objects/$(git rev-parse :l | cut -c1-2)/$(git rev-parse :l | cut -c3-)`, 2},
			{`git rm -q --cached l; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),module`, 0},
		},
		"settings": {
			{`git init -q .; echo clean >a; mkdir d; echo clean >d/b; git add .; git commit -qm a; git config diff.noprefix true; git config diff.relative true; git config diff.ignoreSubmodules all; git config core.quotePath true; git config diff.external false; git config core.fsmonitor 'touch ran'`, 0},
			{`printf '* -diff\n*.x binary\n' >.gitattributes; echo "$GITLAB" >"d/ü \"x.x"; git add .`, 1},
			{`git commit -qm x; git config core.sparseCheckout true; echo "/a" >.git/info/sparse-checkout; git read-tree -mu HEAD; echo "$GITLAB" >tmp; git update-index --add --cacheinfo 100644,$(git hash-object -w tmp),d/hidden`, 1},
			{`git reset -q; git config extensions.worktreeConfig true; GIT_INDEX_FILE=other git read-tree HEAD`, 0},
			{`rm -f tmp; git replace -f $(git rev-parse HEAD:a) $(echo "$GITLAB" | git hash-object -w --stdin); echo clean2 >a; git add a`, 0},
			{`git replace -d $(git rev-parse HEAD:a) >/dev/null; echo "$GITLAB" >a; git add a; git replace $(git rev-parse :a) $(echo fine | git hash-object -w --stdin)`, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkflow(t)
			dir := filepath.Join(t.TempDir(), "repo")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			env := map[string]string{"GIT_CONFIG_GLOBAL": w.env["GIT_CONFIG_GLOBAL"], "GIT_CONFIG_NOSYSTEM": "1", "KEYWARD_PEPPER": orgPepper}
			for _, step := range steps {
				cmd := exec.Command("sh", "-c", step.shell)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+env["GIT_CONFIG_GLOBAL"], "GIT_CONFIG_NOSYSTEM=1")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", step.shell, err, out)
				}
				code := func(args ...string) (int, string) {
					var out bytes.Buffer
					c := hooks.Main(context.Background(), hooks.Env{Args: args, Dir: dir, Stdout: &out, Stderr: &out, Getenv: func(k string) string { return env[k] }})
					return c, out.String()
				}
				whole, said := code("scan", "--staged")
				hook, complained := code("hook", "pre-commit")
				if whole != step.code || hook != step.code {
					t.Errorf("%s\nscan --staged exits with %d, the hook with %d, want %d\n%s\n%s", step.shell, whole, hook, step.code, said, complained)
				}
			}
		})
	}
}

// TestUnsure commits a value that may be a key and is not sure to be one: it is named
// and passes, and a scan lists it. Beside a sure one it is told with it.
func TestUnsure(t *testing.T) {
	list, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	s, err := scanner.New(list, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	for range 20_000 { // what the score is not sure of changes when it learns
		v := make([]byte, 6+rng.IntN(6))
		for i := range v {
			v[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[rng.IntN(36)]
		}
		line := fmt.Sprintf("db_password = %q\n", v)
		found, err := s.Scan(nil, scanner.Blob{Path: "a.py", Data: []byte(line)})
		if err == nil && len(found) == 1 && found[0].Confidence < scanner.BlockConfidence-0.01 && found[0].Confidence > scanner.DefaultConfidence+0.01 {
			text = line
			break
		}
	}
	if text == "" {
		t.Fatal("the score is sure of every value")
	}
	dir := t.TempDir()
	git(t, dir, "init", "-q", ".")
	put(t, dir, "a.py", text)
	git(t, dir, "add", ".")
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := hooks.Main(context.Background(), hooks.Env{Args: args, Dir: dir, Stdin: &bytes.Buffer{}, Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }})
		if strings.Contains(out.String(), strings.Split(text, `"`)[1]) {
			t.Errorf("%v shows the value", args)
		}
		return code, out.String()
	}
	if code, out := run("hook", "pre-commit"); code != 0 || !strings.Contains(out, "not stopped: may be a key") || !strings.Contains(out, "a.py:1 generic-password") {
		t.Errorf("the hook ended with %d and said %q", code, out)
	}
	if code, out := run("scan"); code != 1 || !strings.Contains(out, "a.py:1") {
		t.Errorf("the scan ended with %d and said %q", code, out)
	}
	put(t, dir, "b.py", "token = \""+gitlab+"\"\n")
	git(t, dir, "add", ".")
	if code, out := run("hook", "pre-commit"); code != 1 || !strings.Contains(out, "2 keys") || strings.Index(out, "b.py:1") > strings.Index(out, "a.py:1") {
		t.Errorf("the hook ended with %d and said %q", code, out)
	}
}
