package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/report"
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
			d.issues(c.Context())
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
	sc, err := d.env.schema()
	if err == nil {
		err = s.CheckSchema(ctx, sc)
	}
	var old *store.TooOldError
	if errors.As(err, &old) {
		d.bad("database", d.cfg.databaseName()+": "+err.Error(), newerReleaseHints(old)...)
		return
	}
	states, err2 := s.JobStates(ctx)
	err = errors.Join(err, err2)
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

// issues lists the credentials that have no issue, and why.
func (d *doctor) issues(ctx context.Context) {
	s, err := d.cfg.open(ctx)
	if err != nil {
		return // the check of the database says why
	}
	defer func() { _ = s.Close() }() // nothing was written
	all, err := s.Installations(ctx)
	if err != nil {
		return
	}
	for i := range all {
		none, err := s.Unissued(ctx, all[i].ID)
		if err != nil {
			return
		}
		for _, why := range slices.Sorted(maps.Keys(none)) {
			d.bad("issues", fmt.Sprintf("%s: no issue for %s: %s", all[i].Account, report.Count(none[why], "credential"), why), "fix the cause; Keyward retries within an hour")
		}
	}
}
