package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
)

//go:embed setup.html
var setupPage string

// A wizard creates the App on GitHub by its manifest flow, from a page on this machine, and
// stores the credentials that GitHub gives. Other users and other pages of the browser reach
// the same port: only who has seen the terminal knows the token in the page's address.
type wizard struct {
	cfg    *Config
	client *gh.Client
	token  string // is in the page's address: without it there is no page
	state  string // what GitHub has to send back, made of token: nobody else's App is taken for ours
	host   string // of the page; requests for another name come from somebody else's page
	page   *template.Template
	done   chan error
	once   sync.Once
	mu     sync.Mutex
	made   bool // the App exists: token and state are worth nothing any more
}

func newSetup(env *Env) *cobra.Command {
	var listen string
	var force bool
	c := &cobra.Command{
		Use: "setup", Short: "Create the App on GitHub, from a page on this machine", Args: cobra.NoArgs,
		Long: `Setup serves a page on this machine, at an address with a one-time token. There you choose
the App's permissions and the address of its webhook. GitHub then creates the App, and setup
stores its credentials in the data directory, in files that only you can read.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := env.config(c.Context(), false)
			if err != nil {
				return err
			}
			if !force {
				for _, name := range []string{configName, keyName} {
					if _, err := os.Stat(filepath.Join(cfg.DataDir, name)); err == nil {
						return hint(fmt.Errorf("%s already exists", filepath.Join(cfg.DataDir, name)), "--force creates another App and keeps the old file under another name")
					}
				}
			}
			return env.setup(c.Context(), cfg, listen)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:3000", "address of the page, on this machine")
	c.Flags().BoolVar(&force, "force", false, "create another App although one exists")
	return c
}

const keyName = "keyward-app.pem"

func (env *Env) setup(ctx context.Context, cfg *Config, listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return hint(fmt.Errorf("--listen %s: expected an address that only this machine can reach", listen), "use 127.0.0.1:3000, through an SSH tunnel from another machine: the page can create and take over the App")
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return hint(fmt.Errorf("serve the setup page: %w", err), "--listen sets another address")
	}
	client := gh.NewClient(&http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
	client.BaseURL = cfg.api
	w := &wizard{cfg: cfg, client: client, token: random(), host: l.Addr().String(), done: make(chan error, 1)}
	w.state = stateOf(w.token)
	if w.page, err = template.New("setup").Parse(setupPage); err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- closed(srv.Serve(l)) }()
	_, _ = fmt.Fprintf(env.Stdout, "Open http://%s%s in a browser on this machine. The address works once.\n", w.host, w.path("")) // the page works without
	select {
	case err = <-w.done:
	case <-ctx.Done():
		err = errors.New("interrupted: no App was created, or its credentials were not stored")
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err = errors.Join(err, srv.Shutdown(end), <-served); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "The App's credentials are in %s.\nNext: keyward-app doctor, then keyward-app serve\n", filepath.Join(cfg.DataDir, configName))
	return err
}

func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// stateOf is what GitHub sends back with the browser. It belongs to the token, and does not
// tell it.
func stateOf(token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	_, _ = mac.Write([]byte("state")) // never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// path is the address of a step of the page.
func (w *wizard) path(step string) string { return "/" + w.token + "/" + step }

type setupView struct {
	Step         string // choose, go, done or error
	Kinds        any
	Action       string
	Manifest     string
	Error        string
	App, Install string
	GitHub       string
}

func (w *wizard) ServeHTTP(res http.ResponseWriter, r *http.Request) {
	res.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' "+w.cfg.GitHubURL+"; base-uri 'none'; frame-ancestors 'none'")
	res.Header().Set("Referrer-Policy", "no-referrer")
	res.Header().Set("Cache-Control", "no-store")
	_, port, _ := net.SplitHostPort(w.host)
	if r.Host != w.host && r.Host != "localhost:"+port {
		http.Error(res, "this page is for this machine", http.StatusForbidden)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	given, step, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	ours := same(given, w.token)
	switch {
	case w.made:
		http.NotFound(res, r)
	case ours && r.Method == http.MethodGet && step == "":
		w.show(res, http.StatusOK, setupView{Step: "choose", Kinds: kinds, Action: w.path("go")})
	case ours && r.Method == http.MethodPost && step == "go":
		w.choose(res, r)
	case r.Method == http.MethodGet && r.URL.Path == "/made" && same(r.URL.Query().Get("state"), w.state):
		w.finish(res, r)
	default:
		http.NotFound(res, r)
	}
}

// same compares a secret without telling by the time how much of it is right.
func same(given, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(secret)) == 1
}

func (w *wizard) show(res http.ResponseWriter, status int, v setupView) {
	v.GitHub = w.cfg.GitHubURL
	res.Header().Set("Content-Type", "text/html; charset=utf-8")
	res.WriteHeader(status)
	_ = w.page.Execute(res, v) // the browser has gone
}

func (w *wizard) mistake(res http.ResponseWriter, format string, args ...any) {
	w.show(res, http.StatusBadRequest, setupView{Step: "error", Action: w.path(""), Error: fmt.Sprintf(format, args...)})
}

var orgRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}$`)

// choose shows the manifest and the button that takes it to GitHub.
func (w *wizard) choose(res http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(res, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		w.mistake(res, "the form cannot be read")
		return
	}
	org, hook, name := strings.TrimSpace(r.PostForm.Get("organisation")), strings.TrimSpace(r.PostForm.Get("webhook")), strings.TrimSpace(r.PostForm.Get("name"))
	to := w.cfg.GitHubURL + "/settings/apps/new"
	if org != "" {
		if !orgRE.MatchString(org) {
			w.mistake(res, "invalid organisation %q: expected its login, such as acme", org)
			return
		}
		to = w.cfg.GitHubURL + "/organizations/" + org + "/settings/apps/new"
	}
	u, err := url.Parse(hook)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		w.mistake(res, "invalid webhook address %q: expected the address at which GitHub can reach keyward-app serve, such as https://keyward.example.com/webhook", hook)
		return
	}
	if name == "" || len(name) > 34 {
		w.mistake(res, "invalid name: expected 1 to 34 characters, unique on GitHub")
		return
	}
	m := newManifest(r.PostForm.Get("kind"), name, hook, "http://"+w.host+"/made")
	if m == nil {
		w.mistake(res, "choose the permissions of the App")
		return
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		w.mistake(res, "write the manifest: %v", err)
		return
	}
	w.show(res, http.StatusOK, setupView{Step: "go", Action: to + "?state=" + w.state, Manifest: string(text)})
}

