// Package webhook takes GitHub's deliveries in: it verifies one, decodes what is
// needed of it, hands it to the queue and answers. It does nothing else, so that it
// answers at once whatever the rest of the App is doing.
//
// 202 means that the delivery is kept and will be worked on, or that it was. 503
// means that it could not be kept: GitHub records a failure, and the sweep of failed
// deliveries asks for it again.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/scanner/guard"
)

// A Queue keeps events durably.
type Queue interface {
	// Enqueue returns when the event is kept, or was before.
	Enqueue(ctx context.Context, e *Event) error
}

// maxBody is GitHub's own cap on payloads, 25 MB, with room.
// https://docs.github.com/webhooks/webhook-events-and-payloads#payload-cap
const maxBody = 26 << 20

// The faults of a delivery, by which they are counted.
var (
	ErrMethod    = errors.New("not a POST")
	ErrSize      = errors.New("the body is too large")
	ErrBody      = errors.New("the body could not be read")
	ErrSignature = errors.New("the signature is missing or wrong")
	ErrHeaders   = errors.New("the headers are not those of a delivery")
	ErrPayload   = errors.New("the payload is not understood")
	ErrQueue     = errors.New("the queue did not take it")
	ErrBusy      = errors.New("too many large deliveries at once")
)

// A Handler answers GitHub's deliveries.
type Handler struct {
	Secrets []string // any of them may have signed, so that they can be changed one after another
	Queue   Queue
	Key     []byte       // of what is kept of the texts of comments
	Guard   *guard.Guard // keeps credentials out of events
	Log     *slog.Logger
	// Observe is told of every answer; may be nil.
	Observe func(event string, status int, took time.Duration)

	large atomic.Int64 // large bodies that are being read
}

// A body is read before its signature can be verified. So that nobody fills our memory,
// few large ones are read at once; GitHub's are seldom large.
const (
	largeBody = 1 << 20
	maxLarge  = 4
)

var (
	guid      = regexp.MustCompile(`^[0-9A-Za-z-]{8,64}$`)
	eventName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`) // such as projects_v2_item
)

// known are the events that are worked on. Others are taken and forgotten.
var known = map[string]bool{
	"push": true, "pull_request": true, "merge_group": true, "check_run": true, "check_suite": true, "issues": true, "issue_comment": true,
	"installation": true, "installation_repositories": true, "repository": true, "member": true, "organization": true,
}

// Events returns the names of the events to subscribe to. Those of the App's own
// installation arrive without.
func Events() []string {
	return []string{"push", "pull_request", "merge_group", "check_run", "check_suite", "issues", "issue_comment", "repository", "member", "organization"}
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	status, err := h.take(w, r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if err != nil {
		_, _ = io.WriteString(w, err.Error()+"\n") // the other side has gone
	}
	event := r.Header.Get("X-GitHub-Event")
	if !known[event] {
		event = "other"
	}
	if h.Observe != nil {
		h.Observe(event, status, time.Since(start))
	}
}

// take does all but answer. The error that it returns is for the other side to read.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) (int, error) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, ErrMethod
	}
	if r.ContentLength < 0 || r.ContentLength > largeBody {
		defer h.large.Add(-1)
		if h.large.Add(1) > maxLarge {
			return http.StatusServiceUnavailable, ErrBusy
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return http.StatusRequestEntityTooLarge, ErrSize
		}
		return http.StatusBadRequest, ErrBody
	}
	if !h.signed(body, r.Header.Get("X-Hub-Signature-256")) {
		h.Log.Warn("delivery refused", "why", ErrSignature.Error(), "from", r.RemoteAddr, "bytes", len(body))
		return http.StatusUnauthorized, ErrSignature
	}
	delivery, name := r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-GitHub-Event")
	if !guid.MatchString(delivery) || !eventName.MatchString(name) {
		return http.StatusBadRequest, ErrHeaders
	}
	if !known[name] {
		return http.StatusAccepted, nil // ping, and what somebody subscribed to besides
	}
	log := h.Log.With("delivery", delivery, "event", name)
	e, err := Decode(h.Guard, delivery, name, payloadOf(r, body))
	if err != nil {
		log.Error("delivery refused", "why", err.Error())
		return http.StatusBadRequest, ErrPayload
	}
	if e.Comment != 0 {
		e.TextMAC = TextMAC(h.Key, e.comment)
	}
	if err := h.Queue.Enqueue(r.Context(), e); err != nil {
		log.Error("delivery not kept: GitHub will be asked for it again", "why", err.Error())
		return http.StatusServiceUnavailable, ErrQueue
	}
	log.Info("delivery taken", "action", e.Action, "installation", e.Installation)
	return http.StatusAccepted, nil
}

// payloadOf is the JSON of a delivery, which GitHub can also be told to send as a form.
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

// signed reports whether one of the secrets signed the body. All are tried, whichever
// fits, and compared in constant time.
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
func (h *Handler) signed(body []byte, header string) bool {
	digits, ok := strings.CutPrefix(header, "sha256=")
	got, err := hex.DecodeString(digits)
	if !ok || err != nil || len(got) != sha256.Size {
		return false
	}
	fits := false
	for _, secret := range h.Secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), got) {
			fits = true
		}
	}
	return fits
}
