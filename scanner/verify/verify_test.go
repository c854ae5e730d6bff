package verify_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	"github.com/keyward/keyward/scanner/verify/verifytest"
)

// a provider is a local HTTPS server that plays all of them: whatever host is asked, it
// answers what the test says.
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
	return p, &verify.Verifier{Checks: checks, Transport: transport, Pause: time.Microsecond, Timeout: 5 * time.Second, Cloud: true, Mint: true}
}

func (p *provider) set(answer func(w http.ResponseWriter, r *http.Request, body string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
	p.asked.Store(0)
}

// always answers every request alike.
func always(status int, body string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func some(t *testing.T, id string) *scanner.Rule {
	t.Helper()
	list, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(r scanner.Rule) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("there is no rule %s", id)
	}
	return &list[i]
}

func value(s string) *verify.Credential { return &verify.Credential{Value: []byte(s)} }

// TestKinds: at least 70 kinds can be checked, and every rule that a check names exists.
func TestKinds(t *testing.T) {
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if len(checks) < 70 {
		t.Errorf("%d kinds have a check, want at least 70", len(checks))
	}
	for id := range checks {
		some(t, id)
	}
	for _, id := range []string{"aws-secret-access-key", "gcp-service-account-key", "azure-entra-client-secret", "dockerhub-pat", "azure-devops-pat",
		"tailscale-auth-key", "tailscale-oauth-client-secret", "tailscale-scim-key", "tailscale-webhook-key", "xai-api-key", "pypi-token", "snyk-token",
		"scaleway-key", "zerotier-api-token", "railway-token", "harness-api-key", "flyio-token"} {
		if checks[id] == nil {
			t.Errorf("%s has no check", id)
		}
	}
}

// TestAnswers replays every documented answer of every check through the real code: it
// means what the data says, and only documented proof is inactive.
func TestAnswers(t *testing.T) {
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
	n := 0
	for id, list := range checks {
		rule := some(t, id)
		for _, c := range list {
			never := verifytest.Pick(c.Answers, verify.Inactive)
			for i := range c.Answers {
				a := &c.Answers[i]
				n++
				got := p.Replay(t.Context(), rule, c, a)
				if got.Verdict != a.Means && !(a.Means == verify.Active && never.Means == verify.Active) || !strings.Contains(got.Why, a.Why) {
					t.Errorf("%s, answer %d %q: got %s (%s), want %s", id, a.Status[0], a.Body, got.Verdict, got.Why, a.Means)
				}
			}
		}
	}
	if n < 300 {
		t.Errorf("%d answers were replayed, want at least 300", n)
	}
}

// TestUndocumented: whatever the status, an answer that is not documented is unknown. Live
// credentials get 401 and 403 for an address, a region or a scope that is not allowed.
func TestUndocumented(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for id, list := range checks {
		rule := some(t, id)
		for _, c := range list {
			bodies := slices.ContainsFunc(c.Answers, func(a verify.Answer) bool { return a.Means == verify.Inactive && a.Body != "" })
			for _, status := range []int{400, 401, 403, 404, 418, 429, 500, 503} {
				p.set(always(status, `{"error":{"code":"something_new","message":"Your address is not allowed here."},"message":"new","detail":"new"}`))
				fresh := &verify.Verifier{Checks: verify.Checks{id: {c}}, Transport: v.Transport, Pause: time.Microsecond, Cloud: true, Mint: true}
				got := fresh.Verify(t.Context(), rule, verifytest.Fake(rule, c))
				if got.Verdict == verify.Inactive && bodies {
					t.Errorf("%s: %d with a body that is not documented is called inactive: %s", id, status, got.Why)
				}
				if got.Verdict == verify.Active {
					t.Errorf("%s: everything is refused with %d, and called active: %s", id, status, got.Why)
				}
			}
		}
	}
}

// TestLiveNotDead are answers that public reports show for live credentials. Each was
// called inactive when a status alone decided.
func TestLiveNotDead(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	for _, c := range []struct {
		rule, key string
		status    int
		body      string
		sent      bool
	}{
		{"cloudflare-api-token", "cfat_0fake0fake0fake", 401, `{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}]}`, false},
		{"cloudflare-api-token", "cfk_0fake0fake0fake", 401, `{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}]}`, false},
		{"cloudflare-api-token-legacy", "0fake0fake0fake0fake0fake0fake0fake0fake", 401, `{"success":false,"errors":[{"code":1000,"message":"Invalid API Token"}]}`, true},
		{"vultr-api-key", "FAKE0FAKE0FAKE0FAKE", 401, `{"error":"Unauthorized IP address: 192.0.2.1","status":401}`, true},
		{"openai-project-key", "sk-proj-0fake0", 401, `{"error":{"message":"wrong hostname","type":"invalid_request_error","param":null,"code":"incorrect_hostname"}}`, true},
		{"slack-bot-token", "xoxb-0fake0", 200, `{"ok":false,"error":"invalid_auth"}`, true},
		{"vercel-token", "vck_0fake0", 403, `{"error":{"code":"forbidden","message":"Not authorized","invalidToken":true}}`, false},
		{"vercel-token", "vca_0fake0", 403, `{"error":{"code":"forbidden","message":"Not authorized","invalidToken":true}}`, false},
		{"vercel-token", "vcr_0fake0", 403, `{"error":{"code":"forbidden","message":"Not authorized","invalidToken":true}}`, false},
		{"linode-pat", "0fake0fake0fake0", 401, `{"errors":[{"reason":"Your OAuth token is not authorized to use this endpoint."}]}`, true},
	} {
		p.set(always(c.status, c.body))
		got := v.Verify(t.Context(), some(t, c.rule), value(c.key))
		if got.Verdict == verify.Inactive || (p.asked.Load() > 0) != c.sent {
			t.Errorf("%s %.5s, %d %s: %s (%s) after %d requests", c.rule, c.key, c.status, c.body, got.Verdict, got.Why, p.asked.Load())
		}
	}
}

// TestDeadIsProved are answers to dead credentials that were never taken for proof.
func TestDeadIsProved(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	for _, c := range []struct {
		rule, key string
		status    int
		body      string
	}{
		{"vercel-token", "vcp_0fake0", 403, `{"error":{"code":"forbidden","message":"Not authorized","invalidToken":true}}`},
		{"crates-io-token", "cio0fake0", 403, `{"errors":[{"detail":"authentication failed"}]}`},
	} {
		p.set(always(c.status, c.body))
		if got := v.Verify(t.Context(), some(t, c.rule), value(c.key)); got.Verdict != verify.Inactive {
			t.Errorf("%s: %s (%s), want inactive", c.rule, got.Verdict, got.Why)
		}
	}
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if got := checks["neon-api-key"][0].URL; got != "https://console.neon.tech/api/v2/auth" {
		t.Errorf("Neon is asked at %s", got)
	}
	if checks["equinix-metal-token"] != nil {
		t.Error("the service of Equinix Metal has ended, and its host answers 401 to all")
	}
}

const (
	deadHF  = `{"error":"Invalid credentials in Authorization header"}`
	aliveHF = `{"type":"user","name":"fake"}`
)

// TestControls: neither verdict counts unless a look-alike is answered as documented for a
// credential that was never issued.
func TestControls(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	const key = "hf_FAKEkeyward0notreal"
	rule := some(t, "huggingface-token")
	alike := func(status int, body string, others int, other string) func(http.ResponseWriter, *http.Request, string) {
		return func(w http.ResponseWriter, r *http.Request, text string) {
			if verifytest.Carries(r, text, key) {
				always(status, body)(w, r, text)
			} else {
				always(others, other)(w, r, text)
			}
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, string)
		want   verify.Verdict
		asked  int32
	}{
		"alive":                              {alike(200, aliveHF, 401, deadHF), verify.Active, 2},
		"dead":                               {alike(401, deadHF, 401, deadHF), verify.Inactive, 2},
		"everything is alive":                {always(200, aliveHF), verify.Unknown, 2},
		"dead, and the control undocumented": {alike(401, deadHF, 401, `{"error":"Access denied"}`), verify.Unknown, 2},
		"dead, and the control breaks":       {alike(401, deadHF, 500, ``), verify.Unknown, 2},
		"alive, and the control breaks":      {alike(200, aliveHF, 500, ``), verify.Unknown, 2},
		"dead for another reason":            {alike(401, deadHF, 200, aliveHF), verify.Unknown, 2},
	} {
		fresh := &verify.Verifier{Checks: v.Checks, Transport: v.Transport, Pause: time.Microsecond}
		p.set(c.answer)
		got := fresh.Verify(t.Context(), rule, value(key))
		if got.Verdict != c.want || p.asked.Load() != c.asked || strings.Contains(fmt.Sprint(got), key) {
			t.Errorf("%s: %+v after %d requests, want %s after %d", name, got, p.asked.Load(), c.want, c.asked)
		}
	}
	// A control of an inactive answer counts for an hour, so that a provider is not asked
	// about many wrong credentials; after it another one is made.
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	fresh := &verify.Verifier{Checks: v.Checks, Transport: v.Transport, Pause: time.Microsecond, Now: func() time.Time { return now }}
	p.set(always(401, deadHF))
	for i, want := range []int32{2, 3, 4, 6} {
		if i == 3 {
			now = now.Add(2 * time.Hour)
		}
		if got := fresh.Verify(t.Context(), rule, value(key)); got.Verdict != verify.Inactive || p.asked.Load() != want {
			t.Errorf("check %d: %s after %d requests, want %d", i, got.Verdict, p.asked.Load(), want)
		}
	}
}

// TestNoAnswer: without an answer nothing is known, and nothing of the credential is shown.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	const key = "hf_FAKEkeyward0notreal"
	rule := some(t, "huggingface-token")
	p.set(func(w http.ResponseWriter, r *http.Request, _ string) {
		http.Redirect(w, r, "https://evil.example/?key="+key, http.StatusFound)
	})
	if got := v.Verify(t.Context(), rule, value(key)); got.Verdict != verify.Unknown || p.asked.Load() != 1 || strings.Contains(got.Why, key) {
		t.Errorf("redirected: %+v after %d requests", got, p.asked.Load())
	}
	p.set(func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) })
	if got := v.Verify(t.Context(), rule, value(key)); got.Verdict != verify.Failed || strings.Contains(got.Why, key) {
		t.Errorf("broken off: %+v", got)
	}
	v.Timeout = 30 * time.Millisecond
	release := make(chan struct{})
	p.set(func(http.ResponseWriter, *http.Request, string) { <-release })
	if got := v.Verify(t.Context(), rule, value(key)); got.Verdict != verify.Failed || got.Why != "no answer in time" {
		t.Errorf("slow: %+v", got)
	}
	close(release)
}

