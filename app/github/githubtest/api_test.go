package githubtest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	gh "github.com/google/go-github/v62/github"
)

func annotations(n int) []*gh.CheckRunAnnotation {
	var list []*gh.CheckRunAnnotation
	for i := range n {
		list = append(list, &gh.CheckRunAnnotation{Path: gh.String("a"), StartLine: gh.Int(i + 1), EndLine: gh.Int(i + 1), StartColumn: gh.Int(1), EndColumn: gh.Int(2),
			AnnotationLevel: gh.String("failure"), Message: gh.String("found"), Title: gh.String("a key")})
	}
	return list
}

func status(err error) int {
	if e := new(gh.ErrorResponse); errors.As(err, &e) {
		return e.Response.StatusCode
	}
	return 0
}

func TestChecks(t *testing.T) {
	w := newWorld(t, 30)
	sha := w.commit("a", "1\n")
	w.hooks()
	out := &gh.CheckRunOutput{Title: gh.String("title"), Summary: gh.String("text"), Annotations: annotations(51)}
	opt := gh.CreateCheckRunOptions{Name: "keyward", HeadSHA: sha, Status: gh.String("in_progress"), ExternalID: gh.String("x1"), Output: out}
	_, _, err := w.api.Checks.CreateCheckRun(t.Context(), "acme", "widgets", opt)
	equal(t, "51 annotations", status(err), 422)
	w.wrong = 1
	out.Annotations = annotations(50)
	run, _, err := w.api.Checks.CreateCheckRun(t.Context(), "acme", "widgets", opt)
	w.ok(err)
	out.Annotations = annotations(7)
	run, _, err = w.api.Checks.UpdateCheckRun(t.Context(), "acme", "widgets", run.GetID(), gh.UpdateCheckRunOptions{Name: "keyward", Output: out,
		Status: gh.String("completed"), Conclusion: gh.String("failure"),
		Actions: []*gh.CheckRunAction{{Label: "Fix", Description: "Fix it", Identifier: "fix"}}})
	w.ok(err)
	equal(t, "annotations", run.GetOutput().GetAnnotationsCount(), 57)
	page, res, err := w.api.Checks.ListCheckRunAnnotations(t.Context(), "acme", "widgets", run.GetID(), &gh.ListOptions{PerPage: 100})
	w.ok(err)
	equal(t, "annotations on page 1", len(page), 30)
	equal(t, "next page", res.NextPage, 2)
	list, _, err := w.api.Checks.ListCheckRunsForRef(t.Context(), "acme", "widgets", "main", &gh.ListCheckRunsOptions{CheckName: gh.String("keyward"), AppID: gh.Int64(4711)})
	w.ok(err)
	equal(t, "found", list.GetTotal(), 1)
	equal(t, "external id", list.CheckRuns[0].GetExternalID(), "x1")
	w.ok(w.Rerequest("acme", "widgets", run.GetID()))
	w.ok(w.RequestAction("acme", "widgets", run.GetID(), "fix", "ada"))
	w.ok(w.RerequestSuite("acme", "widgets", sha))
	equal(t, "events", w.events(), "check_run.created check_run.completed check_run.rerequested check_run.requested_action check_suite.rerequested")
	state := w.Checks("acme", "widgets")[0]
	equal(t, "state", line(state.Conclusion, state.Updates, len(state.Annotations), state.Actions), "failure 1 57 [{Fix Fix it fix}]")
	opt.HeadSHA = strings.Repeat("1", 40)
	_, _, err = w.api.Checks.CreateCheckRun(t.Context(), "acme", "widgets", opt)
	equal(t, "unknown commit", status(err), 422)
	w.Grant(map[string]string{"checks": "read"})
	opt.HeadSHA = sha
	_, _, err = w.api.Checks.CreateCheckRun(t.Context(), "acme", "widgets", opt)
	equal(t, "without permission", status(err), 403)
}

