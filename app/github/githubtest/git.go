package githubtest

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// zeros stands for no commit; emptyTree is what a first commit is compared with.
const (
	zeros     = "0000000000000000000000000000000000000000"
	emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
)

var gitPath = regexp.MustCompile(`^/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)$`)

// gitEnv keeps the machine's configuration out of the repositories.
func gitEnv() []string {
	return []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory",
		"GIT_CONFIG_VALUE_0=*", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}
}

// git runs Git in a repository and returns what it prints.
func (s *Server) git(r *repo, args ...string) (string, error) { return s.gitInput(r, "", args...) }

func (s *Server) gitInput(r *repo, stdin string, args ...string) (string, error) {
	cmd := exec.Command(s.gitBinary, append([]string{"--git-dir", r.dir}, args...)...)
	for _, e := range os.Environ() { // a hook of Git's sets GIT_DIR and the like
		if !strings.HasPrefix(e, "GIT_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, gitEnv()...)
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(errs.Bytes()))
	}
	return string(out), nil
}

func (s *Server) initBare(r *repo) error {
	if err := os.MkdirAll(filepath.Dir(r.dir), 0o755); err != nil {
		return err
	}
	if _, err := s.git(r, "init", "-q", "--bare", "--template=", "--initial-branch="+defaultBranch, r.dir); err != nil {
		return err
	}
	config, err := os.OpenFile(filepath.Join(r.dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = config.WriteString(`[http]
	receivepack = true
[uploadpack]
	allowFilter = true
	allowReachableSHA1InWant = true
	allowAnySHA1InWant = true
[receive]
	autogc = false
	hideRefs = refs/pull
[gc]
	auto = 0
`)
	if closed := config.Close(); err == nil {
		err = closed
	}
	return err
}

// commit returns the commit that a name stands for, or "".
func (s *Server) commit(r *repo, name string) string {
	if name == "" || strings.HasPrefix(name, "-") {
		return ""
	}
	for _, full := range []string{"refs/heads/" + name, "refs/tags/" + name, name} {
		if out, err := s.git(r, "rev-parse", "--verify", "-q", full+"^{commit}"); err == nil {
			return strings.TrimSpace(out)
		}
	}
	return ""
}

// refs returns the branches and tags of a repository.
func (s *Server) refs(r *repo) map[string]string {
	out, err := s.git(r, "for-each-ref", "--format=%(refname) %(objectname)")
	refs := map[string]string{}
	if err != nil {
		return refs
	}
	for line := range strings.Lines(out) {
		if name, sha, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(name, "refs/pull/") {
			refs[name] = sha
		}
	}
	return refs
}

// serveGit answers Git's requests, after the faults that were asked for.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	var body []byte
	if f := s.faults.take(r.Method, r.URL.EscapedPath()); f != nil {
		body, _ = io.ReadAll(r.Body) // so that the client's going away is noticed
		r.Body = io.NopCloser(bytes.NewReader(body))
		real := func() *recorder { rec := newRecorder(); s.realGit(rec, r); return rec }
		entry, _ := s.journal.begin(r, r.URL.EscapedPath(), nil, true)
		s.journal.end(entry, s.play(f, w, r, real), "")
		return
	}
	entry, _ := s.journal.begin(r, r.URL.EscapedPath(), nil, true)
	status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	s.realGit(status, r)
	s.journal.end(entry, status.status, "")
}

func (s *Server) realGit(w http.ResponseWriter, r *http.Request) {
	parts := gitPath.FindStringSubmatch(r.URL.EscapedPath())
	service := parts[3]
	if service == "info/refs" {
		service = r.URL.Query().Get("service")
	}
	if service != "git-upload-pack" && service != "git-receive-pack" {
		http.Error(w, "Please upgrade your git client.", http.StatusForbidden)
		return
	}
	repository, login, refused := s.admit(r, parts, service == "git-receive-pack")
	if refused != nil {
		refused(w)
		return
	}
	if r.Method == http.MethodPost && service == "git-receive-pack" {
		s.receive(w, r, repository, login)
		return
	}
	s.backend(w, r, repository, parts[3], login)
}

// admit decides who may read or push. It returns how to refuse, or nil.
func (s *Server) admit(r *http.Request, parts []string, push bool) (*repo, string, func(http.ResponseWriter)) {
	refuse := func(status int, text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
			}
			http.Error(w, text, status)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	user, password, _ := r.BasicAuth()
	tok := s.state.tokens[password]
	person := tok == nil && password == personToken && user != "" && user != "x-access-token"
	if !person && (user != "x-access-token" || tok == nil || !tok.valid()) {
		return nil, "", refuse(http.StatusUnauthorized, "Invalid username or token. Password authentication is not supported for Git operations.")
	}
	owner, name := parts[1], parts[2]
	found := s.state.repo(owner, name)
	if of := s.state.repo(owner, strings.TrimSuffix(name, ".wiki")); found == nil && of != nil {
		found = of.wiki
	}
	if moved := s.state.byID[s.state.moved[repoKey(owner, name)]]; found == nil && moved != nil {
		to := s.URL + "/" + moved.full() + ".git/" + parts[3] + "?" + r.URL.RawQuery
		return nil, "", func(w http.ResponseWriter) { http.Redirect(w, r, to, http.StatusMovedPermanently) }
	}
	if found == nil || !person && !found.public && !tok.reaches(found) {
		return nil, "", refuse(http.StatusNotFound, "Repository not found.")
	}
	if push && found.archived {
		return nil, "", refuse(http.StatusForbidden, "This repository was archived so it is read-only.")
	}
	if person {
		return found, s.state.sender(user).login, nil
	}
	if need := map[bool]string{false: "read", true: "write"}[push]; (push || !found.public) && !s.allowed(tok, "contents:"+need) || push && !tok.reaches(found) {
		return nil, "", refuse(http.StatusForbidden, "Write access to repository not granted.")
	}
	return found, s.state.bot().login, nil
}

// backend lets git http-backend answer.
func (s *Server) backend(w http.ResponseWriter, r *http.Request, repository *repo, path, login string) {
	if r.ContentLength < 0 { // CGI has no chunked bodies
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	} else {
		r = r.Clone(r.Context())
	}
	r.URL.Path, r.URL.RawPath = "/"+filepath.Base(repository.dir)+"/"+path, ""
	r.Header.Del("Authorization")
	env := append(gitEnv(), "GIT_PROJECT_ROOT="+filepath.Dir(repository.dir), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+login,
		"GIT_PROTOCOL="+r.Header.Get("Git-Protocol"))
	handler := &cgi.Handler{Path: s.gitBinary, Args: []string{"http-backend"}, Dir: repository.dir, Env: env,
		Stderr: io.Discard, Logger: log.New(io.Discard, "", 0)}
	handler.ServeHTTP(w, r)
}
