package webhook

import "net/http"

// A Refusal is why a request was not accepted as a delivery.
type Refusal struct {
	Status int
	Reason string // one word, for metrics
	text   string // for the sender
	closes bool   // the sender is not known to be GitHub: its connection is closed
}

func (r *Refusal) Error() string { return r.text }

// The refusals, in the order in which they are checked.
var (
	ErrMethod    = &Refusal{http.StatusMethodNotAllowed, "method", "expected a POST request", true}
	ErrHeaders   = &Refusal{http.StatusBadRequest, "headers", "missing or invalid header X-GitHub-Event or X-GitHub-Delivery", true}
	ErrUnsigned  = &Refusal{http.StatusUnauthorized, "unsigned", "missing or invalid header X-Hub-Signature-256", true}
	ErrSize      = &Refusal{http.StatusRequestEntityTooLarge, "size", "body too large: expected at most 26 MiB", true}
	ErrBusy      = &Refusal{http.StatusServiceUnavailable, "busy", "too many unfinished bodies: send the delivery again later", true}
	ErrSlow      = &Refusal{http.StatusRequestTimeout, "slow", "body too slow", true}
	ErrBody      = &Refusal{http.StatusBadRequest, "body", "incomplete body", true}
	ErrSignature = &Refusal{http.StatusUnauthorized, "signature", "wrong signature", true}
	ErrPayload   = &Refusal{http.StatusBadRequest, "payload", "invalid payload", false}
	ErrQueue     = &Refusal{http.StatusServiceUnavailable, "queue", "delivery not stored: send it again later", false}
)

// Refusals returns all of them.
func Refusals() []*Refusal {
	return []*Refusal{ErrMethod, ErrHeaders, ErrUnsigned, ErrSize, ErrBusy, ErrSlow, ErrBody, ErrSignature, ErrPayload, ErrQueue}
}
