package github_test

import (
	"net/url"
	"sync"
	"testing"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/github/githubtest"
)

// TestTokensAtOnce asks for tokens of several installations at once, for the API and for
// git: the race detector has to find nothing that they share.
func TestTokensAtOnce(t *testing.T) {
	s, err := githubtest.New(githubtest.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	ids := []int64{s.AddOrg("acme"), s.AddOrg("zeta"), s.AddOrg("omega")}
	api, err := url.Parse(s.URL + "/api/v3/")
	if err != nil {
		t.Fatal(err)
	}
	web, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // one round may miss it
		app, err := github.New(github.Config{AppID: s.AppID(), Key: s.AppKeyPEM(), API: api, Web: web})
		if err != nil {
			t.Fatal(err)
		}
		start := make(chan struct{})
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				<-start
				if _, err := app.Installation(id).GitToken(t.Context(), true); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				<-start
				if _, _, err := app.Installation(id).Apps.ListRepos(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
	}
}
