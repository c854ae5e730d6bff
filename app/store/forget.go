package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scrubFor is how long jobs of an uninstalled organisation are looked for: GitHub
// redelivers events for three days.
const scrubFor = 7 * 24 * time.Hour

// finished are the states of jobs that are not run again by themselves.
const finished = "('completed', 'cancelled', 'discarded')"

// ScrubUninstalled deletes the names of uninstalled organisations that [Store.Forget] left:
// those in the jobs of the queue. Jobs that were done stay without their content, so that
// their deliveries are still known; running ones are left to the next call. It returns
// how many jobs it changed. On SQLite it also removes deleted content from the file.
func (s *Store) ScrubUninstalled(ctx context.Context, now time.Time) (jobs int64, err error) {
	var gone []int64
	fresh := false
	err = s.rows(ctx, func(r *sql.Rows) error {
		var id, scrubbed int64
		err := r.Scan(&id, &scrubbed)
		gone = append(gone, id)
		fresh = fresh || scrubbed == 0
		return err
	}, "SELECT id, scrubbed FROM installation WHERE gone AND (scrubbed = 0 OR scrubbed > ?) ORDER BY id", millis(now.Add(-scrubFor)))
	if err != nil {
		return 0, fmt.Errorf("read uninstalled organisations: %w", err)
	}
	for _, id := range gone {
		n, err := s.scrubJobs(ctx, id)
		if err != nil {
			return jobs, fmt.Errorf("delete jobs of installation %d: %w", id, err)
		}
		jobs += n
	}
	if !fresh && jobs == 0 {
		return 0, nil
	}
	if err := s.Compact(ctx); err != nil {
		return jobs, err
	}
	_, err = s.exec(ctx, "UPDATE installation SET scrubbed = ? WHERE gone AND scrubbed = 0", millis(now))
	return jobs, err
}

func (s *Store) scrubJobs(ctx context.Context, installation int64) (jobs int64, err error) {
	empty := fmt.Sprintf(`{"installation":%d}`, installation)
	var as, cast, of string
	if s.Pool != nil {
		as, cast, of = "args::text", "?::jsonb", "args->>'installation' = ?"
		empty = fmt.Sprintf(`{"installation": %d}`, installation) // as PostgreSQL prints it
	} else {
		as, cast, of = "json(args)", "jsonb(?)", "CAST(json_extract(args, '$.installation') AS TEXT) = ?"
	}
	id := strconv.FormatInt(installation, 10)
	deleted, err := s.exec(ctx, "DELETE FROM river_job WHERE state NOT IN ('completed', 'running') AND "+of, id)
	if err != nil {
		return 0, err
	}
	done, err := s.exec(ctx, "UPDATE river_job SET args = "+cast+", errors = NULL WHERE state = 'completed' AND "+of+" AND "+as+" <> ?", empty, id, empty)
	return deleted + done, err
}

// Compact removes deleted content from the file of SQLite: what is in pages that are not
// used any more, and in the write-ahead log. PostgreSQL does so by itself (autovacuum).
func (s *Store) Compact(ctx context.Context) error {
	if s.Pool != nil {
		return nil
	}
	for _, stmt := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := s.DB.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("remove deleted content from the database file: %w", err)
		}
	}
	return nil
}

// Erased stands in place of the login of a person that was erased. It cannot be a login.
const Erased = "(erased)"

// An Erasure says how much of a person was found. What is erased is counted by record.
type Erasure struct {
	Logins   []string // all that were erased: those given, and those that jobs had under the id
	Issues   int64    // issues whose owner the person was: they get another one
	Lives    int64    // waivers, orders and facts of credentials
	Policies int64    // settings that were copied from policy files
	Notes    int64    // notes on credentials
	Scans    int64
	Jobs     int64

	Running  int64    // jobs that name the person and are not finished: left as they are
	Ledger   int64    // records of the ledger that name the person: kept
	Accounts []string // installations on the person's own account: kept
}

