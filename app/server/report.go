package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
)

// reportOptions are the flags of keyward-app report rotation.
type reportOptions struct{ from, to, account, format string }

func newReport(env *Env) *cobra.Command {
	report := &cobra.Command{Use: "report", Short: "Figures and evidence", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var o reportOptions
	rot := &cobra.Command{
		Use: "rotation", Short: "How many keys were found, revoked and proved dead, and how fast", Args: cobra.NoArgs,
		Long: `Rotation counts the ledger: what happened to keys in a time, and how long it took. A key
counts as in time if it was found to be revoked before it had to be; one that is due and
not revoked at the end counts as late.`,
		RunE: func(c *cobra.Command, _ []string) error { return env.report(c.Context(), &o) },
	}
	f := rot.Flags()
	f.StringVar(&o.from, "from", "", "first day, such as 2026-07-01; all if not set")
	f.StringVar(&o.to, "to", "", "last day, included; now if not set")
	f.StringVar(&o.account, "account", "", "only keys of this organisation or user")
	f.StringVarP(&o.format, "format", "f", "text", "text or json")
	report.AddCommand(rot)
	return report
}

// days reads the time that is asked for.
func (o *reportOptions) days(now time.Time) (from, to time.Time, err error) {
	to = now
	if o.from != "" {
		if from, err = time.Parse(time.DateOnly, o.from); err != nil {
			return from, to, hint(fmt.Errorf("--from %q is no day", o.from), "such as 2026-07-01")
		}
	}
	if o.to != "" {
		if to, err = time.Parse(time.DateOnly, o.to); err != nil {
			return from, to, hint(fmt.Errorf("--to %q is no day", o.to), "such as 2026-09-30")
		}
		to = to.AddDate(0, 0, 1)
	}
	if !from.Before(to) {
		return from, to, errors.New("--from is after --to")
	}
	return from, to, nil
}

func (env *Env) report(ctx context.Context, o *reportOptions) error {
	now := time.Now
	if env.Now != nil {
		now = env.Now
	}
	from, to, err := o.days(now())
	if err != nil {
		return err
	}
	if o.format != "text" && o.format != "json" {
		return hint(fmt.Errorf("unknown format %q", o.format), "use text or json")
	}
	return env.reading(ctx, func(s *store.Store, _ *Config) error {
		var ledger []store.Record
		var courses []store.Course
		keys := map[string]*store.Credential{}
		all, err := s.Installations(ctx)
		if err != nil {
			return err
		}
		for i := range all {
			if o.account != "" && !strings.EqualFold(all[i].Account, o.account) {
				continue
			}
			// One key may be known to several installations, with a life in each.
			name := func(fp string) string { return fmt.Sprint(all[i].ID, " ", fp) }
			if err := s.Ledger(ctx, all[i].ID, "", func(r store.Record) error {
				r.Fingerprint = name(r.Fingerprint)
				ledger = append(ledger, r)
				return nil
			}); err != nil {
				return err
			}
			more, err := s.Courses(ctx, all[i].ID)
			if err != nil {
				return err
			}
			for _, c := range more {
				c.Fingerprint = name(c.Fingerprint)
				courses = append(courses, c)
			}
			creds, err := s.Credentials(ctx, all[i].ID, store.States()...)
			if err != nil {
				return err
			}
			for _, c := range creds {
				keys[name(c.Fingerprint)] = c
			}
		}
		f := rotation.Measure(from, to, ledger, keys, courses)
		if o.format == "json" {
			return env.writeJSON(f)
		}
		return env.figures(f)
	})
}

// figures prints what was counted.
func (env *Env) figures(f *rotation.Figures) error {
	var b bytes.Buffer
	first := "the first record"
	if !f.From.IsZero() {
		first = f.From.Format(time.DateOnly)
	}
	fmt.Fprintf(&b, "Rotation from %s to %s (UTC)\n\n", first, f.To.UTC().Format("2006-01-02 15:04"))
	row := func(name string, n int) { fmt.Fprintf(&b, "%-26s %6d\n", name, n) }
	row("Found", f.Found)
	row("Acknowledged", f.Acknowledged)
	row("Revoked", f.Revoked)
	row("Closed with evidence", f.Proved)
	row("Closed without evidence", f.Unproved)
	row("False positives", f.Denied)
	row("Accepted risks", f.Accepted)
	row("Regressions", f.Regressions)
	row("Reminders", f.Reminders)
	fmt.Fprintf(&b, "\n%-26s %6.1f %%  %d in time, %d late\n", "Revoked in time", f.Hit, f.Met, f.Missed)
	fmt.Fprintf(&b, "\n%-26s %6s %9s %9s %9s\n", "Hours", "keys", "median", "90 %", "most")
	for _, s := range []struct {
		name string
		s    rotation.Spread
	}{{"Until acknowledged", f.Acknowledge}, {"Until revoked", f.Revoke}, {"First commit to revoked", f.Exposure}, {"Age of those not revoked", f.Age}} {
		fmt.Fprintf(&b, "%-26s %6d %9.1f %9.1f %9.1f\n", s.name, s.s.Count, s.s.Median, s.s.P90, s.s.Most)
	}
	b.WriteString("\nAt the end\n")
	for _, s := range life.States() {
		if n := f.States[string(s)]; n > 0 {
			row("  "+string(s), n)
		}
	}
	if len(f.DeniedRules) > 0 {
		b.WriteString("\nFalse positives by rule\n")
		for _, rule := range slices.Sorted(maps.Keys(f.DeniedRules)) {
			row("  "+rule, f.DeniedRules[rule])
		}
	}
	_, err := env.Stdout.Write(b.Bytes())
	return err
}
