package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/keyward/keyward/scanner"
)

// App is the policy file's table [app]: what the App does with the keys that it
// finds in the repository. The command reads it for its mistakes only. The zero
// value is the default.
type App struct {
	FailOn  string `json:"FailOn"`  // the least severity that fails a check: critical, high, medium, low or none; "" means low
	Issues  string `json:"Issues"`  // the least severity that gets a rotation issue, or none; "" means low
	Tracker string `json:"Tracker"` // owner/name of the private repository in which issues are opened, "" for the repository itself
	Public  bool   `json:"Public"`  // issues may be opened in a public repository
	Default string `json:"Default"` // login of who owns a key that nobody else owns
	// Due is how long after a key was found it has to be revoked, by severity.
	Due map[scanner.Severity]time.Duration `json:"Due"`
	// BusinessHours says that weekends do not count, but for keys that are known to work.
	BusinessHours bool     `json:"BusinessHours"`
	Approvers     []string `json:"Approvers"` // logins of who may accept a risk; none means admins of the repository
	// Team, Security and Owners are mentioned when a key is overdue, when it has taken
	// half again its time, and twice its time: logins or owner/team.
	Team     string `json:"Team"`
	Security string `json:"Security"`
	Owners   string `json:"Owners"`
	// Observe says that checks of the App end neutral where they would fail.
	Observe Observe `json:"Observe"`
}

// Observe is a trial: checks report what they find, and block nothing. Issues are opened
// as ever. The zero value enforces.
type Observe struct {
	On    bool      `json:"On"`
	Until time.Time `json:"Until"` // the last day, by UTC, or zero for no end
}

// At reports whether checks that end at a time are only observed.
func (o Observe) At(now time.Time) bool {
	return o.On && (o.Until.IsZero() || now.Before(o.Until.AddDate(0, 0, 1)))
}

// ParseObserve reads true, false, or the last day of the trial. Nil is false.
func ParseObserve(v any) (Observe, error) {
	switch v := v.(type) {
	case nil:
		return Observe{}, nil
	case bool:
		return Observe{On: v}, nil
	case toml.LocalDate:
		return Observe{On: true, Until: v.AsTime(time.UTC)}, nil
	case string:
		if on, err := strconv.ParseBool(v); err == nil {
			return Observe{On: on}, nil
		}
		if day, err := time.Parse(time.DateOnly, v); err == nil {
			return Observe{On: true, Until: day}, nil
		}
	}
	return Observe{}, errors.New("expected true, false, or a date such as 2027-01-31")
}

type tomlApp struct {
	FailOn          string            `toml:"fail-on"`
	Issues          string            `toml:"issues"`
	Tracker         string            `toml:"tracker"`
	PublicIssues    bool              `toml:"public-issues"`
	DefaultAssignee string            `toml:"default-assignee"`
	Due             map[string]string `toml:"due"`
	BusinessHours   bool              `toml:"business-hours"`
	Approvers       []string          `toml:"risk-approvers"`
	Team            string            `toml:"team"`
	Security        string            `toml:"security-contact"`
	Owners          string            `toml:"organisation-owners"`
	Observe         bool              `toml:"observe"`
	ObserveUntil    any               `toml:"observe-until"`
}

// maxApprovers is how many people a policy may name.
const maxApprovers = 50

var (
	fullName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`)
	login    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
)

// app checks the table and returns all that is wrong with it at once.
func (t *tomlApp) app() (App, error) {
	a := App{FailOn: t.FailOn, Issues: t.Issues, Tracker: t.Tracker, Public: t.PublicIssues, Default: strings.TrimPrefix(t.DefaultAssignee, "@"), Due: map[scanner.Severity]time.Duration{}, BusinessHours: t.BusinessHours}
	var bad []string
	for _, who := range t.Approvers {
		if who = strings.TrimPrefix(who, "@"); !login.MatchString(who) || len(a.Approvers) == maxApprovers {
			bad = append(bad, fmt.Sprintf("risk-approvers: %q is no login, or there are more than %d", who, maxApprovers))
			break
		}
		a.Approvers = append(a.Approvers, who)
	}
	for _, m := range []struct {
		name, value string
		to          *string
	}{{"team", t.Team, &a.Team}, {"security-contact", t.Security, &a.Security}, {"organisation-owners", t.Owners, &a.Owners}} {
		if *m.to = strings.TrimPrefix(m.value, "@"); *m.to != "" && !login.MatchString(*m.to) && !fullName.MatchString(*m.to) {
			bad = append(bad, fmt.Sprintf("%s = %q is neither a login nor owner/team", m.name, m.value))
		}
	}
	for name, v := range map[string]string{"fail-on": a.FailOn, "issues": a.Issues} {
		if _, err := scanner.ParseSeverity(v); err != nil && v != "" && v != "none" {
			bad = append(bad, fmt.Sprintf("%s = %q is not one of critical, high, medium, low, none", name, v))
		}
	}
	if a.Tracker != "" && !fullName.MatchString(a.Tracker) {
		bad = append(bad, fmt.Sprintf("tracker = %q is not of the form owner/name", a.Tracker))
	}
	if a.Default != "" && !login.MatchString(a.Default) {
		bad = append(bad, fmt.Sprintf("default-assignee = %q is no login", a.Default))
	}
	for name, text := range t.Due {
		d, err := time.ParseDuration(text)
		severity, unknown := scanner.ParseSeverity(name)
		switch {
		case unknown != nil:
			bad = append(bad, fmt.Sprintf("due.%s: want one of critical, high, medium, low", name))
		case err != nil || d < time.Hour:
			bad = append(bad, fmt.Sprintf("due.%s = %q: want a time of an hour or more, such as 72h", name, text))
		default:
			a.Due[severity] = d
		}
	}
	var err error
	if a.Observe, err = t.observe(); err != nil {
		bad = append(bad, err.Error())
	}
	slices.Sort(bad)
	if len(bad) > 0 {
		return App{}, fmt.Errorf("[app]: %s", strings.Join(bad, "; "))
	}
	return a, nil
}

// observe reads the trial. A date without observe = true would end what never began.
func (t *tomlApp) observe() (Observe, error) {
	if t.ObserveUntil == nil {
		return Observe{On: t.Observe}, nil
	}
	if !t.Observe {
		return Observe{}, errors.New("observe-until needs observe = true")
	}
	o, err := ParseObserve(t.ObserveUntil)
	if err != nil || o.Until.IsZero() {
		return Observe{}, fmt.Errorf("observe-until = %.40q is no date: write 2027-01-31", fmt.Sprint(t.ObserveUntil))
	}
	return o, nil
}
