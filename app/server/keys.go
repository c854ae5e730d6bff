package server

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
	"github.com/keyward/keyward/scanner/rules"
)

// An entry is a key in the register.
type entry struct {
	Alias       string     `json:"alias"`
	Fingerprint string     `json:"fingerprint"` // keyed: nothing can be told from it
	Account     string     `json:"account"`
	Kind        string     `json:"kind"` // the rule
	Title       string     `json:"title"`
	Class       string     `json:"class"`
	Tier        string     `json:"tier"`
	Severity    string     `json:"severity"`
	State       string     `json:"state"`
	Due         *time.Time `json:"due,omitempty"`
	Owner       string     `json:"owner,omitempty"`
	Validity    string     `json:"validity"`
	Expires     *time.Time `json:"expires,omitempty"`
	Detected    time.Time  `json:"detected"`
	FirstSeen   *time.Time `json:"first_seen,omitempty"` // the commit that first brought it
	LastSeen    *time.Time `json:"last_seen,omitempty"`
	PublicSince *time.Time `json:"public_since,omitempty"`
	Redacted    string     `json:"redacted"`
	Issue       string     `json:"issue,omitempty"`
	Note        string     `json:"note,omitempty"`
	Facts       []fact     `json:"facts,omitempty"` // what the key shows of itself, and its provider tells
	Places      []place    `json:"places"`

	installation int64
}

type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type place struct {
	Repository string `json:"repository"`
	Path       string `json:"path"`
	Line       int    `json:"line"`
	Commit     string `json:"commit,omitempty"`
}

func newKeys(env *Env) *cobra.Command {
	keys := &cobra.Command{Use: "keys", Short: "The register of every key that the App has seen", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	var states []string
	var account string
	list := &cobra.Command{
		Use: "list", Short: "One line for each key, the riskiest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return env.register(c.Context(), account, states, func(all []entry) error { return env.table(all) })
		},
	}
	show := &cobra.Command{
		Use: "show KEY", Short: "All that is known of a key, named by its alias (KW-…) or the beginning of its fingerprint", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return env.show(c.Context(), args[0]) },
	}
	var format string
	export := &cobra.Command{
		Use: "export", Short: "All keys with all that is known, as CSV or JSON", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			write, ok := map[string]func([]entry) error{"csv": env.csv, "json": env.json}[format]
			if !ok {
				return hint(fmt.Errorf("unknown format %q", format), "use csv or json")
			}
			return env.register(c.Context(), account, states, write)
		},
	}
	for _, c := range []*cobra.Command{list, export} {
		c.Flags().StringSliceVar(&states, "state", nil, "only keys in these states, such as open,rotating")
		c.Flags().StringVar(&account, "account", "", "only keys of this organisation or user")
	}
	export.Flags().StringVarP(&format, "format", "f", "csv", "csv or json")
	keys.AddCommand(list, show, export)
	return keys
}

// register calls write with the keys that are asked for.
func (env *Env) register(ctx context.Context, account string, states []string, write func([]entry) error) error {
	for _, name := range states {
		known := []string{string(store.StateHeld), string(store.StateQuiet)}
		for _, s := range life.States() {
			known = append(known, string(s))
		}
		if !slices.Contains(known, name) {
			return hint(fmt.Errorf("--state: there is no state %q", name), "there are "+strings.Join(known, ", "))
		}
	}
	return env.reading(ctx, func(s *store.Store, _ *Config) error {
		all, err := entries(ctx, s)
		if err != nil {
			return err
		}
		return write(slices.DeleteFunc(all, func(e entry) bool {
			return account != "" && !strings.EqualFold(e.Account, account) || len(states) > 0 && !slices.Contains(states, e.State)
		}))
	})
}

// reading opens the database, brings it up to date, and closes it after fn.
func (env *Env) reading(ctx context.Context, fn func(*store.Store, *Config) error) error {
	cfg, err := env.config(ctx, false)
	if err != nil {
		return err
	}
	if _, err := os.Stat(cfg.Database); errors.Is(err, fs.ErrNotExist) && !store.Postgres(cfg.Database) && !strings.Contains(cfg.Database, "://") {
		return hint(fmt.Errorf("open database %s: no such file", cfg.Database), "KEYWARD_DATABASE_URL or KEYWARD_DATA says where it is; keyward-app serve creates it")
	}
	s, err := cfg.open(ctx)
	if err != nil {
		return err
	}
	if _, err = env.migrateStore(ctx, s); err == nil {
		err = fn(s, cfg)
	}
	return errors.Join(err, s.Close())
}

