package life_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
)

// TestExpiredProposal: a waiver that nobody confirmed in time is over for everybody, and can
// be proposed again.
func TestExpiredProposal(t *testing.T) {
	dana, sam := life.Actor{ID: 1, Login: "dana", Role: "write"}, life.Actor{ID: 2, Login: "sam", Role: "write"}
	end := noon.Add(48 * time.Hour)
	apply := func(l life.Life, e life.Event) life.Life {
		t.Helper()
		next, _, err := l.Apply(e)
		if err != nil {
			t.Fatalf("%s: %v", e.Kind, err)
		}
		return next
	}
	l := life.Begin(noon, "critical", "T0", false, life.Clock{})
	l = apply(l, life.Event{Kind: life.Deny, At: noon, Actor: dana, Text: "a fixture", Until: end})
	person := life.Person{Login: "dana", ID: 1}
	if !l.ProposedBy(person, end.Add(-time.Second)) || l.ProposedBy(person, end) || l.Proposed(end) != nil {
		t.Error("the proposal does not end when it says")
	}
	if _, _, err := l.Apply(life.Event{Kind: life.Confirm, At: end, Actor: sam}); err == nil {
		t.Error("a proposal that is over was confirmed")
	}
	if over := apply(l, life.Event{Kind: life.Tick, At: end, Actor: life.Actor{System: true}}); over.Asked != nil {
		t.Error("time does not clear the proposal")
	}
	l = apply(l, life.Event{Kind: life.Deny, At: end, Actor: dana, Text: "a fixture, still"})
	l = apply(l, life.Event{Kind: life.Confirm, At: end.Add(time.Hour), Actor: sam})
	if l.State != life.FalsePositive {
		t.Errorf("it is %s", l.State)
	}
}
