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
)

// ErrForged says that a stored state is not what Keyward wrote: nothing may follow from it.
var ErrForged = errors.New("the stored state does not match its ledger: it was changed outside Keyward (keyward-app ledger verify names it)")

// ErrPepper says that data was written under a pepper that this process does not have: it
// must not write there under an older one.
var ErrPepper = errors.New("the data was written under a pepper that is not configured here: set KEYWARD_PEPPER to the present one, and KEYWARD_OLD_PEPPERS to the former ones")

// A Seal authenticates the ledger and the states that follow from it. Its keys are derived
// from the peppers.
type Seal struct {
	// Order are the ids of the keys, the oldest first. The last makes new MACs; what was
	// written before keys had ids is under the first.
	Order []string
	Keys  map[string][]byte
	// Restored returns what of a state without a right MAC the records of its credential
	// prove, or why it cannot have come from them. It judges states that a release wrote which
	// did not seal them.
	Restored func(life string, records []Record) (string, error)
}

// current is the id of the key that new MACs are made with.
func (s *Seal) current() string { return s.Order[len(s.Order)-1] }

// key returns the key of an id, nil if there is none.
func (s *Seal) key(id string) []byte {
	if id == "" {
		id = s.Order[0]
	}
	return s.Keys[id]
}

// rank is how new a key is, -1 if it is not known.
func (s *Seal) rank(id string) int {
	if id == "" {
		return 0
	}
	return slices.Index(s.Order, id)
}

// mac authenticates the state of a credential and the record of the ledger that it follows.
// When it is looked at next is not a part of it: that is only a matter of time.
func (c *Course) mac(key []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("keyward state"))
	for _, n := range []int64{c.Installation, c.Seq, millis(c.Due)} {
		_ = binary.Write(h, binary.BigEndian, n) // a hash does not fail
	}
	for _, s := range []string{c.Fingerprint, c.State, c.Life} {
		_ = binary.Write(h, binary.BigEndian, int64(len(s)))
		h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// seal signs a state with the newest key.
func (s *Seal) seal(c *Course) {
	c.KeyID = s.current()
	c.Mac = c.mac(s.key(c.KeyID))
}

// sealed reports whether the MAC of a state is right.
func (s *Seal) sealed(c *Course) bool {
	key := s.key(c.KeyID)
	return key != nil && hmac.Equal([]byte(c.mac(key)), []byte(c.Mac))
}

// An asker asks a database or a transaction.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// authentic returns ErrForged unless a state is what Keyward wrote: its MAC is right, and no
// record of the ledger is newer. A state without a right MAC, as the release before wrote
// it, has to follow from records whose own MACs are right; what they do not prove is taken
// out of it. A credential with records always has a state.
func (s *Store) authentic(ctx context.Context, db asker, seal *Seal, c *Course) error {
	pg := s.Pool != nil
	var last int64
	err := db.QueryRowContext(ctx, numbered(pg, "SELECT coalesce(max(seq), 0) FROM ledger WHERE installation = ? AND fingerprint = ?"), c.Installation, c.Fingerprint).Scan(&last)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	if c.Life == "" {
		if last > 0 {
			return fmt.Errorf("credential %.12s has records and no state: %w", c.Fingerprint, ErrForged)
		}
		return nil
	}
	if seal.rank(c.KeyID) < 0 {
		return fmt.Errorf("state of credential %.12s: %w", c.Fingerprint, ErrPepper)
	}
	if seal.rank(c.KeyID) < len(seal.Order)-1 {
		if err := overtaken(ctx, db, pg, seal, c); err != nil {
			return err
		}
	}
	if last == c.Seq && seal.sealed(c) {
		return nil
	}
	if pin, err := pinned(ctx, db, pg, seal, c.Installation); err != nil {
		return err
	} else if pin > 0 { // all states were sealed with the newest key then
		return fmt.Errorf("credential %.12s: %w", c.Fingerprint, ErrForged)
	}
	records, err := s.proven(ctx, db, seal, c.Installation, c.Fingerprint)
	if err != nil {
		return err
	}
	if len(records) == 0 || records[len(records)-1].To != c.State {
		return fmt.Errorf("credential %.12s: %w", c.Fingerprint, ErrForged)
	}
	restored, err := seal.Restored(c.Life, records)
	if err != nil {
		return fmt.Errorf("credential %.12s: %w: %w", c.Fingerprint, ErrForged, err)
	}
	c.Life = restored
	return nil
}

// PepperRotated is the event of the record that ends the use of older keys in a ledger.
const PepperRotated = "pepper-rotated"

// pinned returns the record of an installation's ledger that says that all its states are
// sealed with the newest key, 0 if there is none.
func pinned(ctx context.Context, db asker, pg bool, seal *Seal, installation int64) (seq int64, err error) {
	err = db.QueryRowContext(ctx, numbered(pg, "SELECT coalesce(min(seq), 0) FROM ledger WHERE installation = ? AND event = ? AND key_id = ?"), installation, PepperRotated, seal.current()).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("read the ledger: %w", err)
	}
	return seq, nil
}

