package githubtest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v62/github"
)

// A world is a Server with one private repository, an App that listens, and clients.
type world struct {
	*Server
	t       *testing.T
	install int64
	app     *gh.Client // as the App itself
	api     *gh.Client // as the installation
	dir     string     // work tree of acme/widgets
	mu      sync.Mutex
	got     []hook
	answer  int
	wrong   int // how many requests break GitHub's description
}

type hook struct {
	header http.Header
	body   object
	signed bool
}

func newWorld(t *testing.T, size int) *world {
	opt := Options{Dir: t.TempDir(), PageSize: size, OpenAPI: Descriptions()}
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Server: s, t: t, answer: http.StatusAccepted}
	hooks := httptest.NewServer(http.HandlerFunc(w.listen))
	t.Cleanup(func() {
		s.Close()
		hooks.Close()
		if bad := s.Invalid(); len(bad) != w.wrong && len(opt.OpenAPI) > 0 {
			t.Errorf("invalid requests: got %q, want %d", bad, w.wrong)
		}
	})
	w.install = s.AddOrg("acme")
	s.AddUser("ada")
	w.must(s.AddRepo("acme", "widgets", Repo{}))
	s.Webhook(hooks.URL, "fake-secret")
	apps, err := ghinstallation.NewAppsTransport(http.DefaultTransport, s.AppID(), s.AppKeyPEM())
	w.ok(err)
	apps.BaseURL = s.URL + "/api/v3"
	tokens := ghinstallation.NewFromAppsTransport(apps, w.install)
	tokens.BaseURL = apps.BaseURL
	w.app, w.api = w.client(apps), w.client(tokens)
	w.dir = t.TempDir()
	w.git("init", "-q", "-b", "main")
	w.git("remote", "add", "origin", s.CloneURL("acme", "widgets"))
	return w
}

func (w *world) client(rt http.RoundTripper) *gh.Client {
	c, err := gh.NewClient(&http.Client{Transport: rt}).WithEnterpriseURLs(w.URL, w.URL)
	w.ok(err)
	return c
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) must(_ any, err error) { w.t.Helper(); w.ok(err) }

func (w *world) listen(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h := hook{header: r.Header, signed: r.Header.Get("X-Hub-Signature-256") == "sha256="+sign(sha256.New, "fake-secret", body)}
	_ = json.Unmarshal(body, &h.body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, h)
	rw.WriteHeader(w.answer)
}

// hooks returns what was delivered since the last call.
func (w *world) hooks() []hook {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	w.ok(w.Flush(ctx))
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got
	w.got = nil
	return got
}

