package webhook_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyward/keyward/app/webhook"
)

// pipes is a listener in memory, which time does not pass for inside a synctest bubble.
type pipes struct {
	accept chan net.Conn
	done   chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.accept <- there
	return here
}

// an intake is a server with a handler, in memory.
type intake struct {
	t       *testing.T
	l       *pipes
	handler *webhook.Handler
	mu      sync.Mutex
	answers map[string]int // by reason; "" is accepted
}

func newIntake(t *testing.T, limits webhook.Limits) *intake {
	in := &intake{t: t, l: newPipes(), answers: map[string]int{}}
	in.handler = &webhook.Handler{Secrets: []string{secret}, Queue: &queue{}, Guard: cleaner, Log: slog.New(slog.DiscardHandler), Limits: limits, Observe: in.observe}
	return in
}

func (in *intake) observe(a webhook.Answer) {
	in.mu.Lock()
	defer in.mu.Unlock()
	reason := ""
	if a.Refusal != nil {
		reason = a.Refusal.Reason
	}
	in.answers[reason]++
}

// serve runs a test against the server.
func (in *intake) serve(test func()) {
	srv := &http.Server{Handler: in.handler}
	var served sync.WaitGroup
	served.Go(func() { _ = srv.Serve(in.l) })
	test()
	_ = srv.Close()
	served.Wait()
	time.Sleep(2 * time.Hour) // all that still waits ends; in a bubble it takes no time
}

// answered returns how many answers had this reason.
func (in *intake) answered(reason string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.answers[reason]
}

// want compares the numbers of answers.
func (in *intake) want(answers map[string]int) {
	in.t.Helper()
	synctest.Wait()
	in.mu.Lock()
	defer in.mu.Unlock()
	if fmt.Sprint(in.answers) != fmt.Sprint(answers) {
		in.t.Errorf("answers: got %v, want %v", in.answers, answers)
	}
}

// a sender is a connection with one request.
type sender struct {
	net.Conn
	t      *testing.T
	status chan string   // of the answer, or why there is none
	closed chan struct{} // by the server
}

// listen reads the answer, and what follows it.
func (s *sender) listen() {
	defer close(s.closed)
	res, err := http.ReadResponse(bufio.NewReader(s), nil)
	if err != nil {
		s.status <- err.Error()
		return
	}
	_ = res.Body.Close()
	if s.status <- res.Status; res.StatusCode/100 != 2 && !res.Close {
		s.t.Errorf("the connection stays open after %s", res.Status)
	}
	_, _ = io.Copy(io.Discard, s)
}

// begin sends the header of a delivery. A negative length is not declared.
func (in *intake) begin(length int, signature string) *sender {
	s := &sender{in.l.dial(), in.t, make(chan string, 1), make(chan struct{})}
	go s.listen()
	size := fmt.Sprintf("Content-Length: %d", length)
	if length < 0 {
		size = "Transfer-Encoding: chunked"
	}
	s.send(fmt.Sprintf("POST /webhook HTTP/1.1\r\nHost: test\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: 11111111-2222\r\nX-Hub-Signature-256: %s\r\n%s\r\n\r\n", signature, size))
	return s
}

// send sends a part of the request. The server may have closed the connection: then the
// answer says why.
func (s *sender) send(text string) { _, _ = io.WriteString(s, text) }

// chunk sends a part of a body without a declared length.
func (s *sender) chunk(n int) { s.send(fmt.Sprintf("%x\r\n%s\r\n", n, strings.Repeat(" ", n))) }

// answer waits for the status.
func (s *sender) answer(status int) {
	s.t.Helper()
	if got := <-s.status; got != fmt.Sprintf("%d %s", status, http.StatusText(status)) {
		s.t.Errorf("got %s, want %d", got, status)
	}
}

// whole sends a delivery and wants an answer.
func (in *intake) whole(body string, status int) {
	in.t.Helper()
	s := in.begin(len(body), sign(body, secret))
	s.send(body)
	s.answer(status)
	_ = s.Close()
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("read")
}

