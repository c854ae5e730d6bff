package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
	"github.com/keyward/keyward/app/server"
)

// run runs the command, and returns what it wrote and its exit code.
func run(t *testing.T, env map[string]string, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code = server.Main(ctx, server.Env{Args: args, Stdout: &stdout, Stderr: &stderr, Getenv: getenv(env), Environ: environ(env)})
	return stdout.String(), stderr.String(), code
}

// TestConfiguration has every mistake told at once, with no value that is secret.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{
		"KEYWARD_DATA": dir, "KEYWARD_GITHUB_APP_ID": "x", "KEYWARD_GITHUB_APP_PRIVATE_KEY": "not-a-key-but-secret", "KEYWARD_GITHUB_WEBHOOK_SECRET": "short", "KEYWARD_PEPPER": "tiny",
		"KEYWARD_GITHUB_URL": "ftp://x", "KEYWARD_LISTEN": "nowhere", "KEYWARD_LOG_LEVEL": "loud", "KEYWARD_MAX_FILE_MB": "-1", "KEYWARD_DRAIN": "soon", "KEYWARD_WORKERS": "many", "KEYWARD_TLS_CERT_FILE": "a", "KEYWARD_TRACKER": "a/b/c",
		"KEYWARD_PUBLIC_ISSUES": "perhaps",
	}
	_, errs, code := run(t, env, "serve")
	if code != 2 {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"KEYWARD_GITHUB_APP_ID", "PRIVATE_KEY", "KEYWARD_GITHUB_WEBHOOK_SECRET", "KEYWARD_PEPPER", "KEYWARD_GITHUB_URL", "KEYWARD_LISTEN", "KEYWARD_LOG_LEVEL", "KEYWARD_MAX_FILE_MB", "KEYWARD_DRAIN", "KEYWARD_WORKERS", "KEYWARD_TLS_CERT_FILE", "KEYWARD_TRACKER", "KEYWARD_PUBLIC_ISSUES", "hint:"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%s is not told:\n%s", want, errs)
		}
	}
	for _, secret := range []string{"not-a-key-but-secret", "short", "tiny"} {
		if strings.Contains(errs, secret) {
			t.Errorf("%q is told:\n%s", secret, errs)
		}
	}

	file := filepath.Join(dir, "keyward-app.toml")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		_ = os.Remove(file)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		text string
		mode os.FileMode
		env  map[string]string
		want string
	}{
		"open to others":  {"app-id = 1\n", 0o644, nil, "can be read or changed by others (mode 0644): run chmod 600"},
		"unknown key":     {"app-id = 1\nweb-hook = \"my-secret-value\"\n", 0o600, nil, `line 2: unknown key "web-hook"`},
		"broken":          {"pepper = \"my-secret-value\n", 0o600, nil, "line 1"},
		"plain HTTP":      {"github-url = \"http://ghe.example.com\"\n", 0o600, nil, "unencrypted"},
		"password in URL": {"", 0o600, map[string]string{"KEYWARD_DATABASE_URL": "postgres://u:my-secret-value@127.0.0.1:1/x?connect_timeout=1"}, "database"},
		"broken URL":      {"", 0o600, map[string]string{"KEYWARD_DATABASE_URL": "postgres://u:my-secret-value@%zz/x"}, "not a PostgreSQL URL"},
		"no such key":     {"private-key-file = \"nowhere.pem\"\n", 0o600, nil, "nowhere.pem"},
	} {
		write(tt.text, tt.mode)
		env := map[string]string{"KEYWARD_DATA": dir}
		for k, v := range tt.env {
			env[k] = v
		}
		args := []string{"serve"}
		if tt.env != nil {
			args = []string{"migrate"}
		}
		_, errs, code := run(t, env, args...)
		if code != 2 || !strings.Contains(errs, tt.want) || strings.Contains(errs, "my-secret-value") {
			t.Errorf("%s: exit %d, want %q:\n%s", name, code, tt.want, errs)
		}
	}
}

