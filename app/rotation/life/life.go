// Package life says how the life of a leaked key goes on: from being found to being
// proved dead. It is a pure function of events, without clock, network or database, so
// that every way through it can be tried.
//
// What people say moves a key as far as "rotating". What lies behind, that the new key
// is in its place, that the old one is revoked, that it is dead, are facts: they come
// from logs, from providers and from checks, and nobody can command them.
package life

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
)

// A State is where a key is on its way.
type State string

// The way of a key, and the ways off it. The last three are no end for good: the waivers
// expire, and whoever closes an issue by hand closes it without evidence, and it is
// called so.
const (
	Open          State = "open"
	Acknowledged  State = "acknowledged"
	Rotating      State = "rotating"
	Rotated       State = "rotated"
	Revoked       State = "revoked"
	Dead          State = "verified-dead"
	Closed        State = "closed"
	FalsePositive State = "false-positive"
	AcceptedRisk  State = "accepted-risk"
	Unproved      State = "closed-without-evidence"
)

// States are all states.
func States() []State {
	return []State{Open, Acknowledged, Rotating, Rotated, Revoked, Dead, Closed, FalsePositive, AcceptedRisk, Unproved}
}

// Done reports whether nobody has to act on a key in this state.
func (s State) Done() bool { return s == Closed || s == Unproved || s.Waived() }

// Waived reports whether somebody decided that a key need not be rotated, for a time.
func (s State) Waived() bool { return s == FalsePositive || s == AcceptedRisk }

// Works reports whether the old key counts as working in this state.
func (s State) Works() bool {
	return s == Open || s == Acknowledged || s == Rotating || s == Rotated
}

// A Verdict is what a check of a key says. Only Inactive says that it is dead.
type Verdict string

// What a check says.
const (
	Active   Verdict = "active"
	Inactive Verdict = "inactive"
	Unknown  Verdict = "unknown" // the provider's answer tells nothing
	Failed   Verdict = "error"   // there was no answer
)

// A Fact is something that is known to have happened.
type Fact struct {
	What string    `json:"What"` // in words, without the key
	At   time.Time `json:"At"`   // when it happened
}

// A Waiver says why a key need not be rotated, and until when.
type Waiver struct {
	By       string    `json:"By"` // logins, for display; Second is who confirmed it
	Second   string    `json:"Second"`
	ByID     int64     `json:"ByID,omitempty"` // their accounts; 0 if not known
	SecondID int64     `json:"SecondID,omitempty"`
	Reason   string    `json:"Reason"`
	Until    time.Time `json:"Until"`
}

// first is who asked for it.
func (w *Waiver) first() Person { return Person{w.By, w.ByID} }

// Proposed returns the waiver that waits for a second person at a time, nil if there is none
// or it has expired.
func (l *Life) Proposed(at time.Time) *Waiver {
	if l.Asked == nil || !at.Before(l.Asked.Until) {
		return nil
	}
	return l.Asked
}

// ProposedBy reports whether somebody asked for a waiver that waits for a second person.
func (l *Life) ProposedBy(p Person, at time.Time) bool {
	w := l.Proposed(at)
	return w != nil && w.first().same(p)
}

// A Life is what is known of one key. The zero value is not valid; see [Begin].
type Life struct {
	Version int `json:"v,omitempty"` // of the form in which it is stored; 0 is release 0.9

	State State     `json:"State"`
	Since time.Time `json:"Since"` // when it came to its state

	Rule         string  `json:"Rule,omitempty"`         // of the credential: it decides where it is checked
	Repositories []int64 `json:"Repositories,omitempty"` // in whose files it was found, in order
	ActiveWith   string  `json:"ActiveWith,omitempty"`   // identifies the values that were sent with it when it was last active

	Severity scanner.Severity `json:"Severity"`
	Tier     scanner.Tier     `json:"Tier"`   // T0 to T3: what its holder can do
	Public   bool             `json:"Public"` // it stands where everybody can read it
	Validity Verdict          `json:"Validity"`

	Clock       Clock     `json:"Clock"`
	Start       time.Time `json:"Start"` // of the clock
	Half        bool      `json:"Half"`  // the clock runs at half the time: the key came back
	Regressions int       `json:"Regressions"`
	Reminded    int       `json:"Reminded"` // percent of the time that was reminded of last
	Snoozed     time.Time `json:"Snoozed"`  // no reminders before

	OldID   string      `json:"OldID"` // public ids of the keys, if they have any
	NewID   string      `json:"NewID"`
	InPlace *Fact       `json:"InPlace"` // the new key works where the old one did
	Claimed time.Time   `json:"Claimed"` // when somebody said that the old key is revoked
	Ended   *Fact       `json:"Ended"`   // the old key was revoked
	Removed *Fact       `json:"Removed"` // the provider says that it does not exist any more
	Checks  []time.Time `json:"Checks"`  // when it was found inactive, the first and the last
	Used    time.Time   `json:"Used"`    // last success of the old key in the logs
	Watched time.Time   `json:"Watched"` // since when the logs of its provider are read; zero: they are not
	AtHead  *bool       `json:"AtHead"`  // a default branch has it; nil: not known
	Looked  time.Time   `json:"Looked"`  // when it was last checked, or searched for
	Answer  string      `json:"Answer"`  // what that check said, in words
	Listed  string      `json:"Listed"`  // where its provider's list has it, and as what; "" if it never did

	Waiver   *Waiver `json:"Waiver"`
	Asked    *Waiver `json:"Asked"`    // a waiver that waits for a second person
	Order    *Waiver `json:"Order"`    // to revoke the key, for a second person to confirm until it ends
	Reopened bool    `json:"Reopened"` // it was opened again after somebody closed it by hand
}

