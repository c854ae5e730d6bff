package life

import (
	"slices"
	"strings"
	"time"
)

// A Kind is what happened.
type Kind string

// What people do. They need to be able to write to the repository; accepting a risk
// needs an approver.
const (
	Ack     Kind = "ack"            // I see to it
	Rotate  Kind = "rotating"       // a new key is made; Text is its id, if it has one
	Placed  Kind = "rotated"        // the new key is in its place: to be seen
	Claim   Kind = "revoked"        // I have revoked it: to be checked
	Deny    Kind = "false-positive" // it is no key; Text is the reason
	Confirm Kind = "confirm"        // a second person agrees that it is none
	Accept  Kind = "accept-risk"    // it stays until Until; Text is the reason
	Snooze  Kind = "snooze"         // no reminders until Until
	Name    Kind = "key-id"         // Text is the public id of the old key
	Order   Kind = "revoke"         // have the provider end it: two people have to say so
	Close   Kind = "close"          // somebody closed the issue by hand
	Reopen  Kind = "reopen"         // somebody opened it again by hand
)

// What becomes known. Only the system may say so.
const (
	Place   Kind = "in-place" // the new key was seen in place; Text says how
	End     Kind = "ended"    // the provider says that the key was revoked; Text says how
	Remove  Kind = "removed"  // the provider says that it does not exist; Text says how
	Check   Kind = "checked"  // a check said Verdict
	Use     Kind = "used"     // the old key was used with success, At
	Watch   Kind = "watched"  // the provider's logs are read from now on
	Head    Kind = "head"     // Yes: a default branch has the key
	Again   Kind = "again"    // it was pushed again
	Publish Kind = "public"   // it stands where everybody can read it
	Spread  Kind = "spread"   // it was found in files of Repositories; Text is its rule
	Deleted Kind = "deleted"  // Repositories were deleted
	Tick    Kind = "tick"     // time goes by
)

// Kinds are all kinds of events.
func Kinds() []Kind {
	return []Kind{Ack, Rotate, Placed, Claim, Deny, Confirm, Accept, Snooze, Name, Order, Close, Reopen, Place, End, Remove, Check, Use, Watch, Head, Again, Publish, Spread, Deleted, Tick}
}

// Known reports whether there are such events.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// ByPeople reports whether people cause such events.
func (k Kind) ByPeople() bool {
	switch k {
	case Ack, Rotate, Placed, Claim, Deny, Confirm, Accept, Snooze, Name, Order, Close, Reopen:
		return true
	}
	return false
}

// An Actor is who caused an event.
type Actor struct {
	ID       int64 // of the account: it stays when the login changes
	Login    string
	Role     string // in the repository: admin, maintain, write, triage, read, none
	Approver bool   // may accept risks
	Bot      bool
	System   bool // Keyward itself
}

// person is who an actor is, for a waiver.
func (a *Actor) person() Person { return Person{a.Login, a.ID} }

// A Person is somebody who said something: the login is for display, the id decides.
type Person struct {
	Login string
	ID    int64
}

// same reports whether two are one account. Without the id of both that is not known, and
// two people are needed: then they count as one.
func (p Person) same(o Person) bool {
	return p.ID == 0 || o.ID == 0 || p.ID == o.ID || strings.EqualFold(p.Login, o.Login)
}

// MayWrite reports whether a role in a repository may push to it.
func MayWrite(role string) bool { return role == "write" || role == "maintain" || role == "admin" }

// An Event is something that happens to a key.
type Event struct {
	Kind    Kind
	At      time.Time
	Actor   Actor
	Text    string
	Until   time.Time
	Verdict Verdict
	Listed  string // of Check: where the provider's list has the key, and as what
	With    string // of Check: identifies the values that were sent with the credential
	Yes     bool   // of Head what is so; of Ack that somebody said so in so many words

	Repositories []int64 // of Spread and Deleted
}

