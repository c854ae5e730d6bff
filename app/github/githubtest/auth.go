package githubtest

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// tokenLife is how long an installation token works.
const tokenLife = time.Hour

// A token lets its holder act as an installation.
type token struct {
	text    string
	install *installation
	expires time.Time
	perms   map[string]string // nil means all that the App has
	repos   map[int64]bool    // nil means all that the installation has
}

func (t *token) valid() bool {
	return time.Now().Before(t.expires) && t.install.owner.install == t.install && t.install.suspended == nil
}

// reaches reports whether the token was made for a repository.
func (t *token) reaches(r *repo) bool {
	return t != nil && t.install.covers(r) && (t.repos == nil || t.repos[r.id])
}

// allowed reports whether a token holds a permission such as "issues:write".
func (s *Server) allowed(t *token, need string) bool {
	name, level, _ := strings.Cut(need, ":")
	has := rank(s.state.grants[name])
	if t.perms != nil {
		has = min(has, rank(t.perms[name]))
	}
	return has >= rank(level)
}

// rank orders the levels of a permission.
func rank(level string) int { return slices.Index([]string{"", "read", "write", "admin"}, level) }

// Grant sets permissions of the App; "" takes one away. Tokens that are out lose what
// is taken away, too.
func (s *Server) Grant(permissions map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, level := range permissions {
		if s.state.grants[name] = level; level == "" {
			delete(s.state.grants, name)
		}
	}
}

// ExpireTokens ends all installation tokens that are out.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.state.tokens {
		t.expires = time.Time{}
	}
}

// authenticate finds out who asks.
func (c *call) authenticate() (int, any) {
	scheme, secret, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	secret = strings.TrimSpace(secret)
	switch {
	case c.route.as == "app":
		if strings.Count(secret, ".") != 2 || !strings.EqualFold(scheme, "bearer") {
			return problem(http.StatusUnauthorized, "A JSON web token could not be decoded")
		}
		if err := checkJWT(secret, &c.key.PublicKey); err != nil {
			return problem(http.StatusUnauthorized, "%s", err)
		}
		c.app = true
		return 0, nil
	case secret == "" && c.route.as == "":
		return 0, nil
	case secret == "":
		return problem(http.StatusUnauthorized, "Requires authentication")
	}
	t := c.state.tokens[secret]
	if t == nil || t.install.owner.install != t.install || !time.Now().Before(t.expires) {
		return problem(http.StatusUnauthorized, "Bad credentials")
	}
	if t.install.suspended != nil {
		return problem(http.StatusForbidden, "This installation has been suspended")
	}
	c.tok = t
	return 0, nil
}

