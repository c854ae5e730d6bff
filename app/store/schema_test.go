package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyward/keyward/app/store"
)

// files returns the migrations of this release as a directory that can be changed.
func files(t *testing.T) fstest.MapFS {
	t.Helper()
	sc, err := store.CurrentSchema()
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{}
	names, err := fs.Glob(sc.Migrations, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(sc.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &fstest.MapFile{Data: text}
	}
	return out
}

// TestOldestRelease: the schema of this release works with the release before, or it could
// neither roll nor be rolled back.
func TestOldestRelease(t *testing.T) {
	s := empty(t)
	for name, file := range files(t) {
		_, line, ok := strings.Cut(string(file.Data), "-- oldest-release:")
		oldest, _, _ := strings.Cut(line, "\n")
		old := slices.Contains([]string{"001_init.sql", "002_scan.sql", "003_ledger.sql", "004_watch.sql", "005_safety.sql"}, name)
		if !ok && !old {
			t.Errorf("%s has no line -- oldest-release: RELEASE", name)
		}
		if oldest = strings.TrimSpace(oldest); ok && store.OlderRelease(store.ReleaseBefore, oldest) {
			t.Errorf("%s works with release %s at least; the release before this one is %s. Split it: add in this release, remove in the next", name, oldest, store.ReleaseBefore)
		}
	}
	if !store.OlderRelease(store.ReleaseBefore, store.Release) {
		t.Errorf("release %s comes before %s", store.ReleaseBefore, store.Release)
	}
	bad := files(t)
	bad["900_bad.sql"] = &fstest.MapFile{Data: []byte("-- oldest-release: soon\nCREATE TABLE x (id BIGINT);\n")}
	if _, err := s.MigrateTo(context.Background(), store.Schema{Release: store.Release, Migrations: bad}); err == nil || !strings.Contains(err.Error(), `900_bad: oldest-release: invalid release "soon"`) {
		t.Errorf("got %v", err)
	}
}

func TestOlderRelease(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{{"1.0", "1.0", false}, {"0.9", "1.0", true}, {"1.0", "0.9", false}, {"1.9", "1.10", true}, {"2.0", "1.10", false}, {"1.0", "soon", true}, {"soon", "1.0", false}} {
		if got := store.OlderRelease(tt.a, tt.b); got != tt.want {
			t.Errorf("%s older than %s: got %v", tt.a, tt.b, got)
		}
	}
}

// empty is a SQLite database without tables.
func empty(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestFutureMigration: a release starts on the database of a newer one only if that
// recorded that it can.
func TestFutureMigration(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		exec := func(query string) {
			t.Helper()
			if _, err := s.DB.ExecContext(ctx, query); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { exec("DELETE FROM keyward_schema WHERE name LIKE '9%'") })
		for _, tt := range []struct{ name, oldest, needs string }{
			{"compatible", store.Release, ""},
			{"older", store.ReleaseBefore, ""},
			{"incompatible", "99.1", "needs release 99.1 or later; this is release " + store.Release},
			{"far ahead", "112.34", "needs release 112.34 or later"},
			{"not recorded", "", "no record of the releases that do"},
			{"another format", "2027-spring", "needs release 2027-spring or later"},
		} {
			exec("DELETE FROM keyward_schema WHERE name LIKE '9%'")
			exec("INSERT INTO keyward_schema (name, applied, oldest) VALUES ('900_small', 1, '" + store.Release + "'), ('901_future', 1, '" + tt.oldest + "')")
			sc, err := store.CurrentSchema()
			if err != nil {
				t.Fatal(err)
			}
			applied, err := s.Migrate(ctx)
			check := s.CheckSchema(ctx, sc)
			if tt.needs == "" {
				if err != nil || check != nil || len(applied) > 0 {
					t.Errorf("%s: %v, %v, applied %v", tt.name, err, check, applied)
				}
				continue
			}
			var old *store.TooOldError
			if !errors.As(err, &old) || old.Migration != "901_future" || !strings.Contains(err.Error(), tt.needs) || check == nil || check.Error() != err.Error() {
				t.Errorf("%s: got %v and %v, want %q", tt.name, err, check, tt.needs)
			}
		}
	})
}

