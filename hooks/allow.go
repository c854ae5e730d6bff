package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
)

func newAllow(env *Env) *cobra.Command {
	var reason, until string
	var force bool
	c := &cobra.Command{
		Use:   "allow FINGERPRINT...",
		Short: "Write down in the policy that a finding is no key, and why",
		Long: `Allow adds an exception for the findings of these fingerprints, as reports show
them, to .keyward.toml, with your reason, wherever the value stands. It holds here at
once, and for others once it is committed.`,
		Args: needs("the fingerprint of a finding", "reports show it"),
		RunE: func(c *cobra.Command, args []string) error { return env.allow(c.Context(), args, reason, until, force) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why it is no key (required)")
	c.Flags().BoolVar(&force, "force", false, "write it even if no finding has this fingerprint")
	c.Flags().StringVar(&until, "until", "", "the last day on which the exception holds, such as 2027-01-31")
	return c
}

// allow appends an exception to the policy file.
func (env *Env) allow(ctx context.Context, prints []string, reason, until string, force bool) error {
	reason = strings.TrimSpace(env.guard.String(reason))
	e := exception{Fingerprints: prints, Reason: reason}
	if err := e.check(until, env.Now()); err != nil {
		return hint(err, "nothing was changed")
	}
	s, err := env.begin(ctx, env.path("."), &setup{})
	if err != nil {
		return err
	}
	if s.repo != nil && s.repo.Bare {
		return hint(errors.New("allow: a bare repository has no files to change"), "nothing was changed")
	}
	for _, known := range s.policy.Allow {
		if slices.Equal(known.Fingerprints, prints) && len(known.Rules)+len(known.Paths) == 0 {
			fmt.Fprintf(env.Stdout, "%s allows it already: %s\n", s.policy.Path, known.Reason)
			return nil
		}
	}
	if !force {
		if err := env.mustExist(ctx, prints); err != nil {
			return err
		}
	}
	text, err := marshalExceptions(e)
	if err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	if until != "" {
		text = append(text, "expires = "+until+"\n"...)
	}
	name, err := env.addToPolicy(ctx, s, text)
	if err != nil {
		return err
	}
	shown := env.relative(filepath.Join(s.root, filepath.FromSlash(name)))
	fmt.Fprintf(env.Stdout, "%s: allowed, for the reason given. Commit it, so that it holds for others too:\n  git add %s\n", shown, quoteArg(shown))
	return nil
}

// mustExist returns an error that names the fingerprints that no finding has: one that was
// mistyped, or made in another repository, would allow nothing.
func (env *Env) mustExist(ctx context.Context, prints []string) error {
	left := slices.Clone(prints)
	complete, err := env.everywhere(ctx, func(_ *job, keys []*scanner.Key) bool {
		left = slices.DeleteFunc(left, func(fp string) bool {
			return slices.ContainsFunc(keys, func(k *scanner.Key) bool {
				return slices.ContainsFunc(k.Fingerprints(), func(full string) bool { return strings.HasPrefix(full, fp) })
			})
		})
		return len(left) == 0
	})
	if err != nil || len(left) == 0 {
		return err
	}
	where := "here: not in what is staged, the files, or the history"
	if !complete {
		where = "in what could be scanned"
	}
	return hint(fmt.Errorf("allow: no finding has the fingerprint %s %s", strings.Join(left, " or "), where),
		"nothing was changed: copy it from the report, or write it all the same with --force")
}

// addToPolicy adds tables to the policy of a work tree, and returns the name of its file.
func (env *Env) addToPolicy(ctx context.Context, s *session, text []byte) (name string, err error) {
	name, old, err := policyFile(s.root)
	if err != nil {
		return "", err
	}
	var head []byte
	if s.policy.Repository == "" && env.Getenv("KEYWARD_PEPPER") == "" {
		// without it the fingerprints would change with the first commit, or with an origin
		if head, err = toml.Marshal(map[string]string{"repository": s.identity(ctx)}); err != nil {
			return "", fmt.Errorf("write policy %s: %w", name, err)
		}
	}
	whole := joinTOML(head, old, text)
	if _, err := policy.Parse(name, whole); err != nil {
		return "", hint(err, "nothing was changed")
	}
	if err := replaceFile(filepath.Join(s.root, filepath.FromSlash(name)), whole); err != nil {
		return "", fmt.Errorf("write policy %s: %w", name, err)
	}
	return name, nil
}

// joinTOML puts parts of a TOML file together, a blank line between them.
func joinTOML(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		if len(bytes.TrimSpace(p)) == 0 {
			continue
		}
		if len(out) > 0 {
			out = append(bytes.TrimRight(out, "\r\n"), "\n\n"...)
		}
		out = append(out, p...)
	}
	return out
}

// An exception as it is written.
type exception struct {
	Fingerprints []string `toml:"fingerprints,omitempty"`
	Paths        []string `toml:"paths,omitempty"`
	Reason       string   `toml:"reason"`
}

// marshalExceptions returns exceptions as tables of a policy.
func marshalExceptions(list ...exception) ([]byte, error) {
	return toml.Marshal(map[string][]exception{"allow": list})
}

func (e *exception) check(until string, now time.Time) error {
	for i, fp := range e.Fingerprints {
		e.Fingerprints[i] = strings.ToLower(fp)
		if len(fp) < 12 || strings.Trim(e.Fingerprints[i], "0123456789abcdef") != "" {
			return errors.New("allow takes fingerprints: at least 12 hexadecimal digits, as reports show them")
		}
	}
	switch {
	case e.Reason == "":
		return errors.New("allow: give a --reason: it is kept beside the exception")
	case len(e.Reason) < 3 || e.Reason == "why it is none":
		return errors.New("allow: the --reason is too short: say in your own words why it is no key")
	}
	if until == "" {
		return nil
	}
	day, err := time.Parse(time.DateOnly, until)
	if err != nil {
		return fmt.Errorf("--until %q is no date: write it as 2027-01-31", until)
	}
	if now.After(day.AddDate(0, 0, 1)) {
		return fmt.Errorf("--until %s is past", until)
	}
	return nil
}

// relative is a path as the user would name it from where they are.
func (env *Env) relative(full string) string {
	here, err := filepath.Abs(env.path("."))
	if err != nil {
		return full
	}
	if rel, err := filepath.Rel(here, full); err == nil {
		return rel
	}
	return full
}

// quoteArg writes a path so that a shell takes it for one argument and no flag.
func quoteArg(s string) string {
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+=:,@%-") == "" {
		return s
	}
	return quoteShell(s)
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
