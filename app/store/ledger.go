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
	Actor        string    // login, or keyward
	ActorID      int64     // of the account, 0 if nobody did it
	From, To     string    // states
	Detail       string    // for people; it ends with the source
	Source       Source    // where it comes from
	Fact         string    // what a fact says, for programs; Detail is for people
	Due          time.Time // until when the key had to be revoked before this
	KeyID        string    // of the key of the Mac
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
	if r.ActorID != 0 || r.Fact != "" { // the first records had neither
		_ = binary.Write(h, binary.BigEndian, r.ActorID)
		h.Write([]byte(r.Fact))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// recordColumns are the columns of a record, of a table by a name.
func recordColumns(table string) string {
	columns := []string{"installation", "seq", "happened", "fingerprint", "event", "actor", "actor_id", "from_state", "to_state", "detail", "source_kind", "source_id", "fact", "due", "key_id", "mac"}
	return table + "." + strings.Join(columns, ", "+table+".")
}

// scanRecord reads the columns of a record, and what follows them.
func scanRecord(row interface{ Scan(...any) error }, more ...any) (Record, error) {
	var r Record
	var at, due int64
	err := row.Scan(append([]any{&r.Installation, &r.Seq, &at, &r.Fingerprint, &r.Event, &r.Actor, &r.ActorID, &r.From, &r.To, &r.Detail, &r.Source.Kind, &r.Source.ID, &r.Fact, &due, &r.KeyID, &r.Mac}, more...)...)
	r.At, r.Due = instant(at), instant(due)
	return r, err
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
	Seq          int64  // of the key's last record in the ledger
	KeyID, Mac   string // see Seal
}

// Proceed changes the life of a key, and appends what happened to the ledger, both or
// neither. fn is given the life, "" if the key has none, and may be called again; it
// returns records of which it need not set installation, number, key and Mac. With
// records the issue of the key has to be written again; without, nothing but the life
// changes.
//
// A life that Keyward did not write is ErrForged: nothing happens to it.
func (s *Store) Proceed(ctx context.Context, seal *Seal, installation int64, fingerprint string, fn func(life string) (Course, []Record, error)) error {
	err := s.tx(ctx, func(tx *tx) error {
		seq, mac, err := tx.ledgerHead(installation)
		if err != nil {
			return err
		}
		if err := tx.writable(seal, installation, seq); err != nil {
			return err
		}
		old, err := tx.course(installation, fingerprint)
		if err != nil {
			return err
		}
		if err := s.authentic(ctx, tx, seal, old); err != nil {
			return err
		}
		c, records, err := fn(old.Life)
		if err == nil {
			err = tx.unheard(installation, fingerprint, records)
		}
		if err != nil {
			return err
		}
		c.Installation, c.Fingerprint, c.Life, c.Seq = installation, fingerprint, clean(c.Life), old.Seq
		if len(records) > 0 {
			if c.Seq, mac, err = tx.append(seal, installation, fingerprint, seq, mac, records); err != nil {
				return err
			}
		} else if old.Life != "" && old.Mac == "" { // written by a release that did not seal
			if c.Seq, err = tx.lastOf(installation, fingerprint); err != nil {
				return err
			}
		}
		seal.seal(&c)
		if err := tx.putCourse(&c); err != nil || len(records) == 0 {
			return err
		}
		if err := tx.follow(installation, fingerprint, c.Dismissed); err != nil {
			return err
		}
		_, err = tx.exec("UPDATE installation SET ledger_seq = ?, ledger_mac = ? WHERE id = ?", c.Seq, mac, installation)
		return err
	})
	if err != nil {
		return fmt.Errorf("store what happened to key %.12s: %w", fingerprint, err)
	}
	return nil
}

// ledgerHead returns the last record's number and MAC, and lets nobody else append.
func (tx *tx) ledgerHead(installation int64) (seq int64, mac string, err error) {
	lock := ""
	if tx.pg {
		lock = " FOR UPDATE"
	}
	err = tx.QueryRowContext(tx.ctx, numbered(tx.pg, "SELECT ledger_seq, ledger_mac FROM installation WHERE id = ? AND NOT gone"+lock), installation).Scan(&seq, &mac)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("installation %d: %w", installation, ErrGone)
	}
	return seq, mac, err
}

