package life_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/scanner"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) // a Wednesday

var actors = map[string]life.Actor{
	"system":   {System: true},
	"writer":   {Login: "dana", Role: "write"},
	"approver": {Login: "ravi", Role: "admin", Approver: true},
	"triager":  {Login: "tess", Role: "triage", Approver: true},
	"reader":   {Login: "rob", Role: "read"},
	"stranger": {Login: "eve", Role: "none"},
	"bot":      {Login: "robo[bot]", Role: "admin", Approver: true, Bot: true},
}

// may says who may cause an event, besides the system for what only it knows.
func may(k life.Kind) string {
	switch k {
	case life.Ack, life.Rotate, life.Placed, life.Claim, life.Deny, life.Confirm, life.Snooze, life.Name, life.Order:
		return "writer approver"
	case life.Accept:
		return "approver"
	case life.Close, life.Reopen:
		return "system writer approver triager reader stranger bot"
	}
	return "system"
}

// in returns a key in a state, as it gets there.
func in(s life.State) life.Life {
	l := life.Begin(noon.Add(-3*time.Hour), "medium", "T1", false, life.Clock{})
	no := false
	l.State, l.Since = s, noon.Add(-2*time.Hour)
	switch s {
	case life.Revoked:
		l.Ended = &life.Fact{What: "revoked", At: noon.Add(-2 * time.Hour)}
	case life.Dead, life.Closed:
		l.Ended = &life.Fact{What: "revoked", At: noon.Add(-2 * time.Hour)}
		l.Checks, l.AtHead = []time.Time{noon.Add(-2 * time.Hour), noon.Add(-time.Hour)}, &no
	case life.FalsePositive, life.AcceptedRisk:
		l.Waiver = &life.Waiver{By: "dana", Reason: "a reason", Until: noon.Add(24 * time.Hour)}
	}
	return l
}

func event(k life.Kind) life.Event {
	return life.Event{Kind: k, At: noon, Text: "some words", Until: noon.Add(24 * time.Hour), Verdict: life.Inactive}
}

// table has for each state where each event leads: o a r p v d c f w u for the states in
// their order, - where it is refused, even of those who may. The last column is a check
// that says active.
const table = `
event:       ack rot rtd rev fp  cfm ar  snz id  ord cls reo plc end rem chk use wat hea aga pub spr del tic act
open         a   r   -   o   f   -   w   o   o   o   o   o   p   v   v   v   o   o   o   o   o   o   o   o   o
acknowledged -   r   -   a   f   -   w   a   a   a   a   a   p   v   v   v   a   a   a   a   a   a   a   a   a
rotating     -   -   r   r   f   -   w   r   r   r   r   r   p   v   v   v   r   r   r   r   r   r   r   r   r
rotated      -   -   -   p   f   -   w   p   p   p   p   p   p   v   v   v   p   p   p   p   p   p   p   p   p
revoked      -   -   -   v   f   -   w   v   v   -   v   v   v   v   v   v   o   v   v   v   v   v   v   v   o
verified     -   -   -   -   -   -   -   -   -   -   c   c   c   c   c   c   o   c   c   o   c   c   c   c   o
closed       -   -   -   -   -   -   -   -   -   -   c   c   c   c   c   c   o   c   c   o   c   c   c   c   o
false        -   -   -   -   -   -   -   -   -   -   f   f   f   f   f   f   f   f   f   f   f   f   f   f   o
accepted     -   -   -   -   -   -   -   -   -   -   w   w   w   w   w   w   w   w   w   o   w   w   w   w   w
unproved     -   -   -   -   -   -   -   -   -   -   u   o   u   u   u   u   u   u   u   o   u   u   u   u   u
`

