package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner/guard"
)

const (
	secret = "fake-secret-of-the-tests"
	other  = "another-fake-secret-of-them"
)

// cleaner is shared by the tests: it takes time to load its rules.
var cleaner = &guard.Guard{}

type queue struct {
	err  error
	kept []*webhook.Event
}

func (q *queue) Enqueue(_ context.Context, e *webhook.Event) error {
	if q.err == nil {
		q.kept = append(q.kept, e)
	}
	return q.err
}

func sign(body, key string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

const push = `{"ref":"refs/heads/main","before":"0000000000000000000000000000000000000000","after":"1111111111111111111111111111111111111111",
	"repository":{"id":1,"full_name":"acme/widgets","private":true,"default_branch":"main","owner":{"id":2,"login":"acme"}},"installation":{"id":3},
	"commits":[{"message":"a key may stand here"}],"sender":{"id":4,"login":"dana","type":"User"}}`

func TestHandler(t *testing.T) {
	t.Parallel()
	sha1Of := func(body string) string {
		m := hmac.New(sha1.New, []byte(secret))
		m.Write([]byte(body))
		return "sha1=" + hex.EncodeToString(m.Sum(nil))
	}
	largest := push + strings.Repeat(" ", 26<<20-len(push))
	form := "payload=" + url.QueryEscape(push)
	for name, tt := range map[string]struct {
		method, body, signature string
		header                  map[string]string
		err                     error
		chunked                 bool // no Content-Length
		status, kept            int
	}{
		"right":                  {body: push, signature: sign(push, secret), status: 202, kept: 1},
		"with the second secret": {body: push, signature: sign(push, other), status: 202, kept: 1},
		"as a form":              {body: form, signature: sign(form, secret), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 202, kept: 1},
		"no signature":           {body: push, status: 401},
		"sha1 only":              {body: push, header: map[string]string{"X-Hub-Signature": sha1Of(push)}, status: 401},
		"sha1 as sha256":         {body: push, signature: sha1Of(push), status: 401},
		"empty signature":        {body: push, signature: "sha256=", status: 401},
		"not hexadecimal":        {body: push, signature: "sha256=" + strings.Repeat("zz", 32), status: 401},
		"of another body":        {body: push, signature: sign(push+" ", secret), status: 401},
		"with a wrong secret":    {body: push, signature: sign(push, "wrong"), status: 401},
		"with an empty secret":   {body: push, signature: sign(push, ""), status: 401},
		"truncated":              {body: push[:100], signature: sign(push[:100], secret), status: 400},
		"not JSON":               {body: "x", signature: sign("x", secret), status: 400},
		"too large":              {body: strings.Repeat(" ", 27<<20), signature: sign("", secret), status: 413},
		"too large, undeclared":  {body: strings.Repeat(" ", 27<<20), signature: sign("", secret), chunked: true, status: 413},
		"as large as allowed":    {body: largest, signature: sign(largest, secret), status: 202, kept: 1},
		"the same, undeclared":   {body: largest, signature: sign(largest, secret), chunked: true, status: 202, kept: 1},
		"undeclared":             {body: push, signature: sign(push, secret), chunked: true, status: 202, kept: 1},
		"GET":                    {method: "GET", status: 405},
		"no delivery id":         {body: push, signature: sign(push, secret), header: map[string]string{"X-GitHub-Delivery": ""}, status: 400},
		"hostile delivery id":    {body: push, signature: sign(push, secret), header: map[string]string{"X-GitHub-Delivery": "a'; DROP TABLE x"}, status: 400},
		"no event":               {body: push, signature: sign(push, secret), header: map[string]string{"X-GitHub-Event": ""}, status: 400},
		"ping":                   {body: "{}", signature: sign("{}", secret), header: map[string]string{"X-GitHub-Event": "ping"}, status: 202},
		"event with digits":      {body: "{}", signature: sign("{}", secret), header: map[string]string{"X-GitHub-Event": "projects_v2_item"}, status: 202},
		"hostile event":          {body: "{}", signature: sign("{}", secret), header: map[string]string{"X-GitHub-Event": "2'; DROP"}, status: 400},
		"the database is down":   {body: push, signature: sign(push, secret), err: errors.New("down"), status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &queue{err: tt.err}
			var log bytes.Buffer
			h := &webhook.Handler{Secrets: []string{other, "", secret}, Queue: q, Guard: cleaner, Log: slog.New(slog.NewTextHandler(&log, nil))}
			if tt.method == "" {
				tt.method = "POST"
			}
			r := httptest.NewRequest(tt.method, "/webhook", strings.NewReader(tt.body))
			if tt.chunked {
				r.ContentLength = -1
			}
			r.Header.Set("X-GitHub-Event", "push")
			r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
			r.Header.Set("X-Hub-Signature-256", tt.signature)
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			res := httptest.NewRecorder()
			h.ServeHTTP(res, r)
			if res.Code != tt.status || len(q.kept) != tt.kept {
				t.Errorf("got %d with %d kept, want %d with %d", res.Code, len(q.kept), tt.status, tt.kept)
			}
			if strings.Contains(log.String()+res.Body.String(), "a key may stand here") {
				t.Error("the payload is told")
			}
		})
	}
}

