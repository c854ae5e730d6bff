// Package verify asks providers whether a credential is alive, and has them revoke it.
//
// It is used only where somebody asked for it: a check sends the credential to its
// provider. What a request is, and what each documented answer means, is data (checks/,
// one TOML file per issuer), with the source of every answer. A request changes nothing,
// goes to a host that the data names and to no other, over verified TLS, follows no
// redirect, and never has the credential in its address.
//
// An answer that is not documented is unknown, and unknown is never inactive. Where the
// provider documents the body that goes with a refusal, the status alone proves nothing:
// live credentials get the same status for a scope, a region or an address that is not
// allowed. And nothing is inactive, or active, unless a random look-alike was answered as
// the provider documents it for a credential that was never issued.
package verify

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

//go:embed checks/*.toml
var builtin embed.FS

// A Check says how to ask a provider for credentials of some rules.
type Check struct {
	Rules     []string          `toml:"rules"`
	Prefixes  []string          `toml:"prefixes"` // credentials that begin otherwise are not sent; none: all are
	Method    string            `toml:"method"`   // GET if empty
	URL       string            `toml:"url"`      // {host} stands for each of Hosts, {name} for a companion
	Hosts     []string          `toml:"hosts"`    // all documented hosts: inactive only if each says so
	Elsewhere bool              `toml:"elsewhere"`
	Headers   map[string]string `toml:"headers"`
	Body      string            `toml:"body"`
	Needs     []string          `toml:"needs"`     // companions that the request names
	Companion map[string]string `toml:"companion"` // RE2: what a companion must look like
	Sign      string            `toml:"sign"`      // how the request is signed instead of carrying the credential
	Regions   map[string]string `toml:"regions"`   // by host, for signatures that name one
	Mint      bool              `toml:"mint"`      // the request mints a token or leaves a sign-in event
	Facts     map[string]string `toml:"facts"`     // name to its place in the answer
	Kept      map[string]string `toml:"kept-headers"`
	Docs      string            `toml:"docs"`
	Answers   []Answer          `toml:"answer"` // the first that matches counts

	shapes map[string]*regexp.Regexp // of companions
}

// The placeholders of a request.
const (
	placeholder = "{key}"
	basicOpen   = "{basic:" // {basic:USER:{key}} is the value of an Authorization header
	hostMark    = "{host}"
	jwtMark     = "{jwt}"
)

// How a request can be signed.
const (
	signAWS    = "aws-sigv4"
	signGoogle = "google-jwt"
)

// takes reports whether the check is for credentials that begin like this one.
func (c *Check) takes(key []byte) bool {
	return len(c.Prefixes) == 0 || slices.ContainsFunc(c.Prefixes, func(p string) bool { return bytes.HasPrefix(key, []byte(p)) })
}

// hosts are the hosts that the check asks, one at least.
func (c *Check) hosts() []string {
	if len(c.Hosts) > 0 {
		return c.Hosts
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return []string{""}
	}
	return []string{u.Host}
}

// Host is the first host that the check asks.
func (c *Check) Host() string { return c.hosts()[0] }

// Request says in words what is sent, without the credential.
func (c *Check) Request() string {
	text := c.method() + " " + strings.ReplaceAll(c.URL, hostMark, c.Host())
	if n := len(c.Hosts); n > 1 {
		text += fmt.Sprintf(" and %d more hosts", n-1)
	}
	return text
}

func (c *Check) method() string {
	if c.Method == "" {
		return http.MethodGet
	}
	return c.Method
}

// valid returns what is wrong with a check, and prepares it.
func (c *Check) valid() error {
	if err := c.validRequest(http.MethodGet, http.MethodPost); err != nil {
		return err
	}
	places := c.places()
	switch {
	case c.Sign == "" && places != 1, c.Sign == signAWS && places > 1, c.Sign == signGoogle && (places != 0 || strings.Count(c.Body, jwtMark) != 1):
		return fmt.Errorf("the credential has to be sent once, not %d times", places)
	case !slices.Contains([]string{"", signAWS, signGoogle}, c.Sign):
		return fmt.Errorf("sign = %q is not known", c.Sign)
	case !slices.ContainsFunc(c.Answers, func(a Answer) bool { return a.Means == Active }):
		return errors.New("no answer means active")
	}
	for i := range c.Answers {
		if err := c.Answers[i].valid(Active, Inactive, Unknown); err != nil {
			return fmt.Errorf("answer %d: %w", i+1, err)
		}
	}
	return c.decisive()
}

// decisive returns what is wrong with a check that calls a credential inactive by a status
// alone although its provider documents a body for that: live credentials get the same
// status for other reasons.
func (c *Check) decisive() error {
	bare, documented := 0, 0
	for i := range c.Answers {
		if a := &c.Answers[i]; a.Means == Inactive && len(a.Is)+len(a.Begins)+len(a.Contains) > 0 {
			documented++
		} else if a.Means == Inactive {
			bare++
		}
	}
	if bare > 0 && documented > 0 {
		return errors.New("a status alone means inactive, although a body is documented for it")
	}
	return nil
}

