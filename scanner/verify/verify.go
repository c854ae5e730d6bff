package verify

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/keyward/keyward/scanner"
)

// A Verdict is what is known of a credential after a check.
type Verdict string

// What a check can say. Only Inactive means that the credential is dead.
const (
	Active   Verdict = "active"
	Inactive Verdict = "inactive"
	Unknown  Verdict = "unknown" // the answer proves nothing, or was not trusted
	Failed   Verdict = "error"   // there was no answer
)

// A Result is the outcome of a check. It holds nothing of the credential.
type Result struct {
	Verdict Verdict
	Why     string         // in words
	Request string         // method and address
	At      time.Time      // of the answer
	Sent    bool           // the credential was sent: the provider's log shows a request
	Facts   []scanner.Fact // scopes, owner, expiry, as the provider states them

	// With identifies the values beside the credential that were sent with it: it differs if
	// one of them does. Only a keyed hash of it may be stored, as the values can be guessed.
	With string

	// Elsewhere says of an unknown credential that its provider does not know it, and that
	// it may be of a host that was not asked. If that provider ever called it active, it is
	// inactive.
	Elsewhere bool
}

// A Verifier sends checks. At most one request at a time goes to a host, and there is a
// pause between two. It is safe for concurrent use.
type Verifier struct {
	Checks    Checks
	Transport http.RoundTripper // http.DefaultTransport if nil
	Pause     time.Duration     // between requests to a host; a second if 0
	Timeout   time.Duration     // of a request; ten seconds if 0
	Cloud     bool              // credentials are of the hosts that the checks name, of no company's own
	Mint      bool              // checks may mint a token or leave a sign-in event
	Version   string            // of this program, for the User-Agent
	Now       func() time.Time  // time.Now if nil

	mu       sync.Mutex
	hosts    map[string]*host
	controls map[controlKey]time.Time // until when a control that passed counts
}

// a host is asked by one at a time.
type host struct {
	turn  chan struct{} // holds one token
	next  time.Time     // when it may be asked again
	until time.Time     // it wants to be left alone
}

// a controlKey is what a control was made for: the answer to a look-alike does not depend on
// the credential.
type controlKey struct {
	check      *Check
	host, pair string
}

// controlFor is how long a control of an inactive answer counts. Many wrong credentials in
// a short time make some providers refuse right ones, too.
const controlFor = time.Hour

// maxAnswer is how much of an answer is read.
const maxAnswer = 256 << 10

func (v *Verifier) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

// Verify asks the provider of a credential of a rule, at every documented host until one
// says that it is active. It is inactive only if all say so. Either verdict counts only if
// a random look-alike is answered as the provider documents it for a credential that was
// never issued.
func (v *Verifier) Verify(ctx context.Context, rule *scanner.Rule, cred *Credential) Result {
	r := Result{Verdict: Unknown, At: v.now()}
	c := v.Checks.For(rule.ID, cred)
	if r.Why = v.refusal(rule, c, cred); r.Why != "" {
		return r
	}
	r.Request, r.With = c.Request(), c.with(cred)
	var worst *outcome // of the hosts that do not say inactive
	var last outcome
	for _, name := range c.hosts() {
		o := v.askAt(ctx, rule, c, name, cred)
		r.Sent = r.Sent || o.sent
		if o.verdict == Active {
			r.Verdict, r.Why, r.Facts, r.At = Active, o.why, o.facts, v.now()
			return r
		}
		if o.verdict != Inactive && (worst == nil || worst.verdict != Failed) {
			worst = &o
		}
		last = o
	}
	if worst == nil {
		worst = &last
	}
	r.Verdict, r.Why, r.At = worst.verdict, worst.why, v.now()
	if n := len(c.Hosts); n > 1 && r.Verdict == Inactive {
		r.Why += " (all " + strconv.Itoa(n) + " hosts)"
	}
	if r.Verdict == Inactive && c.Elsewhere && !v.Cloud {
		r.Verdict, r.Elsewhere = Unknown, true
		r.Why = "not known at " + c.Host() + ", but it may belong to another host (--cloud says that it does not)"
	}
	return r
}