// TestHosts: of several hosts one that knows the credential is enough to be alive; only if
// all refuse it, it is dead.
func TestHosts(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	rule := some(t, "meraki-api-key")
	c := v.Checks[rule.ID][0]
	const key = "00fa4e0000fa4e0000fa4e0000fa4e0000fa4e00"
	alive, dead := verifytest.Pick(c.Answers, verify.Active), verifytest.Pick(c.Answers, verify.Inactive)
	at := func(host string, broken bool) func(http.ResponseWriter, *http.Request, string) {
		return func(w http.ResponseWriter, r *http.Request, body string) {
			switch {
			case r.Host == host && broken:
				w.WriteHeader(http.StatusBadGateway)
			case r.Host == host && verifytest.Carries(r, body, key):
				verifytest.Write(w, alive)
			default:
				verifytest.Write(w, dead)
			}
		}
	}
	for _, host := range c.Hosts {
		p.set(at(host, false))
		if got := v.Verify(t.Context(), rule, value(key)); got.Verdict != verify.Active {
			t.Errorf("known at %s: %+v", host, got)
		}
		p.set(at(host, true))
		if got := v.Verify(t.Context(), rule, value(key)); got.Verdict != verify.Unknown {
			t.Errorf("no answer from %s: %+v", host, got)
		}
	}
	p.set(at("none", false))
	if got := v.Verify(t.Context(), rule, value(key)); got.Verdict != verify.Inactive || !strings.Contains(got.Why, "all 5 hosts") {
		t.Errorf("known nowhere: %+v", got)
	}
}

