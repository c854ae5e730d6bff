// Package store keeps what the App knows: installations, repositories, the keys that
// were found and where, the scans and their checks, and which issue follows which
// key. It never holds a secret: of a key it has the redacted form and the
// fingerprint.
//
// One SQL text serves SQLite and PostgreSQL. A Store is safe for concurrent use.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver
)

// A Store is an open database.
type Store struct {
	DB   *sql.DB
	Pool *pgxpool.Pool // nil on SQLite
	// Now is the clock of this process. All that waits, holds and expires goes by it; the
	// life of credentials has a clock of its own in tests.
	Now func() time.Time
}

// Open opens the database that address names: a PostgreSQL URL, or the name of a
// SQLite file, which is made if there is none.
func Open(ctx context.Context, address string) (*Store, error) {
	if !Postgres(address) {
		// One connection: SQLite has one writer, and waiting for it here is cheaper than
		// being refused there. FULL, as a webhook that was answered must outlive a power cut.
		// Secure delete, as what is deleted must not stay readable in the file.
		dsn := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(address) +
			"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=secure_delete(1)&_txlock=immediate"
		f, err := os.OpenFile(address, os.O_CREATE|os.O_RDWR, 0o600) // for us alone, as SQLite's other files then are
		if err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			return nil, fmt.Errorf("open database %s: %w", address, err)
		}
		db.SetMaxOpenConns(1)
		if err := db.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open database %s: %w", address, err), db.Close())
		}
		return &Store{DB: db, Now: time.Now}, nil
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errors.New("KEYWARD_DATABASE_URL: not a PostgreSQL URL such as postgres://user@host/name") // the error would quote it, password and all
	}
	if config.MaxConns < 16 {
		config.MaxConns = 16
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database at %s: %w", config.ConnConfig.Host, err)
	}
	return &Store{DB: stdlib.OpenDBFromPool(pool), Pool: pool, Now: time.Now}, nil
}

// Postgres reports whether an address names a PostgreSQL database.
func Postgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// Close closes the database.
func (s *Store) Close() error {
	err := s.DB.Close()
	if s.Pool != nil {
		s.Pool.Close()
	}
	return err
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := s.DB.ExecContext(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return nil
}

// a tx is a transaction that writes its placeholders as the database wants them.
type tx struct {
	*sql.Tx
	ctx context.Context
	pg  bool
	now func() time.Time
}

// tx runs fn in a transaction.
func (s *Store) tx(ctx context.Context, fn func(*tx) error) error {
	t, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := fn(&tx{t, ctx, s.Pool != nil, s.Now}); err != nil {
		return errors.Join(err, ignoreDone(t.Rollback()))
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// numbered writes the placeholders of a query as $1, $2 for PostgreSQL. No text of
// ours has a question mark in it.
func numbered(pg bool, query string) string {
	if !pg {
		return query
	}
	var b strings.Builder
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

func (t *tx) exec(query string, args ...any) (int64, error) {
	res, err := t.ExecContext(t.ctx, numbered(t.pg, query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// lock runs a query that locks rows until the end of the transaction. What is asked after it
// sees what those wrote that had the locks before. On SQLite there is one writer anyway.
func (t *tx) lock(query string, args ...any) error {
	if !t.pg {
		return nil
	}
	_, err := t.exec(query, args...)
	return err
}

func (t *tx) has(query string, args ...any) (bool, error) {
	var one int
	err := t.QueryRowContext(t.ctx, numbered(t.pg, query), args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := s.DB.ExecContext(ctx, numbered(s.Pool != nil, query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s *Store) row(ctx context.Context, query string, args ...any) *sql.Row {
	return s.DB.QueryRowContext(ctx, numbered(s.Pool != nil, query), args...)
}

// rows calls scan for each row of a query, and returns when all have been read: on
// SQLite nothing else can be asked meanwhile.
func (s *Store) rows(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	return eachRow(ctx, s.DB, s.Pool != nil, scan, query, args...)
}

// eachRow calls scan for each row that a database or a transaction returns for a query.
func eachRow(ctx context.Context, db asker, pg bool, scan func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := db.QueryContext(ctx, numbered(pg, query), args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// marks are the placeholders of so many values.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// queueNow is the present time as the queue's tables keep it.
func (s *Store) queueNow() string {
	if s.Pool != nil {
		return "now()"
	}
	return "datetime('now', 'subsec')"
}

// queueAfter is the queue's time so many seconds from now, the next argument.
func (s *Store) queueAfter() string {
	if s.Pool != nil {
		return "now() + make_interval(secs => ?)"
	}
	return "datetime('now', 'subsec', ? || ' seconds')"
}

// millis is a time as the database keeps it.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the time that the database keeps as ms.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