// Refusal says why a credential would not be sent, "" if it would be.
func (v *Verifier) Refusal(rule *scanner.Rule, cred *Credential) string {
	return v.refusal(rule, v.Checks.For(rule.ID, cred), cred)
}

// refusal says why a credential is not sent, "" if it may be.
func (v *Verifier) refusal(rule *scanner.Rule, c *Check, cred *Credential) string {
	if len(v.Checks[rule.ID]) == 0 {
		return "no check is known for this kind"
	}
	if why := canary(cred.Value); why != "" {
		return why
	}
	if c == nil {
		var prefixes []string
		for _, other := range v.Checks[rule.ID] {
			prefixes = append(prefixes, other.Prefixes...)
		}
		return cmp.Or(v.Checks.missing(rule.ID, cred), "not asked: of this kind only values that begin with "+strings.Join(prefixes, ", ")+" can be checked")
	}
	if c.Mint && !v.Mint {
		return "not asked: this check mints a token or leaves a sign-in event, which --mint (the App: KEYWARD_VERIFY_MINT) allows"
	}
	if c.Sign == "" {
		return c.unsendable(cred.Value)
	}
	return ""
}

// an outcome is what came of one request.
type outcome struct {
	verdict Verdict
	why     string
	facts   []scanner.Fact
	answer  *Answer // nil if it is not documented
	sent    bool
}

// askAt asks one host, and makes the control that its answer needs.
func (v *Verifier) askAt(ctx context.Context, rule *scanner.Rule, c *Check, name string, cred *Credential) outcome {
	o := v.ask(ctx, c, name, cred)
	if o.verdict != Active && o.verdict != Inactive {
		return o
	}
	if why := v.control(ctx, rule, c, name, cred, o.verdict); why != "" {
		return outcome{verdict: Unknown, why: o.why + "; " + why, sent: true}
	}
	return o
}

// control sends a random look-alike. It returns why the answer to the credential proves
// nothing, "" if it does.
func (v *Verifier) control(ctx context.Context, rule *scanner.Rule, c *Check, name string, cred *Credential, verdict Verdict) string {
	key := controlKey{c, name, strings.Join(slices.Sorted(maps.Values(c.companions(cred))), " ")}
	v.mu.Lock()
	known := v.now().Before(v.controls[key])
	v.mu.Unlock()
	if known && verdict == Inactive {
		return ""
	}
	fake := *cred
	fake.Value = lookAlike(rule, cred.Value)
	if c.Sign == signGoogle {
		var err error
		if fake.Value, err = newPrivateKey(); err != nil {
			return "no control: " + err.Error()
		}
	}
	o := v.ask(ctx, c, name, &fake)
	documented := slices.ContainsFunc(c.Answers, func(a Answer) bool { return a.neverIssued() })
	switch {
	case o.verdict == Active:
		return "a random look-alike is called active, too: the answer proves nothing"
	case o.verdict == Failed:
		return "the control was not answered (" + o.why + "): the answer proves nothing"
	case o.answer != nil && o.answer.neverIssued():
		v.mu.Lock()
		if v.controls == nil {
			v.controls = map[controlKey]time.Time{}
		}
		v.controls[key] = v.now().Add(controlFor)
		v.mu.Unlock()
	case documented || verdict == Inactive:
		return "a random look-alike was not answered as documented (" + o.why + "): the answer proves nothing"
	}
	return ""
}

// ask sends one request to a host and says what its answer means.
func (v *Verifier) ask(ctx context.Context, c *Check, name string, cred *Credential) outcome {
	got, none := v.send(ctx, c, name, cred)
	if none != nil {
		return *none
	}
	a := find(c.Answers, "", got.status, got.body)
	if a == nil {
		return outcome{verdict: Unknown, why: undocumented(got.status), sent: true}
	}
	o := outcome{verdict: a.Means, why: a.said(got.status), answer: a, sent: true}
	if a.Means == Active {
		o.facts = c.kept(got.header, got.body, cred.Value)
	}
	return o
}

