package hooks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
)

// maxIssues is how many rotation issues one run opens. GitHub takes 500 an hour
// from one author; the next run goes on.
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
const maxIssues = 100

// A tracker talks to GitHub's API for one run of the Action.
type tracker struct {
	env    *Env
	client *github.Client
	pause  time.Duration // between two writes
	wrote  bool
}

// tellGitHub writes the pull request's comment and the rotation issues. That it may
// not is a warning: the scan has been made, and says what it says.
func (env *Env) tellGitHub(ctx context.Context, in *inputs, ev *event, p *plan, r *report.Report, link report.Link) error {
	wantsIssues := in.openIssues != "false"
	if !in.comment && !wantsIssues {
		return nil
	}
	t, err := env.newTracker(in)
	if err != nil {
		return err
	}
	if in.comment && p.pull > 0 {
		if err := t.comment(ctx, env.Getenv("GITHUB_REPOSITORY"), p.pull, r, link); err != nil {
			env.warn("the comment was not written: " + plainAPI(err, "pull-requests: write"))
		}
	}
	if wantsIssues {
		if err := t.issues(ctx, in, r, link); err != nil {
			env.warn("rotation issues were not all opened: " + plainAPI(err, "issues: write"))
		}
	}
	return nil
}

func (env *Env) newTracker(in *inputs) (*tracker, error) {
	if in.token == "" {
		return nil, hint(errors.New("comment and open-issues need the input token"), "the scan was made; with: token: ${{ github.token }}")
	}
	api, err := url.Parse(strings.TrimSuffix(cmp.Or(env.Getenv("GITHUB_API_URL"), "https://api.github.com"), "/") + "/")
	if err != nil || api.Host == "" {
		return nil, errors.New("GITHUB_API_URL is no address")
	}
	client := github.NewClient(&http.Client{Timeout: 30 * time.Second}).WithAuthToken(in.token)
	client.BaseURL = api
	pause := time.Second
	if host := api.Hostname(); host == "127.0.0.1" || host == "localhost" {
		pause = 0 // a stand-in
	}
	return &tracker{env: env, client: client, pause: pause}, nil
}

// warn shows a warning in the workflow.
func (env *Env) warn(text string) {
	_, _ = io.WriteString(env.Stdout, "::warning title=Keyward::"+strings.NewReplacer("%", "%25", "\r", " ", "\n", "%0A").Replace(text)+"\n") // nowhere else to say it
}

// plainAPI says what an error of the API means, and what would help.
func plainAPI(err error, permission string) string {
	var res *github.ErrorResponse
	if errors.As(err, &res) && res.Response != nil {
		switch res.Response.StatusCode {
		case http.StatusForbidden, http.StatusNotFound:
			return fmt.Sprintf("GitHub answered %d: the job's token may not (permissions: %s; for pull requests from forks it never may)", res.Response.StatusCode, permission)
		case http.StatusGone:
			return "GitHub answered 410: issues are switched off in that repository"
		}
		return fmt.Sprintf("GitHub answered %d", res.Response.StatusCode)
	}
	var rate *github.RateLimitError
	var abuse *github.AbuseRateLimitError
	if errors.As(err, &rate) || errors.As(err, &abuse) {
		return "GitHub's rate limit is used up: run it again later"
	}
	var refusal *usageError
	if errors.As(err, &refusal) {
		return refusal.Error()
	}
	return "GitHub could not be reached"
}

// write does one change, at most one a second, and once more if GitHub asks to wait.
func (t *tracker) write(ctx context.Context, do func() error) error {
	if t.wrote {
		if err := sleep(ctx, t.pause); err != nil {
			return err
		}
	}
	t.wrote = true
	err := do()
	var abuse *github.AbuseRateLimitError
	if errors.As(err, &abuse) && abuse.GetRetryAfter() <= time.Minute {
		if err := sleep(ctx, max(abuse.GetRetryAfter(), t.pause)); err != nil {
			return err
		}
		err = do()
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const commentMarker = "<!-- keyward v1 pull request -->"

// comment keeps one comment on a pull request up to date. Where there is nothing to
// say there is none, unless there was one.
func (t *tracker) comment(ctx context.Context, repository string, pull int, r *report.Report, link report.Link) error {
	owner, name, _ := strings.Cut(repository, "/")
	var md bytes.Buffer
	if err := report.WriteSummary(&md, r, link); err != nil {
		return err
	}
	body := t.env.guard.String(commentMarker + "\n" + md.String())
	var old *github.IssueComment
	opt := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 100}}
	for old == nil {
		list, res, err := t.client.Issues.ListComments(ctx, owner, name, pull, opt)
		if err != nil {
			return err
		}
		for _, c := range list {
			if strings.HasPrefix(c.GetBody(), commentMarker) && c.GetUser().GetType() == "Bot" {
				old = c
			}
		}
		if res.NextPage == 0 {
			break
		}
		opt.Page = res.NextPage
	}
	comment := &github.IssueComment{Body: &body}
	switch {
	case old != nil && old.GetBody() == body:
		return nil
	case old != nil:
		return t.write(ctx, func() error {
			_, _, err := t.client.Issues.EditComment(ctx, owner, name, old.GetID(), comment)
			return err
		})
	case len(r.Keys) == 0 && r.Coverage.Complete():
		return nil
	}
	return t.write(ctx, func() error {
		_, _, err := t.client.Issues.CreateComment(ctx, owner, name, pull, comment)
		return err
	})
}

