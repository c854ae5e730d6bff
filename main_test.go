package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keyward/keyward/hooks"
)

// fakes are keys for the scripts. They stand here in pieces, so that no scanner
// trips over this repository: a script names them and `plant` writes them.
var fakes = map[string]string{
	"swarm":    "SWMTKN-1-" + "fake0keyward0not0real0fake0keyward0not0real0fake0k" + "-" + "fake0keyward0not0real0fak",
	"swarm2":   "SWMTKN-1-" + "other0fake0keyward0not0real0other0fake0keyward0not" + "-" + "other0fake0keyward0not0re",
	"gitlab":   "glpat-" + "FAKEkeywardNOTREAL7x",
	"password": "F4KE" + "-7qZ2xV9bK!",
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"keyward": func() {
			os.Exit(hooks.Main(context.Background(), hooks.Env{
				Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
			}))
		},
	})
}

// TestScripts runs testdata/script: one behaviour a script, with the real git.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			config := filepath.Join(env.WorkDir, ".gitconfig-test")
			text := "[user]\nname = Dana Dev\nemail = dana@example.com\n[init]\ndefaultBranch = main\n[protocol \"file\"]\nallow = always\n[commit]\ngpgSign = false\n"
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				return err
			}
			checkout, err := os.Getwd()
			if err != nil {
				return err
			}
			for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"} { // for hooks that are built
				if out, err := exec.Command("go", "env", name).Output(); err == nil {
					env.Vars = append(env.Vars, name+"="+strings.TrimSpace(string(out)))
				}
			}
			env.Vars = append(env.Vars, "CHECKOUT="+checkout, "GIT_CONFIG_GLOBAL="+config, "GIT_CONFIG_NOSYSTEM=1", "HOME="+env.WorkDir,
				"GIT_AUTHOR_DATE=2026-02-03T10:00:00Z", "GIT_COMMITTER_DATE=2026-02-03T10:00:00Z", "KEYWARD_PEPPER=pepper of the scripts", "NEWLINE=\n")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"plant":  plant,
			"status": status,
			"secret": secret,
		},
	})
}

// plant FILE NAME [WORDS...] appends a line that ends with the fake key NAME.
func plant(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || fakes[args[1]] == "" {
		ts.Fatalf("usage: plant FILE NAME [WORDS...]")
	}
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	old, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		ts.Check(err)
	}
	line := strings.Join(append(args[2:], fakes[args[1]]), " ")
	ts.Check(os.WriteFile(name, append(old, line+"\n"...), 0o644))
}

// status CODE ARGS... runs keyward and checks its exit code. Its output is
// there for stdout and stderr to match.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE ARGS...")
	}
	err := ts.Exec("keyward", args[1:]...)
	got := 0
	if err != nil {
		got = -1
		var code int
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &code); scanErr == nil {
			got = code
		}
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("keyward %s: got exit %d (%v), want %s", strings.Join(args[1:], " "), got, err, args[0])
	}
	for name, v := range fakes {
		if strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), v) {
			ts.Fatalf("the output holds the fake key %s in clear", name)
		}
	}
}

// secret NAME sets the environment variable SECRET to a fake key.
func secret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || fakes[args[0]] == "" {
		ts.Fatalf("usage: secret NAME")
	}
	ts.Setenv("SECRET", fakes[args[0]])
}
