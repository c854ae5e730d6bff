package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v62/github"
	lru "github.com/hashicorp/golang-lru/v2"
)

// A LimitError says that GitHub, or our own pace of writing, wants us to wait.
type LimitError struct {
	Until time.Time
	Why   string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: wait until %s", e.Why, e.Until.UTC().Format(time.TimeOnly))
}

var (
	// ErrSuspended says that the installation is suspended: nothing may be asked for it.
	ErrSuspended = errors.New("the installation is suspended")
	// ErrUninstalled says that there is no such installation any more.
	ErrUninstalled = errors.New("the App is not installed there any more")
)

// Wait returns until when an error wants us to wait, and whether it does.
func Wait(err error) (until time.Time, ok bool) {
	var limit *LimitError
	var primary *gh.RateLimitError
	var secondary *gh.AbuseRateLimitError
	switch {
	case errors.As(err, &limit):
		return limit.Until, true
	case errors.As(err, &primary):
		return soon(primary.Rate.Reset.Time), true
	case errors.As(err, &secondary):
		return soon(time.Now().Add(max(time.Minute, secondary.GetRetryAfter()))), true
	}
	return time.Time{}, false
}

// longestWait is how long GitHub is left alone at most, whatever it says: a wrong clock over
// there must not stop us for years.
const longestWait = time.Hour

// soon is a time, or the end of the longest wait if that is earlier.
func soon(t time.Time) time.Time {
	if most := time.Now().Add(longestWait); t.After(most) {
		return most
	}
	return t
}

// boundReset bounds the time that an answer gives for the reset of the rate limit: the
// library keeps it, and refuses every request until then.
func boundReset(h http.Header) {
	const name = "X-RateLimit-Reset"
	if at, err := strconv.ParseInt(h.Get(name), 10, 64); err == nil {
		h.Set(name, strconv.FormatInt(soon(time.Unix(at, 0)).Unix(), 10))
	}
}

// Status returns the HTTP status that GitHub refused a request with, or 0.
func Status(err error) int {
	var res *gh.ErrorResponse
	if errors.As(err, &res) && res.Response != nil {
		return res.Response.StatusCode
	}
	return 0
}

// MaxSubIssues is how many sub-issues GitHub lets an issue have.
// https://docs.github.com/issues/tracking-your-work-with-issues/using-issues/adding-sub-issues
const MaxSubIssues = 100

// TooManySubIssues reports whether GitHub refused a sub-issue because its parent has as many as
// it may: GitHub has no code for it, and names the number.
func TooManySubIssues(err error) bool {
	var res *gh.ErrorResponse
	if !errors.As(err, &res) || Status(err) != http.StatusUnprocessableEntity {
		return false
	}
	said := res.Message
	for _, e := range res.Errors {
		said += " " + e.Message
	}
	return strings.Contains(said, strconv.Itoa(MaxSubIssues))
}

// patience is how long a write may wait for its turn inside a request.
type patience struct{}

// Impatient returns a context under which a write that can not be made at once is
// refused with a LimitError.
func Impatient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patience{}, 100*time.Millisecond)
}

// limited keeps to GitHub's limits: it paces writes, and while GitHub wants us to
// wait it asks nothing.
// https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
type limited struct {
	app          *App
	installation int64
	next         http.RoundTripper

	mu    sync.Mutex
	until time.Time
	why   string
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := l.open(); err != nil {
		return nil, err
	}
	if r.Method != http.MethodGet && l.installation != 0 && r.Context().Value(reading{}) == nil {
		if err := l.pace(r); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	res, err := l.next.RoundTrip(r)
	if o := l.app.cfg.Observe; o != nil {
		status := 0
		if res != nil {
			status = res.StatusCode
		}
		o(r.Method, status, time.Since(start))
	}
	if err != nil {
		return nil, tokenError(err)
	}
	boundReset(res.Header)
	if limit := limitOf(res); limit != nil {
		_ = res.Body.Close() // nothing more is wanted of it
		l.mu.Lock()
		l.until, l.why = limit.Until, limit.Why
		l.mu.Unlock()
		return nil, limit
	}
	return res, nil
}

// open returns an error while GitHub wants us to wait.
func (l *limited) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.until) {
		return &LimitError{l.until, l.why}
	}
	return nil
}

// content reports whether a request makes or changes an issue or a comment. Of those GitHub
// takes 500 an hour.
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
func content(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/issues") && !strings.HasSuffix(r.URL.Path, "/reactions")
}

