// Package github is the App's way to GitHub: its tokens, its limits, and the few
// things it reads and writes there. Nothing of it retries by itself or sleeps for
// long: an error says when to come again, and the job that asked is put back until
// then.
package github

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v62/github"
	lru "github.com/hashicorp/golang-lru/v2"
)

// Config says which App this is, and where its GitHub.
type Config struct {
	AppID int64
	Key   []byte   // the App's private key, PEM
	API   *url.URL // such as https://api.github.com/ or https://ghe.example/api/v3/
	Web   *url.URL // such as https://github.com
	Pace  *Pace    // of writes; nil means at once
	// Observe is told of every request; may be nil.
	Observe func(method string, status int, took time.Duration)
	// Transport is how requests are made; nil means http.DefaultTransport.
	Transport http.RoundTripper
}

// A Pace spreads the writes of an installation over time.
type Pace struct {
	// Write books a write, at most so long from now, and returns how long to wait for it;
	// a longer wait is not booked.
	Write func(ctx context.Context, installation int64, most time.Duration) (time.Duration, error)
	// Content books the making of an issue or a comment, which GitHub limits for itself,
	// and returns 0, or how long it would have to wait.
	Content func(ctx context.Context, installation int64) (time.Duration, error)
}

// An App is signed in as a GitHub App. It is safe for concurrent use.
type App struct {
	cfg     Config
	base    http.RoundTripper
	jwt     *ghinstallation.AppsTransport
	itself  *gh.Client
	clients *lru.Cache[int64, *Client]
	making  sync.Mutex
}

// A Client acts as one installation. It is safe for concurrent use.
type Client struct {
	*gh.Client
	ID   int64
	app  *App
	auth *installed

	gitMu sync.Mutex
	git   *ghinstallation.Transport
}

// maxClients is how many installations keep their token and cache.
const maxClients = 500

// New returns the App that cfg names. It asks nothing of GitHub.
func New(cfg Config) (*App, error) {
	key, err := ParseKey(cfg.Key)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, base: cfg.Transport}
	if a.base == nil {
		a.base = http.DefaultTransport
	}
	a.jwt = ghinstallation.NewAppsTransportFromPrivateKey(readable{a.base}, cfg.AppID, key)
	a.jwt.BaseURL = strings.TrimSuffix(cfg.API.String(), "/")
	a.itself = a.client(&limited{app: a, next: a.jwt})
	a.clients, err = lru.New[int64, *Client](maxClients)
	return a, err
}

// ParseKey reads the private key of an App, in either of the two usual forms.
func ParseKey(data []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("the private key is not in PEM form: it begins with -----BEGIN RSA " + "PRIVATE KEY-----")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the private key can not be read: download a new one from the App's settings")
	}
	r, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the private key is not an RSA key")
	}
	return r, nil
}

// client makes a client of GitHub's API that follows no redirect to another host.
func (a *App) client(t http.RoundTripper) *gh.Client {
	c := gh.NewClient(&http.Client{Transport: t, Timeout: time.Minute, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != a.cfg.API.Host || r.URL.Scheme != a.cfg.API.Scheme {
			return fmt.Errorf("GitHub answered with a redirect to another host, %s: it is not followed", r.URL.Hostname())
		}
		if len(via) > 3 {
			return errors.New("GitHub answered with too many redirects")
		}
		return nil
	}})
	c.BaseURL = a.cfg.API
	c.UserAgent = "keyward-app"
	return c
}

// Itself is the client that acts as the App, not as an installation.
func (a *App) Itself() *gh.Client { return a.itself }

// Web is the address of what people see, without a slash at the end.
func (a *App) Web() string { return strings.TrimSuffix(a.cfg.Web.String(), "/") }

// Installation returns the client that acts as an installation.
func (a *App) Installation(id int64) *Client {
	a.making.Lock()
	defer a.making.Unlock()
	if c, ok := a.clients.Get(id); ok {
		return c
	}
	auth := &installed{app: a, id: id}
	auth.renew()
	c := &Client{ID: id, app: a, auth: auth}
	c.Client = a.client(&limited{app: a, installation: id, next: doubtful{newConditional(auth)}})
	a.clients.Add(id, c)
	return c
}

// signed returns a transport that signs as an installation. Each has the App's own one for
// itself: the library writes into it whenever it asks for a token.
func (a *App) signed(id int64) *ghinstallation.Transport {
	own := *a.jwt
	return ghinstallation.NewFromAppsTransport(&own, id)
}

// Forget drops what is kept for an installation, its token too.
func (a *App) Forget(id int64) { a.clients.Remove(id) }

// GitToken returns a token that can do nothing but read contents, for a fetch. It is
// the same for an hour: tokens are given out 5,000 an hour to an App, and there may be
// more pushes than that. fresh says that the last one was refused.
func (c *Client) GitToken(ctx context.Context, fresh bool) (string, error) {
	c.gitMu.Lock()
	if c.git == nil || fresh {
		c.git = c.app.signed(c.ID)
		c.git.InstallationTokenOptions = &gh.InstallationTokenOptions{Permissions: &gh.InstallationPermissions{Contents: gh.String("read"), Metadata: gh.String("read")}}
	}
	t := c.git
	c.gitMu.Unlock()
	token, err := t.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("get a token for a fetch: %w", tokenError(err))
	}
	return token, nil
}

// CloneURL is where git fetches a repository from. It holds no credential.
func (a *App) CloneURL(owner, name string) string {
	return a.Web() + "/" + url.PathEscape(owner) + "/" + url.PathEscape(name) + ".git"
}
