package life

import (
	"time"

	"github.com/keyward/keyward/scanner"
)

// How often a key is looked at.
const (
	lookSoon    = time.Hour            // somebody waits for what comes of it
	lookOften   = 6 * time.Hour        // its holder can do much, and it is new
	lookDaily   = 24 * time.Hour       // the others
	lookWeekly  = 7 * 24 * time.Hour   // nobody acts on it
	lookMonthly = 30 * 24 * time.Hour  // it is dead, or none: is it still?
	lookAfter   = 365 * 24 * time.Hour // for how long that is asked
	checkEvery  = lookDaily            // of a key that was found dead, while something else is missing
)

// Look is when the key is to be looked at: asked about at its provider, and searched for
// on the default branches. Zero means not any more.
func (l *Life) Look() time.Time {
	every := lookDaily
	switch {
	case l.State == Closed && !l.Looked.Before(l.Since.Add(lookAfter)):
		return time.Time{}
	case l.Looked.IsZero(), l.Claimed.After(l.Looked):
		return later(l.Since, l.Claimed)
	case l.State == Open && l.Looked.Before(l.Since): // it came back
		return l.Since
	case l.State == Closed, l.State == FalsePositive: // people may be wrong
		every = lookMonthly
	case l.State == AcceptedRisk, l.State == Unproved:
		every = lookWeekly
	case l.State == Revoked:
		every = lookSoon
	case !l.Claimed.IsZero() && l.Looked.Sub(l.Claimed) < checkEvery:
		every = lookSoon
	case (l.Tier == scanner.T0 || l.Tier == scanner.T1) && l.Looked.Sub(l.Start) < lookWeekly:
		every = lookOften
	}
	return l.Looked.Add(every)
}

// Asks reports whether a look at a time has to ask the provider: a key that was found
// dead twice, and waits for something else, is asked about once a day, one that does not
// exist not before it is closed.
func (l *Life) Asks(at time.Time) bool {
	n := len(l.Checks)
	if l.State == Revoked && l.Removed != nil {
		return false
	}
	return l.State != Revoked || n < 2 || l.Checks[n-1].Sub(l.Checks[0]) < ChecksApart || at.Sub(l.Checks[n-1]) >= checkEvery
}

// Wake is when time alone changes something: a reminder is due, a waiver ends, the old
// key has been silent for long enough. Zero means never.
func (l *Life) Wake() time.Time {
	switch {
	case l.State.Waived():
		return l.Waiver.Until
	case (l.State == Revoked || l.State == Unproved) && l.Ended != nil && !l.Watched.IsZero():
		return later(l.Ended.At, l.Used, l.Watched).Add(l.Quiet())
	case l.State.Done(), l.State == Revoked, l.State == Dead:
		return time.Time{}
	}
	whole := l.Due().Sub(l.Start)
	for _, percent := range reminders {
		if percent > l.Reminded {
			// Rounded up: Spent rounds down.
			return later(l.Start.Add((whole*time.Duration(percent)+99)/100), l.Snoozed)
		}
	}
	return time.Time{}
}

func later(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
