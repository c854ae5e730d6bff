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
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/webhook"
)

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
		if name == "merge_queues" || name == "discussions" { // this version of the library does not read them
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
