package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/jobs"
	"github.com/keyward/keyward/app/store"
)

func newMigrate(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the database up to date (serve does so by itself)", Args: cobra.NoArgs,
		Long: `Migrate applies the migrations of this release and prints their names, or "nothing to do".
The database then works with this release and with the one before it. A database that a
newer release has migrated is left as it is; if this release cannot work with it, the
command fails and names the release that can.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := env.config(c.Context(), false)
			if err != nil {
				return err
			}
			s, err := cfg.open(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			applied, err := env.migrate(c.Context(), s)
			if err != nil {
				return err
			}
			if len(applied) == 0 {
				applied = []string{"nothing to do"}
			}
			_, err = fmt.Fprintf(env.Stdout, "%s: %s\n", cfg.databaseName(), strings.Join(applied, ", "))
			return err
		},
	}
}

// migrate applies the migrations of this release, and of its queue.
func (env *Env) migrate(ctx context.Context, s *store.Store) (applied []string, err error) {
	if applied, err = env.migrateStore(ctx, s); err != nil {
		return nil, err
	}
	queue, err := jobs.Migrate(ctx, s)
	return append(applied, queue...), newerRelease(err)
}

// migrateStore applies the migrations of this release, without those of the queue.
func (env *Env) migrateStore(ctx context.Context, s *store.Store) ([]string, error) {
	sc, err := env.schema()
	if err != nil {
		return nil, err
	}
	applied, err := s.MigrateTo(ctx, sc)
	if err != nil {
		return nil, newerRelease(fmt.Errorf("migrate the database: %w", err))
	}
	return applied, nil
}

func (env *Env) schema() (store.Schema, error) {
	if env.Schema != nil {
		return *env.Schema, nil
	}
	return store.CurrentSchema()
}

// newerRelease adds what to do to an error that says that the database needs a newer release.
func newerRelease(err error) error {
	var old *store.TooOldError
	if !errors.As(err, &old) {
		return err
	}
	return hint(err, newerReleaseHints(old)...)
}

func newerReleaseHints(old *store.TooOldError) []string {
	install := "install release " + old.Needs + " or later"
	if old.Needs == "" {
		install = "install the release that applied the migration"
	}
	return []string{install, "or restore the backup made before the upgrade: docs/operations.md, Roll back"}
}
