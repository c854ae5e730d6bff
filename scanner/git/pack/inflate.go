package pack

import (
	"encoding/binary"
	"hash/adler32"
)

// An inflater unpacks objects, all of which a pack has in the zlib format, RFC 1950 and
// RFC 1951. It goes from one slice of known length to another, without the windows and
// interfaces that a stream needs, in half the time of the packages that read streams:
// unpacking is most of what reading a history costs. It refuses what it is in doubt of.
type inflater struct {
	literals, distances huffman
	fixedLiterals       huffman // made when they are needed first
	fixedDistances      huffman
	lengths             huffman // of the codes
	code                [maxLiterals + maxDistances]byte
}

const (
	maxLiterals  = 288
	maxDistances = 32
	maxCode      = 15 // bits
	endOfBlock   = 256
)

// inflate fills dst with what is packed at the beginning of src, and reports whether it
// is whole, just as long as dst, and has the checksum it should.
func (f *inflater) inflate(dst, src []byte) bool {
	if len(src) < 2 || src[0]&0xf != 8 || src[0]>>4 > 7 || src[1]&0x20 != 0 || binary.BigEndian.Uint16(src)%31 != 0 {
		return false
	}
	b := bitReader{src: src, at: 2}
	out := 0
	for last := false; !last; {
		b.fill()
		last = b.take(1) == 1
		switch b.take(2) {
		case 0:
			n, ok := b.stored(dst[out:])
			if !ok {
				return false
			}
			out += n
			continue
		case 1:
			if f.fixedLiterals.width == 0 {
				f.fix()
			}
			out = b.block(dst, out, &f.fixedLiterals, &f.fixedDistances)
		case 2:
			if !f.dynamic(&b) {
				return false
			}
			out = b.block(dst, out, &f.literals, &f.distances)
		default:
			return false
		}
		if out < 0 {
			return false
		}
	}
	end := b.position()
	return out == len(dst) && end >= 0 && end+4 <= len(src) && binary.BigEndian.Uint32(src[end:]) == adler32.Checksum(dst)
}

// A bitReader reads numbers of some bits, the lowest first. Behind the end there are
// zeros: position tells.
type bitReader struct {
	src  []byte
	at   int // of the next byte
	bits uint64
	n    uint // how many of bits count
}

// fill makes at least 56 bits ready.
func (b *bitReader) fill() {
	if b.at+8 <= len(b.src) {
		b.bits |= binary.LittleEndian.Uint64(b.src[b.at:]) << b.n
		b.at += int(63-b.n) >> 3
		b.n |= 56
		return
	}
	for b.n < 56 {
		if b.at < len(b.src) {
			b.bits |= uint64(b.src[b.at]) << b.n
		}
		b.at++
		b.n += 8
	}
}

func (b *bitReader) take(n uint) uint64 {
	v := b.bits & (1<<n - 1)
	b.bits >>= n
	b.n -= n
	return v
}

// position is where the next byte is that was not begun, or -1 if that is behind the end.
func (b *bitReader) position() int {
	if at := b.at - int(b.n>>3); at <= len(b.src) {
		return at
	}
	return -1
}

// stored copies a block that was not packed.
func (b *bitReader) stored(dst []byte) (n int, ok bool) {
	at := b.position()
	if at < 0 || at+4 > len(b.src) {
		return 0, false
	}
	n = int(binary.LittleEndian.Uint16(b.src[at:]))
	if n != int(^binary.LittleEndian.Uint16(b.src[at+2:])) || n > len(dst) || n > len(b.src)-at-4 {
		return 0, false
	}
	copy(dst, b.src[at+4:at+4+n])
	b.at, b.bits, b.n = at+4+n, 0, 0
	return n, true
}

// fix makes the tables of blocks that bring none.
func (f *inflater) fix() {
	for i := range f.code {
		switch {
		case i < 144:
			f.code[i] = 8
		case i < 256:
			f.code[i] = 9
		case i < 280:
			f.code[i] = 7
		case i < maxLiterals:
			f.code[i] = 8
		default:
			f.code[i] = 5
		}
	}
	f.fixedLiterals.build(f.code[:maxLiterals], literalMeaning[:])
	f.fixedDistances.build(f.code[maxLiterals:], distanceMeaning[:])
}

// lengthOrder is the order in which the lengths of the codes of lengths stand.
var lengthOrder = [19]byte{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the tables that a block brings.
func (f *inflater) dynamic(b *bitReader) bool {
	b.fill()
	literals, distances, lengths := int(b.take(5))+257, int(b.take(5))+1, int(b.take(4))+4
	if literals > 286 || distances > 30 {
		return false
	}
	var of [19]byte
	for i := range lengths {
		b.fill()
		of[lengthOrder[i]] = byte(b.take(3))
	}
	if !f.lengths.build(of[:], lengthMeaning[:]) {
		return false
	}
	code := f.code[:literals+distances]
	for i := 0; i < len(code); {
		b.fill()
		s := f.lengths.table[b.bits&(1<<f.lengths.width-1)]
		if s.kind() == isNone {
			return false
		}
		b.take(s.size())
		n, again := s.value(), 1
		switch n {
		case 16:
			if i == 0 {
				return false
			}
			n, again = int(code[i-1]), 3+int(b.take(2))
		case 17:
			n, again = 0, 3+int(b.take(3))
		case 18:
			n, again = 0, 11+int(b.take(7))
		}
		if again > len(code)-i {
			return false
		}
		for range again {
			code[i] = byte(n)
			i++
		}
	}
	return code[endOfBlock] != 0 && f.literals.build(code[:literals], literalMeaning[:]) && f.distances.build(code[literals:], distanceMeaning[:])
}

// block unpacks a block behind dst[:out] and returns where it ends, or -1.
func (b *bitReader) block(dst []byte, out int, literals, distances *huffman) int {
	table, mask := literals.table, uint64(1)<<literals.width-1
	for {
		b.fill()
		s := table[b.bits&mask]
		for s.kind() == isByte && b.n >= 2*maxWidth { // several bytes of one filling
			if out >= len(dst) {
				return -1
			}
			dst[out] = byte(s >> 16)
			out++
			b.bits >>= s.size()
			b.n -= s.size()
			s = table[b.bits&mask]
		}
		if b.n < 48 { // what follows may need more
			b.fill()
		}
		if s.kind() == isTable {
			s = literals.second(s, b.bits)
		}
		b.bits >>= s.size()
		b.n -= s.size()
		switch s.kind() {
		case isByte:
			if out >= len(dst) {
				return -1
			}
			dst[out] = byte(s >> 16)
			out++
			continue
		case isEnd:
			return out
		case isNone:
			return -1
		}
		length := s.value() + int(b.take(s.extra()))
		s = distances.table[b.bits&(1<<distances.width-1)]
		if s.kind() == isTable {
			s = distances.second(s, b.bits)
		}
		b.bits >>= s.size()
		b.n -= s.size()
		distance := s.value() + int(b.take(s.extra()))
		if s.kind() != isBase || distance > out || length > len(dst)-out {
			return -1
		}
		repeat(dst, out, distance, length)
		out += length
	}
}

// repeat copies length bytes to dst[out:] from distance before.
func repeat(dst []byte, out, distance, length int) {
	if distance >= 8 && length <= 32 && out+length+8 <= len(dst) { // eight at once: what is too much is written over
		from, to := dst[out-distance:], dst[out:]
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[i:]))
		}
		return
	}
	if distance >= length {
		copy(dst[out:out+length], dst[out-distance:])
		return
	}
	for i := out; i < out+length; i++ {
		dst[i] = dst[i-distance]
	}
}
