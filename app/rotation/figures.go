package rotation

import (
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
)

// Figures say how well keys are rotated in a time. They are counted from the ledger, so
// that whoever has it can count them again.
type Figures struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // excluded

	Found        int `json:"found"`                   // keys that were found in the time
	Acknowledged int `json:"acknowledged"`            // somebody said that they see to it
	Revoked      int `json:"revoked"`                 // the old key was found to be revoked
	Proved       int `json:"closed_with_evidence"`    // proved dead
	Unproved     int `json:"closed_without_evidence"` // by hand
	Denied       int `json:"false_positives"`
	Accepted     int `json:"accepted_risks"`
	Regressions  int `json:"regressions"` // came back, or worked again
	Reminders    int `json:"reminders"`

	Met    int     `json:"sla_met"`    // revoked in time
	Missed int     `json:"sla_missed"` // revoked late, or not yet at the end though it was due
	Hit    float64 `json:"sla_percent"`

	Acknowledge Spread         `json:"time_to_acknowledge"` // from found, or come back
	Revoke      Spread         `json:"time_to_revoke"`      // from found, or come back
	Exposure    Spread         `json:"exposure"`            // from the first commit to revoked
	Age         Spread         `json:"age_of_open"`         // at the end, of keys that are not revoked
	States      map[string]int `json:"states"`              // at the end
	DeniedRules map[string]int `json:"false_positives_by_rule"`
}

// A Spread says how long something took, in hours.
type Spread struct {
	Count  int     `json:"count"`
	Median float64 `json:"median_hours"`
	P90    float64 `json:"p90_hours"`
	Most   float64 `json:"most_hours"`
}

// spread sorts times.
func spread(list []time.Duration) Spread {
	slices.Sort(list)
	n := len(list)
	if n == 0 {
		return Spread{}
	}
	at := func(percent int) float64 { return list[(n*percent+99)/100-1].Hours() } // nearest rank
	return Spread{n, at(50), at(90), list[n-1].Hours()}
}

// a course is what the ledger has said of a key so far.
type course struct {
	state      string
	since      time.Time // found, or come back
	acked      bool
	regression bool
}

// Measure counts what happened between two times, given the ledger up to the second and
// the keys by fingerprint, of which it takes the rule and the first commit.
func Measure(from, to time.Time, ledger []store.Record, keys map[string]*store.Credential, courses []store.Course) *Figures {
	f := &Figures{From: from, To: to, States: map[string]int{}, DeniedRules: map[string]int{}}
	m := measure{f: f, keys: keys, lives: map[string]*course{}}
	for i := range ledger {
		if r := &ledger[i]; r.At.Before(to) {
			m.count(r, !r.At.Before(from))
		}
	}
	due := map[string]time.Time{}
	for i := range courses {
		due[courses[i].Fingerprint] = courses[i].Due
	}
	for fp, c := range m.lives {
		f.States[c.state]++
		if !life.State(c.state).Works() {
			continue
		}
		m.age = append(m.age, to.Sub(c.since))
		if d := due[fp]; !d.IsZero() && d.Before(to) {
			f.Missed++
		}
	}
	if n := f.Met + f.Missed; n > 0 {
		f.Hit = 100 * float64(f.Met) / float64(n)
	}
	f.Acknowledge, f.Revoke, f.Exposure, f.Age = spread(m.ack), spread(m.revoke), spread(m.exposure), spread(m.age)
	return f
}

type measure struct {
	f                          *Figures
	keys                       map[string]*store.Credential
	lives                      map[string]*course
	ack, revoke, exposure, age []time.Duration
}

// count takes a record in, and counts it if it lies in the time.
func (m *measure) count(r *store.Record, within bool) {
	c := m.lives[r.Fingerprint]
	if c == nil {
		c = &course{since: r.At}
		m.lives[r.Fingerprint] = c
	}
	c.state = r.To
	one := 0
	if within {
		one = 1
	}
	f := m.f
	if strings.HasPrefix(r.Event, reminder) {
		f.Reminders += one
	}
	if r.From == r.To {
		return
	}
	was, is := life.State(r.From), life.State(r.To)
	switch {
	case r.From == "":
		f.Found += one
	case is == life.Acknowledged:
		f.Acknowledged += one
	case is == life.Closed:
		f.Proved += one
	case is == life.Unproved:
		f.Unproved += one
	case is == life.AcceptedRisk:
		f.Accepted += one
	case is == life.FalsePositive:
		f.Denied += one
		if k := m.keys[r.Fingerprint]; within && k != nil {
			f.DeniedRules[k.Rule]++
		}
	case is == life.Open && !was.Waived() && r.Event != string(life.Reopen):
		f.Regressions += one
	}
	switch {
	case is == life.Open && r.From != "" && r.Event != string(life.Reopen):
		c.since, c.acked, c.regression = r.At, false, true
	case was == life.Open && is.Works() && !c.acked:
		c.acked = true
		if within {
			m.ack = append(m.ack, r.At.Sub(c.since))
		}
	}
	if is == life.Revoked {
		f.Revoked += one
		if !within {
			return
		}
		m.revoke = append(m.revoke, r.At.Sub(c.since))
		if k := m.keys[r.Fingerprint]; k != nil && !k.FirstAt.IsZero() && !c.regression {
			m.exposure = append(m.exposure, r.At.Sub(k.FirstAt))
		}
		if r.Due.IsZero() || !r.At.After(r.Due) {
			f.Met++
		} else {
			f.Missed++
		}
	}
}
