package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrGone says that an installation or repository is not, or no longer, known: what
// is still being worked on for it has to stop, and nothing of it is kept.
var ErrGone = errors.New("not installed there any more")

// An Installation is an account on which the App is installed.
type Installation struct {
	ID, AccountID int64
	Account       string
	Suspended     bool
	Triaged       time.Time // when the first keys of its history got their issues, or zero
}

// A Repository is one that an installation covers.
type Repository struct {
	ID, Installation int64
	Owner, Name      string
	Public, Archived bool
	DefaultBranch    string
	Backfill         string // "", queued, done or failed
}

// FullName is owner/name.
func (r *Repository) FullName() string { return r.Owner + "/" + r.Name }

// PutInstallation adds an installation, or brings its account up to date.
func (s *Store) PutInstallation(ctx context.Context, i *Installation) error {
	_, err := s.exec(ctx, `INSERT INTO installation (id, account, account_id, created) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET account = excluded.account, account_id = excluded.account_id, gone = FALSE`,
		i.ID, i.Account, i.AccountID, s.Now().UnixMilli())
	if err != nil {
		return fmt.Errorf("store installation %d: %w", i.ID, err)
	}
	return nil
}

// SeeInstallation adds an installation that an event speaks of, if it is not known. One
// that was uninstalled stays so: the event is older than that.
func (s *Store) SeeInstallation(ctx context.Context, i *Installation) error {
	_, err := s.exec(ctx, "INSERT INTO installation (id, account, account_id, created) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		i.ID, i.Account, i.AccountID, s.Now().UnixMilli())
	if err != nil {
		return fmt.Errorf("store installation %d: %w", i.ID, err)
	}
	return nil
}

// Installation returns an installation, or ErrGone.
func (s *Store) Installation(ctx context.Context, id int64) (*Installation, error) {
	i := &Installation{ID: id}
	var gone bool
	var triaged int64
	err := s.row(ctx, "SELECT account, account_id, suspended, gone, triaged FROM installation WHERE id = ?", id).Scan(&i.Account, &i.AccountID, &i.Suspended, &gone, &triaged)
	if errors.Is(err, sql.ErrNoRows) || gone {
		return nil, fmt.Errorf("installation %d: %w", id, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("read installation %d: %w", id, err)
	}
	i.Triaged = instant(triaged)
	return i, nil
}

// Installations returns all that are installed.
func (s *Store) Installations(ctx context.Context) (out []Installation, err error) {
	err = s.rows(ctx, func(r *sql.Rows) error {
		var i Installation
		err := r.Scan(&i.ID, &i.Account, &i.AccountID, &i.Suspended)
		out = append(out, i)
		return err
	}, "SELECT id, account, account_id, suspended FROM installation WHERE NOT gone ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read installations: %w", err)
	}
	return out, nil
}

// Suspend notes that an installation is suspended, or is not any more.
func (s *Store) Suspend(ctx context.Context, id int64, suspended bool) error {
	_, err := s.exec(ctx, "UPDATE installation SET suspended = ? WHERE id = ?", suspended, id)
	return err
}

// Triaged notes that the keys of an installation's history have been sorted.
func (s *Store) Triaged(ctx context.Context, id int64, at time.Time) error {
	_, err := s.exec(ctx, "UPDATE installation SET triaged = ? WHERE id = ?", millis(at), id)
	return err
}

// Forget deletes all that is known of an installation. What stays is that it was
// there, so that what is still under way for it is not written again.
func (s *Store) Forget(ctx context.Context, id int64) error {
	return s.tx(ctx, func(tx *tx) error {
		// The installation first, as Proceed does: else two could wait for each other.
		if _, err := tx.exec("UPDATE installation SET gone = TRUE, account = '', account_id = 0, suspended = FALSE, triaged = 0, ledger_seq = 0, ledger_mac = '', scrubbed = 0 WHERE id = ?", id); err != nil {
			return err
		}
		for _, table := range []string{"place", "sighting", "unseen", "verification", "rotation", "life", "ledger", "credential", "scan", "repository"} {
			if _, err := tx.exec("DELETE FROM "+table+" WHERE installation = ?", id); err != nil {
				return fmt.Errorf("delete data of installation %d: %w", id, err)
			}
		}
		return nil
	})
}

// WriteSlot books the next write of an installation, and returns how long to wait for
// it: writes are interval apart, but burst of them may come at once after a pause.
// What would have to wait longer than most is not booked.
func (s *Store) WriteSlot(ctx context.Context, id int64, now time.Time, interval time.Duration, burst int, most time.Duration) (time.Duration, error) {
	ms, step := now.UnixMilli(), interval.Milliseconds()
	slack := step * int64(burst-1)
	// next_write is when the booked writes would end if they came one after another.
	var next int64
	err := s.row(ctx, `UPDATE installation SET next_write = CASE WHEN next_write > ? THEN next_write ELSE ? END + ? WHERE id = ? AND next_write <= ? RETURNING next_write`,
		ms, ms, step, id, ms+slack+most.Milliseconds()).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.row(ctx, "SELECT next_write FROM installation WHERE id = ?", id).Scan(&next)
		next += step
		if errors.Is(err, sql.ErrNoRows) {
			return 0, fmt.Errorf("installation %d: %w", id, ErrGone)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("book a write of installation %d: %w", id, err)
	}
	return max(0, time.Duration(next-step-slack-ms)*time.Millisecond), nil
}

// ContentSlot books the making of an issue or a comment, as WriteSlot does a write: what
// would have to wait is not booked, and how long it would have is returned.
func (s *Store) ContentSlot(ctx context.Context, id int64, now time.Time, interval time.Duration, burst int) (time.Duration, error) {
	ms, step := now.UnixMilli(), interval.Milliseconds()
	slack := step * int64(burst-1)
	n, err := s.exec(ctx, `UPDATE installation SET next_content = CASE WHEN next_content > ? THEN next_content ELSE ? END + ? WHERE id = ? AND next_content <= ?`, ms, ms, step, id, ms+slack)
	if err != nil || n > 0 {
		return 0, err
	}
	var next int64
	if err := s.row(ctx, "SELECT next_content FROM installation WHERE id = ?", id).Scan(&next); err != nil {
		return 0, fmt.Errorf("book content of installation %d: %w", id, err)
	}
	return max(time.Millisecond, time.Duration(next-slack-ms)*time.Millisecond), nil
}

// PutRepository adds a repository, or brings its name and visibility up to date.
func (s *Store) PutRepository(ctx context.Context, r *Repository) error {
	return s.tx(ctx, func(tx *tx) error {
		ok, err := tx.has("SELECT 1 FROM installation WHERE id = ? AND NOT gone", r.Installation)
		if err != nil {
			return fmt.Errorf("read installation %d: %w", r.Installation, err)
		}
		if !ok {
			return fmt.Errorf("installation %d: %w", r.Installation, ErrGone)
		}
		now := s.Now().UnixMilli()
		old, err := scanRepository(tx.QueryRowContext(ctx, numbered(tx.pg, "SELECT "+repositoryColumns+" FROM repository WHERE id = ?"), r.ID))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read repository %d: %w", r.ID, err)
		}
		if err == nil && old.FullName() != r.FullName() {
			if err := tx.move(r.Installation, old.FullName(), r.FullName()); err != nil {
				return err
			}
		}
		if _, err := tx.exec(`INSERT INTO repository (id, installation, owner, name, public, archived, default_branch, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET installation = excluded.installation, owner = excluded.owner, name = excluded.name, public = excluded.public,
			archived = excluded.archived, default_branch = excluded.default_branch, updated = excluded.updated`,
			r.ID, r.Installation, r.Owner, r.Name, r.Public, r.Archived, r.DefaultBranch, now); err != nil {
			return fmt.Errorf("store repository %d: %w", r.ID, err)
		}
		if !r.Public {
			return nil
		}
		_, err = tx.exec(`UPDATE credential SET public_since = ? WHERE installation = ? AND public_since = 0 AND fingerprint IN (SELECT fingerprint FROM place WHERE repository = ?)`,
			now, r.Installation, r.ID)
		return err
	})
}