// Begin is the life of a key that has just been found.
func Begin(at time.Time, severity scanner.Severity, tier scanner.Tier, public bool, c Clock) Life {
	return Life{State: Open, Since: at, Clock: c, Start: at, Severity: severity, Tier: tier, Public: public, Validity: Unknown}
}

// How long things take, at least or at most.
const (
	ChecksApart   = time.Hour            // between two checks that prove a key dead
	LongestRisk   = 90 * 24 * time.Hour  // for which a risk may be accepted
	OrderFor      = 24 * time.Hour       // for which an order to revoke waits for a second person
	LongestDenial = 365 * 24 * time.Hour // for which a key may be called none
)

// Quiet is how long the old key has to be silent before it is proved dead.
func (l *Life) Quiet() time.Duration {
	if l.Tier == scanner.T0 {
		return 7 * 24 * time.Hour
	}
	return 24 * time.Hour
}

// Missing says what is not proved yet for the key to be verified dead; nothing if all is.
func (l *Life) Missing(at time.Time) (out []string) {
	if l.Ended == nil {
		out = append(out, "the old key is revoked: a check that says inactive, or the provider's own event")
	}
	if n := len(l.Checks); l.Removed == nil && (n < 2 || l.Checks[n-1].Sub(l.Checks[0]) < ChecksApart) {
		out = append(out, fmt.Sprintf("two checks at least %s apart that say inactive (%d so far), or the provider says that it does not exist", hours(ChecksApart), min(n, 1)))
	}
	if l.Ended != nil && !l.Watched.IsZero() {
		since := slices.MaxFunc([]time.Time{l.Ended.At, l.Used, l.Watched}, time.Time.Compare)
		if at.Sub(since) < l.Quiet() {
			out = append(out, fmt.Sprintf("no use of the old key for %s (quiet since %s)", hours(l.Quiet()), since.UTC().Format("2006-01-02 15:04")))
		}
	}
	switch {
	case l.AtHead == nil:
		out = append(out, "whether a default branch still has it")
	case *l.AtHead:
		out = append(out, "a default branch still has it: it has to be taken out")
	}
	return out
}

// Silence says in words what the logs say of the old key.
func (l *Life) Silence() string {
	switch {
	case l.Watched.IsZero():
		return "not monitored"
	case l.Used.IsZero():
		return "no use seen since " + l.Watched.UTC().Format(time.DateOnly)
	}
	return "last used " + l.Used.UTC().Format("2006-01-02 15:04")
}

func hours(d time.Duration) string {
	switch h := int(d.Hours()); {
	case h == 1:
		return "1 hour"
	case h%24 == 0 && h > 24:
		return fmt.Sprintf("%d days", h/24)
	default:
		return fmt.Sprintf("%d hours", h)
	}
}

// A Step is a change of state, or something to tell about a key that stays in its state.
type Step struct {
	From, To State
	Why      string
	Remind   int // percent of the time that is used up, if this is a reminder
}

// advance takes the steps that the facts allow.
func (l *Life) advance(at time.Time) (steps []Step) {
	for {
		to, why := l.next(at)
		if to == l.State {
			return steps
		}
		steps = append(steps, l.to(to, at, why))
	}
}

// next is the state that the facts lead to from the present one.
func (l *Life) next(at time.Time) (State, string) {
	switch {
	case l.State.Waived() && !at.Before(l.Waiver.Until):
		return Open, "the waiver of " + l.Waiver.By + " has ended"
	case l.State.Works() && l.Ended != nil:
		return Revoked, l.Ended.What
	case (l.State == Open || l.State == Acknowledged || l.State == Rotating) && l.InPlace != nil:
		return Rotated, l.InPlace.What
	case (l.State == Revoked || l.State == Unproved) && len(l.Missing(at)) == 0:
		return Dead, "proved dead; usage logs: " + l.Silence()
	case l.State == Dead:
		return Closed, "with evidence"
	}
	return l.State, ""
}

func (l *Life) to(s State, at time.Time, why string) Step {
	step := Step{From: l.State, To: s, Why: why}
	if l.State.Waived() && s == Open { // the clock starts anew
		l.Waiver, l.Start, l.Reminded, l.Snoozed = nil, at, 0, time.Time{}
	}
	l.State, l.Since = s, at
	return step
}

// regress opens a key again: what was proved does not hold any more.
func (l *Life) regress(at time.Time, why string) []Step {
	step := l.to(Open, at, why)
	l.Regressions++
	l.Start, l.Half, l.Reminded, l.Snoozed = at, true, 0, time.Time{}
	l.NewID, l.InPlace, l.Claimed, l.Ended, l.Removed, l.Checks = "", nil, time.Time{}, nil, nil, nil
	l.Waiver, l.Asked, l.Order, l.Reopened = nil, nil, nil, false
	return []Step{step}
}

// A Refusal says why an event was refused, to whoever caused it.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return Refusal(fmt.Sprintf(format, args...)) }

// clone copies what l refers to.
func (l Life) clone() Life {
	l.Checks, l.Repositories = slices.Clone(l.Checks), slices.Clone(l.Repositories)
	l.InPlace, l.Ended, l.Removed = copied(l.InPlace), copied(l.Ended), copied(l.Removed)
	l.AtHead, l.Waiver, l.Asked = copied(l.AtHead), copied(l.Waiver), copied(l.Asked)
	l.Order = copied(l.Order)
	return l
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// grave reports whether a second person has to confirm that a key is none.
func (l *Life) grave() bool { return l.Severity.AtLeast(scanner.High) }

func words(s string) string { return strings.Join(strings.Fields(s), " ") }
