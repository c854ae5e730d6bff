package server_test

import (
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDoctorCauses prints the cause and the next step of each check that fails.
func TestDoctorCauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.gh.Grant(map[string]string{"members": "read", "merge_queues": "read"})
	strange := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(strange.Close)
	strange.Config.ErrorLog = log.New(io.Discard, "", 0)
	nobody := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nobody.Close)
	file := filepath.Join(w.dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"nobody there":   {map[string]string{"KEYWARD_GITHUB_URL": "http://127.0.0.1:1"}, []string{"WRONG GitHub         no sign-in at http://127.0.0.1:1/api/v3/: ", "connection refused", "check KEYWARD_GITHUB_API_URL, the firewall, and the proxy"}},
		"certificate":    {map[string]string{"KEYWARD_GITHUB_URL": strange.URL}, []string{"WRONG GitHub", "certificate signed by unknown authority", "set SSL_CERT_FILE"}},
		"another server": {map[string]string{"KEYWARD_GITHUB_URL": nobody.URL}, []string{"WRONG GitHub", "knows no App with id", "GitHub answered 404", "check KEYWARD_GITHUB_APP_ID"}},
		"no database":    {map[string]string{"KEYWARD_DATABASE_URL": "postgres://u:fake-password-1@127.0.0.1:1/x?connect_timeout=1"}, []string{"WRONG database       postgres://u:xxxxx@127.0.0.1:1/x", "connection refused", "KEYWARD_DATABASE_URL"}},
		"no certificate": {map[string]string{"KEYWARD_TLS_CERT_FILE": file, "KEYWARD_TLS_KEY_FILE": file}, []string{"WRONG certificate", "failed to find any PEM data", "KEYWARD_TLS_CERT_FILE has to hold"}},
		"no directory":   {map[string]string{"KEYWARD_DATABASE_URL": file + "/keyward.db"}, []string{"WRONG disk", "WRONG database", "not a directory"}},
	} {
		env := maps.Clone(w.env)
		maps.Copy(env, tt.env)
		out, errs, code := run(t, env, "doctor")
		if code != 2 || !strings.Contains(errs, "at least one check failed") || strings.Contains(out+errs, "fake-password") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: want %q\n%s", name, want, out)
			}
		}
		steps(t, name, out)
	}

	// A webhook that refuses deliveries, and one that nobody reaches.
	refuses := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) { res.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(refuses.Close)
	c := w.clone("widgets")
	for url, want := range map[string]string{refuses.URL + "/webhook": "next: 401: the webhook secret on GitHub differs from KEYWARD_GITHUB_WEBHOOK_SECRET", "http://127.0.0.1:1/webhook": "next: GitHub did not reach the server"} {
		w.gh.Webhook(url, webhookSecret)
		c.commit(url, "x", url+"\n")
		c.push()
		flush(t, w)
		out, _, code := run(t, w.env, "doctor")
		if code != 2 || !strings.Contains(out, "WRONG deliveries") || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, want %q\n%s", url, code, want, out)
		}
		steps(t, url, out)
	}

	w.gh.Grant(map[string]string{"members": ""})
	out, _, _ := run(t, w.env, "doctor")
	for _, want := range []string{"WRONG permissions    the App lacks members: read\n", "/permissions; then an owner of each organisation has to accept", "WRONG installations  acme has not accepted members: read\n", "/organizations/acme/settings/installations/"} {
		if !strings.Contains(out, want) {
			t.Errorf("without a permission: want %q\n%s", want, out)
		}
	}
	steps(t, "without a permission", out)
}

// TestDoctorWithoutGit does not run in parallel: it changes PATH.
func TestDoctorWithoutGit(t *testing.T) {
	w := newWorld(t, "")
	t.Setenv("PATH", t.TempDir())
	out, _, code := run(t, w.env, "doctor")
	if code != 2 || !strings.Contains(out, "WRONG git            git --version failed: ") || !strings.Contains(out, "executable file not found") || !strings.Contains(out, "next: install git 2.31 or later") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// steps fails on a check that failed without a next step.
func steps(t *testing.T, name, out string) {
	t.Helper()
	lines := strings.Split(out, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "WRONG ") && !strings.Contains(lines[i+1], " next: ") {
			t.Errorf("%s: no next step after %q\n%s", name, line, out)
		}
	}
}
