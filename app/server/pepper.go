package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/store"
)

func newPepper(env *Env) *cobra.Command {
	pepper := &cobra.Command{Use: "pepper", Short: "Replace the pepper", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	pepper.AddCommand(&cobra.Command{
		Use: "rotate", Short: "Finish the change to a new pepper", Args: cobra.NoArgs,
		Long: `Rotate finishes the change to a new pepper:

1. Create one: openssl rand -hex 32
2. Append the present pepper to KEYWARD_OLD_PEPPERS, and set KEYWARD_PEPPER to the new one.
3. Stop all processes of Keyward and start them with the new settings.
4. Run keyward-app pepper rotate, with the same settings.

Rotate verifies the ledger, seals every state with the new pepper, and has the open issues
updated: their markers get new MACs. Then it writes to the ledger of each installation that
the former peppers count no more for what is written from now on. You can interrupt it and
run it again.

Keep the former peppers in KEYWARD_OLD_PEPPERS: known credentials, ledger records and
receipts made under them need them for reading.`,
		RunE: func(c *cobra.Command, _ []string) error { return env.rotatePepper(c.Context()) },
	})
	return pepper
}

func (env *Env) rotatePepper(ctx context.Context) error {
	cfg, err := env.config(ctx, false)
	if err != nil {
		return err
	}
	peppers, err := cfg.peppers(ctx)
	if err != nil {
		return err
	}
	if len(peppers) == 1 {
		return hint(errors.New("KEYWARD_OLD_PEPPERS is not set: there is no former pepper to change from"), "keyward-app pepper rotate --help shows the steps")
	}
	s, err := cfg.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := env.migrate(ctx, s); err != nil {
		return err
	}
	seal := peppers.Seal()
	if _, forged, err := s.VerifyLedger(ctx, seal); err != nil {
		return err
	} else if len(forged) > 0 {
		return hint(fmt.Errorf("the ledger is not as it was written: %d problems. Nothing was changed", len(forged)), "keyward-app ledger verify names them")
	}
	all, err := s.Installations(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if err := env.rotateInstallation(ctx, s, seal, &all[i]); err != nil {
			return hint(err, "run keyward-app pepper rotate again: it goes on where it stopped")
		}
	}
	_, err = fmt.Fprintf(env.Stdout, "Pepper %s is in use. Keep the former ones in KEYWARD_OLD_PEPPERS.\n", rotation.KeyID(peppers.Current()))
	return err
}

// rotateInstallation seals the states of one installation with the present pepper.
func (env *Env) rotateInstallation(ctx context.Context, s *store.Store, seal *store.Seal, inst *store.Installation) error {
	const atOnce = 500
	sealed := 0
	for {
		list, err := s.Unsealed(ctx, seal, inst.ID, atOnce)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, fingerprint := range list {
			if err := s.Reseal(ctx, seal, inst.ID, fingerprint); err != nil {
				return err
			}
			sealed++
		}
	}
	now := time.Now
	if env.Now != nil {
		now = env.Now
	}
	pinned, err := s.Pin(ctx, seal, inst.ID, now())
	if err != nil {
		return err
	}
	said := "already on this pepper"
	if pinned || sealed > 0 {
		said = fmt.Sprintf("%d states sealed with the new pepper; serve updates the open issues", sealed)
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: %s\n", inst.Account, said)
	return err
}
