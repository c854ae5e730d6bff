package server_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// tables returns all content of the database by table.
func (w *world) tables() map[string]string {
	w.t.Helper()
	s := w.openDatabase()
	defer s.Close()
	list := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if w.database != "" {
		list = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
	}
	rows, err := s.DB.Query(list)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			w.t.Fatal(err)
		}
		out[name] = ""
	}
	_ = rows.Close()
	for name := range out {
		var b strings.Builder
		rows, err := s.DB.Query("SELECT * FROM " + name)
		if err != nil {
			w.t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			w.t.Fatal(err)
		}
		values, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(to...); err != nil {
				w.t.Fatal(err)
			}
			for _, v := range values {
				if data, is := v.([]byte); is {
					v = string(data)
				}
				fmt.Fprintln(&b, v)
			}
		}
		_ = rows.Close()
		out[name] = b.String()
	}
	return out
}

// TestUninstalledNames: after an uninstall and a sweep no name of the organisation is in the
// database, nor in what SQLite's files still have of deleted rows.
func TestUninstalledNames(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		const org, repo, other = "vermilion-tapir-inc", "cobalt-lighthouse", "widgets"
		w.gh.AddOrg(org)
		for _, name := range []string{repo, "rotation"} {
			if _, err := w.gh.AddRepo(org, name, githubtest.Repo{}); err != nil {
				t.Fatal(err)
			}
		}
		a := w.start()
		w.pushed(w.clone(other), other, "x", "x", "y\n")
		c := &clone{w, filepath.Join(w.t.TempDir(), "c")}
		w.git(w.dir, "clone", "-q", w.gh.CloneURL(org, repo), c.dir)
		c.commit("Key", "indigo-path.env", "T="+w.key("gitlab-pat")+"\n")
		c.push()
		w.eventually(20*time.Second, "an issue", func() string {
			if len(w.gh.Issues(org, "rotation")) == 0 {
				return "there is none"
			}
			return ""
		})
		w.idle()
		if text := w.tables(); !strings.Contains(text["river_job"], org) || !strings.Contains(text["river_job"], repo) {
			t.Fatal("the test plants no names in the queue")
		}
		if err := w.gh.Uninstall(org); err != nil {
			t.Fatal(err)
		}
		w.idle()
		a.stop()
		a = w.start() // it sweeps at its start
		w.eventually(20*time.Second, "no names", func() string {
			for table, text := range w.tables() {
				for _, name := range []string{org, repo, "indigo-path"} {
					if strings.Contains(text, name) {
						return name + " is in table " + table
					}
				}
			}
			return ""
		})
		if !strings.Contains(w.tables()["river_job"], "widgets") {
			t.Error("the jobs of another organisation are scrubbed, too")
		}
		if database == "" {
			w.eventually(20*time.Second, "no names in the files", func() string {
				for _, file := range []string{"keyward.db", "keyward.db-wal"} {
					data, err := os.ReadFile(filepath.Join(w.dir, "app", file))
					if err != nil && !os.IsNotExist(err) {
						t.Fatal(err)
					}
					for _, name := range []string{org, repo, "indigo-path"} {
						if bytes.Contains(data, []byte(name)) {
							return name + " is still in " + file
						}
					}
				}
				return ""
			})
		}
		// A redelivery of what was done before does not bring the organisation back.
		w.pushed(w.clone(other), other, "y", "y", "z\n")
		a.stop()
	})
}

// account returns the id of an account, as a job has it.
func (w *world) account(login string) string {
	w.t.Helper()
	s := w.openDatabase()
	defer s.Close()
	query := "SELECT json_extract(args, '$.sender') FROM river_job WHERE json_extract(args, '$.sender_login') = '" + login + "'"
	if w.database != "" {
		query = "SELECT args->>'sender' FROM river_job WHERE args->>'sender_login' = '" + login + "'"
	}
	var id string
	if err := s.DB.QueryRow(query + " LIMIT 1").Scan(&id); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// TestForgetPerson: after keyward-app forget nothing but the ledger names the person, and the
// ledger is as it was written.
func TestForgetPerson(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		a := w.start()
		w.gh.SetPermission("acme", "rotation", "dana", "admin")
		c := w.clone("widgets")
		w.pushed(c, "widgets", "Policy", ".keyward.toml", "[app]\ndefault-assignee = \"dana\"\nrisk-approvers = [\"dana\", \"sam\"]\nteam = \"Dana\"\n")
		w.pushed(c, "widgets", "Key", "a.env", "T="+w.key("gitlab-pat")+"\n")
		n := w.issues("rotation", 1)[0].Number
		w.rotating(n, "@dana")
		w.gh.Comment("acme", "rotation", n, "/accept-risk until:"+time.Now().AddDate(0, 0, 9).Format(time.DateOnly)+" reason:asked @dana", "dana")
		w.rotating(n, "kw/state:accepted-risk")
		w.idle()
		a.stop()
		before := w.tables()
		for _, table := range []string{"rotation", "life", "credential", "river_job", "ledger"} {
			if !strings.Contains(strings.ToLower(before[table]), "dana") {
				t.Errorf("the test plants no login in %s", table)
			}
		}
		id := w.account("dana")
		out, errs, code := run(t, w.env, "forget", "--user", id)
		if code != 0 {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
		for _, want := range []string{"Erased account " + id + " (dana):", "     1 issues that get another owner", "     1 credentials with waivers", "     1 settings", "records of the ledger that name the person"} {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
		after := w.tables()
		for table, text := range after {
			if named := strings.Contains(strings.ToLower(text), "dana"); named != (table == "ledger") {
				t.Errorf("table %s: dana is named: %v", table, named)
			}
		}
		if after["ledger"] != before["ledger"] {
			t.Error("the ledger was changed")
		}
		if out, errs, code := run(t, w.env, "ledger", "verify"); code != 0 {
			t.Errorf("ledger: exit %d: %s%s", code, out, errs)
		}
		if out, _, code := run(t, w.env, "forget", "--user", id, "--login", "@Dana"); code != 0 || !strings.Contains(out, "     0 issues") {
			t.Errorf("again: exit %d: %s", code, out)
		}
		w.start() // what is stored can still be read
		w.pushed(c, "widgets", "More", "b.env", "T="+w.key("npm-access-token")+"\n")
		w.issues("rotation", 2)
	})
}

func TestForgetErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for want, args := range map[string][]string{
		"--user: missing":                     {},
		"invalid login":                       {"--user", "7", "--login", "no login"},
		"the App is not installed anywhere":   {"--user", "7"},
		"hint: if the account is deleted, or": {"--user", "7"},
	} {
		if _, errs, code := run(t, w.env, append([]string{"forget"}, args...)...); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	a := w.start()
	w.pushed(w.clone("widgets"), "widgets", "x", "x", "y\n")
	a.stop()
	if _, errs, code := run(t, w.env, "forget", "--user", "4711"); code != 2 || !strings.Contains(errs, "there is no account 4711 on GitHub") {
		t.Errorf("an unknown account: exit %d: %s", code, errs)
	}
	if out, _, code := run(t, w.env, "forget", "--user", "4711", "--login", "nobody"); code != 0 || !strings.Contains(out, "     0 finished jobs") {
		t.Errorf("exit %d: %s", code, out)
	}
}