// TestNewestNeed: of several migrations the one that needs the newest release is named.
func TestNewestNeed(t *testing.T) {
	s, ctx := empty(t), context.Background()
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	for name, oldest := range map[string]string{"900": "99.9", "901": "99.10", "902": "", "903": "99.2"} {
		if err := s.RecordMigration(ctx, name, oldest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Migrate(ctx); err == nil || !strings.Contains(err.Error(), "901, which needs release 99.10 or later") {
		t.Errorf("got %v", err)
	}
}

// TestTooOldChangesNothing: a release that refuses a database leaves it as it is.
func TestTooOldChangesNothing(t *testing.T) {
	s, ctx := empty(t), context.Background()
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordMigration(ctx, "900", "99.1"); err != nil {
		t.Fatal(err)
	}
	more := files(t)
	more["800_more.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE more (id BIGINT);\n")}
	if _, err := s.MigrateTo(ctx, store.Schema{Release: "99.0", Migrations: more}); err == nil {
		t.Fatal("it migrated")
	}
	if _, err := s.DB.ExecContext(ctx, "SELECT * FROM more"); err == nil {
		t.Error("a refused database has a new table")
	}
	if ok, err := s.HasMigration(ctx, "800_more"); ok || err != nil {
		t.Errorf("recorded: %v, %v", ok, err)
	}
}

// TestHiddenMigration: the release before does not know the last migration, and goes on.
func TestHiddenMigration(t *testing.T) {
	s, ctx := empty(t), context.Background()
	before, now := store.Schema{Release: "98.0", Migrations: files(t)}, store.Schema{Release: "98.1", Migrations: files(t)}
	now.Migrations.(fstest.MapFS)["900_next.sql"] = &fstest.MapFile{Data: []byte("-- oldest-release: 98.0\nALTER TABLE installation ADD COLUMN next TEXT NOT NULL DEFAULT '';\n")}
	for i, step := range []struct {
		sc      store.Schema
		applied int
	}{{before, len(files(t))}, {now, 1}, {before, 0}, {now, 0}} {
		applied, err := s.MigrateTo(ctx, step.sc)
		if err != nil || len(applied) != step.applied {
			t.Fatalf("%d, release %s: %v, applied %v", i, step.sc.Release, err, applied)
		}
		installed(t, s)
	}
	if _, err := s.MigrateTo(ctx, store.Schema{Release: "97.9", Migrations: files(t)}); err == nil || !strings.Contains(err.Error(), "900_next, which needs release 98.0 or later; this is release 97.9") {
		t.Errorf("two releases back: %v", err)
	}
}

// TestSchemaOfEarlierReleases: they recorded migrations without the oldest release.
func TestSchemaOfEarlierReleases(t *testing.T) {
	s, ctx := empty(t), context.Background()
	sc, err := store.CurrentSchema()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckSchema(ctx, sc); err != nil {
		t.Errorf("without tables: %v", err)
	}
	text := string(files(t)["001_init.sql"].Data)
	for i, stmt := range append(strings.Split(text, ";\n"), "CREATE TABLE keyward_schema (name TEXT PRIMARY KEY, applied BIGINT NOT NULL)", "INSERT INTO keyward_schema (name, applied) VALUES ('001_init', 7)") {
		if _, err := s.DB.ExecContext(ctx, stmt); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := s.CheckSchema(ctx, sc); err != nil {
		t.Errorf("before the first migration: %v", err)
	}
	applied, err := s.Migrate(ctx)
	if err != nil || len(applied) != len(files(t))-1 {
		t.Fatalf("%v, applied %v", err, applied)
	}
	var when int
	var oldest string
	if err := s.DB.QueryRowContext(ctx, "SELECT applied, oldest FROM keyward_schema WHERE name = '001_init'").Scan(&when, &oldest); err != nil || when != 7 || oldest != store.Unnumbered {
		t.Errorf("%d %q %v", when, oldest, err)
	}
	// An earlier release still inserts rows without the column.
	if _, err := s.DB.ExecContext(ctx, fmt.Sprintf("INSERT INTO keyward_schema (name, applied) VALUES ('%s', 1)", "900")); err != nil {
		t.Error(err)
	}
}
