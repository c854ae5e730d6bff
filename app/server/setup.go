package server

import (
	"context"
	"crypto/rand"
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

	"github.com/keyward/keyward/app/github"
)

//go:embed setup.html
var setupPage string

// A wizard makes the App on GitHub by its manifest flow, from a page on this machine,
// and stores the credentials that GitHub gives.
type wizard struct {
	cfg    *Config
	client *gh.Client
	state  string // what GitHub has to send back, so that nobody else's App is taken for ours
	host   string // of the page; requests for another name come from somebody else's page
	page   *template.Template
	done   chan error
	once   sync.Once
	mu     sync.Mutex
	made   bool
}

func newSetup(env *Env) *cobra.Command {
	var listen string
	var force bool
	c := &cobra.Command{
		Use: "setup", Short: "Make the App on GitHub, from a page on this machine", Args: cobra.NoArgs,
		Long: `Setup serves a page on this machine. There you choose what the App may do and where its
webhooks go; GitHub then makes the App, and setup stores its credentials in the data
directory, in files that only you can read.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := env.config(c.Context(), false)
			if err != nil {
				return err
			}
			if !force {
				for _, name := range []string{configName, keyName} {
					if _, err := os.Stat(filepath.Join(cfg.DataDir, name)); err == nil {
						return hint(fmt.Errorf("%s is there already", filepath.Join(cfg.DataDir, name)), "--force makes a new App and takes its place; the old file is kept beside it")
					}
				}
			}
			return env.setup(c.Context(), cfg, listen)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:3000", "address of the page, on this machine")
	c.Flags().BoolVar(&force, "force", false, "make another App although there is one")
	return c
}

const keyName = "keyward-app.pem"

func (env *Env) setup(ctx context.Context, cfg *Config, listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return hint(fmt.Errorf("--listen %s is not an address of this machine only", listen), "the page hands out what can take the App over: use 127.0.0.1:3000, through an SSH tunnel if need be")
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return hint(fmt.Errorf("serve the setup page: %w", err), "--listen names another address")
	}
	client := gh.NewClient(&http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
	client.BaseURL = cfg.api
	w := &wizard{cfg: cfg, client: client, state: random(), host: l.Addr().String(), done: make(chan error, 1)}
	if w.page, err = template.New("setup").Parse(setupPage); err != nil {
		return errors.Join(err, l.Close())
	}
	srv := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- closed(srv.Serve(l)) }()
	_, _ = fmt.Fprintf(env.Stdout, "Open http://%s/ in a browser on this machine.\n", w.host) // the page works without
	select {
	case err = <-w.done:
	case <-ctx.Done():
		err = errors.New("interrupted: no App was made, or its credentials were not stored")
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

type setupView struct {
	Step          string // choose, go, done or error
	Kinds         any
	Action, State string
	Manifest      string
	Error         string
	App, Install  string
	GitHub        string
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
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/":
		w.show(res, http.StatusOK, setupView{Step: "choose", Kinds: kinds, State: w.state})
	case r.Method == http.MethodPost && r.URL.Path == "/go":
		w.choose(res, r)
	case r.Method == http.MethodGet && r.URL.Path == "/made":
		w.finish(res, r)
	default:
		http.NotFound(res, r)
	}
}

func (w *wizard) show(res http.ResponseWriter, status int, v setupView) {
	v.GitHub = w.cfg.GitHubURL
	res.Header().Set("Content-Type", "text/html; charset=utf-8")
	res.WriteHeader(status)
	_ = w.page.Execute(res, v) // the browser has gone
}

func (w *wizard) mistake(res http.ResponseWriter, format string, args ...any) {
	w.show(res, http.StatusBadRequest, setupView{Step: "error", Error: fmt.Sprintf(format, args...)})
}

var orgRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}$`)

// choose shows the manifest and the button that takes it to GitHub.
func (w *wizard) choose(res http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(res, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil || !w.ours(r.PostForm.Get("state")) {
		w.mistake(res, "the form is not from this page: open it anew")
		return
	}
	org, hook, name := strings.TrimSpace(r.PostForm.Get("organisation")), strings.TrimSpace(r.PostForm.Get("webhook")), strings.TrimSpace(r.PostForm.Get("name"))
	to := w.cfg.GitHubURL + "/settings/apps/new"
	if org != "" {
		if !orgRE.MatchString(org) {
			w.mistake(res, "%q is not the name of an organisation", org)
			return
		}
		to = w.cfg.GitHubURL + "/organizations/" + org + "/settings/apps/new"
	}
	u, err := url.Parse(hook)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		w.mistake(res, "the webhook's address %q is none: it is what GitHub can reach this server at, such as https://keyward.example.com/webhook", hook)
		return
	}
	if name == "" || len(name) > 34 {
		w.mistake(res, "the App needs a name of 1 to 34 characters, which nobody else has")
		return
	}
	m := newManifest(r.PostForm.Get("kind"), name, hook, "http://"+w.host+"/made")
	if m == nil {
		w.mistake(res, "choose what the App may do")
		return
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		w.mistake(res, "the manifest can not be written: %v", err)
		return
	}
	w.show(res, http.StatusOK, setupView{Step: "go", Action: to + "?state=" + w.state, Manifest: string(text)})
}

func (w *wizard) ours(state string) bool {
	return subtle.ConstantTimeCompare([]byte(state), []byte(w.state)) == 1
}

var codeRE = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// finish takes the code that GitHub sends the browser back with, once, and stores what
// GitHub gives for it.
func (w *wizard) finish(res http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("code")
	if !w.ours(r.URL.Query().Get("state")) || !codeRE.MatchString(code) {
		w.mistake(res, "GitHub's answer does not belong to this page: open it anew")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.made {
		w.mistake(res, "the App was made already")
		return
	}
	app, _, err := w.client.Apps.CompleteAppManifest(r.Context(), code)
	if err != nil {
		w.mistake(res, "GitHub did not hand out the App's credentials (%s). The code is good for one hour and once only: open the page anew.", plainError(err))
		return
	}
	if err := w.cfg.store(app); err != nil {
		w.mistake(res, "the App %s was made, but its credentials were not stored: %v. Delete it in its settings on GitHub and begin again.", app.GetSlug(), err)
		return
	}
	w.made = true
	w.show(res, http.StatusOK, setupView{Step: "done", App: app.GetName(), Install: app.GetHTMLURL() + "/installations/new"})
	w.once.Do(func() { w.done <- nil })
}

// plainError is an error of GitHub's API without the code that was in its address.
func plainError(err error) string {
	if s := github.Status(err); s != 0 {
		return fmt.Sprintf("it answered %d", s)
	}
	return "it could not be reached"
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
	switch { // a pepper that exists stays where it is
	case c.PepperFile != "":
		name, err := filepath.Abs(c.PepperFile)
		if err != nil {
			return err
		}
		out["pepper-file"] = name
	case c.PepperCommand != "":
		out["pepper-command"] = c.PepperCommand
	case c.Pepper != "":
		out["pepper"] = c.Pepper
	default:
		out["pepper"] = random()
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
