package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/rules"
)

var trackerRE = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]{0,38}/)?[A-Za-z0-9._-]{1,100}$`)

// check returns what is wrong with the settings that need no secret.
func (c *Config) check() (bad []string) {
	var err error
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if c.web, err = address(c.GitHubURL); err != nil {
		say("KEYWARD_GITHUB_URL: %v", err)
	}
	if c.api, err = address(strings.TrimSuffix(c.GitHubAPI, "/") + "/"); err != nil {
		say("KEYWARD_GITHUB_API_URL: %v", err)
	}
	if err := c.level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		say("KEYWARD_LOG_LEVEL: invalid value %q: expected debug, info, warn or error", c.LogLevel)
	}
	if c.Workers < 0 || c.Workers > 256 {
		say("KEYWARD_WORKERS: invalid value %d: expected 1 to 256", c.Workers)
	}
	if c.Tracker != "" && !trackerRE.MatchString(c.Tracker) {
		say("KEYWARD_TRACKER: invalid value %q: expected the name of a repository, or owner/name", c.Tracker)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		say("KEYWARD_TLS_CERT_FILE, KEYWARD_TLS_KEY_FILE: set both or neither")
	}
	for _, a := range [][2]string{{"KEYWARD_LISTEN", c.Listen}, {"KEYWARD_METRICS_LISTEN", c.MetricsListen}} {
		if _, _, err := net.SplitHostPort(a[1]); err != nil && (a[1] != "none" || a[0] == "KEYWARD_LISTEN") {
			say("%s: invalid value %q: expected an address such as :8080", a[0], a[1])
		}
	}
	if c.observing, err = policy.ParseObserve(c.Observe); err != nil {
		say("KEYWARD_OBSERVE: invalid value %.40q: %v", fmt.Sprint(c.Observe), err)
	}
	for _, s := range c.sources() {
		if err := s.check(); err != nil {
			bad = append(bad, err.Error())
		}
	}
	return slices.Concat(bad, c.checkTimes(), c.checkSizes(), c.checkRevoke())
}

func (c *Config) checkTimes() (bad []string) {
	for _, d := range []struct {
		name, text string
		to         *time.Duration
	}{
		{"KEYWARD_DRAIN", c.Drain, &c.drain}, {"KEYWARD_WRITE_PAUSE", c.WritePause, &c.pause}, {"KEYWARD_HEARTBEAT", c.Heartbeat, &c.beat},
		{"KEYWARD_SCAN_TIMEOUT", c.ScanTimeout, &c.timeout}, {"KEYWARD_RETENTION", c.Retention, &c.retention}, {"KEYWARD_VERIFY_PAUSE", c.VerifyPause, &c.asking}, {"KEYWARD_WATCH", c.Watch, &c.watch},
	} {
		var err error
		if *d.to, err = time.ParseDuration(d.text); err != nil || *d.to < time.Millisecond {
			bad = append(bad, fmt.Sprintf("%s: invalid value %q: expected a duration such as 30s", d.name, d.text))
		}
	}
	return bad
}

func (c *Config) checkSizes() (bad []string) {
	for _, n := range []struct {
		name string
		size int64
	}{{"KEYWARD_MAX_REPOSITORY_MB", c.MaxRepository}, {"KEYWARD_CACHE_MB", c.Cache}, {"KEYWARD_MAX_FILE_MB", c.MaxFile}} {
		if n.size < 1 || n.size > 1<<30 {
			bad = append(bad, fmt.Sprintf("%s: invalid value %d: expected a size in megabytes", n.name, n.size))
		}
	}
	return bad
}

// checkRevoke returns the values of KEYWARD_REVOKE that name nothing: a misspelt one would
// silently be a dry run.
func (c *Config) checkRevoke() (bad []string) {
	if len(c.Revoke) == 0 {
		return nil
	}
	byID, err := rules.ByID()
	if err != nil {
		return []string{err.Error()}
	}
	known := append(slices.Sorted(maps.Keys(byID)), "all", "deploy-key", "token-grant")
	for _, class := range scanner.Classes() {
		known = append(known, string(class))
	}
	for _, name := range c.Revoke {
		if !slices.Contains(known, name) {
			bad = append(bad, fmt.Sprintf("KEYWARD_REVOKE: unknown value %q: expected a rule id, a class, deploy-key, token-grant or all%s", name, didYouMean(name, known)))
		}
	}
	return bad
}

// checkApp reads the secrets, and returns what is wrong with how the App signs in.
func (c *Config) checkApp(ctx context.Context) (bad []string) {
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if c.AppID <= 0 {
		say("KEYWARD_GITHUB_APP_ID is missing")
	}
	if key, err := c.keySource().read(ctx); err != nil {
		say("%v", err)
	} else if key == "" {
		say("KEYWARD_GITHUB_APP_PRIVATE_KEY, KEYWARD_GITHUB_APP_PRIVATE_KEY_FILE or KEYWARD_GITHUB_APP_PRIVATE_KEY_COMMAND is missing")
	} else if _, err := github.ParseKey([]byte(key)); err != nil {
		say("KEYWARD_GITHUB_APP_PRIVATE_KEY: %v", err)
	} else {
		c.key = []byte(key)
	}
	if len(c.WebhookSecrets) == 0 {
		say("KEYWARD_GITHUB_WEBHOOK_SECRET is missing: without it anyone could send events")
	}
	for _, s := range c.WebhookSecrets {
		if len(s) < leastSecret {
			say("KEYWARD_GITHUB_WEBHOOK_SECRET has fewer than %d characters (create one: openssl rand -hex 32)", leastSecret)
		}
	}
	var err error
	if c.allPeppers, err = c.peppers(ctx); err != nil {
		say("%v", err)
	}
	return bad
}

// maxPeppers is how many peppers may be configured: each costs every finding a hash.
const maxPeppers = 20

// peppers reads the peppers.
func (c *Config) peppers(ctx context.Context) (list rotation.Peppers, err error) {
	old, err := c.oldPeppersSource().read(ctx)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(old) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, []byte(line))
		}
	}
	if len(list) >= maxPeppers {
		return nil, fmt.Errorf("KEYWARD_OLD_PEPPERS names %d peppers, at most %d are possible", len(list), maxPeppers-1)
	}
	pepper, err := c.pepperSource().read(ctx)
	if err != nil {
		return nil, err
	}
	if len(pepper) < leastSecret {
		return nil, fmt.Errorf("KEYWARD_PEPPER is missing or has fewer than %d characters (create one: openssl rand -hex 32; keep it: fingerprints, ledger and receipts depend on it)", leastSecret)
	}
	list = append(list, []byte(pepper))
	for i, p := range list {
		if len(p) < leastSecret {
			return nil, fmt.Errorf("KEYWARD_OLD_PEPPERS: pepper %d has fewer than %d characters (one on each line, the oldest first)", i+1, leastSecret)
		}
		if slices.ContainsFunc(list[:i], func(o []byte) bool { return bytes.Equal(o, p) }) {
			return nil, fmt.Errorf("KEYWARD_OLD_PEPPERS: pepper %d is there twice, or is KEYWARD_PEPPER", i+1)
		}
	}
	return list, nil
}

// address reads an address of GitHub. Tokens go there: plain HTTP is for this machine.
func address(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("invalid address: expected one such as https://github.example.com")
	}
	if u.User != nil || u.RawQuery != "" {
		return nil, errors.New("invalid address: expected neither a user nor a query")
	}
	if host := u.Hostname(); u.Scheme == "http" && host != "localhost" && (net.ParseIP(host) == nil || !net.ParseIP(host).IsLoopback()) {
		return nil, fmt.Errorf("invalid address: plain HTTP to %s would send tokens unencrypted; use https", host)
	}
	return u, nil
}