func TestMigrateAndOneProcess(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		out, errs, code := run(t, w.env, "migrate")
		if code != 0 || !strings.Contains(out, "001_init") {
			t.Fatalf("exit %d: %s %s", code, out, errs)
		}
		out, _, code = run(t, w.env, "migrate")
		if code != 0 || !strings.Contains(out, "nothing to do") {
			t.Errorf("again: exit %d: %s", code, out)
		}
		w.start()
		if database == "" {
			env := map[string]string{"KEYWARD_LISTEN": "127.0.0.1:0"}
			for k, v := range w.env {
				env[k] = v
			}
			if _, errs, code := run(t, env, "serve"); code != 2 || !strings.Contains(errs, "used by another process") {
				t.Errorf("a second process: exit %d: %s", code, errs)
			}
		}
	})
}

func TestDoctorAndRedeliver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	out, errs, code := run(t, w.env, "doctor")
	if code != 2 || !strings.Contains(out, "WRONG permissions    the App lacks members: read") || !strings.Contains(errs, "at least one check failed") {
		t.Errorf("without a right: exit %d\n%s%s", code, out, errs)
	}
	w.gh.Grant(map[string]string{"members": "read", "merge_queues": "read"})
	w.gh.Webhook("http://127.0.0.1:1/webhook", webhookSecret)
	c := w.clone("widgets")
	c.commit("x", "x", "y\n")
	c.push()
	flush(t, w)
	out, _, _ = run(t, w.env, "doctor")
	if !strings.Contains(out, "WRONG deliveries     1 of the last 1 failed") {
		t.Errorf("after a failed delivery:\n%s", out)
	}
	out, errs, code = run(t, w.env, "redeliver")
	if code != 0 || !strings.Contains(out, "asked for 1 deliveries again") {
		t.Errorf("redeliver: exit %d: %s%s", code, out, errs)
	}
	a := w.start()
	w.check("widgets", "Keyward (push)", w.git(c.dir, "rev-parse", "HEAD"))
	w.idle()
	a.stop()
	out, errs, code = run(t, w.env, "doctor")
	for _, want := range []string{"ok    git", "ok    database", "ok    jobs", "ok    GitHub         signed in as keyward", "ok    permissions", "ok    installations  acme"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor does not say %q: exit %d\n%s%s", want, code, out, errs)
		}
	}
	if out, _, code := run(t, w.env, "redeliver", "--dead"); code != 0 || !strings.Contains(out, "dead jobs are tried again") {
		t.Errorf("--dead: exit %d: %s", code, out)
	}
	other, err := githubtest.New(githubtest.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w.env["KEYWARD_GITHUB_APP_PRIVATE_KEY"] = string(other.AppKeyPEM())
	if out, _, code := run(t, w.env, "doctor"); code != 2 || !strings.Contains(out, "does not accept the private key") {
		t.Errorf("with another key: exit %d\n%s", code, out)
	}
}

