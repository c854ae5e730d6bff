package hooks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// A standIn answers for GitHub's API: issues and comments of repositories. Every
// request is checked with GitHub's own description of the API.
type standIn struct {
	t        *testing.T
	server   *httptest.Server
	router   routers.Router // nil if the description is not there
	private  bool
	refuse   int // status of the next writes, 0 for none
	slowDown bool
	issues   []object
	comments []object
	writes   []string // method and path of every write
	bodies   string   // all that was written
}

// description is GitHub's description of its API, from npm's @octokit/openapi, read once.
var description = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(os.Getenv("KEYWARD_NPM"), "@octokit/openapi/generated/api.github.com.json"))
	if err != nil {
		return nil, err
	}
	doc.Servers = nil
	return gorillamux.NewRouter(doc)
})

func newStandIn(t *testing.T) *standIn {
	s := &standIn{t: t, private: true}
	if os.Getenv("KEYWARD_NPM") != "" {
		var err error
		if s.router, err = description(); err != nil {
			t.Fatal(err)
		}
		if bad := s.invalid(httptest.NewRequest(http.MethodPost, "/repos/acme/widgets/issues", nil), []byte(`{"title": ["no text"]}`)); bad == nil {
			t.Fatal("the check takes an issue without a title for right")
		}
	} else {
		t.Log("requests are not checked with GitHub's description: KEYWARD_NPM names no directory with @octokit/openapi")
	}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.check(r, body)
	if got := r.Header.Get("Authorization"); got != "Bearer fake-token-of-the-tests" {
		s.t.Errorf("Authorization is %q", got)
	}
	if r.Method != http.MethodGet {
		if s.slowDown {
			s.slowDown = false
			w.Header().Set("Retry-After", "0")
			s.answer(w, http.StatusForbidden, object{"message": "slow down", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"})
			return
		}
		if s.refuse != 0 {
			s.answer(w, s.refuse, object{"message": "Resource not accessible by integration"})
			return
		}
		s.writes = append(s.writes, r.Method+" "+r.URL.Path)
		s.bodies += string(body)
	}
	var in object
	if len(body) > 0 {
		if err := json.Unmarshal(body, &in); err != nil {
			s.t.Error(err)
		}
	}
	s.route(w, r, in)
}

// check holds a request against GitHub's description.
func (s *standIn) check(r *http.Request, body []byte) {
	if s.router == nil {
		return
	}
	if err := s.invalid(r, body); err != nil {
		s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
}

// invalid returns what is wrong with a request.
func (s *standIn) invalid(r *http.Request, body []byte) error {
	c := r.Clone(r.Context())
	c.Body = io.NopCloser(bytes.NewReader(body))
	if c.Header.Get("Content-Type") == "" && len(body) > 0 {
		c.Header.Set("Content-Type", "application/json")
	}
	route, params, err := s.router.FindRoute(c)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{Request: c, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}})
}

func (s *standIn) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.t.Error(err)
	}
}

