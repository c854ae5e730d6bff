package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

func newPolicy(env *Env) *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "Check the policy file and the baseline", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Validate the policy and the baseline, and name what matches nothing any more",
		Long: `Check reads .keyward.toml, the rules files that it names and the baseline, scans the
files and the history, and names exceptions that have expired or match no finding.

Exit codes: 0 all is in use; 1 something can be removed; 2 a file is invalid, or not
everything could be scanned.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return env.checkPolicy(c.Context()) },
	})
	return c
}

// A usage is what findings use of a policy and a baseline.
type usage struct {
	policy   *policy.Policy
	baseline *policy.Baseline
	idle     []*policy.Exception // that match nothing so far
	rest     policy.Baseline     // the entries of the baseline that were not found so far
}

// see notes which exceptions findings use, and reports whether all are in use.
func (u *usage) see(_ *job, keys []*scanner.Key) bool {
	u.idle = slices.DeleteFunc(u.idle, func(e *policy.Exception) bool { return slices.ContainsFunc(keys, e.Touches) })
	u.rest.Keys = u.rest.Missing(keys)
	return u.unused() == 0
}

// unused is how many exceptions and entries match nothing.
func (u *usage) unused() int { return len(u.idle) + len(u.rest.Keys) }

// checkPolicy is the command keyward policy check.
func (env *Env) checkPolicy(ctx context.Context) error {
	s, err := env.begin(ctx, env.path("."), &setup{})
	if err != nil {
		return err
	}
	for _, n := range s.notes {
		fmt.Fprintf(env.Stdout, "note: %s\n", n)
	}
	if _, err := os.Lstat(filepath.Join(s.root, policy.BaselineName)); err == nil && s.baseline == nil {
		return hint(fmt.Errorf("policy: %s could not be checked", policy.BaselineName), "set KEYWARD_PEPPER to the one it was made with")
	}
	if s.policy.Path == "" && s.baseline == nil {
		_, err := fmt.Fprintf(env.Stdout, "there is no policy and no baseline in %s\n", s.root)
		return err
	}
	for _, why := range s.refused {
		fmt.Fprintf(env.Stdout, "%s: %s\n", s.policy.Path, why)
	}
	u := &usage{policy: s.policy, baseline: s.baseline}
	for i := range s.policy.Allow {
		u.idle = append(u.idle, &s.policy.Allow[i])
	}
	if s.baseline != nil {
		u.rest = *s.baseline
	}
	complete, err := env.everywhere(ctx, u.see)
	if err != nil {
		return err
	}
	if len(s.refused) > 0 {
		return hint(errors.New("policy: a rules file is not valid"), "correct it: until then each scan reports this and ends with 2")
	}
	if n := u.unused(); !complete && n > 0 {
		return hint(fmt.Errorf("policy: %s matched nothing, but not everything could be scanned", report.Count(n, "entry")),
			"keyward scan --history names what could not be scanned")
	}
	if stale := env.writeUsage(u, env.Now()); stale > 0 {
		return errFound
	}
	return nil
}

// maxMissing is how many entries of a baseline are named.
const maxMissing = 20

// writeUsage writes what is in the files and what of it can be removed, and returns how many
// entries those are.
func (env *Env) writeUsage(u *usage, now time.Time) (stale int) {
	if p := u.policy; p.Path != "" {
		fmt.Fprintf(env.Stdout, "%s: valid: %s, %s off, %s\n", p.Path, report.Count(len(p.Allow), "exception"),
			report.Count(len(p.Disable), "rule"), report.Count(len(p.Rules), "rules file"))
	}
	for _, what := range u.policy.Lapsed(now) {
		fmt.Fprintf(env.Stdout, "%s. Remove it, or extend it\n", what)
		stale++
	}
	for _, e := range u.idle {
		if e.Holds(now) { // else it was named
			fmt.Fprintf(env.Stdout, "%s:%d: the exception %q matches no finding in the files or the history. Remove it\n", u.policy.Path, e.Line(), e.Reason)
			stale++
		}
	}
	if u.baseline == nil {
		return stale
	}
	fmt.Fprintf(env.Stdout, "%s: valid: %s\n", u.baseline.Path, report.Count(len(u.baseline.Keys), "finding"))
	for i, o := range u.rest.Keys {
		if i == maxMissing {
			fmt.Fprintf(env.Stdout, "and %d more\n", len(u.rest.Keys)-i)
			break
		}
		fmt.Fprintf(env.Stdout, "%s: %s %s, once at %s, is no longer in the files or the history. Remove it\n", u.baseline.Path, o.Rule, o.Redacted, o.Place)
	}
	return stale + len(u.rest.Keys)
}
