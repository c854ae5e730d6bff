package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
)

// loginRE is a login of GitHub, also of an App or a managed user.
var loginRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$`)

func newForget(env *Env) *cobra.Command {
	var id int64
	var logins []string
	c := &cobra.Command{
		Use: "forget --user ID", Short: "Erase a person from the database, by the id of the account", Args: cobra.NoArgs,
		Long: `Forget replaces a person's login by "` + store.Erased + `" in waivers, settings, notes, results of scans
and finished jobs, and takes issues from the person: each gets another owner. GitHub gives
the login of the id; https://api.github.com/users/LOGIN shows the id of a login. If the
account is deleted on GitHub, or had other logins before, name them with --login.

Forget does not change the ledger. Its records prove who decided what, and each carries a
MAC over itself and the record before: a changed record would be reported as forged. They
keep the login until the App is uninstalled from the organisation. Your organisation needs
a legal basis for that, such as the defence of legal claims (GDPR, article 17(3)(e)).

Forget does not change issues and comments on GitHub, logs and backups either. Before you
run it, remove the person from CODEOWNERS files and policies: Keyward reads them again.`,
		RunE: func(c *cobra.Command, _ []string) error {
			for i, login := range logins {
				if logins[i] = strings.TrimPrefix(login, "@"); !loginRE.MatchString(logins[i]) {
					return fmt.Errorf("--login: invalid login %q", login)
				}
			}
			if id <= 0 {
				return hint(errors.New("--user: missing or invalid: expected the id of an account"), "https://api.github.com/users/LOGIN shows the id of a login")
			}
			return env.forget(c.Context(), id, logins)
		},
	}
	c.Flags().Int64Var(&id, "user", 0, "id of the person's account on GitHub")
	c.Flags().StringSliceVar(&logins, "login", nil, "login of the account, now or before; then GitHub is not asked")
	return c
}

func (env *Env) forget(ctx context.Context, id int64, logins []string) error {
	cfg, err := env.config(ctx, len(logins) == 0)
	if err != nil {
		return err
	}
	s, err := cfg.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := env.migrate(ctx, s); err != nil {
		return err
	}
	if len(logins) == 0 {
		login, err := cfg.login(ctx, s, id)
		if err != nil {
			return hint(err, "if the account is deleted, or GitHub cannot be reached: name the login with --login")
		}
		logins = []string{login}
	}
	e, err := s.Erase(ctx, id, logins)
	if err != nil {
		return err
	}
	return env.erased(id, e)
}

// login asks GitHub for the login of an account, as the first installation there is.
func (c *Config) login(ctx context.Context, s *store.Store, id int64) (string, error) {
	all, err := s.Installations(ctx)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", errors.New("look up the login: the App is not installed anywhere")
	}
	app, err := c.app(nil, nil)
	if err != nil {
		return "", err
	}
	u, _, err := app.Installation(all[0].ID).Users.GetByID(ctx, id)
	if github.Status(err) == http.StatusNotFound {
		return "", fmt.Errorf("look up the login: there is no account %d on GitHub", id)
	}
	if err != nil {
		return "", fmt.Errorf("look up the login of account %d: %w", id, err)
	}
	return u.GetLogin(), nil
}

// erased prints what was erased, and what was kept.
func (env *Env) erased(id int64, e *store.Erasure) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Erased account %d (%s):\n", id, strings.Join(e.Logins, ", "))
	for _, n := range []struct {
		what string
		n    int64
	}{
		{"issues that get another owner", e.Issues}, {"credentials with waivers, orders or facts", e.Lives}, {"settings from policy files", e.Policies},
		{"notes", e.Notes}, {"scans", e.Scans}, {"finished jobs", e.Jobs},
	} {
		fmt.Fprintf(&b, "%6d %s\n", n.n, n.what)
	}
	b.WriteString("Kept:\n")
	fmt.Fprintf(&b, "%6d records of the ledger that name the person. They are evidence, and a changed\n       record would be reported as forged. Uninstalling the App deletes them.\n", e.Ledger)
	if e.Running > 0 {
		fmt.Fprintf(&b, "%6d jobs that are not finished. Run this command again when they are.\n", e.Running)
	}
	for _, account := range e.Accounts {
		fmt.Fprintf(&b, "       the installation on the account %s: uninstall the App there to delete it\n", account)
	}
	b.WriteString("       issues, comments and checks on GitHub, logs and backups\n")
	_, err := env.Stdout.Write(b.Bytes())
	return err
}
