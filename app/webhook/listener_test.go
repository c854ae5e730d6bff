package webhook_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyward/keyward/app/webhook"
)

// limited runs a test against a server with a limit of connections.
func (in *intake) limited(max int, test func(l *webhook.Listener)) {
	l := webhook.Limit(in.l, max)
	srv := &http.Server{Handler: l.Handler(in.handler), ConnContext: l.Context, ReadHeaderTimeout: 5 * time.Second}
	var served sync.WaitGroup
	served.Go(func() { _ = srv.Serve(l) })
	test(l)
	_ = srv.Close()
	served.Wait()
	time.Sleep(2 * time.Hour) // see serve
}

// connect opens a connection and sends the beginning of a request.
func (in *intake) connect(text string) *sender {
	s := &sender{in.l.dial(), in.t, make(chan string, 1), make(chan struct{})}
	go s.listen()
	s.send(text)
	synctest.Wait()
	time.Sleep(time.Millisecond) // so that one is older than the next
	return s
}

func (s *sender) isClosed() bool {
	synctest.Wait()
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// TestUnfinishedRequests has six times as many unfinished requests as there may be
// connections. Signed deliveries are answered, a hundred of them after one turn, and there are
// never more connections than allowed.
func TestUnfinishedRequests(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"no byte":                       "",
		"half a header":                 "POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: pu",
		"no signature, half a body":     "POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: 11111111-2222\r\nContent-Length: 1000\r\n\r\n{",
		"signature, no body":            "POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: 11111111-2222\r\nX-Hub-Signature-256: " + sign("x", secret) + "\r\nContent-Length: 1000\r\n\r\n",
		"signature, half a large body":  "POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: 11111111-2222\r\nX-Hub-Signature-256: " + sign("x", secret) + "\r\nContent-Length: 9000000\r\n\r\n{",
		"signature, undeclared, chunks": "POST /webhook HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: 11111111-2222\r\nX-Hub-Signature-256: " + sign("x", secret) + "\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n" + strings.Repeat("x", 0x1fff),
		"idle after an answer":          "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			const max = 50
			in := newIntake(t, webhook.Limits{})
			in.limited(max, func(l *webhook.Listener) {
				for range 6 * max {
					s := &sender{in.l.dial(), t, make(chan string, 1), make(chan struct{})}
					go s.listen()
					go s.send(request)
				}
				synctest.Wait()
				began := time.Now() // when the last ones have just begun their turn
				for range 2 * max {
					in.whole(push, 202)
					if n := l.Open(); n > max {
						t.Fatalf("%s: %d connections are open, want at most %d", name, n, max)
					}
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("%s: deliveries waited for %s", name, took)
				}
			})
			if n := in.answered(""); n != 2*max {
				t.Errorf("%s: %d deliveries were accepted, want %d", name, n, 2*max)
			}
		})
	}
}

// TestWhoMakesRoom closes connections in the right order.
func TestWhoMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(t, webhook.Limits{})
		in.limited(4, func(l *webhook.Listener) {
			body := in.begin(1000, sign("x", secret))
			synctest.Wait()
			time.Sleep(time.Millisecond)
			header, idle, later := in.connect("POST /web"), in.connect("GET"), in.connect("GET")
			time.Sleep(time.Second)
			for i, want := range []*sender{header, idle, later, body} {
				if want.isClosed() {
					t.Errorf("connection %d is closed too early", i)
				}
				in.begin(1000, sign("x", secret))
				if !want.isClosed() {
					t.Errorf("connection %d does not make room", i)
				}
			}
			if got := l.Evicted(); got != 4 {
				t.Errorf("%d connections made room, want 4", got)
			}
		})
	})
}

// slowQueue stores an event when it is told to.
type slowQueue struct{ store chan struct{} }

func (q slowQueue) Enqueue(ctx context.Context, _ *webhook.Event) error {
	select {
	case <-q.store:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestSignedDeliveriesStay closes no connection whose signed delivery is being stored: new
// ones wait for it.
func TestSignedDeliveriesStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, q := newIntake(t, webhook.Limits{}), slowQueue{make(chan struct{})}
		in.handler.Queue = q
		in.limited(2, func(l *webhook.Listener) {
			for range 3 {
				go in.whole(push, 202) // the third is not accepted yet, so it cannot even send
				synctest.Wait()
			}
			time.Sleep(20 * time.Second) // longer than any limit of an unverified body
			if n := l.Open(); n != 2 || l.Evicted() != 0 {
				t.Errorf("%d connections are open and %d made room, want 2 and 0", n, l.Evicted())
			}
			close(q.store)
			in.want(map[string]int{"": 3})
		})
	})
}
