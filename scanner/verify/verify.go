package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyward/keyward/scanner"
)

// A Verdict is what is known of a key after a check.
type Verdict string

// What a check can say. Only Inactive means that the key is dead.
const (
	Active   Verdict = "active"
	Inactive Verdict = "inactive"
	Unknown  Verdict = "unknown" // the answer tells nothing, or was not trusted
	Failed   Verdict = "error"   // there was no answer
)

// A Result is the outcome of a check. It holds nothing of the key.
type Result struct {
	Verdict Verdict
	Why     string         // in words
	Request string         // method and address
	At      time.Time      // of the answer
	Facts   []scanner.Fact // scopes, owner, expiry, as the provider tells them

	// Elsewhere says of an unknown key that its provider does not know it, and that it
	// may be of a host that was not asked. If that provider ever called it active, it is
	// inactive.
	Elsewhere bool
}

// A Verifier sends checks. At most one request at a time goes to a host, and there is a
// pause between two. It is safe for concurrent use.
type Verifier struct {
	Checks    map[string]*Check // by rule
	Transport http.RoundTripper // http.DefaultTransport if nil
	Pause     time.Duration     // between requests to a host; a second if 0
	Timeout   time.Duration     // of a request; ten seconds if 0
	Cloud     bool              // keys are of the hosts that the checks name, of no company's own
	Agent     string            // User-Agent

	mu    sync.Mutex
	hosts map[string]*host
}

// a host is asked by one at a time.
type host struct {
	turn  chan struct{} // holds one token
	next  time.Time     // when it may be asked again
	until time.Time     // it wants to be left alone
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 256 << 10

// Verify asks the provider of a key of a rule. The key is sent once, and if the answer
// is that it is active, something random of its shape is sent as a control: if that is
// active too, the answer means nothing.
func (v *Verifier) Verify(ctx context.Context, rule *scanner.Rule, key []byte) Result {
	c := v.Checks[rule.ID]
	if c == nil {
		return Result{Verdict: Unknown, Why: "no check is known for this kind", At: time.Now()}
	}
	r := Result{Request: c.Request(), At: time.Now()}
	if why := unsendable(key); why != "" {
		r.Verdict, r.Why = Unknown, why
		return r
	}
	if why := canary(key); why != "" {
		r.Verdict, r.Why = Unknown, why
		return r
	}
	if !c.takes(key) {
		r.Verdict, r.Why = Unknown, "of this kind only keys that begin with "+strings.Join(c.Prefixes, ", ")+" can be asked about"
		return r
	}
	r.Verdict, r.Why, r.Facts = v.ask(ctx, c, key)
	if r.Verdict == Active {
		if control, why, _ := v.ask(ctx, c, lookAlike(rule, key)); control == Active {
			r.Verdict, r.Why, r.Facts = Unknown, "a random look-alike is called active, too: the answer means nothing", nil
		} else if control != Inactive {
			r.Why += "; the control was not answered (" + why + ")"
			r.Verdict = Unknown
		}
	}
	if r.Verdict == Inactive && c.Elsewhere && !v.Cloud {
		r.Verdict, r.Elsewhere = Unknown, true
		r.Why = "not known at " + c.Host() + ", but it may be of another host (--cloud says that it is not)"
	}
	r.At = time.Now()
	return r
}

// unsendable says why a key can not be put into a request.
func unsendable(key []byte) string {
	for _, b := range key {
		if b < 0x21 || b > 0x7e || b == '"' || b == '\\' {
			return "the key has characters that no header takes"
		}
	}
	if len(key) == 0 || len(key) > 4096 {
		return "the key is empty, or too long to be one"
	}
	return ""
}

// canary says why a key is not to be touched: it is there to raise an alarm, and asking
// for it would. https://docs.canarytokens.org/guide/
func canary(key []byte) string {
	low := bytes.ToLower(key)
	for _, word := range []string{"canary", "honeytoken"} {
		if bytes.Contains(low, []byte(word)) {
			return "it calls itself a " + word + ": it was not sent"
		}
	}
	return ""
}

// ask sends one request.
func (v *Verifier) ask(ctx context.Context, c *Check, key []byte) (Verdict, string, []scanner.Fact) {
	h, err := v.enter(ctx, c.Host())
	if err != nil {
		return Failed, err.Error(), nil
	}
	defer v.leave(h)
	if time.Now().Before(h.until) {
		return Unknown, c.Host() + " wants to be left alone until " + h.until.UTC().Format("15:04:05"), nil
	}
	timeout := v.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method(), c.URL, strings.NewReader(strings.ReplaceAll(c.Body, placeholder, string(key))))
	if err != nil {
		return Failed, "the request can not be made", nil
	}
	for name, value := range c.Headers {
		req.Header.Set(name, strings.ReplaceAll(value, placeholder, string(key)))
	}
	req.Header.Set("User-Agent", "keyward "+v.Agent)
	client := http.Client{Transport: v.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return Failed, reason(err), nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return Failed, reason(err), nil
	}
	if len(body) > maxAnswer {
		body = nil // nobody answers so much; the status counts
	}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		h.until = time.Now().Add(retryAfter(res.Header))
	}
	verdict, why := c.judge(res, body)
	if verdict != Active {
		return verdict, why, nil
	}
	return verdict, why, c.kept(res.Header, body, key)
}

