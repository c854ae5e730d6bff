package server

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
)

// errSick says that a check of doctor failed, which was printed.
var errSick = errors.New("at least one check failed: see above")

// A doctor checks all that the server needs. Of each check that fails it prints the cause
// and the next step.
type doctor struct {
	env  *Env
	cfg  *Config
	sick bool
}

func newDoctor(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check the configuration, git, the database and the App on GitHub", Args: cobra.NoArgs,
		Long: "Doctor checks the configuration, git, the disk, the database and the App on GitHub. It prints the cause\nand the next step for each check that fails. Exit codes: 0 all checks passed, 2 a check failed.",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := env.config(c.Context(), true)
			if err != nil {
				return err
			}
			d := &doctor{env: env, cfg: cfg}
			from := cfg.file
			if from == "" {
				from = "from the environment"
			}
			d.ok("configuration", from)
			d.git(c.Context())
			d.disk()
			d.certificate()
			d.database(c.Context())
			d.github(c.Context())
			if d.sick {
				return errSick
			}
			return nil
		},
	}
}

// say prints one line, or several of which the first has the mark.
func (d *doctor) say(mark, what, how string, next ...string) {
	_, _ = fmt.Fprintf(d.env.Stdout, "%-5s %-14s %s\n", mark, what, oneLine(how)) // nowhere else to say it
	for _, step := range next {
		_, _ = fmt.Fprintf(d.env.Stdout, "%-5s %-14s next: %s\n", "", "", oneLine(step)) // the same
	}
}

func (d *doctor) ok(what, how string) { d.say("ok", what, how) }

func (d *doctor) bad(what, why string, next ...string) {
	d.sick = true
	d.say("WRONG", what, why, next...)
}

var gitVersion = regexp.MustCompile(`(\d+)\.(\d+)`)

// git has to be there: 2.31 is the first that takes a token by the environment.
func (d *doctor) git(ctx context.Context) {
	const next = "install git 2.31 or later, and put it on the PATH of the user that runs keyward-app"
	cmd := exec.CommandContext(ctx, "git", "--version")
	cmd.Env = scan.Environment(os.DevNull)
	out, err := cmd.Output()
	if err != nil {
		d.bad("git", "git --version failed: "+cause(err), next)
		return
	}
	v := gitVersion.FindStringSubmatch(string(out))
	if v != nil {
		major, _ := strconv.Atoi(v[1])
		minor, _ := strconv.Atoi(v[2])
		if major < 2 || major == 2 && minor < 31 {
			d.bad("git", v[0]+" is too old", next)
			return
		}
	}
	d.ok("git", strings.TrimSpace(strings.TrimPrefix(string(out), "git version ")))
}

// disk checks where the server writes.
func (d *doctor) disk() {
	dirs := []string{d.cfg.DataDir}
	if dir := filepath.Dir(d.cfg.Database); !store.Postgres(d.cfg.Database) && dir != filepath.Clean(d.cfg.DataDir) {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = writable(dir, leastFree)
		}
		if err != nil {
			d.bad("disk", err.Error(), "make the directory writable for this user and free space, or set another one: KEYWARD_DATA, KEYWARD_DATABASE_URL")
			continue
		}
		d.ok("disk", dir+" is writable")
	}
}

func (d *doctor) certificate() {
	if d.cfg.TLSCert == "" {
		return
	}
	const next = "renew the certificate: keyward-app serve loads the new files without a restart"
	c, err := newCertificate(d.cfg.TLSCert, d.cfg.TLSKey, nil)
	if err != nil {
		d.bad("certificate", err.Error(), "KEYWARD_TLS_CERT_FILE has to hold the certificate chain, KEYWARD_TLS_KEY_FILE the matching key, both PEM")
		return
	}
	left := time.Until(c.current.Leaf.NotAfter)
	day := c.current.Leaf.NotAfter.UTC().Format(time.DateOnly)
	if left <= 0 {
		d.bad("certificate", d.cfg.TLSCert+" expired on "+day, next)
		return
	}
	d.ok("certificate", d.cfg.TLSCert+" expires on "+day)
}

func (d *doctor) database(ctx context.Context) {
	s, err := d.cfg.open(ctx)
	if err != nil {
		var h *hinted
		next := []string{"check KEYWARD_DATABASE_URL, and that the database runs and accepts connections from here"}
		if errors.As(err, &h) {
			next = h.hints
		}
		d.bad("database", d.cfg.databaseName()+": "+err.Error(), next...)
		return
	}
	defer s.Close()
	states, err := s.JobStates(ctx)
	switch {
	case noTable(err):
		d.ok("database", d.cfg.databaseName()+", empty: serve or migrate creates the tables")
		return
	case err != nil:
		d.bad("database", d.cfg.databaseName()+": "+err.Error(), "the user of KEYWARD_DATABASE_URL has to own the tables: keyward-app migrate says what is missing")
		return
	}
	d.ok("database", d.cfg.databaseName())
	d.jobs(states)
	if h, err := s.Backfills(ctx); err == nil && len(h) > 0 {
		how := fmt.Sprintf("%d scanned, %d waiting, %d failed", h["done"], h["queued"], h["failed"])
		if h["failed"] > 0 {
			d.bad("histories", how, "the log of keyward-app serve has the repository and the cause of each")
		} else {
			d.ok("histories", how)
		}
	}
}

