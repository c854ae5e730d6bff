package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
)

// unwritten notes that more is known of a credential than its issue says. All that sets it
// counts: what becomes known while the issue is written must not be taken for written.
const unwritten = "stale = TRUE, news = news + 1"

// State is what becomes of a credential before and beside its issue. What happens after the
// issue was opened belongs to the life cycle.
type State string

// The states of a credential. Their values are stored.
const (
	StateOpen      State = "open"      // it is to be rotated
	StateHeld      State = "held"      // found in a history, waiting for its turn to get an issue
	StateQuiet     State = "quiet"     // by policy it gets no issue
	StateDismissed State = "dismissed" // people said that it is not a credential
)

// States returns all states of a credential.
func States() []State { return []State{StateOpen, StateHeld, StateQuiet, StateDismissed} }

// A Credential is one key of an installation, with the places where it stands.
type Credential struct {
	Installation int64
	Fingerprint  string
	Rule         string
	Severity     scanner.Severity
	Redacted     string
	Confidence   float64
	Facts        []scanner.Fact
	Expires      time.Time
	Detected     time.Time
	FirstCommit  string
	FirstAt      time.Time
	PublicSince  time.Time
	State        State
	Note         string
	Settings     policy.App // of the policy under which it was found
	Places       []Place
	Commits      []string // that brought it, of the repository that is recorded
	news         int64    // counts what became known of it
}

// A Place is where a credential stands.
type Place struct {
	Repository int64
	Path       string
	Line, Col  int
	Commit     string
	Blob       string
	Decoded    string
	InTest     bool
	URL        string // of what is no file: a comment, a pull request's text
	Origin     Origin // what it is, if it is no file
	Seen       time.Time
}

// An Origin is a text that is no file.
type Origin struct {
	Kind   TextKind // "" for a file, and for texts found by the release before this one
	Item   string   // its id: a number of the REST API, or a global id of discussions
	Number int      // of the issue, pull request or discussion that it belongs to, or 0
}

// A TextKind is a kind of text on GitHub in which credentials are found.
type TextKind string

// The kinds of texts. Their values are stored.
const (
	TextIssue             TextKind = "issue" // title and body, of pull requests too
	TextComment           TextKind = "issue_comment"
	TextReview            TextKind = "pull_request_review"
	TextReviewComment     TextKind = "pull_request_review_comment"
	TextCommitComment     TextKind = "commit_comment"
	TextDiscussion        TextKind = "discussion"
	TextDiscussionComment TextKind = "discussion_comment"
	TextRelease           TextKind = "release"
	TextWiki              TextKind = "wiki"
)

// A Change is what recording a credential changed.
type Change struct {
	Fingerprint string
	State       State
	New         bool // it was not known
	Elsewhere   bool // it was known, and now stands in a file where it was not known to stand
}

// recordAtOnce is how many credentials one transaction keeps: others write in between.
const recordAtOnce = 50

// Record keeps the credentials that were found in a repository, and returns what was
// new of each. A credential that is known keeps its state, but one that is held or
// quiet and comes again by a push that wants it open is opened. If it fails, some may be
// kept: recording the same again changes nothing more.
func (s *Store) Record(ctx context.Context, repository int64, list []Credential) (changes []Change, err error) {
	for part := range slices.Chunk(list, recordAtOnce) {
		more, err := s.recordPart(ctx, repository, part)
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
	}
	return changes, nil
}

func (s *Store) recordPart(ctx context.Context, repository int64, list []Credential) (changes []Change, err error) {
	err = s.tx(ctx, func(tx *tx) error {
		changes = nil
		lock := ""
		if tx.pg {
			lock = " FOR SHARE"
		}
		r, err := scanRepository(tx.QueryRowContext(ctx, numbered(tx.pg, "SELECT "+repositoryColumns+" FROM repository WHERE id = ?"+lock), repository))
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("repository %d: %w", repository, ErrGone)
		}
		if err != nil {
			return err
		}
		for i := range list {
			c := &list[i]
			c.Installation = r.Installation
			change, err := tx.record(c, r)
			if err != nil {
				return fmt.Errorf("store key %.12s: %w", c.Fingerprint, err)
			}
			changes = append(changes, change)
		}
		return nil
	})
	return changes, err
}