// TestElsewhere: a credential that may be of a company's own host is not dead because the
// provider's does not know it.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	rule := some(t, "gitlab-pat")
	dead := verifytest.Pick(v.Checks[rule.ID][0].Answers, verify.Inactive)
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) { verifytest.Write(w, dead) })
	v.Cloud = false
	if got := v.Verify(t.Context(), rule, value("glpat-FAKEkeyward0notreal")); got.Verdict != verify.Unknown || !got.Elsewhere || !strings.Contains(got.Why, "another host") {
		t.Errorf("%+v", got)
	}
	v.Cloud = true
	if got := v.Verify(t.Context(), rule, value("glpat-FAKEkeyward0notreal")); got.Verdict != verify.Inactive {
		t.Errorf("of the cloud: %+v", got)
	}
}

// TestRateLimit: a host that asks to wait is left alone, and that is no verdict.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Retry-After", "999999999")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	v.Now = func() time.Time { return now }
	rule := some(t, "huggingface-token")
	for i, want := range []int32{1, 1, 2} {
		if i == 2 {
			now = now.Add(61 * time.Minute) // however long it asks for
		}
		if got := v.Verify(t.Context(), rule, value("hf_0fake0")); got.Verdict != verify.Unknown || p.asked.Load() != want || got.Sent != (i != 1) {
			t.Errorf("check %d: %+v after %d requests, want %d", i, got, p.asked.Load(), want)
		}
	}
}

