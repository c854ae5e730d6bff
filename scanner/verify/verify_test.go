package verify_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/rules"
	"github.com/keyward/keyward/scanner/verify"
)

// a provider is a local HTTPS server that plays all of them: whatever host is asked, this
// is who answers.
type provider struct {
	*httptest.Server
	asked  atomic.Int32
	at     atomic.Int32 // requests that are being answered
	most   atomic.Int32
	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request, body string)
}

func newProvider(t *testing.T) (*provider, *verify.Verifier) {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.most.Store(max(p.most.Load(), p.at.Add(1)))
		defer p.at.Add(-1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		answer := p.answer
		p.mu.Unlock()
		answer(w, r, string(body))
	}))
	t.Cleanup(p.Close)
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", p.Listener.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return p, &verify.Verifier{Checks: checks, Transport: transport, Pause: time.Microsecond, Timeout: 300 * time.Millisecond, Cloud: true}
}

func (p *provider) set(answer func(w http.ResponseWriter, r *http.Request, body string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
	p.asked.Store(0)
}

// rulesWithChecks returns the rules that have a check, and a fake key of each.
func rulesWithChecks(t *testing.T) map[*scanner.Rule]string {
	t.Helper()
	list, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	out := map[*scanner.Rule]string{}
	known := map[string]bool{}
	for i := range list {
		r := &list[i]
		known[r.ID] = true
		if checks[r.ID] == nil {
			continue
		}
		word := ""
		if len(r.Keywords) > 0 {
			word = r.Keywords[0]
		}
		out[r] = word + "FAKEkeyward0not0real" + r.ID
	}
	for id := range checks {
		if !known[id] {
			t.Errorf("there is no rule %s", id)
		}
	}
	if len(out) < 40 {
		t.Errorf("%d kinds have a check, want at least 40", len(out))
	}
	return out
}

// holds reports whether a request has a text in a header or its body.
func holds(r *http.Request, body, text string) bool {
	for _, values := range r.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
			return true
		}
	}
	return strings.Contains(body, text)
}

// object makes a JSON object with a value at a place.
func object(place string, v any) string {
	names := strings.Split(place, ".")
	slices.Reverse(names)
	for _, name := range names {
		v = map[string]any{name: v}
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func typed(s string) any {
	if s == "true" || s == "false" {
		return s == "true"
	}
	return s
}

// TestKinds plays the provider of every kind: as it answers for a key that is alive, one
// that is dead, when it has enough, when it is broken, slow or hostile.
func TestKinds(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	ctx := context.Background()
	for rule, key := range rulesWithChecks(t) {
		v.Timeout = 5 * time.Second
		c := v.Checks[rule.ID]
		alive := func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.Active[0])
			if c.Field.Name != "" {
				_, _ = io.WriteString(w, object(c.Field.Name, typed(c.Field.Active[0])))
			} else {
				for _, place := range c.Facts {
					_, _ = io.WriteString(w, object(place, "a value"))
					break
				}
			}
		}
		dead := func(w http.ResponseWriter) {
			if len(c.Inactive) > 0 {
				w.WriteHeader(c.Inactive[0])
				return
			}
			_, _ = io.WriteString(w, object(c.Reason.Name, c.Reason.Inactive[0]))
		}
		want := func(what string, verdict verify.Verdict, asked int32) verify.Result {
			t.Helper()
			got := v.Verify(ctx, rule, []byte(key))
			if got.Verdict != verdict || p.asked.Load() != asked || strings.Contains(fmt.Sprint(got), key) || got.Request != c.Request() {
				t.Errorf("%s, %s: %+v after %d requests, want %s after %d", rule.ID, what, got, p.asked.Load(), verdict, asked)
			}
			return got
		}
		p.set(func(w http.ResponseWriter, r *http.Request, body string) {
			if r.Host != c.Host() || strings.Contains(r.RequestURI, key) || !strings.HasSuffix(c.URL, r.RequestURI) {
				t.Errorf("%s: asked %s for %s", rule.ID, r.Host, r.RequestURI)
			}
			if holds(r, body, key) {
				alive(w)
			} else {
				dead(w)
			}
		})
		got := want("alive", verify.Active, 2)
		if c.Field.Name == "" && len(c.Facts) > 0 && len(got.Facts) == 0 {
			t.Errorf("%s: no facts are kept", rule.ID)
		}
		p.set(func(w http.ResponseWriter, r *http.Request, body string) { dead(w) })
		want("dead", verify.Inactive, 1)
		p.set(func(w http.ResponseWriter, r *http.Request, body string) { alive(w) })
		want("everything is alive", verify.Unknown, 2)
		for _, status := range []int{http.StatusInternalServerError, http.StatusTeapot, http.StatusNotFound} {
			p.set(func(w http.ResponseWriter, r *http.Request, body string) { w.WriteHeader(status) })
			want(fmt.Sprint(status), verify.Unknown, 1)
		}
		p.set(func(w http.ResponseWriter, r *http.Request, body string) {
			http.Redirect(w, r, "https://evil.example/?key="+key, http.StatusFound)
		})
		want("redirected", verify.Unknown, 1)
		p.set(func(w http.ResponseWriter, r *http.Request, body string) { panic(http.ErrAbortHandler) })
		if got := v.Verify(ctx, rule, []byte(key)); got.Verdict != verify.Failed || strings.Contains(got.Why, key) {
			t.Errorf("%s, broken off: %+v", rule.ID, got)
		}
		v.Timeout = 30 * time.Millisecond
		p.set(func(http.ResponseWriter, *http.Request, string) { time.Sleep(60 * time.Millisecond) })
		if got := v.Verify(ctx, rule, []byte(key)); got.Verdict != verify.Failed || got.Why != "no answer in time" {
			t.Errorf("%s, slow: %+v", rule.ID, got)
		}
	}
}