// clean is a text as every database takes it: names of files are bytes of any kind.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func (tx *tx) record(c *Credential, r *Repository) (Change, error) {
	change := Change{Fingerprint: c.Fingerprint, State: c.State}
	now := tx.now()
	facts, err := json.Marshal(c.Facts)
	if err != nil {
		return change, err
	}
	settings, err := encodeSettings(c.Settings)
	if err != nil {
		return change, err
	}
	var public int64
	if r.Public {
		public = now.UnixMilli()
	}
	n, err := tx.exec(`INSERT INTO credential (installation, fingerprint, rule, severity, redacted, confidence, facts, expires, detected, first_commit, first_at, public_since, state, settings)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (installation, fingerprint) DO NOTHING`,
		c.Installation, c.Fingerprint, c.Rule, c.Severity, clean(c.Redacted), c.Confidence, string(facts), millis(c.Expires), now.UnixMilli(), c.FirstCommit, millis(c.FirstAt), public, c.State, string(settings))
	if err != nil {
		return change, err
	}
	change.New = n == 1
	if !change.New {
		if err := tx.merge(c, public, settings, &change); err != nil {
			return change, err
		}
	}
	if _, err := tx.exec("DELETE FROM unseen WHERE installation = ? AND fingerprint = ? AND repository = ?", c.Installation, c.Fingerprint, r.ID); err != nil {
		return change, err
	}
	for _, p := range c.Places {
		p.Path, p.Decoded, p.URL = clean(p.Path), clean(p.Decoded), clean(p.URL)
		known, err := tx.has("SELECT 1 FROM place WHERE installation = ? AND fingerprint = ? AND repository = ? AND path = ?", c.Installation, c.Fingerprint, r.ID, p.Path)
		if err != nil {
			return change, err
		}
		if _, err := tx.exec(`INSERT INTO place (installation, fingerprint, repository, path, line, col, commit_id, blob, decoded, in_test, url, kind, item, number, seen)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (installation, fingerprint, repository, path, line) DO UPDATE SET seen = excluded.seen`,
			c.Installation, c.Fingerprint, r.ID, p.Path, p.Line, p.Col, p.Commit, p.Blob, p.Decoded, p.InTest, p.URL, p.Origin.Kind, p.Origin.Item, p.Origin.Number, now.UnixMilli()); err != nil {
			return change, err
		}
		change.Elsewhere = change.Elsewhere || !known && !change.New
	}
	for _, id := range c.Commits {
		if _, err := tx.exec("INSERT INTO sighting (installation, fingerprint, repository, commit_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", c.Installation, c.Fingerprint, r.ID, id); err != nil {
			return change, err
		}
	}
	if change.Elsewhere || change.New {
		_, err = tx.exec("UPDATE credential SET "+unwritten+" WHERE installation = ? AND fingerprint = ?", c.Installation, c.Fingerprint)
	}
	return change, err
}

// merge brings a credential that is known up to date with how it was found again.
func (tx *tx) merge(c *Credential, public int64, settings string, change *Change) error {
	var severity scanner.Severity
	var state State
	var old string
	var first int64
	lock := "" // what deletes credentials that stand nowhere must not delete it meanwhile
	if tx.pg {
		lock = " FOR UPDATE"
	}
	if err := tx.QueryRowContext(tx.ctx, numbered(tx.pg, "SELECT severity, state, settings, first_at FROM credential WHERE installation = ? AND fingerprint = ?"+lock), c.Installation, c.Fingerprint).
		Scan(&severity, &state, &old, &first); err != nil {
		return err
	}
	change.State = state
	if c.State == StateOpen && (state == StateHeld || state == StateQuiet) {
		change.State = StateOpen
		change.New = true // now it gets its issue
	}
	if c.Severity.AtLeast(severity) {
		severity = c.Severity
	}
	args := []any{severity, change.State}
	set := "severity = ?, state = ?"
	if c.State != StateQuiet && !sameSettings(old, settings) { // the newest policy holds; what has no issue may get one by it
		set += ", settings = ?, news = news + 1, stale = stale OR NOT EXISTS " + hasIssue
		args = append(args, settings)
	}
	if at := millis(c.FirstAt); at != 0 && (first == 0 || at < first) {
		set += ", first_commit = ?, first_at = ?"
		args = append(args, c.FirstCommit, at)
	}
	if public != 0 {
		set += ", public_since = CASE WHEN public_since = 0 THEN ? ELSE public_since END"
		args = append(args, public)
	}
	_, err := tx.exec("UPDATE credential SET "+set+" WHERE installation = ? AND fingerprint = ?", append(args, c.Installation, c.Fingerprint)...)
	return err
}

