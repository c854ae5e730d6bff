package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/policy"
)

// Config is the configuration of the server. The tags are the names in the file; each
// has a variable of the environment, which wins.
type Config struct {
	AppID             int64    `toml:"app-id"`
	PrivateKeyFile    string   `toml:"private-key-file"`
	PrivateKeyCommand string   `toml:"private-key-command"`
	WebhookSecrets    []string `toml:"webhook-secrets"`
	Pepper            string   `toml:"pepper"`
	PepperFile        string   `toml:"pepper-file"`
	PepperCommand     string   `toml:"pepper-command"`
	OldPeppers        string   `toml:"old-peppers"`
	OldPeppersFile    string   `toml:"old-peppers-file"`
	OldPeppersCommand string   `toml:"old-peppers-command"`
	GitHubURL         string   `toml:"github-url"`
	GitHubAPI         string   `toml:"github-api-url"`
	Listen            string   `toml:"listen"`
	MetricsListen     string   `toml:"metrics-listen"`
	TLSCert           string   `toml:"tls-cert-file"`
	TLSKey            string   `toml:"tls-key-file"`
	Database          string   `toml:"database"`
	DataDir           string   `toml:"data-dir"`
	Tracker           string   `toml:"tracker"`
	PublicIssues      bool     `toml:"public-issues"`
	FirstIssues       int      `toml:"first-issues"`
	Workers           int      `toml:"workers"`
	MaxRepository     int64    `toml:"max-repository-mb"`
	Cache             int64    `toml:"cache-mb"`
	MaxFile           int64    `toml:"max-file-mb"`
	LogLevel          string   `toml:"log-level"`
	Drain             string   `toml:"drain"`
	WritePause        string   `toml:"write-pause"`
	Heartbeat         string   `toml:"heartbeat"`
	OldHeartbeat      string   `toml:"beat"` // the name of Heartbeat in the release before
	ScanTimeout       string   `toml:"scan-timeout"`
	Retention         string   `toml:"retention"`
	Verify            bool     `toml:"verify"`
	VerifyCloud       bool     `toml:"verify-cloud"`
	VerifyMint        bool     `toml:"verify-mint"`
	VerifyPause       string   `toml:"verify-pause"`
	Watch             string   `toml:"watch"`
	Revoke            []string `toml:"revoke"`
	Observe           any      `toml:"observe"` // true, false or a date

	file       string   // it was read from, or ""
	renamed    []string // settings that have old names, as "old -> new"
	privateKey string   // as the environment gives it
	key        []byte   // the App's private key, PEM
	allPeppers rotation.Peppers
	api, web   *url.URL
	level      slog.Level
	drain      time.Duration
	pause      time.Duration // between two writes of an installation to GitHub
	beat       time.Duration
	timeout    time.Duration // of one scan
	retention  time.Duration
	asking     time.Duration // between two requests to a host
	watch      time.Duration
	observing  policy.Observe
}

// leastSecret is how long webhook secrets and peppers have to be: they must not be
// guessable.
const leastSecret = 16

// config reads the configuration, and prints which settings have old names.
func (env *Env) config(ctx context.Context, signedIn bool) (*Config, error) {
	c, err := env.load(ctx, signedIn)
	if err == nil && len(c.renamed) > 0 {
		_, _ = fmt.Fprintln(env.Stderr, "keyward-app: "+c.renames()) // nowhere else to say it
	}
	return c, err
}

// load reads the configuration. One error lists all that is wrong with it. Without
// signedIn, how the App signs in is not checked, and no secret is read.
func (env *Env) load(ctx context.Context, signedIn bool) (*Config, error) {
	c := &Config{FirstIssues: -1}
	bad := c.read(env.Getenv)
	bad = append(bad, c.apply(env.Getenv)...)
	if env.Environ != nil {
		bad = append(bad, unknownVariables(env.Environ())...)
	}
	c.defaults()
	bad = append(bad, c.check()...)
	if signedIn {
		bad = append(bad, c.checkApp(ctx)...)
	}
	if len(bad) > 0 {
		hints := []string{"keyward-app setup creates the App and its configuration; keyward-app serve --help lists all settings"}
		if len(c.renamed) > 0 {
			hints = append(hints, c.renames())
		}
		return nil, hint(fmt.Errorf("configuration:\n  - %s", strings.Join(bad, "\n  - ")), hints...)
	}
	return c, nil
}