// TestMatrix tries every event in every state by every actor.
func TestMatrix(t *testing.T) {
	t.Parallel()
	letters := "oarpvdcfwu"
	rows := strings.Split(strings.TrimSpace(table), "\n")[1:]
	tried := 0
	for i, s := range life.States() {
		want := strings.Fields(rows[i])[1:]
		kinds := append(life.Kinds(), life.Check)
		if len(want) != len(kinds) {
			t.Fatalf("%s: %d columns for %d kinds", s, len(want), len(kinds))
		}
		for j, k := range kinds {
			for name, actor := range actors {
				l, e := in(s), event(k)
				e.Actor = actor
				if j == len(kinds)-1 {
					e.Verdict = life.Active
				}
				before := text(t, l)
				next, steps, err := l.Apply(e)
				tried++
				if text(t, l) != before {
					t.Fatalf("%s, %s: the life that was given has changed", s, k)
				}
				permitted := slices.Contains(strings.Fields(may(k)), name)
				var refusal life.Refusal
				switch {
				case err != nil && (!errors.As(err, &refusal) || text(t, next) != before || len(steps) > 0):
					t.Errorf("%s, %s by %s: refused (%v), but the key is %s after %d steps", s, k, name, err, next.State, len(steps))
				case (err == nil) != (permitted && want[j] != "-"):
					t.Errorf("%s, %s by %s: got %v", s, k, name, err)
				case err == nil && next.State != life.States()[strings.Index(letters, want[j])]:
					t.Errorf("%s, %s by %s: got %s, want %s", s, k, name, next.State, want[j])
				}
				follow(t, l, next, steps)
			}
		}
	}
	if tried != 10*25*7 {
		t.Errorf("%d cases", tried)
	}
}

func text(t *testing.T, l life.Life) string {
	t.Helper()
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// follow checks that steps lead from one life to the next without a jump.
func follow(t *testing.T, from, to life.Life, steps []life.Step) {
	t.Helper()
	at := from.State
	for _, s := range steps {
		if s.From != at || s.Why == "" {
			t.Fatalf("a step from %s to %s (%q) where the key is %s", s.From, s.To, s.Why, at)
		}
		at = s.To
	}
	if at != to.State {
		t.Fatalf("the steps end at %s, the key is %s", at, to.State)
	}
}

// TestProperties tries many random lives, and judges each by what has happened in it, not
// by what the key is said to be.
func TestProperties(t *testing.T) {
	t.Parallel()
	reached := map[life.State]int{}
	for seed := range uint64(4000) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		tier, severity := [...]scanner.Tier{scanner.T0, scanner.T2}[rnd.IntN(2)], [...]scanner.Severity{scanner.Critical, scanner.Low}[rnd.IntN(2)]
		at := noon
		l := life.Begin(at, severity, tier, rnd.IntN(2) == 0, life.Clock{})
		var log []life.Event
		reminded := map[string]bool{}
		for range 80 {
			at = at.Add(time.Duration(1+rnd.IntN(40*60)) * time.Minute)
			e := randomEvent(rnd, at)
			next, steps, err := l.Apply(e)
			if err != nil {
				continue
			}
			follow(t, l, next, steps)
			for _, s := range steps {
				if s.From != s.To && s.To == life.Open && s.From != life.FalsePositive && s.From != life.AcceptedRisk {
					log = slices.DeleteFunc(log, func(x life.Event) bool {
						if e.Kind == life.Reopen { // what is proved stays so
							return x.Kind == life.Close
						}
						return x.Kind != life.Watch && x.Kind != life.Head && x.Kind != life.Again
					})
				}
				if mark := fmt.Sprint(next.Start, s.Remind); s.Remind > 0 && reminded[mark] {
					t.Fatalf("seed %d: reminded twice of %d %%", seed, s.Remind)
				} else if s.Remind > 0 {
					reminded[mark] = true
				}
			}
			if e.Kind == life.Check && e.Verdict == life.Active || e.Kind == life.Use {
				log = slices.DeleteFunc(log, func(x life.Event) bool {
					return x.Kind != life.Watch && x.Kind != life.Close && x.Kind != life.Head && x.Kind != life.Again
				})
			}
			log = append(log, e)
			if next.State != l.State {
				reached[next.State]++
			}
			l = next
			if problem := unsound(&l, log, at, tier); problem != "" {
				t.Fatalf("seed %d: %s at %s: %s\n%+v", seed, l.State, at, problem, log)
			}
			if problem := asleep(&l, at); problem != "" {
				t.Fatalf("seed %d: %s at %s: %s\n%+v", seed, l.State, at, problem, l)
			}
		}
	}
	for _, s := range life.States() {
		if s != life.Dead && reached[s] < 20 { // that is left at once
			t.Errorf("%s was reached %d times: the test proves nothing of it", s, reached[s])
		}
	}
}

