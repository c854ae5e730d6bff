package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// A Rotation is an issue that Keyward opened: the one that follows a credential, or one beside it.
type Rotation struct {
	Installation int64
	Name         string // see [IssueID.Name]
	Kind         IssueKind
	Fingerprint  string // of the credential, "" for a dashboard
	Repository   string // owner/name of where the issue is
	RepositoryID int64  // 0 if it is not known
	Number       int    // 0 until GitHub has given it
	Opened, Due  time.Time
	Owner        string // login of the assignee
	Body         string // a hash of what we last wrote
	Told         int    // how many files the issue's comments and first text told of
	Said         int64  // the last record of the ledger that its comments told of
	Alerted      string // to what GitHub's own alerts of the key were brought, "" if to nothing
	Tries        int    // how often it was claimed
	Claimed      time.Time
}

// Claim books the issue of a key for one worker, until a time or until it releases
// it: two must never open two. It returns what is known of the issue, and false if
// another worker has it.
func (s *Store) Claim(ctx context.Context, installation int64, id IssueID, repository, holder string, now time.Time, hold time.Duration) (*Rotation, bool, error) {
	n, err := s.exec(ctx, `INSERT INTO rotation (installation, fingerprint, kind, credential, repository, holder, held_until, claimed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (installation, fingerprint) DO UPDATE SET kind = excluded.kind, credential = excluded.credential, holder = excluded.holder, held_until = excluded.held_until, tries = rotation.tries + 1,
			repository = CASE WHEN rotation.number = 0 THEN excluded.repository ELSE rotation.repository END
		WHERE rotation.held_until < ? OR rotation.holder = excluded.holder`,
		installation, id.name, id.Kind, id.Credential, repository, holder, millis(now.Add(hold)), millis(now), millis(now))
	if err != nil {
		return nil, false, fmt.Errorf("claim the %s issue of key %.12s: %w", id.Kind, id.Credential, err)
	}
	if n == 0 {
		return nil, false, nil
	}
	r, err := s.Issue(ctx, installation, id)
	return r, err == nil, err
}

// Release gives a claim back.
func (s *Store) Release(ctx context.Context, r *Rotation, holder string) error {
	_, err := s.exec(ctx, "UPDATE rotation SET holder = '', held_until = 0 WHERE installation = ? AND fingerprint = ? AND holder = ?", r.Installation, r.Name, holder)
	return err
}

const rotationColumns = "installation, fingerprint, kind, credential, repository, repository_id, number, opened, due, owner, body, told, said, alerted, tries, claimed"

func scanRotation(row interface{ Scan(...any) error }) (*Rotation, error) {
	r := &Rotation{}
	var opened, due, claimed int64
	err := row.Scan(&r.Installation, &r.Name, &r.Kind, &r.Fingerprint, &r.Repository, &r.RepositoryID, &r.Number, &opened, &due, &r.Owner, &r.Body, &r.Told, &r.Said, &r.Alerted, &r.Tries, &claimed)
	r.Opened, r.Due, r.Claimed = instant(opened), instant(due), instant(claimed)
	if r.Kind == "" {
		id := ParseIssueName(r.Name)
		r.Kind, r.Fingerprint = id.Kind, id.Credential
	}
	return r, err
}

// Rotation returns what is known of the issue that follows a credential, or ErrGone.
func (s *Store) Rotation(ctx context.Context, installation int64, fingerprint string) (*Rotation, error) {
	return s.Issue(ctx, installation, CredentialIssue(fingerprint))
}

// Issue returns what is known of an issue, or ErrGone.
func (s *Store) Issue(ctx context.Context, installation int64, id IssueID) (*Rotation, error) {
	r, err := scanRotation(s.row(ctx, "SELECT "+rotationColumns+" FROM rotation WHERE installation = ? AND fingerprint = ?", installation, id.name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s issue of key %.12s: %w", id.Kind, id.Credential, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("read the %s issue of key %.12s: %w", id.Kind, id.Credential, err)
	}
	return r, nil
}

// PutRotation keeps what is known of an issue, but for its repository, which may have been
// renamed meanwhile.
func (s *Store) PutRotation(ctx context.Context, r *Rotation) error {
	_, err := s.exec(ctx, "UPDATE rotation SET repository_id = ?, number = ?, opened = ?, due = ?, owner = ?, body = ?, told = ?, said = ? WHERE installation = ? AND fingerprint = ?",
		r.RepositoryID, r.Number, millis(r.Opened), millis(r.Due), r.Owner, r.Body, r.Told, r.Said, r.Installation, r.Name)
	if err != nil {
		return fmt.Errorf("store issue of key %.12s: %w", r.Fingerprint, err)
	}
	return nil
}

// Rotations returns the issues of an installation.
func (s *Store) Rotations(ctx context.Context, installation int64) (out []*Rotation, err error) {
	err = s.rows(ctx, func(rows *sql.Rows) error {
		r, err := scanRotation(rows)
		out = append(out, r)
		return err
	}, "SELECT "+rotationColumns+" FROM rotation WHERE installation = ? ORDER BY fingerprint", installation)
	if err != nil {
		return nil, fmt.Errorf("read issues of installation %d: %w", installation, err)
	}
	return out, nil
}

// RotationAt returns the issue of a key that has a number in a repository, the whole or a
// part, or ErrGone. The repository is known by its id; issues whose repository's id was not
// kept are known by its name.
func (s *Store) RotationAt(ctx context.Context, installation, id int64, repository string, number int) (*Rotation, error) {
	r, err := scanRotation(s.row(ctx, "SELECT "+rotationColumns+" FROM rotation WHERE installation = ? AND number = ? AND (repository_id = ? OR repository_id = 0 AND repository = ?) AND "+
		"(kind IN ('credential', 'sub-issue') OR kind = '' AND fingerprint NOT LIKE 'dashboard %' AND fingerprint NOT LIKE 'more %')", installation, number, id, repository))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("issue %s#%d: %w", repository, number, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("read issue %s#%d: %w", repository, number, err)
	}
	return r, nil
}

// SetOwner notes to whom the issue of a key was given, and has it written again.
func (s *Store) SetOwner(ctx context.Context, r *Rotation, login string) error {
	err := s.tx(ctx, func(tx *tx) error {
		if _, err := tx.exec("UPDATE rotation SET owner = ? WHERE installation = ? AND fingerprint = ?", login, r.Installation, r.Name); err != nil {
			return err
		}
		_, err := tx.exec("UPDATE credential SET "+unwritten+" WHERE installation = ? AND fingerprint = ?", r.Installation, r.Fingerprint)
		return err
	})
	if err != nil {
		return fmt.Errorf("store the owner of key %.12s: %w", r.Fingerprint, err)
	}
	return nil
}

// SetAlerted notes to what GitHub's own alerts of a key were brought.
func (s *Store) SetAlerted(ctx context.Context, r *Rotation, to string) error {
	if _, err := s.exec(ctx, "UPDATE rotation SET alerted = ? WHERE installation = ? AND fingerprint = ?", to, r.Installation, r.Name); err != nil {
		return fmt.Errorf("store the alerts of key %.12s: %w", r.Fingerprint, err)
	}
	return nil
}