// reason is what went wrong, without the address and what a server said.
func reason(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "it was stopped"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case strings.Contains(err.Error(), "certificate"):
		return "the certificate of the host is not valid for it"
	}
	return "the host can not be reached, or breaks off"
}

// retryAfter is how long a host wants to be left alone: a minute if it does not say.
func retryAfter(h http.Header) time.Duration {
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n >= 0 {
		return min(time.Duration(n)*time.Second, time.Hour)
	}
	return time.Minute
}

// judge says what an answer means.
func (c *Check) judge(res *http.Response, body []byte) (Verdict, string) {
	said := fmt.Sprintf("answered %d", res.StatusCode)
	if got, ok := value(body, c.Reason.Name); ok && slices.Contains(c.Reason.Inactive, got) {
		return Inactive, said + ", " + got
	}
	switch {
	case slices.Contains(c.Inactive, res.StatusCode):
		return Inactive, said
	case !slices.Contains(c.Active, res.StatusCode):
		return Unknown, said + ", which says nothing of the key"
	case c.Field.Name == "":
		return Active, said
	}
	got, _ := value(body, c.Field.Name)
	switch {
	case slices.Contains(c.Field.Active, got):
		return Active, said + ", " + c.Field.Name + " " + got
	case slices.Contains(c.Field.Inactive, got):
		return Inactive, said + ", " + c.Field.Name + " " + got
	}
	return Unknown, said + ", and " + c.Field.Name + " is not what is documented"
}

// value returns what stands in a JSON object at a place, as text.
func value(body []byte, place string) (string, bool) {
	if place == "" {
		return "", false
	}
	var v any
	if json.Unmarshal(body, &v) != nil {
		return "", false
	}
	for name := range strings.SplitSeq(place, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return "", false
		}
		if v, ok = object[name]; !ok {
			return "", false
		}
	}
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case []any:
		var list []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
		return strings.Join(list, " "), len(list) > 0
	}
	return "", false
}

// maxFact is how long a fact may be.
const maxFact = 200

// kept are the facts of an answer that are worth keeping. What holds the key is not.
func (c *Check) kept(h http.Header, body, key []byte) (out []scanner.Fact) {
	keep := func(name, v string) {
		v = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == 0xfffd {
				return -1
			}
			return r
		}, v)
		if v == "" || strings.Contains(v, string(key)) {
			return
		}
		if len(v) > maxFact {
			v = strings.ToValidUTF8(v[:maxFact], "") + "…"
		}
		out = append(out, scanner.Fact{Name: name, Value: v})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Facts)) {
		if v, ok := value(body, c.Facts[name]); ok {
			keep(name, v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.KeptHeaders)) {
		keep(name, h.Get(c.KeptHeaders[name]))
	}
	return out
}

// lookAlike is something random of the shape of a key: what begins every key of the rule
// stays, letters and digits change.
func lookAlike(rule *scanner.Rule, key []byte) []byte {
	start := 0
	for _, word := range rule.Keywords {
		if len(word) < len(key) && strings.EqualFold(string(key[:len(word)]), word) {
			start = max(start, len(word))
		}
	}
	const digits, lower, upper = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	small := lower
	if !bytes.ContainsAny(key[start:], lower[6:]) { // it may be hexadecimal
		small = lower[:6]
	}
	if !bytes.ContainsAny(key[start:], digits+lower+upper) {
		return append(bytes.Clone(key), 'x') // nothing to change
	}
	out := bytes.Clone(key)
	for bytes.Equal(out, key) {
		for i := start; i < len(out); i++ {
			for _, class := range []string{digits, small, upper} {
				if strings.IndexByte(class, key[i]) >= 0 {
					out[i] = class[rand.IntN(len(class))]
				}
			}
		}
	}
	return out
}

// enter waits for the turn at a host.
func (v *Verifier) enter(ctx context.Context, name string) (*host, error) {
	v.mu.Lock()
	if v.hosts == nil {
		v.hosts = map[string]*host{}
	}
	h := v.hosts[name]
	if h == nil {
		h = &host{turn: make(chan struct{}, 1)}
		h.turn <- struct{}{}
		v.hosts[name] = h
	}
	v.mu.Unlock()
	select {
	case <-h.turn:
	case <-ctx.Done():
		return nil, errors.New("it was stopped")
	}
	wait := time.NewTimer(time.Until(h.next))
	defer wait.Stop()
	select {
	case <-wait.C:
		return h, nil
	case <-ctx.Done():
		h.turn <- struct{}{}
		return nil, errors.New("it was stopped")
	}
}

func (v *Verifier) leave(h *host) {
	pause := v.Pause
	if pause == 0 {
		pause = time.Second
	}
	h.next = time.Now().Add(pause)
	h.turn <- struct{}{}
}