// renames is the notice about old names.
func (c *Config) renames() string {
	return "these settings have new names, and the next release drops the old ones: " + strings.Join(c.renamed, ", ")
}

// read reads the configuration file, if there is one, and returns what is wrong with it.
func (c *Config) read(getenv func(string) string) (bad []string) {
	name := getenv(configVariable)
	named := name != ""
	if !named {
		dir := getenv("KEYWARD_DATA")
		if dir == "" {
			dir = defaultData
		}
		name = filepath.Join(dir, configName)
	}
	data, err := readSecret(name)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", configVariable, err)}
	}
	c.file = name
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	bad = decodeErrors(name, dec.Decode(c))
	for _, file := range []*string{&c.PrivateKeyFile, &c.PepperFile, &c.OldPeppersFile} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(name), *file)
		}
	}
	if c.OldHeartbeat != "" {
		c.renamed = append(c.renamed, "beat -> heartbeat (in "+name+")")
		if c.Heartbeat == "" {
			c.Heartbeat = c.OldHeartbeat
		} else if c.Heartbeat != c.OldHeartbeat {
			bad = append(bad, name+": heartbeat and its old name beat have different values: remove beat")
		}
	}
	return bad
}

// decodeErrors describes why a configuration file does not decode. The library's own text
// quotes the line, which may hold a secret.
func decodeErrors(name string, err error) (bad []string) {
	var strict *toml.StrictMissingError
	var decode *toml.DecodeError
	switch {
	case err == nil:
	case errors.As(err, &strict):
		for i := range strict.Errors {
			line, _ := strict.Errors[i].Position()
			key := strings.Join(strict.Errors[i].Key(), ".")
			bad = append(bad, fmt.Sprintf("%s: line %d: unknown key %q%s", name, line, key, didYouMean(key, configKeys())))
		}
	case errors.As(err, &decode):
		line, col := decode.Position()
		bad = append(bad, fmt.Sprintf("%s: line %d, column %d: invalid TOML, or a value of the wrong type", name, line, col))
	default:
		bad = append(bad, name+": invalid TOML")
	}
	return bad
}

// configKeys are the keys that a configuration file may have, without old names.
func configKeys() (keys []string) {
	for f := range reflect.TypeFor[Config]().Fields() {
		if key := f.Tag.Get("toml"); key != "" && f.Name != "OldHeartbeat" {
			keys = append(keys, key)
		}
	}
	return keys
}

const (
	defaultData = "keyward-data"
	configName  = "keyward-app.toml"
)

func (c *Config) defaults() {
	or := func(s *string, usual string) {
		if *s == "" {
			*s = usual
		}
	}
	or(&c.GitHubURL, "https://github.com")
	or(&c.Listen, ":8080")
	or(&c.MetricsListen, "127.0.0.1:9090")
	or(&c.DataDir, defaultData)
	or(&c.Database, filepath.Join(c.DataDir, "keyward.db"))
	or(&c.LogLevel, "info")
	or(&c.Drain, "30s")
	or(&c.WritePause, "1s")
	or(&c.Heartbeat, "3s")
	or(&c.ScanTimeout, "15m")
	or(&c.Retention, "9600h")
	or(&c.VerifyPause, "1s")
	or(&c.Watch, "1m")
	c.GitHubURL = strings.TrimSuffix(c.GitHubURL, "/")
	if c.GitHubURL == "https://github.com" {
		or(&c.GitHubAPI, "https://api.github.com/")
	} else {
		or(&c.GitHubAPI, c.GitHubURL+"/api/v3/")
	}
	if c.FirstIssues < 0 {
		c.FirstIssues = 10
	}
	for _, n := range []struct {
		to    *int64
		usual int64
	}{{&c.MaxRepository, 5000}, {&c.Cache, 20000}, {&c.MaxFile, 100}} {
		if *n.to == 0 {
			*n.to = n.usual
		}
	}
}

// databaseName is the database as it may be shown: without a password.
func (c *Config) databaseName() string {
	if !store.Postgres(c.Database) {
		return c.Database
	}
	u, err := url.Parse(c.Database)
	if err != nil {
		return "PostgreSQL"
	}
	return u.Redacted()
}

// app signs in.
func (c *Config) app(pace *github.Pace, observe func(string, int, time.Duration)) (*github.App, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	transport.ResponseHeaderTimeout = 30 * time.Second
	return github.New(github.Config{AppID: c.AppID, Key: c.key, API: c.api, Web: c.web, Pace: pace, Observe: observe, Transport: transport})
}
