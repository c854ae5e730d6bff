package server

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/store"
)

func newLedger(env *Env) *cobra.Command {
	ledger := &cobra.Command{Use: "ledger", Short: "The record of what happened to each key", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	ledger.AddCommand(&cobra.Command{
		Use: "verify", Short: "Check that no record was changed, removed or added", Args: cobra.NoArgs,
		Long: "Verify reads every record of the ledger. Each carries a MAC over itself and the record before it,\nunder a key that is made of the pepper: who can write to the database alone can not forge one.",
		RunE: func(c *cobra.Command, _ []string) error {
			return env.reading(c.Context(), func(s *store.Store, cfg *Config) error {
				n, forged, err := s.VerifyLedger(c.Context(), rotation.LedgerKey([]byte(cfg.Pepper)))
				if err != nil {
					return err
				}
				for _, f := range forged {
					if _, err := fmt.Fprintln(env.Stdout, f); err != nil {
						return err
					}
				}
				if len(forged) > 0 {
					return hint(fmt.Errorf("the ledger is not as it was written: %d problems in %d records", len(forged), n),
						"compare the records with a backup; if all are named, the pepper is not the one they were written with")
				}
				_, err = fmt.Fprintf(env.Stdout, "%d records, each as it was written\n", n)
				return err
			})
		},
	})
	return ledger
}
