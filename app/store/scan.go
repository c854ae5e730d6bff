package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ScanState is how far a scan is.
type ScanState string

// The states of a scan. Their values are stored.
const (
	ScanBegun     ScanState = "begun"     // its check is in progress
	ScanDone      ScanState = "done"      // its result is known and has to be published
	ScanPublished ScanState = "published" // its check run has it
)

// A Scan is one range of commits that an event made us scan, and the check run that
// says what came of it.
type Scan struct {
	ID           string
	Installation int64
	Repository   int64
	Source       string // push, pull or merge
	Head, Base   string
	Compared     string // the commit that Head was compared with, Nothing, or "" while it is not known
	Default      bool   // Head was pushed to the default branch
	Fork, Tag    bool   // Head comes from a fork; it is of a tag
	Pull         int
	Sender       int64 // who caused it
	CheckRun     int64 // 0 until GitHub has given it
	State        ScanState
	Result       *Result
	Round        int       // how often it was asked for again
	Begun        time.Time // when it was last asked for again
	Finished     time.Time // when it had this result
}

// Nothing is what a scan is compared with that looks through a whole history.
const Nothing = "nothing"

// ExternalID is how a check run names its scan.
func (s *Scan) ExternalID() string { return fmt.Sprintf("%s#%d", s.ID, s.Round) }

// A Result is what a check run says.
type Result struct {
	Version     int          `json:"v,omitempty"` // of this form; 0 is release 0.9
	Conclusion  string       `json:"Conclusion"`
	Title       string       `json:"Title"`
	Summary     string       `json:"Summary"`
	Annotations []Annotation `json:"Annotations"`
	Keys        []string     `json:"Keys"`               // fingerprints of what it counts
	Head        string       `json:"Head"`               // the commit that the check run is of: tags followed
	Silent      bool         `json:"Silent"`             // no check run is wanted
	Note        string       `json:"Note"`               // what is said before the summary
	Rest        string       `json:"Rest"`               // the conclusion if Keys were none
	Unscanned   bool         `json:"Unscanned"`          // it could not be scanned, which is tried again
	Observed    bool         `json:"Observed,omitempty"` // by policy its check ends neutral if it fails
	MAC         string       `json:"MAC,omitempty"`      // shows that the App wrote it
}

// An Annotation is a key beside the line on which it stands.
type Annotation struct {
	Path    string `json:"Path"`
	Line    int    `json:"Line"`
	EndLine int    `json:"EndLine"`
	Level   string `json:"Level"` // notice, warning or failure
	Title   string `json:"Title"`
	Message string `json:"Message"`
}

const scanColumns = "id, installation, repository, source, head, base, compared, to_default, fork, tag, pull, sender, check_run, state, result, round, begun, finished"

func scanScan(row interface{ Scan(...any) error }) (*Scan, error) {
	s := &Scan{}
	var result string
	var begun, finished int64
	if err := row.Scan(&s.ID, &s.Installation, &s.Repository, &s.Source, &s.Head, &s.Base, &s.Compared, &s.Default, &s.Fork, &s.Tag, &s.Pull, &s.Sender, &s.CheckRun, &s.State, &result, &s.Round, &begun, &finished); err != nil {
		return nil, err
	}
	s.Begun, s.Finished = instant(begun), instant(finished)
	if result == "" {
		return s, nil
	}
	s.Result = &Result{}
	if err := json.Unmarshal([]byte(result), s.Result); err != nil {
		return nil, fmt.Errorf("result of scan %s: %w", s.ID, err)
	}
	return s, NewerThan("result of scan "+s.ID, s.Result.Version, ResultVersion)
}

// BeginScan notes a scan, and returns it as it is if it was begun before.
func (s *Store) BeginScan(ctx context.Context, c *Scan) (*Scan, error) {
	_, err := s.exec(ctx, `INSERT INTO scan (id, installation, repository, source, head, base, to_default, fork, tag, pull, sender, state, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET to_default = scan.to_default OR excluded.to_default`, c.ID, c.Installation, c.Repository, c.Source, c.Head, c.Base, c.Default, c.Fork, c.Tag, c.Pull, c.Sender, ScanBegun, s.Now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("store scan of %.12s: %w", c.Head, err)
	}
	return s.Scan(ctx, c.ID)
}

