package verify

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

//go:embed revoke.toml
var revocations []byte

// A Revocation says how a key is ended by itself.
type Revocation struct {
	Rules   []string          `toml:"rules"`
	Method  string            `toml:"method"`
	URL     string            `toml:"url"`
	Headers map[string]string `toml:"headers"`
	Body    string            `toml:"body"`
	Done    []int             `toml:"done"`  // statuses
	Field   Field             `toml:"field"` // decides if the status says done
	Taken   bool              `toml:"taken"` // done says that the order is taken, not that it is carried out
	Docs    string            `toml:"docs"`

	Prefixes []string `toml:"prefixes"` // keys that begin otherwise are not sent; none: all are
}

// Request says in words what is sent, without the key.
func (r *Revocation) Request() string { return r.Method + " " + r.URL }

// Host is where the revocation is sent.
func (r *Revocation) Host() string { return r.check().Host() }

// check is the revocation as a request that can be sent.
func (r *Revocation) check() *Check {
	return &Check{Rules: r.Rules, Method: r.Method, URL: r.URL, Headers: r.Headers, Body: r.Body, Active: r.Done, Field: r.Field, Docs: r.Docs, Prefixes: r.Prefixes}
}

// Revocations returns the revocations that are built in, by rule.
var Revocations = sync.OnceValues(func() (map[string]*Revocation, error) {
	var file struct {
		Revocation []*Revocation `toml:"revocation"`
	}
	if err := toml.NewDecoder(strings.NewReader(string(revocations))).DisallowUnknownFields().Decode(&file); err != nil {
		return nil, fmt.Errorf("revocations: %w", err)
	}
	byRule := map[string]*Revocation{}
	for _, r := range file.Revocation {
		c := *r.check()
		c.Method, c.Inactive = http.MethodGet, []int{http.StatusUnauthorized} // what is wanted of a check besides
		if err := c.valid(); err != nil {
			return nil, fmt.Errorf("revocation of %s: %w", strings.Join(r.Rules, ", "), err)
		}
		if r.Method != http.MethodPost && r.Method != http.MethodDelete {
			return nil, fmt.Errorf("revocation of %s: %s ends nothing", strings.Join(r.Rules, ", "), r.Method)
		}
		for _, id := range r.Rules {
			if byRule[id] != nil {
				return nil, fmt.Errorf("rule %s has two revocations", id)
			}
			byRule[id] = r
		}
	}
	return byRule, nil
})

// Revoke has the provider of a key end it. It returns what the provider said, and an error
// unless that is documented to mean that it did. It asks as [Verifier.Verify] does: one at
// a time, no redirects, nothing in the address.
func (v *Verifier) Revoke(ctx context.Context, r *Revocation, key []byte) (why string, err error) {
	if why := unsendable(key); why != "" {
		return "", errors.New(why)
	}
	if why := canary(key); why != "" {
		return "", errors.New(why)
	}
	c := r.check()
	if !c.takes(key) {
		return "", errors.New("it does not begin as those that " + c.Host() + " takes")
	}
	verdict, why, _ := v.ask(ctx, c, key)
	if verdict != Active {
		return "", fmt.Errorf("%s: %s", r.Request(), why)
	}
	return r.Request() + " " + why, nil
}
