package life

import (
	"time"

	"github.com/keyward/keyward/scanner"
)

// A Clock says how long a key may take to be revoked.
type Clock struct {
	By            map[scanner.Severity]time.Duration `json:"By"`            // by severity, instead of the usual times
	BusinessHours bool                               `json:"BusinessHours"` // weekends do not count, unless the key is known to work
}

// allowance is how long the key may take: by what is known of it. Whether a public key
// works is not waited for: it counts as if it does.
func (l *Life) allowance() time.Duration {
	const hour, day = time.Hour, 24 * time.Hour
	d, own := l.Clock.By[l.Severity]
	switch {
	case own:
	case l.Validity == Inactive:
		d = 14 * day
	case l.Public && (l.Validity == Active || l.grave()):
		d = hour
	case l.Validity == Active && (l.Tier == scanner.T0 || l.Tier == scanner.T1), l.Severity == scanner.Critical:
		d = day
	case l.Validity != Active && l.Severity == scanner.Low:
		d = 14 * day
	default:
		d = 3 * day
	}
	if l.Half {
		d /= 2
	}
	return d
}

// Due is until when the key has to be revoked; the end of a waiver; zero if it is closed.
func (l *Life) Due() time.Time {
	switch {
	case l.State.Waived():
		return l.Waiver.Until
	case l.State.Done():
		return time.Time{}
	case l.Clock.BusinessHours && l.Validity != Active:
		return workingTime(l.Start, l.allowance())
	}
	return l.Start.Add(l.allowance())
}

// workingTime is the time d after t, weekends (in UTC) left out.
func workingTime(t time.Time, d time.Duration) time.Time {
	t = t.UTC()
	for {
		midnight := t.Truncate(24 * time.Hour).Add(24 * time.Hour)
		if w := t.Weekday(); w != time.Saturday && w != time.Sunday {
			left := midnight.Sub(t)
			if d <= left {
				return t.Add(d)
			}
			d -= left
		}
		t = midnight
	}
}

// reminders are the parts of the time, in percent, at which somebody is reminded.
var reminders = []int{50, 100, 150, 200}

// Spent is how much of the time is used up, in percent.
func (l *Life) Spent(at time.Time) int {
	whole := l.Due().Sub(l.Start)
	if whole <= 0 {
		return 100
	}
	return int(100 * at.Sub(l.Start) / whole)
}

// remind returns the reminder that is due: the last one, if several were missed.
func (l *Life) remind(at time.Time) []Step {
	if l.State.Done() || l.State == Revoked || l.State == Dead || at.Before(l.Snoozed) {
		return nil
	}
	used, due := l.Spent(at), 0
	for _, percent := range reminders {
		if used >= percent {
			due = percent
		}
	}
	if due <= l.Reminded {
		return nil
	}
	l.Reminded = due
	return []Step{{From: l.State, To: l.State, Why: spent(due), Remind: due}}
}

// spent says in words that a part of the time is used up.
func spent(percent int) string {
	switch percent {
	case 50:
		return "half of the time is used up"
	case 100:
		return "the key is overdue"
	case 150:
		return "the key has taken half as long again as it may"
	}
	return "the key has taken twice the time that it may"
}
