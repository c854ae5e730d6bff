package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Release is the number of this release as MAJOR.MINOR. Patch releases do not change the
// schema. ReleaseBefore is the one before: the schema has to work with it, too, so that
// updates can roll and be rolled back. A release raises both; its tag begins with Release.
const (
	Release       = "1.0"
	ReleaseBefore = Unnumbered
)

// Unnumbered stands for everything before release 1.0.
const Unnumbered = "0.9"

//go:embed schema/*.sql
var embedded embed.FS

// A Schema is what a release knows of the database.
type Schema struct {
	Release string
	// Migrations is a directory of *.sql files, applied in the order of their names. The
	// line "-- oldest-release: 1.0" names the oldest release that works with the database
	// after the migration. A file without the line works with all releases.
	//
	// A migration that works with the release before only adds: tables, indexes, and columns
	// that have a default. Renaming or deleting takes two releases.
	Migrations fs.FS
}

// CurrentSchema returns the schema of this release.
func CurrentSchema() (Schema, error) {
	files, err := fs.Sub(embedded, "schema")
	return Schema{Release, files}, err
}

// A migration is one step of a schema.
type migration struct {
	name, oldest, text string
}

var oldestLine = regexp.MustCompile(`(?m)^-- oldest-release:(.*)$`)

func (sc *Schema) migrations() (list []migration, err error) {
	names, err := fs.Glob(sc.Migrations, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		text, err := fs.ReadFile(sc.Migrations, name)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", name, err)
		}
		m := migration{strings.TrimSuffix(name, ".sql"), Unnumbered, string(text)}
		if line := oldestLine.FindStringSubmatch(m.text); line != nil {
			m.oldest = strings.TrimSpace(line[1])
		}
		if _, err := parseRelease(m.oldest); err != nil {
			return nil, fmt.Errorf("migration %s: oldest-release: %w", m.name, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// parseRelease reads MAJOR.MINOR.
func parseRelease(s string) (n [2]int, err error) {
	major, minor, ok := strings.Cut(s, ".")
	if n[0], err = strconv.Atoi(major); err == nil {
		n[1], err = strconv.Atoi(minor)
	}
	if err != nil || !ok || n[0] < 0 || n[1] < 0 {
		return n, fmt.Errorf("invalid release %q: expected a number such as 1.2", s)
	}
	return n, nil
}

// olderRelease reports whether release a is older than b. A number that cannot be read
// counts as newer than all others: whoever wrote it is newer than this release.
func olderRelease(a, b string) bool {
	x, errA := parseRelease(a)
	y, errB := parseRelease(b)
	if errA != nil || errB != nil {
		return errB != nil && errA == nil
	}
	return slices.Compare(x[:], y[:]) < 0
}

// A TooOldError says that the database has a migration that this release cannot work with.
type TooOldError struct {
	Migration string
	Needs     string // the oldest release that can, "" if it is not recorded
	Release   string // this one
}

func (e *TooOldError) Error() string {
	if e.Needs == "" {
		return fmt.Sprintf("the database has the migration %s, which release %s does not know, and no record of the releases that do", e.Migration, e.Release)
	}
	return fmt.Sprintf("the database has the migration %s, which needs release %s or later; this is release %s", e.Migration, e.Needs, e.Release)
}

// Migrate brings the database to the schema of this release, as [Store.MigrateTo] does.
func (s *Store) Migrate(ctx context.Context) (applied []string, err error) {
	sc, err := CurrentSchema()
	if err != nil {
		return nil, err
	}
	return s.MigrateTo(ctx, sc)
}

// MigrateTo brings the database to a schema. It returns the names of the migrations that it
// applied. A database with a migration that needs a newer release is left as it is, and
// the error is a [TooOldError].
func (s *Store) MigrateTo(ctx context.Context, sc Schema) (applied []string, err error) {
	list, err := sc.migrations()
	if err != nil {
		return nil, err
	}
	err = s.schemaTx(ctx, func(tx *tx) error {
		applied = nil
		if err := tx.judge(&sc, list); err != nil {
			return err
		}
		for _, m := range list {
			done, err := tx.has("SELECT 1 FROM keyward_schema WHERE name = ?", m.name)
			if err != nil {
				return err
			}
			if done { // recorded by a release that did not record the oldest one
				if _, err := tx.exec("UPDATE keyward_schema SET oldest = ? WHERE name = ? AND oldest = ''", m.oldest, m.name); err != nil {
					return err
				}
				continue
			}
			if err := tx.apply(&m); err != nil {
				return fmt.Errorf("migration %s: %w", m.name, err)
			}
			applied = append(applied, m.name)
		}
		return nil
	})
	return applied, err
}

// RecordMigration records a migration of tables that another package owns, with the
// oldest release that works with it. It has to be recorded before it is applied: then no
// older release starts without knowing of it.
func (s *Store) RecordMigration(ctx context.Context, name, oldest string) error {
	if err := s.schemaTx(ctx, func(tx *tx) error { return tx.recordMigration(name, oldest) }); err != nil {
		return fmt.Errorf("record migration %s: %w", name, err)
	}
	return nil
}

// HasMigration reports whether a migration is recorded.
func (s *Store) HasMigration(ctx context.Context, name string) (bool, error) {
	var n int
	if err := s.row(ctx, "SELECT count(*) FROM keyward_schema WHERE name = ?", name).Scan(&n); err != nil {
		return false, fmt.Errorf("read migration %s: %w", name, err)
	}
	return n > 0, nil
}

// QueueVersion returns the version of the queue's tables, 0 if there are none.
func (s *Store) QueueVersion(ctx context.Context) (version int, err error) {
	tables := "SELECT count(*) FROM sqlite_master WHERE name = 'river_migration'"
	if s.Pool != nil {
		tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'river_migration'"
	}
	var n int
	if err = s.row(ctx, tables).Scan(&n); err == nil && n > 0 {
		err = s.row(ctx, "SELECT coalesce(max(version), 0) FROM river_migration").Scan(&version)
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the queue's tables: %w", err)
	}
	return version, nil
}

// CheckSchema returns a [TooOldError] if the database needs a newer release. It changes
// nothing.
func (s *Store) CheckSchema(ctx context.Context, sc Schema) error {
	list, err := sc.migrations()
	if err != nil {
		return err
	}
	return s.tx(ctx, func(tx *tx) error {
		if ok, err := tx.hasOldest(); err != nil || !ok {
			return err
		}
		return tx.judge(&sc, list)
	})
}

// schemaTx runs fn in a transaction that no other process can change the schema in.
func (s *Store) schemaTx(ctx context.Context, fn func(*tx) error) error {
	return s.tx(ctx, func(tx *tx) error {
		if tx.pg { // two processes may start at once
			if _, err := tx.exec("SELECT pg_advisory_xact_lock(7310245982)"); err != nil {
				return err
			}
		}
		if _, err := tx.exec("CREATE TABLE IF NOT EXISTS keyward_schema (name TEXT PRIMARY KEY, applied BIGINT NOT NULL)"); err != nil {
			return err
		}
		ok, err := tx.hasOldest()
		if err != nil {
			return err
		}
		if !ok { // releases before 1.0 made the table without it, and insert rows without it
			if _, err := tx.exec("ALTER TABLE keyward_schema ADD COLUMN oldest TEXT NOT NULL DEFAULT ''"); err != nil {
				return err
			}
		}
		return fn(tx)
	})
}

func (t *tx) hasOldest() (bool, error) {
	if t.pg {
		return t.has("SELECT 1 FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'keyward_schema' AND column_name = 'oldest'")
	}
	return t.has("SELECT 1 FROM pragma_table_info('keyward_schema') WHERE name = 'oldest'")
}

// judge returns a TooOldError for the recorded migration that needs the newest release, if
// that is newer than the schema's.
func (t *tx) judge(sc *Schema, list []migration) (err error) {
	known := map[string]bool{}
	for _, m := range list {
		known[m.name] = true
	}
	rows, err := t.QueryContext(t.ctx, "SELECT name, oldest FROM keyward_schema ORDER BY name")
	if err != nil {
		return err
	}
	defer rows.Close()
	var worst *TooOldError
	for rows.Next() {
		e := &TooOldError{Release: sc.Release}
		if err := rows.Scan(&e.Migration, &e.Needs); err != nil {
			return err
		}
		switch {
		case e.Needs == "" && known[e.Migration]:
		case e.Needs == "" && worst == nil, e.Needs != "" && olderRelease(sc.Release, e.Needs) && (worst == nil || olderRelease(worst.Needs, e.Needs)):
			worst = e
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if worst != nil {
		return worst
	}
	return nil
}

// apply runs the statements of a migration and records it.
func (t *tx) apply(m *migration) error {
	for stmt := range strings.SplitSeq(m.text, ";\n") {
		if strings.TrimSpace(stmt) == "" {
			continue
		}
		if _, err := t.exec(stmt); err != nil {
			return err
		}
	}
	return t.recordMigration(m.name, m.oldest)
}

func (t *tx) recordMigration(name, oldest string) error {
	_, err := t.exec("INSERT INTO keyward_schema (name, applied, oldest) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", name, t.now().UnixMilli(), oldest)
	return err
}