// TestRefusedBeforeBody refuses what cannot be a delivery without reading its body.
func TestRefusedBeforeBody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"no signature":          {func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401},
		"signature of SHA-1":    {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha1="+strings.Repeat("0", 40)) }, 401},
		"signature too short":   {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=00") }, 401},
		"signature of no digit": {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("x", 64)) }, 401},
		"no GUID":               {func(r *http.Request) { r.Header.Del("X-GitHub-Delivery") }, 400},
		"no event":              {func(r *http.Request) { r.Header.Del("X-GitHub-Event") }, 400},
		"PUT":                   {func(r *http.Request) { r.Method = "PUT" }, 405},
		"declared too large":    {func(r *http.Request) { r.ContentLength = 26<<20 + 1 }, 413},
	} {
		var got webhook.Answer
		h := &webhook.Handler{Secrets: []string{secret}, Queue: &queue{}, Guard: cleaner, Log: slog.New(slog.DiscardHandler), Observe: func(a webhook.Answer) { got = a }}
		r := httptest.NewRequest("POST", "/webhook", unread{t})
		r.Header.Set("X-GitHub-Event", "push")
		r.Header.Set("X-GitHub-Delivery", "11111111-2222")
		r.Header.Set("X-Hub-Signature-256", sign(push, secret))
		tt.change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || got.Status() != tt.status || w.Header().Get("Connection") != "close" {
			t.Errorf("%s: got %d and %v, want %d and a closed connection", name, w.Code, w.Header(), tt.status)
		}
	}
}

// TestUnreadBodyIsNotAwaited refuses an unsigned request at once, although most of its
// body never comes.
func TestUnreadBodyIsNotAwaited(t *testing.T) {
	t.Parallel()
	for _, length := range []int{100, 200 << 10, 1 << 30, -1} {
		synctest.Test(t, func(t *testing.T) {
			in := newIntake(t, webhook.Limits{})
			in.serve(func() {
				began := time.Now()
				s := in.begin(length, "")
				s.answer(401)
				<-s.closed
				if took := time.Since(began); took > time.Second {
					t.Errorf("length %d: closed after %s", length, took)
				}
				in.want(map[string]int{"unsigned": 1})
			})
		})
	}
}

// TestRate sends bodies at several rates.
func TestRate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		length, part int
		every        time.Duration
		status       int
		after        time.Duration // of the answer, if it is a refusal
	}{
		"nothing":                {1000, 0, time.Hour, 408, 5 * time.Second},
		"one byte a second":      {1000, 1, time.Second, 408, 5 * time.Second},
		"just too slow":          {1 << 20, 12 << 10, time.Second, 408, 20 * time.Second},
		"fast enough":            {200 << 10, 17 << 10, time.Second, 202, 0},
		"a pause":                {64 << 10, 32 << 10, 4 * time.Second, 202, 0},
		"undeclared and slow":    {-1, 1, time.Second, 408, 5 * time.Second},
		"fast, but far too long": {25 << 20, 200 << 10, time.Second, 408, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := newIntake(t, webhook.Limits{})
			body := push + strings.Repeat(" ", max(0, tt.length-len(push)))
			in.serve(func() {
				began := time.Now()
				s := in.begin(tt.length, sign(body[:max(0, tt.length)], secret))
				go trickle(s, tt.length, body, tt.part, tt.every)
				s.answer(tt.status)
				if took := time.Since(began); tt.status == 408 && (took < tt.after || took > tt.after+time.Second) {
					t.Errorf("%s: refused after %s, want %s", name, took, tt.after)
				}
				_ = s.Close()
			})
		})
	}
}

// trickle sends a body in parts until the connection is closed.
func trickle(s *sender, length int, body string, part int, every time.Duration) {
	for sent := 0; length < 0 || sent < length; sent += part {
		if part > 0 {
			text := "1\r\n \r\n"
			if length >= 0 {
				text = body[sent:min(sent+part, length)]
			}
			if _, err := io.WriteString(s, text); err != nil {
				return
			}
		}
		time.Sleep(every)
		if part == 0 {
			return
		}
	}
}

