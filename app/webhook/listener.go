package webhook

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A Listener bounds the number of open connections. When there are too many, a new one
// takes the place of the one that has waited longest without a complete request header.
// If there is none of these, it takes the place of the one whose request is read for
// longest. Connections that brought a signed delivery stay: the new one waits for them.
// So senders that send slowly or nothing at all never keep GitHub out.
type Listener struct {
	net.Listener
	max     int
	evicted atomic.Int64

	mu    sync.Mutex
	open  map[*conn]bool
	room  chan struct{} // closed when a connection ends or may be closed again
	ended chan struct{}
	once  sync.Once
}

// phase is what a connection is doing.
type phase int

const (
	waiting  phase = iota // for a complete header
	reading               // a request that may not be GitHub's
	verified              // handling a delivery that GitHub signed
)

type conn struct {
	net.Conn
	listener *Listener
	phase    phase
	since    time.Time // of the phase
}

// Limit bounds the open connections of a listener to max. The server must use the
// Listener's Context and Handler.
func Limit(l net.Listener, max int) *Listener {
	return &Listener{Listener: l, max: max, open: map[*conn]bool{}, room: make(chan struct{}), ended: make(chan struct{})}
}

// Accept waits for a connection, and makes room for it.
func (l *Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, listener: l, since: time.Now()}
	for {
		added, room := l.add(c)
		if added {
			return c, nil
		}
		select {
		case <-room:
		case <-l.ended:
			_ = accepted.Close() // nobody will use it
			return nil, net.ErrClosed
		}
	}
}

// add adds a connection if there is room or can be made. If not, it returns what to wait
// for.
func (l *Listener) add(c *conn) (added bool, room <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.max {
		old := l.oldest()
		if old == nil {
			return false, l.room
		}
		delete(l.open, old)
		_ = old.Conn.Close() // its reads fail now, which is what counts
		l.evicted.Add(1)
	}
	l.open[c] = true
	return true, nil
}

// oldest returns the connection that makes room, nil if there is none.
func (l *Listener) oldest() (old *conn) {
	for c := range l.open {
		switch {
		case c.phase == verified:
		case old == nil || c.phase < old.phase || c.phase == old.phase && c.since.Before(old.since):
			old = c
		}
	}
	return old
}

// Close stops listening. It closes no connection.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.ended) })
	return l.Listener.Close()
}

// Open returns how many connections are open.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// Evicted returns how many connections were closed to make room.
func (l *Listener) Evicted() int64 { return l.evicted.Load() }

func (l *Listener) wake() {
	close(l.room)
	l.room = make(chan struct{})
}

// Close closes the connection.
func (c *conn) Close() error {
	l := c.listener
	l.mu.Lock()
	if l.open[c] {
		delete(l.open, c)
		l.wake()
	}
	l.mu.Unlock()
	return c.Conn.Close()
}

// enter starts a phase. A nil connection, of a server without Context, has none.
func (c *conn) enter(p phase) {
	if c == nil {
		return
	}
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	c.phase, c.since = p, time.Now()
	if p == waiting {
		l.wake()
	}
}

type connKey struct{}

// Context is for the ConnContext of the server.
func (l *Listener) Context(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok { // of TLS
		c = secure.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// Handler notes which connections have a complete header. The server must answer one
// request of a connection at a time, as in HTTP/1.
func (l *Listener) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOf(r.Context())
		c.enter(reading)
		defer c.enter(waiting)
		next.ServeHTTP(w, r)
	})
}
