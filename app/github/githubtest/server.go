package githubtest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/routers"
)

const (
	appID   = 4711
	appSlug = "keyward"
	apiRoot = "/api/v3"
	hookID  = 292430182
	// personToken is the password of every person in Git URLs.
	personToken = "fake-token-of-a-person"
	// somebody acts where no sender is named.
	somebody = "dev"
)

// Options says how a Server is set up. Only Dir must be given.
type Options struct {
	Dir        string          // where the bare repositories lie; must exist
	OpenAPI    []string        // descriptions of GitHub's API, such as api.github.com.json: each request must be valid by all
	PageSize   int             // largest page of a list; 0 means 100, as on GitHub
	PrivateKey *rsa.PrivateKey // of the App; nil means a new one
}

// A Server plays GitHub, with one App, until it is closed.
type Server struct {
	// URL is the address of the web and of Git, without a slash at the end.
	URL string
	// CommitCap is how many commits a push webhook lists at most, CompareFiles how many
	// files a comparison, TreeEntries how many entries a tree, before they are cut off.
	// To be set before the first request.
	CommitCap, CompareFiles, TreeEntries int

	opt       Options
	key       *rsa.PrivateKey
	described []routers.Router // by Options.OpenAPI
	gitBinary string
	routes    []route
	http      *http.Server
	served    sync.WaitGroup
	busy      sync.RWMutex // held for reading by each request under way
	closing   context.Context
	stop      context.CancelFunc
	out       *outbox
	journal   journal
	faults    faults

	mu    sync.Mutex // guards all below, and what it points at
	state state
}

// New starts a Server on a free port of 127.0.0.1. Its App has number 4711 and the name
// "keyward"; no account has installed it yet.
func New(opt Options) (*Server, error) {
	if info, err := os.Stat(opt.Dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("repositories need a directory: %q is none", opt.Dir)
	}
	s := &Server{opt: opt, key: opt.PrivateKey, CommitCap: 2048, CompareFiles: 300, TreeEntries: 100_000, state: newState()}
	var err error
	if s.gitBinary, err = exec.LookPath("git"); err != nil {
		return nil, err
	}
	if s.key == nil {
		if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	for _, file := range opt.OpenAPI {
		d, err := describe(file)
		if err != nil {
			return nil, fmt.Errorf("read GitHub's description of %s: %w", file, err)
		}
		s.described = append(s.described, d)
	}
	s.routes = s.table()
	s.out = newOutbox()
	s.AddUser(somebody)
	return s, s.listen()
}

func (s *Server) listen() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.URL = "http://" + listener.Addr().String()
	s.closing, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return s.closing }}
	s.served.Add(1)
	go func() {
		defer s.served.Done()
		_ = s.http.Serve(listener) // ends with ErrServerClosed
	}()
	return nil
}

// Close cuts all connections, drops what is still to be delivered, and waits for the
// requests and the delivery that are under way. OnRequest must not call it.
func (s *Server) Close() {
	s.stop()
	_ = s.http.Close() // the port is given back in any case
	s.served.Wait()
	s.busy.Lock()
	defer s.busy.Unlock()
	s.out.close()
}

// AppID returns the number of the App.
func (s *Server) AppID() int64 { return appID }

// AppKeyPEM returns the private key of the App, as GitHub hands it out.
func (s *Server) AppKeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(s.key)})
}

// api returns the address of a resource of the API.
func (s *Server) api(format string, args ...any) string {
	return s.URL + apiRoot + fmt.Sprintf(format, args...)
}

// ServeHTTP answers for the API and for Git.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.busy.RLock()
	defer s.busy.RUnlock()
	if s.closing.Err() != nil {
		return
	}
	switch path := r.URL.EscapedPath(); {
	case path == "/api/graphql":
		s.serveAPI(w, r, "/graphql")
	case strings.HasPrefix(path, apiRoot+"/"):
		s.serveAPI(w, r, strings.TrimPrefix(path, apiRoot))
	case gitPath.MatchString(path):
		s.serveGit(w, r)
	default:
		http.NotFound(w, r)
	}
}
