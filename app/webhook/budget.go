package webhook

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A pool is memory that bodies share while they are read. A body takes bytes before it
// reads them. When the pool is empty, the body that began first makes room: GitHub sends
// a body in a fraction of a second, so the oldest is the least likely to be a delivery.
// Without that, a few senders that never finish could hold the pool forever.
type pool struct {
	turn time.Duration // a younger body is not aborted; the pool is waited for instead
	mu   sync.Mutex
	size int64
	free int64
	open []*share // that may be aborted, in the order in which they began
	back chan struct{}
}

func newPool(size int64, turn time.Duration) *pool {
	return &pool{turn: turn, size: size, free: size, back: make(chan struct{})}
}

// A share is the bytes of a pool that one body holds.
type share struct {
	pool    *pool
	bytes   int64
	began   time.Time
	abort   func() // makes the body's reads fail; must not block
	aborted atomic.Bool
}

// join adds a body that holds no bytes yet.
func (p *pool) join(began time.Time, abort func()) *share {
	s := &share{pool: p, began: began, abort: abort}
	p.mu.Lock()
	defer p.mu.Unlock()
	at, _ := slices.BinarySearchFunc(p.open, began, func(s *share, t time.Time) int { return s.began.Compare(t) })
	p.open = slices.Insert(p.open, at, s)
	return s
}

// take takes n more bytes. It waits for them, and reports false if there are none in time
// or if the body was aborted itself.
func (s *share) take(n int64, wait time.Duration) bool {
	taken, back, next := s.try(n)
	if taken {
		return true
	}
	timeout := time.After(wait)
	for !s.aborted.Load() {
		select {
		case <-back:
		case <-time.After(next):
		case <-timeout:
			return false
		}
		if taken, back, next = s.try(n); taken {
			return true
		}
	}
	return false
}

// try takes n bytes if they are free. If not, it makes room, and returns what to wait for:
// a channel that is closed when bytes come back, and the time until more can be done.
func (s *share) try(n int64) (taken bool, back <-chan struct{}, next time.Duration) {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if n <= p.free && !s.aborted.Load() {
		p.free -= n
		s.bytes += n
		return true, nil, 0
	}
	next = p.makeRoom(s, n)
	return false, p.back, next
}

// makeRoom aborts the oldest bodies, but not s, until n bytes are free or will be. It
// returns the time until another one can be aborted.
func (p *pool) makeRoom(s *share, n int64) (next time.Duration) {
	coming := p.free
	for _, old := range p.open {
		if old.aborted.Load() {
			coming += old.bytes
		}
	}
	for _, old := range p.open {
		if coming >= n {
			break
		}
		if old == s || old.bytes == 0 || old.aborted.Load() {
			continue
		}
		if age := time.Since(old.began); age < p.turn {
			return p.turn - age
		}
		old.aborted.Store(true) // before abort, see body.fill
		old.abort()
		p.wake() // it may be waiting for bytes itself
		coming += old.bytes
	}
	return time.Hour // only bytes that come back help
}

// protect excludes the body from those that can be aborted.
func (s *share) protect() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.leave()
}

func (s *share) leave() {
	if i := slices.Index(s.pool.open, s); i >= 0 {
		s.pool.open = slices.Delete(s.pool.open, i, i+1)
	}
}

// release gives all bytes back. The share must not be used after it.
func (s *share) release() {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	s.leave()
	p.free += s.bytes
	s.bytes = 0
	p.wake()
}

// wake has all that wait for bytes try again.
func (p *pool) wake() {
	close(p.back)
	p.back = make(chan struct{})
}

// used returns how many bytes the bodies hold.
func (p *pool) used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size - p.free
}