// eachChained calls each with the records that meet a condition, in their order, and the MAC
// of the record before.
func eachChained(ctx context.Context, db asker, pg bool, each func(r *Record, before string) error, where string, args ...any) error {
	return eachRow(ctx, db, pg, func(rows *sql.Rows) error {
		var before string
		r, err := scanRecord(rows, &before)
		if err != nil {
			return err
		}
		return each(&r, before)
	}, "SELECT "+recordColumns("r")+", coalesce(b.mac, '') FROM ledger r LEFT JOIN ledger b ON b.installation = r.installation AND b.seq = r.seq - 1 WHERE "+where+" ORDER BY r.seq", args...)
}

// overtaken returns ErrForged if a state is under a key that proves nothing any more: the
// ledger says that all states were sealed with a newer one since, or the record that the state
// follows is under a newer one. The records under newer keys have to be as they were written,
// without a gap up to the end of the ledger: who has the former pepper must not take out the
// one that says so.
func overtaken(ctx context.Context, db asker, pg bool, seal *Seal, c *Course) error {
	forged := fmt.Errorf("credential %.12s is under a pepper that was replaced: %w", c.Fingerprint, ErrForged)
	newer := seal.Order[seal.rank(c.KeyID)+1:]
	args := []any{c.Installation}
	for _, id := range newer {
		args = append(args, id)
	}
	var end int64
	if err := db.QueryRowContext(ctx, numbered(pg, "SELECT ledger_seq FROM installation WHERE id = ?"), c.Installation).Scan(&end); err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	var next int64 // the number that the next record has to have
	err := eachChained(ctx, db, pg, func(r *Record, before string) error {
		if next != 0 && r.Seq != next || r.Event == PepperRotated || r.mac(seal.key(r.KeyID), before) != r.Mac || r.Seq <= c.Seq {
			return forged
		}
		next = r.Seq + 1
		return nil
	}, "r.installation = ? AND r.key_id IN ("+marks(len(newer))+") AND r.seq <= ?", append(args, end)...)
	if err != nil || next == 0 {
		return err
	}
	if next != end+1 {
		return forged
	}
	return nil
}

// Proven returns the records of a credential, or an error if the MAC of one is wrong.
func (s *Store) Proven(ctx context.Context, seal *Seal, installation int64, fingerprint string) ([]Record, error) {
	return s.proven(ctx, s.DB, seal, installation, fingerprint)
}

func (s *Store) proven(ctx context.Context, db asker, seal *Seal, installation int64, fingerprint string) (out []Record, err error) {
	newest := map[int]int64{} // the first record of the installation under a key of the rank
	for rank, id := range seal.Order {
		var first int64
		if err := db.QueryRowContext(ctx, numbered(s.Pool != nil, "SELECT coalesce(min(seq), 0) FROM ledger WHERE installation = ? AND key_id = ?"), installation, id).Scan(&first); err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		if first > 0 {
			newest[rank] = first
		}
	}
	err = eachChained(ctx, db, s.Pool != nil, func(r *Record, before string) error {
		key := seal.key(r.KeyID)
		replaced := false // no record is under an older key than one before it
		for rank, first := range newest {
			replaced = replaced || rank > seal.rank(r.KeyID) && first < r.Seq
		}
		switch {
		case seal.rank(r.KeyID) < 0:
			return fmt.Errorf("record %d: %w", r.Seq, ErrPepper)
		case replaced, r.mac(key, before) != r.Mac:
			return fmt.Errorf("record %d: %w", r.Seq, ErrForged)
		}
		out = append(out, *r)
		return nil
	}, "r.installation = ? AND r.fingerprint = ?",
		installation, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return out, nil
}