// TestOneAtATime: however many ask, a host sees one request at a time.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	p.set(always(401, deadHF))
	rule := some(t, "huggingface-token")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got := v.Verify(context.Background(), rule, value("hf_FAKEkeyward0notreal")); got.Verdict != verify.Inactive {
				t.Errorf("%+v", got)
			}
		})
	}
	wg.Wait()
	if p.most.Load() != 1 {
		t.Errorf("%d requests at a time", p.most.Load())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := v.Verify(ctx, rule, value("hf_FAKEkeyward0notreal")); got.Verdict != verify.Failed {
		t.Errorf("stopped: %+v", got)
	}
}

// TestNotSent: what would raise an alarm, or break a header, is not sent at all.
func TestNotSent(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	p.set(always(200, ""))
	rule := some(t, "huggingface-token")
	for _, key := range []string{"hf_canaryFAKE", "hf_a\r\nX: y", "hf_a b", `hf_"`, "", strings.Repeat("a", 5000)} {
		if got := v.Verify(t.Context(), rule, value(key)); got.Verdict != verify.Unknown || got.Sent {
			t.Errorf("%q: %+v", key, got)
		}
	}
	if got := v.Verify(t.Context(), &scanner.Rule{ID: "no-such"}, value("x")); got.Verdict != verify.Unknown {
		t.Errorf("%+v", got)
	}
	if p.asked.Load() != 0 {
		t.Errorf("%d requests", p.asked.Load())
	}
}

// TestTLS: a host whose certificate is not its own is sent nothing.
func TestTLS(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	p.set(always(200, ""))
	p.Config.ErrorLog = nil
	v.Transport.(*http.Transport).TLSClientConfig.ServerName = ""
	if got := v.Verify(t.Context(), some(t, "huggingface-token"), value("hf_FAKEkeyward0notreal")); got.Verdict != verify.Failed || !strings.Contains(got.Why, "certificate") {
		t.Errorf("%+v", got)
	}
	if p.asked.Load() != 0 {
		t.Error("the credential was sent")
	}
}

// TestAgent: a request names the program, and the installation by its token.
func TestAgent(t *testing.T) {
	t.Parallel()
	p, v := newProvider(t)
	v.Version = "1.2.3"
	var agents []string
	p.set(func(w http.ResponseWriter, r *http.Request, body string) {
		agents = append(agents, r.UserAgent())
		always(401, deadHF)(w, r, body)
	})
	cred := value("hf_FAKEkeyward0notreal")
	v.Verify(t.Context(), some(t, "huggingface-token"), cred)
	cred.Token = "0123456789abcdef"
	v.Verify(t.Context(), some(t, "huggingface-token"), cred)
	if want := "keyward-verify/1.2.3"; agents[0] != want || agents[len(agents)-1] != want+" (0123456789abcdef)" {
		t.Errorf("user agents %q", agents)
	}
}

