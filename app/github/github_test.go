package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/github/githubtest"
)

func newApp(t *testing.T, cfg github.Config) (*githubtest.Server, *github.App, int64) {
	t.Helper()
	s, err := githubtest.New(githubtest.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	id := s.AddOrg("acme")
	for _, name := range []string{"widgets", "gadgets"} {
		if _, err := s.AddRepo("acme", name, githubtest.Repo{}); err != nil {
			t.Fatal(err)
		}
	}
	cfg.AppID, cfg.Key = s.AppID(), s.AppKeyPEM()
	if cfg.Web, err = url.Parse(s.URL); err != nil {
		t.Fatal(err)
	}
	if cfg.API, err = url.Parse(s.URL + "/api/v3/"); err != nil {
		t.Fatal(err)
	}
	app, err := github.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, app, id
}

func statuses(s *githubtest.Server, path string) (out []string) {
	for _, r := range s.Requests() {
		if r.Path == path {
			out = append(out, fmt.Sprint(r.Status))
		}
	}
	return out
}

// TestConditional reads twice: the second answer is GitHub's 304 and our copy. Another
// installation does not get it.
func TestConditional(t *testing.T) {
	t.Parallel()
	s, app, id := newApp(t, github.Config{})
	for range 3 {
		r, _, err := app.Installation(id).Repositories.Get(context.Background(), "acme", "widgets")
		if err != nil || r.GetName() != "widgets" {
			t.Fatalf("got %v, %v", r, err)
		}
	}
	if got := strings.Join(statuses(s, "/repos/acme/widgets"), " "); got != "200 304 304" {
		t.Errorf("GitHub answered %s", got)
	}
	other := s.AddOrg("other")
	if _, _, err := app.Installation(other).Repositories.Get(context.Background(), "acme", "widgets"); github.Status(err) != http.StatusNotFound {
		t.Errorf("another installation: %v", err)
	}
}

// TestLimits holds that a limit is told as a time to wait, and that nothing is asked
// until then.
func TestLimits(t *testing.T) {
	t.Parallel()
	began := time.Now()
	for name, tt := range map[string]struct {
		f    githubtest.Fault
		wait time.Duration
	}{
		"secondary":            {githubtest.Fault{Status: 403, Header: http.Header{"Retry-After": {"7"}}}, 7 * time.Second},
		"too many":             {githubtest.Fault{Status: 429}, time.Minute},
		"secondary by message": {githubtest.Fault{Status: 403, Body: `{"message":"You have exceeded a secondary rate limit. Please wait"}`}, time.Minute},
		"absurd":               {githubtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"999999"}}}, time.Hour},
		"primary in ten years": {githubtest.Fault{Status: 403, Header: http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(time.Now().AddDate(10, 0, 0).Unix())}}}, time.Hour},
		"primary":              {githubtest.Fault{Status: 403, Header: http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(time.Now().Add(40 * time.Second).Unix())}}}, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, app, id := newApp(t, github.Config{})
			tt.f.Path, tt.f.Times = "/repos/", 1
			s.Fail(tt.f)
			for range 3 {
				_, _, err := app.Installation(id).Repositories.Get(context.Background(), "acme", "widgets")
				until, ok := github.Wait(err)
				if now := time.Now(); !ok || until.Before(began.Add(tt.wait-time.Second)) || until.After(now.Add(tt.wait)) { // the header tells times to the second
					t.Errorf("wait until %s (%v), want %s after the answer, which was between %s and %s", until, err, tt.wait, began, now)
				}
			}
			if n := len(statuses(s, "/repos/acme/widgets")); n != 1 {
				t.Errorf("GitHub was asked %d times", n)
			}
		})
	}
}

// TestRefusals are no limits: they say what they are.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s, app, id := newApp(t, github.Config{})
	if err := s.Suspend("acme", true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := app.Installation(id).Repositories.Get(context.Background(), "acme", "widgets"); !errors.Is(err, github.ErrSuspended) {
		t.Errorf("suspended: %v", err)
	}
	if err := s.Suspend("acme", false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := app.Installation(4711).Repositories.Get(context.Background(), "acme", "widgets"); !errors.Is(err, github.ErrUninstalled) {
		t.Errorf("never installed: %v", err)
	}
	s.Grant(map[string]string{"issues": ""})
	_, _, err := app.Installation(id).Issues.Create(context.Background(), "acme", "widgets", &gh.IssueRequest{Title: gh.String("x")})
	if _, wait := github.Wait(err); wait || github.Status(err) != http.StatusForbidden {
		t.Errorf("without the right: %v", err)
	}
}

// TestPace books writes, and refuses those that would wait too long for who is impatient.
func TestPace(t *testing.T) {
	t.Parallel()
	booked := 0
	s, app, id := newApp(t, github.Config{Pace: &github.Pace{Content: func(context.Context, int64) (time.Duration, error) { return 0, nil }, Write: func(_ context.Context, _ int64, most time.Duration) (time.Duration, error) {
		if most < time.Second {
			return 9 * time.Second, nil
		}
		booked++
		return 0, nil
	}}})
	c := app.Installation(id)
	if _, _, err := c.Issues.Create(github.Impatient(context.Background()), "acme", "widgets", &gh.IssueRequest{Title: gh.String("x")}); err == nil {
		t.Error("an impatient write was made")
	} else if _, ok := github.Wait(err); !ok {
		t.Errorf("impatient: %v", err)
	}
	if _, _, err := c.Issues.Create(context.Background(), "acme", "widgets", &gh.IssueRequest{Title: gh.String("x")}); err != nil || booked != 1 {
		t.Errorf("%d booked, %v", booked, err)
	}
	if n := len(s.Writes()); n != 1 {
		t.Errorf("%d writes", n)
	}
}

// TestGitToken holds the token for fetches to reading, and to one request for many.
func TestGitToken(t *testing.T) {
	t.Parallel()
	s, app, id := newApp(t, github.Config{})
	token := ""
	for _, fresh := range []bool{false, false, false, true} {
		now, err := app.Installation(id).GitToken(context.Background(), fresh)
		if err != nil {
			t.Fatal(err)
		}
		if !fresh && token != "" && now != token || fresh && now == token {
			t.Errorf("fresh %v: the token is the same: %v", fresh, now == token)
		}
		token = now
	}
	for method, want := range map[string]int{http.MethodGet: 200, http.MethodPost: 403} {
		r, err := http.NewRequest(method, s.URL+"/api/v3/repos/acme/widgets/issues", strings.NewReader(`{"title":"x"}`))
		if method == http.MethodGet {
			r, err = http.NewRequest(method, s.URL+"/api/v3/repos/acme/widgets", nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", method, res.StatusCode, want)
		}
	}
}
