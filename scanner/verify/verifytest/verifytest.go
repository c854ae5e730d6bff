// Package verifytest plays the providers of credentials: a local HTTPS server that knows
// which are alive, and answers the requests of package verify as the providers document it.
// Whatever host is asked, this one answers; no request leaves the machine.
package verifytest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/verify"
)

// A Provider plays all providers, until it is closed. It is safe for concurrent use.
type Provider struct {
	server    *httptest.Server
	transport *http.Transport
	checks    []*verify.Check
	ends      []*verify.Revocation

	mu     sync.Mutex
	alive  []string
	asked  []string
	agents []string
	answer http.HandlerFunc
}

// New starts a Provider that knows no credential.
func New() (*Provider, error) {
	checks, err := verify.Builtin()
	if err != nil {
		return nil, err
	}
	ends, err := verify.BuiltinRevocations()
	if err != nil {
		return nil, err
	}
	p := &Provider{}
	for _, rule := range slices.Sorted(maps.Keys(checks)) {
		p.checks = append(p.checks, checks[rule]...)
	}
	for _, rule := range slices.Sorted(maps.Keys(ends)) {
		p.ends = append(p.ends, ends[rule]...)
	}
	p.server = httptest.NewTLSServer(p)
	pool := x509.NewCertPool()
	pool.AddCert(p.server.Certificate())
	p.transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", p.server.Listener.Addr().String())
		},
	}
	return p, nil
}

// Close stops it.
func (p *Provider) Close() {
	p.transport.CloseIdleConnections()
	p.server.Close()
}

// Transport leads every request to the Provider.
func (p *Provider) Transport() http.RoundTripper { return p.transport }

// Issue makes a credential be alive.
func (p *Provider) Issue(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive = append(p.alive, key)
}

// Revoke makes a credential be dead.
func (p *Provider) Revoke(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive = slices.DeleteFunc(p.alive, func(k string) bool { return k == key })
}

// Answer has f answer instead; nil puts things back.
func (p *Provider) Answer(f http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// Asked returns what was asked so far, such as "GET https://api.example.com/me". It says
// nothing of the credentials.
func (p *Provider) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Agents returns the user agents of the requests so far.
func (p *Provider) Agents() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.agents)
}

// ServeHTTP answers a check or a revocation as the provider documents it.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, "the request breaks off", http.StatusBadRequest)
		return
	}
	body := string(data)
	r.Body = io.NopCloser(strings.NewReader(body)) // for an answer of the test's own
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" https://"+r.Host+r.URL.Path)
	p.agents = append(p.agents, r.UserAgent())
	alive := slices.ContainsFunc(p.alive, func(key string) bool { return Carries(r, body, key) })
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	for _, e := range p.ends {
		if same(&e.Check, r) {
			p.revoke(w, r, e, body, alive)
			return
		}
	}
	for _, c := range p.checks {
		if same(c, r) {
			means := verify.Inactive
			if alive {
				means = verify.Active
			}
			Write(w, Pick(c.Answers, means))
			return
		}
	}
	for _, e := range p.ends {
		if e.First != nil && same(&verify.Check{Method: e.First.Method, URL: e.First.URL}, r) {
			p.first(w, r, e.First, body)
			return
		}
	}
	http.NotFound(w, r)
}

// first lists the ids of the credentials that are alive, of which one is asked for.
func (p *Provider) first(w http.ResponseWriter, r *http.Request, f *verify.FirstStep, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []any{map[string]any{"id": "another"}}
	for _, key := range p.alive {
		if !Carries(r, body, key) {
			continue
		}
		shown := key
		switch f.As {
		case "sha512-hex":
			shown = fmt.Sprintf("%x", sha512.Sum512([]byte(key)))
		case "redacted":
			shown = key[:6] + "********" + key[len(key)-4:]
		case "begins":
			shown = key[:16]
		}
		e := map[string]any{}
		put(e, f.Match, shown)
		put(e, f.Field, "id-of-the-stand-in")
		list = append(list, e)
	}
	var out any = list
	if *f.Each != "" {
		out = map[string]any{*f.Each: list}
	}
	_ = json.NewEncoder(w).Encode(out) // the other side has gone
}

// put sets a value in an object, at names with dots between them, unless there is one.
func put(in map[string]any, at string, v any) {
	name, rest, deeper := strings.Cut(at, ".")
	if !deeper {
		if in[name] == nil {
			in[name] = v
		}
		return
	}
	next, ok := in[name].(map[string]any)
	if !ok {
		next = map[string]any{}
		in[name] = next
	}
	put(next, rest, v)
}