// TestNothingOfTheText holds what is kept to identities: no text that people wrote.
func TestNothingOfTheText(t *testing.T) {
	t.Parallel()
	body := strings.Replace(push, "refs/heads/main", "refs/heads/SECRET", 1)
	e, err := webhook.Decode(cleaner, "d", "push", []byte(strings.Replace(body, "a key may stand here", "SECRET", 1)))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(kept, []byte("SECRET")) {
		t.Errorf("kept: %s", kept)
	}
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"acme/..", "acme/.", "acme/a b", "../x/y", "acme/a\\nb", "acme/%2e%2e", "acme", "-acme/x", "acme/x/y", "acme/<b>"} {
		body := strings.Replace(push, "acme/widgets", name, 1)
		if _, err := webhook.Decode(cleaner, "d", "push", []byte(body)); err == nil {
			t.Errorf("%q is taken for a repository's name", name)
		}
	}
	for _, id := range []string{"--upload-pack=x", "main", "1111", strings.Repeat("g", 40)} {
		body := strings.Replace(push, strings.Repeat("1", 40), id, 1)
		if _, err := webhook.Decode(cleaner, "d", "push", []byte(body)); err == nil {
			t.Errorf("%q is taken for a commit", id)
		}
	}
}

// TestExamples decodes GitHub's own examples of every event.
func TestExamples(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("KEYWARD_NPM")
	if dir == "" {
		t.Skip("KEYWARD_NPM names no directory with @octokit/webhooks-examples")
	}
	data, err := os.ReadFile(filepath.Join(dir, "@octokit/webhooks-examples/api.github.com/index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(data, &events); err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, event := range events {
		for i, body := range event.Examples {
			e, err := webhook.Decode(cleaner, "d", event.Name, body)
			if err != nil {
				t.Errorf("%s, example %d: %v", event.Name, i, err)
				continue
			}
			n[event.Name]++
			if event.Name == "push" && !e.Deleted && (e.Head == "" || e.Repo == nil) || event.Name == "pull_request" && (e.Head == "" || e.Base == "" || e.Number == 0) {
				t.Errorf("%s, example %d: got %+v", event.Name, i, e)
			}
		}
	}
	for _, name := range webhook.Events() {
		if name != "merge_group" && n[name] == 0 {
			t.Errorf("there was no example of %s", name)
		}
	}
	t.Logf("%d events, %v", len(n), n)
}

// FuzzDecode holds that nothing panics, and that what is taken can be kept and read again.
func FuzzDecode(f *testing.F) {
	for _, name := range append(webhook.Events(), "installation", "installation_repositories") {
		f.Add(name, []byte(push))
		f.Add(name, []byte(`{"action":"edited","issue":{"number":1,"pull_request":{}},"comment":{"id":2},"changes":{"base":{}}}`))
	}
	f.Add("pull_request", []byte(`{"pull_request":{"base":{"sha":"1111111111111111111111111111111111111111"},"head":{"sha":"","repo":null}}}`))
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		if !utf8.ValidString(name) {
			return // the handler refuses it
		}
		e, err := webhook.Decode(cleaner, "d", name, body)
		if err != nil {
			return
		}
		kept, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var again webhook.Event
		if err := json.Unmarshal(kept, &again); err != nil || !reflect.DeepEqual(e, &again) {
			t.Fatalf("%v: %+v is read again as %+v", err, e, again)
		}
	})
}

func BenchmarkHandler(b *testing.B) {
	h := &webhook.Handler{Secrets: []string{secret}, Queue: &queue{err: errors.New("not kept")}, Guard: cleaner, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	signature := sign(push, secret)
	for i := range b.N {
		r := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(push))
		r.Header.Set("X-GitHub-Event", "push")
		r.Header.Set("X-GitHub-Delivery", fmt.Sprintf("delivery-%d", i))
		r.Header.Set("X-Hub-Signature-256", signature)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