// pace waits for the turn of a write.
func (l *limited) pace(r *http.Request) error {
	pace, ctx := l.app.cfg.Pace, r.Context()
	if pace == nil {
		return nil
	}
	if content(r) {
		if wait, err := pace.Content(ctx, l.installation); err != nil || wait > 0 {
			if err == nil {
				err = &LimitError{time.Now().Add(wait), "issues and comments of this installation are spread over time"}
			}
			return err
		}
	}
	most := 30 * time.Second
	if d, ok := ctx.Value(patience{}).(time.Duration); ok {
		most = d
	}
	wait, err := pace.Write(ctx, l.installation, most)
	if err != nil {
		return err
	}
	if wait > most {
		return &LimitError{time.Now().Add(wait), "writes of this installation are spread over time"}
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// limitOf reports whether an answer is the refusal of a rate limit, primary or
// secondary, and until when. A LimitError is bounded to an hour: a wrong clock over
// there must not stop us for ever.
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
func limitOf(res *http.Response) *LimitError {
	if res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusTooManyRequests {
		return nil
	}
	now := time.Now()
	bounded := func(d time.Duration, why string) *LimitError {
		return &LimitError{now.Add(min(max(d, time.Second), longestWait)), why}
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		return bounded(time.Duration(s)*time.Second, "GitHub asks to wait (secondary rate limit)")
	}
	if res.Header.Get("X-RateLimit-Remaining") == "0" {
		reset, _ := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64)
		return bounded(time.Unix(reset, 0).Sub(now), "GitHub's rate limit is used up")
	}
	head, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), res.Body), res.Body}
	if err == nil && (res.StatusCode == http.StatusTooManyRequests || strings.Contains(strings.ToLower(string(head)), "rate limit")) {
		return bounded(time.Minute, "GitHub asks to wait (secondary rate limit)")
	}
	return nil
}

// tokenError says what it means that no token was to be had.
func tokenError(err error) error {
	var he *ghinstallation.HTTPError
	if !errors.As(err, &he) || he.Response == nil {
		return err
	}
	switch he.Response.StatusCode {
	case http.StatusForbidden:
		if limit := limitOf(he.Response); limit != nil {
			return limit
		}
		if text, err := io.ReadAll(he.Response.Body); err == nil && strings.Contains(strings.ToLower(string(text)), "suspended") {
			return ErrSuspended
		}
	case http.StatusTooManyRequests:
		if limit := limitOf(he.Response); limit != nil {
			return limit
		}
	case http.StatusNotFound:
		return ErrUninstalled
	case http.StatusUnauthorized:
		return errors.New("GitHub does not accept the App's private key: is it the key of this App, and is the clock right? (keyward-app doctor)")
	}
	return fmt.Errorf("GitHub gave no token for the installation: it answered %d", he.Response.StatusCode)
}

// readable keeps what GitHub says when it refuses a token: ghinstallation closes the
// answer before it tells of it.
type readable struct{ next http.RoundTripper }

func (t readable) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	if err != nil || res.StatusCode < 400 {
		return res, err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, fmt.Errorf("read GitHub's answer: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(text))
	return res, nil
}

// doubtful asks once more where GitHub answers 404 to a read: it does so for a moment for
// what was made just now, and by mistake. Files are mostly not there, and are not asked for
// twice.
type doubtful struct{ next http.RoundTripper }

func (t doubtful) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusNotFound || r.Method != http.MethodGet || strings.Contains(r.URL.Path, "/contents/") {
		return res, err
	}
	_ = res.Body.Close() // the second answer counts
	return t.next.RoundTrip(r.Clone(r.Context()))
}

// installed signs requests as an installation. A token that is refused before its
// time is replaced, and the request made once more.
type installed struct {
	app *App
	id  int64
	mu  sync.Mutex
	now *ghinstallation.Transport
}

func (t *installed) renew() *ghinstallation.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = t.app.signed(t.id)
	return t.now
}

func (t *installed) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	now := t.now
	t.mu.Unlock()
	res, err := now.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusUnauthorized || r.Body != nil && r.GetBody == nil {
		return res, err
	}
	_ = res.Body.Close() // it says that the token is bad
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	return t.renew().RoundTrip(again)
}

// conditional keeps the answers to some reads, with their ETags: asked again, GitHub
// answers 304, which does not count against the limit. Each client has its own, so
// that no installation sees what another may read.
// https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
type conditional struct {
	next http.RoundTripper
	kept *lru.Cache[string, answer]
}

type answer struct {
	etag   string
	header http.Header
	body   []byte
}

// maxKept bounds what one installation keeps: answers, and the bytes of each.
const (
	maxKept       = 64
	maxKeptAnswer = 64 << 10
)

func newConditional(next http.RoundTripper) *conditional {
	kept, _ := lru.New[string, answer](maxKept) // fails for sizes below 1 only
	return &conditional{next, kept}
}

func (c *conditional) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || strings.Contains(r.URL.Path, "/comments") || strings.Contains(r.URL.Path, "/secret-scanning/") { // whose answers hold keys
		return c.next.RoundTrip(r)
	}
	name := r.URL.String() + "\n" + r.Header.Get("Accept")
	old, known := c.kept.Get(name)
	if known {
		r = r.Clone(r.Context())
		r.Header.Set("If-None-Match", old.etag)
	}
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if known && res.StatusCode == http.StatusNotModified {
		_ = res.Body.Close() // it is empty
		out := *res
		out.StatusCode, out.Status = http.StatusOK, "200 OK"
		out.Header = old.header.Clone()
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(old.body)), int64(len(old.body))
		return &out, nil
	}
	etag := res.Header.Get("ETag")
	if res.StatusCode != http.StatusOK || etag == "" || res.ContentLength > maxKeptAnswer {
		return res, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeptAnswer+1))
	rest := res.Body
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), rest}
	if err == nil && len(body) <= maxKeptAnswer {
		c.kept.Add(name, answer{etag, res.Header.Clone(), body})
	} else if err != nil {
		return nil, errors.Join(fmt.Errorf("read GitHub's answer: %w", err), rest.Close())
	}
	return res, nil
}
