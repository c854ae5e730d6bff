package pack

import (
	"encoding/binary"
	"hash/adler32"
	"math/bits"
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

// A huffman is a table of codes. The low bits of what is read lead to a symbol, or to a
// table of the longer codes that begin with them.
type huffman struct {
	width uint // bits that lead into the first table
	more  uint // bits that lead on into a second one
	table []symbol
}

// A symbol has in its low four bits how many bits it takes, then what it is; from bit 8
// on the number of bits that follow it, from bit 16 on its value: a byte, the least
// length or distance, or where another table begins.
type symbol uint32

const (
	isByte symbol = iota << 4
	isBase
	isEnd
	isTable
	isNone
	kindMask symbol = 7 << 4

	maxWidth = 10
)

func (s symbol) size() uint   { return uint(s & 15) }
func (s symbol) kind() symbol { return s & kindMask }
func (s symbol) extra() uint  { return uint(s >> 8 & 31) }
func (s symbol) value() int   { return int(s >> 16) }

// second looks up a code that is longer than the first table is wide.
func (h *huffman) second(s symbol, bits uint64) symbol {
	return h.table[s.value()+int(bits>>h.width&(1<<h.more-1))]
}

// build makes the table of codes of the given lengths, each of which stands for the
// symbol that meaning gives. It reports whether every bit pattern has one; a single code
// of one bit may be alone, as may be none.
func (h *huffman) build(lengths []byte, meaning []symbol) bool {
	var count, next [maxCode + 1]int
	longest := 0
	for _, n := range lengths {
		count[n]++
		longest = max(longest, int(n))
	}
	count[0] = 0
	code := 0
	for n := 1; n <= maxCode; n++ {
		code = (code + count[n-1]) << 1
		next[n] = code
	}
	full := next[maxCode]+count[maxCode] == 1<<maxCode
	if !full && (longest > 1 || count[1] > 1) {
		return false
	}
	h.width = uint(max(1, min(longest, maxWidth)))
	size := 1 << h.width
	if need := size + (maxLiterals << (maxCode - maxWidth)); cap(h.table) < need {
		h.table = make([]symbol, need)
	}
	h.table = h.table[:size]
	if !full {
		for i := range h.table {
			h.table[i] = isNone
		}
	} else if longest > maxWidth {
		clear(h.table)
	}
	h.more = uint(max(longest, maxWidth) - maxWidth)
	for i, n := range lengths {
		if n == 0 {
			continue
		}
		reversed := int(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		s := meaning[i] | symbol(n)
		if uint(n) <= h.width {
			for at := reversed; at < size; at += 1 << n {
				h.table[at] = s
			}
			continue
		}
		first := reversed & (size - 1)
		if h.table[first].kind() != isTable {
			from := len(h.table)
			h.table = h.table[:from+1<<h.more]
			h.table[first] = isTable | symbol(from)<<16
		}
		second := h.table[h.table[first].value():][:1<<h.more]
		for at := reversed >> h.width; at < len(second); at += 1 << (uint(n) - h.width) {
			second[at] = s
		}
	}
	return true
}

// What the codes stand for, RFC 1951, section 3.2.5.
var (
	literalMeaning  = literalMeanings()
	distanceMeaning = distanceMeanings()
	lengthMeaning   = lengthMeanings()
)

func literalMeanings() (m [maxLiterals]symbol) {
	for i := range 256 {
		m[i] = isByte | symbol(i)<<16
	}
	m[endOfBlock] = isEnd
	base := 3
	for i := 257; i < 285; i++ {
		extra := max(0, (i-261)/4)
		m[i] = isBase | symbol(extra)<<8 | symbol(base)<<16
		base += 1 << extra
	}
	m[285] = isBase | 258<<16
	m[286], m[287] = isNone, isNone
	return m
}

func distanceMeanings() (m [maxDistances]symbol) {
	base := 1
	for i := range 30 {
		extra := max(0, (i-2)/2)
		m[i] = isBase | symbol(extra)<<8 | symbol(base)<<16
		base += 1 << extra
	}
	m[30], m[31] = isNone, isNone
	return m
}

func lengthMeanings() (m [19]symbol) {
	for i := range m {
		m[i] = isByte | symbol(i)<<16
	}
	return m
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
