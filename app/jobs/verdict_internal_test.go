package jobs

import (
	"testing"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/scanner/rules"
	"github.com/keyward/keyward/scanner/verify"
	"github.com/keyward/keyward/scanner/verify/verifytest"
)

// TestOnlyProofIsDead replays every documented answer of every provider, and lets the life
// of a credential go on by it for a month, with nothing else missing: only an answer that
// is documented as proof makes it verified dead.
func TestOnlyProofIsDead(t *testing.T) {
	t.Parallel()
	p, err := verifytest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	byID, err := rules.ByID()
	if err != nil {
		t.Fatal(err)
	}
	dead := 0
	for id, checks := range checks {
		for _, c := range checks {
			for i := range c.Answers {
				a := &c.Answers[i]
				got := p.Replay(t.Context(), byID[id], c, a)
				state := monthWith(t, &got)
				if proved := state == life.Dead || state == life.Closed; proved != (a.Means == verify.Inactive) {
					t.Errorf("%s, %d %q, which means %s: the credential ends as %s", id, a.Status[0], a.Body, a.Means, state)
				} else if proved {
					dead++
				}
			}
		}
	}
	if dead < 60 {
		t.Errorf("%d answers prove a credential dead, want at least 60", dead)
	}
}

// monthWith is the state of a credential that is off the default branches and gets the same
// answer every day for a month.
func monthWith(t *testing.T, got *verify.Result) life.State {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	system := life.Actor{System: true}
	l := life.Begin(at, "high", "T1", false, life.Clock{})
	for range 30 {
		at = at.Add(24 * time.Hour)
		e := checkEvent(got)
		for _, e := range []life.Event{{Kind: life.Head, Actor: system}, e, {Kind: life.Tick, Actor: system}} {
			e.At = at
			var err error
			if l, _, err = l.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	return l.State
}