// asleep says what is wrong with when a key is woken: before, nothing happens by itself,
// and then something does, unless other things are missing for it to be dead.
func asleep(l *life.Life, at time.Time) string {
	wake := l.Wake()
	tick := func(at time.Time) []life.Step {
		_, steps, err := l.Apply(life.Event{Kind: life.Tick, At: at, Actor: actors["system"]})
		if err != nil {
			return []life.Step{{Why: err.Error()}}
		}
		return steps
	}
	before := wake.Add(-time.Millisecond)
	if wake.IsZero() {
		before = at.AddDate(3, 0, 0)
	}
	if before.After(at) {
		if steps := tick(before); len(steps) > 0 {
			return fmt.Sprintf("it is woken at %s, but at %s came %+v", wake, before, steps)
		}
	}
	if l.State != life.Revoked && l.State != life.Unproved && wake.After(at) && len(tick(wake)) == 0 {
		return "it is woken for nothing at " + wake.String()
	}
	if l.State != life.FalsePositive && l.State != life.Closed && l.Look().IsZero() {
		return "nobody looks at it"
	}
	return ""
}

func randomEvent(rnd *rand.Rand, at time.Time) life.Event {
	e := life.Event{Kind: life.Kinds()[rnd.IntN(len(life.Kinds()))], At: at, Text: "words", Until: at.Add(time.Duration(rnd.IntN(100*24)) * time.Hour)}
	if rnd.IntN(3) == 0 { // much has to come together
		e.Kind = [...]life.Kind{life.Check, life.Head, life.Check}[rnd.IntN(3)]
	}
	e.Verdict = [...]life.Verdict{life.Inactive, life.Inactive, life.Inactive, life.Active, life.Unknown, life.Failed}[rnd.IntN(6)]
	if rnd.IntN(4) > 0 && e.Kind == life.Use {
		e.Kind = life.Tick
	}
	e.Yes = rnd.IntN(3) == 0
	e.Actor = actors["system"]
	if e.Kind.ByPeople() {
		e.Actor = actors[[...]string{"writer", "approver", "reader", "bot"}[rnd.IntN(4)]]
	}
	return e
}

// unsound says what is wrong with a key in its state, given what has happened since it
// was last known to work.
func unsound(l *life.Life, log []life.Event, at time.Time, tier scanner.Tier) string {
	switch l.State {
	case life.FalsePositive, life.AcceptedRisk:
		longest := map[life.State]time.Duration{life.FalsePositive: life.LongestDenial, life.AcceptedRisk: life.LongestRisk}[l.State]
		if l.Waiver == nil || !l.Waiver.Until.After(at) || l.Waiver.Until.Sub(l.Since) > longest || l.Waiver.Reason == "" {
			return "a waiver that does not end"
		}
		if l.State == life.FalsePositive && l.Severity == "critical" && (l.Waiver.Second == "" || l.Waiver.Second == l.Waiver.By) {
			return "nobody has confirmed it"
		}
		return ""
	case life.Unproved:
		if n := count(log, life.Close); n < 2 {
			return fmt.Sprintf("closed by hand %d times", n)
		}
		return ""
	}
	if l.State != life.Closed || !l.Since.Equal(at) { // what is known later changes nothing
		return ""
	}
	var ended, first, last, used, watched time.Time
	removed, atHead := false, true
	for _, e := range log {
		switch {
		case e.Kind == life.Remove, e.Kind == life.End, e.Kind == life.Check && e.Verdict == life.Inactive:
			if ended.IsZero() {
				ended = e.At
			}
			removed = removed || e.Kind == life.Remove
			if e.Kind == life.Check {
				if first.IsZero() {
					first = e.At
				}
				last = e.At
			}
		case e.Kind == life.Use:
			used = e.At
		case e.Kind == life.Watch:
			if watched.IsZero() {
				watched = e.At
			}
		case e.Kind == life.Head:
			atHead = e.Yes
		case e.Kind == life.Again:
			atHead = true
		}
	}
	quiet := 24 * time.Hour
	if tier == "T0" {
		quiet *= 7
	}
	since := slices.MaxFunc([]time.Time{ended, used, watched}, time.Time.Compare)
	switch {
	case ended.IsZero():
		return "nothing says that it was revoked"
	case !removed && last.Sub(first) < time.Hour:
		return "it was not checked twice"
	case !watched.IsZero() && at.Sub(since) < quiet:
		return "it was not quiet for long enough"
	case atHead:
		return "it stands at HEAD"
	}
	return ""
}