// Scan returns a scan, or ErrGone.
func (s *Store) Scan(ctx context.Context, id string) (*Scan, error) {
	c, err := scanScan(s.row(ctx, "SELECT "+scanColumns+" FROM scan WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("scan %s: %w", id, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("read scan %s: %w", id, err)
	}
	return c, nil
}

// ScansOf returns the scans whose head is a commit of a repository, and if a check run
// is given the one that it belongs to only.
func (s *Store) ScansOf(ctx context.Context, repository int64, head string, checkRun int64) (out []*Scan, err error) {
	where, args := "repository = ? AND head = ?", []any{repository, head}
	if checkRun != 0 {
		where += " AND check_run = ?"
		args = append(args, checkRun)
	}
	err = s.rows(ctx, func(r *sql.Rows) error {
		c, err := scanScan(r)
		out = append(out, c)
		return err
	}, "SELECT "+scanColumns+" FROM scan WHERE "+where+" ORDER BY id", args...)
	if err != nil {
		return nil, fmt.Errorf("read scans of %.12s: %w", head, err)
	}
	return out, nil
}

// SetCheckRun notes the check run of a scan's round.
func (s *Store) SetCheckRun(ctx context.Context, c *Scan, checkRun int64) error {
	c.CheckRun = checkRun
	_, err := s.exec(ctx, "UPDATE scan SET check_run = ? WHERE id = ? AND round = ?", checkRun, c.ID, c.Round)
	if err != nil {
		return fmt.Errorf("store check run %d: %w", checkRun, err)
	}
	return nil
}

// FinishScan keeps the result of a scan until it is published. It is ErrGone if the scan was
// begun again in the meantime: the result is of what was asked before.
func (s *Store) FinishScan(ctx context.Context, c *Scan, result *Result) error {
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	now := s.Now()
	n, err := s.exec(ctx, "UPDATE scan SET state = ?, result = ?, compared = ?, finished = ? WHERE id = ? AND round = ?", ScanDone, string(text), c.Compared, millis(now), c.ID, c.Round)
	if err != nil {
		return fmt.Errorf("store result of scan %s: %w", c.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("scan %s, asked for %d times: %w", c.ID, c.Round+1, ErrGone)
	}
	c.State, c.Result, c.Finished = ScanDone, result, instant(millis(now))
	return nil
}

// Published notes that a scan's check run says its result, unless the scan was begun again
// or has another result by now: that one is still to be told.
func (s *Store) Published(ctx context.Context, c *Scan) error {
	_, err := s.exec(ctx, "UPDATE scan SET state = ? WHERE id = ? AND round = ? AND state = ? AND finished = ?", ScanPublished, c.ID, c.Round, ScanDone, millis(c.Finished))
	return err
}

// AgainScan begins a scan that was published once more, under a new check run.
// Asked twice before it is published, it is begun once.
func (s *Store) AgainScan(ctx context.Context, id string, now time.Time) error {
	_, err := s.exec(ctx, "UPDATE scan SET state = ?, result = '', check_run = 0, round = round + 1, begun = ? WHERE id = ? AND state = ?", ScanBegun, millis(now), id, ScanPublished)
	return err
}

// LeaseScan books the making of a scan for one worker until it is released, or for so long:
// two deliveries may tell of the same commits at once, and must not make two check runs. It
// is false if another worker has it.
func (s *Store) LeaseScan(ctx context.Context, id, holder string, now time.Time, hold time.Duration) (bool, error) {
	n, err := s.exec(ctx, "UPDATE scan SET holder = ?, held_until = ? WHERE id = ? AND (holder = '' OR holder = ? OR held_until < ?)", holder, millis(now.Add(hold)), id, holder, millis(now))
	if err != nil {
		return false, fmt.Errorf("lease scan %s: %w", id, err)
	}
	return n == 1, nil
}

// ReleaseScan gives a lease back.
func (s *Store) ReleaseScan(ctx context.Context, id, holder string) error {
	_, err := s.exec(ctx, "UPDATE scan SET holder = '', held_until = 0 WHERE id = ? AND holder = ?", id, holder)
	return err
}

// PruneScans deletes scans that were begun before a day, told or not.
func (s *Store) PruneScans(ctx context.Context, before time.Time) (int64, error) {
	return s.exec(ctx, "DELETE FROM scan WHERE created < ?", millis(before))
}

// Alive notes that a process is at work, and returns those that are: not silent for
// longer than so. The clock is the database's, as those of hosts may differ.
func (s *Store) Alive(ctx context.Context, id string, silent time.Duration) (alive []string, err error) {
	now := "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
	if s.Pool != nil {
		now = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
	}
	if _, err := s.exec(ctx, "INSERT INTO process (id, seen) VALUES (?, "+now+") ON CONFLICT (id) DO UPDATE SET seen = excluded.seen", id); err != nil {
		return nil, err
	}
	if _, err := s.exec(ctx, "DELETE FROM process WHERE id <> ? AND seen < "+now+" - ?", id, silent.Milliseconds()); err != nil {
		return nil, err
	}
	err = s.rows(ctx, func(r *sql.Rows) error {
		var p string
		err := r.Scan(&p)
		alive = append(alive, p)
		return err
	}, "SELECT id FROM process")
	return alive, err
}

// Holder is the name under which a job of a process books something.
func Holder(process string, job int64) string { return fmt.Sprintf("%s/%d", process, job) }

// Leave notes that a process ends: what it still held may be taken at once.
func (s *Store) Leave(ctx context.Context, id string) error {
	_, err := s.exec(ctx, "DELETE FROM process WHERE id = ?", id)
	return err
}

// JobStates counts the jobs of the queue by kind and state.
func (s *Store) JobStates(ctx context.Context) (map[[2]string]int, error) {
	out := map[[2]string]int{}
	err := s.rows(ctx, func(r *sql.Rows) error {
		var kind, state string
		var n int
		err := r.Scan(&kind, &state, &n)
		out[[2]string{kind, state}] = n
		return err
	}, "SELECT kind, CAST(state AS TEXT), count(*) FROM river_job GROUP BY kind, state")
	return out, err
}

// OldestDue is for how long the oldest job has been due that no worker has taken, 0 if there
// is none.
func (s *Store) OldestDue(ctx context.Context) (time.Duration, error) {
	age := "(julianday('now', 'subsec') - julianday(min(scheduled_at))) * 86400"
	if s.Pool != nil {
		age = "extract(epoch FROM now() - min(scheduled_at))"
	}
	var seconds float64
	err := s.row(ctx, "SELECT CAST(coalesce("+age+", 0) AS DOUBLE PRECISION) FROM river_job WHERE state = 'available'").Scan(&seconds)
	if err != nil {
		return 0, fmt.Errorf("read the age of the queue: %w", err)
	}
	return time.Duration(max(0, seconds) * float64(time.Second)), nil
}

// Untold returns the scans of an installation whose check run does not say their
// result yet, the oldest first, at most limit.
func (s *Store) Untold(ctx context.Context, installation int64, limit int) (out []*Scan, err error) {
	err = s.rows(ctx, func(r *sql.Rows) error {
		c, err := scanScan(r)
		out = append(out, c)
		return err
	}, "SELECT "+scanColumns+" FROM scan WHERE installation = ? AND state = ? ORDER BY finished, id LIMIT ?", installation, ScanDone, limit)
	if err != nil {
		return nil, fmt.Errorf("read scans of installation %d: %w", installation, err)
	}
	return out, nil
}

// Teller books the telling for an installation: one process at a time writes to it.
// The booking has to be renewed before it ends. It is false if another has it.
func (s *Store) Teller(ctx context.Context, installation int64, holder string, now time.Time, hold time.Duration) (bool, error) {
	n, err := s.exec(ctx, "UPDATE installation SET teller = ?, teller_until = ? WHERE id = ? AND (teller = ? OR teller_until < ?)",
		holder, millis(now.Add(hold)), installation, holder, millis(now))
	if err != nil {
		return false, fmt.Errorf("book the telling for installation %d: %w", installation, err)
	}
	return n == 1, nil
}

// TellerDone gives the booking back.
func (s *Store) TellerDone(ctx context.Context, installation int64, holder string) error {
	_, err := s.exec(ctx, "UPDATE installation SET teller = '', teller_until = 0 WHERE id = ? AND teller = ?", installation, holder)
	return err
}

// Revive makes the jobs available again that were tried as often as allowed.
func (s *Store) Revive(ctx context.Context) (int64, error) {
	n, err := s.exec(ctx, "UPDATE river_job SET state = 'available', finalized_at = NULL, max_attempts = attempt + 6, scheduled_at = "+s.queueNow()+" WHERE state IN ('discarded', 'cancelled')")
	if err != nil {
		return 0, fmt.Errorf("put dead jobs back: %w", err)
	}
	return n, nil
}
