package server_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyward/keyward/app/store"
)

// openDatabase opens the database of a world, without the App.
func (w *world) openDatabase() *store.Store {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Join(w.dir, "app"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	s, err := store.Open(context.Background(), w.env["KEYWARD_DATABASE_URL"])
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// exec changes the database of a world behind the App's back.
func (w *world) exec(query string) {
	w.t.Helper()
	s := w.openDatabase()
	defer s.Close()
	if _, err := s.DB.Exec(query); err != nil {
		w.t.Fatal(err)
	}
}

// load fills an empty database with a dump.
func (w *world) load(dump string) {
	w.t.Helper()
	text, err := os.ReadFile(dump)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.database == "" {
		w.exec(string(text))
		return
	}
	db, err := sql.Open("pgx", w.database+"&default_query_exec_mode=simple_protocol") // many statements at once
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(string(text)); err != nil {
		w.t.Fatal(err)
	}
}

// TestEarlierRelease: a database written before release 1.0 is migrated, its ledger is as it
// was written, and the App works with it.
func TestEarlierRelease(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		dump := "sqlite.sql"
		if database != "" {
			dump = "postgres.sql"
		}
		w.load(filepath.Join("testdata", "release-0.9", dump))
		w.exec("UPDATE life SET wake = 0, look = 0") // its issues are on no GitHub any more
		out, errs, code := run(t, w.env, "migrate")
		if code != 0 || !strings.Contains(out, "005_safety") || strings.Contains(out, "004_watch") || strings.Contains(out, "queue_008") {
			t.Fatalf("migrate: exit %d: %s%s", code, out, errs)
		}
		if out, errs, code := run(t, w.env, "ledger", "verify"); code != 0 {
			t.Errorf("ledger: exit %d: %s%s", code, out, errs)
		}
		if out, _, code := run(t, w.env, "keys", "list"); code != 0 || !strings.Contains(out, "doppler-scim-token") || !strings.Contains(out, "acknowledged") || !strings.Contains(out, "gitlab-pat") {
			t.Errorf("keys: exit %d: %s", code, out)
		}
		w.start()
		c := w.clone("widgets")
		if check := w.pushed(c, "widgets", "npm", "npm.env", "NPM="+w.key("npm-access-token")+"\n"); check.Conclusion != "failure" {
			t.Errorf("the check of a push ended %s", check.Conclusion)
		}
		w.issues("rotation", 1)
		w.idle()
		if out, errs, code := run(t, w.env, "ledger", "verify"); code != 0 {
			t.Errorf("ledger after a push: exit %d: %s%s", code, out, errs)
		}
	})
}

// TestNewerDatabase: no command works on a database that needs a newer release, and each
// names the release; one that this release can work with does not matter.
func TestNewerDatabase(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		if out, errs, code := run(t, w.env, "migrate"); code != 0 {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
		w.exec("INSERT INTO keyward_schema (name, applied, oldest) VALUES ('900_small', 1, '" + store.Release + "')")
		if out, errs, code := run(t, w.env, "migrate"); code != 0 || !strings.Contains(out, "nothing to do") {
			t.Errorf("compatible: exit %d: %s%s", code, out, errs)
		}
		a := w.start()
		w.pushed(w.clone("widgets"), "widgets", "x", "x", "y\n")
		a.stop()
		w.exec("INSERT INTO keyward_schema (name, applied, oldest) VALUES ('901_large', 1, '99.1')")
		for _, args := range [][]string{{"serve"}, {"migrate"}, {"keys", "list"}, {"ledger", "verify"}, {"report", "rotation"}} {
			env := w.environment(&app{address: "127.0.0.1:0"})
			_, errs, code := run(t, env, args...)
			if want := "migration 901_large, which needs release 99.1 or later; this is release " + store.Release; code != 2 || !strings.Contains(errs, want) || !strings.Contains(errs, "hint: install release 99.1 or later") {
				t.Errorf("%s: exit %d: %s", args, code, errs)
			}
		}
		if out, _, code := run(t, w.env, "doctor"); code != 2 || !strings.Contains(out, "WRONG database") || !strings.Contains(out, "needs release 99.1 or later") || !strings.Contains(out, "next: install release 99.1") {
			t.Errorf("doctor: exit %d: %s", code, out)
		}
	})
}

// TestTwoReleases: during a rolling update the next release and this one work on one
// database. The next one has a migration that this one does not know.
func TestTwoReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newDatabase(t))
	this := w.spawn()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "One", "one", "1\n")

	next, err := store.CurrentSchema()
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"900_next.sql": {Data: []byte("-- oldest-release: " + store.Release + "\n" +
		"ALTER TABLE installation ADD COLUMN next_thing TEXT NOT NULL DEFAULT '';\nALTER TABLE credential ADD COLUMN next_thing TEXT NOT NULL DEFAULT '';\nCREATE TABLE next_thing (id BIGINT PRIMARY KEY);\n")}}
	w.schema = &store.Schema{Release: "99.0", Migrations: both{files, next.Migrations}}
	w.start()
	s := w.openDatabase()
	defer s.Close()
	if ok, err := s.HasMigration(context.Background(), "900_next"); !ok || err != nil {
		t.Fatalf("the next release did not migrate: %v", err)
	}
	// Both take part, and one of them can go: this one is started again, as in a roll-back.
	for i := range 4 {
		if i == 2 {
			if code := this.stop(); code != 0 {
				t.Fatalf("exit %d", code)
			}
			this = w.spawn()
		}
		w.pushed(c, "widgets", fmt.Sprint("Push ", i), fmt.Sprint("file", i), fmt.Sprint(i, "\n"))
	}
	if check := w.pushed(c, "widgets", "npm", "npm.env", "NPM="+w.key("npm-access-token")+"\n"); check.Conclusion != "failure" {
		t.Errorf("the check of a push ended %s", check.Conclusion)
	}
	w.issues("rotation", 1)
	w.once("widgets")
	w.idle()
	if out, errs, code := run(t, w.env, "ledger", "verify"); code != 0 {
		t.Errorf("ledger: exit %d: %s%s", code, out, errs)
	}
}

// both are the files of two directories.
type both [2]fs.FS

// Open opens a file of the first directory that has it.
func (b both) Open(name string) (fs.File, error) {
	if f, err := b[0].Open(name); err == nil && name != "." {
		return f, nil
	}
	return b[1].Open(name)
}

// Glob returns the files of both.
func (b both) Glob(pattern string) ([]string, error) {
	one, err := fs.Glob(b[0], pattern)
	two, err2 := fs.Glob(b[1], pattern)
	return append(one, two...), errors.Join(err, err2)
}
