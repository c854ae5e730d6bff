package githubtest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// hookTimeout is how long GitHub waits for an answer.
const hookTimeout = 10 * time.Second

// A Delivery is one attempt to deliver a webhook.
type Delivery struct {
	ID                           int64
	GUID                         string // the same in each attempt
	DeliveredAt                  time.Time
	Redelivery                   bool
	Duration                     time.Duration
	Status                       string // "OK", or what went wrong
	StatusCode                   int    // 0 if nobody answered
	Event, Action                string
	InstallationID, RepositoryID int64
	Payload                      []byte

	url               string
	request, response http.Header
	answer            string
}

// An outbox delivers webhooks in the order in which they were put in.
type outbox struct {
	client  *http.Client
	ctx     context.Context
	stop    context.CancelFunc
	workers sync.WaitGroup

	mu          sync.Mutex
	url, secret string
	queue       []Delivery
	running     int
	atOnce      int
	closed      bool
	last        int64
	done        []Delivery
	waiting     []chan struct{} // closed when all is delivered
}

func newOutbox() *outbox {
	o := &outbox{atOnce: 1, last: 100_000}
	o.ctx, o.stop = context.WithCancel(context.Background())
	o.client = &http.Client{Timeout: hookTimeout, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return o
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.stop()
	o.workers.Wait()
}

// add queues a delivery, if there is a place to deliver it to.
func (o *outbox) add(d Delivery) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.url == "" {
		return
	}
	o.queue = append(o.queue, d)
	if o.running < o.atOnce {
		o.running++
		o.workers.Add(1)
		go o.work()
	}
}

func (o *outbox) work() {
	defer o.workers.Done()
	for {
		o.mu.Lock()
		if len(o.queue) == 0 || o.closed || o.running > o.atOnce {
			o.running--
			if o.running == 0 {
				for _, c := range o.waiting {
					close(c)
				}
				o.waiting = nil
			}
			o.mu.Unlock()
			return
		}
		d := o.queue[0]
		o.queue = o.queue[1:]
		url, secret := o.url, o.secret
		o.mu.Unlock()
		o.attempt(&d, url, secret)
		o.mu.Lock()
		o.last++
		d.ID = o.last
		o.done = append(o.done, d)
		o.mu.Unlock()
	}
}

func sign(h func() hash.Hash, secret string, body []byte) string {
	mac := hmac.New(h, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// attempt delivers once, and notes how it went.
func (o *outbox) attempt(d *Delivery, url, secret string) {
	d.DeliveredAt, d.url = time.Now().UTC(), url
	defer func() { d.Duration = time.Since(d.DeliveredAt) }()
	req, err := http.NewRequestWithContext(o.ctx, http.MethodPost, url, bytes.NewReader(d.Payload))
	if err != nil {
		d.Status = "invalid URL"
		return
	}
	d.request = http.Header{}
	for k, v := range map[string]string{
		"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/044aadd",
		"X-GitHub-Delivery": d.GUID, "X-GitHub-Event": d.Event, "X-GitHub-Hook-ID": strconv.Itoa(hookID),
		"X-GitHub-Hook-Installation-Target-ID": strconv.Itoa(appID), "X-GitHub-Hook-Installation-Target-Type": "integration",
	} {
		d.request.Set(k, v)
	}
	if secret != "" {
		d.request.Set("X-Hub-Signature", "sha1="+sign(sha1.New, secret, d.Payload))
		d.request.Set("X-Hub-Signature-256", "sha256="+sign(sha256.New, secret, d.Payload))
	}
	req.Header = d.request.Clone()
	res, err := o.client.Do(req)
	if err != nil {
		d.Status = "failed to connect to host"
		if timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err); ok && timeout.Timeout() {
			d.Status = "timed out"
		}
		return
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16)) // kept for show only
	d.StatusCode, d.response, d.answer, d.Status = res.StatusCode, res.Header, string(answer), "OK"
	if res.StatusCode/100 != 2 {
		d.Status = fmt.Sprintf("Invalid HTTP Response: %d", res.StatusCode)
	}
}

func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Webhook says where deliveries go from now on, and what they are signed with. Until
// it is first called, what happens is not delivered to anybody.
func (s *Server) Webhook(url, secret string) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.url, s.out.secret = url, secret
}

// Parallel lets so many deliveries go out at once; then their order is open.
func (s *Server) Parallel(n int) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.atOnce = max(1, n)
}

// Deliver queues a webhook with a payload exactly as given.
func (s *Server) Deliver(event string, payload map[string]any) (guid string) {
	body, err := json.Marshal(payload)
	if err != nil {
		return ""
	}
	guid = newGUID()
	s.DeliverRaw(event, guid, body)
	return guid
}

// DeliverRaw queues a webhook with a body that need not be right in any way.
func (s *Server) DeliverRaw(event, guid string, body []byte) {
	var p struct {
		Action                   string
		Installation, Repository struct{ ID int64 }
	}
	_ = json.Unmarshal(body, &p) // a body that is not JSON has none of these
	s.out.add(Delivery{GUID: guid, Event: event, Action: p.Action, InstallationID: p.Installation.ID, RepositoryID: p.Repository.ID, Payload: body})
}

// Redeliver sends the last delivery of that GUID again, with the same GUID and body. An
// unknown one is ignored.
func (s *Server) Redeliver(guid string) {
	all := s.Deliveries()
	for _, d := range slices.Backward(all) {
		if d.GUID == guid {
			s.again(d)
			return
		}
	}
}

func (s *Server) again(d Delivery) {
	s.out.add(Delivery{GUID: d.GUID, Redelivery: true, Event: d.Event, Action: d.Action, InstallationID: d.InstallationID,
		RepositoryID: d.RepositoryID, Payload: d.Payload})
}

// Flush waits until every delivery queued so far, and those it leads to, were tried.
func (s *Server) Flush(ctx context.Context) error {
	s.out.mu.Lock()
	if s.out.running == 0 {
		s.out.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	s.out.waiting = append(s.out.waiting, idle)
	s.out.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Deliveries returns all attempts so far, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return slices.Clone(s.out.done)
}