// MoveIssues gives the issues that are in a repository its new name.
func (s *Store) MoveIssues(ctx context.Context, installation int64, from, to string) error {
	return s.tx(ctx, func(tx *tx) error { return tx.move(installation, from, to) })
}

func (tx *tx) move(installation int64, from, to string) error {
	if _, err := tx.exec("UPDATE rotation SET repository = ? WHERE installation = ? AND repository = ?", to, installation, from); err != nil {
		return fmt.Errorf("rename the repository of issues: %w", err)
	}
	if _, err := tx.exec("UPDATE rotation SET fingerprint = ? WHERE installation = ? AND fingerprint = ?", Dashboard(to).name, installation, Dashboard(from).name); err != nil {
		return fmt.Errorf("rename the repository of a dashboard: %w", err)
	}
	return nil
}

const repositoryColumns = "id, installation, owner, name, public, archived, default_branch, backfill"

func scanRepository(row interface{ Scan(...any) error }) (*Repository, error) {
	r := &Repository{}
	return r, row.Scan(&r.ID, &r.Installation, &r.Owner, &r.Name, &r.Public, &r.Archived, &r.DefaultBranch, &r.Backfill)
}

// Repository returns a repository, or ErrGone.
func (s *Store) Repository(ctx context.Context, id int64) (*Repository, error) {
	r, err := scanRepository(s.row(ctx, "SELECT "+repositoryColumns+" FROM repository WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("repository %d: %w", id, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("read repository %d: %w", id, err)
	}
	return r, nil
}

// Repositories returns those of an installation, by id.
func (s *Store) Repositories(ctx context.Context, installation int64) (out []*Repository, err error) {
	err = s.rows(ctx, func(rows *sql.Rows) error {
		r, err := scanRepository(rows)
		out = append(out, r)
		return err
	}, "SELECT "+repositoryColumns+" FROM repository WHERE installation = ? ORDER BY id", installation)
	if err != nil {
		return nil, fmt.Errorf("read repositories of installation %d: %w", installation, err)
	}
	return out, nil
}

// ForgetRepository deletes what is known of a repository, and of the keys that stood
// nowhere else and have no issue.
func (s *Store) ForgetRepository(ctx context.Context, id int64, deleted bool) error {
	return s.tx(ctx, func(tx *tx) error {
		unseen := "INSERT INTO unseen (installation, fingerprint, repository) SELECT DISTINCT installation, fingerprint, repository FROM place WHERE repository = ? AND url = '' ON CONFLICT DO NOTHING"
		if deleted {
			unseen = "DELETE FROM unseen WHERE repository = ?"
		}
		if _, err := tx.exec(unseen, id); err != nil {
			return fmt.Errorf("note that repository %d is not seen any more: %w", id, err)
		}
		if err := tx.lock("SELECT 1 FROM repository WHERE id = ? FOR UPDATE", id); err != nil { // as recordPart does, first
			return fmt.Errorf("lock repository %d: %w", id, err)
		}
		// Others may find one of them elsewhere at this moment.
		if err := tx.lock("SELECT 1 FROM credential c WHERE EXISTS (SELECT 1 FROM place p WHERE p.installation = c.installation AND p.fingerprint = c.fingerprint AND p.repository = ?) ORDER BY c.installation, c.fingerprint FOR UPDATE", id); err != nil {
			return fmt.Errorf("lock the credentials of repository %d: %w", id, err)
		}
		for _, stmt := range []string{
			"DELETE FROM place WHERE repository = ?",
			"DELETE FROM sighting WHERE repository = ?",
			"DELETE FROM scan WHERE repository = ?",
			`DELETE FROM credential WHERE installation = (SELECT installation FROM repository WHERE id = ?)
				AND NOT EXISTS (SELECT 1 FROM place p WHERE p.installation = credential.installation AND p.fingerprint = credential.fingerprint)
				AND NOT EXISTS (SELECT 1 FROM rotation r WHERE r.installation = credential.installation AND r.fingerprint = credential.fingerprint)
				AND NOT EXISTS (SELECT 1 FROM life l WHERE l.installation = credential.installation AND l.fingerprint = credential.fingerprint)`,
			"DELETE FROM repository WHERE id = ?",
		} {
			if _, err := tx.exec(stmt, id); err != nil {
				return fmt.Errorf("delete data of repository %d: %w", id, err)
			}
		}
		return nil
	})
}

// SetBackfill notes how far the scan of a repository's history is.
func (s *Store) SetBackfill(ctx context.Context, id int64, state, note string) error {
	_, err := s.exec(ctx, "UPDATE repository SET backfill = ?, backfill_note = ?, updated = ? WHERE id = ?", state, note, s.Now().UnixMilli(), id)
	if err != nil {
		return fmt.Errorf("store backfill of repository %d: %w", id, err)
	}
	return nil
}

// Backfilling returns how many repositories of an installation wait for the scan of
// their history.
func (s *Store) Backfilling(ctx context.Context, installation int64) (n int, err error) {
	err = s.row(ctx, "SELECT count(*) FROM repository WHERE installation = ? AND backfill = 'queued'", installation).Scan(&n)
	return n, err
}

// Backfills counts the repositories by how far the scan of their history is: queued,
// done or failed; "" for those that were never asked for.
func (s *Store) Backfills(ctx context.Context) (map[string]int, error) {
	out := map[string]int{}
	err := s.rows(ctx, func(r *sql.Rows) error {
		var state string
		var n int
		err := r.Scan(&state, &n)
		out[state] = n
		return err
	}, "SELECT backfill, count(*) FROM repository GROUP BY backfill")
	return out, err
}