const credentialColumns = "installation, fingerprint, rule, severity, redacted, confidence, facts, expires, detected, first_commit, first_at, public_since, state, note, settings, news"

func scanCredential(row interface{ Scan(...any) error }) (*Credential, error) {
	c := &Credential{}
	var facts, settings string
	var expires, detected, first, public int64
	if err := row.Scan(&c.Installation, &c.Fingerprint, &c.Rule, &c.Severity, &c.Redacted, &c.Confidence, &facts, &expires, &detected, &c.FirstCommit, &first, &public, &c.State, &c.Note, &settings, &c.news); err != nil {
		return nil, err
	}
	c.Expires, c.Detected, c.FirstAt, c.PublicSince = instant(expires), instant(detected), instant(first), instant(public)
	var err error
	c.Settings, err = decodeSettings(settings)
	return c, errors.Join(err, json.Unmarshal([]byte(facts), &c.Facts))
}

// Credential returns a key with its places, oldest first, or ErrGone.
func (s *Store) Credential(ctx context.Context, installation int64, fingerprint string) (*Credential, error) {
	c, err := scanCredential(s.row(ctx, "SELECT "+credentialColumns+" FROM credential WHERE installation = ? AND fingerprint = ?", installation, fingerprint))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("key %.12s: %w", fingerprint, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("read key %.12s: %w", fingerprint, err)
	}
	err = s.rows(ctx, func(r *sql.Rows) error {
		var p Place
		var seen int64
		if err := r.Scan(&p.Repository, &p.Path, &p.Line, &p.Col, &p.Commit, &p.Blob, &p.Decoded, &p.InTest, &p.URL, &p.Origin.Kind, &p.Origin.Item, &p.Origin.Number, &seen); err != nil {
			return err
		}
		p.Seen = instant(seen)
		c.Places = append(c.Places, p)
		return nil
	}, "SELECT repository, path, line, col, commit_id, blob, decoded, in_test, url, kind, item, number, seen FROM place WHERE installation = ? AND fingerprint = ? ORDER BY repository, path, line",
		installation, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("read places of key %.12s: %w", fingerprint, err)
	}
	return c, nil
}

// SetNote notes why a key has no issue.
func (s *Store) SetNote(ctx context.Context, c *Credential) error {
	if _, err := s.exec(ctx, "UPDATE credential SET note = ? WHERE installation = ? AND fingerprint = ?", c.Note, c.Installation, c.Fingerprint); err != nil {
		return fmt.Errorf("store why key %.12s has no issue: %w", c.Fingerprint, err)
	}
	return nil
}

