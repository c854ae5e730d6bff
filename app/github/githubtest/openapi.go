package githubtest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// descriptions holds the descriptions read so far: each has thousands of schemas and takes
// seconds, and nothing changes it once it is read.
var descriptions sync.Map // path -> func() (routers.Router, error)

// describe reads GitHub's description of its API, once for each file.
func describe(file string) (routers.Router, error) {
	load, _ := descriptions.LoadOrStore(file, sync.OnceValues(func() (routers.Router, error) {
		doc, err := openapi3.NewLoader().LoadFromFile(file)
		if err != nil {
			return nil, err
		}
		doc.Servers = nil
		return gorillamux.NewRouter(doc)
	}))
	return load.(func() (routers.Router, error))()
}

// Descriptions returns the files with descriptions of GitHub's API that the environment names:
// that of github.com below KEYWARD_NPM, and the list in KEYWARD_DESCRIPTIONS.
func Descriptions() []string {
	npm := os.Getenv("KEYWARD_NPM")
	if npm == "" {
		return nil
	}
	own := filepath.Join(npm, "@octokit/openapi/generated/api.github.com.json")
	return append([]string{own}, filepath.SplitList(os.Getenv("KEYWARD_DESCRIPTIONS"))...)
}

// invalid returns what is wrong with a request to a path of the API by one of the
// descriptions, or "".
func (s *Server) invalid(r *http.Request, path string, body []byte) string {
	if path == "/graphql" { // the descriptions are of REST
		return ""
	}
	for i, d := range s.described {
		if why := invalidBy(d, r, path, body); why != "" {
			return filepath.Base(s.opt.OpenAPI[i]) + ": " + why
		}
	}
	return ""
}

func invalidBy(description routers.Router, r *http.Request, path string, body []byte) string {
	c := r.Clone(r.Context())
	plain, err := url.PathUnescape(path)
	if err != nil {
		return err.Error()
	}
	c.URL.Path, c.URL.RawPath = plain, path
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) { // GitHub takes it for no body
		body = nil
	}
	if strings.HasSuffix(path, "/labels") && bytes.HasPrefix(body, []byte("[")) { // right, but only in the words of the description
		body = slices.Concat([]byte(`{"labels":`), body, []byte("}"))
	}
	c.Body, c.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if c.Header.Get("Content-Type") == "" && len(body) > 0 {
		c.Header.Set("Content-Type", "application/json")
	}
	route, params, err := description.FindRoute(c)
	if err != nil {
		return err.Error()
	}
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{Request: c, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}})
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\nSchema:")
		return text
	}
	return ""
}
