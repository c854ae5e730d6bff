package server

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
)

// Config is the configuration of the server. The tags are the names in the file; each
// has a variable of the environment, which wins.
type Config struct {
	AppID          int64    `toml:"app-id"`
	PrivateKeyFile string   `toml:"private-key-file"`
	WebhookSecrets []string `toml:"webhook-secrets"`
	Pepper         string   `toml:"pepper"`
	GitHubURL      string   `toml:"github-url"`
	GitHubAPI      string   `toml:"github-api-url"`
	Listen         string   `toml:"listen"`
	MetricsListen  string   `toml:"metrics-listen"`
	TLSCert        string   `toml:"tls-cert-file"`
	TLSKey         string   `toml:"tls-key-file"`
	Database       string   `toml:"database"`
	DataDir        string   `toml:"data-dir"`
	Tracker        string   `toml:"tracker"`
	PublicIssues   bool     `toml:"public-issues"`
	FirstIssues    int      `toml:"first-issues"`
	Workers        int      `toml:"workers"`
	MaxRepository  int64    `toml:"max-repository-mb"`
	Cache          int64    `toml:"cache-mb"`
	MaxFile        int64    `toml:"max-file-mb"`
	LogLevel       string   `toml:"log-level"`
	Drain          string   `toml:"drain"`
	WritePause     string   `toml:"write-pause"`
	Beat           string   `toml:"beat"`
	ScanTimeout    string   `toml:"scan-timeout"`
	Verify         bool     `toml:"verify"`
	VerifyCloud    bool     `toml:"verify-cloud"`
	VerifyMint     bool     `toml:"verify-mint"`
	VerifyPause    string   `toml:"verify-pause"`
	Watch          string   `toml:"watch"`
	Revoke         []string `toml:"revoke"`

	file     string // it was read from, or ""
	key      []byte
	api, web *url.URL
	level    slog.Level
	drain    time.Duration
	pause    time.Duration // between two writes of an installation to GitHub
	beat     time.Duration
	timeout  time.Duration // of one scan
	asking   time.Duration // between two requests to a host
	watch    time.Duration
}

// a setting is one value that the environment can give.
type setting struct {
	env, help string
	set       func(c *Config, v string) error
}

func text(to func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error { *to(c) = v; return nil }
}

func number(to func(*Config) *int64) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return errors.New("is no number")
		}
		*to(c) = n
		return nil
	}
}

func count(to func(*Config) *int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return errors.New("is no number")
		}
		*to(c) = n
		return nil
	}
}

func yes(to func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("is neither true nor false")
		}
		*to(c) = b
		return nil
	}
}

