package githubtest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// state is all that GitHub would have in its database.
type state struct {
	last     int64 // the last number given to anything
	accounts map[string]*account
	repos    map[string]*repo
	byID     map[int64]*repo
	moved    map[string]int64 // former names of repositories
	installs map[int64]*installation
	tokens   map[string]*token
	grants   map[string]string
	limits   map[int64]*limit
	codes    map[string]bool // of manifests, true until used
}

type account struct {
	id          int64
	login, kind string
	members     map[string]bool // of an organisation
	install     *installation   // nil where the App is not installed
	grants      []*grant
}

type installation struct {
	id        int64
	owner     *account
	chosen    map[int64]bool // nil means all repositories
	suspended *time.Time
	created   time.Time
}

// covers reports whether the installation reaches a repository.
func (i *installation) covers(r *repo) bool {
	return i != nil && i.owner == r.owner && (i.chosen == nil || i.chosen[r.id])
}

type repo struct {
	id               int64
	owner            *account
	name, dir        string
	public, noIssues bool
	archived         bool
	created, pushed  time.Time
	roles            map[string]string
	issues           []*issue
	writings         []*writing
	wiki             *repo // nil if there is none
	checks           []*check
	alerts           []*alert
	deployKeys       []*deployKey
	suites           map[string]int64 // by commit
	pushing          sync.Mutex       // one push at a time; never taken while state is held
}

func (r *repo) full() string { return r.owner.login + "/" + r.name }

// defaultBranch is the same in all repositories.
const defaultBranch = "main"

func newState() state {
	return state{
		last: 1000, accounts: map[string]*account{}, repos: map[string]*repo{}, byID: map[int64]*repo{}, moved: map[string]int64{},
		installs: map[int64]*installation{}, tokens: map[string]*token{}, limits: map[int64]*limit{}, codes: map[string]bool{},
		grants: map[string]string{"checks": "write", "contents": "read", "discussions": "read", "issues": "write", "metadata": "read", "pull_requests": "read"},
	}
}

func (s *state) next() int64 { s.last++; return s.last }

// account returns the account of a name, and makes one if there is none.
func (s *state) account(login, kind string) *account {
	a := s.accounts[strings.ToLower(login)]
	if a == nil {
		a = &account{id: s.next(), login: login, kind: kind, members: map[string]bool{}}
		s.accounts[strings.ToLower(login)] = a
	}
	return a
}

// sender returns the account that acts.
func (s *state) sender(login string) *account {
	if login == "" {
		login = somebody
	}
	return s.account(login, "User")
}

func (s *state) bot() *account { return s.account(appSlug+"[bot]", "Bot") }

func (s *state) install(org *account) *installation {
	org.install = &installation{id: s.next(), owner: org, created: now()}
	s.installs[org.install.id] = org.install
	return org.install
}

func (s *state) repo(owner, name string) *repo { return s.repos[repoKey(owner, name)] }

// find returns a repository that an act needs.
func (s *state) find(owner, name string) (*repo, error) {
	if r := s.repo(owner, name); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("no repository %s/%s", owner, name)
}

func repoKey(owner, name string) string { return strings.ToLower(owner + "/" + name) }

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// AddOrg adds an organisation on which the App is installed for all repositories, and
// returns the number of the installation. No webhook is sent: see Install.
func (s *Server) AddOrg(login string) (installation int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.install(s.state.account(login, "Organization")).id
}

// AddUser adds a person, who may be assigned to issues and send things.
func (s *Server) AddUser(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.account(login, "User")
}

// AddMember makes a person a member of an organisation.
func (s *Server) AddMember(org, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.account(org, "Organization").members[strings.ToLower(s.state.account(login, "User").login)] = true
}

// Repo says what a new repository is like. The zero value is a private one with issues.
type Repo struct {
	Public, NoIssues, Archived bool
}

var repoName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// AddRepo makes an empty repository of an account that exists. No webhook is sent.
func (s *Server) AddRepo(owner, name string, opt Repo) (id int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	account := s.state.accounts[strings.ToLower(owner)]
	if account == nil {
		return 0, fmt.Errorf("no account %s", owner)
	}
	if !repoName.MatchString(name) || name == "." || name == ".." || strings.HasSuffix(name, ".git") {
		return 0, fmt.Errorf("%q is no name for a repository", name)
	}
	if s.state.repo(owner, name) != nil {
		return 0, fmt.Errorf("repository %s/%s exists already", owner, name)
	}
	r := &repo{id: s.state.next(), owner: account, name: name, public: opt.Public, noIssues: opt.NoIssues, archived: opt.Archived,
		created: now(), pushed: now(), roles: map[string]string{}, suites: map[string]int64{}}
	r.dir = filepath.Join(s.opt.Dir, account.login, name+".git")
	if _, err := os.Stat(r.dir); err == nil { // left over from a repository that was renamed
		r.dir = filepath.Join(s.opt.Dir, account.login, fmt.Sprintf("%s-%d.git", name, r.id))
	}
	if err := s.initBare(r); err != nil {
		return 0, err
	}
	s.state.repos[repoKey(owner, name)], s.state.byID[r.id] = r, r
	delete(s.state.moved, repoKey(owner, name))
	return r.id, nil
}

// RepoDir returns where the bare repository lies, or "" if there is none.
func (s *Server) RepoDir(owner, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.state.repo(owner, name); r != nil {
		return r.dir
	}
	return ""
}

// CloneURL returns the address of a repository with the credentials of the person
// "dev", who may push.
func (s *Server) CloneURL(owner, name string) string { return s.CloneURLAs(owner, name, somebody) }

// CloneURLAs returns the address of a repository with the credentials of a person, who
// may push.
func (s *Server) CloneURLAs(owner, name, login string) string {
	return strings.Replace(s.URL, "://", "://"+url.UserPassword(login, personToken).String()+"@", 1) + "/" + owner + "/" + name + ".git"
}

// SetPermission gives a person a role on a repository: admin, maintain, write, triage,
// read or none.
func (s *Server) SetPermission(owner, name, login, role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.state.repo(owner, name); r != nil {
		r.roles[strings.ToLower(s.state.account(login, "User").login)] = role
	}
}