// writable returns ErrPepper if the last record of a ledger is under a key that the seal does
// not have: what this process would append would look forged to those that have it.
func (tx *tx) writable(seal *Seal, installation, seq int64) error {
	if seq == 0 {
		return nil
	}
	var id string
	err := tx.QueryRowContext(tx.ctx, numbered(tx.pg, "SELECT key_id FROM ledger WHERE installation = ? AND seq = ?"), installation, seq).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) { // a record that is gone is for ledger verify to find
		return fmt.Errorf("read the ledger: %w", err)
	}
	if seal.rank(id) < 0 {
		return fmt.Errorf("ledger of installation %d: %w", installation, ErrPepper)
	}
	return nil
}

// course returns the life of a key, an empty one if it has none.
func (tx *tx) course(installation int64, fingerprint string) (*Course, error) {
	c, err := scanCourse(tx.QueryRowContext(tx.ctx, numbered(tx.pg, "SELECT "+courseColumns+" FROM life WHERE installation = ? AND fingerprint = ?"), installation, fingerprint))
	if errors.Is(err, sql.ErrNoRows) {
		return &Course{Installation: installation, Fingerprint: fingerprint}, nil
	}
	return &c, err
}

// lastOf is the number of the last record of a key.
func (tx *tx) lastOf(installation int64, fingerprint string) (seq int64, err error) {
	err = tx.QueryRowContext(tx.ctx, numbered(tx.pg, "SELECT coalesce(max(seq), 0) FROM ledger WHERE installation = ? AND fingerprint = ?"), installation, fingerprint).Scan(&seq)
	return seq, err
}

// putCourse keeps the life of a key.
func (tx *tx) putCourse(c *Course) error {
	_, err := tx.exec(`INSERT INTO life (installation, fingerprint, state, due, wake, look, life, seq, key_id, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (installation, fingerprint) DO UPDATE SET state = excluded.state, due = excluded.due, wake = excluded.wake, life = excluded.life,
			seq = excluded.seq, key_id = excluded.key_id, mac = excluded.mac,
			look = CASE WHEN excluded.look > life.look AND life.look > 0 AND NOT ? THEN life.look ELSE excluded.look END`,
		c.Installation, c.Fingerprint, c.State, millis(c.Due), millis(c.Wake), millis(c.Look), c.Life, c.Seq, c.KeyID, c.Mac, c.Looked)
	return err
}

// unheard returns ErrHappened if the ledger has records from the same source already, and that
// happens once.
func (tx *tx) unheard(installation int64, fingerprint string, records []Record) error {
	if len(records) == 0 || !records[0].Source.Once() {
		return nil
	}
	s := records[0].Source
	known, err := tx.has("SELECT 1 FROM ledger WHERE installation = ? AND fingerprint = ? AND source_kind = ? AND source_id = ?", installation, fingerprint, s.Kind, s.ID)
	if err == nil && known {
		err = ErrHappened
	}
	return err
}

// append adds records to the ledger after the one with a number and MAC. It returns those
// of the last.
func (tx *tx) append(seal *Seal, installation int64, fingerprint string, seq int64, mac string, records []Record) (int64, string, error) {
	for i := range records {
		r := &records[i]
		seq++
		r.Installation, r.Seq, r.Fingerprint, r.KeyID = installation, seq, fingerprint, seal.current()
		r.Actor, r.Detail, r.At, r.Due = clean(r.Actor), clean(r.Detail), instant(millis(r.At)), instant(millis(r.Due))
		r.Mac = r.mac(seal.key(r.KeyID), mac)
		mac = r.Mac
		if _, err := tx.exec("INSERT INTO ledger (installation, seq, happened, fingerprint, event, actor, actor_id, from_state, to_state, detail, source_kind, source_id, fact, due, key_id, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			installation, seq, millis(r.At), fingerprint, r.Event, r.Actor, r.ActorID, r.From, r.To, r.Detail, r.Source.Kind, r.Source.ID, r.Fact, millis(r.Due), r.KeyID, r.Mac); err != nil {
			return 0, "", err
		}
	}
	return seq, mac, nil
}

