package githubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type object = map[string]any

// A route is one operation of the API.
type route struct {
	method, pattern string
	as              string   // who may: "app", "installation", or "" for anybody
	perms           []string // any one of these is enough
	do              func(*call) (int, any)
	path            *regexp.Regexp
	names           []string
}

// A call is one request on its way. The state is held while it runs.
type call struct {
	*Server
	r       *http.Request
	path    string // escaped, without /api/v3 and former names
	body    []byte
	route   *route
	params  map[string]string
	header  http.Header // of the answer
	app     bool        // signed in as the App itself
	tok     *token      // signed in as an installation
	repo    *repo
	invalid string
}

var placeholder = regexp.MustCompile(`\{(\w+)((?:\\\.){3})?\}`)

// compile turns a pattern into one that can be matched: {name} is a part of the path,
// {name...} may hold slashes.
func (t route) compile() route {
	text := strings.NewReplacer(`\{`, `{`, `\}`, `}`).Replace(regexp.QuoteMeta(t.pattern))
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		t.names = append(t.names, m[1])
	}
	text = placeholder.ReplaceAllStringFunc(text, func(m string) string {
		if strings.Contains(m, `.`) {
			return `(.*)`
		}
		return `([^/]+)`
	})
	t.path = regexp.MustCompile("^" + text + "$")
	return t
}

// canonical returns the path as GitHub's description has it: a parameter is one part.
func (c *call) canonical() string {
	path := strings.ReplaceAll(c.route.pattern, "...}", "}")
	for name, value := range c.params {
		if value == "" { // the root, which the description cannot name
			value = "-"
		}
		path = strings.Replace(path, "{"+name+"}", url.PathEscape(value), 1)
	}
	return path
}

// serveAPI answers a request to the API, in the order: journal, observer, fault, effect,
// observer, answer.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	entry, n := s.journal.begin(r, path, body, false)
	c := &call{Server: s, r: r, path: path, body: body, header: http.Header{}}
	seen := func(done bool) {
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.journal.observe(r, n, done)
	}
	seen(false)
	if f := s.faults.take(r.Method, path); f != nil {
		if c.find() { // a request is judged even if it fails
			c.invalid = s.invalid(r, c.canonical(), body)
		}
		status := s.play(f, w, r, c.serve)
		seen(true)
		s.journal.end(entry, status, c.invalid)
		return
	}
	rec := c.serve()
	seen(true)
	s.journal.end(entry, rec.status, c.invalid)
	rec.send(w)
}

// serve does what is asked and returns the answer.
func (c *call) serve() *recorder {
	c.mu.Lock()
	status, body := c.dispatch()
	c.mu.Unlock()
	rec := newRecorder()
	rec.header, rec.status = c.header, status
	c.header.Set("X-GitHub-Request-Id", strings.ToUpper(newGUID()[:23]))
	c.header.Set("X-GitHub-Media-Type", "github.v3; format=json")
	if raw, ok := body.([]byte); ok {
		c.header.Set("Content-Type", "application/vnd.github.raw; charset=utf-8")
		rec.body.Write(raw)
	} else if body != nil {
		c.header.Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(&rec.body).Encode(body) // only of what can be encoded
	}
	c.conditional(rec)
	c.mu.Lock()
	c.count(rec.status)
	c.mu.Unlock()
	return rec
}

// conditional gives an answer its ETag, and makes it 304 where the client has it.
func (c *call) conditional(rec *recorder) {
	if c.r.Method != http.MethodGet || rec.status != http.StatusOK {
		return
	}
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(rec.body.Bytes()))
	rec.header.Set("ETag", "W/"+tag)
	rec.header.Set("Cache-Control", "private, max-age=60, s-maxage=60")
	rec.header.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
	for known := range strings.SplitSeq(c.r.Header.Get("If-None-Match"), ",") {
		if known = strings.TrimSpace(known); known == "*" || strings.TrimPrefix(known, "W/") == tag {
			rec.status = http.StatusNotModified
			rec.body.Reset()
			rec.header.Del("Content-Type")
		}
	}
}

