package scanner

import (
	"encoding/binary"
	"slices"
)

// A keywordIndex finds all occurrences of a set of keywords in one pass,
// ignoring ASCII case, without copying or lower-casing the text.
//
// The pass looks at 4 bytes at a time, folded by setting bit 0x20 of each, and
// asks a table of bits that fits the first-level cache whether any keyword has
// these 4 bytes at its anchor, the rarest place in the keyword. Only then are
// the few keywords of that slot compared in full.
type keywordIndex struct {
	bits  [1 << 16 / 64]uint64
	slot  [1 << 16]uint16 // hash of an anchor to its place in slots
	slots [][]int32       // keywords with that anchor; the first is empty
	words []keyword
	short [256][]int32 // keywords under 4 bytes by their folded first byte
}

type keyword struct {
	text   string // lower case
	anchor int    // where in text its indexed 4 bytes begin
}

// leastKeyword is the length of the shortest keyword that is indexed.
const leastKeyword = 3

// newKeywordIndex indexes words, which are lower case and of leastKeyword bytes at least.
func newKeywordIndex(words []string) *keywordIndex {
	x := &keywordIndex{slots: make([][]int32, 1, len(words)+1)}
	for i, w := range words {
		k := keyword{text: w}
		if len(w) >= 4 {
			k.anchor = rarest(w)
			x.put(fold4(w[k.anchor:]), int32(i))
		} else {
			x.short[w[0]|0x20] = append(x.short[w[0]|0x20], int32(i))
			x.putShort(w, int32(i))
		}
		x.words = append(x.words, k)
	}
	return x
}

// putShort indexes a keyword of 3 bytes under every 4 bytes it may begin.
func (x *keywordIndex) putShort(w string, i int32) {
	for c := range 256 {
		if byte(c)&0x20 != 0 { // folded bytes only
			x.put(fold4(w+string([]byte{byte(c)})), i)
		}
	}
}

func (x *keywordIndex) put(v uint32, i int32) {
	h := hash4(v)
	x.bits[h>>6] |= 1 << (h & 63)
	n := x.slot[h]
	if n == 0 {
		n = uint16(len(x.slots))
		x.slot[h] = n
		x.slots = append(x.slots, nil)
	}
	if !slices.Contains(x.slots[n], i) {
		x.slots[n] = append(x.slots[n], i)
	}
}

// scan calls hit with each keyword whose anchor is in text[from:to] and the position
// where it begins, in the order of the anchors' positions. It stops early if hit
// returns false.
func (x *keywordIndex) scan(text []byte, from, to int, hit func(word, pos int) bool) {
	n := len(text) - 3
	for i := from; i < min(n, to); i++ {
		h := hash4(binary.LittleEndian.Uint32(text[i:]) | 0x20202020)
		if x.bits[h>>6]>>(h&63)&1 == 0 {
			continue
		}
		if !x.verify(text, i, h, hit) {
			return
		}
	}
	for i := max(n, from); i < to; i++ { // short keywords in the last 3 bytes
		for _, w := range x.short[text[i]|0x20] {
			if hasPrefixFold(text[i:], x.words[w].text) && !hit(int(w), i) {
				return
			}
		}
	}
}

func (x *keywordIndex) verify(text []byte, i int, h uint16, hit func(word, pos int) bool) bool {
	for _, w := range x.slots[x.slot[h]] {
		k := &x.words[w]
		at := i - k.anchor
		if at >= 0 && hasPrefixFold(text[at:], k.text) && !hit(int(w), at) {
			return false
		}
	}
	return true
}

func hash4(v uint32) uint16 { return uint16(v * 0x9E3779B1 >> 16) }

func fold4(s string) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) | 0x20202020
}

// hasPrefixFold reports whether text begins with lower, ASCII case ignored.
func hasPrefixFold(text []byte, lower string) bool {
	if len(text) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// rarest returns where the 4 bytes of w begin that source code has least often,
// judged by how common each byte is.
func rarest(w string) int {
	best, at := 1<<30, 0
	for i := 0; i+4 <= len(w); i++ {
		cost := 0
		for j := i; j < i+4; j++ {
			cost += commonness(w[j])
		}
		if cost < best {
			best, at = cost, i
		}
	}
	return at
}

// commonness is a rough rank of how often a byte stands in source code.
func commonness(c byte) int {
	switch {
	case c == 'e' || c == 't' || c == ' ':
		return 10
	case c == 'a' || c == 'r' || c == 'i' || c == 'n' || c == 's' || c == 'o':
		return 8
	case c == 'c' || c == 'd' || c == 'l' || c == 'p' || c == 'u' || c == 'm':
		return 6
	case c >= 'a' && c <= 'z':
		return 4
	case c == '_' || c == '-' || c == '.' || c == '/' || c == '=' || c == '"':
		return 4
	}
	return 2
}