// TestChecksAreRefused: a check that would leak or change something, or that would call a
// credential dead by a status alone although a body is documented, is not loaded.
func TestChecksAreRefused(t *testing.T) {
	t.Parallel()
	good := "[[check]]\nrules = [\"a\"]\nurl = \"https://x.example/y\"\nheaders = {A = \"{key}\"}\ndocs = \"https://x.example\"\n" +
		"[[check.answer]]\nstatus = [200]\nmeans = \"active\"\nwhy = \"w\"\nsource = \"https://x.example\"\nbody = ''\n" +
		"[[check.answer]]\nstatus = [401]\nfield = \"e\"\nis = [\"f\"]\nmeans = \"inactive\"\nwhy = \"w\"\nsource = \"https://x.example\"\nbody = '{\"e\":\"f\"}'\n"
	if _, err := verify.Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	bare := "[[check.answer]]\nstatus = [403]\nmeans = \"inactive\"\nwhy = \"w\"\nsource = \"https://x.example\"\nbody = ''\n"
	for _, change := range [][2]string{
		{"https://x.example/y", "http://x.example/y"}, {"https://x.example/y", "https://x.example/?k={key}"}, {"https://x.example/y", "https://u@x.example/"},
		{"https://x.example/y", "https://{host}/y"}, {`"{key}"`, `"none"`}, {`"{key}"`, `"{key} {key}"`}, {"docs =", "method = \"DELETE\"\ndocs ="},
		{"docs = \"https://x.example\"\n", ""}, {"rules", "rulez"}, {`["a"]`, `["a", "a"]`}, {"docs =", "needs = [\"id\"]\ndocs ="}, {"docs =", "sign = \"none\"\ndocs ="},
		{`means = "active"`, `means = "unknown"`}, {`means = "inactive"`, `means = "dead"`}, {`"f"}'`, `"g"}'`}, {"field = \"e\"\n", ""}, {"is = [\"f\"]\n", ""},
		{`source = "https://x.example"`, `source = "somewhere"`}, {"status = [401]", "status = []"}, {good[len(good)-1:], "\n" + bare},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if change[1] == "\n"+bare {
			text = good + bare
		}
		if _, err := verify.Parse([]byte(text)); err == nil {
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
	if got := moved["github-pat-classic"][0].URL; got != "https://github.example.com/api/v3/user" {
		t.Errorf("a token goes to %s", got)
	}
	if len(moved) != len(checks) || checks["github-pat-classic"][0].Host() != "api.github.com" {
		t.Error("other checks changed")
	}
	own.Scheme = "http"
	for rule, list := range verify.Moved(checks, "api.github.com", own) {
		for _, c := range list {
			if c.Host() == "api.github.com" || strings.HasPrefix(c.URL, "http:") {
				t.Errorf("%s goes to %s", rule, c.URL)
			}
		}
	}
}

// TestPrefixes: of a rule with tokens of several kinds, only those are sent that the
// provider's answer means something for.
func TestPrefixes(t *testing.T) {
	p, v := newProvider(t)
	rule := &scanner.Rule{ID: "github-app-tokens"}
	dead := verifytest.Pick(v.Checks[rule.ID][0].Answers, verify.Inactive)
	p.set(func(w http.ResponseWriter, _ *http.Request, _ string) { verifytest.Write(w, dead) })
	for key, want := range map[string]verify.Verdict{"gho_FAKEkeyward0notreal": verify.Inactive, "ghr_FAKEkeyward0notreal": verify.Unknown} {
		p.asked.Store(0)
		if r := v.Verify(t.Context(), rule, value(key)); r.Verdict != want || (p.asked.Load() > 0) != (want == verify.Inactive) {
			t.Errorf("%.4s: %s after %d requests, want %s", key, r.Verdict, p.asked.Load(), want)
		}
	}
}