// Credentials returns the keys of an installation in any of the states, the riskiest
// first, without their places.
func (s *Store) Credentials(ctx context.Context, installation int64, states ...State) (out []*Credential, err error) {
	args := []any{installation}
	for _, state := range states {
		args = append(args, state)
	}
	err = s.rows(ctx, func(r *sql.Rows) error {
		c, err := scanCredential(r)
		out = append(out, c)
		return err
	}, "SELECT "+credentialColumns+" FROM credential WHERE installation = ? AND state IN ("+marks(len(states))+")", args...)
	if err != nil {
		return nil, fmt.Errorf("read keys of installation %d: %w", installation, err)
	}
	slices.SortFunc(out, func(a, b *Credential) int {
		switch {
		case a.Severity != b.Severity:
			if a.Severity.AtLeast(b.Severity) {
				return -1
			}
			return 1
		case a.PublicSince.IsZero() != b.PublicSince.IsZero():
			if b.PublicSince.IsZero() {
				return -1
			}
			return 1
		case a.Confidence != b.Confidence:
			if a.Confidence > b.Confidence {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Fingerprint, b.Fingerprint)
	})
	return out, nil
}

// SetState moves a key to a state, with a note of who decided so and why.
func (s *Store) SetState(ctx context.Context, installation int64, fingerprint string, state State, note string) error {
	_, err := s.exec(ctx, "UPDATE credential SET state = ?, note = ?, "+unwritten+" WHERE installation = ? AND fingerprint = ?", state, note, installation, fingerprint)
	if err != nil {
		return fmt.Errorf("store state of key %.12s: %w", fingerprint, err)
	}
	return nil
}

// InState returns those of several keys of an installation whose life is in any of the
// states.
func (s *Store) InState(ctx context.Context, installation int64, prints, states []string) (out []string, err error) {
	for part := range slices.Chunk(prints, 200) {
		args := []any{installation}
		for _, v := range slices.Concat(states, part) {
			args = append(args, v)
		}
		err := s.rows(ctx, func(r *sql.Rows) error {
			var fp string
			err := r.Scan(&fp)
			out = append(out, fp)
			return err
		}, "SELECT fingerprint FROM life WHERE installation = ? AND state IN ("+marks(len(states))+") AND fingerprint IN ("+marks(len(part))+")", args...)
		if err != nil {
			return nil, fmt.Errorf("read the states of keys: %w", err)
		}
	}
	return out, nil
}

// NewCommit reports whether any of the commits is not known to have brought a key to a
// repository.
func (s *Store) NewCommit(ctx context.Context, installation, repository int64, fingerprint string, commits []string) (bool, error) {
	for _, id := range commits {
		var n int
		err := s.row(ctx, "SELECT count(*) FROM sighting WHERE installation = ? AND fingerprint = ? AND repository = ? AND commit_id = ?", installation, fingerprint, repository, id).Scan(&n)
		if err != nil {
			return false, fmt.Errorf("read the commits of key %.12s: %w", fingerprint, err)
		}
		if n == 0 {
			return true, nil
		}
	}
	return false, nil
}

// Unissued counts the open credentials of an installation that have no issue, by the reason.
func (s *Store) Unissued(ctx context.Context, installation int64) (map[string]int, error) {
	out := map[string]int{}
	err := s.rows(ctx, func(r *sql.Rows) error {
		var why string
		var n int
		err := r.Scan(&why, &n)
		out[why] = n
		return err
	}, "SELECT note, count(*) FROM credential WHERE installation = ? AND state = ? AND note <> '' AND NOT EXISTS "+hasIssue+" GROUP BY note", installation, StateOpen)
	if err != nil {
		return nil, fmt.Errorf("count credentials of installation %d without an issue: %w", installation, err)
	}
	return out, nil
}

// LiveKeys returns the keys that stand in files of a repository and have a life that is not
// over, with their places there, at most limit keys.
func (s *Store) LiveKeys(ctx context.Context, repository int64, over []string, limit int) (map[string][]Place, error) {
	out := map[string][]Place{}
	args := []any{repository}
	for _, state := range over {
		args = append(args, state)
	}
	err := s.rows(ctx, func(r *sql.Rows) error {
		var fp string
		var p Place
		err := r.Scan(&fp, &p.Path, &p.Blob, &p.Commit)
		if out[fp] != nil || len(out) < limit {
			out[fp] = append(out[fp], p)
		}
		return err
	}, `SELECT p.fingerprint, p.path, p.blob, p.commit_id FROM place p JOIN life l ON l.installation = p.installation AND l.fingerprint = p.fingerprint
		WHERE p.repository = ? AND p.url = '' AND l.state NOT IN (`+marks(len(over))+`) ORDER BY p.fingerprint, p.path`, args...)
	if err != nil {
		return nil, fmt.Errorf("read live keys of repository %d: %w", repository, err)
	}
	return out, nil
}

// Unseen reports whether a key stood in repositories that are not to be seen any more,
// though they may still be there.
func (s *Store) Unseen(ctx context.Context, installation int64, fingerprint string) (bool, error) {
	var n int
	err := s.row(ctx, "SELECT count(*) FROM unseen WHERE installation = ? AND fingerprint = ?", installation, fingerprint).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("read where key %.12s is: %w", fingerprint, err)
	}
	return n > 0, nil
}