// follow has the issue of a key written again, and its state in scans follow its life.
func (tx *tx) follow(installation int64, fingerprint, dismissed string) error {
	set, args := "state = CASE WHEN state = ? THEN ? ELSE state END", []any{StateDismissed, StateOpen}
	if dismissed != "" {
		set, args = "state = ?, note = ?", []any{StateDismissed, clean(dismissed)}
	}
	_, err := tx.exec("UPDATE credential SET "+unwritten+", "+set+" WHERE installation = ? AND fingerprint = ?", append(args, installation, fingerprint)...)
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

// Course returns the life of a key, or ErrGone. A life that Keyward did not write is
// ErrForged.
func (s *Store) Course(ctx context.Context, seal *Seal, installation int64, fingerprint string) (c *Course, err error) {
	for range 3 { // one that is written meanwhile is read in two pieces
		if c, err = s.readCourse(ctx, seal, installation, fingerprint); !errors.Is(err, ErrForged) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read life of key %.12s: %w", fingerprint, err)
	}
	return c, nil
}

func (s *Store) readCourse(ctx context.Context, seal *Seal, installation int64, fingerprint string) (*Course, error) {
	list, err := s.courses(ctx, "WHERE installation = ? AND fingerprint = ?", installation, fingerprint)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		list = []Course{{Installation: installation, Fingerprint: fingerprint}}
	}
	if err := s.authentic(ctx, s.DB, seal, &list[0]); err != nil {
		return nil, err
	}
	if list[0].Life == "" {
		return nil, ErrGone
	}
	return &list[0], nil
}

// Courses returns the lives of all keys of an installation, as they stand in the database:
// for listings, not for decisions.
func (s *Store) Courses(ctx context.Context, installation int64) ([]Course, error) {
	list, err := s.courses(ctx, "WHERE installation = ? ORDER BY fingerprint", installation)
	if err != nil {
		return nil, fmt.Errorf("read lives of keys of installation %d: %w", installation, err)
	}
	return list, nil
}

const courseColumns = "installation, fingerprint, state, due, wake, look, life, seq, key_id, mac"

func scanCourse(row interface{ Scan(...any) error }) (Course, error) {
	var c Course
	var due, wake, look int64
	err := row.Scan(&c.Installation, &c.Fingerprint, &c.State, &due, &wake, &look, &c.Life, &c.Seq, &c.KeyID, &c.Mac)
	c.Due, c.Wake, c.Look = instant(due), instant(wake), instant(look)
	return c, err
}

func (s *Store) courses(ctx context.Context, where string, args ...any) (out []Course, err error) {
	err = s.rows(ctx, func(rows *sql.Rows) error {
		c, err := scanCourse(rows)
		out = append(out, c)
		return err
	}, "SELECT "+courseColumns+" FROM life "+where, args...)
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
		r, err := scanRecord(rows)
		if err != nil {
			return err
		}
		return each(r)
	}, "SELECT "+recordColumns("l")+" FROM ledger l WHERE "+where+" ORDER BY seq", args...)
}

// A Forgery is a place where the ledger is not as it was written.
type Forgery struct {
	Installation, Seq int64
	Problem           string
}

func (f Forgery) String() string {
	return fmt.Sprintf("installation %d, record %d: %s", f.Installation, f.Seq, f.Problem)
}

// VerifyLedger reads the ledgers of all installations, and returns how many records there
// are, and where they are not as Keyward wrote them. A record that was changed is named
// alone: the next one is judged by the MAC that it was chained to. The states are compared
// with what their records lead to.
func (s *Store) VerifyLedger(ctx context.Context, seal *Seal) (records int, forged []Forgery, err error) {
	heads, err := s.heads(ctx, "")
	if err != nil {
		return 0, nil, err
	}
	for _, h := range heads {
		v := &verifying{seal: seal, head: h, last: map[string]Record{}}
		if err := s.Ledger(ctx, h.Installation, "", v.record); err != nil {
			return records, forged, fmt.Errorf("read the ledger: %w", err)
		}
		v.end()
		records += v.records
		states, err := s.verifyStates(ctx, v)
		forged = append(append(forged, v.forged...), states...)
		if err != nil {
			return records, forged, err
		}
	}
	orphans, err := s.orphans(ctx)
	return records, append(forged, orphans...), err
}

