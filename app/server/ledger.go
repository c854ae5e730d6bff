package server

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/store"
)

func newLedger(env *Env) *cobra.Command {
	ledger := &cobra.Command{Use: "ledger", Short: "The record of what happened to each key", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var heads bool
	var expect []string
	verify := &cobra.Command{
		Use: "verify", Short: "Check that no record was changed, removed or added", Args: cobra.NoArgs,
		Long: `Verify reads every record of the ledger. Each carries a MAC over itself and the record before
it, under a key that is made of the pepper: who can write to the database alone can not forge
one. They can cut off the last ones, though: --heads prints the ends of the ledgers, to be kept
elsewhere, and --expect says later whether they are still there.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return env.reading(c.Context(), func(s *store.Store, cfg *Config) error {
				peppers, err := cfg.peppers(c.Context())
				if err != nil {
					return hint(err, "use the pepper of keyward-app serve: the ledger's MACs are made with it")
				}
				return env.verifyLedger(c.Context(), s, peppers.Seal(), heads, expect)
			})
		},
	}
	verify.Flags().BoolVar(&heads, "heads", false, "print the last record of each installation as INSTALLATION:RECORD:MAC")
	verify.Flags().StringArrayVar(&expect, "expect", nil, "a head that was printed before: the ledger still has to have it; may be repeated")
	ledger.AddCommand(verify)
	return ledger
}

func (env *Env) verifyLedger(ctx context.Context, s *store.Store, seal *store.Seal, heads bool, expect []string) error {
	n, forged, err := s.VerifyLedger(ctx, seal)
	if err != nil {
		return err
	}
	if n == 0 && len(forged) == 0 && len(expect) == 0 {
		_, err = fmt.Fprintln(env.Stdout, "the ledger has no records: no key was found yet")
		return err
	}
	for _, text := range expect {
		h, err := store.ParseHead(text)
		if err != nil {
			return hint(err, "keyward-app ledger verify --heads prints it")
		}
		if ok, err := s.Has(ctx, h); err != nil {
			return err
		} else if !ok {
			forged = append(forged, store.Forgery{Installation: h.Installation, Seq: h.Seq, Problem: "it was there when the head was printed, and is gone or another one"})
		}
	}
	for _, f := range forged {
		if _, err := fmt.Fprintln(env.Stdout, f); err != nil {
			return err
		}
	}
	if len(forged) > 0 {
		return hint(fmt.Errorf("the ledger is not as it was written: %d problems in %d records", len(forged), n),
			"compare the records with a backup; if all are named, the pepper is not the one they were written with; former ones belong in KEYWARD_OLD_PEPPERS")
	}
	if heads {
		list, err := s.Heads(ctx)
		if err != nil {
			return err
		}
		for _, h := range list {
			if _, err := fmt.Fprintln(env.Stdout, h); err != nil {
				return err
			}
		}
	}
	_, err = fmt.Fprintf(env.Stdout, "%d records, each as it was written\n", n)
	return err
}
