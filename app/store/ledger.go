package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Record is what the ledger says of one thing that happened to a key.
type Record struct {
	Installation int64
	Seq          int64 // from 1, without a gap in an installation
	At           time.Time
	Fingerprint  string
	Event        string
	Actor        string // login, or keyward
	From, To     string // states
	Detail       string
	Due          time.Time // until when the key had to be revoked before this
	Mac          string    // over all of this and the Mac of the record before
}

// mac is what the record's Mac has to be. Each field is preceded by its length, so that
// two records never read the same.
func (r *Record) mac(key []byte, before string) string {
	h := hmac.New(sha256.New, key)
	for _, n := range []int64{r.Installation, r.Seq, millis(r.At)} {
		_ = binary.Write(h, binary.BigEndian, n) // a hash does not fail
	}
	if due := millis(r.Due); due != 0 { // the first records had none
		_ = binary.Write(h, binary.BigEndian, due)
	}
	for _, s := range []string{before, r.Fingerprint, r.Event, r.Actor, r.From, r.To, r.Detail} {
		_ = binary.Write(h, binary.BigEndian, int64(len(s)))
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// A Course is the life of a key as the store keeps it: the state and when it is due, for
// asking, and a text that only its owner reads.
type Course struct {
	Installation int64
	Fingerprint  string
	State        string
	Due          time.Time
	Wake, Look   time.Time // when time alone changes something, and when to look at the key
	Looked       bool      // it was looked at: until then a look that is wanted earlier stays
	Dismissed    string    // why it counts as no key, "" if it is one
	Life         string
}

// Proceed changes the life of a key, and appends what happened to the ledger, both or
// neither. fn is given the life, "" if the key has none, and may be called again; it
// returns records of which it need not set installation, number, key and Mac. With
// records the issue of the key has to be written again; without, nothing but the life
// changes.
func (s *Store) Proceed(ctx context.Context, key []byte, installation int64, fingerprint string, fn func(life string) (Course, []Record, error)) error {
	err := s.tx(ctx, func(tx *tx) error {
		lock := ""
		if tx.pg {
			lock = " FOR UPDATE"
		}
		var seq int64
		var mac string
		err := tx.QueryRowContext(ctx, numbered(tx.pg, "SELECT ledger_seq, ledger_mac FROM installation WHERE id = ? AND NOT gone"+lock), installation).Scan(&seq, &mac)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("installation %d: %w", installation, ErrGone)
		}
		if err != nil {
			return err
		}
		var old string
		err = tx.QueryRowContext(ctx, numbered(tx.pg, "SELECT life FROM life WHERE installation = ? AND fingerprint = ?"), installation, fingerprint).Scan(&old)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		c, records, err := fn(old)
		if err != nil {
			return err
		}
		if _, err := tx.exec(`INSERT INTO life (installation, fingerprint, state, due, wake, look, life) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (installation, fingerprint) DO UPDATE SET state = excluded.state, due = excluded.due, wake = excluded.wake, life = excluded.life,
				look = CASE WHEN excluded.look > life.look AND life.look > 0 AND NOT ? THEN life.look ELSE excluded.look END`,
			installation, fingerprint, c.State, millis(c.Due), millis(c.Wake), millis(c.Look), clean(c.Life), c.Looked); err != nil {
			return err
		}
		for i := range records {
			r := &records[i]
			seq++
			r.Installation, r.Seq, r.Fingerprint = installation, seq, fingerprint
			r.Actor, r.Detail, r.At, r.Due = clean(r.Actor), clean(r.Detail), instant(millis(r.At)), instant(millis(r.Due))
			r.Mac = r.mac(key, mac)
			mac = r.Mac
			if _, err := tx.exec("INSERT INTO ledger (installation, seq, happened, fingerprint, event, actor, from_state, to_state, detail, due, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				installation, seq, millis(r.At), fingerprint, r.Event, r.Actor, r.From, r.To, r.Detail, millis(r.Due), r.Mac); err != nil {
				return err
			}
		}
		if len(records) == 0 {
			return nil
		}
		if err := tx.follow(installation, fingerprint, c.Dismissed); err != nil {
			return err
		}
		_, err = tx.exec("UPDATE installation SET ledger_seq = ?, ledger_mac = ? WHERE id = ?", seq, mac, installation)
		return err
	})
	if err != nil {
		return fmt.Errorf("store what happened to key %.12s: %w", fingerprint, err)
	}
	return nil
}

// follow has the issue of a key written again, and its state in scans follow its life.
func (tx *tx) follow(installation int64, fingerprint, dismissed string) error {
	set, args := "state = CASE WHEN state = ? THEN ? ELSE state END", []any{StateDismissed, StateOpen}
	if dismissed != "" {
		set, args = "state = ?, note = ?", []any{StateDismissed, clean(dismissed)}
	}
	_, err := tx.exec("UPDATE credential SET stale = TRUE, "+set+" WHERE installation = ? AND fingerprint = ?", append(args, installation, fingerprint)...)
	return err
}

// LedgerEnd is the number of the last record of an installation.
func (s *Store) LedgerEnd(ctx context.Context, installation int64) (seq int64, err error) {
	err = s.row(ctx, "SELECT ledger_seq FROM installation WHERE id = ?", installation).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("read the end of the ledger of installation %d: %w", installation, err)
	}
	return seq, nil
}

