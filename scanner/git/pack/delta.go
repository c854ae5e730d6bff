package pack

import "slices"

// apply returns the object that a difference makes of its base.
func (r *Reader) apply(base Object, e entry) (Object, error) {
	r.delta = slices.Grow(r.delta[:0], e.size)[:e.size]
	if err := r.unpack(r.delta, e.data); err != nil {
		return Object{}, err
	}
	from, n := size(r.delta)
	to, m := size(r.delta[n:])
	switch {
	case n == 0 || m == 0 || from != int64(len(base.Data)):
		return Object{}, errBroken
	case to > MaxObject:
		return Object{}, errLarge
	}
	o := r.cache.room(base.Kind, int(to))
	if !patch(o.Data, base.Data, r.delta[n+m:]) {
		o.Release()
		return Object{}, errBroken
	}
	return o, nil
}

// size reads a size as a difference begins with, and returns how many bytes it has, none
// if it does not end.
func size(b []byte) (v int64, n int) {
	for n < len(b) && n < 5 {
		c := b[n]
		v |= int64(c&0x7f) << (7 * n)
		n++
		if c&0x80 == 0 {
			return v, n
		}
	}
	return 0, 0
}

// patch fills dst by the instructions of a difference: what to copy from the base, and
// what is new. It reports whether they fill it, and reach nowhere else.
func patch(dst, base, delta []byte) bool {
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			n := int(op)
			if n == 0 || n > len(delta) || n > len(dst) {
				return false
			}
			copy(dst, delta[:n])
			delta, dst = delta[n:], dst[n:]
			continue
		}
		var at, n int64
		for i := range 7 {
			if op>>i&1 == 0 {
				continue
			}
			if len(delta) == 0 {
				return false
			}
			if i < 4 {
				at |= int64(delta[0]) << (8 * i)
			} else {
				n |= int64(delta[0]) << (8 * (i - 4))
			}
			delta = delta[1:]
		}
		if n == 0 {
			n = 1 << 16
		}
		if n > int64(len(dst)) || at+n > int64(len(base)) {
			return false
		}
		copy(dst, base[at:at+n])
		dst = dst[n:]
	}
	return len(dst) == 0
}
