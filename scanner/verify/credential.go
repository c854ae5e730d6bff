package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner"
)

// A Credential is what a check sends. Its owner clears Value after use.
type Credential struct {
	Value []byte
	// Companions are the values beside it that its check may need, such as the id of an
	// access key, by name: every candidate, so that a pair is never guessed.
	Companions map[string][]string
	// Token goes into the user agent of the request, so that the provider's log can tell
	// this check from everybody else's use; "" for none.
	Token string
}

// NewCredential is the credential of a finding, with the values that stand near it.
func NewCredential(f *scanner.Finding, value []byte) *Credential {
	c := &Credential{Value: value, Companions: map[string][]string{}}
	for _, fact := range f.Companions {
		c.Companions[fact.Name] = append(c.Companions[fact.Name], fact.Value)
	}
	return c
}

// plainCompanion is what a companion may consist of, whatever its check says: it goes into
// addresses and bodies.
var plainCompanion = regexp.MustCompile(`^[A-Za-z0-9@._-]{1,200}$`)

// companions returns the companions that the check needs, nil unless there is exactly one
// candidate for each.
func (c *Check) companions(cred *Credential) map[string]string {
	out := map[string]string{}
	for _, name := range c.Needs {
		var fits []string
		for _, v := range cred.Companions[name] {
			if plainCompanion.MatchString(v) && c.shapes[name].MatchString(v) {
				fits = append(fits, v)
			}
		}
		if len(fits) != 1 {
			return nil
		}
		out[name] = fits[0]
	}
	return out
}

// Alone is what identifies the values beside a credential whose check sends none.
const Alone = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// with identifies the companions that the check sends with a credential.
func (c *Check) with(cred *Credential) string {
	h := sha256.New()
	companions := c.companions(cred)
	for _, name := range slices.Sorted(maps.Keys(companions)) {
		fmt.Fprintf(h, "%s %d %s ", name, len(companions[name]), companions[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// missing says which companion keeps a check of the rule from being asked, "" if none does.
func (cs Checks) missing(rule string, cred *Credential) string {
	for _, c := range cs[rule] {
		for _, name := range c.Needs {
			switch n := len(cred.Companions[name]); {
			case !c.takes(cred.Value):
			case n == 0:
				return fmt.Sprintf("not asked: the check needs the %s, and none stands beside the credential", strings.ReplaceAll(name, "_", " "))
			case n > 1:
				return fmt.Sprintf("not asked: %d values beside the credential may be its %s", n, strings.ReplaceAll(name, "_", " "))
			}
		}
	}
	return ""
}

// A filler puts values into the templates of a request.
type filler struct {
	key        []byte
	companions map[string]string
	jwt        string
}

// header fills a header's template.
func (f *filler) header(template string) string {
	if user, ok := strings.CutPrefix(template, basicOpen); ok {
		user = strings.TrimSuffix(user, ":"+placeholder+"}")
		return "Basic " + base64.StdEncoding.EncodeToString(append([]byte(user+":"), f.key...))
	}
	return f.text(template, nil)
}

// body fills a body's template: in a form values are escaped.
func (f *filler) body(template, contentType string) string {
	if strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		return f.text(template, url.QueryEscape)
	}
	return f.text(template, nil)
}

func (f *filler) text(template string, escape func(string) string) string {
	if escape == nil {
		escape = func(s string) string { return s }
	}
	pairs := []string{jwtMark, escape(f.jwt), placeholder, escape(string(f.key))}
	for name, v := range f.companions {
		pairs = append(pairs, "{"+name+"}", escape(v))
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// unsendable says why a credential can not be put into a request. A space may stand in it
// only where its scheme is a part of it (FlyV1).
func (c *Check) unsendable(key []byte) string {
	for _, p := range c.Prefixes {
		if strings.Contains(p, " ") && bytes.HasPrefix(key, []byte(p)) {
			key = key[len(p):]
			break
		}
	}
	for _, b := range key {
		if b < 0x21 || b > 0x7e || b == '"' || b == '\\' {
			return "not asked: the value has characters that cannot be sent"
		}
	}
	if len(key) == 0 || len(key) > 4096 {
		return "not asked: the value is empty, or too long for a credential"
	}
	return ""
}

// canary says why a credential is not to be touched: it is there to raise an alarm, and
// asking for it would. https://docs.canarytokens.org/guide/
func canary(key []byte) string {
	low := bytes.ToLower(key)
	for _, word := range []string{"canary", "honeytoken"} {
		if bytes.Contains(low, []byte(word)) {
			return "not asked: the value calls itself a " + word
		}
	}
	return ""
}

// lookAlike is something random of the shape of a credential: what begins every credential
// of the rule stays, letters and digits change.
func lookAlike(rule *scanner.Rule, key []byte) []byte {
	start := 0
	for _, word := range rule.Keywords {
		if len(word) < len(key) && strings.EqualFold(string(key[:len(word)]), word) {
			start = max(start, len(word))
		}
	}
	const digits, lower, upper = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	small := lower
	if !bytes.ContainsAny(key[start:], lower[6:]) { // it may be hexadecimal
		small = lower[:6]
	}
	if !bytes.ContainsAny(key[start:], digits+lower+upper) {
		return append(bytes.Clone(key), 'x') // nothing to change
	}
	out := bytes.Clone(key)
	for bytes.Equal(out, key) {
		for i := start; i < len(out); i++ {
			for _, class := range []string{digits, small, upper} {
				if strings.IndexByte(class, key[i]) >= 0 {
					out[i] = class[rand.IntN(len(class))]
				}
			}
		}
	}
	return out
}