// entries reads the register.
func entries(ctx context.Context, s *store.Store) (out []entry, err error) {
	byID, err := rules.ByID()
	if err != nil {
		return nil, err
	}
	installations, err := s.Installations(ctx)
	if err != nil {
		return nil, err
	}
	for i := range installations {
		more, err := ofInstallation(ctx, s, &installations[i], byID)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func ofInstallation(ctx context.Context, s *store.Store, inst *store.Installation, byID map[string]*scanner.Rule) (out []entry, err error) {
	creds, err := s.Credentials(ctx, inst.ID, store.States()...)
	if err != nil {
		return nil, err
	}
	courses, err := s.Courses(ctx, inst.ID)
	if err != nil {
		return nil, err
	}
	issues, err := s.Rotations(ctx, inst.ID)
	if err != nil {
		return nil, err
	}
	repositories, err := s.Repositories(ctx, inst.ID)
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, r := range repositories {
		names[r.ID] = r.FullName()
	}
	courseOf, issueOf := map[string]*store.Course{}, map[string]*store.Rotation{}
	for i := range courses {
		courseOf[courses[i].Fingerprint] = &courses[i]
	}
	for _, r := range issues {
		issueOf[r.Fingerprint] = r
	}
	for _, short := range creds {
		c, err := s.Credential(ctx, inst.ID, short.Fingerprint)
		if err != nil {
			return nil, err
		}
		e := entryOf(c, inst, byID[c.Rule], names)
		if course := courseOf[c.Fingerprint]; course != nil && (c.State == store.StateOpen || c.State == store.StateDismissed) {
			l, err := rotation.Life(course)
			if err != nil {
				return nil, err
			}
			e.State, e.Due, e.Validity = course.State, moment(course.Due), string(l.Validity)
		}
		if r := issueOf[c.Fingerprint]; r != nil && r.Number != 0 {
			e.Owner, e.Issue = r.Owner, fmt.Sprintf("%s#%d", r.Repository, r.Number)
		}
		out = append(out, e)
	}
	return out, nil
}

func entryOf(c *store.Credential, inst *store.Installation, rule *scanner.Rule, names map[int64]string) entry {
	e := entry{
		Alias: report.Alias(c.Fingerprint), Fingerprint: c.Fingerprint, Account: inst.Account, Kind: c.Rule, Title: c.Rule, Severity: string(c.Severity),
		State: string(c.State), Validity: "unknown", Expires: moment(c.Expires), Detected: c.Detected, FirstSeen: moment(c.FirstAt), PublicSince: moment(c.PublicSince),
		Redacted: c.Redacted, Note: c.Note, Places: []place{}, installation: inst.ID,
	}
	if c.State == store.StateDismissed {
		e.State = "false-positive"
	}
	if rule != nil { // else it is of a policy
		e.Title, e.Class, e.Tier = rule.Title, string(rule.Class), string(rule.Tier)
	}
	for _, f := range c.Facts {
		e.Facts = append(e.Facts, fact(f))
	}
	var last time.Time
	for _, p := range c.Places {
		e.Places = append(e.Places, place{names[p.Repository], p.Path, p.Line, p.Commit})
		if p.Seen.After(last) {
			last = p.Seen
		}
	}
	e.LastSeen = moment(last)
	return e
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// when is a time for people, "" for none.
func when(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// table writes a line for each key.
func (env *Env) table(all []entry) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(env.Stdout, "no keys")
		return err
	}
	var buf bytes.Buffer
	w := tabwriter.NewWriter(&buf, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tSEVERITY\tSTATE\tDUE (UTC)\tKIND")
	for i := range all {
		e := &all[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Alias, e.Severity, e.State, when(e.Due), e.Kind)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	noun := "keys"
	if len(all) == 1 {
		noun = "key"
	}
	fmt.Fprintf(&buf, "\n%d %s; keyward-app keys show KEY tells more of one\n", len(all), noun)
	_, err := env.Stdout.Write(buf.Bytes())
	return err
}

// show writes all that is known of a key, and what has happened to it.
func (env *Env) show(ctx context.Context, name string) error {
	return env.reading(ctx, func(s *store.Store, _ *Config) error {
		found, err := named(ctx, s, name)
		if err != nil {
			return err
		}
		for i := range found {
			if err := env.one(ctx, s, &found[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// named returns the keys of an alias, or whose fingerprints begin so. There is one at
// least: several installations may have the same.
func named(ctx context.Context, s *store.Store, name string) ([]entry, error) {
	all, err := entries(ctx, s)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(e entry) bool {
		return !strings.EqualFold(e.Alias, name) && (len(name) < 6 || !strings.HasPrefix(e.Fingerprint, strings.ToLower(name)))
	})
	if len(found) == 0 {
		return nil, hint(fmt.Errorf("there is no key %q", name), "keyward-app keys list shows them; of a fingerprint at least 6 digits are needed")
	}
	return found, nil
}

func (env *Env) one(ctx context.Context, s *store.Store, e *entry) error {
	var buf bytes.Buffer
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&buf, "%-12s %s\n", name, value)
		}
	}
	row("Key", e.Alias+"  "+e.Redacted)
	row("Fingerprint", e.Fingerprint)
	row("Kind", e.Title+" ("+e.Kind+")")
	row("Class", strings.TrimSpace(e.Class+" "+e.Tier))
	row("Severity", e.Severity)
	row("State", e.State)
	row("Due", when(e.Due))
	row("Owner", e.Owner)
	row("Validity", e.Validity)
	row("Expires", when(e.Expires))
	row("Detected", when(&e.Detected))
	row("First seen", when(e.FirstSeen))
	row("Last seen", when(e.LastSeen))
	row("Public", when(e.PublicSince))
	row("Issue", e.Issue)
	row("Note", e.Note)
	for _, f := range e.Facts {
		row("Fact", f.Name+": "+f.Value)
	}
	for _, p := range e.Places {
		row("Place", fmt.Sprintf("%s %s:%d", p.Repository, p.Path, p.Line))
	}
	err := s.Ledger(ctx, e.installation, e.Fingerprint, func(r store.Record) error {
		step := r.To
		if r.From != "" && r.From != r.To {
			step = r.From + " -> " + r.To
		}
		row("Ledger", fmt.Sprintf("%d  %s  %s by %s: %s; %s", r.Seq, when(&r.At), r.Event, r.Actor, step, r.Detail))
		return nil
	})
	if err != nil {
		return err
	}
	buf.WriteString("\n")
	_, err = env.Stdout.Write(buf.Bytes())
	return err
}

func (env *Env) json(all []entry) error { return env.writeJSON(all) }

func (env *Env) writeJSON(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = env.Stdout.Write(append(data, '\n'))
	}
	return err
}

// csv writes RFC 4180, with one line for each key.
func (env *Env) csv(all []entry) error {
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.UseCRLF = true
	_ = w.Write([]string{"alias", "fingerprint", "account", "kind", "title", "class", "tier", "severity", "state", "due", "owner", "validity", "expires", "detected",
		"first_seen", "last_seen", "public_since", "redacted", "issue", "note", "facts", "places"}) // a buffer does not fail; Flush would tell
	for i := range all {
		e := &all[i]
		var places []string
		for _, p := range e.Places {
			places = append(places, fmt.Sprintf("%s %s:%d", p.Repository, p.Path, p.Line))
		}
		var facts []string
		for _, f := range e.Facts {
			facts = append(facts, f.Name+": "+f.Value)
		}
		row := []string{e.Alias, e.Fingerprint, e.Account, e.Kind, e.Title, e.Class, e.Tier, e.Severity, e.State, when(e.Due), e.Owner, e.Validity, when(e.Expires), when(&e.Detected),
			when(e.FirstSeen), when(e.LastSeen), when(e.PublicSince), e.Redacted, e.Issue, e.Note, strings.Join(facts, "; "), strings.Join(places, "; ")}
		for j := range row {
			row[j] = noFormula(row[j])
		}
		_ = w.Write(row)
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	_, err := env.Stdout.Write(buf.Bytes())
	return err
}

// noFormula keeps a spreadsheet from taking a value for a formula: repositories and paths
// are named by strangers. https://owasp.org/www-community/attacks/CSV_Injection
func noFormula(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