// validRequest returns what is wrong with the request of a check or a revocation.
func (c *Check) validRequest(methods ...string) error {
	u, err := url.Parse(strings.ReplaceAll(c.URL, hostMark, "host.example"))
	switch {
	case err != nil:
		return err
	case u.Scheme != "https" || u.Host == "" || u.User != nil:
		return errors.New("the address has to be https, with a host and no user")
	case strings.Contains(c.URL, placeholder):
		return errors.New("the address must not hold the credential: addresses are logged on the way")
	case strings.Contains(c.URL, hostMark) != (len(c.Hosts) > 0 || slices.Contains(c.Needs, "host")):
		return errors.New("{host} in the address and hosts belong together")
	case !slices.Contains(methods, c.method()):
		return fmt.Errorf("%s is not one of %s", c.method(), strings.Join(methods, ", "))
	case len(c.Answers) == 0 || len(c.Rules) == 0 || c.Docs == "":
		return errors.New("rules, docs and answers are needed")
	}
	c.shapes = map[string]*regexp.Regexp{}
	for _, name := range c.Needs {
		if c.shapes[name], err = regexp.Compile(c.Companion[name]); err != nil || c.Companion[name] == "" {
			return fmt.Errorf("companion %s: its expression is missing or wrong", name)
		}
	}
	return nil
}

// places counts where the credential is sent.
func (c *Check) places() int {
	n := strings.Count(c.Body, placeholder)
	for _, v := range c.Headers {
		n += strings.Count(v, placeholder)
	}
	return n
}

// A file is the checks and revocations of one issuer.
type file struct {
	Check      []*Check      `toml:"check"`
	Revocation []*Revocation `toml:"revocation"`
}

func parse(name string, data []byte) (*file, error) {
	f := &file{}
	d := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := d.Decode(f); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) && len(strict.Errors) > 0 {
			line, _ := strict.Errors[0].Position()
			return nil, fmt.Errorf("checks %s: line %d: unknown key %s", name, line, strings.Join(strict.Errors[0].Key(), "."))
		}
		return nil, fmt.Errorf("checks %s: %w", name, err)
	}
	return f, nil
}

// Checks are checks by rule; of a rule's checks the first that fits a credential is asked.
type Checks map[string][]*Check

// For returns the check for a credential of a rule, or nil. A check that needs a companion
// fits only if exactly one is known; one that names prefixes, only if one of them begins
// the value. Without a value the first check of the rule is returned.
func (cs Checks) For(rule string, c *Credential) *Check {
	for _, check := range cs[rule] {
		if c == nil || check.takes(c.Value) && check.companions(c) != nil {
			return check
		}
	}
	return nil
}

// Parse reads checks.
func Parse(data []byte) (Checks, error) {
	f, err := parse("given", data)
	if err != nil {
		return nil, err
	}
	out := Checks{}
	return out, out.add(f.Check)
}

func (cs Checks) add(list []*Check) error {
	for _, c := range list {
		if err := c.valid(); err != nil {
			return fmt.Errorf("check of %s: %w", strings.Join(c.Rules, ", "), err)
		}
		for _, r := range c.Rules {
			for _, other := range cs[r] {
				if len(other.Prefixes) == 0 && len(other.Needs) == 0 {
					return fmt.Errorf("rule %s: a check follows one that takes all credentials", r)
				}
			}
			cs[r] = append(cs[r], c)
		}
	}
	return nil
}

// builtinFiles reads the files that are built in.
var builtinFiles = sync.OnceValues(func() ([]*file, error) {
	names, err := fs.Glob(builtin, "checks/*.toml")
	if err != nil {
		return nil, err
	}
	var out []*file
	for _, name := range names {
		data, err := builtin.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parse(name, data)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
})

// Builtin returns the checks that are built in.
var Builtin = sync.OnceValues(func() (Checks, error) {
	files, err := builtinFiles()
	if err != nil {
		return nil, err
	}
	out := Checks{}
	for _, f := range files {
		if err := out.add(f.Check); err != nil {
			return nil, err
		}
	}
	return out, nil
})

// Moved returns checks of which those for one host ask another, at an address that ends
// with a slash: a company's own. Without TLS there, they are left out.
func Moved(checks Checks, host string, to *url.URL) Checks {
	out := make(Checks, len(checks))
	for _, rule := range slices.Sorted(maps.Keys(checks)) {
		for _, c := range checks[rule] {
			if !slices.Contains(c.hosts(), host) {
				out[rule] = append(out[rule], c)
				continue
			}
			moved := *c
			moved.URL, moved.Hosts = to.String()+strings.TrimPrefix(c.URL, "https://"+host+"/"), nil
			if to.Scheme == "https" {
				out[rule] = append(out[rule], &moved)
			}
		}
	}
	return out
}