// settings are the variables of the environment, in the order of the help text.
var settings = []setting{
	{"GITHUB_APP_ID", "the App's id", number(func(c *Config) *int64 { return &c.AppID })},
	{"GITHUB_APP_PRIVATE_KEY_FILE", "file with the App's private key, PEM", text(func(c *Config) *string { return &c.PrivateKeyFile })},
	{"GITHUB_APP_PRIVATE_KEY", "the private key itself", func(c *Config, v string) error { c.key = []byte(strings.ReplaceAll(v, `\n`, "\n")); return nil }},
	{"GITHUB_WEBHOOK_SECRET", "the webhook's secret; several, separated by commas, while it is changed", func(c *Config, v string) error { c.WebhookSecrets = strings.Split(v, ","); return nil }},
	{"KEYWARD_PEPPER", "the key of fingerprints, the same as the command's", text(func(c *Config) *string { return &c.Pepper })},
	{"GITHUB_URL", "https://github.com, or that of a GitHub Enterprise Server", text(func(c *Config) *string { return &c.GitHubURL })},
	{"GITHUB_API_URL", "by default what belongs to GITHUB_URL", text(func(c *Config) *string { return &c.GitHubAPI })},
	{"LISTEN", "address for webhooks, by default :8080", text(func(c *Config) *string { return &c.Listen })},
	{"METRICS_LISTEN", "address for /metrics, by default 127.0.0.1:9090; none for none", text(func(c *Config) *string { return &c.MetricsListen })},
	{"TLS_CERT_FILE", "certificate chain, PEM; without it a proxy has to speak TLS", text(func(c *Config) *string { return &c.TLSCert })},
	{"TLS_KEY_FILE", "its key", text(func(c *Config) *string { return &c.TLSKey })},
	{"DATABASE_URL", "PostgreSQL URL, or a SQLite file; by default keyward.db in the data directory", text(func(c *Config) *string { return &c.Database })},
	{"KEYWARD_DATA", "data directory, by default keyward-data", text(func(c *Config) *string { return &c.DataDir })},
	{"KEYWARD_TRACKER", "private repository for rotation issues: a name, in each organisation, or owner/name", text(func(c *Config) *string { return &c.Tracker })},
	{"KEYWARD_PUBLIC_ISSUES", "true: issues may be opened in public repositories", yes(func(c *Config) *bool { return &c.PublicIssues })},
	{"KEYWARD_VERIFY", "true: the providers of keys are asked whether they are alive; nobody is asked by default", yes(func(c *Config) *bool { return &c.Verify })},
	{"KEYWARD_VERIFY_CLOUD", "true: keys are of the providers' own hosts, not of a company's: what these do not know is dead", yes(func(c *Config) *bool { return &c.VerifyCloud })},
	{"KEYWARD_VERIFY_MINT", "true: also send checks that mint a token or leave a sign-in event (AWS, Google Cloud, Entra, IBM, Docker Hub)", yes(func(c *Config) *bool { return &c.VerifyMint })},
	{"KEYWARD_VERIFY_PAUSE", "between two requests to a provider, by default 1s", text(func(c *Config) *string { return &c.VerifyPause })},
	{"KEYWARD_REVOKE", "kinds or classes of keys that two people may have revoked by /revoke, deploy-key, token-grant, separated by commas; all for all, none by default", func(c *Config, v string) error { c.Revoke = strings.Split(v, ","); return nil }},
	{"KEYWARD_WATCH", "how often it is looked what time has changed, by default 1m", text(func(c *Config) *string { return &c.Watch })},
	{"KEYWARD_FIRST_ISSUES", "how many keys of a first history get issues at once, by default 10", count(func(c *Config) *int { return &c.FirstIssues })},
	{"KEYWARD_WORKERS", "scans at once, by default 4 or as many as there are processors", count(func(c *Config) *int { return &c.Workers })},
	{"MAX_REPOSITORY_MB", "larger repositories are not scanned, by default 5000", number(func(c *Config) *int64 { return &c.MaxRepository })},
	{"CACHE_MB", "disk for copies of repositories, by default 20000", number(func(c *Config) *int64 { return &c.Cache })},
	{"MAX_FILE_MB", "larger files are not read, by default 100", number(func(c *Config) *int64 { return &c.MaxFile })},
	{"LOG_LEVEL", "debug, info, warn or error", text(func(c *Config) *string { return &c.LogLevel })},
	{"SCAN_TIMEOUT", "how long one scan may take, by default 15m; then its check says so and fails", text(func(c *Config) *string { return &c.ScanTimeout })},
	{"KEYWARD_WRITE_PAUSE", "between two writes of an installation to GitHub, by default 1s", text(func(c *Config) *string { return &c.WritePause })},
	{"KEYWARD_BEAT", "how often a process says that it is alive, by default 3s; after five its jobs go to others", text(func(c *Config) *string { return &c.Beat })},
	{"DRAIN", "how long jobs may go on after SIGTERM, by default 30s", text(func(c *Config) *string { return &c.Drain })},
}

// leastSecret is how long webhook secrets and peppers have to be: they must not be
// guessable.
const leastSecret = 16

// config reads the configuration. All that is wrong with it is told at once. Without
// signedIn only what the database needs is looked at.
func (env *Env) config(signedIn bool) (*Config, error) {
	c := &Config{FirstIssues: -1}
	var bad []string
	if err := c.read(env.Getenv); err != nil {
		bad = append(bad, err.Error())
	}
	for _, s := range settings {
		v := strings.TrimSpace(env.Getenv(s.env))
		if v == "" {
			continue
		}
		if err := s.set(c, v); err != nil {
			bad = append(bad, fmt.Sprintf("%s %v", s.env, err))
		}
	}
	c.defaults()
	bad = append(bad, c.check(signedIn)...)
	if len(bad) > 0 {
		return nil, hint(fmt.Errorf("configuration:\n  - %s", strings.Join(bad, "\n  - ")),
			"keyward-app setup makes the App and its configuration; keyward-app serve --help lists all settings")
	}
	return c, nil
}

// read reads the configuration file, if there is one.
func (c *Config) read(getenv func(string) string) error {
	name := getenv("KEYWARD_CONFIG")
	named := name != ""
	if !named {
		dir := getenv("KEYWARD_DATA")
		if dir == "" {
			dir = defaultData
		}
		name = filepath.Join(dir, configName)
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return fmt.Errorf("KEYWARD_CONFIG: %w", err)
	}
	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others: chmod 600 %s", name, name)
	}
	c.file = name
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(c); err != nil {
		var strict *toml.StrictMissingError
		var decode *toml.DecodeError
		switch { // the library's own text quotes the line, which may hold a secret
		case errors.As(err, &strict) && len(strict.Errors) > 0:
			line, _ := strict.Errors[0].Position()
			return fmt.Errorf("%s: line %d: unknown key %q", name, line, strings.Join(strict.Errors[0].Key(), "."))
		case errors.As(err, &decode):
			line, col := decode.Position()
			return fmt.Errorf("%s: line %d, column %d: not TOML, or a value of another kind than expected", name, line, col)
		}
		return fmt.Errorf("%s: not TOML", name)
	}
	return nil
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
	or(&c.Beat, "3s")
	or(&c.ScanTimeout, "15m")
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

