// Package webhook accepts GitHub's deliveries: it verifies the signature, decodes what
// Keyward needs, stores it in the queue and answers. It does nothing else, so that it
// answers at once whatever the rest of the App is doing.
//
// 202 means that the delivery is stored, now or earlier, or that Keyward ignores its event.
// 503 means that it could not be stored: GitHub records a failure, and the sweep of failed
// deliveries asks for it again.
//
// Before the signature is verified, anybody can be the sender. Until then connections,
// memory and time are limited, and what is slow or unfinished makes room for what is new.
package webhook

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/keyward/keyward/scanner/guard"
)

// A Queue stores events durably.
type Queue interface {
	// Enqueue returns when the event is stored, now or earlier.
	Enqueue(ctx context.Context, e *Event) error
}

// A Handler answers GitHub's deliveries. Its fields must not change once it answers.
type Handler struct {
	Secrets []string // any of them may have signed, so that they can be replaced one after another
	Queue   Queue
	Key     []byte       // of what is kept of the texts of comments
	Guard   *guard.Guard // keeps credentials out of events
	Log     *slog.Logger
	Limits  Limits       // DefaultLimits if zero
	Observe func(Answer) // called after each answer; may be nil

	once   sync.Once
	bodies *budget
}

// An Answer is what the handler answered to one request.
type Answer struct {
	Event   string   // one that Keyward works on, or "other"
	Refusal *Refusal // nil: the delivery was accepted
	Took    time.Duration
}

// Status returns the status of the answer.
func (a Answer) Status() int {
	if a.Refusal != nil {
		return a.Refusal.Status
	}
	return http.StatusAccepted
}

// Reading returns how many bodies are being read, and how much memory they hold.
func (h *Handler) Reading() (bodies, bytes int64) {
	b := h.budget()
	return b.reading.Load(), b.used()
}

func (h *Handler) budget() *budget {
	h.once.Do(func() {
		if h.Limits.Tiers == nil {
			h.Limits = DefaultLimits()
		}
		h.bodies = newBudget(h.Limits)
	})
	return h.bodies
}

var (
	guid      = regexp.MustCompile(`^[0-9A-Za-z-]{8,64}$`)
	eventName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`) // such as projects_v2_item
)

// known are the events that Keyward works on. Others are accepted and ignored.
var known = map[string]bool{
	"push": true, "pull_request": true, "merge_group": true, "check_run": true, "check_suite": true, "issues": true, "issue_comment": true,
	"pull_request_review": true, "pull_request_review_comment": true, "commit_comment": true, "discussion": true, "discussion_comment": true, "release": true, "gollum": true,
	"installation": true, "installation_repositories": true, "repository": true, "member": true, "organization": true,
}

// Events returns the names of the events to subscribe to. GitHub sends those of the App's
// own installation without a subscription.
func Events() []string {
	return []string{"push", "pull_request", "merge_group", "check_run", "check_suite", "issues", "issue_comment", "pull_request_review", "pull_request_review_comment",
		"commit_comment", "discussion", "discussion_comment", "release", "gollum", "repository", "member", "organization"}
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	a := Answer{Event: r.Header.Get("X-GitHub-Event"), Refusal: h.take(w, r)}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.Refusal != nil && a.Refusal.closes {
		w.Header().Set("Connection", "close")
		// Otherwise the server would read the rest of the body before it closes.
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // see body.abort
	}
	w.WriteHeader(a.Status())
	if a.Refusal != nil {
		_, _ = io.WriteString(w, a.Refusal.Error()+"\n") // the sender may have left
	}
	if !known[a.Event] {
		a.Event = "other"
	}
	if a.Took = time.Since(start); h.Observe != nil {
		h.Observe(a)
	}
}

// take does all but answer. It reads no body of a request that cannot be a delivery.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) *Refusal {
	s, refusal := h.check(r)
	if refusal != nil {
		h.Log.Debug("request refused", "why", refusal.Error(), "from", r.RemoteAddr)
		return refusal
	}
	b := h.budget().open(w, r, s)
	defer b.close()
	if refusal := b.receive(); refusal != nil {
		h.Log.Warn("delivery refused", "why", refusal.Error(), "from", r.RemoteAddr, "bytes", b.size)
		return refusal
	}
	if !s.valid() {
		h.Log.Warn("delivery refused", "why", ErrSignature.Error(), "from", r.RemoteAddr, "bytes", b.size)
		return ErrSignature
	}
	b.verified()
	connOf(r.Context()).enter(verified)
	return h.accept(r, b.bytes())
}

// check checks everything that can be checked without the body.
func (h *Handler) check(r *http.Request) (*signature, *Refusal) {
	if r.Method != http.MethodPost {
		return nil, ErrMethod
	}
	if !guid.MatchString(r.Header.Get("X-GitHub-Delivery")) || !eventName.MatchString(r.Header.Get("X-GitHub-Event")) {
		return nil, ErrHeaders
	}
	s := newSignature(h.Secrets, r.Header.Get("X-Hub-Signature-256"))
	if s == nil {
		return nil, ErrUnsigned
	}
	return s, nil
}

// accept decodes a delivery that GitHub signed, and stores it in the queue.
func (h *Handler) accept(r *http.Request, body []byte) *Refusal {
	delivery, name := r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-GitHub-Event")
	if !known[name] {
		return nil // ping, and other events that somebody subscribed to
	}
	log := h.Log.With("delivery", delivery, "event", name)
	e, err := Decode(h.Guard, delivery, name, payloadOf(r, body))
	if err != nil {
		log.Error("delivery refused", "why", err.Error())
		return ErrPayload
	}
	if e.Name == "issue_comment" {
		e.TextMAC = TextMAC(h.Key, e.comment)
	}
	e.Sign(h.Key)
	if err := h.Queue.Enqueue(r.Context(), e); err != nil {
		log.Error("delivery not stored: Keyward will ask GitHub for it again", "why", err.Error())
		return ErrQueue
	}
	log.Info("delivery accepted", "action", e.Action, "installation", e.Installation)
	return nil
}

// payloadOf returns the JSON of a delivery. A webhook can be set to send it as a form.
func payloadOf(r *http.Request, body []byte) []byte {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return body
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	return []byte(form.Get("payload"))
}