// issues opens or updates one rotation issue for each key.
func (t *tracker) issues(ctx context.Context, in *inputs, r *report.Report, link report.Link) error {
	if len(r.Keys) == 0 {
		return nil
	}
	source := t.env.Getenv("GITHUB_REPOSITORY")
	target := cmp.Or(in.issueRepository, source)
	owner, name, ok := strings.Cut(target, "/")
	if !ok || strings.Contains(name, "/") {
		return hint(fmt.Errorf("input issue-repository: %q is not of the form owner/name", target))
	}
	repo, _, err := t.client.Repositories.Get(ctx, owner, name)
	if err != nil {
		return err
	}
	if !repo.GetPrivate() && in.openIssues != "public" {
		return hint(fmt.Errorf("%s is public: an issue there would tell everybody of a key that still works. Set issue-repository to a private one, or open-issues: public", target))
	}
	old, err := t.known(ctx, owner, name)
	if err != nil {
		return err
	}
	for n, k := range r.Keys {
		if n == maxIssues {
			t.env.warn(fmt.Sprintf("%d keys have no issue yet: a run opens %d at most", len(r.Keys)-n, maxIssues))
			break
		}
		i := &report.Issue{Key: k, Repository: source, Link: link}
		var issue *github.Issue
		for _, fingerprint := range k.Fingerprints() { // it may have been opened under a former pepper
			issue = cmp.Or(issue, old[fingerprint])
		}
		if err := t.issue(ctx, owner, name, i, issue); err != nil {
			return err
		}
	}
	return nil
}

// known returns the rotation issues there are, by fingerprint. They are listed, not
// searched: the search index lags behind.
func (t *tracker) known(ctx context.Context, owner, name string) (map[string]*github.Issue, error) {
	out := map[string]*github.Issue{}
	opt := &github.IssueListByRepoOptions{State: "all", Labels: []string{"keyward"}, ListOptions: github.ListOptions{PerPage: 100}}
	for {
		list, res, err := t.client.Issues.ListByRepo(ctx, owner, name, opt)
		if err != nil {
			return nil, err
		}
		for _, issue := range list {
			if fp := report.MarkedKey(issue.GetBody()); fp != "" && !issue.IsPullRequest() && (out[fp] == nil || issue.GetState() == "open") {
				out[fp] = issue
			}
		}
		if res.NextPage == 0 {
			return out, nil
		}
		opt.Page = res.NextPage
	}
}

// issue opens the issue of a key, or brings it up to date. One that was closed as not
// planned stays closed: somebody decided so.
func (t *tracker) issue(ctx context.Context, owner, name string, i *report.Issue, old *github.Issue) error {
	clean := func(s string) *string { s = t.env.guard.String(s); return &s }
	if old == nil {
		labels := i.Labels()
		return t.write(ctx, func() error {
			_, _, err := t.client.Issues.Create(ctx, owner, name, &github.IssueRequest{Title: clean(i.Title()), Body: clean(i.Body()), Labels: &labels})
			return err
		})
	}
	if old.GetState() == "closed" && old.GetStateReason() == "not_planned" {
		return nil
	}
	change := &github.IssueRequest{}
	if body := clean(report.Splice(i.Body(), old.GetBody(), func(string) bool { return true })); *body != old.GetBody() {
		change.Body = body
	}
	reopened := old.GetState() == "closed"
	if reopened {
		change.State = github.String("open")
	}
	if change.Body == nil && change.State == nil {
		return nil
	}
	if err := t.write(ctx, func() error {
		_, _, err := t.client.Issues.Edit(ctx, owner, name, old.GetNumber(), change)
		return err
	}); err != nil || !reopened {
		return err
	}
	return t.write(ctx, func() error {
		text := "The key was found again " + since(i.Key) + ": the issue is open again."
		_, _, err := t.client.Issues.CreateComment(ctx, owner, name, old.GetNumber(), &github.IssueComment{Body: &text})
		return err
	})
}

// since says where a key was seen again.
func since(k *scanner.Key) string {
	if c := k.First; c != nil {
		return "in commit " + report.Code(c.ID[:min(len(c.ID), 12)])
	}
	return "in the files"
}