// verifying reads one ledger.
type verifying struct {
	seal         *Seal
	head         Head
	records      int
	more         int // records behind the head, which came since
	seq          int64
	before, good string            // the MAC of the record before, and what it should be
	rank         int               // of the newest key so far
	last         map[string]Record // of each key
	forged       []Forgery
}

func (v *verifying) found(seq int64, format string, args ...any) {
	v.forged = append(v.forged, Forgery{v.head.Installation, seq, fmt.Sprintf(format, args...)})
}

func (v *verifying) record(r Record) error {
	if r.Seq > v.head.Seq {
		v.more++
		return nil
	}
	v.records++
	v.last[r.Fingerprint] = Record{Seq: r.Seq, To: r.To}
	key, rank := v.seal.key(r.KeyID), v.seal.rank(r.KeyID)
	if r.Seq != v.seq+1 {
		v.found(v.seq+1, "it is gone: record %d follows", r.Seq)
	}
	switch {
	case key == nil:
		v.found(r.Seq, "it was written under a pepper that is not known here (%s)", r.KeyID)
	case rank < v.rank:
		v.found(r.Seq, "it was written under a pepper that had been replaced")
	case r.mac(key, v.before) != r.Mac && r.mac(key, v.good) != r.Mac && r.Seq == v.seq+1:
		v.found(r.Seq, "it does not match its MAC: it was changed, or written with another pepper")
		v.good = r.mac(key, v.before) // what its MAC would be, if the MAC is what was changed
		v.before, v.seq = r.Mac, r.Seq
		return nil
	case !strings.HasSuffix(r.Detail, r.Source.Suffix()):
		v.found(r.Seq, "its source is not the one that its detail names")
	}
	v.rank = max(v.rank, rank)
	v.before, v.good, v.seq = r.Mac, r.Mac, r.Seq
	return nil
}

// end compares the last record with the head.
func (v *verifying) end() {
	changed := slices.ContainsFunc(v.forged, func(f Forgery) bool { return f.Seq == v.seq })
	if v.seq != v.head.Seq || v.before != v.head.Mac && !changed {
		v.found(v.seq, "the ledger ends here; its head says that record %d is the last", v.head.Seq)
	}
}

// verifyStates compares the states of an installation with what the ledger leads to. If
// more was written meanwhile they are left for the next time.
func (s *Store) verifyStates(ctx context.Context, v *verifying) (forged []Forgery, err error) {
	courses, err := s.Courses(ctx, v.head.Installation)
	if err != nil {
		return nil, err
	}
	now, err := s.LedgerEnd(ctx, v.head.Installation)
	if err != nil || now != v.head.Seq {
		return nil, err
	}
	add := func(seq int64, format string, args ...any) {
		forged = append(forged, Forgery{v.head.Installation, seq, fmt.Sprintf(format, args...)})
	}
	if v.more > 0 {
		add(v.head.Seq, "its head says that it is the last; %d more follow", v.more)
	}
	for i := range courses {
		c := &courses[i]
		r := v.last[c.Fingerprint]
		delete(v.last, c.Fingerprint)
		if r.To != c.State {
			add(r.Seq, "it is the last of key %.12s and leads to %q; the database says that the key is %s", c.Fingerprint, r.To, c.State)
			continue
		}
		switch _, err := s.Course(ctx, v.seal, c.Installation, c.Fingerprint); {
		case errors.Is(err, ErrPepper):
			add(r.Seq, "it is the last of key %.12s, whose state was written under a pepper that is not known here", c.Fingerprint)
		case errors.Is(err, ErrForged):
			add(r.Seq, "it is the last of key %.12s; what the database says of the key does not follow from its records, and has no right MAC", c.Fingerprint)
		case err != nil:
			return forged, err
		}
	}
	for fingerprint, r := range v.last {
		if fingerprint != "" {
			add(r.Seq, "it is the last of key %.12s; the database has no state of that key", fingerprint)
		}
	}
	return forged, nil
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
