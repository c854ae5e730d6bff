// Package verify asks providers whether a key is alive.
//
// It is used only where somebody asked for it: a check sends the key to its provider.
// What a request is, and which answers mean what, is data (checks.toml), each from the
// provider's documentation. A request changes nothing, goes to a host that the data names
// and to no other, over verified TLS, follows no redirect, and never has the key in its
// address. An answer that is not documented to mean anything is unknown, and unknown is
// never inactive.
package verify

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

//go:embed checks.toml
var builtin []byte

// A Check says how to ask a provider for keys of some rules.
type Check struct {
	Rules       []string          `toml:"rules"`
	Method      string            `toml:"method"` // GET if empty
	URL         string            `toml:"url"`
	Headers     map[string]string `toml:"headers"`
	Body        string            `toml:"body"`
	Active      []int             `toml:"active"` // statuses
	Inactive    []int             `toml:"inactive"`
	Elsewhere   bool              `toml:"elsewhere"` // such keys are of other hosts, too
	Field       Field             `toml:"field"`     // decides if the status says active
	Reason      Field             `toml:"reason"`    // decides whatever the status says
	Facts       map[string]string `toml:"facts"`     // name to its place in the answer
	KeptHeaders map[string]string `toml:"kept-headers"`
	Docs        string            `toml:"docs"`
	Prefixes    []string          `toml:"prefixes"` // keys that begin otherwise are not sent; none: all are
}

// A Field is a value in a JSON answer, and what it means.
type Field struct {
	Name     string   `toml:"name"` // dots lead into objects
	Active   []string `toml:"active"`
	Inactive []string `toml:"inactive"`
}

const placeholder = "{key}"

// takes reports whether the check is for keys that begin like this one.
func (c *Check) takes(key []byte) bool {
	return len(c.Prefixes) == 0 || slices.ContainsFunc(c.Prefixes, func(p string) bool { return bytes.HasPrefix(key, []byte(p)) })
}

// Host is where the check asks.
func (c *Check) Host() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Request says in words what is sent, without the key.
func (c *Check) Request() string { return c.method() + " " + c.URL }

func (c *Check) method() string {
	if c.Method == "" {
		return http.MethodGet
	}
	return c.Method
}

// valid returns what is wrong with a check.
func (c *Check) valid() error {
	u, err := url.Parse(c.URL)
	places := strings.Count(c.Body, placeholder)
	for _, v := range c.Headers {
		places += strings.Count(v, placeholder)
	}
	switch {
	case err != nil:
		return err
	case u.Scheme != "https" || u.Host == "" || u.User != nil:
		return errors.New("the address has to be https, with a host and no user")
	case strings.Contains(c.URL, "{"):
		return errors.New("the address must not hold the key: addresses are logged on the way")
	case places != 1:
		return fmt.Errorf("the key has to be sent once, not %d times", places)
	case c.method() != http.MethodGet && c.method() != http.MethodPost:
		return fmt.Errorf("%s may change something", c.Method)
	case len(c.Active) == 0 || len(c.Rules) == 0 || c.Docs == "":
		return errors.New("rules, active and docs are needed")
	case len(c.Inactive) == 0 && len(c.Reason.Inactive) == 0:
		return errors.New("no answer means inactive")
	}
	return nil
}

// Parse reads checks, and returns them by rule.
func Parse(data []byte) (map[string]*Check, error) {
	var file struct {
		Check []*Check `toml:"check"`
	}
	d := toml.NewDecoder(strings.NewReader(string(data))).DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("checks: %w", err)
	}
	byRule := map[string]*Check{}
	for _, c := range file.Check {
		if err := c.valid(); err != nil {
			return nil, fmt.Errorf("check of %s: %w", strings.Join(c.Rules, ", "), err)
		}
		for _, r := range c.Rules {
			if byRule[r] != nil {
				return nil, fmt.Errorf("rule %s has two checks", r)
			}
			byRule[r] = c
		}
	}
	return byRule, nil
}

// Builtin returns the checks that are built in, by rule.
var Builtin = sync.OnceValues(func() (map[string]*Check, error) { return Parse(builtin) })

// Moved returns checks of which those for one host ask another, at an address that ends
// with a slash: a company's own. Without TLS there, they are left out.
func Moved(checks map[string]*Check, host string, to *url.URL) map[string]*Check {
	out := make(map[string]*Check, len(checks))
	for rule, c := range checks {
		if c.Host() != host {
			out[rule] = c
			continue
		}
		moved := *c
		moved.URL = to.String() + strings.TrimPrefix(c.URL, "https://"+host+"/")
		if to.Scheme == "https" {
			out[rule] = &moved
		}
	}
	return out
}