// events names what was delivered since the last call.
func (w *world) events() string {
	w.t.Helper()
	var names []string
	for _, h := range w.hooks() {
		name := h.header.Get("X-GitHub-Event")
		if action, ok := h.body["action"].(string); ok {
			name += "." + action
		}
		if !h.signed {
			name += "!unsigned"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func (w *world) git(args ...string) string {
	w.t.Helper()
	out, err := w.tryGit(args...)
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(out)
}

func (w *world) tryGit(args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", w.dir, "-c", "user.name=Ada", "-c", "user.email=ada@users.example"}, args...)...)
	cmd.Env = append(os.Environ(), gitEnv()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// commit writes files (name, text, …), commits and pushes them.
func (w *world) commit(files ...string) string {
	w.t.Helper()
	w.write(files...)
	w.git("push", "-q", "origin", "HEAD")
	return w.git("rev-parse", "HEAD")
}

func (w *world) write(files ...string) {
	w.t.Helper()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(w.dir, files[i])
		w.ok(os.MkdirAll(filepath.Dir(name), 0o755))
		w.ok(os.WriteFile(name, []byte(files[i+1]), 0o644))
	}
	w.git("add", "-A")
	w.git("commit", "-q", "-m", "change "+files[0])
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestPush(t *testing.T) {
	w := newWorld(t, 0)
	first := w.commit("a", "1\n", "dir/ü b", "2\n")
	hooks := w.hooks()
	if len(hooks) != 1 || !hooks[0].signed {
		t.Fatalf("got %v, want one signed push", hooks)
	}
	var e gh.PushEvent
	data, err := json.Marshal(hooks[0].body)
	w.ok(err)
	w.ok(json.Unmarshal(data, &e))
	equal(t, "ref", e.GetRef(), "refs/heads/main")
	equal(t, "before", e.GetBefore(), zeros)
	equal(t, "after", e.GetAfter(), first)
	equal(t, "created", e.GetCreated(), true)
	equal(t, "installation", e.GetInstallation().GetID(), w.install)
	equal(t, "sender", e.GetSender().GetLogin(), "dev")
	equal(t, "added", strings.Join(e.Commits[0].Added, ","), "a,dir/ü b")
	equal(t, "author", e.HeadCommit.GetAuthor().GetLogin(), "ada")
	equal(t, "hook id", hooks[0].header.Get("X-GitHub-Hook-Installation-Target-ID"), "4711")

	w.write("a", "2\n")
	w.git("mv", "dir/ü b", "c")
	w.write("big", strings.Repeat("0123456789abcdef\n", 200_000)) // chunked
	w.git("tag", "-a", "-m", "tag", "v1")
	w.git("push", "-q", "origin", "main", "v1", "main:side")
	for _, h := range w.hooks() {
		switch ref := h.body["ref"]; ref {
		case "refs/heads/main":
			equal(t, "commits", len(h.body["commits"].([]any)), 2)
			equal(t, "forced", h.body["forced"].(bool), false)
		case "refs/heads/side":
			equal[any](t, "before of side", h.body["before"], zeros)
		case "refs/tags/v1":
			equal(t, "commits of a tag", len(h.body["commits"].([]any)), 0)
			equal[any](t, "head of a tag", h.body["head_commit"].(object)["id"], w.git("rev-parse", "HEAD"))
		default:
			t.Errorf("push of %v", ref)
		}
	}
	w.git("reset", "-q", "--hard", first)
	w.write("d", "other\n")
	w.git("push", "-q", "-f", "origin", "main", ":side")
	hooks = w.hooks()
	equal(t, "hooks", len(hooks), 2)
	equal[any](t, "forced", hooks[0].body["forced"], true)
	equal[any](t, "deleted", hooks[1].body["deleted"], true)
	equal[any](t, "after", hooks[1].body["after"], zeros)
}

func TestGitAccess(t *testing.T) {
	w := newWorld(t, 0)
	w.must(w.AddRepo("acme", "open.source", Repo{Public: true}))
	w.commit("a", "1\n")
	tok, _, err := w.app.Apps.CreateInstallationToken(t.Context(), w.install, nil)
	w.ok(err)
	at := func(user, password, repo string) string {
		return strings.Replace(w.URL, "://", "://"+user+":"+password+"@", 1) + "/acme/" + repo + ".git"
	}
	for _, bad := range []string{w.URL + "/acme/open.source.git", at("x-access-token", "wrong", "widgets"), at("x", tok.GetToken(), "widgets"),
		at("x-access-token", tok.GetToken(), "nothing")} {
		if out, err := w.tryGit("ls-remote", bad); err == nil {
			t.Errorf("%s lets in: %s", bad, out)
		}
	}
	if out := w.git("ls-remote", at("x-access-token", tok.GetToken(), "widgets")); !strings.Contains(out, "refs/heads/main") {
		t.Errorf("got %q", out)
	}
	if out, err := w.tryGit("push", at("x-access-token", tok.GetToken(), "widgets"), "main:x"); err == nil {
		t.Errorf("push without permission: %s", out)
	}
	w.Grant(map[string]string{"contents": "write"})
	w.git("push", "-q", at("x-access-token", tok.GetToken(), "widgets"), "main:x")
	w.ok(w.Rename("acme", "widgets", "gadgets"))
	w.git("ls-remote", at("x-access-token", tok.GetToken(), "widgets"))
	w.git("fetch", "-q", "--depth=1", "--filter=blob:none", w.CloneURL("acme", "gadgets"), w.git("rev-parse", "HEAD"))
	w.Fail(Fault{Path: `^/acme/gadgets\.git/info/refs`, Times: 1, Redirect: w.URL + "/elsewhere"})
	if out, err := w.tryGit("ls-remote", w.CloneURL("acme", "gadgets")); err == nil {
		t.Errorf("redirect was not seen: %s", out)
	}
	w.ExpireTokens()
	if out, err := w.tryGit("ls-remote", at("x-access-token", tok.GetToken(), "gadgets")); err == nil {
		t.Errorf("expired token lets in: %s", out)
	}
}

func TestPullRequests(t *testing.T) {
	w := newWorld(t, 0)
	w.AddUser("eve")
	w.must(w.AddRepo("eve", "widgets", Repo{Public: true}))
	w.commit("a", "1\n")
	w.git("checkout", "-q", "-b", "topic")
	head := w.commit("b", "1\n")
	n, err := w.OpenPull("acme", "widgets", Pull{Title: "Topic", Base: "main", Head: "topic", Sender: "ada"})
	w.ok(err)
	w.commit("b", "2\n")
	equal(t, "events", w.events(), "push push pull_request.opened push pull_request.synchronize")
	pull, _, err := w.api.PullRequests.Get(t.Context(), "acme", "widgets", n)
	w.ok(err)
	equal(t, "head", pull.GetHead().GetSHA(), w.git("rev-parse", "HEAD"))
	equal(t, "commits", pull.GetCommits(), 2)
	equal(t, "ref", strings.Fields(w.git("ls-remote", "origin", "refs/pull/1/head"))[0], pull.GetHead().GetSHA())
	w.write("b", "3\n")
	w.git("push", "-q", w.CloneURL("eve", "widgets"), "HEAD:fix")
	fork, err := w.OpenPull("acme", "widgets", Pull{Title: "Fork", Head: "fix", HeadRepo: "eve/widgets", Sender: "eve"})
	w.ok(err)
	pull, _, err = w.api.PullRequests.Get(t.Context(), "acme", "widgets", fork)
	w.ok(err)
	equal(t, "fork", pull.GetHead().GetRepo().GetFullName(), "eve/widgets")
	equal(t, "label", pull.GetHead().GetLabel(), "eve:fix")
	w.ok(w.UpdatePull("acme", "widgets", n, head))
	w.ok(w.EditPull("acme", "widgets", n, "topic", "New title", ""))
	w.ok(w.MergeGroup("acme", "widgets", "main", "topic"))
	w.Comment("acme", "widgets", n, "/fine", "ada")
	equal(t, "events", w.events(), "pull_request.opened pull_request.synchronize pull_request.edited merge_group.checks_requested issue_comment.created")
	pulls, _, err := w.api.PullRequests.List(t.Context(), "acme", "widgets", nil)
	w.ok(err)
	equal(t, "pulls", len(pulls), 2)
}
