package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// host is a name that no DNS knows: only the proxy leads there.
const host = "github.keyward.invalid"

// TestProxyAndPrivateCA runs the App behind an outbound proxy, with a GitHub Enterprise
// Server whose certificate is of a private CA. The settings are those that docs/operations.md
// and the deployment examples name. The API and git both have to use them.
func TestProxyAndPrivateCA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gh, err := githubtest.New(githubtest.Options{Dir: mkdir(t, dir, "github")})
	if err != nil {
		t.Fatal(err)
	}
	defer gh.Close()
	gh.AddOrg("acme")
	if _, err := gh.AddRepo("acme", "widgets", githubtest.Repo{}); err != nil {
		t.Fatal(err)
	}
	secure := serveTLS(t, gh.URL, filepath.Join(mkdir(t, dir, "ca"), "ca.crt"))
	proxy := &connectProxy{to: secure.Listener.Addr().String(), seen: map[string]bool{}}
	proxied := httptest.NewServer(proxy)
	defer proxied.Close()
	address := freeAddress(t)
	log := startApp(t, dir, map[string]string{
		"KEYWARD_GITHUB_URL": "https://" + host, "KEYWARD_GITHUB_APP_ID": fmt.Sprint(gh.AppID()), "KEYWARD_GITHUB_APP_PRIVATE_KEY": string(gh.AppKeyPEM()),
		"KEYWARD_GITHUB_WEBHOOK_SECRET": "fake-webhook-secret", "KEYWARD_PEPPER": "fake-pepper-of-a-test", "KEYWARD_DATA": filepath.Join(dir, "app"),
		"KEYWARD_LISTEN": address, "KEYWARD_METRICS_LISTEN": "none", "HTTPS_PROXY": proxied.URL, "NO_PROXY": "localhost,127.0.0.1",
		"SSL_CERT_FILE": filepath.Join(dir, "ca/ca.crt"), "GIT_SSL_CAINFO": filepath.Join(dir, "ca/ca.crt"),
	})
	eventually(t, log, "the App is ready", func() bool {
		res, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close() // the status is enough
		return res.StatusCode == http.StatusOK
	})
	gh.Webhook("http://"+address+"/webhook", "fake-webhook-secret")
	push(t, dir, gh.CloneURL("acme", "widgets"))
	eventually(t, log, "the push is scanned", func() bool {
		for _, c := range gh.Checks("acme", "widgets") {
			if c.Status == "completed" && c.Conclusion == "success" {
				return true
			}
		}
		return false
	})
	for _, agent := range []string{"Go-http-client", "git/"} {
		if !proxy.saw(agent) {
			t.Errorf("no connection by %s went through the proxy", agent)
		}
	}
}

// A connectProxy tunnels every connection to one address.
type connectProxy struct {
	to   string
	mu   sync.Mutex
	seen map[string]bool // user agents
}

func (p *connectProxy) saw(agent string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for have := range p.seen {
		if strings.HasPrefix(have, agent) {
			return true
		}
	}
	return false
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Host != host+":443" {
		http.Error(w, "not a connection to "+host, http.StatusForbidden)
		return
	}
	p.mu.Lock()
	p.seen[r.UserAgent()] = true
	p.mu.Unlock()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = server.Close() // the first error says more
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n") // a broken connection ends the copies
	var copies sync.WaitGroup
	copies.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
	copies.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
	copies.Wait()
}

// serveTLS serves what is at an address under the name host, with a certificate of a new
// CA, which it writes to a file.
func serveTLS(t *testing.T, address, file string) *httptest.Server {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Fake CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, DNSNames: []string{host}}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// startApp builds the App and runs it until the test ends. It returns the App's log.
func startApp(t *testing.T, dir string, env map[string]string) *logged {
	t.Helper()
	binary := filepath.Join(dir, "keyward-app")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	log := &logged{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() }) // it was killed
	return log
}

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func eventually(t *testing.T, log fmt.Stringer, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timeout: expected that %s\n%s", what, log)
		}
	}
}

// push pushes one commit to main.
func push(t *testing.T, dir, to string) {
	t.Helper()
	clone := mkdir(t, dir, "clone")
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"-c", "user.name=Dana Dev", "-c", "user.email=dana@users.example", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "Start"},
		{"push", "-q", to, "main"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Env = clone, append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
}

func mkdir(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// freeAddress returns an address of this machine that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // the App listens there next
	return l.Addr().String()
}