// FoundIn returns the credentials that stand in a repository, or did when the App last saw it:
// their installations and fingerprints.
func (s *Store) FoundIn(ctx context.Context, repository int64) (out []Credential, err error) {
	err = s.rows(ctx, func(r *sql.Rows) error {
		var c Credential
		err := r.Scan(&c.Installation, &c.Fingerprint)
		out = append(out, c)
		return err
	}, "SELECT installation, fingerprint FROM place WHERE repository = ? UNION SELECT installation, fingerprint FROM unseen WHERE repository = ?", repository, repository)
	if err != nil {
		return nil, fmt.Errorf("read the credentials of repository %d: %w", repository, err)
	}
	return out, nil
}

// maxFacts is how many facts are kept of a key.
const maxFacts = 40

// expiry is when a key expires by what its provider tells, zero if it does not.
func expiry(f scanner.Fact) time.Time {
	if f.Name != "expires" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", time.DateOnly} {
		if t, err := time.Parse(layout, f.Value); err == nil {
			return t
		}
	}
	return time.Time{}
}

// AddFacts keeps what a key's provider tells of it, in the place of what it told before.
func (s *Store) AddFacts(ctx context.Context, c *Credential, facts []scanner.Fact) error {
	all := slices.DeleteFunc(slices.Clone(c.Facts), func(old scanner.Fact) bool {
		return slices.ContainsFunc(facts, func(f scanner.Fact) bool { return f.Name == old.Name })
	})
	all = append(all, facts...)
	text, err := json.Marshal(all[:min(maxFacts, len(all))])
	if err != nil {
		return err
	}
	for _, f := range facts {
		at := expiry(f)
		if at.IsZero() {
			continue
		}
		if _, err := s.exec(ctx, "UPDATE credential SET expires = ? WHERE installation = ? AND fingerprint = ?", millis(at), c.Installation, c.Fingerprint); err != nil {
			return fmt.Errorf("store when key %.12s expires: %w", c.Fingerprint, err)
		}
	}
	if _, err := s.exec(ctx, "UPDATE credential SET facts = ?, "+unwritten+" WHERE installation = ? AND fingerprint = ? AND facts <> ?", clean(string(text)), c.Installation, c.Fingerprint, string(text)); err != nil {
		return fmt.Errorf("store facts of key %.12s: %w", c.Fingerprint, err)
	}
	return nil
}

// hasIssue is true of a credential that has an issue.
const hasIssue = "(SELECT 1 FROM rotation r WHERE r.installation = credential.installation AND r.fingerprint = credential.fingerprint AND r.number <> 0)"

