package git

import (
	"errors"
	"fmt"
	"strings"
)

// A Fault is why a git command failed, as far as callers act on it.
type Fault int

// The faults. Git has no codes for them: they are told by what it prints in the C locale.
const (
	Unclear      Fault = iota
	NoRepository       // the directory is in no repository
	ForeignOwner       // the repository belongs to another user, and git refuses it
	NotThere           // the other side has no such ref or object: asking again changes nothing
	Unauthorized       // the other side refused the credentials
	Damaged            // the repository lacks something, or has it wrong
	Incomplete         // the other side sent less than was asked for
)

// An Error is a git command that failed.
type Error struct {
	Command string
	Fault   Fault
	Said    string // what git printed, "" if nothing
	Err     error  // how the process ended
}

func (e *Error) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("git %s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("git %s: %s", e.Command, e.Said)
}

// Unwrap returns how the process ended.
func (e *Error) Unwrap() error { return e.Err }

// FaultOf returns why git failed if err has a failed command in it, else Unclear.
func FaultOf(err error) Fault {
	var e *Error
	if errors.As(err, &e) {
		return e.Fault
	}
	return Unclear
}

// faults tell the fault of a command by what git printed; the first that matches counts. What
// git prints first is the cause, but for damage, which it may name last.
var faults = []struct {
	fault Fault
	said  []string
}{
	{ForeignOwner, []string{"dubious ownership"}},
	{Unauthorized, []string{"Authentication failed", "could not read Username", "error: 401", "error: 403"}},
	{NotThere, []string{"not our ref", "couldn't find remote ref", "unadvertised object"}},
	{Incomplete, []string{"did not send all necessary objects"}},
	{NoRepository, []string{"not a git repository"}},
	{Damaged, []string{"bad object", "missing", "corrupt", "unable to read", "unable to find", "not a valid", "invalid", "index-pack", "loose object", "cannot open", "could not read"}},
}

func faultOf(said string) Fault {
	for _, f := range faults {
		for _, words := range f.said {
			if strings.Contains(said, words) {
				return f.fault
			}
		}
	}
	return Unclear
}

// gitError describes a failed git command by what git said.
func gitError(command string, err error, stderr string) error {
	e := &Error{Command: command, Err: err, Said: strings.TrimSpace(stderr)}
	first, _, _ := strings.Cut(e.Said, "\n")
	if e.Fault = faultOf(first); e.Fault == Unclear && len(first) < len(e.Said) {
		switch later := faultOf(e.Said); later {
		case Damaged, Incomplete: // what it reports first is what it could not read
			e.Fault = Damaged
		case Unauthorized:
			e.Fault = later
		}
	}
	if i := strings.Index(e.Said, "\n"); i > 0 && e.Fault != ForeignOwner { // that one says what to do about it
		e.Said = e.Said[:i]
	}
	e.Said = strings.TrimPrefix(e.Said, "fatal: ")
	if len(e.Said) > 600 {
		e.Said = e.Said[:600]
	}
	return e
}
