package server

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/store"
)

// maxReceipt is how large a receipt may be.
const maxReceipt = 1 << 20

func newReceipt(env *Env) *cobra.Command {
	receipt := &cobra.Command{Use: "receipt", Short: "Signed statements of what was proved of a key that is dead", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var key string
	check := &cobra.Command{
		Use: "verify [FILE]", Short: "Check the signature of a receipt; standard input without a file", Args: cobra.MaximumNArgs(1),
		Long: "Verify checks that a receipt is as it was signed. With --key it has to be by that key, which needs no\nconfiguration; without, by a key of this App. Those are made of its peppers.",
		RunE: func(c *cobra.Command, args []string) error { return env.checkReceipt(c.Context(), key, args) },
	}
	check.Flags().StringVar(&key, "key", "", "public key, base64, as receipt key prints it")
	receipt.AddCommand(check,
		&cobra.Command{Use: "key", Short: "Print the public key of new receipts", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			keys, err := env.receiptKeys(c.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(env.Stdout, base64.StdEncoding.EncodeToString(keys[0]))
			return err
		}},
		&cobra.Command{Use: "show KEY", Short: "Print the receipt of a key, named by its alias or the beginning of its fingerprint", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return env.reading(c.Context(), func(s *store.Store, cfg *Config) error {
				found, err := named(c.Context(), s, args[0])
				if err != nil {
					return err
				}
				e := &found[0]
				if len(found) > 1 {
					return hint(fmt.Errorf("%d keys begin with %q", len(found), args[0]), "name one by more digits of its fingerprint")
				}
				cred, err := s.Credential(c.Context(), e.installation, e.Fingerprint)
				if err != nil {
					return err
				}
				peppers, err := cfg.peppers(c.Context())
				if err != nil {
					return err
				}
				ledger, err := s.Proven(c.Context(), peppers.Seal(), e.installation, e.Fingerprint)
				if err != nil {
					return hint(fmt.Errorf("%s has no receipt: %w", e.Alias, err), "keyward-app ledger verify names every record that was changed")
				}
				r, err := rotation.NewReceipt(peppers, cred, ledger)
				if errors.Is(err, rotation.ErrNotClosed) {
					return hint(fmt.Errorf("%s has no receipt: %w", e.Alias, err), "keyward-app keys show "+e.Alias+" tells what is missing")
				}
				if err != nil {
					return err
				}
				return env.writeJSON(r)
			})
		}})
	return receipt
}

// receiptKeys are the public keys of this App, the present one first.
func (env *Env) receiptKeys(ctx context.Context) ([]ed25519.PublicKey, error) {
	cfg, err := env.config(ctx, false)
	if err != nil {
		return nil, err
	}
	peppers, err := cfg.peppers(ctx)
	if err != nil {
		return nil, hint(err, "use the pepper of keyward-app serve; receipt verify also takes the public key itself (--key)")
	}
	return peppers.ReceiptKeys(), nil
}

func (env *Env) checkReceipt(ctx context.Context, key string, args []string) (err error) {
	var public []ed25519.PublicKey
	if key == "" {
		public, err = env.receiptKeys(ctx)
	} else {
		public = make([]ed25519.PublicKey, 1)
		if public[0], err = base64.StdEncoding.DecodeString(key); err == nil && len(public[0]) != ed25519.PublicKeySize {
			err = errors.New("it is too short or too long")
		}
	}
	if err != nil {
		return hint(fmt.Errorf("public key of receipts: %w", err), "keyward-app receipt key prints it")
	}
	in := env.Stdin
	if len(args) == 1 {
		f, err := os.Open(args[0])
		if err != nil {
			return fmt.Errorf("read the receipt: %w", err)
		}
		defer f.Close()
		in = f
	}
	if in == nil {
		return hint(errors.New("no receipt"), "name a file, or give one on standard input")
	}
	text, err := io.ReadAll(io.LimitReader(in, maxReceipt))
	if err != nil {
		return fmt.Errorf("read the receipt: %w", err)
	}
	r, err := rotation.ReadReceipt(text, public...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s (%s), closed on %s UTC\n%s\n%d facts, record %d of the ledger of installation %d\nsignature: good\n", r.Key, r.Kind, r.Closed.UTC().Format("2006-01-02 15:04"), r.Statement, len(r.Proof), r.Ledger.Record, r.Ledger.Installation)
	return err
}