// A Head is the last record of an installation's ledger. Kept elsewhere, it shows later
// whether records were cut off: who can write to the database can do that unseen.
type Head struct {
	Installation, Seq int64
	Mac               string
}

func (h Head) String() string { return fmt.Sprintf("%d:%d:%s", h.Installation, h.Seq, h.Mac) }

// ParseHead reads what [Head.String] wrote.
func ParseHead(s string) (h Head, err error) {
	id, rest, _ := strings.Cut(s, ":")
	seq, mac, ok := strings.Cut(rest, ":")
	h.Mac = mac
	if h.Installation, err = strconv.ParseInt(id, 10, 64); err == nil {
		h.Seq, err = strconv.ParseInt(seq, 10, 64)
	}
	if err != nil || !ok || len(mac) != 2*sha256.Size {
		return h, fmt.Errorf("%q is no head of a ledger: want INSTALLATION:RECORD:MAC", s)
	}
	return h, nil
}

// Heads returns the heads of all ledgers that have records.
func (s *Store) Heads(ctx context.Context) ([]Head, error) {
	return s.heads(ctx, "WHERE ledger_seq > 0")
}

func (s *Store) heads(ctx context.Context, where string) (out []Head, err error) {
	err = s.rows(ctx, func(rows *sql.Rows) error {
		var h Head
		err := rows.Scan(&h.Installation, &h.Seq, &h.Mac)
		out = append(out, h)
		return err
	}, "SELECT id, ledger_seq, ledger_mac FROM installation "+where+" ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return out, nil
}

// Has reports whether the ledger still has a record that was once its head.
func (s *Store) Has(ctx context.Context, h Head) (bool, error) {
	var n int
	err := s.row(ctx, "SELECT count(*) FROM ledger WHERE installation = ? AND seq = ? AND mac = ?", h.Installation, h.Seq, h.Mac).Scan(&n)
	return n > 0, err
}

// Course returns the life of a key, or ErrGone.
func (s *Store) Course(ctx context.Context, installation int64, fingerprint string) (*Course, error) {
	list, err := s.courses(ctx, "WHERE installation = ? AND fingerprint = ?", installation, fingerprint)
	if err == nil && len(list) == 0 {
		err = ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("read life of key %.12s: %w", fingerprint, err)
	}
	return &list[0], nil
}

// Courses returns the lives of all keys of an installation.
func (s *Store) Courses(ctx context.Context, installation int64) ([]Course, error) {
	list, err := s.courses(ctx, "WHERE installation = ? ORDER BY fingerprint", installation)
	if err != nil {
		return nil, fmt.Errorf("read lives of keys of installation %d: %w", installation, err)
	}
	return list, nil
}

func (s *Store) courses(ctx context.Context, where string, args ...any) (out []Course, err error) {
	err = s.rows(ctx, func(rows *sql.Rows) error {
		var c Course
		var due, wake, look int64
		err := rows.Scan(&c.Installation, &c.Fingerprint, &c.State, &due, &wake, &look, &c.Life)
		c.Due, c.Wake, c.Look = instant(due), instant(wake), instant(look)
		out = append(out, c)
		return err
	}, "SELECT installation, fingerprint, state, due, wake, look, life FROM life "+where, args...)
	return out, err
}

// awake are the installations that are there and not suspended.
const awake = "installation IN (SELECT id FROM installation WHERE NOT gone AND NOT suspended)"

// Waking returns the keys, of any installation, that time alone changes by now: at most
// limit, those that wait for longest first.
func (s *Store) Waking(ctx context.Context, now time.Time, limit int) ([]Course, error) {
	list, err := s.courses(ctx, "WHERE wake > 0 AND wake <= ? AND "+awake+" ORDER BY wake, fingerprint LIMIT ?", millis(now), limit)
	if err != nil {
		return nil, fmt.Errorf("read keys that time changes: %w", err)
	}
	return list, nil
}

// Looking returns the keys of an installation that are to be looked at by now, those
// that wait for longest first, at most limit.
func (s *Store) Looking(ctx context.Context, installation int64, now time.Time, limit int) ([]Course, error) {
	list, err := s.courses(ctx, "WHERE installation = ? AND look > 0 AND look <= ? AND "+awake+" ORDER BY look, fingerprint LIMIT ?", installation, millis(now), limit)
	if err != nil {
		return nil, fmt.Errorf("read keys to look at: %w", err)
	}
	return list, nil
}

// LookAt sets when a key is to be looked at.
func (s *Store) LookAt(ctx context.Context, installation int64, fingerprint string, at time.Time) error {
	if _, err := s.exec(ctx, "UPDATE life SET look = ? WHERE installation = ? AND fingerprint = ?", millis(at), installation, fingerprint); err != nil {
		return fmt.Errorf("have key %.12s looked at: %w", fingerprint, err)
	}
	return nil
}

// Ledger calls each with the records of a key, or of all of an installation if
// fingerprint is "", in their order.
func (s *Store) Ledger(ctx context.Context, installation int64, fingerprint string, each func(Record) error) error {
	where, args := "installation = ?", []any{installation}
	if fingerprint != "" {
		where, args = where+" AND fingerprint = ?", append(args, fingerprint)
	}
	return s.rows(ctx, func(rows *sql.Rows) error {
		var r Record
		var at, due int64
		if err := rows.Scan(&r.Installation, &r.Seq, &at, &r.Fingerprint, &r.Event, &r.Actor, &r.From, &r.To, &r.Detail, &due, &r.Mac); err != nil {
			return err
		}
		r.At, r.Due = instant(at), instant(due)
		return each(r)
	}, "SELECT installation, seq, happened, fingerprint, event, actor, from_state, to_state, detail, due, mac FROM ledger WHERE "+where+" ORDER BY seq", args...)
}

// A Forgery is a place where the ledger is not as it was written.
type Forgery struct {
	Installation, Seq int64
	Problem           string
}

func (f Forgery) String() string {
	return fmt.Sprintf("installation %d, record %d: %s", f.Installation, f.Seq, f.Problem)
}

// VerifyLedger reads the ledgers of all installations, and returns how many records
// there are, and where they are not as they were written. A record that was changed is
// named alone: the next one is judged by the MAC that it was chained to.
func (s *Store) VerifyLedger(ctx context.Context, key []byte) (records int, forged []Forgery, err error) {
	heads, err := s.heads(ctx, "")
	if err != nil {
		return 0, nil, err
	}
	for _, h := range heads {
		var seq int64
		before, good := "", ""
		more := 0
		last := map[string]Record{} // of each key
		err := s.Ledger(ctx, h.Installation, "", func(r Record) error {
			if r.Seq > h.Seq {
				more++ // it came since
				return nil
			}
			records++
			last[r.Fingerprint] = Record{Seq: r.Seq, To: r.To}
			switch chained := r.mac(key, before); {
			case r.Seq != seq+1:
				forged = append(forged, Forgery{h.Installation, seq + 1, fmt.Sprintf("it is gone: record %d follows", r.Seq)})
			case r.Mac != chained && r.mac(key, good) != r.Mac:
				forged = append(forged, Forgery{h.Installation, r.Seq, "it does not match its MAC: it was changed, or written with another pepper"})
				good = chained // what its MAC would be, if the MAC is what was changed
				before, seq = r.Mac, r.Seq
				return nil
			}
			before, good, seq = r.Mac, r.Mac, r.Seq
			return nil
		})
		if err != nil {
			return records, forged, fmt.Errorf("read the ledger: %w", err)
		}
		if seq != h.Seq || before != h.Mac && !slices.ContainsFunc(forged, func(f Forgery) bool { return f.Installation == h.Installation && f.Seq == seq }) {
			forged = append(forged, Forgery{h.Installation, seq, fmt.Sprintf("the ledger ends here; its head says that record %d is the last", h.Seq)})
		}
		courses, err := s.Courses(ctx, h.Installation)
		if err != nil {
			return records, forged, err
		}
		if now, err := s.LedgerEnd(ctx, h.Installation); err != nil {
			return records, forged, err
		} else if now != h.Seq {
			continue // the lives have gone on since: the next time
		}
		if more > 0 {
			forged = append(forged, Forgery{h.Installation, h.Seq, fmt.Sprintf("its head says that it is the last; %d more follow", more)})
		}
		for _, c := range courses {
			if r := last[c.Fingerprint]; r.To != c.State {
				forged = append(forged, Forgery{h.Installation, r.Seq, fmt.Sprintf("it is the last of key %.12s and leads to %q; the database says that the key is %s", c.Fingerprint, r.To, c.State)})
			}
		}
	}
	orphans, err := s.orphans(ctx)
	return records, append(forged, orphans...), err
}

// orphans are records of installations that are not known.
func (s *Store) orphans(ctx context.Context) (out []Forgery, err error) {
	err = s.rows(ctx, func(rows *sql.Rows) error {
		f := Forgery{Problem: "the installation that it belongs to is gone"}
		err := rows.Scan(&f.Installation, &f.Seq)
		out = append(out, f)
		return err
	}, "SELECT installation, min(seq) FROM ledger WHERE installation NOT IN (SELECT id FROM installation) GROUP BY installation ORDER BY installation")
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return out, nil
}
