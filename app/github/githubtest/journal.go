package githubtest

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Request is one that a client made.
type Request struct {
	At      time.Time
	Method  string
	Path    string // without /api/v3
	Query   string
	Header  http.Header // Authorization is reduced to its scheme and a short hash
	Body    []byte
	Status  int    // 0 while it is not answered
	Invalid string // what is wrong with it in GitHub's eyes
}

// journal keeps all requests.
type journal struct {
	mu       sync.Mutex
	api, git []*Request
	observer func(n int, r *http.Request, done bool)
}

// begin notes a request that has arrived, and says the how many-th it is.
func (j *journal) begin(r *http.Request, path string, body []byte, git bool) (*Request, int) {
	entry := &Request{At: time.Now(), Method: r.Method, Path: path, Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: body}
	if auth := entry.Header.Get("Authorization"); auth != "" {
		scheme, secret, _ := strings.Cut(auth, " ")
		entry.Header.Set("Authorization", fmt.Sprintf("%s sha256:%.8x", scheme, sha256.Sum256([]byte(secret))))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if git {
		j.git = append(j.git, entry)
		return entry, len(j.git)
	}
	j.api = append(j.api, entry)
	return entry, len(j.api)
}

func (j *journal) end(entry *Request, status int, invalid string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entry.Status, entry.Invalid = status, invalid
}

func (j *journal) observe(r *http.Request, n int, done bool) {
	j.mu.Lock()
	f := j.observer
	j.mu.Unlock()
	if f != nil {
		f(n, r, done)
	}
}

func (j *journal) copies(list []*Request, keep func(Request) bool) []Request {
	var out []Request
	for _, r := range list {
		if keep(*r) {
			c := *r
			c.Header, c.Body = r.Header.Clone(), slices.Clone(r.Body)
			out = append(out, c)
		}
	}
	return out
}

// OnRequest has f called before each request to the API (done is false), and after it
// when all has happened and only the answer was not yet sent. The n-th request is n,
// from 1. A nil f ends this.
func (s *Server) OnRequest(f func(n int, r *http.Request, done bool)) {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	s.journal.observer = f
}

// Requests returns the requests to the API, in the order of their arrival.
func (s *Server) Requests() []Request {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.copies(s.journal.api, func(Request) bool { return true })
}

// GitRequests returns the requests of Git, without their bodies.
func (s *Server) GitRequests() []Request {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.copies(s.journal.git, func(Request) bool { return true })
}

// Writes returns the requests to the API that ask for a change, other than for a token.
func (s *Server) Writes() []Request {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.copies(s.journal.api, func(r Request) bool {
		return r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.HasSuffix(r.Path, "/access_tokens")
	})
}

// Invalid returns what was wrong with requests: those that GitHub's description forbids
// and those to an address that the stand-in does not have.
func (s *Server) Invalid() []string {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	var list []string
	for _, r := range s.journal.api {
		if r.Invalid != "" {
			list = append(list, r.Method+" "+r.Path+": "+r.Invalid)
		}
	}
	return list
}