// Settle gives the open keys of a repository that have no issue the settings of a
// policy that has changed: by it they may get one. It returns how many there are.
// With repository 0 it gives them to all of the installation that have none yet.
func (s *Store) Settle(ctx context.Context, installation, repository int64, settings policy.App) (n int64, err error) {
	text, err := encodeSettings(settings)
	if err != nil {
		return 0, err
	}
	none, err := encodeSettings(policy.App{})
	if err != nil {
		return 0, err
	}
	where, args := "installation = ? AND state = ? AND NOT EXISTS "+hasIssue, []any{installation, StateOpen}
	if repository != 0 {
		where += " AND EXISTS (SELECT 1 FROM place p WHERE p.installation = credential.installation AND p.fingerprint = credential.fingerprint AND p.repository = ?)"
		args = append(args, repository)
	}
	err = s.tx(ctx, func(tx *tx) error {
		n = 0
		var stored []string // few: credentials of one policy have the same
		if err := eachRow(ctx, tx, tx.pg, func(r *sql.Rows) error {
			var old string
			err := r.Scan(&old)
			stored = append(stored, old)
			return err
		}, "SELECT DISTINCT settings FROM credential WHERE "+where, args...); err != nil {
			return err
		}
		for _, old := range stored {
			if sameSettings(old, text) || repository == 0 && !sameSettings(old, none) {
				continue
			}
			more, err := tx.exec("UPDATE credential SET settings = ?, "+unwritten+" WHERE "+where+" AND settings = ?", slices.Concat([]any{text}, args, []any{old})...)
			if err != nil {
				return err
			}
			n += more
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("store settings of repository %d: %w", repository, err)
	}
	return n, nil
}

// Retry has the issues of an installation's keys opened that are open and have none: what
// was in the way may be gone.
func (s *Store) Retry(ctx context.Context, installation int64) error {
	if _, err := s.exec(ctx, "UPDATE credential SET "+unwritten+" WHERE installation = ? AND state = ? AND NOT stale AND NOT EXISTS "+hasIssue, installation, StateOpen); err != nil {
		return fmt.Errorf("retry the issues of installation %d: %w", installation, err)
	}
	return nil
}

// Stale returns the keys of an installation whose issue has to be opened or brought up
// to date, the oldest first, at most limit.
func (s *Store) Stale(ctx context.Context, installation int64, limit int) (out []string, err error) {
	err = s.rows(ctx, func(r *sql.Rows) error {
		var fp string
		err := r.Scan(&fp)
		out = append(out, fp)
		return err
	}, "SELECT fingerprint FROM credential WHERE installation = ? AND stale AND state IN (?, ?) ORDER BY detected, fingerprint LIMIT ?", installation, StateOpen, StateDismissed, limit)
	if err != nil {
		return nil, fmt.Errorf("read keys of installation %d: %w", installation, err)
	}
	return out, nil
}

// Fresh notes that the issue of a key says what is known of it, unless more became known
// since the key was read. That is a count in its own row: while an update waits for the lock
// of a row, PostgreSQL does not see what others write into other tables. The release before
// does not count: the number of places is compared, too.
func (s *Store) Fresh(ctx context.Context, c *Credential) error {
	_, err := s.exec(ctx, `UPDATE credential SET stale = FALSE WHERE installation = ? AND fingerprint = ? AND state = ? AND news = ?
		AND (SELECT count(*) FROM place p WHERE p.installation = credential.installation AND p.fingerprint = credential.fingerprint) = ?`,
		c.Installation, c.Fingerprint, c.State, c.news, len(c.Places))
	if err != nil {
		return fmt.Errorf("store key %.12s: %w", c.Fingerprint, err)
	}
	return nil
}

// Freshen has the issues of all keys of an installation written again that stand in a
// repository, as its name or visibility has changed.
func (s *Store) Freshen(ctx context.Context, installation, repository int64) error {
	_, err := s.exec(ctx, "UPDATE credential SET "+unwritten+` WHERE installation = ? AND fingerprint IN
		(SELECT p.fingerprint FROM place p WHERE p.installation = ? AND p.repository = ?)`, installation, installation, repository)
	if err != nil {
		return fmt.Errorf("have the issues of repository %d written: %w", repository, err)
	}
	return nil
}

// Restale makes the issue of a key be written again.
func (s *Store) Restale(ctx context.Context, installation int64, fingerprint string) error {
	_, err := s.exec(ctx, "UPDATE credential SET "+unwritten+" WHERE installation = ? AND fingerprint = ?", installation, fingerprint)
	return err
}

// FreshenOwner makes the issues be written again that a person owns, and gives them
// up. It returns how many there are.
func (s *Store) FreshenOwner(ctx context.Context, installation int64, login string) (int64, error) {
	var n int64
	err := s.tx(ctx, func(tx *tx) (err error) {
		if _, err = tx.exec("UPDATE credential SET "+unwritten+` WHERE installation = ? AND fingerprint IN (SELECT fingerprint FROM rotation WHERE installation = ? AND owner = ?)`, installation, installation, login); err != nil {
			return err
		}
		n, err = tx.exec("UPDATE rotation SET owner = '' WHERE installation = ? AND owner = ?", installation, login)
		return err
	})
	return n, err
}
