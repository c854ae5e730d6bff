package verify

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// What an answer to a revocation means. Already says that the credential had ended before:
// a check confirms it.
const (
	Done    Verdict = "done"         // the provider says that the credential has ended
	Taken   Verdict = "taken"        // the order is taken; whether it is carried out, a check says
	Already Verdict = "already-dead" // the provider does not know it any more
	NotDone Verdict = "failed"
)

// A Revocation says how a credential is ended with nothing but itself and its companions.
type Revocation struct {
	Check
	First *FirstStep `toml:"first"` // asked before, for the id that the address needs
	ID    string     `toml:"id"`    // RE2: the group in the credential that is its id
	Does  string     `toml:"does"`  // what it ends besides, in words

	id *regexp.Regexp
}

// A FirstStep asks which id a credential has.
type FirstStep struct {
	Method  string            `toml:"method"`
	URL     string            `toml:"url"`
	Headers map[string]string `toml:"headers"`
	Each    *string           `toml:"each"`  // the place of a list in the answer, "" if it is one; nil: the answer is the element
	Match   string            `toml:"match"` // the place in an element that is compared with the credential
	As      string            `toml:"as"`    // how: sha512-hex, redacted, begins
	Field   string            `toml:"field"` // the place of the id
}

// idMark stands for the id in the address of a revocation.
const idMark = "{id}"

// check is the first step as a request.
func (r *Revocation) first() *Check {
	c := r.Check
	c.Method, c.URL, c.Headers, c.Body, c.Hosts = r.First.Method, r.First.URL, r.First.Headers, "", nil
	return &c
}

// valid returns what is wrong with a revocation, and prepares it.
func (r *Revocation) validRevocation() error {
	if err := r.validRequest(http.MethodPost, http.MethodDelete); err != nil {
		return err
	}
	if r.places() < 1 {
		return errors.New("the credential has to be sent")
	}
	if strings.Contains(r.URL, idMark) != (r.First != nil || r.ID != "") {
		return errors.New("{id} in the address belongs together with first or id")
	}
	if r.First != nil {
		if err := r.first().validRequest(http.MethodGet); err != nil {
			return fmt.Errorf("first: %w", err)
		}
	}
	var err error
	if r.id, err = regexp.Compile(r.ID); err != nil {
		return fmt.Errorf("id: %w", err)
	}
	done := false
	for i := range r.Answers {
		if err := r.Answers[i].valid(Done, Taken, Already, NotDone); err != nil {
			return fmt.Errorf("answer %d: %w", i+1, err)
		}
		done = done || r.Answers[i].Means == Done || r.Answers[i].Means == Taken
	}
	if !done {
		return errors.New("no answer means that it is done")
	}
	return nil
}

// Requests says in words what is sent, without the credential: one line for each request.
func (r *Revocation) Requests() []string {
	if r.First == nil {
		return []string{r.Request()}
	}
	return []string{r.first().Request(), r.Request()}
}

// Revocations are revocations by rule; of a rule's the first that fits a credential is used.
type Revocations map[string][]*Revocation

// For returns the revocation for a credential of a rule, or nil. Without a credential the
// first of the rule is returned.
func (rs Revocations) For(rule string, c *Credential) *Revocation {
	for _, r := range rs[rule] {
		if c == nil || r.takes(c.Value) && r.companions(c) != nil {
			return r
		}
	}
	return nil
}

// BuiltinRevocations returns the revocations that are built in.
var BuiltinRevocations = sync.OnceValues(func() (Revocations, error) {
	files, err := builtinFiles()
	if err != nil {
		return nil, err
	}
	out := Revocations{}
	for _, f := range files {
		for _, r := range f.Revocation {
			if err := r.validRevocation(); err != nil {
				return nil, fmt.Errorf("revocation of %s: %w", strings.Join(r.Rules, ", "), err)
			}
			for _, id := range r.Rules {
				out[id] = append(out[id], r)
			}
		}
	}
	return out, nil
})

// A Revoked is what came of an order to revoke.
type Revoked struct {
	Verdict Verdict // Done, Taken, Already or NotDone
	Why     string  // in words, with the request
}