// Apply returns the life of a key after an event, and the steps that it took. Where the
// event is refused the error is a [Refusal] and the life is the same.
func (l Life) Apply(e Event) (Life, []Step, error) {
	if err := l.allowed(&e); err != nil {
		return l, nil, err
	}
	next := l.clone()
	var steps []Step
	if to, why := next.next(e.At); next.State.Waived() && to == Open { // it has ended meanwhile
		steps = append(steps, next.to(to, e.At, why))
	}
	if next.Proposed(e.At) == nil {
		next.Asked = nil
	}
	more, err := next.happen(&e)
	if err != nil {
		return l, nil, err
	}
	steps = append(steps, more...)
	steps = append(steps, next.advance(e.At)...)
	if e.Kind == Tick {
		steps = append(steps, next.remind(e.At)...)
	}
	return next, steps, nil
}

// allowed says whether who caused an event may.
func (l *Life) allowed(e *Event) error {
	a := &e.Actor
	switch {
	case !e.Kind.ByPeople():
		if !a.System {
			return refuse("%s is a fact: it is found out, nobody can say so", e.Kind)
		}
	case e.Kind == Close, e.Kind == Reopen: // whoever may close an issue did
	case a.Bot || !MayWrite(a.Role):
		return refuse("@%s needs to be able to write to this repository for that", a.Login)
	case e.Kind == Accept && !a.Approver:
		return refuse("@%s is not among the approvers of risks: one of them has to say so", a.Login)
	}
	return nil
}

// happen changes what is known of a key.
func (l *Life) happen(e *Event) ([]Step, error) {
	if e.Kind.ByPeople() {
		return l.act(e)
	}
	switch e.Kind {
	case Place:
		if l.State.Works() && l.InPlace == nil {
			l.InPlace = &Fact{e.Text, e.At}
		}
	case End:
		l.end(e)
	case Remove:
		l.end(e)
		l.Looked, l.Answer = e.At, e.Text
		if l.Removed == nil {
			l.Removed, l.Validity = &Fact{e.Text, e.At}, Inactive
		}
	case Check:
		l.Looked, l.Answer = e.At, e.Text
		if e.Listed != "" {
			l.Listed = e.Listed
		}
		return l.checked(e), nil
	case Use:
		return l.used(e), nil
	case Watch:
		if l.Watched.IsZero() {
			l.Watched = e.At
		}
	case Head:
		l.AtHead, l.Looked = &e.Yes, e.At
	case Publish:
		l.Public = true
	case Spread:
		l.spread(e)
	case Deleted:
		l.Repositories = slices.DeleteFunc(l.Repositories, func(id int64) bool { return slices.Contains(e.Repositories, id) })
	case Again:
		yes := true
		l.AtHead = &yes
		if l.State == Dead || l.State == Closed || l.State == Unproved || l.State == AcceptedRisk {
			return l.regress(e.At, "the key was pushed again"), nil
		}
	}
	return nil, nil
}

// spread takes in where the credential was found. Its rule never changes.
func (l *Life) spread(e *Event) {
	if l.Rule == "" {
		l.Rule = e.Text
	}
	for _, id := range e.Repositories {
		if i, known := slices.BinarySearch(l.Repositories, id); !known {
			l.Repositories = slices.Insert(l.Repositories, i, id)
		}
	}
}

func (l *Life) end(e *Event) {
	if l.Ended == nil {
		l.Ended = &Fact{e.Text, e.At}
	}
}

// checked takes in what a check says. Whether the key works is known from the last check
// that told something.
func (l *Life) checked(e *Event) []Step {
	switch e.Verdict {
	case Inactive:
		l.Validity = Inactive
		if len(l.Checks) < 2 {
			l.Checks = append(l.Checks, e.At)
		}
		if e.At.Before(l.Checks[0]) { // reports may come late
			l.Checks[0] = e.At
		} else if e.At.After(l.Checks[len(l.Checks)-1]) {
			l.Checks[len(l.Checks)-1] = e.At
		}
		if l.Ended == nil {
			l.Ended = &Fact{"a check says that it is inactive", e.At}
		}
	case Active:
		l.Validity, l.ActiveWith = Active, e.With
		// Who closed the issue of a key that works knew that it does.
		if l.State == Revoked || l.State == Dead || l.State == Closed || l.State == Unproved && l.Ended != nil || l.State == FalsePositive {
			return l.regress(e.At, "a check says that the key works")
		}
		l.Ended, l.Removed, l.Checks = nil, nil, nil
	}
	return nil
}