func some(t *testing.T, id string) *scanner.Rule {
	t.Helper()
	for r := range rulesWithChecks(t) {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no check of %s", id)
	return nil
}

// TestElsewhere: a key that may be of a company's own host is not dead because the
// provider's does not know it.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	v.Cloud = false
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(http.StatusUnauthorized) })
	if got := v.Verify(context.Background(), some(t, "gitlab-pat"), []byte("glpat-FAKEkeyward0notreal")); got.Verdict != verify.Unknown || !strings.Contains(got.Why, "another host") {
		t.Errorf("%+v", got)
	}
}

// TestRateLimit: a host that has enough is left alone, and that is no verdict.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Retry-After", "3000")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	rule := some(t, "digitalocean-pat")
	for range 3 {
		if got := v.Verify(context.Background(), rule, []byte("dop_v1_0fake0")); got.Verdict != verify.Unknown {
			t.Errorf("%+v", got)
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestOneAtATime: however many ask, a host sees one request at a time.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	v.Timeout = 5 * time.Second
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) {
		time.Sleep(2 * time.Millisecond)
		w.WriteHeader(http.StatusUnauthorized)
	})
	rule := some(t, "npm-access-token")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got := v.Verify(context.Background(), rule, []byte("npm_FAKEkeyward0notreal")); got.Verdict != verify.Inactive {
				t.Errorf("%+v", got)
			}
		})
	}
	wg.Wait()
	if p.most.Load() != 1 || p.asked.Load() != 20 {
		t.Errorf("%d requests, %d at a time", p.asked.Load(), p.most.Load())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := v.Verify(ctx, rule, []byte("npm_FAKEkeyward0notreal")); got.Verdict != verify.Failed {
		t.Errorf("stopped: %+v", got)
	}
}

// TestNotSent: what would raise an alarm, or break a header, is not sent at all.
func TestNotSent(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) {})
	rule := some(t, "npm-access-token")
	for _, key := range []string{"npm_canaryFAKE", "npm_a\r\nX: y", "npm_a b", `npm_"`, "", strings.Repeat("a", 5000)} {
		if got := v.Verify(context.Background(), rule, []byte(key)); got.Verdict != verify.Unknown {
			t.Errorf("%q: %+v", key, got)
		}
	}
	if got := v.Verify(context.Background(), &scanner.Rule{ID: "no-such"}, []byte("x")); got.Verdict != verify.Unknown {
		t.Errorf("%+v", got)
	}
	if p.asked.Load() != 0 {
		t.Errorf("%d requests", p.asked.Load())
	}
}