// TestSetup goes through the page as a browser would.
func TestSetup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	data := filepath.Join(w.dir, "fresh")
	env := map[string]string{"KEYWARD_GITHUB_URL": w.gh.URL, "KEYWARD_DATA": data}
	var out, errs locked
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		ended <- server.Main(ctx, server.Env{Args: []string{"setup", "--listen", "127.0.0.1:0"}, Stdout: &out, Stderr: &errs, Getenv: getenv(env), Environ: environ(env)})
	}()
	address := regexp.MustCompile(`(http://127\.0\.0\.1:\d+)/([0-9a-f]{64})/ `)
	w.eventually(10*time.Second, "the page", func() string {
		if !address.MatchString(out.String()) {
			return "it is not served: " + out.String() + errs.String()
		}
		return ""
	})
	printed := address.FindStringSubmatch(out.String())
	root, token := printed[1], printed[2]
	page := root + "/" + token
	get := func(to string) (int, string) {
		res, err := http.Get(to)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	post := func(form url.Values) (int, string) {
		res, err := http.PostForm(page+"/go", form)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	status, body := get(page + "/")
	if status != 200 || strings.Count(body, `type="radio"`) != 3 {
		t.Fatalf("the page: %d %s", status, body)
	}
	form := url.Values{"kind": {"scan"}, "organisation": {"acme"}, "name": {"keyward-acme"}, "webhook": {"https://keyward.example.com/webhook"}}
	for field, bad := range map[string]string{"kind": "all", "organisation": "a/b", "name": "", "webhook": "javascript:alert(1)"} {
		wrong := url.Values{}
		for k, v := range form {
			wrong[k] = v
		}
		wrong.Set(field, bad)
		if status, body := post(wrong); status != 400 {
			t.Errorf("%s = %q: %d %s", field, bad, status, body)
		}
	}
	state := ""
	for kind, rights := range map[string][]string{"scan": {"contents", "read"}, "inventory": {"administration", "read"}, "enforce": {"administration", "write"}} {
		form.Set("kind", kind)
		_, body = post(form)
		text := regexp.MustCompile(`name="manifest" value="([^"]*)"`).FindStringSubmatch(body)
		if text == nil {
			t.Fatalf("no manifest: %s", body)
		}
		var m struct {
			RedirectURL string            `json:"redirect_url"`
			Permissions map[string]string `json:"default_permissions"`
			Events      []string          `json:"default_events"`
		}
		if err := json.Unmarshal([]byte(html.UnescapeString(text[1])), &m); err != nil {
			t.Fatal(err)
		}
		if m.Permissions[rights[0]] != rights[1] || m.RedirectURL != root+"/made" || !slices.Contains(m.Events, "push") {
			t.Errorf("%s: %+v", kind, m)
		}
		if m := regexp.MustCompile(`action="([^"]+)\?state=([0-9a-f]{64})"`).FindStringSubmatch(body); m == nil || m[1] != w.gh.URL+"/organizations/acme/settings/apps/new" {
			t.Errorf("the form does not go to the organisation: %s", body)
		} else if state = m[2]; state == token || strings.Contains(text[1], token) {
			t.Error("GitHub is told the token of the page")
		}
	}
	// From another page, with another name, with a wrong state, with a wrong code.
	r, _ := http.NewRequest(http.MethodGet, page+"/", nil)
	r.Host = "evil.example"
	if res, err := http.DefaultClient.Do(r); err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("another host: %v %v", res, err)
	}
	if status, _ := get(root + "/made?code=nothing&state=" + state); status != 400 {
		t.Errorf("a wrong code: %d", status)
	}
	// Without the token, or the state that is made of it, there is nothing.
	code := w.gh.ManifestCode()
	wrong := strings.Repeat("0", 64)
	for _, path := range []string{"/", "/go", "/" + wrong + "/", "/" + wrong + "/go", "/" + token, "/" + token[:63] + "/x", "/" + token + "/made?code=" + code,
		"/made", "/made?code=" + code, "/made?state=&code=" + code, "/made?state=" + wrong + "&code=" + code, "/made?state=" + token + "&code=" + code} {
		if status, body := get(root + path); path != "/"+token && status != 404 || strings.Contains(body, state) || strings.Contains(body, token) && path != "/"+token {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
	if res, err := http.PostForm(root+"/"+wrong+"/go", form); err != nil || res.StatusCode != 404 {
		t.Errorf("POST with a wrong token: %v %v", res, err)
	}
	status, body = get(root + "/made?code=" + code + "&state=" + state)
	if status != 200 || !strings.Contains(body, "GitHub created") {
		t.Fatalf("made: %d %s", status, body)
	}
	if strings.Contains(body, token) || strings.Contains(body, state) {
		t.Error("the last page shows the token")
	}
	if code := <-ended; code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, name := range []string{"keyward-app.toml", "keyward-app.pem"} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if strings.Contains(out.String()+errs.String()+body, "PRIVATE KEY") {
		t.Error("the private key is shown")
	}
	// What was stored is what serve and doctor need.
	w.gh.Grant(map[string]string{"members": "read"})
	if text, errs, _ := run(t, map[string]string{"KEYWARD_DATA": data}, "doctor"); !strings.Contains(text, "signed in as keyward") {
		t.Errorf("doctor: %s%s", text, errs)
	}
	if _, errs, code := run(t, env, "setup"); code != 2 || !strings.Contains(errs, "already exists") {
		t.Errorf("again: exit %d %s", code, errs)
	}
	if _, errs, code := run(t, env, "setup", "--force", "--listen", "0.0.0.0:3000"); code != 2 || !strings.Contains(errs, "only this machine can reach") {
		t.Errorf("for everybody: exit %d %s", code, errs)
	}
}

// TestHealth asks the server how it is, and Prometheus what it counts.
func TestHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	metrics := fmt.Sprintf("127.0.0.1:%d", port)
	w.env["KEYWARD_METRICS_LISTEN"] = metrics
	a := w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	w.idle()
	for path, want := range map[string]string{
		"http://" + a.address + "/healthz": "ok", "http://" + a.address + "/readyz": "ready",
		"http://" + metrics + "/metrics": `keyward_jobs{kind="scan",state="completed"} 1`,
	} {
		res, err := http.Get(path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %v, want %q\n%s", path, res.StatusCode, err, want, body)
		}
		_ = res.Body.Close()
	}
	if res, err := http.Get("http://" + a.address + "/metrics"); err != nil || res.StatusCode != 404 {
		t.Errorf("/metrics is open to who can reach the webhook")
	}
	for line := range strings.Lines(a.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("a line of the log is not JSON: %s", line)
		}
		if entry["msg"] == "scanned" && entry["delivery"] == nil {
			t.Errorf("a scan is logged without its delivery: %s", line)
		}
	}
}

