// Package verifytest plays the providers of keys: a local HTTPS server that knows which
// keys are alive, and answers the checks of package verify as the providers document it.
// Whatever host is asked, it is this one that answers; no request leaves the machine.
package verifytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/keyward/keyward/scanner/verify"
)

// A Provider plays all providers, until it is closed. It is safe for concurrent use.
type Provider struct {
	server    *httptest.Server
	transport *http.Transport
	checks    map[string]*verify.Check
	ends      map[string]*verify.Revocation

	mu     sync.Mutex
	alive  []string
	asked  []string
	answer http.HandlerFunc
}

// New starts a Provider that knows no key.
func New() (*Provider, error) {
	p := &Provider{}
	var err error
	if p.checks, err = verify.Builtin(); err != nil {
		return nil, err
	}
	if p.ends, err = verify.Revocations(); err != nil {
		return nil, err
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

// Issue makes a key be alive.
func (p *Provider) Issue(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive = append(p.alive, key)
}

// Revoke makes a key be dead.
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
// nothing of the keys.
func (p *Provider) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// ServeHTTP answers a check.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, "the request breaks off", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" https://"+r.Host+r.URL.Path)
	alive, answer := p.has(r, string(body)), p.answer
	p.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if end := p.end(r); end != nil {
		p.revoke(w, r, end, string(body), alive)
		return
	}
	c := p.check(r)
	if c == nil {
		http.NotFound(w, r)
		return
	}
	status, told := 0, map[string]any{}
	switch {
	case alive:
		status = c.Active[0]
		if f := c.Field; f.Name != "" {
			put(told, f.Name, value(f.Active[0]))
		}
		for _, at := range c.Facts {
			put(told, at, "of-the-stand-in")
		}
	case len(c.Inactive) > 0:
		status = c.Inactive[0]
	case len(c.Reason.Inactive) > 0:
		status = c.Active[0]
		put(told, c.Reason.Name, c.Reason.Inactive[0])
	default:
		status = c.Active[0]
		put(told, c.Field.Name, value(c.Field.Inactive[0]))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(told) // the other side has gone
}

// has reports whether a request carries a key that is alive.
func (p *Provider) has(r *http.Request, body string) bool {
	return slices.ContainsFunc(p.alive, func(key string) bool { return carries(r, body, key) })
}

// carries reports whether a request has a key in a header or its body.
func carries(r *http.Request, body, key string) bool {
	for _, values := range r.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, key) }) {
			return true
		}
	}
	return strings.Contains(body, key)
}

// end returns the revocation that makes such requests.
func (p *Provider) end(r *http.Request) *verify.Revocation {
	for _, e := range p.ends {
		if e.Request() == r.Method+" https://"+r.Host+r.URL.RequestURI() {
			return e
		}
	}
	return nil
}

// revoke ends the key that a request carries.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request, end *verify.Revocation, body string, alive bool) {
	if !alive {
		http.Error(w, "{}", http.StatusUnauthorized)
		return
	}
	p.mu.Lock()
	p.alive = slices.DeleteFunc(p.alive, func(key string) bool { return carries(r, body, key) })
	p.mu.Unlock()
	told := map[string]any{}
	if f := end.Field; f.Name != "" {
		put(told, f.Name, value(f.Active[0]))
	}
	w.WriteHeader(end.Done[0])
	if end.Done[0] != http.StatusNoContent {
		_ = json.NewEncoder(w).Encode(told) // the other side has gone
	}
}

// check returns the check that makes such requests.
func (p *Provider) check(r *http.Request) *verify.Check {
	for _, c := range p.checks {
		if c.Request() == r.Method+" https://"+r.Host+r.URL.RequestURI() {
			return c
		}
	}
	return nil
}

// value is a word as JSON has it.
func value(word string) any {
	switch word {
	case "true":
		return true
	case "false":
		return false
	}
	return word
}

// put sets a value in an object, at names with dots between them. What stands in the way
// stays.
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
		if in[name] != nil {
			return
		}
		next = map[string]any{}
		in[name] = next
	}
	put(next, rest, v)
}
