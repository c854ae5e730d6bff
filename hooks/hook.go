package hooks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
)

func newHook(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "hook",
		Short: "What git's hooks call: scan a commit, a message, a push",
		Long: `Hook scans what a git hook is about to let through, and prints one screen if it
is stopped. It is called by the hooks that keyward install writes, by the
pre-commit framework, or by a hook of your own.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error { // a mistyped name must not let everything through
			what := "no hook is named"
			if len(args) > 0 {
				what = fmt.Sprintf("there is no hook %q", args[0])
			}
			return hint(errors.New("keyward hook: "+what), "nothing was scanned: "+c.CommandPath()+" --help lists them")
		},
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "pre-commit [FILE...]",
			Short: "Scan what is staged (or, in the pre-commit framework, what it is told to check)",
			RunE:  func(c *cobra.Command, args []string) error { return env.preCommit(c.Context(), args) },
		},
		&cobra.Command{
			Use:   "commit-msg FILE",
			Short: "Scan a commit message",
			Args:  cobra.ExactArgs(1),
			RunE:  func(c *cobra.Command, args []string) error { return env.commitMessage(c.Context(), args[0]) },
		},
		&cobra.Command{
			Use:   "pre-push [REMOTE [URL]]",
			Short: "Scan the commits that leave with a push",
			Args:  cobra.MaximumNArgs(2),
			RunE:  func(c *cobra.Command, args []string) error { return env.prePush(c.Context(), args) },
		},
		newPreReceive(env),
	)
	return c
}

// hookOptions complete the options of a scan by what every hook wants.
func hookOptions(o *scanOptions) *scanOptions {
	o.format, o.failOn, o.quiet = "text", "low", true
	return o
}

// split parts the keys that stop somebody from those that are not sure enough.
func split(keys []*scanner.Key) (sure, unsure []*scanner.Key) {
	for _, k := range keys {
		if k.Confidence >= scanner.BlockConfidence {
			sure = append(sure, k)
		} else {
			unsure = append(unsure, k)
		}
	}
	return sure, unsure
}

// stopOn does a job and, if it finds a key or leaves something out, says on one
// screen what is stopped, why, and what to do.
func (env *Env) stopOn(ctx context.Context, o *scanOptions, what report.Stopped, work func(*job, context.Context) error) error {
	var j *job
	r, _, err := env.runJob(ctx, hookOptions(o), nil, func(it *job, ctx context.Context) error {
		j = it
		return work(it, ctx)
	})
	if err != nil {
		return err
	}
	sure, unsure := split(r.Keys)
	r.Notes = append(r.Notes, publishedNote(r.Known)...)
	if !what.Server {
		r.Notes = append(r.Notes, j.localExceptions(r.Known)...)
	}
	if len(sure) == 0 && r.Coverage.Complete() {
		return report.WriteUnsure(env.Stderr, r)
	}
	r.Keys = append(sure, unsure...)
	if exe, err := os.Executable(); err == nil && env.Getenv("PRE_COMMIT") != "" && strings.Contains(exe, "golangenv") {
		r.Notes = append(r.Notes, "keyward is not on your PATH: go install github.com/keyward/keyward@latest")
		if what.Bypass != "" {
			what.Bypass = "SKIP=" + cmp.Or(map[string]string{"push": "keyward-push"}[what.What], "keyward") + " " + strings.TrimSuffix(what.Bypass, " --no-verify")
		}
	}
	what.Remedies = j.remedies(ctx, r.Keys)
	var buf bytes.Buffer
	if err := report.WriteStopped(&buf, r, &what, report.Options{Color: env.color(env.rawErr), Width: env.width(env.rawErr)}); err != nil {
		return err
	}
	if _, err := env.Stderr.Write(buf.Bytes()); err != nil {
		return err
	}
	if len(r.Keys) > 0 {
		return errFound
	}
	return errUnscanned
}

// localExceptions says that a hook took exceptions from the work tree, which the App and
// the Action do not do for a branch.
func (j *job) localExceptions(known []*scanner.Key) []string {
	n := 0
	for _, k := range known {
		if k.Known.By != "remote" {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s by the policy, comments or baseline of the work tree; the App and the Action count those of the default branch", report.Count(n, "finding")+" excepted")}
}