// TestTLS serves with a certificate of its own, and with the next one once it is renewed.
func TestTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_TLS_CERT_FILE"], w.env["KEYWARD_TLS_KEY_FILE"] = filepath.Join(w.dir, "cert.pem"), filepath.Join(w.dir, "key.pem")
	pool := x509.NewCertPool()
	renew := func(serial int64, at time.Time) {
		t.Helper()
		cert, key := certificatePEM(t, serial)
		pool.AppendCertsFromPEM(cert)
		for name, data := range map[string][]byte{w.env["KEYWARD_TLS_CERT_FILE"]: cert, w.env["KEYWARD_TLS_KEY_FILE"]: key} {
			if err := errors.Join(os.WriteFile(name, data, 0o600), os.Chtimes(name, at, at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	renew(1, time.Now().Add(-time.Hour))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	a := w.prepare()
	env := w.environment(a)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- server.Main(ctx, server.Env{Args: []string{"serve"}, Stdout: io.Discard, Stderr: a.log, Getenv: getenv(env), Environ: environ(env)})
	}()
	a.stop = sync.OnceValue(func() int { cancel(); return <-ended })
	answers := func(serial int64) func() string {
		return func() string {
			res, err := client.Get("https://" + a.address + "/readyz")
			if err != nil {
				return err.Error()
			}
			defer res.Body.Close()
			if got := res.TLS.PeerCertificates[0].SerialNumber.Int64(); res.StatusCode != http.StatusOK || got != serial {
				return fmt.Sprintf("%s with certificate %d", res.Status, got)
			}
			return ""
		}
	}
	w.eventually(10*time.Second, "it answers over TLS", answers(1))
	renew(2, time.Now())
	w.eventually(10*time.Second, "it uses the new certificate", answers(2))
}

// certificatePEM makes a certificate for this machine, and its key.
func certificatePEM(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// TestDrain stops the App while a scan runs: it is not ready any more, and finishes the scan.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	a := w.spawn()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	key := w.key("gitlab-pat")
	w.gh.Fail(githubtest.Fault{Path: `git-upload-pack$`, Delay: 3 * time.Second, Times: 1})
	sha := c.commit("key", "k.env", "T="+key+"\n")
	c.push()
	time.Sleep(400 * time.Millisecond)
	ended := make(chan int, 1)
	go func() { ended <- a.stop() }()
	get := func(path string) string {
		res, err := http.Get("http://" + a.address + path)
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return fmt.Sprint(res.StatusCode, " ", strings.TrimSpace(string(text)), err)
	}
	w.eventually(10*time.Second, "it is not ready any more", func() string {
		if got := get("/readyz"); got != "503 draining<nil>" {
			return got
		}
		return ""
	})
	if got := get("/healthz"); got != "200 ok<nil>" {
		t.Errorf("/healthz while draining: %s", got)
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
	if log := a.log.String(); !strings.Contains(log, `"msg":"stopped"`) || strings.Count(log, `"msg":"scanned"`) != 2 {
		t.Errorf("it did not finish what was under way")
	}
	w.start()
	expect(t, w.check("widgets", "Keyward (push)", sha), "failure", "1 key found", "k.env:1")
	w.issues("rotation", 1)
	w.idle()
	w.once("widgets", "rotation")
}
