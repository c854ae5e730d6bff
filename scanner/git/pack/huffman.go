package pack

import "math/bits"

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