// used takes in a success of the old key.
func (l *Life) used(e *Event) []Step {
	if e.At.After(l.Used) {
		l.Used = e.At
	}
	if l.Ended == nil || !e.At.After(l.Ended.At) {
		return nil
	}
	l.Validity = Active
	if l.State == Revoked || l.State == Dead || l.State == Closed || l.State == Unproved {
		return l.regress(e.At, "the key was used after it was revoked")
	}
	l.Ended, l.Removed, l.Checks = nil, nil, nil
	return nil
}

// act does what somebody asks for.
func (l *Life) act(e *Event) ([]Step, error) {
	who := "@" + e.Actor.Login
	switch {
	case e.Kind == Close:
		return l.closed(e), nil
	case e.Kind == Reopen && l.State == Unproved:
		l.Reopened = false
		return []Step{l.to(Open, e.At, "opened again by "+who)}, nil
	case e.Kind == Reopen && (l.State == Closed || l.State.Waived()): // the issue is as the key is
		return []Step{{From: l.State, To: l.State, Why: "opened again by " + who + ": the key is " + string(l.State) + ", so the issue is closed again. " + again(l.State)}}, nil
	case e.Kind == Reopen:
		return nil, nil
	case e.Kind == Ack && e.Yes && l.State.Waived(): // it is one after all, or too much of a risk
		return []Step{l.to(Open, e.At, who+" takes the waiver back"), l.to(Acknowledged, e.At, "by "+who)}, nil
	}
	if l.State.Done() || l.State == Dead {
		return nil, refuse("the key is %s: there is nothing to do", l.State)
	}
	switch e.Kind {
	case Ack:
		if l.State != Open {
			return nil, refuse("the key is %s already", l.State)
		}
		return []Step{l.to(Acknowledged, e.At, "by "+who)}, nil
	case Rotate:
		return l.rotate(e, who)
	case Placed:
		if l.State != Rotating {
			return nil, refuse("the key is %s: /rotating comes first, and says that there is a new one", l.State)
		}
		return []Step{{From: l.State, To: l.State, Why: who + " says that the new key is in its place: it counts when it is seen there. The old one can be revoked now"}}, nil
	case Name:
		id := strings.TrimSpace(e.Text)
		if id == "" || id == l.NewID {
			return nil, refuse("what is the id of the old key? For example /key-id kAbC123CNTRL")
		}
		l.OldID = id
		return []Step{{From: l.State, To: l.State, Why: "the id of the old key is " + id + ", says " + who}}, nil
	case Order:
		return l.order(e, who)
	case Claim:
		l.Claimed = e.At
		if l.Ended == nil {
			return []Step{{From: l.State, To: l.State, Why: who + " says that the key is revoked: it counts when a check or the provider says so"}}, nil
		}
	case Deny:
		return l.deny(e, who)
	case Confirm:
		return l.confirm(e, who)
	case Accept:
		return l.accept(e, who)
	case Snooze:
		switch left := l.Due(); {
		case !e.Until.After(e.At):
			return nil, refuse("until when? For example /snooze 3d")
		case !left.After(e.At):
			return nil, refuse("the key was due %s: there is no time left to wait", left.UTC().Format("2006-01-02 15:04"))
		case e.Until.After(left):
			e.Until = left
		}
		l.Snoozed = e.Until
		return []Step{{From: l.State, To: l.State, Why: who + " wants no reminders until " + e.Until.UTC().Format("2006-01-02 15:04")}}, nil
	}
	return nil, nil
}

// again says what somebody can do who wants a key to be seen to that nobody has to.
func again(s State) string {
	if s == Closed {
		return "If it works, /verify finds that out and opens it"
	}
	return "/ack takes the waiver back"
}

func (l *Life) rotate(e *Event, who string) ([]Step, error) {
	id := strings.TrimSpace(e.Text)
	switch {
	case l.State != Open && l.State != Acknowledged:
		return nil, refuse("the key is %s already", l.State)
	case id != "" && id == l.OldID:
		return nil, refuse("%s is the id of the old key: a new one is needed", id)
	}
	l.NewID = id
	return []Step{l.to(Rotating, e.At, "a new key is made, says "+who)}, nil
}

