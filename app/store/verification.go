package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A Verification is a check of a credential that was sent to its provider.
type Verification struct {
	At      time.Time
	Verdict string
}

// AddVerification notes that a check of a credential was sent.
func (s *Store) AddVerification(ctx context.Context, installation int64, fingerprint string, at time.Time, verdict string) error {
	_, err := s.exec(ctx, "INSERT INTO verification (installation, fingerprint, sent, verdict) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", installation, fingerprint, millis(at), verdict)
	if err != nil {
		return fmt.Errorf("store the check of credential %.12s: %w", fingerprint, err)
	}
	return nil
}

// Verifications returns the checks of a credential that were sent between two times, in
// their order.
func (s *Store) Verifications(ctx context.Context, installation int64, fingerprint string, from, to time.Time) (out []Verification, err error) {
	err = s.rows(ctx, func(r *sql.Rows) error {
		var v Verification
		var at int64
		err := r.Scan(&at, &v.Verdict)
		v.At = instant(at)
		out = append(out, v)
		return err
	}, "SELECT sent, verdict FROM verification WHERE installation = ? AND fingerprint = ? AND sent >= ? AND sent <= ? ORDER BY sent", installation, fingerprint, millis(from), millis(to))
	if err != nil {
		return nil, fmt.Errorf("read the checks of credential %.12s: %w", fingerprint, err)
	}
	return out, nil
}