var codeRE = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// finish takes the code that GitHub sends the browser back with, and stores what GitHub
// gives for it. Success is the end of the page.
func (w *wizard) finish(res http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("code")
	if !codeRE.MatchString(code) {
		w.mistake(res, "GitHub's answer has no valid code")
		return
	}
	app, _, err := w.client.Apps.CompleteAppManifest(r.Context(), code)
	if err != nil {
		w.mistake(res, "GitHub did not return the App's credentials (%s). Its code works once and for one hour: begin again.", cause(err))
		return
	}
	if err := w.cfg.store(app); err != nil {
		w.mistake(res, "GitHub created the App %s, but its credentials were not stored: %v. Delete the App in its settings on GitHub, then begin again.", app.GetSlug(), err)
		return
	}
	w.made = true
	w.show(res, http.StatusOK, setupView{Step: "done", App: app.GetName(), Install: app.GetHTMLURL() + "/installations/new"})
	w.once.Do(func() { w.done <- nil })
}

// store writes the credentials of a new App, and a new pepper, where serve finds them.
func (c *Config) store(app *gh.AppConfig) error {
	if app.GetID() == 0 || app.GetPEM() == "" || app.GetWebhookSecret() == "" {
		return errors.New("GitHub's answer lacks the id, the key or the secret")
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return err
	}
	out := map[string]any{"app-id": app.GetID(), "private-key-file": keyName, "webhook-secrets": []string{app.GetWebhookSecret()}}
	before := len(out)
	if err := c.pepperSource().keep(out, "pepper"); err != nil {
		return err
	}
	if len(out) == before {
		out["pepper"] = random()
	}
	if err := c.oldPeppersSource().keep(out, "old-peppers"); err != nil {
		return err
	}
	if c.GitHubURL != "https://github.com" {
		out["github-url"], out["github-api-url"] = c.GitHubURL, c.GitHubAPI
	}
	data, err := toml.Marshal(out)
	if err != nil {
		return err
	}
	head := "# The credentials of the App " + app.GetSlug() + ". Who has them can act as it: keep this file to yourself.\n"
	if err := writeSecret(filepath.Join(c.DataDir, keyName), []byte(app.GetPEM())); err != nil {
		return err
	}
	return writeSecret(filepath.Join(c.DataDir, configName), append([]byte(head), data...))
}

// writeSecret writes a file that only its owner can read, whole or not at all. One that
// is there is kept under another name.
func writeSecret(name string, data []byte) error {
	if _, err := os.Stat(name); err == nil {
		if err := os.Rename(name, name+"."+time.Now().UTC().Format("20060102150405")); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".keyward-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), name)
}