// order takes in that somebody wants the key revoked. What two people want within a day is
// ordered.
func (l *Life) order(e *Event, who string) ([]Step, error) {
	o := l.Order
	step := Step{From: l.State, To: l.State}
	switch {
	case !l.State.Works():
		return nil, refuse("the key is %s already", l.State)
	case o == nil || o.Second != "" || !e.At.Before(o.Until) || o.ByID == 0:
		l.Order = &Waiver{By: e.Actor.Login, ByID: e.Actor.ID, Until: e.At.Add(OrderFor)}
		step.Why = who + " wants the key revoked: somebody else has to confirm it within " + hours(OrderFor)
	case o.first().same(e.Actor.person()):
		return nil, refuse("%s has said so: somebody else has to confirm it", who)
	default:
		o.Second, o.SecondID = e.Actor.Login, e.Actor.ID
		step.Why = "@" + o.By + " and " + who + " want the key revoked: its provider is told"
	}
	return []Step{step}, nil
}

func (l *Life) deny(e *Event, who string) ([]Step, error) {
	w := &Waiver{By: e.Actor.Login, ByID: e.Actor.ID, Reason: words(e.Text), Until: e.Until}
	if longest := e.At.Add(LongestDenial); w.Until.IsZero() || w.Until.After(longest) {
		w.Until = longest
	}
	switch {
	case w.Reason == "":
		return nil, refuse("why is it no key? For example /false-positive a value of the documentation")
	case !w.Until.After(e.At):
		return nil, refuse("that day is over")
	case l.grave():
		l.Asked = w
		return []Step{{From: l.State, To: l.State, Why: who + " says that it is no key: somebody else has to confirm it"}}, nil
	}
	l.Waiver, l.Asked = w, nil
	return []Step{l.to(FalsePositive, e.At, who+" says that it is no key: "+w.Reason)}, nil
}

func (l *Life) confirm(e *Event, who string) ([]Step, error) {
	switch {
	case l.Asked == nil:
		return nil, refuse("there is nothing to confirm")
	case l.Asked.ByID == 0:
		return nil, refuse("the account of @%s is not known: /false-positive has to be said again, and then confirmed", l.Asked.By)
	case l.Asked.first().same(e.Actor.person()):
		return nil, refuse("%s has said so: somebody else has to confirm it", who)
	}
	l.Waiver, l.Asked = l.Asked, nil
	l.Waiver.Second, l.Waiver.SecondID = e.Actor.Login, e.Actor.ID
	return []Step{l.to(FalsePositive, e.At, "@"+l.Waiver.By+" and "+who+" say that it is no key: "+l.Waiver.Reason)}, nil
}

func (l *Life) accept(e *Event, who string) ([]Step, error) {
	w := &Waiver{By: e.Actor.Login, ByID: e.Actor.ID, Reason: words(e.Text), Until: e.Until}
	switch {
	case w.Reason == "" || w.Until.IsZero():
		return nil, refuse("until when, and why? For example /accept-risk until:%s reason:…", e.At.AddDate(0, 0, 30).Format(time.DateOnly))
	case !w.Until.After(e.At):
		return nil, refuse("that day is over")
	case w.Until.Sub(e.At) > LongestRisk:
		return nil, refuse("a risk is accepted for %s at most: until %s", hours(LongestRisk), e.At.Add(LongestRisk).UTC().Format(time.DateOnly))
	}
	l.Waiver, l.Asked = w, nil
	return []Step{l.to(AcceptedRisk, e.At, who+" accepts the risk until "+w.Until.UTC().Format(time.DateOnly)+": "+w.Reason)}, nil
}

// closed is what comes of closing the issue by hand: the first time it is opened again,
// with what is missing; then it stays closed, without evidence.
func (l *Life) closed(e *Event) []Step {
	if l.State.Done() || l.State == Dead {
		return nil
	}
	if !l.Reopened {
		l.Reopened = true
		return []Step{{From: l.State, To: l.State, Why: "closed by @" + e.Actor.Login + " without evidence, and opened again"}}
	}
	return []Step{l.to(Unproved, e.At, "closed by @"+e.Actor.Login+" without evidence")}
}