func TestIssues(t *testing.T) {
	w := newWorld(t, 1)
	w.must(w.AddRepo("acme", "quiet", Repo{NoIssues: true}))
	in := &gh.IssueRequest{Title: gh.String("Rotate"), Body: gh.String("text"), Labels: &[]string{"keyward", "high"}, Assignees: &[]string{"ada"}}
	i, _, err := w.api.Issues.Create(t.Context(), "acme", "widgets", in)
	w.ok(err)
	equal(t, "user", i.GetUser().GetLogin(), "keyward[bot]")
	equal(t, "type", i.GetUser().GetType(), "Bot")
	w.OpenIssue("acme", "widgets", "Other", "", "ada")
	all, res, err := w.api.Issues.ListByRepo(t.Context(), "acme", "widgets", &gh.IssueListByRepoOptions{State: "all", ListOptions: gh.ListOptions{PerPage: 100}})
	w.ok(err)
	equal(t, "page", line(len(all), res.NextPage), "1 2")
	all, _, err = w.api.Issues.ListByRepo(t.Context(), "acme", "widgets", &gh.IssueListByRepoOptions{Labels: []string{"keyward"}, Creator: "keyward[bot]"})
	w.ok(err)
	equal(t, "by label", len(all), 1)
	w.must2(w.api.Issues.CreateComment(t.Context(), "acme", "widgets", 1, &gh.IssueComment{Body: gh.String("done")}))
	id := w.Comment("acme", "widgets", 1, "thanks", "ada")
	w.must2(w.api.Issues.EditComment(t.Context(), "acme", "widgets", id, &gh.IssueComment{Body: gh.String("thank you")}))
	w.must2(w.api.Issues.Edit(t.Context(), "acme", "widgets", 1, &gh.IssueRequest{State: gh.String("closed"), StateReason: gh.String("not_planned")}))
	w.must2(w.api.Issues.AddLabelsToIssue(t.Context(), "acme", "widgets", 1, []string{"late"}))
	w.ok(w.ReopenIssue("acme", "widgets", 1, "ada"))
	equal(t, "events", w.events(), "issues.opened issues.labeled issues.labeled issues.assigned issues.opened issue_comment.created "+
		"issue_comment.created issue_comment.edited issues.closed issues.labeled issues.reopened")
	state := w.Issues("acme", "widgets")[0]
	equal(t, "state", line(state.State, state.Labels, state.Assignees, len(state.Comments)), "open [keyward high late] [ada] 2")
	_, _, err = w.api.Issues.Create(t.Context(), "acme", "quiet", in)
	equal(t, "no issues", status(err), http.StatusGone)
	_, _, err = w.api.Issues.Create(t.Context(), "acme", "widgets", &gh.IssueRequest{Title: gh.String("x"), Body: gh.String(strings.Repeat("x", 65537))})
	equal(t, "too long", status(err), 422)
	ok, _, err := w.api.Issues.IsAssignee(t.Context(), "acme", "widgets", "nobody")
	equal(t, "assignee", line(ok, err), "false <nil>")
	w.SetPermission("acme", "widgets", "ada", "maintain")
	level, _, err := w.api.Repositories.GetPermissionLevel(t.Context(), "acme", "widgets", "ada")
	w.ok(err)
	equal(t, "permission", level.GetPermission(), "write")
}

