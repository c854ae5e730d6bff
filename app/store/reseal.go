package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Unsealed returns the credentials of an installation whose state is not sealed with the
// newest key, at most limit.
func (s *Store) Unsealed(ctx context.Context, seal *Seal, installation int64, limit int) (fingerprints []string, err error) {
	err = s.rows(ctx, func(rows *sql.Rows) error {
		var fingerprint string
		err := rows.Scan(&fingerprint)
		fingerprints = append(fingerprints, fingerprint)
		return err
	}, "SELECT fingerprint FROM life WHERE installation = ? AND life <> '' AND (key_id <> ? OR mac = '') ORDER BY fingerprint LIMIT ?", installation, seal.current(), limit)
	if err != nil {
		return nil, fmt.Errorf("read the states of installation %d: %w", installation, err)
	}
	return fingerprints, nil
}

// Reseal seals the state of a credential with the newest key, and has its issue written
// again: its marker is under an older one. A state that is not authentic is ErrForged and
// stays as it is.
func (s *Store) Reseal(ctx context.Context, seal *Seal, installation int64, fingerprint string) error {
	err := s.tx(ctx, func(tx *tx) error {
		seq, _, err := tx.ledgerHead(installation)
		if err != nil {
			return err
		}
		if err := tx.writable(seal, installation, seq); err != nil {
			return err
		}
		c, err := tx.course(installation, fingerprint)
		if err != nil || c.Life == "" {
			return err
		}
		if err := s.authentic(ctx, tx, seal, c); err != nil {
			return err
		}
		if c.Seq, err = tx.lastOf(installation, fingerprint); err != nil {
			return err
		}
		seal.seal(c)
		if _, err := tx.exec("UPDATE life SET life = ?, seq = ?, key_id = ?, mac = ? WHERE installation = ? AND fingerprint = ?", c.Life, c.Seq, c.KeyID, c.Mac, installation, fingerprint); err != nil {
			return err
		}
		_, err = tx.exec("UPDATE credential SET "+unwritten+" WHERE installation = ? AND fingerprint = ? AND EXISTS (SELECT 1 FROM rotation r WHERE r.installation = credential.installation AND r.fingerprint = credential.fingerprint AND r.number > 0)", installation, fingerprint)
		return err
	})
	if err != nil {
		return fmt.Errorf("seal the state of credential %.12s: %w", fingerprint, err)
	}
	return nil
}

// Pin appends to the ledger of an installation that all its states are sealed with the newest
// key: from then on no older key counts. It reports whether it did; the ledger may say so
// already, or have no records. A state that is not sealed with the newest key is an error.
func (s *Store) Pin(ctx context.Context, seal *Seal, installation int64, at time.Time) (done bool, err error) {
	err = s.tx(ctx, func(tx *tx) error {
		done = false
		seq, mac, err := tx.ledgerHead(installation)
		if err != nil || seq == 0 {
			return err
		}
		if err := tx.writable(seal, installation, seq); err != nil {
			return err
		}
		if pin, err := pinned(ctx, tx, tx.pg, seal, installation); err != nil || pin > 0 {
			return err
		}
		var left int
		err = tx.QueryRowContext(ctx, numbered(tx.pg, "SELECT count(*) FROM life WHERE installation = ? AND life <> '' AND (key_id <> ? OR mac = '')"), installation, seal.current()).Scan(&left)
		if err != nil {
			return err
		}
		if left > 0 {
			return fmt.Errorf("%d states are not sealed with the present pepper", left)
		}
		record := Record{At: at, Event: PepperRotated, Actor: "keyward", Detail: "all states are sealed with pepper " + seal.current()}
		seq, mac, err = tx.append(seal, installation, "", seq, mac, []Record{record})
		if err != nil {
			return err
		}
		done = true
		_, err = tx.exec("UPDATE installation SET ledger_seq = ?, ledger_mac = ? WHERE id = ?", seq, mac, installation)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("finish the change of the pepper for installation %d: %w", installation, err)
	}
	return done, nil
}

// Recognised returns which of the fingerprints an installation has credentials under.
func (s *Store) Recognised(ctx context.Context, installation int64, fingerprints []string) (map[string]bool, error) {
	out := map[string]bool{}
	const atOnce = 500
	for len(fingerprints) > 0 {
		part := fingerprints[:min(atOnce, len(fingerprints))]
		fingerprints = fingerprints[len(part):]
		args := []any{installation}
		for _, f := range part {
			args = append(args, f)
		}
		err := s.rows(ctx, func(rows *sql.Rows) error {
			var fingerprint string
			err := rows.Scan(&fingerprint)
			out[fingerprint] = true
			return err
		}, "SELECT fingerprint FROM credential WHERE installation = ? AND fingerprint IN ("+marks(len(part))+")", args...)
		if err != nil {
			return nil, fmt.Errorf("look for known credentials of installation %d: %w", installation, err)
		}
	}
	return out, nil
}
