package store

import (
	"errors"
	"fmt"
	"strings"
)

// A SourceKind is where an event in the life of a credential comes from.
type SourceKind string

// The kinds of sources. Their values are stored.
const (
	FromComment  SourceKind = "comment"   // a command; the id is that of the comment, and the line
	FromAnswer   SourceKind = "answered"  // a comment without a command
	FromClosing  SourceKind = "closed"    // an issue was closed by hand; the id is that of the delivery
	FromReopened SourceKind = "reopened"  // an issue was opened again by hand
	FromAssigned SourceKind = "assigned"  // an issue was assigned
	FromScan     SourceKind = "scan"      // the id is that of the scan
	FromCheckRun SourceKind = "check-run" // a button of a check run; it has no id
)

// A Source is where the records of one event come from. The zero value stands for Keyward
// itself.
type Source struct {
	Kind SourceKind
	ID   string
}

// CommentLine is the source of a command: a line of a comment.
func CommentLine(comment int64, line int) Source {
	return Source{FromComment, fmt.Sprintf("%d, line %d", comment, line)}
}

// Once reports whether the events of a source happen once to a credential: its id is that of
// one thing that somebody did.
func (s Source) Once() bool {
	switch s.Kind {
	case FromComment, FromAnswer, FromClosing, FromReopened, FromAssigned:
		return s.ID != ""
	}
	return false
}

// Suffix is what the detail of a record ends with, for people.
func (s Source) Suffix() string {
	switch s.Kind {
	case "":
		return ""
	case FromComment, FromScan:
		return fmt.Sprintf(" (%s %s)", s.Kind, s.ID)
	case FromAnswer:
		return fmt.Sprintf(" (answered, comment %s)", s.ID)
	case FromCheckRun:
		return " (check run)"
	}
	return fmt.Sprintf(" (%s, delivery %s)", s.Kind, s.ID)
}

// ErrHappened says that the events of a source are in the ledger already.
var ErrHappened = errors.New("it happened already: the ledger has a record from the same source")

// Of reports whether the record comes from a source. A record of the release before says so in
// its detail only.
func (r *Record) Of(s Source) bool {
	return s.Kind != "" && (r.Source == s || r.Source.Kind == "" && strings.HasSuffix(r.Detail, s.Suffix()))
}

// Why is what happened, without the source.
func (r *Record) Why() string { return strings.TrimSuffix(r.Detail, r.Source.Suffix()) }