// a reply is what a provider answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send sends one request to a host, and returns its answer, or what there is instead.
func (v *Verifier) send(ctx context.Context, c *Check, name string, cred *Credential) (reply, *outcome) {
	failed := func(err error) (reply, *outcome) {
		return reply{}, &outcome{verdict: Failed, why: reason(err), sent: true}
	}
	h, err := v.enter(ctx, name)
	if err != nil {
		return reply{}, &outcome{verdict: Failed, why: err.Error()}
	}
	defer v.leave(h)
	if v.now().Before(h.until) {
		return reply{}, &outcome{verdict: Unknown, why: "not asked: " + name + " asked to wait until " + h.until.UTC().Format("15:04:05")}
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(v.Timeout, 10*time.Second))
	defer cancel()
	req, err := v.request(ctx, c, name, cred)
	if err != nil {
		return reply{}, &outcome{verdict: Unknown, why: err.Error()}
	}
	client := http.Client{Transport: v.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return failed(err)
	}
	if len(body) > maxAnswer {
		body = nil // no documented answer is so long
	}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		h.until = v.now().Add(retryAfter(res.Header))
	}
	return reply{res.StatusCode, res.Header, body}, nil
}

// request makes the request of a check to a host.
func (v *Verifier) request(ctx context.Context, c *Check, name string, cred *Credential) (*http.Request, error) {
	f := &filler{key: cred.Value, companions: c.companions(cred)}
	address := strings.ReplaceAll(f.text(c.URL, nil), hostMark, name)
	if c.Sign == signGoogle {
		k, err := privateKey(cred.Value)
		if err != nil {
			return nil, err
		}
		if f.jwt, err = assertion(k, f.companions["client_email"], address, v.now()); err != nil {
			return nil, err
		}
	}
	body := f.body(c.Body, c.Headers["Content-Type"])
	req, err := http.NewRequestWithContext(ctx, c.method(), address, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("not asked: the request cannot be made")
	}
	for name, value := range c.Headers {
		req.Header.Set(name, f.header(value))
	}
	if c.Sign == signAWS {
		signRequest(req, body, f.companions["access_key_id"], cred.Value, c.Regions[name], "sts", v.now())
	}
	req.Header.Set("User-Agent", v.agent(cred.Token))
	return req, nil
}

// agent names the program in a request, and the installation if there is a token of it.
func (v *Verifier) agent(token string) string {
	agent := "keyward-verify/" + cmp.Or(v.Version, "dev")
	if token != "" {
		agent += " (" + token + ")"
	}
	return agent
}

// reason is what went wrong, without the address and what a server said.
func reason(err error) string {
	var timeout interface{ Timeout() bool }
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return "stopped before there was an answer"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &certificate):
		return "the certificate of the host is not valid for it"
	}
	return "no answer: the host cannot be reached, or ended the connection"
}

// retryAfter is how long a host wants to be left alone: a minute if it does not say, an hour
// at most.
func retryAfter(h http.Header) time.Duration {
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n >= 0 {
		return min(time.Duration(min(n, 3600))*time.Second, time.Hour)
	}
	return time.Minute
}

// maxFact is how long a fact may be.
const maxFact = 200

// kept are the facts of an answer that are worth keeping. What holds the credential is not.
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
		if v, ok := valueAt(body, c.Facts[name]); ok {
			keep(name, v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Kept)) {
		keep(name, h.Get(c.Kept[name]))
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
	stopped := errors.New("stopped before there was an answer")
	select {
	case <-h.turn:
	case <-ctx.Done():
		return nil, stopped
	}
	wait := time.NewTimer(time.Until(h.next))
	defer wait.Stop()
	select {
	case <-wait.C:
		return h, nil
	case <-ctx.Done():
		h.turn <- struct{}{}
		return nil, stopped
	}
}

func (v *Verifier) leave(h *host) {
	h.next = time.Now().Add(cmp.Or(v.Pause, time.Second))
	h.turn <- struct{}{}
}
