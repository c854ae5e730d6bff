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
	case env.Getenv("PRE_COMMIT") == "": // called by git, in a commit
		return scope{}
	}
	args, ok := parentArgs()
	if !ok && env.Getenv("GIT_INDEX_FILE") != "" { // git sets it in a commit
		return scope{}
	}
	return env.argsScope(args)
}

// argsScope reads the command line of the framework: "pre-commit hook-impl" in a
// commit, "pre-commit run" and "pre-commit try-repo" by hand. Whatever is not
// understood means everything.
func (env *Env) argsScope(args []string) scope {
	everything := scope{everything: true}
	command := slices.IndexFunc(args, func(a string) bool { return a == "run" || a == "hook-impl" || a == "try-repo" })
	if command < 1 || !framework[strings.TrimPrefix(strings.TrimSuffix(filepath.Base(args[command-1]), ".exe"), "-m")] {
		return everything
	}
	args = args[command:]
	if args[0] == "hook-impl" {
		return scope{}
	}
	var names []string
	given := false
	for i := 1; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		switch {
		case !strings.HasPrefix(name, "--"):
			if strings.HasPrefix(name, "-") && strings.Contains(name, "a") { // -a, perhaps among others
				return everything
			}
		case strings.HasPrefix(name, "--a"): // argparse takes unambiguous beginnings
			return everything
		case strings.HasPrefix(name, "--fi"):
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
	return everything
}

// framework are the names under which the framework is called.
var framework = map[string]bool{"pre-commit": true, "pre_commit": true, "prek": true, "pre-commit-script.py": true, "__main__.py": true}

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
			if _, err := os.Lstat(abs); err == nil && !slices.Contains(out, rel) {
				out = append(out, rel) // where both are, either may be meant
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
