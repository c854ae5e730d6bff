package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/webhook"
)

// errSick says that a check of doctor failed, which was printed.
var errSick = errors.New("something is wrong: see above")

// A doctor looks at everything that the server needs, and says of each how it is.
type doctor struct {
	env  *Env
	sick bool
}

func newDoctor(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check the configuration, git, the database and the App on GitHub", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := env.config(c.Context(), true)
			if err != nil {
				return err
			}
			d := &doctor{env: env}
			from := cfg.file
			if from == "" {
				from = "the environment"
			}
			d.ok("configuration", from)
			d.git(c.Context())
			d.database(c.Context(), cfg)
			d.github(c.Context(), cfg)
			if d.sick {
				return errSick
			}
			return nil
		},
	}
}

func (d *doctor) say(mark, what, how string) {
	_, _ = fmt.Fprintf(d.env.Stdout, "%-5s %-14s %s\n", mark, what, how) // nowhere else to say it
}

func (d *doctor) ok(what, how string)  { d.say("ok", what, how) }
func (d *doctor) bad(what, how string) { d.sick = true; d.say("WRONG", what, how) }

var gitVersion = regexp.MustCompile(`(\d+)\.(\d+)`)

// git has to be there: 2.31 is the first that takes a token by the environment.
func (d *doctor) git(ctx context.Context) {
	cmd := exec.CommandContext(ctx, "git", "--version")
	cmd.Env = scan.Environment(os.DevNull)
	out, err := cmd.Output()
	if err != nil {
		d.bad("git", "is not installed, or does not run: the server fetches with it")
		return
	}
	v := gitVersion.FindStringSubmatch(string(out))
	if v != nil {
		major, _ := strconv.Atoi(v[1])
		minor, _ := strconv.Atoi(v[2])
		if major < 2 || major == 2 && minor < 31 {
			d.bad("git", v[0]+" is too old: 2.31 or later is needed")
			return
		}
	}
	d.ok("git", strings.TrimSpace(strings.TrimPrefix(string(out), "git version ")))
}

func (d *doctor) database(ctx context.Context, cfg *Config) {
	s, err := cfg.open(ctx)
	if err != nil {
		d.bad("database", err.Error())
		return
	}
	defer s.Close()
	states, err := s.JobStates(ctx)
	if err != nil {
		d.ok("database", cfg.databaseName()+", without tables yet: serve or migrate makes them")
		return
	}
	dead, waiting := 0, 0
	for k, n := range states {
		switch k[1] {
		case "discarded", "cancelled":
			dead += n
		case "available", "scheduled", "retryable", "running":
			waiting += n
		}
	}
	d.ok("database", cfg.databaseName())
	how := fmt.Sprintf("%d waiting, %d dead", waiting, dead)
	if dead > 0 {
		how += " (keyward-app redeliver --dead tries them again)"
	}
	d.ok("jobs", how)
	if h, err := s.Backfills(ctx); err == nil && len(h) > 0 {
		how := fmt.Sprintf("%d scanned, %d waiting, %d failed", h["done"], h["queued"], h["failed"])
		if h["failed"] > 0 {
			d.bad("histories", how+": the log says why (history not scanned)")
		} else {
			d.ok("histories", how)
		}
	}
}

func (d *doctor) github(ctx context.Context, cfg *Config) {
	app, err := cfg.app(nil, nil)
	if err != nil {
		d.bad("GitHub", err.Error())
		return
	}
	itself, res, err := app.Itself().Apps.Get(ctx, "")
	switch {
	case github.Status(err) == http.StatusUnauthorized:
		d.bad("GitHub", "does not accept the private key: is it that of the App with this id, and is the clock right?")
		return
	case err != nil:
		d.bad("GitHub", "can not be asked at "+cfg.api.String()+": "+plainError(err))
		return
	}
	d.ok("GitHub", fmt.Sprintf("signed in as %s (%s)", itself.GetSlug(), cfg.api))
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		if off := time.Since(at).Round(time.Second); off > 30*time.Second || off < -30*time.Second {
			d.bad("clock", fmt.Sprintf("differs from GitHub's by %s: tokens are refused when it is a minute", off))
		}
	}
	d.rights(itself)
	d.hook(ctx, app)
	d.installations(ctx, app)
}

// rights compares what the App may do with what the server needs.
func (d *doctor) rights(app *gh.App) {
	may := map[string]string{}
	p := app.GetPermissions()
	for name, v := range map[string]*string{"metadata": p.Metadata, "contents": p.Contents, "checks": p.Checks, "pull_requests": p.PullRequests, "issues": p.Issues, "members": p.Members} {
		if v != nil {
			may[name] = *v
		}
	}
	var lacks []string
	for name, want := range permissions("scan") {
		if name == "merge_queues" { // not told by this version of the library
			continue
		}
		if got := may[name]; got != want && got != "write" {
			lacks = append(lacks, name+": "+want)
		}
	}
	slices.Sort(lacks)
	if len(lacks) > 0 {
		d.bad("permissions", "the App lacks "+strings.Join(lacks, ", ")+": give it those in its settings, and have them accepted")
	} else {
		d.ok("permissions", "all that are needed")
	}
	var deaf []string
	for _, e := range webhook.Events() {
		if !slices.Contains(app.Events, e) {
			deaf = append(deaf, e)
		}
	}
	if len(deaf) > 0 {
		d.bad("events", "the App does not get "+strings.Join(deaf, ", ")+": subscribe to them in its settings")
	} else {
		d.ok("events", "all that are needed")
	}
}

func (d *doctor) hook(ctx context.Context, app *github.App) {
	hook, _, err := app.Itself().Apps.GetHookConfig(ctx)
	if err != nil {
		d.bad("webhook", "can not be looked up: "+plainError(err))
		return
	}
	switch {
	case hook.GetURL() == "":
		d.bad("webhook", "the App has none: set its address in the App's settings")
	case hook.GetInsecureSSL() == "1":
		d.bad("webhook", hook.GetURL()+": certificates are not verified: switch that on in the App's settings")
	default:
		d.ok("webhook", hook.GetURL())
	}
	list, _, err := app.Itself().Apps.ListHookDeliveries(ctx, &gh.ListCursorOptions{PerPage: 50})
	if err != nil {
		d.bad("deliveries", "can not be listed: "+plainError(err))
		return
	}
	failed := 0
	for _, one := range list {
		if code := one.GetStatusCode(); code < 200 || code > 299 {
			failed++
		}
	}
	if failed > 0 {
		d.bad("deliveries", fmt.Sprintf("%d of the last %d failed: is the server reachable there, with the same secret? (keyward-app redeliver asks for them again)", failed, len(list)))
		return
	}
	d.ok("deliveries", fmt.Sprintf("the last %d were taken", len(list)))
}

func (d *doctor) installations(ctx context.Context, app *github.App) {
	list, _, err := app.Itself().Apps.ListInstallations(ctx, &gh.ListOptions{PerPage: 100})
	if err != nil {
		d.bad("installations", "can not be listed: "+plainError(err))
		return
	}
	var names []string
	for _, i := range list {
		name := i.GetAccount().GetLogin()
		if i.SuspendedAt != nil {
			name += " (suspended)"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		d.ok("installations", "none yet: install the App from its page on GitHub")
		return
	}
	d.ok("installations", strings.Join(names, ", "))
}
