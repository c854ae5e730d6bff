package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pgProgram returns a program of the newest PostgreSQL that is installed.
func pgProgram(t *testing.T, name string) string {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(bins) > 0 {
		return bins[len(bins)-1]
	}
	bin, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return bin
}

// must runs a program.
func must(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
}

// remove deletes a SQLite database, as docs/operations.md says.
func remove(t *testing.T, file string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(file + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// TestBackup backs a database up as docs/operations.md says, goes on, restores the backup, and
// finds the ledger and the register as they were. The App works with what was restored.
func TestBackup(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct {
		postgres bool
		stopped  bool // the backup is made while the App is stopped
		backup   func(t *testing.T, w *world, to string)
		restore  func(t *testing.T, w *world, from, target string) // target is an empty PostgreSQL database
	}{
		"sqlite, running": {backup: func(t *testing.T, w *world, to string) {
			w.exec("VACUUM INTO '" + to + "'")
		}, restore: func(t *testing.T, w *world, from, _ string) {
			remove(t, w.env["KEYWARD_DATABASE_URL"])
			must(t, "install", "-m", "0600", from, w.env["KEYWARD_DATABASE_URL"])
		}},
		"sqlite, stopped": {stopped: true, backup: func(t *testing.T, w *world, to string) {
			must(t, "cp", w.env["KEYWARD_DATABASE_URL"], to)
			if _, err := os.Stat(w.env["KEYWARD_DATABASE_URL"] + "-wal"); err == nil {
				must(t, "cp", w.env["KEYWARD_DATABASE_URL"]+"-wal", to+"-wal")
			}
		}, restore: func(t *testing.T, w *world, from, _ string) {
			remove(t, w.env["KEYWARD_DATABASE_URL"])
			must(t, "install", "-m", "0600", from, w.env["KEYWARD_DATABASE_URL"])
			if _, err := os.Stat(from + "-wal"); err == nil {
				must(t, "install", "-m", "0600", from+"-wal", w.env["KEYWARD_DATABASE_URL"]+"-wal")
			}
		}},
		"postgres, running": {postgres: true, backup: func(t *testing.T, w *world, to string) {
			must(t, pgProgram(t, "pg_dump"), "--format=custom", "--file="+to, w.env["KEYWARD_DATABASE_URL"])
		}, restore: func(t *testing.T, w *world, from, target string) {
			w.database, w.env["KEYWARD_DATABASE_URL"] = target, target
			must(t, pgProgram(t, "pg_restore"), "--no-owner", "--exit-on-error", "--dbname="+w.database, from)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, target := "", ""
			if way.postgres {
				database, target = newDatabase(t), newDatabase(t) // before the world, which ends first
			}
			w := newWorld(t, database)
			a := w.start()
			w.gh.SetPermission("acme", "rotation", "dana", "write")
			c := w.clone("widgets")
			w.pushed(c, "widgets", "Key", "a.env", "T="+w.key("gitlab-pat")+"\n")
			n := w.issues("rotation", 1)[0].Number
			w.gh.Comment("acme", "rotation", n, "/rotating", "dana")
			w.rotating(n, "kw/state:rotating")
			w.idle()
			if way.stopped {
				a.stop()
			}
			backup := filepath.Join(t.TempDir(), "backup")
			way.backup(t, w, backup)
			keys, _, code := run(t, w.env, "keys", "export", "--format", "json")
			heads, _, code2 := run(t, w.env, "ledger", "verify", "--heads")
			if code != 0 || code2 != 0 || !strings.Contains(keys, "gitlab-pat") {
				t.Fatalf("before: exit %d and %d\n%s%s", code, code2, keys, heads)
			}
			head := strings.Fields(heads)[0]
			if way.stopped {
				a = w.start()
			}
			// What comes after the backup is lost with the database.
			w.pushed(c, "widgets", "More", "b.env", "T="+w.key("npm-access-token")+"\n")
			w.issues("rotation", 2)
			w.idle()
			a.stop()

			way.restore(t, w, backup, target)
			if out, errs, code := run(t, w.env, "migrate"); code != 0 || !strings.Contains(out, "nothing to do") {
				t.Errorf("migrate: exit %d: %s%s", code, out, errs)
			}
			if out, errs, code := run(t, w.env, "ledger", "verify", "--expect", head); code != 0 {
				t.Errorf("ledger: exit %d: %s%s", code, out, errs)
			}
			if again, _, code := run(t, w.env, "keys", "export", "--format", "json"); code != 0 || again != keys {
				t.Errorf("the register after the restore: exit %d\n%s\nwant\n%s", code, again, keys)
			}
			w.start()
			w.pushed(c, "widgets", "Later", "c.env", "T="+w.key("doppler-scim-token")+"\n")
			w.issues("rotation", 3)
			w.gh.Comment("acme", "rotation", n, "/snooze 1d", "dana")
			w.idle()
			if out, errs, code := run(t, w.env, "ledger", "verify", "--expect", head); code != 0 {
				t.Errorf("ledger later: exit %d: %s%s", code, out, errs)
			}
		})
	}
}