// noTable reports whether a query failed because the database was never migrated.
func noTable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "42P01" // undefined_table
	}
	return err != nil && strings.Contains(err.Error(), "no such table") // SQLite has no code for it
}

// jobs prints how many jobs wait, and of which kinds the dead ones are.
func (d *doctor) jobs(states map[[2]string]int) {
	waiting, dead, of := 0, 0, map[string]int{}
	for k, n := range states {
		switch k[1] {
		case "discarded", "cancelled":
			dead += n
			of[k[0]] += n
		case "available", "scheduled", "retryable", "running":
			waiting += n
		}
	}
	how := fmt.Sprintf("%d waiting, %d dead", waiting, dead)
	if dead == 0 {
		d.ok("jobs", how)
		return
	}
	d.say("ok", "jobs", how+" ("+counts(of)+")", "the log of keyward-app serve has the cause of each; keyward-app redeliver --dead tries them again")
}

// counts is such as "2 scan, 1 issue".
func counts(of map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d %s", of[name], name))
	}
	return strings.Join(parts, ", ")
}

func (d *doctor) github(ctx context.Context) {
	app, err := d.cfg.app(nil, nil)
	if err != nil {
		d.bad("GitHub", err.Error(), "check KEYWARD_GITHUB_APP_PRIVATE_KEY")
		return
	}
	itself, res, err := app.Itself().Apps.Get(ctx, "")
	if err != nil {
		d.signIn(err)
		return
	}
	d.ok("GitHub", fmt.Sprintf("signed in as %s (%s)", itself.GetSlug(), d.cfg.api))
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		if off := time.Since(at).Round(time.Second); off > 30*time.Second || off < -30*time.Second {
			d.bad("clock", fmt.Sprintf("differs from GitHub's by %s: GitHub refuses tokens from one minute on", off), "synchronise the clock of this machine, such as with chrony or systemd-timesyncd")
		}
	}
	settings := d.settings(itself)
	d.rights(itself, settings)
	d.hook(ctx, app, settings)
	d.installations(ctx, app)
}

// settings is the address of the App's settings.
func (d *doctor) settings(app *gh.App) string {
	if app.GetOwner().GetType() == "Organization" {
		return d.cfg.GitHubURL + "/organizations/" + app.GetOwner().GetLogin() + "/settings/apps/" + app.GetSlug()
	}
	return d.cfg.GitHubURL + "/settings/apps/" + app.GetSlug()
}

// signIn prints why the App cannot sign in.
func (d *doctor) signIn(err error) {
	at := d.cfg.api.String()
	switch status := github.Status(err); {
	case status == http.StatusUnauthorized:
		d.bad("GitHub", at+" does not accept the private key: "+cause(err), fmt.Sprintf("check that the key belongs to the App with id %d (KEYWARD_GITHUB_APP_ID), and that the clock of this machine is right", d.cfg.AppID),
			"if the key was deleted on GitHub, create a new one in the App's settings")
	case status == http.StatusNotFound:
		d.bad("GitHub", fmt.Sprintf("%s knows no App with id %d: %s", at, d.cfg.AppID, cause(err)), "check KEYWARD_GITHUB_APP_ID, KEYWARD_GITHUB_URL and KEYWARD_GITHUB_API_URL")
	default:
		d.bad("GitHub", "no sign-in at "+at+": "+cause(err), next(err))
	}
}

// oneLine is a text without line breaks, cut to a length that people read.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 500 {
		s = string(r[:500]) + "…"
	}
	return s
}

// cause is why a request or a command failed, without its address, which may hold a code.
func cause(err error) string {
	var res *gh.ErrorResponse
	var u *url.Error
	var primary *gh.RateLimitError
	var secondary *gh.AbuseRateLimitError
	switch {
	case errors.As(err, &primary), errors.As(err, &secondary):
		return "GitHub's rate limit is used up"
	case errors.As(err, &res) && res.Response != nil:
		return oneLine(fmt.Sprintf("GitHub answered %d %s", res.Response.StatusCode, res.Message))
	case errors.As(err, &u) && u.Timeout():
		return "no answer in time"
	case errors.As(err, &u):
		err = u.Err
	}
	return oneLine(err.Error())
}

// next is what to do about a request to GitHub that failed.
func next(err error) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case github.Status(err) == http.StatusForbidden || github.Status(err) == http.StatusNotFound:
		return "check the App's permissions in its settings on GitHub"
	case github.Status(err) != 0:
		return "try again later; https://www.githubstatus.com shows outages"
	case errors.As(err, &dns):
		return "check the name in KEYWARD_GITHUB_API_URL, and the DNS of this machine"
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &host):
		return "if a proxy or a GitHub Enterprise Server has its own certificate authority, set SSL_CERT_FILE to it (and GIT_SSL_CAINFO for git)"
	}
	return "check KEYWARD_GITHUB_API_URL, the firewall, and the proxy (https_proxy, no_proxy)"
}