// page answers with one page of a list, one element a page, so that whoever reads
// only the first is found out.
func (s *standIn) page(w http.ResponseWriter, r *http.Request, list []object) {
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	n = max(n, 1)
	if n < len(list) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?page=%d>; rel="next"`, s.server.URL, r.URL.Path, n+1))
	}
	s.answer(w, http.StatusOK, list[min(n-1, len(list)):min(n, len(list))])
}

func (s *standIn) route(w http.ResponseWriter, r *http.Request, in object) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	rest := strings.Join(parts[3:], "/")
	number := func(i int) int { n, _ := strconv.Atoi(parts[i]); return n }
	switch {
	case rest == "":
		s.answer(w, http.StatusOK, object{"private": s.private, "full_name": parts[1] + "/" + parts[2]})
	case r.Method == http.MethodGet && rest == "issues":
		s.page(w, r, s.issues)
	case r.Method == http.MethodPost && rest == "issues":
		in["number"], in["state"] = len(s.issues)+1, "open"
		var labels []object
		for _, l := range in["labels"].([]any) {
			labels = append(labels, object{"name": l})
		}
		in["labels"] = labels
		s.issues = append(s.issues, in)
		s.answer(w, http.StatusCreated, in)
	case r.Method == http.MethodPatch && parts[3] == "issues" && parts[4] != "comments":
		for k, v := range in {
			s.issues[number(4)-1][k] = v
		}
		s.answer(w, http.StatusOK, s.issues[number(4)-1])
	case r.Method == http.MethodGet && strings.HasSuffix(rest, "/comments"):
		s.page(w, r, s.comments)
	case r.Method == http.MethodPost && strings.HasSuffix(rest, "/comments"):
		in["id"], in["user"] = len(s.comments)+1, object{"type": "Bot", "login": "github-actions[bot]"}
		s.comments = append(s.comments, in)
		s.answer(w, http.StatusCreated, in)
	case r.Method == http.MethodPatch && parts[4] == "comments":
		s.comments[number(5)-1]["body"] = in["body"]
		s.answer(w, http.StatusOK, s.comments[number(5)-1])
	default:
		s.t.Errorf("%s %s is not expected", r.Method, r.URL.Path)
		s.answer(w, http.StatusNotFound, object{})
	}
}

// wrote checks what was written since the last call.
func (s *standIn) wrote(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(s.writes, ", "); got != strings.Join(want, ", ") {
		t.Errorf("written: %s\nwant %s", got, strings.Join(want, ", "))
	}
	s.writes = nil
	for _, key := range []string{swarmKey, gitlab, tailscale} {
		if strings.Contains(s.bodies, key[len(key)-12:]) {
			t.Errorf("a key was written: %s", s.bodies)
		}
	}
}

func TestActionIssues(t *testing.T) {
	s := newStandIn(t)
	w := newWorkflow(t)
	base := w.commit("a", "clean\n")
	head := w.commit("b.env", "TOKEN="+swarmKey+"\n", "@me/c|d (1.env", "KEY="+gitlab+"\n")
	w.git(w.dir, "push", "-q", "origin", "main")
	inputs := map[string]string{"open-issues": "true", "token": "fake-token-of-the-tests", "GITHUB_API_URL": s.server.URL, "KEYWARD_PEPPER": orgPepper}
	event := pushed(base, head, "refs/heads/main")

	w.run("push", event, inputs).expect(t, 1, "2", "1")
	s.wrote(t, "POST /repos/acme/widgets/issues", "POST /repos/acme/widgets/issues")
	body := s.issues[0]["body"].(string)
	for _, want := range []string{"<!-- keyward v1 key=", "- [ ] ", "[`@me/c¦d (1.env:1`](https://github.com/acme/widgets/blob/" + head + "/@me/c%7Cd%20%281.env#L1)", "remove what nobody knows"} {
		if !strings.Contains(body, want) {
			t.Errorf("the issue does not say %q\n%s", want, body)
		}
	}
	if title := s.issues[0]["title"].(string); !strings.HasPrefix(title, "[rotate] GitLab") || !strings.Contains(title, " KW-") {
		t.Errorf("title %q", title)
	}

	// The same again changes nothing.
	w.run("push", event, inputs).expect(t, 1, "2", "1")
	s.wrote(t)

	// Another place is added to its issue, whose ticks stay.
	s.issues[1]["body"] = strings.Replace(s.issues[1]["body"].(string), "- [ ] docker swarm", "- [x] docker swarm", 1)
	more := w.commit("e.env", "TOKEN="+swarmKey+"\n")
	event = pushed(base, more, "refs/heads/main")
	w.run("push", event, inputs).expect(t, 1, "2", "2")
	s.wrote(t, "PATCH /repos/acme/widgets/issues/2")
	if body := s.issues[1]["body"].(string); !strings.Contains(body, "- [x] docker swarm") || !strings.Contains(body, "e.env:1") {
		t.Errorf("the tick is lost, or the place is missing\n%s", body)
	}

	// Closed and seen again it is opened again; closed as not planned it stays closed.
	s.issues[0]["state"], s.issues[0]["state_reason"] = "closed", "not_planned"
	s.issues[1]["state"], s.issues[1]["state_reason"] = "closed", "completed"
	w.run("push", event, inputs).expect(t, 1, "2", "2")
	s.wrote(t, "PATCH /repos/acme/widgets/issues/2", "POST /repos/acme/widgets/issues/2/comments")

	// Another repository.
	s.issues = nil
	inputs["issue-repository"] = "acme/rotation"
	w.run("push", event, inputs).expect(t, 1, "2", "2")
	s.wrote(t, "POST /repos/acme/rotation/issues", "POST /repos/acme/rotation/issues")
	inputs["issue-repository"] = "rotation"
	w.run("push", event, inputs).expect(t, 1, "2", "2", "::warning", "not of the form owner/name")
	delete(inputs, "issue-repository")

	// In a public repository only if told.
	s.issues, s.private = nil, false
	w.run("push", event, inputs).expect(t, 1, "2", "2", "::warning", "would tell everybody")
	s.wrote(t)
	inputs["open-issues"] = "public"
	w.run("push", event, inputs).expect(t, 1, "2", "2")
	s.wrote(t, "POST /repos/acme/widgets/issues", "POST /repos/acme/widgets/issues")

	// GitHub asks to wait, refuses, has issues switched off: the scan says what it says.
	s.issues, s.slowDown = nil, true
	w.run("push", event, inputs).expect(t, 1, "2", "2")
	s.wrote(t, "POST /repos/acme/widgets/issues", "POST /repos/acme/widgets/issues")
	s.issues = nil
	for status, said := range map[int]string{403: "issues: write", 410: "issues are switched off", 500: "GitHub answered 500"} {
		s.refuse = status
		w.run("push", event, inputs).expect(t, 1, "2", "2", "::warning", said)
	}
	s.server.Close()
	w.run("push", event, inputs).expect(t, 1, "2", "2", "GitHub could not be reached")
	delete(inputs, "token")
	w.run("push", event, inputs).expect(t, 2, "2", "2", "need the input token")
}

func TestActionComment(t *testing.T) {
	s := newStandIn(t)
	w := newWorkflow(t)
	base := w.commit("a", "clean\n")
	clean := w.commit("c", "clean\n")
	head := w.commit("b.env", "TOKEN="+swarmKey+"\n")
	w.git(w.dir, "push", "-q", "origin", "main", "main:refs/pull/1/head")
	inputs := map[string]string{"comment": "true", "token": "fake-token-of-the-tests", "GITHUB_API_URL": s.server.URL}
	mark := "<!-- keyward v1 pull request -->"
	s.comments = []object{{"id": 1, "body": "looks good", "user": object{"type": "User"}}, {"id": 2, "body": mark + " forged", "user": object{"type": "User"}}}

	w.run("pull_request", pulled(base, clean), inputs).expect(t, 0, "0", "1")
	s.wrote(t)
	w.run("pull_request", pulled(base, head), inputs).expect(t, 1, "1", "2")
	s.wrote(t, "POST /repos/acme/widgets/issues/1/comments")
	if body := s.comments[2]["body"].(string); !strings.HasPrefix(body, mark) || !strings.Contains(body, "b.env:1") {
		t.Errorf("the comment says %s", body)
	}
	w.run("pull_request", pulled(clean, clean), inputs).expect(t, 0, "0", "0")
	s.wrote(t, "PATCH /repos/acme/widgets/issues/comments/3")
	if body := s.comments[2]["body"].(string); !strings.Contains(body, "found no keys") {
		t.Errorf("the comment still says %s", body)
	}
	s.refuse = http.StatusForbidden
	w.run("pull_request", pulled(base, head), inputs).expect(t, 1, "1", "2", "::warning", "pull-requests: write", "forks")
	w.run("push", pushed(base, head, "refs/heads/main"), inputs).expect(t, 1, "1", "2")
	s.wrote(t)
}