// line is what Println would print.
func line(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

func (w *world) must2(_ any, _ *gh.Response, err error) { w.t.Helper(); w.ok(err) }

func TestContents(t *testing.T) {
	w := newWorld(t, 0)
	w.CompareFiles = 2
	base := w.commit("a", "1\n", ".github/keyward.toml", "x = 1\n")
	w.git("checkout", "-q", "-b", "feature/x")
	head := w.commit("a", "2\n", "b", "1\n", "c d", "1\n")
	file, _, _, err := w.api.Repositories.GetContents(t.Context(), "acme", "widgets", ".github/keyward.toml", nil)
	w.ok(err)
	text, err := file.GetContent()
	w.ok(err)
	equal(t, "content", text, "x = 1\n")
	_, dir, _, err := w.api.Repositories.GetContents(t.Context(), "acme", "widgets", "", &gh.RepositoryContentGetOptions{Ref: "feature/x"})
	w.ok(err)
	equal(t, "directory", len(dir), 4)
	_, _, _, err = w.api.Repositories.GetContents(t.Context(), "acme", "widgets", "none", nil)
	equal(t, "missing", status(err), 404)
	cmp, _, err := w.api.Repositories.CompareCommits(t.Context(), "acme", "widgets", base, "feature/x", nil)
	w.ok(err)
	equal(t, "comparison", line(cmp.GetStatus(), cmp.GetTotalCommits(), len(cmp.Files)), "ahead 1 2")
	equal(t, "patch", cmp.Files[0].GetPatch(), "@@ -1 +1 @@\n-1\n+2")
	commit, _, err := w.api.Repositories.GetCommit(t.Context(), "acme", "widgets", head, nil)
	w.ok(err)
	equal(t, "commit", line(commit.GetAuthor().GetLogin(), len(commit.Files), commit.Files[2].GetFilename()), "ada 3 c d")
	tree, _, err := w.api.Git.GetTree(t.Context(), "acme", "widgets", head, true)
	w.ok(err)
	equal(t, "tree", len(tree.Entries), 5)
	raw, _, err := w.api.Git.GetBlobRaw(t.Context(), "acme", "widgets", tree.Entries[1].GetSHA())
	w.ok(err)
	equal(t, "blob", string(raw), "x = 1\n")
	branch, _, err := w.api.Repositories.GetBranch(t.Context(), "acme", "widgets", "feature/x", 1)
	w.ok(err)
	equal(t, "branch", branch.GetCommit().GetSHA(), head)
	w.git("checkout", "-q", "--orphan", "alone")
	alone := w.commit("z", "1\n")
	_, _, err = w.api.Repositories.CompareCommits(t.Context(), "acme", "widgets", base, alone, nil)
	equal(t, "no common ancestor", status(err), 404)
}

func TestApp(t *testing.T) {
	w := newWorld(t, 1)
	w.must(w.AddRepo("acme", "open", Repo{Public: true}))
	repos, res, err := w.api.Apps.ListRepos(t.Context(), nil)
	w.ok(err)
	equal(t, "repositories", line(repos.GetTotalCount(), len(repos.Repositories), res.NextPage), "2 1 2")
	w.must2(w.app.Apps.Get(t.Context(), ""))
	narrow, _, err := w.app.Apps.CreateInstallationToken(t.Context(), w.install, &gh.InstallationTokenOptions{Repositories: []string{"open"},
		Permissions: &gh.InstallationPermissions{Issues: gh.String("read")}})
	w.ok(err)
	few := gh.NewClient(nil).WithAuthToken(narrow.GetToken())
	few.BaseURL = w.api.BaseURL
	_, _, err = few.Repositories.Get(t.Context(), "acme", "widgets")
	equal(t, "not in the token", status(err), 404)
	_, _, err = few.Issues.Create(t.Context(), "acme", "open", &gh.IssueRequest{Title: gh.String("x")})
	equal(t, "not in the permissions", status(err), 403)
	_, _, err = w.app.Apps.CreateInstallationToken(t.Context(), w.install, &gh.InstallationTokenOptions{Permissions: &gh.InstallationPermissions{Contents: gh.String("write")}})
	equal(t, "more than granted", status(err), 422)
	w.ok(w.Rename("acme", "open", "opened"))
	r, _, err := w.api.Repositories.Get(t.Context(), "acme", "open")
	w.ok(err)
	equal(t, "renamed", r.GetName(), "opened")
	w.ok(w.Suspend("acme", true))
	_, _, err = w.app.Apps.CreateInstallationToken(t.Context(), w.install, nil)
	equal(t, "suspended", status(err), 403)
	w.ok(w.Suspend("acme", false))
	w.ok(w.RemoveFromInstallation("acme", "widgets"))
	_, _, err = w.api.Repositories.Get(t.Context(), "acme", "widgets")
	equal(t, "not in the installation", status(err), 404)
	w.ok(w.AddToInstallation("acme", "acme/widgets"))
	w.must2(w.api.Repositories.Get(t.Context(), "acme", "widgets"))
	w.ok(w.Uninstall("acme"))
	_, _, err = w.api.Repositories.Get(t.Context(), "acme", "widgets")
	equal(t, "uninstalled", status(err), 401)
	w.Install("acme")
	equal(t, "events", w.events(), "repository.renamed installation.suspend installation.unsuspend installation_repositories.removed "+
		"installation_repositories.added installation.deleted installation.created")
	code := w.ManifestCode()
	plain := gh.NewClient(nil)
	plain.BaseURL = w.api.BaseURL
	config, _, err := plain.Apps.CompleteAppManifest(t.Context(), code)
	w.ok(err)
	equal(t, "secret", config.GetWebhookSecret(), "fake-secret")
	_, _, err = plain.Apps.CompleteAppManifest(t.Context(), code)
	equal(t, "used code", status(err), 404)
	_, _, err = plain.Apps.Get(t.Context(), "")
	equal(t, "no JWT", status(err), 401)
}

func TestDeliveries(t *testing.T) {
	w := newWorld(t, 1)
	w.answer = http.StatusInternalServerError
	guid := w.Deliver("ping", map[string]any{"zen": "calm"})
	w.DeliverRaw("ping", "not-a-guid", []byte("{"))
	equal(t, "events", w.events(), "ping ping")
	page, res, err := w.app.Apps.ListHookDeliveries(t.Context(), &gh.ListCursorOptions{PerPage: 50})
	w.ok(err)
	equal(t, "first page", line(len(page), page[0].GetGUID(), page[0].GetStatusCode(), res.Cursor != ""), "1 not-a-guid 500 true")
	page, res, err = w.app.Apps.ListHookDeliveries(t.Context(), &gh.ListCursorOptions{PerPage: 50, Cursor: res.Cursor})
	w.ok(err)
	equal(t, "second page", line(page[0].GetGUID(), res.Cursor), guid+" ")
	w.mu.Lock()
	w.answer = http.StatusAccepted
	w.mu.Unlock()
	_, _, err = w.app.Apps.RedeliverHookDelivery(t.Context(), page[0].GetID())
	if _, accepted := err.(*gh.AcceptedError); err != nil && !accepted {
		t.Fatal(err)
	}
	w.hooks()
	w.Redeliver(guid)
	equal(t, "GUID again", w.hooks()[0].header.Get("X-GitHub-Delivery"), guid)
	all := w.Deliveries()
	last := all[len(all)-1]
	equal(t, "last", line(len(all), last.GUID, last.Redelivery, last.StatusCode, last.Status), "4 "+guid+" true 202 OK")
	w.Webhook("http://127.0.0.1:1/", "fake-secret")
	w.Deliver("ping", nil)
	w.hooks()
	all = w.Deliveries()
	equal(t, "nobody there", all[len(all)-1].StatusCode, 0)
	w.must2(w.app.Apps.GetHookDelivery(t.Context(), all[0].ID))
}

func TestLimitsAndFaults(t *testing.T) {
	w := newWorld(t, 0)
	get := func() (*gh.Response, error) {
		_, res, err := w.api.Repositories.Get(t.Context(), "acme", "widgets")
		return res, err
	}
	res, err := get()
	w.ok(err)
	left := res.Rate.Remaining
	req, err := w.api.NewRequest("GET", "repos/acme/widgets", nil)
	w.ok(err)
	req.Header.Set("If-None-Match", res.Header.Get("ETag"))
	res, err = w.api.Do(t.Context(), req, nil)
	equal(t, "conditional", status(err), 304)
	equal(t, "remaining", res.Rate.Remaining, left)
	var steps []string
	w.OnRequest(func(n int, r *http.Request, done bool) { steps = append(steps, line(r.Method, done)) })
	w.Fail(Fault{Method: "POST", Path: "/issues$", Skip: 1, Times: 1, Status: 502, AfterEffect: true})
	w.Fail(Fault{Path: "^/repos/acme/widgets$", Times: 1, Truncate: true})
	w.Fail(Fault{Path: "^/repos/acme/widgets$", Times: 1, Status: 429, Header: http.Header{"Retry-After": {"1"}}, Delay: 10 * time.Millisecond})
	for _, want := range []int{0, 502} {
		_, _, err := w.api.Issues.Create(t.Context(), "acme", "widgets", &gh.IssueRequest{Title: gh.String("x")})
		equal(t, "issue", status(err), want)
	}
	equal(t, "issues", len(w.Issues("acme", "widgets")), 2)
	if _, err = get(); err == nil || status(err) != 0 {
		t.Errorf("truncated answer: %v", err)
	}
	_, err = get()
	equal(t, "429", status(err), 429)
	w.OnRequest(nil)
	equal(t, "steps", strings.Join(steps, " "), strings.TrimSpace(strings.Repeat("POST false POST true ", 2)+strings.Repeat("GET false GET true ", 2)))
	w.Fail(Fault{Path: "/widgets", Hang: true})
	fast := *w.api.Client()
	fast.Timeout = 50 * time.Millisecond
	impatient := gh.NewClient(&fast)
	impatient.BaseURL = w.api.BaseURL
	if _, _, err := impatient.Repositories.Get(t.Context(), "acme", "widgets"); err == nil {
		t.Error("hang: got an answer")
	}
	w.ClearFaults()
	w.must(get())
	w.RateLimit(w.install, 1, time.Now().Add(time.Minute))
	w.must(get())
	_, err = get()
	if e := new(gh.RateLimitError); !errors.As(err, &e) {
		t.Errorf("got %v, want a rate limit", err)
	}
	equal(t, "writes", len(w.Writes()), 2)
	for _, r := range w.Requests() {
		if strings.Contains(r.Header.Get("Authorization"), "ghs_") {
			t.Error("the journal holds a token")
		}
	}
}

func TestConcurrent(t *testing.T) {
	w := newWorld(t, 0)
	w.Parallel(4)
	sha := w.commit("a", "1\n")
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			name := fmt.Sprintf("r%d", n)
			if _, err := w.AddRepo("acme", name, Repo{}); err != nil {
				t.Error(err)
			}
			if out, err := w.tryGit("push", "-q", w.CloneURL("acme", name), "main", "main:other"); err != nil {
				t.Errorf("push: %v: %s", err, out)
			}
			opt := gh.CreateCheckRunOptions{Name: "keyward", HeadSHA: sha}
			if _, _, err := w.api.Checks.CreateCheckRun(t.Context(), "acme", name, opt); err != nil {
				t.Error(err)
			}
			w.OpenIssue("acme", name, "x", "", "")
			w.Requests()
			w.Checks("acme", name)
		})
	}
	all.Wait()
	equal(t, "hooks", len(w.hooks()), 1+8*4)
	equal(t, "checks", len(w.Checks("acme", "r7")), 1)
}
