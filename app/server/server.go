// Package server is the command keyward-app: its configuration, its commands, and the
// one place where the rooms of the App are wired together.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/jobs"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/guard"
)

// Env is what the command is run with.
type Env struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Environ        func() []string   // all variables, as os.Environ; nil: unknown ones go unnoticed
	Transport      http.RoundTripper // to the providers of keys; http.DefaultTransport if nil
	Now            func() time.Time  // by which keys live; time.Now if nil
	Schema         *store.Schema     // of the database; that of this release if nil

	guard *guard.Guard
}

// hinted is an error with what to do about it.
type hinted struct {
	error
	hints []string
}

func hint(err error, hints ...string) error { return &hinted{err, hints} }

func (h *hinted) Unwrap() error { return h.error }

// Main runs the command until it is done or ctx ends, and returns its exit code: 0, or
// 2 if something went wrong.
func Main(ctx context.Context, env Env) int {
	env.guard = &guard.Guard{}
	env.Stdout, env.Stderr = env.guard.Writer(env.Stdout), env.guard.Writer(env.Stderr)
	root := &cobra.Command{
		Use:   "keyward-app",
		Short: "The GitHub App that checks every push and pull request, and gets leaked keys rotated",
		Long: `Keyward-app answers the webhooks of a GitHub App: it scans every commit that is pushed,
shows what it found as a check, and opens one rotation issue for each key.

It is configured by a file (KEYWARD_CONFIG, by default keyward-app.toml in the data
directory) and by the environment, which wins. "keyward-app setup" makes both.`,
		SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs, Version: version(),
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(newServe(&env), newSetup(&env), newMigrate(&env), newDoctor(&env), newRedeliver(&env), newKeys(&env), newLedger(&env), newReceipt(&env), newReport(&env), newForget(&env), newPepper(&env))
	root.SetArgs(env.Args)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(env.Stderr, "keyward-app: error: %v\n", err) // nowhere else to say it
	var h *hinted
	if errors.As(err, &h) {
		for _, s := range h.hints {
			_, _ = fmt.Fprintf(env.Stderr, "hint: %s\n", s) // the same
		}
	}
	return 2
}

// open opens the database that the configuration names.
func (c *Config) open(ctx context.Context) (*store.Store, error) {
	if !store.Postgres(c.Database) {
		if scheme, _, is := strings.Cut(c.Database, "://"); is {
			return nil, hint(fmt.Errorf("KEYWARD_DATABASE_URL: unknown scheme %q", scheme), "use postgres://USER:PASSWORD@HOST/NAME, or the name of a SQLite file")
		}
		if err := os.MkdirAll(filepath.Dir(c.Database), 0o700); err != nil {
			return nil, fmt.Errorf("make the directory of the database: %w", err)
		}
	}
	s, err := store.Open(ctx, c.Database)
	if err == nil {
		if err = s.Ping(ctx); err != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if err != nil {
		return nil, hint(err, "KEYWARD_DATABASE_URL is a PostgreSQL URL or the name of a SQLite file; without it a file in the data directory is used")
	}
	return s, nil
}

func newRedeliver(env *Env) *cobra.Command {
	var since time.Duration
	var dead bool
	c := &cobra.Command{
		Use: "redeliver", Short: "Ask GitHub for the deliveries again that failed, or try dead jobs again", Args: cobra.NoArgs,
		Long: "Redeliver asks GitHub to send every delivery again that was never taken (serve does so at its start and every hour).\nWith --dead it puts jobs back to work that were tried as often as allowed.",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := env.config(c.Context(), true)
			if err != nil {
				return err
			}
			if dead {
				s, err := cfg.open(c.Context())
				if err != nil {
					return err
				}
				defer s.Close()
				n, err := s.Revive(c.Context())
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(env.Stdout, "%d dead jobs are tried again\n", n)
				return err
			}
			app, err := cfg.app(nil, nil)
			if err != nil {
				return err
			}
			n, err := jobs.Redeliver(c.Context(), app, time.Now().Add(-since))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Stdout, "GitHub was asked for %d deliveries again\n", n)
			return err
		},
	}
	c.Flags().DurationVar(&since, "since", 72*time.Hour, "how far back to look; GitHub keeps three days")
	c.Flags().BoolVar(&dead, "dead", false, "put dead jobs back to work instead")
	return c
}

// newLog returns the log of the server: JSON, a line each, nothing of a key in it.
func newLog(env *Env, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(env.Stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.StringValue(a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
		}
		return a
	}}))
}
