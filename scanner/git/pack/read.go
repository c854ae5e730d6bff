package pack

import (
	"errors"
	"fmt"
)

// A Kind is what an object is.
type Kind byte

// The kinds of objects, and of what stands in a pack as a difference to another.
const (
	Commit Kind = 1
	Tree   Kind = 2
	Blob   Kind = 3
	Tag    Kind = 4

	offsetDelta Kind = 6
)

// A Reader reads objects. It keeps some of those it has read, as others are differences
// to them: who reads in the order of places reads each but once. It is not safe for
// concurrent use.
type Reader struct {
	set      *Set
	cache    cache
	in       window
	pack     int
	inflater inflater
	delta    []byte
	chain    []entry
	refused  map[Place]bool // what can not be read, nor what is a difference to it
	unpacked int            // how often something was
}

// NewReader returns a reader of the objects of s.
func (s *Set) NewReader() *Reader { return &Reader{set: s, pack: -1, cache: cache{free: &s.free}} }

// Close forgets what was read. Objects that were returned stay as they are.
func (r *Reader) Close() { r.cache.clear() }

const maxChain = 5000 // differences to differences; git makes up to 4095

// Errors of objects that are left to git.
var (
	errLarge  = errors.New("the object is too large")
	errBroken = errors.New("the pack is broken, or has what is not understood")
)

// Read returns the object at a place. Who asks for it releases it.
func (r *Reader) Read(at Place) (Object, error) {
	o, err := r.read(at)
	if err != nil {
		r.refuse(at)
		return o, fmt.Errorf("read object at %d of %s: %w", at.offset(), r.set.packs[at.pack()].pack.Name(), err)
	}
	return o, nil
}

// mostRefused is how many places are remembered that can not be read.
const mostRefused = 100_000

// refuse remembers that what was tried last can not be read.
func (r *Reader) refuse(at Place) {
	if r.refused == nil || len(r.refused) > mostRefused {
		r.refused = map[Place]bool{}
	}
	r.refused[at] = true
	for i := range r.chain {
		r.refused[r.chain[i].at] = true
	}
}

// read goes from difference to difference down to an object that is known or stands in
// full, and up again.
func (r *Reader) read(at Place) (Object, error) {
	r.chain = r.chain[:0]
	o, known := r.cache.get(at)
	for !known {
		if r.refused[at] {
			return Object{}, errBroken
		}
		e, err := r.entry(at)
		if err != nil {
			return Object{}, err
		}
		if e.kind == offsetDelta {
			if len(r.chain) == maxChain {
				return Object{}, errBroken
			}
			r.chain = append(r.chain, e)
			at = e.base
			o, known = r.cache.get(at)
			continue
		}
		o = r.cache.room(e.kind, e.size)
		if err := r.unpack(o.Data, e.data); err != nil {
			o.Release()
			return Object{}, err
		}
		r.cache.put(at, o)
		break
	}
	for i := len(r.chain) - 1; i >= 0; i-- {
		base := o
		var err error
		o, err = r.apply(base, r.chain[i])
		base.Release()
		if err != nil {
			return Object{}, err
		}
		r.cache.put(r.chain[i].at, o)
	}
	return o, nil
}

// An entry is what stands before an object in a pack.
type entry struct {
	at, base Place // base of an offsetDelta
	kind     Kind
	size     int   // of what is packed, unpacked
	data     Place // where that begins
}

// entry reads what stands before an object: its kind and size, and how far before it the
// object begins that it is a difference to.
func (r *Reader) entry(at Place) (entry, error) {
	if r.pack != at.pack() {
		p := r.set.packs[at.pack()]
		r.pack, r.in = at.pack(), window{f: p.pack, end: p.end, buf: r.in.buf[:0]}
	}
	head, err := r.in.at(at.offset(), 32)
	if err != nil {
		return entry{}, err
	}
	e := entry{at: at, kind: Kind(head[0] >> 4 & 7)}
	size, n := int64(head[0]&15), 1
	for shift := 4; head[n-1]&0x80 != 0; shift += 7 {
		if n == len(head) || shift > 32 {
			return entry{}, errBroken
		}
		size |= int64(head[n]&0x7f) << shift
		n++
	}
	if size > MaxObject {
		return entry{}, errLarge
	}
	e.size = int(size)
	switch e.kind {
	case Commit, Tree, Blob, Tag:
	case offsetDelta:
		back, m := backwards(head[n:])
		if m == 0 || back <= 0 || back > at.offset()-12 {
			return entry{}, errBroken
		}
		e.base = at - Place(back)
		n += m
	default: // a difference to an object that is told by its id is rare on a disk
		return entry{}, errBroken
	}
	e.data = at + Place(n)
	return e, nil
}

// backwards reads a number as distances are written, and returns how many bytes it has,
// none if it does not end.
func backwards(b []byte) (v int64, n int) {
	for n < len(b) && n < 7 {
		c := b[n]
		n++
		v |= int64(c & 0x7f)
		if c&0x80 == 0 {
			return v, n
		}
		v = (v + 1) << 7
	}
	return 0, 0
}

// unpack fills dst with what is packed at a place, which has to be as long as dst.
func (r *Reader) unpack(dst []byte, at Place) error {
	r.unpacked++
	packed, err := r.in.at(at.offset(), bound(len(dst)))
	if err == nil && !r.inflater.inflate(dst, packed) {
		err = errBroken
	}
	return err
}

// bound is how many bytes n bytes have at most when they are packed: with a little over
// five more for each 16 KB that could not be made smaller.
func bound(n int) int { return n + n>>11 + 64 }