// TestTLS: a host whose certificate is not its own is not told anything.
func TestTLS(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) {})
	p.Config.ErrorLog = nil
	v.Transport.(*http.Transport).TLSClientConfig.ServerName = ""
	if got := v.Verify(context.Background(), some(t, "npm-access-token"), []byte("npm_FAKEkeyward0notreal")); got.Verdict != verify.Failed || !strings.Contains(got.Why, "certificate") {
		t.Errorf("%+v", got)
	}
	if p.asked.Load() != 0 {
		t.Error("the key was sent")
	}
}

// TestChecksAreRefused: a check that would leak or change something is none.
func TestChecksAreRefused(t *testing.T) {
	t.Parallel()
	good := "[[check]]\nrules = [\"a\"]\nurl = \"https://x.example/y\"\nheaders = {A = \"{key}\"}\nactive = [200]\ninactive = [401]\ndocs = \"https://x.example\"\n"
	if _, err := verify.Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"https://x.example/y", "http://x.example/y"}, {"https://x.example/y", "https://x.example/?k={key}"}, {"https://x.example/y", "https://u@x.example/"},
		{`"{key}"`, `"none"`}, {`"{key}"`, `"{key} {key}"`}, {"active = [200]\n", "active = [200]\nmethod = \"DELETE\"\n"}, {"inactive = [401]\n", ""}, {"active = [200]\n", ""},
		{"docs = \"https://x.example\"\n", ""}, {"rules", "rulez"}, {`["a"]`, `["a", "a"]`},
	} {
		if _, err := verify.Parse([]byte(strings.Replace(good, change[0], change[1], 1))); err == nil {
			t.Errorf("%s instead of %s was taken", change[1], change[0])
		}
	}
}

// TestMoved: what is for GitHub goes to an Enterprise Server instead, or nowhere.
func TestMoved(t *testing.T) {
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	own, _ := url.Parse("https://github.example.com/api/v3/")
	moved := verify.Moved(checks, "api.github.com", own)
	if got := moved["github-pat-classic"].URL; got != "https://github.example.com/api/v3/user" {
		t.Errorf("a token goes to %s", got)
	}
	if len(moved) != len(checks) || checks["github-pat-classic"].Host() != "api.github.com" {
		t.Error("other checks changed")
	}
	own.Scheme = "http"
	for rule, c := range verify.Moved(checks, "api.github.com", own) {
		if c.Host() == "api.github.com" || strings.HasPrefix(c.URL, "http:") {
			t.Errorf("%s goes to %s", rule, c.URL)
		}
	}
}

// TestPrefixes: of a rule with tokens of several kinds, only those are sent that the
// provider's answer means something for.
func TestPrefixes(t *testing.T) {
	p, v := newProvider(t)
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(http.StatusUnauthorized) })
	rule := &scanner.Rule{ID: "github-app-tokens"}
	ways, err := verify.Revocations()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]verify.Verdict{"gho_FAKEkeyward0notreal": verify.Inactive, "ghr_FAKEkeyward0notreal": verify.Unknown, "ghs_FAKEkeyward0notreal": verify.Unknown} {
		p.asked.Store(0)
		if r := v.Verify(t.Context(), rule, []byte(key)); r.Verdict != want || (p.asked.Load() > 0) != (want == verify.Inactive) {
			t.Errorf("%.4s: %s after %d requests, want %s", key, r.Verdict, p.asked.Load(), want)
		}
	}
	p.asked.Store(0)
	if _, err := v.Revoke(t.Context(), ways["github-app-tokens"], []byte("ghs_FAKEkeyward0notreal")); err == nil || p.asked.Load() > 0 {
		t.Errorf("an installation's token: %v after %d requests, want none", err, p.asked.Load())
	}
	v.Cloud = false
	if r := v.Verify(t.Context(), rule, []byte("gho_FAKEkeyward0notreal")); r.Verdict != verify.Unknown || !r.Elsewhere {
		t.Errorf("of an unknown host: %+v", r)
	}
}
