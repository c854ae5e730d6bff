package rotation

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
)

// proved is what the records of a key prove since it was last opened again.
type proved struct {
	inactive []time.Time // checks that said so
	ended    []time.Time // what says that the key was revoked: a check, the provider, its list
	removed  []time.Time
	inPlace  []time.Time
	head     *bool // a default branch has it
	waived   bool
	since    time.Time // when it came to its state
}

// provedBy reads the records of a key, in their order.
func provedBy(records []store.Record) (p proved) {
	for i := range records {
		r := &records[i]
		if opensAgain(r) {
			p = proved{head: p.head, since: p.since}
		}
		switch life.Kind(r.Event) {
		case life.Check:
			if factOf(r) == string(life.Inactive) {
				p.inactive, p.ended = append(p.inactive, r.At), append(p.ended, r.At)
			}
		case life.End:
			p.ended = append(p.ended, r.At)
		case life.Remove:
			p.removed, p.ended = append(p.removed, r.At), append(p.ended, r.At)
		case life.Place:
			p.inPlace = append(p.inPlace, r.At)
		case life.Head:
			if r.From == r.To {
				yes := factOf(r) == factTrue
				p.head = &yes
			}
		case life.Again:
			yes := true
			p.head = &yes
		}
		p.waived = life.State(r.To).Waived()
		if r.From != r.To || p.since.IsZero() {
			p.since = r.At
		}
	}
	return p
}

// opensAgain reports whether a record says that what was proved before holds no more.
func opensAgain(r *store.Record) bool {
	return r.To == string(life.Open) && r.From != r.To && r.From != "" && !life.State(r.From).Waived() && r.Event != string(life.Reopen)
}

// factTrue and factFalse are the facts of events that say yes or no.
const (
	factTrue  = "true"
	factFalse = "false"
)

// factOf is what a record's fact says. The first records said so in their details only.
func factOf(r *store.Record) string {
	switch {
	case r.Fact != "":
		return r.Fact
	case life.Kind(r.Event) == life.Check:
		verdict, _, _ := strings.Cut(strings.TrimPrefix(r.Detail, "a check says "), ":")
		return verdict
	case r.Detail == atHead:
		return factTrue
	}
	return factFalse
}

// fact is what an event says, for the ledger's programs.
func fact(e *life.Event) string {
	switch e.Kind {
	case life.Check:
		return string(e.Verdict)
	case life.Head:
		if e.Yes {
			return factTrue
		}
		return factFalse
	}
	return ""
}

// Restored returns the life of a key without what its records do not prove, or why it cannot
// have come from them: each fact that it rests on has to be among them. Nobody's word is
// believed without a MAC: who asked for a waiver or a revocation has to ask again, a waiver
// ends when the longest of its kind would, and no list of deploy keys is known to have had
// the key.
func Restored(text string, records []store.Record) (string, error) {
	var l life.Life
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return "", errors.New("it cannot be read")
	}
	p := provedBy(records)
	if err := consistent(&l, &p, &records[len(records)-1]); err != nil {
		return "", err
	}
	l.Asked, l.Order, l.Listed = nil, nil, ""
	l.Rule, l.Repositories, l.ActiveWith = "", nil, "" // what is not known leads to "unknown"
	if l.State.Waived() {
		longest := life.LongestRisk
		if l.State == life.FalsePositive {
			longest = life.LongestDenial
		}
		if end := p.since.Add(longest); l.Waiver.Until.After(end) {
			l.Waiver.Until = end
		}
	} else {
		l.Waiver = nil
	}
	restored, err := json.Marshal(&l)
	return string(restored), err
}

// consistent returns which fact of a life its records do not prove, of which one is the last.
func consistent(l *life.Life, p *proved, last *store.Record) error {
	if last.To != string(l.State) {
		return fmt.Errorf("it is %s, and the last record leads to %s", l.State, last.To)
	}
	for _, c := range l.Checks {
		if !among(c, p.inactive) {
			return errors.New("no record has one of its checks")
		}
	}
	for what, f := range map[string]struct {
		fact    *life.Fact
		records []time.Time
	}{"its revocation": {l.Ended, p.ended}, "that its provider does not know it": {l.Removed, p.removed}, "that the new key is in its place": {l.InPlace, p.inPlace}} {
		if f.fact != nil && !among(f.fact.At, f.records) {
			return errors.New("no record has " + what)
		}
	}
	if l.AtHead != nil && (p.head == nil || *p.head != *l.AtHead) {
		return errors.New("no record says so of the default branches")
	}
	if l.State.Waived() && (l.Waiver == nil || !p.waived) {
		return errors.New("no record has its waiver")
	}
	return nil
}

// among reports whether a time is one of several, as the database keeps them.
func among(t time.Time, list []time.Time) bool {
	for _, r := range list {
		if r.UnixMilli() == t.UnixMilli() {
			return true
		}
	}
	return false
}

// unproved says what of the proof that a key is dead is not among its records, "" if all is.
func (p *proved) unproved() string {
	switch n := len(p.inactive); {
	case len(p.ended) == 0:
		return "that it was revoked"
	case len(p.removed) == 0 && (n < 2 || p.inactive[n-1].Sub(p.inactive[0]) < life.ChecksApart):
		return fmt.Sprintf("two checks at least %s apart", life.ChecksApart)
	case p.head == nil || *p.head:
		return "that no default branch has it"
	}
	return ""
}
