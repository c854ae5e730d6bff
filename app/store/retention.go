package store

import (
	"context"
	"fmt"
	"time"
)

// pruneAtOnce is how many rows one statement deletes: others write in between.
const pruneAtOnce = 500

// Prune deletes what nobody needs any more and is older than a day: findings that never got
// an issue, with their locations and sightings, the records of checks, and the counts of
// what outsiders added. Credentials that have an issue stay, and so does the ledger. It
// returns how many rows it deleted.
func (s *Store) Prune(ctx context.Context, before time.Time) (deleted int64, err error) {
	which := "FROM credential c WHERE c.state IN (?, ?) AND c.detected < ?" +
		" AND NOT EXISTS (SELECT 1 FROM place p WHERE p.installation = c.installation AND p.fingerprint = c.fingerprint AND p.seen >= ?)" +
		" AND NOT EXISTS (SELECT 1 FROM rotation r WHERE r.installation = c.installation AND r.fingerprint = c.fingerprint)" +
		" AND NOT EXISTS (SELECT 1 FROM life l WHERE l.installation = c.installation AND l.fingerprint = c.fingerprint) ORDER BY c.installation, c.fingerprint LIMIT ?"
	old := "installation || '/' || fingerprint IN (SELECT c.installation || '/' || c.fingerprint " + which + ")"
	ms := millis(before)
	args := []any{StateQuiet, StateHeld, ms, ms, pruneAtOnce}
	for {
		var n int64
		err := s.tx(ctx, func(tx *tx) error {
			if err := tx.lock("SELECT 1 "+which+" FOR UPDATE", args...); err != nil { // one may be found again at this moment
				return fmt.Errorf("lock what is pruned: %w", err)
			}
			for _, table := range []string{"sighting", "unseen", "place", "credential"} {
				m, err := tx.exec("DELETE FROM "+table+" WHERE "+old, args...)
				if err != nil {
					return fmt.Errorf("prune %s: %w", table, err)
				}
				n += m
			}
			return nil
		})
		deleted += n
		if err != nil {
			return deleted, err
		}
		if n == 0 {
			break
		}
	}
	for _, stmt := range []string{
		"DELETE FROM verification WHERE sent < ?",
		"DELETE FROM outsider WHERE day < ?",
	} {
		n, err := s.exec(ctx, stmt, ms)
		if err != nil {
			return deleted, fmt.Errorf("prune: %w", err)
		}
		deleted += n
	}
	return deleted, nil
}

// AllowOutsider counts what people from outside add to a repository on a day, and returns
// how many of n more may be added.
func (s *Store) AllowOutsider(ctx context.Context, installation, repository int64, now time.Time, n, limit int) (allowed int, err error) {
	day := now.UTC().Truncate(24 * time.Hour).UnixMilli()
	err = s.tx(ctx, func(tx *tx) error {
		if _, err := tx.exec("INSERT INTO outsider (installation, repository, day, added) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING", installation, repository, day); err != nil {
			return err
		}
		lock := ""
		if tx.pg {
			lock = " FOR UPDATE"
		}
		var added int
		if err := tx.QueryRowContext(ctx, numbered(tx.pg, "SELECT added FROM outsider WHERE installation = ? AND repository = ? AND day = ?"+lock), installation, repository, day).Scan(&added); err != nil {
			return err
		}
		allowed = max(0, min(n, limit-added))
		_, err := tx.exec("UPDATE outsider SET added = added + ? WHERE installation = ? AND repository = ? AND day = ?", allowed, installation, repository, day)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count what outsiders added to repository %d: %w", repository, err)
	}
	return allowed, nil
}
