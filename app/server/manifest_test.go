package server

import (
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/app/webhook"
)

// calls are all calls of GitHub's API as an installation, with the permissions that each
// needs; of several one will do. Calls as the App itself need none.
// https://docs.github.com/rest/authentication/permissions-required-for-github-apps
var calls = map[string][]string{
	"Apps.CompleteAppManifest":             nil,
	"Apps.Get":                             nil,
	"Apps.GetHookConfig":                   nil,
	"Apps.GetInstallation":                 nil,
	"Apps.ListHookDeliveries":              nil,
	"Apps.ListInstallations":               nil,
	"Apps.RedeliverHookDelivery":           nil,
	"Get in jobs/sweep.go":                 nil, // /app/hook/deliveries
	"Apps.ListRepos":                       {"metadata:read"},
	"Repositories.Get":                     {"metadata:read"},
	"Repositories.GetPermissionLevel":      {"metadata:read"},
	"Issues.IsAssignee":                    {"metadata:read"},
	"Users.GetByID":                        nil,
	"GitToken":                             {"contents:read"}, // of every fetch
	"Repositories.GetContents":             {"contents:read"},
	"Repositories.GetCommit":               {"contents:read"},
	"Checks.CreateCheckRun":                {"checks:write"},
	"Checks.GetCheckRun":                   {"checks:read"},
	"Checks.ListCheckRunsForRef":           {"checks:read"},
	"Checks.UpdateCheckRun":                {"checks:write"},
	"PullRequests.Get":                     {"pull_requests:read"},
	"PullRequests.GetReview":               {"pull_requests:read"},
	"PullRequests.GetComment":              {"pull_requests:read"},
	"Repositories.GetComment":              {"contents:read"}, // of a commit
	"Repositories.GetRelease":              {"contents:read"},
	"Post in github/node.go":               {"discussions:read"}, // GraphQL
	"Issues.Create":                        {"issues:write"},
	"Issues.Edit":                          {"issues:write"},
	"Issues.Get":                           {"issues:read", "pull_requests:read"},
	"Issues.ListByRepo":                    {"issues:read"},
	"Issues.CreateComment":                 {"issues:write", "pull_requests:write"},
	"Issues.GetComment":                    {"issues:read", "pull_requests:read"},
	"Issues.ListComments":                  {"issues:read", "pull_requests:read"},
	"Reactions.CreateIssueCommentReaction": {"issues:write", "pull_requests:write"},
	"Post in rotation/part.go":             {"issues:write"}, // adds a sub-issue
	"Repositories.ListKeys":                {"administration:read"},
	"Repositories.DeleteKey":               {"administration:write"},
	"SecretScanning.ListAlertsForRepo":     {"secret_scanning_alerts:read"},
	"Patch in jobs/alert.go":               {"secret_scanning_alerts:write"},
	"Get in jobs/grant.go":                 {"organization_personal_access_tokens:read"},
	"Post in jobs/grant.go":                {"organization_personal_access_tokens:write"},
}

// events are the webhook events, with the permission that a subscription needs.
// https://docs.github.com/webhooks/webhook-events-and-payloads
var events = map[string]string{
	"push": "contents:read", "pull_request": "pull_requests:read", "merge_group": "merge_queues:read", "check_run": "checks:read", "check_suite": "checks:read",
	"issues": "issues:read", "issue_comment": "issues:read", "pull_request_review": "pull_requests:read", "pull_request_review_comment": "pull_requests:read",
	"commit_comment": "contents:read", "discussion": "discussions:read", "discussion_comment": "discussions:read", "release": "contents:read", "gollum": "contents:read",
	"repository": "metadata:read", "member": "members:read", "organization": "members:read",
}

var (
	serviceCall = regexp.MustCompile(`\.((?:Actions|Activity|Apps|Checks|CodeScanning|Codespaces|Dependabot|Git|Issues|Organizations|PullRequests|Reactions|Repositories|Search|SecretScanning|Teams|Users)\.[A-Z]\w*\(|GitToken\b)`)
	rawCall     = regexp.MustCompile(`\.NewRequest\(http\.Method(\w+), `)
)

// callsInCode finds the calls of GitHub's API in the App's code.
func callsInCode(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		name = filepath.ToSlash(strings.TrimPrefix(name, "../"))
		if strings.HasPrefix(name, "github/githubtest/") || strings.HasPrefix(name, "demo/") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join("..", name))
		for _, m := range serviceCall.FindAllSubmatch(text, -1) {
			found[strings.TrimSuffix(string(m[1]), "(")] = true
		}
		for _, m := range rawCall.FindAllSubmatch(text, -1) {
			found[string(m[1])+" in "+name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestPermissions holds the permissions of each manifest to the calls and events that need
// them: none is missing, and none is asked for without need.
func TestPermissions(t *testing.T) {
	t.Parallel()
	found := callsInCode(t)
	for name := range found {
		if _, ok := calls[name]; !ok {
			t.Errorf("which permission does the call %s need? Add it to calls, and to the manifest", name)
		}
	}
	needs := map[string][]string{} // by permission, who needs it
	for name, perms := range calls {
		if !found[name] {
			t.Errorf("no code calls %s: remove it from calls, and its permission from the manifest", name)
		}
		for _, p := range perms {
			needs[p] = append(needs[p], name)
		}
		granted := len(perms) == 0
		for _, p := range perms {
			granted = granted || grants(permissions("enforce"), p)
		}
		if !granted {
			t.Errorf("no manifest grants what %s needs: %s", name, strings.Join(perms, " or "))
		}
	}
	for _, event := range webhook.Events() {
		p, ok := events[event]
		if !ok || !grants(permissions("scan"), p) {
			t.Errorf("event %s: the manifest scan does not grant what its subscription needs: %q", event, p)
		}
		needs[p] = append(needs[p], event)
	}
	for _, kind := range kinds {
		for _, name := range slices.Sorted(maps.Keys(kind.add)) {
			p := name + ":" + kind.add[name]
			if len(needs[p]) == 0 {
				t.Errorf("manifest %s asks for %s, which no call and no event needs", kind.Name, p)
			}
			t.Logf("%-9s %-43s %s", kind.Name, p, strings.Join(needs[p], ", "))
		}
	}
}

// grants reports whether permissions include one such as issues:read.
func grants(have map[string]string, need string) bool {
	name, level, _ := strings.Cut(need, ":")
	return have[name] == level || have[name] == "write"
}

// TestSetupTokenDies answers nothing once the App exists.
func TestSetupTokenDies(t *testing.T) {
	t.Parallel()
	w := &wizard{cfg: &Config{GitHubURL: "https://github.com"}, token: random(), host: "127.0.0.1:3000", done: make(chan error, 1)}
	w.state = stateOf(w.token)
	status := func(method, target string) int {
		r := httptest.NewRequest(method, "http://"+w.host+target, strings.NewReader(url.Values{}.Encode()))
		res := httptest.NewRecorder()
		w.ServeHTTP(res, r)
		return res.Code
	}
	w.made = true
	for _, r := range [][2]string{{"GET", w.path("")}, {"POST", w.path("go")}, {"GET", "/made?code=abc&state=" + w.state}} {
		if got := status(r[0], r[1]); got != http.StatusNotFound {
			t.Errorf("%s %s after success: %d, want 404", r[0], r[1], got)
		}
	}
}
