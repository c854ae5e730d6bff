package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/keyward/keyward/app/store"
)

// queueVersions names, for each version of River's tables, the oldest release that works
// with it, as oldest-release does in our own migrations. Whoever updates River to a
// version with more migrations adds them here.
var queueVersions = []string{
	store.Unnumbered, store.Unnumbered, store.Unnumbered, store.Unnumbered, // 1 to 4
	store.Unnumbered, store.Unnumbered, store.Unnumbered, store.Unnumbered, // 5 to 8
}

// migrator is what is used of River's migrations.
type migrator interface {
	AllVersions() []rivermigrate.Migration
	Migrate(context.Context, rivermigrate.Direction, *rivermigrate.MigrateOpts) (*rivermigrate.MigrateResult, error)
}

// Migrate brings the queue's tables up to date, and returns the names of the migrations
// that it applied. [store.Store.Migrate] has to run first: it refuses a database whose
// queue needs a newer release.
func Migrate(ctx context.Context, s *store.Store) (applied []string, err error) {
	unlock, err := lock(ctx, s.Pool)
	if err != nil {
		return nil, fmt.Errorf("migrate the queue: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	m, err := newMigrator(s)
	if err != nil {
		return nil, fmt.Errorf("migrate the queue: %w", err)
	}
	known := m.AllVersions()
	if err := newerQueue(ctx, s, known[len(known)-1].Version); err != nil {
		return nil, err
	}
	for _, v := range known { // before it is applied: an older release must not miss it
		oldest := store.Release
		if v.Version <= len(queueVersions) {
			oldest = queueVersions[v.Version-1]
		}
		if err := s.RecordMigration(ctx, queueMigration(v.Version), oldest); err != nil {
			return nil, err
		}
	}
	res, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return nil, fmt.Errorf("migrate the queue: %w", err)
	}
	for _, v := range res.Versions {
		applied = append(applied, queueMigration(v.Version))
	}
	return applied, nil
}

// queueMigration is the name under which a version of River's tables is recorded.
func queueMigration(version int) string { return fmt.Sprintf("queue_%03d", version) }

// newerQueue returns a [store.TooOldError] if the queue's tables have a version that this
// release does not know and that no release recorded: somebody else migrated them. A
// version that a newer release recorded was judged with all other migrations.
func newerQueue(ctx context.Context, s *store.Store, known int) error {
	version, err := s.QueueVersion(ctx)
	if err != nil || version <= known {
		return err
	}
	name := queueMigration(version)
	recorded, err := s.HasMigration(ctx, name)
	if err != nil || recorded {
		return err
	}
	return &store.TooOldError{Migration: name, Release: store.Release}
}

func newMigrator(s *store.Store) (migrator, error) {
	config := &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)}
	if s.Pool != nil {
		return rivermigrate.New[pgx.Tx](riverpgxv5.New(s.Pool), config)
	}
	return rivermigrate.New[*sql.Tx](riversqlite.New(s.DB), config)
}

// lock lets one process at a time migrate the queue. SQLite has one process only.
func lock(ctx context.Context, pool *pgxpool.Pool) (unlock func() error, err error) {
	if pool == nil {
		return func() error { return nil }, nil
	}
	const id = 7310245983
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", id); err != nil {
		conn.Release()
		return nil, err
	}
	return func() error {
		defer conn.Release()
		_, err := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", id)
		return err
	}, nil
}
