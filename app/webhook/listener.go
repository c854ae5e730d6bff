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
// So senders that send slowly or nothing at all never keep GitHub out. Each connection has
// a turn of a second first: without it, a burst of new connections would close those
// of deliveries that are just arriving.
type Listener struct {
	net.Listener
	max     int
	evicted atomic.Int64

	mu    sync.Mutex
	open  map[*conn]bool
	room  chan struct{} // closed when a connection ends or starts another phase
	ended chan struct{}
	once  sync.Once
}

// phase is what a connection is doing.
type phase int

const (
	closing  phase = iota // its request was refused, and nothing else will come
	waiting               // for a complete header
	reading               // a request that may not be GitHub's
	verified              // handling a delivery that GitHub signed
)

type conn struct {
	net.Conn
	listener *Listener
	phase    phase
	since    time.Time // of the phase
}

const (
	// MaxConnections is how many connections may be open. An unfinished one takes about 30 KB.
	MaxConnections = 750
	// connectionTurn is how long a connection keeps its place, at least.
	connectionTurn = time.Second
)

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
	c := &conn{Conn: accepted, listener: l, phase: waiting}
	for {
		added, room, next := l.add(c)
		if added {
			return c, nil
		}
		select {
		case <-room:
		case <-time.After(next):
		case <-l.ended:
			_ = accepted.Close() // nobody will use it
			return nil, net.ErrClosed
		}
	}
}

// add adds a connection if there is room or can be made. If not, it returns what to wait
// for: a channel that is closed when a connection ends or starts another phase, and the
// time until a turn ends.
func (l *Listener) add(c *conn) (added bool, room <-chan struct{}, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.max {
		old, next := l.oldest()
		if old == nil {
			return false, l.room, next
		}
		delete(l.open, old)
		_ = old.Conn.Close() // its reads fail now, which is what counts
		l.evicted.Add(1)
	}
	c.since = time.Now()
	l.open[c] = true
	return true, nil, 0
}

// oldest returns the connection that makes room. If there is none, it returns the time
// until the first turn ends.
func (l *Listener) oldest() (old *conn, next time.Duration) {
	next = time.Hour
	now := time.Now()
	for c := range l.open {
		left := c.since.Add(connectionTurn).Sub(now)
		switch {
		case c.phase == verified:
		case c.phase != closing && left > 0:
			next = min(next, left)
		case old == nil || c.phase < old.phase || c.phase == old.phase && c.since.Before(old.since):
			old = c
		}
	}
	return old, next
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
	l.wake()
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
		next.ServeHTTP(w, r)
		if w.Header().Get("Connection") == "close" {
			c.enter(closing)
			return
		}
		c.enter(waiting)
	})
}