// find looks for the operation.
func (c *call) find() bool {
	for i := range c.routes {
		t := &c.routes[i]
		m := t.path.FindStringSubmatch(c.path)
		if m == nil || t.method != c.r.Method {
			continue
		}
		c.route, c.params = t, map[string]string{}
		for i, name := range t.names {
			value, err := url.PathUnescape(m[i+1])
			if err != nil {
				return false
			}
			c.params[name] = value
		}
		return true
	}
	return false
}

var byNumber = regexp.MustCompile(`^/repositories/(\d+)(/.*)?$`)

// dispatch leads a request to its operation, past all that may refuse it.
func (c *call) dispatch() (int, any) {
	if m := byNumber.FindStringSubmatch(c.path); m != nil {
		id, _ := strconv.ParseInt(m[1], 10, 64)
		r := c.state.byID[id]
		if r == nil {
			return c.notFound()
		}
		c.path = "/repos/" + r.full() + m[2]
	}
	if !c.find() {
		c.invalid = "the stand-in has no such operation"
		return c.notFound()
	}
	c.invalid = c.Server.invalid(c.r, c.canonical(), c.body)
	for _, check := range []func() (int, any){c.authenticate, c.spend, c.reach, c.permitted} {
		if status, body := check(); status != 0 {
			return status, body
		}
	}
	return c.route.do(c)
}

func problem(status int, format string, args ...any) (int, any) {
	return status, object{"message": fmt.Sprintf(format, args...), "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)}
}

func (c *call) notFound() (int, any) { return problem(http.StatusNotFound, "Not Found") }

// unfit is the answer to a body that breaks a rule.
func unfit(resource, field, code, message string) (int, any) {
	status, body := problem(http.StatusUnprocessableEntity, "Validation Failed")
	body.(object)["errors"] = []object{{"resource": resource, "field": field, "code": code, "message": message}}
	return status, body
}

// decode reads the body of the request.
func (c *call) decode(v any) (int, any) {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return 0, nil
	}
	if err := json.Unmarshal(c.body, v); err != nil {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	return 0, nil
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

func (c *call) number(name string) int {
	n, _ := strconv.Atoi(c.params[name]) // 0 is nobody's number
	return n
}

func (c *call) id(name string) int64 { return int64(c.number(name)) }

// perPage is how long a page may be.
func (c *call) perPage(usual int) int {
	n, err := strconv.Atoi(c.query("per_page"))
	if err != nil || n < 1 {
		n = usual
	}
	most := 100
	if c.opt.PageSize > 0 {
		most = min(most, c.opt.PageSize)
	}
	return min(n, most)
}

// page returns the page of a list that was asked for, and says where the others are.
func page[T any](c *call, list []T) []T {
	size := c.perPage(30)
	at, err := strconv.Atoi(c.query("page"))
	if err != nil || at < 1 {
		at = 1
	}
	last := max(1, (len(list)+size-1)/size)
	var links []string
	link := func(rel string, to int) {
		links = append(links, c.link(rel, "page", strconv.Itoa(to)))
	}
	if at > 1 {
		link("prev", min(at-1, last))
		link("first", 1)
	}
	if at < last {
		link("next", at+1)
		link("last", last)
	}
	if len(links) > 0 {
		c.header.Set("Link", strings.Join(links, ", "))
	}
	return list[min((at-1)*size, len(list)):min(at*size, len(list))]
}

// link is the same request with another value of one parameter.
func (c *call) link(rel, name, value string) string {
	q := c.r.URL.Query()
	q.Set(name, value)
	return fmt.Sprintf(`<%s%s%s?%s>; rel=%q`, c.URL, apiRoot, c.path, q.Encode(), rel)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
