package server

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/keyward/keyward/app/rotation/life"
)

// a setting is one value that the environment can give.
type setting struct {
	env  string // its variable
	old  string // the variable of the release before, which still works; "" if it had none
	help string
	set  func(c *Config, v string) error
}

func text(to func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error { *to(c) = v; return nil }
}

func number(to func(*Config) *int64) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return errors.New("expected a whole number")
		}
		*to(c) = n
		return nil
	}
}

func count(to func(*Config) *int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return errors.New("expected a whole number")
		}
		*to(c) = n
		return nil
	}
}

func yes(to func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("expected true or false")
		}
		*to(c) = b
		return nil
	}
}

func list(to func(*Config) *[]string) func(*Config, string) error {
	return func(c *Config, v string) error {
		*to(c) = nil
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*to(c) = append(*to(c), part)
			}
		}
		return nil
	}
}

// settings are the variables of the environment, in the order of the help text.
var settings = []setting{
	{"KEYWARD_GITHUB_APP_ID", "GITHUB_APP_ID", "id of the GitHub App", number(func(c *Config) *int64 { return &c.AppID })},
	{"KEYWARD_GITHUB_APP_PRIVATE_KEY", "GITHUB_APP_PRIVATE_KEY", "private key of the App, PEM", func(c *Config, v string) error {
		c.privateKey = strings.ReplaceAll(v, `\n`, "\n")
		return nil
	}},
	{"KEYWARD_GITHUB_APP_PRIVATE_KEY_FILE", "GITHUB_APP_PRIVATE_KEY_FILE", "or a file with it, mode 0600", text(func(c *Config) *string { return &c.PrivateKeyFile })},
	{"KEYWARD_GITHUB_APP_PRIVATE_KEY_COMMAND", "", "or a command that prints it; runs without a shell, for 10s at most", text(func(c *Config) *string { return &c.PrivateKeyCommand })},
	{"KEYWARD_GITHUB_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET", "secret of the webhook; during a change several, separated by commas", list(func(c *Config) *[]string { return &c.WebhookSecrets })},
	{"KEYWARD_PEPPER", "", "key of the fingerprints, the same as for the command keyward", text(func(c *Config) *string { return &c.Pepper })},
	{"KEYWARD_PEPPER_FILE", "", "or a file with it, mode 0600", text(func(c *Config) *string { return &c.PepperFile })},
	{"KEYWARD_PEPPER_COMMAND", "", "or a command that prints it; runs without a shell, for 10s at most", text(func(c *Config) *string { return &c.PepperCommand })},
	{"KEYWARD_OLD_PEPPERS", "", "peppers that were replaced, one on each line, the oldest first (keyward-app pepper rotate)", text(func(c *Config) *string { return &c.OldPeppers })},
	{"KEYWARD_OLD_PEPPERS_FILE", "", "or a file with them, mode 0600", text(func(c *Config) *string { return &c.OldPeppersFile })},
	{"KEYWARD_OLD_PEPPERS_COMMAND", "", "or a command that prints them; runs without a shell, for 10s at most", text(func(c *Config) *string { return &c.OldPeppersCommand })},
	{"KEYWARD_GITHUB_URL", "GITHUB_URL", "https://github.com (default), or a GitHub Enterprise Server", text(func(c *Config) *string { return &c.GitHubURL })},
	{"KEYWARD_GITHUB_API_URL", "GITHUB_API_URL", "API of that GitHub (default: derived from KEYWARD_GITHUB_URL)", text(func(c *Config) *string { return &c.GitHubAPI })},
	{"KEYWARD_LISTEN", "LISTEN", "address for webhooks (default :8080)", text(func(c *Config) *string { return &c.Listen })},
	{"KEYWARD_METRICS_LISTEN", "METRICS_LISTEN", "address for /metrics (default 127.0.0.1:9090), or none", text(func(c *Config) *string { return &c.MetricsListen })},
	{"KEYWARD_TLS_CERT_FILE", "TLS_CERT_FILE", "certificate chain, PEM; without it a proxy must terminate TLS", text(func(c *Config) *string { return &c.TLSCert })},
	{"KEYWARD_TLS_KEY_FILE", "TLS_KEY_FILE", "private key of the certificate, PEM", text(func(c *Config) *string { return &c.TLSKey })},
	{"KEYWARD_DATABASE_URL", "DATABASE_URL", "PostgreSQL URL, or a SQLite file (default keyward.db in the data directory)", text(func(c *Config) *string { return &c.Database })},
	{"KEYWARD_DATA", "", "data directory (default keyward-data)", text(func(c *Config) *string { return &c.DataDir })},
	{"KEYWARD_TRACKER", "", "private repository for rotation issues: a name, in each organisation, or owner/name", text(func(c *Config) *string { return &c.Tracker })},
	{"KEYWARD_PUBLIC_ISSUES", "", "true: allow issues in public repositories (default false)", yes(func(c *Config) *bool { return &c.PublicIssues })},
	{"KEYWARD_VERIFY", "", "true: ask the providers whether credentials are still valid (default false)", yes(func(c *Config) *bool { return &c.Verify })},
	{"KEYWARD_VERIFY_CLOUD", "", "true: credentials belong to the providers' own hosts, not to self-hosted ones; a credential unknown there is dead (default false)", yes(func(c *Config) *bool { return &c.VerifyCloud })},
	{"KEYWARD_VERIFY_MINT", "", "true: also send checks that mint a token or leave a sign-in event (AWS, Google Cloud, Entra, IBM, Docker Hub)", yes(func(c *Config) *bool { return &c.VerifyMint })},
	{"KEYWARD_VERIFY_PAUSE", "", "pause between two requests to a provider (default 1s)", text(func(c *Config) *string { return &c.VerifyPause })},
	{"KEYWARD_REVOKE", "", "what two people may revoke with /revoke: rule ids or classes, deploy-key, token-grant, separated by commas, or all (default: nothing)", list(func(c *Config) *[]string { return &c.Revoke })},
	{"KEYWARD_OBSERVE", "", "true, or the last day (2027-01-31): checks that would fail end neutral, in all repositories; issues are opened as usual (default false)", func(c *Config, v string) error { c.Observe = v; return nil }},
	{"KEYWARD_WATCH", "", "interval for checking due reminders and re-checks (default 1m)", text(func(c *Config) *string { return &c.Watch })},
	{"KEYWARD_FIRST_ISSUES", "", "issues opened for the first scan of an organisation's history (default 10)", count(func(c *Config) *int { return &c.FirstIssues })},
	{"KEYWARD_WORKERS", "", "parallel scans (default: one per processor, at least 4)", count(func(c *Config) *int { return &c.Workers })},
	{"KEYWARD_MAX_REPOSITORY_MB", "MAX_REPOSITORY_MB", "do not scan larger repositories (default 5000)", number(func(c *Config) *int64 { return &c.MaxRepository })},
	{"KEYWARD_CACHE_MB", "CACHE_MB", "disk space for copies of repositories (default 20000)", number(func(c *Config) *int64 { return &c.Cache })},
	{"KEYWARD_MAX_FILE_MB", "MAX_FILE_MB", "do not read larger files (default 100)", number(func(c *Config) *int64 { return &c.MaxFile })},
	{"KEYWARD_LOG_LEVEL", "LOG_LEVEL", "debug, info (default), warn or error", text(func(c *Config) *string { return &c.LogLevel })},
	{"KEYWARD_RETENTION", "", "how long findings without an issue, their locations and the records of checks are kept (default 9600h, 400 days)", text(func(c *Config) *string { return &c.Retention })},
	{"KEYWARD_SCAN_TIMEOUT", "SCAN_TIMEOUT", "time limit of one scan; after it the check fails and says so (default 15m)", text(func(c *Config) *string { return &c.ScanTimeout })},
	{"KEYWARD_WRITE_PAUSE", "", "pause between two writes of an installation to GitHub (default 1s)", text(func(c *Config) *string { return &c.WritePause })},
	{"KEYWARD_HEARTBEAT", "KEYWARD_BEAT", "interval of this process's heartbeat; after five missed heartbeats its jobs are requeued (default 3s)", text(func(c *Config) *string { return &c.Heartbeat })},
	{"KEYWARD_DRAIN", "DRAIN", "how long running jobs may continue after SIGTERM (default 30s)", text(func(c *Config) *string { return &c.Drain })},
}