// Revoke has the provider of a credential end it. The error says why nothing was sent, or
// that there was no answer. It asks as [Verifier.Verify] does: one at a time, no redirects,
// nothing of the credential in the address but an id that is public.
func (v *Verifier) Revoke(ctx context.Context, r *Revocation, cred *Credential) (Revoked, error) {
	for _, why := range []string{r.unsendable(cred.Value), canary(cred.Value)} {
		if why != "" {
			return Revoked{}, errors.New(why)
		}
	}
	if !r.takes(cred.Value) || r.companions(cred) == nil {
		return Revoked{}, errors.New("not sent: the value is not of the form that " + r.Host() + " revokes")
	}
	c := r.Check
	if strings.Contains(c.URL, idMark) {
		id, done, err := v.identify(ctx, r, cred)
		if err != nil || done != nil {
			if done == nil {
				done = &Revoked{}
			}
			return *done, err
		}
		c.URL = strings.ReplaceAll(c.URL, idMark, id)
	}
	o := v.ask(ctx, &c, c.Host(), cred)
	switch {
	case !o.sent, o.verdict == Failed:
		return Revoked{}, fmt.Errorf("%s: %s", r.Request(), o.why)
	case o.answer == nil:
		o.verdict = NotDone
	}
	return Revoked{o.verdict, r.Request() + " " + o.why}, nil
}

// plainID is what an id may consist of: it goes into an address.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

// identify returns the id of a credential, or what the provider said instead of telling it.
func (v *Verifier) identify(ctx context.Context, r *Revocation, cred *Credential) (id string, done *Revoked, err error) {
	if r.First == nil {
		m := r.id.FindSubmatch(cred.Value)
		if len(m) < 2 || !plainID.Match(m[1]) {
			return "", nil, errors.New("not sent: the value does not hold its id")
		}
		return string(m[1]), nil, nil
	}
	c := r.first()
	got, none := v.send(ctx, c, c.Host(), cred)
	if none != nil {
		return "", nil, fmt.Errorf("%s: %s", c.Request(), none.why)
	}
	if a := find(r.Answers, "first", got.status, got.body); a != nil {
		return "", &Revoked{a.Means, c.Request() + " " + a.said(got.status)}, nil
	}
	if got.status == http.StatusOK {
		id = r.First.idIn(got.body, cred.Value)
	}
	if !plainID.MatchString(id) {
		return "", &Revoked{NotDone, fmt.Sprintf("%s answered %d: exactly one id was expected", c.Request(), got.status)}, nil
	}
	return id, nil, nil
}

// idIn returns the id that an answer tells of a credential, "" unless it is exactly one.
func (f *FirstStep) idIn(body, key []byte) string {
	if f.Each == nil {
		id, _ := valueAt(body, f.Field)
		return id
	}
	var v any
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	if *f.Each != "" {
		object, _ := v.(map[string]any)
		v = object[*f.Each]
	}
	list, _ := v.([]any)
	found := ""
	for _, e := range list {
		text, err := json.Marshal(e)
		if err != nil {
			return ""
		}
		if shown, ok := valueAt(text, f.Match); !ok || !f.same(shown, key) {
			continue
		}
		if found != "" {
			return "" // two look alike: neither is revoked
		}
		found, _ = valueAt(text, f.Field)
	}
	return found
}

// same reports whether what an answer shows of a credential is the credential.
func (f *FirstStep) same(shown string, key []byte) bool {
	switch f.As {
	case "sha512-hex":
		sum := sha512.Sum512(key)
		return shown == hex.EncodeToString(sum[:])
	case "begins":
		return len(shown) >= 8 && bytes.HasPrefix(key, []byte(shown))
	case "redacted":
		head, _, stars := strings.Cut(shown, "*")
		tail := shown[strings.LastIndexByte(shown, '*')+1:]
		return stars && len(head)+len(tail) >= 8 && bytes.HasPrefix(key, []byte(head)) && bytes.HasSuffix(key, []byte(tail))
	}
	return shown == string(key)
}
