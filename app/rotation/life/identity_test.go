package life_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
)

// TestOneAccountIsOnePerson: a second person is a second account. Whoever renames theirs, or
// takes the login that somebody gave up, does not count twice.
func TestOneAccountIsOnePerson(t *testing.T) {
	at := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	dana := life.Actor{ID: 1, Login: "dana", Role: "admin"}
	for name, c := range map[string]struct {
		second life.Actor
		two    bool
	}{
		"the same":                       {dana, false},
		"renamed":                        {life.Actor{ID: 1, Login: "dana-k", Role: "admin"}, false},
		"another":                        {life.Actor{ID: 2, Login: "sam", Role: "admin"}, true},
		"another with the login of once": {life.Actor{ID: 2, Login: "Dana", Role: "admin"}, false},
		"without an account":             {life.Actor{Login: "sam", Role: "admin"}, false},
	} {
		for kind, pair := range map[string][2]life.Kind{"false positive": {life.Deny, life.Confirm}, "revocation": {life.Order, life.Order}} {
			l := life.Begin(at, "critical", "T0", false, life.Clock{})
			l, _, err := l.Apply(life.Event{Kind: pair[0], At: at, Actor: dana, Text: "a fixture"})
			if err != nil {
				t.Fatal(err)
			}
			l, _, err = l.Apply(life.Event{Kind: pair[1], At: at.Add(time.Minute), Actor: c.second})
			var refusal life.Refusal
			if got := err == nil; got != c.two || err != nil && !errors.As(err, &refusal) {
				t.Errorf("%s of %s: %v, want two people: %v", kind, name, err, c.two)
			}
			agreed := l.State == life.FalsePositive || l.Order != nil && l.Order.Second != ""
			if agreed != c.two {
				t.Errorf("%s of %s: agreed %v, want %v", kind, name, agreed, c.two)
			}
		}
	}
}

// TestUnknownAccounts: what was asked for before accounts were kept is asked for again.
func TestUnknownAccounts(t *testing.T) {
	at := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	l := life.Begin(at, "critical", "T0", false, life.Clock{})
	l.Asked = &life.Waiver{By: "dana", Reason: "a fixture", Until: at.Add(time.Hour)}
	l.Order = &life.Waiver{By: "dana", Until: at.Add(time.Hour)}
	sam := life.Actor{ID: 2, Login: "sam", Role: "admin"}
	if _, _, err := l.Apply(life.Event{Kind: life.Confirm, At: at, Actor: sam}); err == nil {
		t.Error("a waiver of an unknown account was confirmed")
	}
	next, _, err := l.Apply(life.Event{Kind: life.Order, At: at, Actor: sam})
	if err != nil || next.Order.Second != "" || next.Order.ByID != 2 {
		t.Errorf("an order of an unknown account: %+v %v, want a new order", next.Order, err)
	}
}