// settingsHelp is the list of settings in the help text.
func settingsHelp() string {
	var b strings.Builder
	entry := func(name, help string) { fmt.Fprintf(&b, "  %s\n      %s\n", name, help) }
	entry(configVariable, "configuration file (default: keyward-app.toml in the data directory)")
	for _, s := range settings {
		entry(s.env, s.help)
	}
	b.WriteString("\nKeys of the configuration file:\n\n")
	line := " "
	for _, key := range configKeys() {
		if len(line)+len(key) > 76 {
			b.WriteString(line + "\n")
			line = " "
		}
		line += " " + key
	}
	b.WriteString(line + "\n")
	return b.String()
}

const configVariable = "KEYWARD_CONFIG"

// apply sets what the environment gives, and returns what is wrong with it. A secret
// that the environment gives in one way takes the place of the one that the file gives in
// another way.
func (c *Config) apply(getenv func(string) string) (bad []string) {
	given := map[string]string{}
	for _, s := range settings {
		v := strings.TrimSpace(getenv(s.env))
		if s.old != "" {
			old := strings.TrimSpace(getenv(s.old))
			switch {
			case old == "":
			case v == "":
				v = old
				c.renamed = append(c.renamed, s.old+" -> "+s.env)
			case v != old:
				bad = append(bad, fmt.Sprintf("%s and its old name %s have different values: unset %s", s.env, s.old, s.old))
			}
		}
		if v != "" {
			given[s.env] = v
		}
	}
	for _, s := range c.sources() {
		if slices.ContainsFunc(s.variables(), func(name string) bool { return given[name] != "" }) {
			*s.value, *s.file, *s.command = "", "", ""
		}
	}
	for _, s := range settings {
		if v := given[s.env]; v != "" {
			if err := s.set(c, v); err != nil {
				bad = append(bad, fmt.Sprintf("%s: invalid value: %v", s.env, err))
			}
		}
	}
	return bad
}