// same reports whether a request is that of a check.
func same(c *verify.Check, r *http.Request) bool {
	method := c.Method
	if method == "" {
		method = http.MethodGet
	}
	hosts := c.Hosts
	if len(hosts) == 0 {
		hosts = []string{r.Host}
	}
	fits := regexp.QuoteMeta(c.URL)
	fits = strings.ReplaceAll(fits, `\{host\}`, regexp.QuoteMeta(r.Host))
	fits = placeholders.ReplaceAllString(fits, `[^/?]+`)
	return method == r.Method && slices.Contains(hosts, r.Host) && regexp.MustCompile("^"+fits+"$").MatchString("https://"+r.Host+r.URL.RequestURI())
}

var placeholders = regexp.MustCompile(`\\{[a-z_]+\\}`)

// Pick returns the answer that a provider gives to a live credential, or to one that it
// does not know.
func Pick(answers []verify.Answer, means verify.Verdict) *verify.Answer {
	never := func(a verify.Answer) bool { return a.Means != verify.Active && a.NeverIssued != nil && *a.NeverIssued }
	for _, fits := range []func(verify.Answer) bool{
		func(a verify.Answer) bool { return a.Means == means && (a.NeverIssued == nil || *a.NeverIssued) },
		never,
		func(a verify.Answer) bool { return a.Means == means },
	} {
		if i := slices.IndexFunc(answers, fits); i >= 0 {
			return &answers[i]
		}
	}
	return &verify.Answer{Status: []int{http.StatusUnauthorized}}
}

// Replay has a fake credential of a rule checked while the provider gives one documented
// answer to it, and to a look-alike the one that it documents for a credential that was
// never issued. The request goes through the real code.
func (p *Provider) Replay(ctx context.Context, rule *scanner.Rule, c *verify.Check, a *verify.Answer) verify.Result {
	var mu sync.Mutex
	seen := map[string]bool{}
	p.Answer(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !seen[r.Host] {
			seen[r.Host] = true
			Write(w, a)
			return
		}
		Write(w, Pick(c.Answers, verify.Inactive))
	})
	defer p.Answer(nil)
	v := &verify.Verifier{Checks: verify.Checks{rule.ID: {c}}, Transport: p.transport, Pause: time.Microsecond, Cloud: true, Mint: true}
	return v.Verify(ctx, rule, Fake(rule, c))
}

// Fake is a fake credential that a check takes, with the companions that it needs.
func Fake(rule *scanner.Rule, c *verify.Check) *verify.Credential {
	key := "FAKEkeyward0not0real" + rule.ID
	if len(c.Prefixes) > 0 {
		key = c.Prefixes[0] + key
	}
	cred := &verify.Credential{Value: []byte(key), Companions: map[string][]string{
		"access_key_id": {"AKIA" + "FAKE2FAKE2FAKE22"}, "client_email": {"fake@example.iam.gserviceaccount.com"}, "tenant": {"fa4e0000-0000-4000-8000-000000000000"},
		"client_id": {"fa4e0000-0000-4000-8000-000000000001"}, "username": {"fakeuser"}, "organization": {"fakeorg"}, "org": {"fake-org"}, "host": {"acme.okta.com"},
	}}
	if strings.Contains(c.Body, "{jwt}") {
		cred.Value = privateKey()
	}
	return cred
}

// privateKey is a private key that is made here and of no account.
var privateKey = sync.OnceValue(func() []byte {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
})

// Signed reports whether a JWT was signed with the private key of a public one (RS256).
func Signed(jwt string, k *rsa.PublicKey) bool {
	i := strings.LastIndexByte(jwt, '.')
	if i < 0 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(jwt[i+1:])
	sum := sha256.Sum256([]byte(jwt[:i]))
	return err == nil && rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil
}

// Write writes an answer as its example has it.
func Write(w http.ResponseWriter, a *verify.Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status[0])
	_, _ = io.WriteString(w, a.Body) // the other side has gone
}

// Carries reports whether a request has a credential in a header, plain or in Basic, or in
// its body, plain or escaped as a form has it.
func Carries(r *http.Request, body, key string) bool {
	for _, values := range r.Header {
		for _, v := range values {
			if strings.Contains(v, key) {
				return true
			}
		}
	}
	_, password, _ := r.BasicAuth()
	return password == key || strings.Contains(body, key) || strings.Contains(body, url.QueryEscape(key))
}

// revoke ends the credential that a request carries.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request, end *verify.Revocation, body string, alive bool) {
	if !alive {
		w.WriteHeader(http.StatusTeapot) // what no provider documents
		return
	}
	p.mu.Lock()
	p.alive = slices.DeleteFunc(p.alive, func(key string) bool { return Carries(r, body, key) })
	p.mu.Unlock()
	for _, means := range []verify.Verdict{verify.Done, verify.Taken} {
		if i := slices.IndexFunc(end.Answers, func(a verify.Answer) bool { return a.Means == means && a.Step == "" }); i >= 0 {
			Write(w, &end.Answers[i])
			return
		}
	}
}
