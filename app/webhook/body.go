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
	Tiers []Tier        // by size; the last bounds a body
	Turn  time.Duration // how long a body may hold bytes that another one needs
	Wait  time.Duration // how long a body waits for bytes

	Grace   time.Duration // how long a body may be slow
	Rate    int64         // bytes a second, on average, after that
	Longest time.Duration // for a whole body
}

// A Tier is the memory that all bodies up to a size share while they are read. A body that
// grows moves to the next one, so that larger bodies never keep smaller ones waiting.
type Tier struct{ UpTo, Total int64 }

// DefaultLimits are those of a handler without limits. Bodies up to 28 KiB, which most
// deliveries have, get memory for every connection that may be open. A body may have
// GitHub's own cap of 25 MB, with room. GitHub gives up after 10 seconds, so waiting longer
// is useless.
// https://docs.github.com/webhooks/webhook-events-and-payloads#payload-cap
func DefaultLimits() Limits {
	const kb, mb = 1 << 10, 1 << 20
	return Limits{
		Tiers: []Tier{{28 * kb, MaxConnections * 28 * kb}, {mb, 12 * mb}, {26 * mb, 32 * mb}},
		Turn:  time.Second, Wait: 2 * time.Second,
		Grace: 5 * time.Second, Rate: 16 << 10, Longest: time.Minute,
	}
}

// largest is the size of the largest body.
func (l *Limits) largest() int64 { return l.Tiers[len(l.Tiers)-1].UpTo }

// A budget bounds the memory of all bodies that are being read.
type budget struct {
	limits  Limits
	pools   []*pool // of the tiers
	reading atomic.Int64
}

// chunkSizes are the sizes of the first, the second and all other chunks of a body. The
// first is small, because most of the senders that do not finish send little. Two of them
// fit into the first tier.
var chunkSizes = [...]int64{4 << 10, 24 << 10, 64 << 10}

func newBudget(l Limits) *budget {
	b := &budget{limits: l}
	for _, t := range l.Tiers {
		b.pools = append(b.pools, newPool(t.Total, l.Turn))
	}
	return b
}

// pool returns the pool of bodies of a size.
func (b *budget) pool(size int64) *pool {
	for i, t := range b.limits.Tiers {
		if size <= t.UpTo {
			return b.pools[i]
		}
	}
	return b.pools[len(b.pools)-1] // one byte more than allowed, see nextChunk
}

// used returns how many bytes the bodies hold.
func (b *budget) used() (n int64) {
	for _, p := range b.pools {
		n += p.used()
	}
	return n
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
	reserved  bool // memory for all of it
	ended     bool
}

// open begins to read a body. Whoever opens it closes it.
func (b *budget) open(w http.ResponseWriter, r *http.Request, s *signature) *body {
	b.reading.Add(1)
	out := &body{budget: b, from: r.Body, declared: r.ContentLength, rc: http.NewResponseController(w), began: time.Now(), signature: s}
	out.share = b.pool(0).join(out.began, out.abort)
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

// receive reads the whole body. It takes memory as bytes arrive, because it costs a sender
// nothing to declare a length. Only bodies of the largest tier take their declared length
// at once: two of them that grow side by side could otherwise both run out of memory.
func (b *body) receive() *Refusal {
	l := &b.budget.limits
	if b.declared > l.largest() {
		return ErrSize
	}
	if b.reserved = b.declared > l.Tiers[len(l.Tiers)-2].UpTo; b.reserved && !b.grow(b.declared) {
		return ErrBusy
	}
	for !b.ended && b.size != b.declared {
		size := b.nextChunk()
		if !b.reserved && !b.grow(size) {
			return ErrBusy
		}
		chunk := make([]byte, size)
		n, refusal := b.fill(chunk)
		b.signature.add(chunk[:n])
		b.chunks = append(b.chunks, chunk[:n])
		if refusal != nil {
			return refusal
		}
	}
	return nil
}

// nextChunk returns the size of the next chunk.
func (b *body) nextChunk() int64 {
	size := chunkSizes[min(len(b.chunks), len(chunkSizes)-1)]
	size = min(size, b.budget.limits.largest()-b.size+1) // one more byte tells that it is too large
	if b.declared >= 0 {
		size = min(size, b.declared-b.size)
	}
	return size
}

// grow takes n bytes. A body that becomes too large for its tier moves to another one.
func (b *body) grow(n int64) bool {
	old := b.share
	p := b.budget.pool(old.bytes + n)
	if p == old.pool {
		return old.take(n, b.budget.limits.Wait)
	}
	defer old.release()
	b.share = p.join(b.began, b.abort)
	return b.share.take(old.bytes+n, b.budget.limits.Wait)
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
	if b.size > b.budget.limits.largest() {
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
