package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
)

type baselineOptions struct {
	scanOptions
	file, reason, expires string
}

func newBaseline(env *Env) *cobra.Command {
	var o baselineOptions
	c := &cobra.Command{
		Use:   "baseline [PATH]",
		Short: "Write down the keys that are there now, so that only new ones are reported",
		Long: `Baseline scans as keyward scan does and adds the keys it finds to a file, by
fingerprint: scans and hooks then report only others. They use
.keyward-baseline.toml at the top of the repository without being told, and
another file with --baseline FILE. The keys still need to be rotated.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return env.makeBaseline(c.Context(), &o, args) },
	}
	o.modeFlags(c)
	o.setupFlags(c)
	f := c.Flags()
	f.StringVar(&o.file, "file", policy.BaselineName, "the baseline to write or add to")
	f.StringVar(&o.reason, "reason", "", "why these keys are not reported (required)")
	f.StringVar(&o.expires, "expires", "", "the last day on which they are known, as 2027-01-31")
	f.BoolVar(&o.allowIncomplete, "allow-incomplete", false, "write it even if something could not be scanned")
	return c
}

func (env *Env) makeBaseline(ctx context.Context, o *baselineOptions, args []string) error {
	o.format, o.failOn, o.quiet = "text", "low", true
	if err := o.check(args); err != nil {
		return err
	}
	if len(o.reason) < 3 {
		return hint(errors.New("baseline: needs --reason"), `for example --reason "there before Keyward, tracked in SEC-12"`)
	}
	var until time.Time
	if o.expires != "" {
		var err error
		if until, err = time.Parse(time.DateOnly, o.expires); err != nil {
			return hint(fmt.Errorf("--expires %q is no date", o.expires), "write it as 2027-01-31")
		}
	}
	if o.file == policy.BaselineName { // at the top of the repository, where it counts
		if s, err := env.open(ctx, env.path("."), &setup{}); err == nil && s.repo != nil && !s.repo.Bare {
			o.file = env.relative(filepath.Join(s.root, o.file))
		}
	}
	b, err := policy.LoadBaseline(env.path(o.file))
	switch {
	case err == nil:
		o.setup.baseline, o.identity = cmp.Or(o.setup.baseline, o.file), b.Repository
	case errors.Is(err, fs.ErrNotExist):
		b = &policy.Baseline{}
		o.setup.baseline = cmp.Or(o.setup.baseline, noBaseline)
	default:
		return err
	}
	r, s, err := env.run(ctx, &o.scanOptions, args)
	if err != nil {
		return err
	}
	if !r.Coverage.Complete() && !o.allowIncomplete {
		return hint(fmt.Errorf("baseline: not written: %s", r.Coverage.Sentence(r.Mode)), "--allow-incomplete writes it all the same")
	}
	for _, k := range r.Known { // what the file has gets its present fingerprint
		if k.Known.By == "baseline" && s.baseline.Path == o.file {
			b.Add([]*scanner.Key{k}, o.reason, env.Now(), until)
		}
	}
	added := b.Add(r.Keys, o.reason, env.Now(), until)
	if err := env.writeBaseline(ctx, s, b, env.path(o.file)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: %d keys added, %d in all; they still need to be rotated\n", o.file, added, len(b.Keys))
	return err
}

// writeBaseline writes a baseline whose fingerprints are those of the session.
func (env *Env) writeBaseline(ctx context.Context, s *session, b *policy.Baseline, file string) error {
	b.Print, b.Repository = s.prints()[len(s.peppers)-1], ""
	if env.Getenv("KEYWARD_PEPPER") == "" {
		b.Repository = s.identity(ctx)
	}
	data, err := b.Marshal()
	if err != nil {
		return err
	}
	if err := replaceFile(file, env.guard.Clean(data)); err != nil {
		return fmt.Errorf("write baseline %s: %w", env.relative(file), err)
	}
	return nil
}