// Erase replaces the logins of a person, and the id of the account, wherever they are
// stored, but for the ledger: its records are chained by MACs and cannot be changed. All
// or nothing is erased.
func (s *Store) Erase(ctx context.Context, id int64, logins []string) (*Erasure, error) {
	e := &Erasure{}
	err := s.tx(ctx, func(tx *tx) (err error) {
		*e = Erasure{}
		if tx.pg { // as Proceed does, before it reads what it changes
			if _, err := tx.exec("SELECT 1 FROM installation ORDER BY id FOR UPDATE"); err != nil {
				return err
			}
		}
		if e.Logins, err = tx.loginsOf(id, logins); err != nil {
			return err
		}
		if _, err = tx.count(&e.Scans, "UPDATE scan SET sender = 0 WHERE sender = ?", id); err != nil {
			return err
		}
		for _, login := range e.Logins {
			if err := tx.erase(e, login); err != nil {
				return err
			}
		}
		return tx.eraseJobs(e, id)
	})
	if err != nil {
		return nil, fmt.Errorf("erase account %d: %w", id, err)
	}
	return e, s.Compact(ctx)
}

// loginsOf adds to logins those that the jobs of the queue have under an account's id.
func (t *tx) loginsOf(id int64, logins []string) (out []string, err error) {
	for _, login := range logins {
		out = append(out, strings.ToLower(login))
	}
	sender, login := "json_extract(args, '$.sender')", "json_extract(args, '$.sender_login')"
	if t.pg {
		sender, login = "args->>'sender'", "args->>'sender_login'"
	}
	err = t.each(func(r *sql.Rows) error {
		var name sql.NullString
		err := r.Scan(&name)
		if name.String != "" && name.String != Erased {
			out = append(out, strings.ToLower(name.String))
		}
		return err
	}, "SELECT DISTINCT "+login+" FROM river_job WHERE CAST("+sender+" AS TEXT) = ?", strconv.FormatInt(id, 10))
	slices.Sort(out)
	return slices.Compact(out), err
}

// each calls scan for each row of a query.
func (t *tx) each(scan func(*sql.Rows) error, query string, args ...any) error {
	return eachRow(t.ctx, t, t.pg, scan, query, args...)
}

// count adds to n how many rows a statement changes.
func (t *tx) count(n *int64, query string, args ...any) (int64, error) {
	more, err := t.exec(query, args...)
	*n += more
	return more, err
}

// erase replaces a login, in lower case, in all tables of ours.
func (t *tx) erase(e *Erasure, login string) error {
	if _, err := t.exec("UPDATE credential SET "+unwritten+" WHERE EXISTS (SELECT 1 FROM rotation r WHERE r.installation = credential.installation AND r.fingerprint = credential.fingerprint AND lower(r.owner) = ?)", login); err != nil {
		return err
	}
	if _, err := t.count(&e.Issues, "UPDATE rotation SET owner = '' WHERE lower(owner) = ?", login); err != nil {
		return err
	}
	for _, c := range []struct {
		table, column, key string
		names              []string // of JSON fields that hold a login; nil: it is plain text
		n                  *int64
	}{
		{"life", "life", "fingerprint", []string{"By", "Second"}, &e.Lives},
		{"credential", "settings", "fingerprint", []string{"Default", "Approvers", "Team", "Security", "Owners"}, &e.Policies},
		{"credential", "note", "fingerprint", nil, &e.Notes},
		{"scan", "result", "id", []string{}, &e.Scans},
	} {
		if err := t.eraseText(c.table, c.column, c.key, login, c.names, c.n); err != nil {
			return fmt.Errorf("%s of %s: %w", c.column, c.table, err)
		}
	}
	if err := t.each(func(r *sql.Rows) error {
		var actor, detail string
		err := r.Scan(&actor, &detail)
		if strings.EqualFold(actor, login) || mention(login).MatchString(detail) {
			e.Ledger++
		}
		return err
	}, "SELECT actor, detail FROM ledger WHERE lower(actor) = ? OR "+t.contains("detail"), login, login); err != nil {
		return err
	}
	return t.each(func(r *sql.Rows) error {
		var account string
		err := r.Scan(&account)
		e.Accounts = append(e.Accounts, account)
		return err
	}, "SELECT account FROM installation WHERE lower(account) = ? AND NOT gone", login)
}

// contains is a condition: a column contains a text, which is in lower case.
func (t *tx) contains(column string) string {
	if t.pg {
		return "position(? in lower(" + column + ")) > 0"
	}
	return "instr(lower(" + column + "), ?) > 0"
}

