package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
)

func newAllow(env *Env) *cobra.Command {
	var reason, until string
	c := &cobra.Command{
		Use:   "allow FINGERPRINT...",
		Short: "Write down in the policy that a finding is no key, and why",
		Long: `Allow adds an exception for the findings of these fingerprints, as reports show
them, to .keyward.toml, with your reason. It holds once it is committed, wherever
the value stands.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return env.allow(c.Context(), args, reason, until) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why it is no key (required)")
	c.Flags().StringVar(&until, "until", "", "the last day on which the exception holds, such as 2027-01-31")
	return c
}

// allow appends an exception to the policy file.
func (env *Env) allow(ctx context.Context, prints []string, reason, until string) error {
	if strings.TrimSpace(reason) == "" {
		return hint(errors.New("allow: give a --reason: it is kept beside the exception"), "nothing was changed")
	}
	reason = string(env.guard.clean([]byte(reason)))
	for i := range prints {
		prints[i] = strings.ToLower(prints[i])
	}
	root := env.path(".")
	if repo, err := git.Open(ctx, root, git.Options{Getenv: env.Getenv}); err == nil && !repo.Bare {
		root = repo.Dir
	}
	name, old, err := policyFile(root)
	if err != nil {
		return err
	}
	table := struct {
		Allow []any `toml:"allow"`
	}{[]any{struct {
		Fingerprints []string        `toml:"fingerprints"`
		Reason       string          `toml:"reason"`
		Expires      *toml.LocalDate `toml:"expires,omitempty"`
	}{prints, reason, nil}}}
	text, err := toml.Marshal(table)
	if err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	if until != "" {
		day, err := time.Parse(time.DateOnly, until)
		if err != nil {
			return hint(fmt.Errorf("--until %q is no date", until), "write it as 2027-01-31; nothing was changed")
		}
		text = append(text, "expires = "+day.Format(time.DateOnly)+"\n"...)
	}
	if len(old) > 0 {
		text = append([]byte("\n"), text...)
		if !bytes.HasSuffix(old, []byte("\n")) {
			text = append([]byte("\n"), text...)
		}
	}
	whole := append(old, text...)
	if _, err := policy.Parse(name, whole); err != nil {
		return hint(err, "nothing was changed")
	}
	if err := replaceFile(filepath.Join(root, filepath.FromSlash(name)), whole); err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	fmt.Fprintf(env.Stdout, "%s: allowed, for the reason given. Commit it: git add %s\n", name, name)
	return nil
}

// policyFile returns the policy file of a work tree, or where it would be.
func policyFile(root string) (name string, data []byte, err error) {
	for _, name := range policy.Names() {
		data, err := policy.ReadRegular(filepath.Join(root, filepath.FromSlash(name)), policy.MaxFile)
		if err == nil {
			return name, data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, hint(fmt.Errorf("policy %s: %w", name, err), "nothing was changed")
		}
	}
	return policy.Names()[0], nil, nil
}
