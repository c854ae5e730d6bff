package webhook

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// Limits bound what senders cost while they are not known to be GitHub.
type Limits struct {
	Body  int64 // bytes of one body
	Small int64 // bytes up to which a body is small

	SmallTotal int64 // bytes of all small bodies that are being read
	LargeTotal int64 // bytes of all others
	SmallTurn  time.Duration
	LargeTurn  time.Duration // how long a body may hold bytes that another one needs
	Wait       time.Duration // how long a body waits for bytes

	Grace   time.Duration // how long a body may be slow
	Rate    int64         // bytes a second, on average, after that
	Longest time.Duration // for a whole body
}

// DefaultLimits are those of a handler without limits. A body may have GitHub's own cap of
// 25 MB, with room. GitHub gives up after 10 seconds, so waiting longer is useless.
// https://docs.github.com/webhooks/webhook-events-and-payloads#payload-cap
func DefaultLimits() Limits {
	const mb = 1 << 20
	return Limits{
		Body: 26 * mb, Small: mb,
		SmallTotal: 16 * mb, LargeTotal: 48 * mb, SmallTurn: time.Second, LargeTurn: 5 * time.Second, Wait: 2 * time.Second,
		Grace: 5 * time.Second, Rate: 16 << 10, Longest: time.Minute,
	}
}

// A budget bounds the memory of all bodies that are being read. Small bodies, which nearly
// all deliveries have, and large ones have a pool each, so that large ones never keep small
// ones waiting.
type budget struct {
	limits       Limits
	small, large *pool
	reading      atomic.Int64
}

func newBudget(l Limits) *budget {
	return &budget{limits: l, small: newPool(l.SmallTotal, l.SmallTurn), large: newPool(l.LargeTotal, l.LargeTurn)}
}

// A body is one that is being read.
type body struct {
	budget    *budget
	from      io.Reader
	declared  int64 // bytes, -1 if the sender did not say
	rc        *http.ResponseController
	began     time.Time
	share     *share
	signature *signature
	chunks    [][]byte
	size      int64
	ended     bool
}

// open begins to read a body. Whoever opens it closes it.
func (b *budget) open(w http.ResponseWriter, r *http.Request, s *signature) *body {
	b.reading.Add(1)
	out := &body{budget: b, from: r.Body, declared: r.ContentLength, rc: http.NewResponseController(w), began: time.Now(), signature: s}
	from := b.small
	if r.ContentLength > b.limits.Small {
		from = b.large
	}
	out.share = from.join(out.began, out.abort)
	return out
}

func (b *body) close() {
	b.share.release()
	b.budget.reading.Add(-1)
}

// abort makes reads fail at once. Errors are ignored: a connection without deadlines is
// one of a test, and a broken one fails at the next read.
func (b *body) abort() { _ = b.rc.SetReadDeadline(time.Unix(1, 0)) }

// verified protects a body that GitHub signed until it is closed.
func (b *body) verified() {
	b.share.protect()
	_ = b.rc.SetReadDeadline(b.began.Add(b.budget.limits.Longest)) // see abort
}

// bytes returns the whole body.
func (b *body) bytes() []byte {
	if len(b.chunks) == 1 {
		return b.chunks[0]
	}
	return slices.Concat(b.chunks...)
}

// receive reads the whole body. Memory is taken as bytes arrive, because it costs a sender
// nothing to declare a length. Only large bodies take their declared length at once: two of
// them that grow side by side could otherwise both run out of memory halfway.
func (b *body) receive() *Refusal {
	l := &b.budget.limits
	if b.declared > l.Body {
		return ErrSize
	}
	if b.declared > l.Small && !b.share.take(b.declared, l.Wait) {
		return ErrBusy
	}
	for !b.ended && b.size != b.declared {
		chunk := b.nextChunk()
		if b.declared <= l.Small && !b.grow(int64(len(chunk))) {
			return ErrBusy
		}
		n, refusal := b.fill(chunk)
		b.signature.add(chunk[:n])
		b.chunks = append(b.chunks, chunk[:n])
		if refusal != nil {
			return refusal
		}
	}
	return nil
}

// nextChunk returns an empty chunk. The first is small: most of the senders that do not
// finish send little.
func (b *body) nextChunk() []byte {
	size := int64(64 << 10)
	if len(b.chunks) < 2 {
		size = 4 << 10 << (2 * len(b.chunks))
	}
	size = min(size, b.budget.limits.Body-b.size+1) // one more byte tells that it is too large
	if b.declared >= 0 {
		size = min(size, b.declared-b.size)
	}
	return make([]byte, size)
}

// grow takes n bytes. A body that turns out to be large moves to the other pool.
func (b *body) grow(n int64) bool {
	l := &b.budget.limits
	if b.size+n <= l.Small || b.share.pool == b.budget.large {
		return b.share.take(n, l.Wait)
	}
	old := b.share
	defer old.release()
	b.share = b.budget.large.join(b.began, b.abort)
	return b.share.take(old.bytes+n, l.Wait)
}

// fill reads until the chunk is full or the body ends.
func (b *body) fill(chunk []byte) (n int, refusal *Refusal) {
	for n < len(chunk) && !b.ended {
		_ = b.rc.SetReadDeadline(b.deadline()) // see abort
		if b.share.aborted.Load() {            // either this sees it, or the deadline of abort is the later one
			return n, ErrBusy
		}
		more, err := b.from.Read(chunk[n:])
		n += more
		b.size += int64(more)
		switch {
		case errors.Is(err, io.EOF):
			b.ended = true
		case err == nil:
		case b.share.aborted.Load(), errors.Is(err, net.ErrClosed): // the latter by Listener
			return n, ErrBusy
		case errors.Is(err, os.ErrDeadlineExceeded):
			return n, ErrSlow
		default:
			return n, ErrBody
		}
	}
	if b.size > b.budget.limits.Body {
		return n, ErrSize
	}
	return n, nil
}

// deadline is when the next byte has to be there, so that the average since the beginning
// is not below the rate.
func (b *body) deadline() time.Time {
	l := &b.budget.limits
	return b.began.Add(min(l.Grace+time.Duration(b.size)*time.Second/time.Duration(l.Rate), l.Longest))
}
