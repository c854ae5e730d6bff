package hooks

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A scope is what the pre-commit hook has to scan.
type scope struct {
	commits    string   // A..B
	files      []string // on disk, relative to the top of the work tree
	everything bool     // every file that git does not ignore
}

// preCommitScope says what the hook is to scan: what is staged (the zero scope) in
// a commit; what was asked for when a person runs the pre-commit framework.
//
// The framework names the ends of a range in the environment. Of --all-files and
// --files it tells a hook that takes no file names nothing: such hooks pass
// without having looked. The framework's own command line says it; where that
// can't be read, everything is scanned.
// https://pre-commit.com/#pre-commit-run
func (env *Env) preCommitScope(names []string) scope {
	if from, to := env.Getenv("PRE_COMMIT_FROM_REF"), env.Getenv("PRE_COMMIT_TO_REF"); from != "" && to != "" {
		return scope{commits: from + ".." + to}
	}
	switch {
	case len(names) > 0:
		return scope{files: env.namedFiles(names)}
	case env.Getenv("PRE_COMMIT") == "", env.Getenv("GIT_INDEX_FILE") != "": // called by git, in a commit
		return scope{}
	}
	args, ok := parentArgs()
	if !ok || !slices.ContainsFunc(args, func(a string) bool {
		return strings.Contains(a, "pre-commit") || strings.Contains(a, "pre_commit") || strings.Contains(a, "prek")
	}) {
		return scope{everything: true}
	}
	return env.argsScope(args)
}

// argsScope reads the command line of the framework.
func (env *Env) argsScope(args []string) scope {
	var names []string
	given := false
	for i := 0; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		switch {
		case name == "-a" || len(name) > 3 && strings.HasPrefix("--all-files", name):
			return scope{everything: true}
		case len(name) > 3 && strings.HasPrefix("--files", name): // argparse takes unambiguous beginnings
			given = true
			if hasValue {
				names = append(names, value)
			}
			for i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				names = append(names, args[i])
			}
		}
	}
	if !given {
		return scope{}
	}
	if files := env.namedFiles(names); len(files) > 0 {
		return scope{files: files}
	}
	return scope{everything: true}
}

// namedFiles returns the names of files that are there, relative to the working
// directory, which is the top of the work tree. The user may have named them from
// a directory below it.
func (env *Env) namedFiles(names []string) []string {
	var out []string
	top, err := filepath.Abs(env.path("."))
	if err != nil {
		return nil
	}
	for _, name := range names {
		for _, base := range []string{top, env.Getenv("PWD")} {
			abs := name
			if !filepath.IsAbs(name) {
				abs = filepath.Join(base, name)
			}
			rel, err := filepath.Rel(top, abs)
			if err != nil || !filepath.IsLocal(rel) {
				continue
			}
			if _, err := os.Lstat(abs); err == nil {
				out = append(out, rel)
				break
			}
		}
	}
	return out
}

// parentArgs returns the command line of the process that started this one.
func parentArgs() ([]string, bool) {
	pid := strconv.Itoa(os.Getppid())
	if runtime.GOOS == "linux" {
		data, err := os.ReadFile("/proc/" + pid + "/cmdline")
		return strings.FieldsFunc(string(data), func(c rune) bool { return c == 0 }), err == nil && len(data) > 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-ww", "-o", "args=", "-p", pid).Output()
	return strings.Fields(string(out)), err == nil && len(out) > 0
}