// small are limits that a test reaches with a few bodies.
func small() webhook.Limits {
	l := webhook.DefaultLimits()
	l.Tiers = []webhook.Tier{{UpTo: 4 << 10, Total: 16 << 10}, {UpTo: 32 << 10, Total: 96 << 10}, {UpTo: 200 << 10, Total: 220 << 10}}
	return l
}

// TestOldestMakesRoom fills the memory of small bodies with ones that never finish. A new
// delivery is accepted nevertheless, and only as many of the others are refused as needed.
func TestOldestMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(t, small())
		in.serve(func() {
			fake := sign("x", secret)
			var stuck []*sender
			for range 4 {
				s := in.begin(4<<10, fake)
				s.send(strings.Repeat("x", 4<<10-1))
				stuck = append(stuck, s)
				time.Sleep(time.Millisecond)
			}
			synctest.Wait()
			if n, bytes := in.handler.Reading(); n != 4 || bytes != 16<<10 {
				t.Errorf("%d bodies hold %d bytes, want 4 with all", n, bytes)
			}
			in.whole(push, 202)
			stuck[0].answer(503)
			in.want(map[string]int{"": 1, "busy": 1})
			for _, s := range stuck[1:] {
				s.answer(408)
			}
			in.want(map[string]int{"": 1, "busy": 1, "slow": 3})
			if n, bytes := in.handler.Reading(); n != 0 || bytes != 0 {
				t.Errorf("%d bodies hold %d bytes in the end", n, bytes)
			}
		})
	})
}

// TestLargeBodiesDoNotDelaySmallOnes fills the memory of larger bodies, with declared and
// undeclared lengths. Small deliveries are accepted without any delay.
func TestLargeBodiesDoNotDelaySmallOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(t, small())
		in.serve(func() {
			fake := sign("x", secret)
			stuck := []*sender{in.begin(200<<10, fake)}
			for range 3 {
				s := in.begin(-1, fake)
				s.chunk(5 << 10)
				stuck = append(stuck, s)
			}
			synctest.Wait()
			if n, bytes := in.handler.Reading(); n != 4 || bytes != (200+3*28)<<10 {
				t.Errorf("%d bodies hold %d bytes, want 4 with all", n, bytes)
			}
			began := time.Now()
			for range 100 {
				in.whole(push, 202)
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("small deliveries waited for %s", took)
			}
			for _, s := range stuck {
				_ = s.Close()
			}
		})
	})
}

// TestLargeDeliveryGetsItsTurn accepts a large delivery while others that hold all memory
// send nothing.
func TestLargeDeliveryGetsItsTurn(t *testing.T) {
	t.Parallel()
	for _, size := range []int{20 << 10, 150 << 10} {
		synctest.Test(t, func(t *testing.T) {
			in := newIntake(t, small())
			body := push + strings.Repeat(" ", size)
			in.serve(func() {
				for range 3 {
					in.begin(-1, sign("x", secret)).chunk(5 << 10)
				}
				stuck := in.begin(200<<10, sign("x", secret))
				stuck.send(strings.Repeat("x", 199<<10))
				in.whole(body, 202)
				in.want(map[string]int{"": 1, "busy": 1})
			})
		})
	}
}

// TestBusy refuses a body when memory does not come free in time: the others finish before
// their turn ends, and the next ones take their place.
func TestBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := small()
		l.Turn = time.Minute
		in := newIntake(t, l)
		in.serve(func() {
			in.begin(200<<10, sign("x", secret))
			began := time.Now()
			in.begin(190<<10, sign("x", secret)).answer(503)
			if took := time.Since(began); took != l.Wait {
				t.Errorf("it waited for %s, want %s", took, l.Wait)
			}
		})
	})
}

// TestMemoryIsBounded sends many bodies at once that never finish.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := small()
		in := newIntake(t, l)
		in.serve(func() {
			for i := range 100 {
				s := in.begin([]int{10 << 10, 190 << 10, -1}[i%3], sign("x", secret))
				go s.chunk(8 << 10)
			}
			for range 40 {
				time.Sleep(100 * time.Millisecond)
				if _, bytes := in.handler.Reading(); bytes > (16+96+220)<<10 {
					t.Fatalf("the bodies hold %d bytes", bytes)
				}
				in.whole(push, 202)
			}
		})
	})
}