// checkJWT holds the App's own token against GitHub's rules.
func checkJWT(text string, key *rsa.PublicKey) error {
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	if _, err := parser.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
		//lint:ignore ST1005 GitHub's words
		return errors.New("A JSON web token could not be decoded")
	}
	when := func(name string) (time.Time, bool) {
		n, ok := claims[name].(float64)
		return time.Unix(int64(n), 0), ok
	}
	switch expires, ok := when("exp"); {
	case !ok:
		return errors.New("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case time.Until(expires) <= 0:
		return errors.New("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case time.Until(expires) > 10*time.Minute+30*time.Second:
		return errors.New("'Expiration time' claim ('exp') is too far in the future")
	}
	if issued, ok := when("iat"); !ok || time.Until(issued) > 0 {
		return errors.New("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	if issuer := claims["iss"]; issuer != strconv.Itoa(appID) && issuer != float64(appID) {
		return fmt.Errorf("'Issuer' claim ('iss') must be an Integer or a String: %v is no App", issuer)
	}
	return nil
}

// reach finds the repository of a request, and hides it from those who may not see it.
func (c *call) reach() (int, any) {
	owner, name := c.params["owner"], c.params["repo"]
	if name == "" {
		return 0, nil
	}
	r, moved := c.state.repo(owner, name), false
	if r == nil {
		r, moved = c.state.byID[c.state.moved[repoKey(owner, name)]], true
	}
	if r == nil || !r.public && !c.tok.reaches(r) {
		return c.notFound()
	}
	if moved {
		return c.movedTo(r)
	}
	c.repo = r
	if c.r.Method != http.MethodGet && r.archived {
		return problem(http.StatusForbidden, "Repository was archived so is read-only.")
	}
	return 0, nil
}

// movedTo leads to where a repository is now.
func (c *call) movedTo(r *repo) (int, any) {
	rest := strings.TrimPrefix(c.path, "/repos/")
	rest = rest[strings.Index(rest, "/")+1:]
	_, rest, more := strings.Cut(rest, "/")
	to := c.api("/repositories/%d", r.id)
	if more {
		to += "/" + rest
	}
	if c.r.URL.RawQuery != "" {
		to += "?" + c.r.URL.RawQuery
	}
	c.header.Set("Location", to)
	status := http.StatusMovedPermanently
	if c.r.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	return status, object{"message": "Moved Permanently", "url": to, "documentation_url": "https://docs.github.com/rest"}
}

// permitted refuses what the token does not allow. What is public may be read by all.
func (c *call) permitted() (int, any) {
	if c.app || len(c.route.perms) == 0 {
		return 0, nil
	}
	read := c.r.Method == http.MethodGet
	if c.repo != nil && c.repo.public && read {
		return 0, nil
	}
	if c.tok == nil {
		return problem(http.StatusUnauthorized, "Requires authentication")
	}
	able := slices.ContainsFunc(c.route.perms, func(p string) bool { return c.allowed(c.tok, p) })
	if !able || c.repo != nil && !c.tok.reaches(c.repo) {
		c.header.Set("X-Accepted-GitHub-Permissions", strings.ReplaceAll(strings.Join(c.route.perms, "; "), ":", "="))
		return problem(http.StatusForbidden, "Resource not accessible by integration")
	}
	return 0, nil
}

// limit is what is left of an installation's requests.
type limit struct {
	remaining, used int
	reset           time.Time
}

const hourly = 5000

// RateLimit sets how many requests an installation may still make until a time.
func (s *Server) RateLimit(installation int64, remaining int, reset time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.limits[installation] = &limit{remaining: remaining, used: max(0, hourly-remaining), reset: reset}
}

// limit returns the limit that a request counts against.
func (c *call) limit() *limit {
	id := c.spender()
	l := c.state.limits[id]
	if l == nil || time.Now().After(l.reset) {
		l = &limit{remaining: hourly, reset: now().Add(time.Hour)}
		c.state.limits[id] = l
	}
	return l
}

// spender is whom a request counts against: an installation, 0 for the App itself, -1 for
// those who are nobody.
func (c *call) spender() int64 {
	switch {
	case c.tok != nil:
		return c.tok.install.id
	case c.app:
		return 0
	}
	return -1
}

// spend refuses a request when none is left.
func (c *call) spend() (int, any) {
	if l := c.limit(); l.remaining > 0 || c.route.pattern == "/rate_limit" {
		return 0, nil
	}
	return problem(http.StatusForbidden, "API rate limit exceeded for installation ID %d.", c.spender())
}

// count takes a request off the limit, and tells what is left.
func (c *call) count(status int) {
	l := c.limit()
	if status != http.StatusNotModified && l.remaining > 0 && (c.route == nil || c.route.pattern != "/rate_limit") {
		l.remaining--
		l.used++
	}
	for name, value := range map[string]string{"Limit": strconv.Itoa(hourly), "Remaining": strconv.Itoa(l.remaining),
		"Used": strconv.Itoa(l.used), "Reset": strconv.FormatInt(l.reset.Unix(), 10), "Resource": "core"} {
		c.header.Set("X-RateLimit-"+name, value)
	}
}

// newToken makes a token with what was asked for, which must be within what the App has.
func (s *Server) newToken(i *installation, perms map[string]string, repos map[int64]bool) *token {
	t := &token{text: fmt.Sprintf("ghs_fakeInstallationToken%013d", s.state.next()), install: i, expires: now().Add(tokenLife),
		perms: maps.Clone(perms), repos: repos}
	s.state.tokens[t.text] = t
	return t
}