// eraseText replaces a login in a column of text.
func (t *tx) eraseText(table, column, key, login string, names []string, n *int64) error {
	type row struct {
		installation int64
		key, text    string
	}
	var found []row
	err := t.each(func(r *sql.Rows) error {
		var f row
		err := r.Scan(&f.installation, &f.key, &f.text)
		found = append(found, f)
		return err
	}, fmt.Sprintf("SELECT installation, %s, %s FROM %s WHERE %s", key, column, table, t.contains(column)), login)
	if err != nil {
		return err
	}
	for _, f := range found {
		text := unmention(f.text, login)
		if names != nil {
			if text, err = eraseJSON(f.text, login, names); err != nil {
				return fmt.Errorf("%.12s: %w", f.key, err)
			}
		}
		if text == f.text {
			continue
		}
		if _, err := t.count(n, fmt.Sprintf("UPDATE %s SET %s = ? WHERE installation = ? AND %s = ?", table, column, key), text, f.installation, f.key); err != nil {
			return err
		}
	}
	return nil
}

// mention finds a login where a text names somebody.
func mention(login string) *regexp.Regexp {
	return regexp.MustCompile("(?i)(@|`|\\bsays )" + regexp.QuoteMeta(login) + "([^A-Za-z0-9_-]|$)")
}

// unmention replaces a login where a text names somebody.
func unmention(text, login string) string {
	return mention(login).ReplaceAllString(text, "${1}"+Erased+"${2}")
}

// eraseJSON replaces a login in a JSON text: as the value of fields that hold logins, and
// where a text names somebody. What does not change is returned byte for byte.
func eraseJSON(text, login string, names []string) (string, error) {
	if text == "" {
		return "", nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return "", errors.New("invalid JSON")
	}
	changed := false
	v = replaceLogin(v, "", login, names, &changed)
	if !changed {
		return text, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func replaceLogin(v any, field, login string, names []string, changed *bool) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			v[name] = replaceLogin(value, name, login, names, changed)
		}
	case []any:
		for i, value := range v {
			v[i] = replaceLogin(value, field, login, names, changed)
		}
	case string:
		text := unmention(v, login)
		if slices.Contains(names, field) && strings.EqualFold(v, login) {
			text = Erased
		}
		if text != v {
			*changed = true
		}
		return text
	}
	return v
}

// eraseJobs replaces a person in the finished jobs of the queue, and counts the others.
func (t *tx) eraseJobs(e *Erasure, id int64) error {
	field := func(name string) string { return "lower(json_extract(args, '$." + name + "'))" }
	sender, text, cast := "CAST(json_extract(args, '$.sender') AS TEXT)", "json(args)", "jsonb(?)"
	if t.pg {
		field = func(name string) string { return "lower(args->>'" + name + "')" }
		sender, text, cast = "args->>'sender'", "args::text", "?::jsonb"
	}
	where, args := sender+" = ?", []any{strconv.FormatInt(id, 10)}
	if n := len(e.Logins); n > 0 {
		for _, name := range []string{"sender_login", "member"} {
			where += " OR " + field(name) + " IN (" + marks(n) + ")"
			for _, login := range e.Logins {
				args = append(args, login)
			}
		}
	}
	jobs := map[int64]string{}
	err := t.each(func(r *sql.Rows) error {
		var job int64
		var text string
		var done bool
		err := r.Scan(&job, &text, &done)
		if done {
			jobs[job] = text
		} else {
			e.Running++
		}
		return err
	}, "SELECT id, "+text+", state IN "+finished+" FROM river_job WHERE "+where, args...)
	if err != nil {
		return err
	}
	for job, text := range jobs {
		var v map[string]any
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			return fmt.Errorf("job %d: invalid JSON", job)
		}
		if v["sender"] == json.Number(strconv.FormatInt(id, 10)) {
			v["sender"], v["sender_login"] = 0, Erased
		}
		for _, name := range []string{"sender_login", "member"} {
			if login, is := v[name].(string); is && slices.Contains(e.Logins, strings.ToLower(login)) {
				v[name] = Erased
			}
		}
		out, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := t.count(&e.Jobs, "UPDATE river_job SET args = "+cast+", errors = NULL WHERE id = ?", string(out), job); err != nil {
			return err
		}
	}
	return nil
}
