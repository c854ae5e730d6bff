package githubtest

import (
	"bytes"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// A Fault is what goes wrong with the requests that match Method and Path. With
// Truncate or Delay alone the answer is the true one.
type Fault struct {
	Method      string // "" means any
	Path        string // regular expression on the path without /api/v3; paths of Git too
	Times, Skip int    // how often, 0 for always; how many matching requests pass first
	Status      int
	Header      http.Header
	Body        string
	Delay       time.Duration // before anything happens
	Truncate    bool          // announce the whole answer, send half of it and hang up
	Hang        bool          // never answer; ends when the client goes away
	AfterEffect bool          // do what was asked for, lose the answer
	Redirect    string        // the address of a redirect; Status is 302 if not given
}

type faults struct {
	mu   sync.Mutex
	list []*armed
}

type armed struct {
	Fault
	path       *regexp.Regexp
	seen, done int
}

// Fail makes requests fail. Of several faults that match, the first asked for that is
// not used up strikes. A Path that is no regular expression is taken literally.
func (s *Server) Fail(f Fault) {
	path, err := regexp.Compile(f.Path)
	if err != nil {
		path = regexp.MustCompile(regexp.QuoteMeta(f.Path))
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, &armed{Fault: f, path: path})
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

// take returns the fault that strikes a request, or nil.
func (f *faults) take(method, path string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if a.Method != "" && a.Method != method || !a.path.MatchString(path) || a.Times > 0 && a.done >= a.Times {
			continue
		}
		if a.seen++; a.seen <= a.Skip {
			continue
		}
		a.done++
		return &a.Fault
	}
	return nil
}

// play answers a request as a fault wants it. real does the true thing. It returns the
// status that was answered with, 0 for none.
func (s *Server) play(f *Fault, w http.ResponseWriter, r *http.Request, real func() *recorder) int {
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
		}
	}
	invented := f.Status != 0 || f.Body != "" || f.Redirect != ""
	var rec *recorder
	if f.AfterEffect || !invented && !f.Hang {
		rec = real()
	}
	if f.Hang {
		<-r.Context().Done()
		return 0
	}
	if invented {
		rec = f.answer()
	}
	if f.Truncate {
		rec.header.Set("Content-Length", strconv.Itoa(max(rec.body.Len(), 1)))
		rec.body.Truncate(rec.body.Len() / 2) // net/http hangs up after too short a body
	}
	rec.send(w)
	return rec.status
}

// answer is the answer that the fault makes up.
func (f *Fault) answer() *recorder {
	rec := newRecorder()
	rec.header.Set("Content-Type", "application/json; charset=utf-8")
	for k, v := range f.Header {
		rec.header[http.CanonicalHeaderKey(k)] = v
	}
	rec.status = f.Status
	if f.Redirect != "" {
		rec.header.Set("Location", f.Redirect)
		rec.status = max(f.Status, http.StatusFound)
	}
	rec.status = max(rec.status, http.StatusOK)
	rec.body.WriteString(f.Body)
	if f.Body == "" && rec.status >= 400 {
		rec.body.WriteString(`{"message":` + strconv.Quote(http.StatusText(rec.status)) + `,"documentation_url":"https://docs.github.com/rest"}`)
	}
	return rec
}

// A recorder holds an answer back.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, status: http.StatusOK} }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *recorder) send(w http.ResponseWriter) {
	for k, v := range r.header {
		w.Header()[k] = v
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // the client may be gone
}

// A statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets net/http reach what is beneath.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
