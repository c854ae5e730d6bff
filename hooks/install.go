package hooks

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner/git"
)

type installOptions struct{ global, prePush, commitMsg bool }

func newInstall(env *Env) *cobra.Command {
	var o installOptions
	c := &cobra.Command{
		Use:   "install",
		Short: "Put keyward into git's hooks",
		Long: `Install puts keyward into this repository's pre-commit hook, wherever git looks for
it: core.hooksPath, worktrees and submodules are understood. A hook that is there
is kept, as NAME.before-keyward, and called first; uninstall puts it back.

It is also put into pre-merge-commit, which git calls for merges.

With --global core.hooksPath is set for this user, and the repositories' own hooks
are still called. A repository that sets core.hooksPath itself, as husky does, is not
covered: install keyward there as well.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return env.install(c.Context(), &o) },
	}
	c.Flags().BoolVar(&o.global, "global", false, "for all repositories of this user")
	c.Flags().BoolVar(&o.prePush, "pre-push", false, "the pre-push hook as well")
	c.Flags().BoolVar(&o.commitMsg, "commit-msg", false, "the commit-msg hook as well")
	return c
}

func newUninstall(env *Env) *cobra.Command {
	global := false
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Take keyward out of git's hooks and put back what was there",
		Long:  "Uninstall takes keyward out of all hooks that install put it into, and puts back the\nhooks that were there before.",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return env.uninstall(c.Context(), global) },
	}
	c.Flags().BoolVar(&global, "global", false, "for all repositories of this user")
	return c
}

// ours is in every hook that install writes.
const ours = "written by keyward install"

const keptSuffix = ".before-keyward"

//go:embed hook.sh
var hookScript string

// passedOn are git's other hooks. While core.hooksPath leads elsewhere git does not
// look for them in the repository: a global install has to call them.
// https://git-scm.com/docs/githooks
var passedOn = []string{"applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg",
	"commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "pre-receive", "update", "post-receive",
	"post-update", "reference-transaction", "push-to-checkout", "pre-auto-gc", "post-rewrite", "sendemail-validate"}

func (o *installOptions) names() []string {
	names := []string{"pre-commit", "pre-merge-commit"}
	if o.commitMsg {
		names = append(names, "commit-msg")
	}
	if o.prePush {
		names = append(names, "pre-push")
	}
	return names
}

func (env *Env) install(ctx context.Context, o *installOptions) error {
	place, err := env.hooksPlace(ctx, "install", o.global)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(place.dir, 0o755); err != nil {
		return fmt.Errorf("install hooks: %w", err)
	}
	names := o.names()
	var all []string
	if place.own {
		all = passedOn
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(names, all)))) {
		kept, err := putHook(place.dir, name, env.script(name, place.own, slices.Contains(names, name)))
		if err != nil {
			return err
		}
		if slices.Contains(names, name) {
			fmt.Fprintf(env.Stdout, "hook %s: %s\n", name, filepath.Join(place.dir, name))
		}
		if kept {
			fmt.Fprintf(env.Stdout, "  the hook that was there is called first: %s\n", name+keptSuffix)
		}
	}
	if place.own {
		if err := env.globalConfig(ctx, "core.hooksPath", place.dir); err != nil {
			return err
		}
		fmt.Fprintln(env.Stdout, "core.hooksPath is set for this user; hooks of the repositories are still called.\nA repository that sets core.hooksPath itself is not covered.")
	}
	if _, err := exec.LookPath("keyward"); err != nil && ownProgram() == "" {
		place.notes = append(place.notes, "keyward is not on your PATH: until it is, the hooks stop every commit (go install github.com/keyward/keyward@latest)")
	}
	for _, n := range place.notes {
		fmt.Fprintf(env.Stdout, "note: %s\n", n)
	}
	return nil
}

// hooksPlace is where hooks are installed.
type hooksPlace struct {
	dir   string
	own   bool // keyward's own directory for all repositories
	notes []string
}

func (env *Env) hooksPlace(ctx context.Context, verb string, global bool) (*hooksPlace, error) {
	if global {
		dir, err := env.globalConfigured(ctx)
		if err != nil {
			return nil, err
		}
		own, err := env.ownHooks()
		if err != nil {
			return nil, err
		}
		if dir == "" || dir == own {
			return &hooksPlace{dir: own, own: true}, nil
		}
		return &hooksPlace{dir: dir, notes: []string{"core.hooksPath was set already: the hooks are in its directory"}}, nil
	}
	repo, err := git.Open(ctx, env.path("."), git.Options{Getenv: env.Getenv})
	if errors.Is(err, git.ErrNotRepository) {
		return nil, hint(errors.New(verb+": this is not a git repository"), "run it in one, or use --global")
	}
	if err != nil {
		return nil, repositoryError(err)
	}
	dir, scope, err := repo.HooksDir(ctx)
	if err != nil {
		return nil, err
	}
	if scope != "" && scope != "local" && scope != "worktree" && verb == "uninstall" {
		return &hooksPlace{dir: repo.OwnHooks()}, nil // from before core.hooksPath was set
	}
	if scope != "" && scope != "local" && scope != "worktree" {
		return nil, hint(fmt.Errorf("install: core.hooksPath is set for all repositories (%s): git ignores this repository's own hooks", scope),
			"keyward install --global puts the hooks there")
	}
	p := &hooksPlace{dir: dir}
	if verb == "install" && filepath.Base(dir) == "_" && filepath.Base(filepath.Dir(dir)) == ".husky" {
		return nil, hint(errors.New("install: husky writes this repository's hooks and would overwrite one that is put among them"),
			"add the line to .husky/pre-commit: keyward hook pre-commit",
			"and to .husky/pre-push: keyward hook pre-push")
	}
	for _, name := range []string{"lefthook.yml", "lefthook.yaml", ".lefthook.yml", "lefthook.toml", "lefthook.json"} {
		if _, err := os.Lstat(filepath.Join(repo.Dir, name)); err == nil {
			p.notes = append(p.notes, name+": lefthook install writes the hooks anew; let it call keyward as well: pre-commit, commands, keyward, run: keyward hook pre-commit")
			break
		}
	}
	if rel, err := filepath.Rel(repo.Dir, dir); scope != "" && err == nil && filepath.IsLocal(rel) {
		p.notes = append(p.notes, "core.hooksPath lies in the work tree: what is committed from it is for everybody, and needs keyward on their PATH")
	}
	return p, nil
}

// ownProgram is the file of this program, "" if it will be gone when it ends.
func ownProgram() string {
	exe, err := os.Executable()
	if err != nil || strings.Contains(exe, "go-build") { // go run
		return ""
	}
	return exe
}

// script is the text of a hook.
func (env *Env) script(name string, own, scan bool) string {
	call := "no"
	switch {
	case scan && name == "pre-merge-commit":
		call = "pre-commit" // git merge records a commit without calling the pre-commit hook
	case scan:
		call = name
	}
	kept := `"${0%/*}/` + name + keptSuffix + `"`
	if own {
		kept = `"$(git rev-parse --git-common-dir 2>/dev/null)/hooks/` + name + `"`
	}
	args := ""
	switch name {
	case "commit-msg":
		args = `"$1"`
	case "pre-push": // the name of the remote, and not its URL, which may hold a password
		args = `"$(case "$1" in (*[:/@]*) echo . ;; (*) echo "$1" ;; esac)"`
	}
	r := strings.NewReplacer("@ARGS@", args, "@OURS@", ours, "@SUFFIX@", keptSuffix, "@NAME@", name, "@KEPT@", kept, "@CALL@", call, "@EXE@", quoteShell(filepath.ToSlash(ownProgram())))
	return r.Replace(hookScript)
}

func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// putHook writes a hook and keeps what was there.
func putHook(dir, name, text string) (kept bool, err error) {
	file := filepath.Join(dir, name)
	was, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(file); err == nil {
			return false, fmt.Errorf("install %s: %s is a link to nothing", name, file)
		}
	case err != nil:
		return false, fmt.Errorf("install %s: %w", name, err)
	case !bytes.Contains(was, []byte(ours)):
		if old, err := os.ReadFile(file + keptSuffix); err == nil && !bytes.Equal(old, was) {
			return false, hint(fmt.Errorf("install %s: both %s and %s are hooks from before", name, file, name+keptSuffix),
				"nothing was changed: remove the one that is not wanted and install again")
		}
		if err := os.Rename(file, file+keptSuffix); err != nil {
			return false, fmt.Errorf("install %s: keep the hook that is there: %w", name, err)
		}
		kept = true
	}
	if err := replaceFile(file, []byte(text)); err != nil {
		return kept, fmt.Errorf("install %s: %w", name, err)
	}
	return kept, os.Chmod(file, 0o755)
}

func (env *Env) uninstall(ctx context.Context, global bool) error {
	place, err := env.hooksPlace(ctx, "uninstall", global)
	if err != nil {
		return err
	}
	n := 0
	for _, name := range passedOn {
		file := filepath.Join(place.dir, name)
		text, err := os.ReadFile(file)
		if _, kept := os.Lstat(file + keptSuffix); errors.Is(err, fs.ErrNotExist) && kept == nil {
			text = []byte(ours) // somebody removed our hook: the one from before comes back
		} else if err != nil {
			continue
		}
		if !bytes.Contains(text, []byte(ours)) {
			continue
		}
		n++
		if _, err := os.Lstat(file + keptSuffix); err == nil {
			if err := os.Rename(file+keptSuffix, file); err != nil {
				return fmt.Errorf("uninstall %s: put back the hook from before: %w", name, err)
			}
			fmt.Fprintf(env.Stdout, "%s: the hook from before is back\n", name)
			continue
		}
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("uninstall %s: %w", name, err)
		}
	}
	if place.own {
		if dir, err := env.globalConfigured(ctx); err == nil && dir == place.dir {
			if err := env.globalConfig(ctx, "--unset", "core.hooksPath"); err != nil {
				return err
			}
		}
	}
	if n == 0 {
		fmt.Fprintf(env.Stdout, "keyward is in no hook of %s\n", place.dir)
		return nil
	}
	fmt.Fprintf(env.Stdout, "keyward is taken out of %s\n", place.dir)
	return nil
}

// ownHooks is the directory of the hooks for all repositories.
func (env *Env) ownHooks() (string, error) {
	base := env.Getenv("XDG_CONFIG_HOME")
	if base == "" {
		home := env.Getenv("HOME")
		if home == "" {
			home = env.Getenv("USERPROFILE")
		}
		if home == "" {
			return "", errors.New("install --global: neither XDG_CONFIG_HOME nor HOME is set")
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "keyward", "hooks"), nil
}

// globalConfigured is the user's core.hooksPath, or "".
func (env *Env) globalConfigured(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "config", "--global", "--type=path", "--get", "core.hooksPath").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", nil // it is not set
	}
	if err != nil {
		return "", fmt.Errorf("read git's global configuration: %w", err)
	}
	return strings.TrimRight(string(out), "\r\n"), nil
}

func (env *Env) globalConfig(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "git", append([]string{"config", "--global"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("git config --global %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}