// elsewhere are variables that are not the server's and may be set beside it: those of
// the command keyward, of its hooks and its Action, and of the tests.
var elsewhere = []string{"KEYWARD_CHAINED", "KEYWARD_TOKEN", "KEYWARD_REPOSITORY", "KEYWARD_VERSION", "KEYWARD_REF", "KEYWARD_SOURCE", "KEYWARD_NPM", "KEYWARD_DESCRIPTIONS"}

var elsewherePrefixes = []string{"KEYWARD_ACTION_", "KEYWARD_TEST_"}

// serviceLink are the variables that Kubernetes puts into each pod for a service whose
// name begins with keyward, such as KEYWARD_APP_SERVICE_HOST and KEYWARD_APP_PORT.
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
var serviceLink = regexp.MustCompile(`^KEYWARD_([A-Z0-9_]+_)?(SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=|PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=)`)

// unknownVariables returns a line for each variable that looks like a setting and is none.
func unknownVariables(environ []string) (bad []string) {
	known := []string{configVariable}
	for _, s := range settings {
		known = append(known, s.env)
		if s.old != "" {
			known = append(known, s.old)
		}
	}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		ours := strings.HasPrefix(name, "KEYWARD_") && strings.TrimSpace(value) != ""
		if !ours || slices.Contains(known, name) || slices.Contains(elsewhere, name) || serviceLink.MatchString(kv) ||
			slices.ContainsFunc(elsewherePrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		bad = append(bad, fmt.Sprintf("%.80s: unknown variable%s", name, didYouMean(name, known)))
	}
	slices.Sort(bad)
	return bad
}

// didYouMean returns ", did you mean …?" for the name that is nearest to a wrong one, "" if
// none is near.
func didYouMean(wrong string, names []string) string {
	best, least := "", max(2, len(wrong)/5)+1
	for _, name := range names {
		if d := life.Distance(wrong, name); d < least {
			best, least = name, d
		}
	}
	if best == "" { // a word may be left out, such as GITHUB
		rest := strings.TrimPrefix(wrong, "KEYWARD")
		if i := slices.IndexFunc(names, func(name string) bool { return len(rest) > 3 && strings.HasSuffix(name, rest) }); i >= 0 {
			best = names[i]
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}
