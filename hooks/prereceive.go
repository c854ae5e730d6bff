package hooks

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/report"
)

// receiveOptions are the flags of keyward hook pre-receive.
type receiveOptions struct {
	budget     time.Duration
	onBudget   string
	noComments bool
}

// defaultBudget is how long pre-receive may take: GitHub Enterprise Server ends
// all hooks of a push together after 5 s.
// https://docs.github.com/enterprise-server/admin/enforcing-policies/enforcing-policy-with-pre-receive-hooks
const defaultBudget = 4 * time.Second

func newPreReceive(env *Env) *cobra.Command {
	var o receiveOptions
	c := &cobra.Command{
		Use:   "pre-receive",
		Short: "Scan, on a server, the commits that arrive with a push",
		Long: `Pre-receive reads the updates of a push from standard input, as git gives them to
the hook of that name, and scans the commits that the repository does not have
yet: for GitHub Enterprise Server, GitLab, Gitea and plain bare repositories. The
policy is that of the branch at HEAD before the push.

What could not be scanned within --budget is said, and the push refused unless
--on-budget is accept.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return env.preReceive(c.Context(), &o) },
	}
	c.Flags().DurationVar(&o.budget, "budget", defaultBudget, "how long the scan may take; 0 means without limit")
	c.Flags().StringVar(&o.onBudget, "on-budget", "reject", "what becomes of a push that was not scanned in time: reject or accept")
	c.Flags().BoolVar(&o.noComments, "no-allow-comments", false, "do not honour allow comments in what is pushed")
	return c
}

// preReceive is the hook on a server: it scans the commits that arrive.
func (env *Env) preReceive(ctx context.Context, o *receiveOptions) error {
	if o.onBudget != "reject" && o.onBudget != "accept" {
		return hint(errors.New("--on-budget takes reject or accept"), "nothing was scanned")
	}
	updates, err := readUpdates(env.input(), true)
	if err != nil {
		return err
	}
	scan := &scanOptions{}
	scan.noComments = o.noComments
	late := false
	err = env.stopOn(ctx, scan, report.Stopped{What: "push", Committed: true, Server: true}, func(j *job, ctx context.Context) error {
		if o.budget > 0 {
			j.stopAt = time.Now().Add(o.budget)
		}
		err := j.arrivals(ctx, updates, git.NotAll, below(ofBranches))
		late = j.late
		return err
	})
	if errors.Is(err, errUnscanned) && late && o.onBudget == "accept" {
		return nil
	}
	return err
}