var ruleRE = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,80}$`)

var trackerRE = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]{0,38}/)?[A-Za-z0-9._-]{1,100}$`)

// check returns all that is wrong.
func (c *Config) check(signedIn bool) (bad []string) {
	var err error
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if c.web, err = address(c.GitHubURL); err != nil {
		say("GITHUB_URL %v", err)
	}
	if c.api, err = address(strings.TrimSuffix(c.GitHubAPI, "/") + "/"); err != nil {
		say("GITHUB_API_URL %v", err)
	}
	if err := c.level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		say("LOG_LEVEL %q is not one of debug, info, warn, error", c.LogLevel)
	}
	for name, d := range map[string]struct {
		text string
		to   *time.Duration
	}{"DRAIN": {c.Drain, &c.drain}, "KEYWARD_WRITE_PAUSE": {c.WritePause, &c.pause}, "KEYWARD_BEAT": {c.Beat, &c.beat}, "SCAN_TIMEOUT": {c.ScanTimeout, &c.timeout},
		"KEYWARD_VERIFY_PAUSE": {c.VerifyPause, &c.asking}, "KEYWARD_WATCH": {c.Watch, &c.watch}} {
		if *d.to, err = time.ParseDuration(d.text); err != nil || *d.to < time.Millisecond {
			say("%s %q is no time such as 30s", name, d.text)
		}
	}
	for name, n := range map[string]int64{"MAX_REPOSITORY_MB": c.MaxRepository, "CACHE_MB": c.Cache, "MAX_FILE_MB": c.MaxFile} {
		if n < 1 || n > 1<<30 {
			say("%s %d is not a size in megabytes", name, n)
		}
	}
	for _, name := range c.Revoke {
		if !ruleRE.MatchString(name) {
			say("KEYWARD_REVOKE %q is not the name of a kind or class of keys, such as gitlab-pat or scim-user", name)
		}
	}
	if c.Workers < 0 || c.Workers > 256 {
		say("KEYWARD_WORKERS %d is not between 1 and 256", c.Workers)
	}
	if c.Tracker != "" && !trackerRE.MatchString(c.Tracker) {
		say("KEYWARD_TRACKER %q is not the name of a repository", c.Tracker)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		say("TLS_CERT_FILE and TLS_KEY_FILE belong together")
	}
	for name, a := range map[string]string{"LISTEN": c.Listen, "METRICS_LISTEN": c.MetricsListen} {
		if _, _, err := net.SplitHostPort(a); err != nil && a != "none" {
			say("%s %q is not an address such as :8080", name, a)
		}
	}
	if signedIn {
		bad = append(bad, c.checkApp()...)
	}
	return bad
}

// checkApp returns what is wrong with how the App signs in.
func (c *Config) checkApp() (bad []string) {
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if c.AppID <= 0 {
		say("GITHUB_APP_ID is missing")
	}
	if c.key == nil && c.PrivateKeyFile != "" {
		file := c.PrivateKeyFile
		if c.file != "" && !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(c.file), file)
		}
		key, err := os.ReadFile(file)
		if err != nil {
			say("GITHUB_APP_PRIVATE_KEY_FILE: %v", err)
		}
		c.key = key
	}
	if len(c.key) == 0 {
		say("GITHUB_APP_PRIVATE_KEY_FILE or GITHUB_APP_PRIVATE_KEY is missing")
	} else if _, err := github.ParseKey(c.key); err != nil {
		say("GITHUB_APP_PRIVATE_KEY: %v", err)
	}
	if len(c.WebhookSecrets) == 0 {
		say("GITHUB_WEBHOOK_SECRET is missing: without one anybody could send events")
	}
	for _, s := range c.WebhookSecrets {
		if len(strings.TrimSpace(s)) < leastSecret {
			say("GITHUB_WEBHOOK_SECRET has fewer than %d characters (openssl rand -hex 32 makes one)", leastSecret)
		}
	}
	if len(c.Pepper) < leastSecret {
		say("KEYWARD_PEPPER is missing or has fewer than %d characters (openssl rand -hex 32 makes one; keep it: fingerprints depend on it)", leastSecret)
	}
	return bad
}

// address reads an address of GitHub. Tokens go there: plain HTTP is for this machine.
func address(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("is not an address such as https://github.example.com")
	}
	if u.User != nil || u.RawQuery != "" {
		return nil, errors.New("must have neither user nor query")
	}
	if host := u.Hostname(); u.Scheme == "http" && host != "localhost" && (net.ParseIP(host) == nil || !net.ParseIP(host).IsLoopback()) {
		return nil, fmt.Errorf("is plain HTTP to %s: tokens would go there unencrypted", host)
	}
	return u, nil
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
