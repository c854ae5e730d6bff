// Package hooks is the command keyward: its flags, its messages, its exit codes,
// one file for each of its ways of use. It is the only place that reads flags
// and the environment.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/keyward/keyward/scanner/guard"
)

// Env is what the command is run with.
type Env struct {
	Args           []string
	Dir            string // the working directory; "" means the process's
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Now            func() time.Time  // nil means the clock
	Transport      http.RoundTripper // how keyward verify reaches providers; nil means as usual

	rawOut, rawErr io.Writer // as they were given, to ask whether they are terminals
	guard          *guard.Guard
}

// The exit codes.
const (
	exitClean     = 0 // nothing found, everything scanned
	exitFound     = 1 // keys found
	exitUnscanned = 2 // no key found, but not everything scanned; or used wrongly
)

// errFound ends a command that has found keys and said so.
var errFound = errors.New("keys found")

// errUnscanned ends a command that could not scan everything and has said so.
var errUnscanned = errors.New("not everything was scanned")

// A usageError comes with hints on what to do next.
type usageError struct {
	err   error
	hints []string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// hint adds what to do next to an error.
func hint(err error, hints ...string) error { return &usageError{err, hints} }

// Main runs the command and returns its exit code.
func Main(ctx context.Context, env Env) int {
	if env.Getenv == nil {
		env.Getenv = func(string) string { return "" }
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	env.guard = &guard.Guard{}
	if len(env.Args) == 1 && env.Args[0] == "--version" { // without the guard, which needs the rules: nothing here is of a repository
		_, _ = fmt.Fprintln(env.Stdout, "keyward", Version()) // nowhere else to say it
		return 0
	}
	env.rawOut, env.rawErr = env.Stdout, env.Stderr
	env.Stdout, env.Stderr = env.guard.Writer(env.Stdout), env.guard.Writer(env.Stderr)
	root := newRoot(&env)
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitClean
	case errors.Is(err, errFound):
		return exitFound
	case errors.Is(err, errUnscanned):
		return exitUnscanned
	}
	env.say(err)
	return exitUnscanned
}

// say tells an error and what to do next.
func (env *Env) say(err error) {
	text := fmt.Sprintf("keyward: error: %s\n", strings.TrimSpace(err.Error()))
	var usage *usageError
	if errors.As(err, &usage) {
		for _, h := range usage.hints {
			text += fmt.Sprintf("hint: %s\n", h)
		}
	}
	_, _ = io.WriteString(env.Stderr, text) // there is nowhere left to say it
}

func newRoot(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "keyward",
		Short: "Finds hardcoded provisioning keys and gets them rotated",
		Long: `Keyward finds hardcoded provisioning keys (credentials that create users, enrol
devices, join nodes, register runners or mint other keys) and other credentials,
says what each can do, and how to rotate it.

Exit codes: 0 nothing found; 1 keys found; 2 no key found but not everything was
scanned, or wrong usage.`,
		Version:       Version(),
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
		Args:                       noCommand,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("keyward {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newScan(env), newVerify(env), newHook(env), newAction(env), newInstall(env), newUninstall(env), newFix(env), newAllow(env), newExplain(env), newRules(env), newPolicy(env), newBaseline(env), newMigrate(env), newMan(env), newVersion(env))
	return root
}

func newVersion(env *Env) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		_, err := fmt.Fprintln(env.Stdout, "keyward", Version())
		return err
	}}
}

// Version is the version of the program, from what the go command recorded.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}

// isTerminal reports whether w is a terminal that wants colour.
func (env *Env) isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// color reports whether to colour what is written to w. https://no-color.org
func (env *Env) color(w io.Writer) bool {
	return env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb" && env.isTerminal(w)
}

// width returns the columns of the terminal behind w, at most 100.
func (env *Env) width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return min(n, 100)
		}
	}
	return 80
}