// lacking returns the permissions that the server needs and p does not have.
func lacking(p *gh.InstallationPermissions) (lacks []string) {
	have := map[string]string{}
	if text, err := json.Marshal(p); err == nil {
		_ = json.Unmarshal(text, &have) // all its fields are strings
	}
	for name, want := range permissions("scan") {
		if name == "merge_queues" { // this version of the library does not read it
			continue
		}
		if got := have[name]; got != want && got != "write" {
			lacks = append(lacks, name+": "+want)
		}
	}
	slices.Sort(lacks)
	return lacks
}

// rights compares the App's permissions and events with those that the server needs.
func (d *doctor) rights(app *gh.App, settings string) {
	if lacks := lacking(app.GetPermissions()); len(lacks) > 0 {
		d.bad("permissions", "the App lacks "+strings.Join(lacks, ", "), "add them at "+settings+"/permissions; then an owner of each organisation has to accept the request")
	} else {
		d.ok("permissions", "the App has all that scanning needs")
	}
	var missing []string
	for _, e := range webhook.Events() {
		if !slices.Contains(app.Events, e) {
			missing = append(missing, e)
		}
	}
	if len(missing) > 0 {
		d.bad("events", "the App does not receive "+strings.Join(missing, ", "), "subscribe to them at "+settings+"/permissions")
	} else {
		d.ok("events", "the App receives all that it needs")
	}
}

func (d *doctor) hook(ctx context.Context, app *github.App, settings string) {
	hook, _, err := app.Itself().Apps.GetHookConfig(ctx)
	if err != nil {
		d.bad("webhook", "cannot read its configuration: "+cause(err), next(err))
		return
	}
	switch {
	case hook.GetURL() == "":
		d.bad("webhook", "the App has no webhook address", "set it at "+settings+": the address at which GitHub reaches keyward-app serve, ending in /webhook")
	case hook.GetInsecureSSL() == "1":
		d.bad("webhook", hook.GetURL()+": GitHub does not verify its certificate", "enable SSL verification at "+settings)
	default:
		d.ok("webhook", hook.GetURL())
	}
	list, _, err := app.Itself().Apps.ListHookDeliveries(ctx, &gh.ListCursorOptions{PerPage: 50})
	if err != nil {
		d.bad("deliveries", "cannot list them: "+cause(err), next(err))
		return
	}
	d.deliveries(list)
}

// deliveries prints how many deliveries failed, and why.
func (d *doctor) deliveries(list []*gh.HookDelivery) {
	failed, codes := 0, map[int]bool{}
	why := map[string]int{}
	for _, one := range list {
		if code := one.GetStatusCode(); code < 200 || code > 299 {
			failed++
			codes[code] = true
			why[fmt.Sprintf("× %d %s", code, one.GetStatus())]++
		}
	}
	if failed == 0 {
		d.ok("deliveries", fmt.Sprintf("the last %d succeeded", len(list)))
		return
	}
	var steps []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		if step := afterStatus(code); !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	d.bad("deliveries", fmt.Sprintf("%d of the last %d failed: %s", failed, len(list), counts(why)), append(steps, "then run keyward-app redeliver, which asks GitHub for them again")...)
}

// afterStatus is what to do about a delivery that was answered with a status.
func afterStatus(code int) string {
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Sprintf("%d: the webhook secret on GitHub differs from KEYWARD_GITHUB_WEBHOOK_SECRET, or a proxy refuses the request", code)
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return fmt.Sprintf("%d: the webhook's address has to lead to /webhook of keyward-app serve", code)
	case code >= 500 && code != http.StatusGatewayTimeout && code != http.StatusBadGateway:
		return fmt.Sprintf("%d: the server could not store the delivery: its log has the cause", code)
	case code >= 300 && code < 500 && code != 0:
		return fmt.Sprintf("%d: the log of keyward-app serve has the cause, if the request reached it", code)
	}
	return "GitHub did not reach the server: check that it runs, its DNS name, its certificate, the proxy and the firewall"
}

func (d *doctor) installations(ctx context.Context, app *github.App) {
	list, _, err := app.Itself().Apps.ListInstallations(ctx, &gh.ListOptions{PerPage: 100})
	if err != nil {
		d.bad("installations", "cannot list them: "+cause(err), next(err))
		return
	}
	var names []string
	for _, i := range list {
		name := i.GetAccount().GetLogin()
		if i.SuspendedAt != nil {
			names = append(names, name+" (suspended)")
			continue
		}
		names = append(names, name)
		if lacks := lacking(i.Permissions); len(lacks) > 0 {
			d.bad("installations", name+" has not accepted "+strings.Join(lacks, ", "), "an owner of "+name+" has to accept the request at "+i.GetHTMLURL())
		}
	}
	if len(names) == 0 {
		d.say("ok", "installations", "none yet", "install the App from its page on GitHub")
		return
	}
	d.ok("installations", strings.Join(names, ", "))
}