func count(log []life.Event, k life.Kind) (n int) {
	for _, e := range log {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// TestPeopleProveNothing: whatever people do, a key is not revoked by it.
func TestPeopleProveNothing(t *testing.T) {
	t.Parallel()
	people := slices.DeleteFunc(life.Kinds(), func(k life.Kind) bool { return !k.ByPeople() })
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		l := life.Begin(noon, "low", "T0", true, life.Clock{})
		for i := range 30 {
			e := event(people[rnd.IntN(len(people))])
			e.At, e.Actor = noon.Add(time.Duration(i)*time.Hour), actors["approver"]
			l, _, _ = l.Apply(e) // refused or not
			switch l.State {
			case life.Rotated, life.Revoked, life.Dead, life.Closed:
				t.Fatalf("seed %d: people alone made it %s", seed, l.State)
			}
		}
	}
}

// TestWholeStory goes the way of a key from end to end.
func TestWholeStory(t *testing.T) {
	t.Parallel()
	l := life.Begin(noon, "critical", "T0", false, life.Clock{})
	at := noon
	do := func(after time.Duration, e life.Event, actor string, want life.State) {
		t.Helper()
		at = at.Add(after)
		e.At, e.Actor = at, actors[actor]
		next, steps, err := l.Apply(e)
		if err != nil {
			t.Fatalf("%s: %v", e.Kind, err)
		}
		follow(t, l, next, steps)
		if l = next; l.State != want {
			t.Fatalf("%s: got %s, want %s (missing: %q)", e.Kind, l.State, want, l.Missing(at))
		}
	}
	do(time.Minute, life.Event{Kind: life.Watch}, "system", life.Open)
	do(time.Minute, life.Event{Kind: life.Ack}, "writer", life.Acknowledged)
	do(time.Hour, life.Event{Kind: life.Rotate, Text: "key-2"}, "writer", life.Rotating)
	do(time.Hour, life.Event{Kind: life.Place, Text: "used by ci-7"}, "system", life.Rotated)
	do(time.Hour, life.Event{Kind: life.Claim}, "writer", life.Rotated)
	do(time.Second, life.Event{Kind: life.Check, Verdict: life.Active}, "system", life.Rotated)
	do(time.Second, life.Event{Kind: life.Check, Verdict: life.Unknown}, "system", life.Rotated)
	do(time.Hour, life.Event{Kind: life.Check, Verdict: life.Inactive}, "system", life.Revoked)
	do(59*time.Minute, life.Event{Kind: life.Check, Verdict: life.Inactive}, "system", life.Revoked)
	do(time.Minute, life.Event{Kind: life.Check, Verdict: life.Inactive}, "system", life.Revoked)
	do(time.Minute, life.Event{Kind: life.Head}, "system", life.Revoked)
	do(6*24*time.Hour, life.Event{Kind: life.Tick}, "system", life.Revoked)
	do(24*time.Hour, life.Event{Kind: life.Tick}, "system", life.Closed)
	do(24*time.Hour, life.Event{Kind: life.Use}, "system", life.Open)
	if l.Regressions != 1 || !l.Half || len(l.Checks) > 0 || l.Due() != at.Add(12*time.Hour) {
		t.Errorf("after it came back: %+v, due %s", l, l.Due())
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for _, c := range []struct {
		severity scanner.Severity
		tier     scanner.Tier
		public   bool
		validity life.Verdict
		clock    life.Clock
		start    time.Time
		want     time.Duration
	}{
		{"critical", "T0", true, life.Active, life.Clock{}, noon, time.Hour},
		{"high", "T2", true, life.Unknown, life.Clock{}, noon, time.Hour},
		{"critical", "T0", false, life.Unknown, life.Clock{}, noon, day},
		{"medium", "T1", false, life.Active, life.Clock{}, noon, day},
		{"medium", "T2", false, life.Active, life.Clock{}, noon, 3 * day},
		{"high", "T2", false, life.Unknown, life.Clock{}, noon, 3 * day},
		{"low", "T3", false, life.Unknown, life.Clock{}, noon, 14 * day},
		{"critical", "T0", true, life.Inactive, life.Clock{}, noon, 14 * day},
		{"high", "T0", false, life.Unknown, life.Clock{By: map[scanner.Severity]time.Duration{"high": 2 * time.Hour}}, noon, 2 * time.Hour},
		{"high", "T0", false, life.Unknown, life.Clock{BusinessHours: true}, noon, 5 * day},                           // Wednesday: a weekend lies between
		{"high", "T0", false, life.Active, life.Clock{BusinessHours: true}, noon, day},                                // it works: weekends count
		{"high", "T0", false, life.Unknown, life.Clock{BusinessHours: true}, noon.Add(3 * day), 4*day + 12*time.Hour}, // Saturday noon
	} {
		l := life.Begin(c.start, c.severity, c.tier, c.public, c.clock)
		l.Validity = c.validity
		if got := l.Due().Sub(c.start); got != c.want {
			t.Errorf("%+v: due after %s", c, got)
		}
	}
}

func TestReminders(t *testing.T) {
	t.Parallel()
	l := life.Begin(noon, "critical", "T0", false, life.Clock{})
	var told []int
	for h := range 72 {
		next, steps, err := l.Apply(life.Event{Kind: life.Tick, At: noon.Add(time.Duration(h) * time.Hour), Actor: actors["system"]})
		if err != nil {
			t.Fatal(err)
		}
		l = next
		for _, s := range steps {
			told = append(told, h, s.Remind)
		}
	}
	if want := []int{12, 50, 24, 100, 36, 150, 48, 200}; !slices.Equal(told, want) {
		t.Errorf("reminded at %v, want %v", told, want)
	}
	l = life.Begin(noon, "critical", "T0", false, life.Clock{})
	l, steps, err := l.Apply(life.Event{Kind: life.Snooze, At: noon, Until: noon.Add(90 * 24 * time.Hour), Actor: actors["writer"]})
	if err != nil || len(steps) != 1 || !l.Snoozed.Equal(l.Due()) {
		t.Errorf("a snooze ends at %s (%v), want when the key is due", l.Snoozed, err)
	}
}

// TestTakenBack: a waiver ends when somebody says so, with a clock that starts anew; an
// issue that is opened again by hand says why it is closed again.
func TestTakenBack(t *testing.T) {
	t.Parallel()
	for _, s := range []life.State{life.FalsePositive, life.AcceptedRisk, life.Closed} {
		l := in(s)
		same, steps, err := l.Apply(life.Event{Kind: life.Reopen, At: noon, Actor: actors["reader"]})
		if err != nil || same.State != s || len(steps) != 1 || !strings.Contains(steps[0].Why, "closed again") {
			t.Errorf("%s, opened by hand: %s %v %v", s, same.State, steps, err)
		}
		if s == life.Closed {
			continue
		}
		next, steps, err := l.Apply(life.Event{Kind: life.Ack, At: noon, Actor: actors["writer"], Yes: true})
		if err != nil || next.State != life.Acknowledged || next.Waiver != nil || !next.Start.Equal(noon) || len(steps) != 2 {
			t.Errorf("%s, taken back: %+v %v %v", s, next, steps, err)
		}
	}
}
