package scanner

import (
	"encoding/binary"

	"github.com/keyward/keyward/scanner/score"
)

// A keywordIndex finds all occurrences of a set of keywords in one pass,
// ignoring ASCII case, without copying or lower-casing the text.
//
// The pass takes 4 bytes at every other position, folded by setting bit 0x20 of each, and
// asks two tables of bits that fit the first-level cache whether any keyword has these
// bytes at its anchor, the rarest place in it. Long keywords are in the table of 4 bytes
// under two anchors side by side, one of which stands at a position that is looked at;
// short ones in that of 3 bytes, which is asked for both positions. Only then are the few
// keywords of that slot compared in full.
type keywordIndex struct {
	long, short grams
	words       []string // lower case
}

// grams are the indexed bytes of the keywords.
type grams struct {
	bits  [1 << 16 / 64]uint64
	slot  [1 << 16]uint16 // hash of an anchor to its place in slots
	slots [][]entry
}

// An entry is a keyword with an anchor at some place.
type entry struct {
	word   int32
	anchor int32
}

// leastKeyword is the length of the shortest keyword that is indexed, longKeyword that
// of the shortest that has two anchors of 4 bytes.
const (
	leastKeyword = 3
	longKeyword  = 5
)

// newKeywordIndex indexes those of the words that are wanted, all if wanted is nil. They are
// lower case and of leastKeyword bytes at least.
func newKeywordIndex(words []string, wanted func(word int) bool) *keywordIndex {
	x := &keywordIndex{words: words}
	for i, w := range words {
		if wanted != nil && !wanted(i) {
			continue
		}
		if len(w) < longKeyword {
			at := rarest(w, 3)
			x.short.put(fold(w[at:], 3), entry{int32(i), int32(at)})
			continue
		}
		at := rarest(w, 5)
		x.long.put(fold(w[at:], 4), entry{int32(i), int32(at)})
		x.long.put(fold(w[at+1:], 4), entry{int32(i), int32(at + 1)})
	}
	return x
}

func (g *grams) put(v uint32, e entry) {
	h := hashGram(v)
	g.bits[h>>6] |= 1 << (h & 63)
	n := g.slot[h]
	if n == 0 {
		n = uint16(len(g.slots) + 1)
		g.slot[h] = n
		g.slots = append(g.slots, nil)
	}
	g.slots[n-1] = append(g.slots[n-1], e)
}

// has returns 1 in its lowest bit if some keyword may have these bytes at its anchor.
func (g *grams) has(h uint16) uint64 { return g.bits[h>>6] >> (h & 63) }

// scan calls hit with each keyword whose anchor is in text[from:to] and the position
// where it begins, in the order of the anchors' positions. It stops early if hit
// returns false. A keyword must not stand across from or to.
func (x *keywordIndex) scan(text []byte, from, to int, hit func(word, pos int) bool) {
	i := from
	for n := min(len(text)-3, to); i < n; i += 2 {
		v := binary.LittleEndian.Uint32(text[i:]) | 0x20202020
		h, h1, h2 := hashGram(v), hashGram(v&0xffffff), hashGram(v>>8)
		if (x.long.has(h)|x.short.has(h1)|x.short.has(h2))&1 == 0 {
			continue
		}
		if !x.verify(&x.short, h1, text, i, hit) || !x.verify(&x.long, h, text, i, hit) || i+1 < to && !x.verify(&x.short, h2, text, i+1, hit) {
			return
		}
	}
	for ; i+leastKeyword <= len(text) && i < to; i++ {
		if !x.verify(&x.short, hashGram(fold(text[i:], 3)), text, i, hit) {
			return
		}
	}
}

func (x *keywordIndex) verify(g *grams, h uint16, text []byte, i int, hit func(word, pos int) bool) bool {
	if g.slot[h] == 0 {
		return true
	}
	for _, e := range g.slots[g.slot[h]-1] {
		at := i - int(e.anchor)
		if at >= 0 && hasPrefixFold(text[at:], x.words[e.word]) && !hit(int(e.word), at) {
			return false
		}
	}
	return true
}

func hashGram(v uint32) uint16 { return uint16(v * 0x9E3779B1 >> 16) }

// fold returns the first n bytes of s as [keywordIndex.scan] sees them.
func fold[T string | []byte](s T, n int) (v uint32) {
	for i := range n {
		v |= uint32(s[i]|0x20) << (8 * i)
	}
	return v
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

// rarest returns where the n bytes of w begin that source code has least often, judged by
// how common each pair of bytes is.
func rarest(w string, n int) int {
	best, at := 1<<30, 0
	for i := 0; i+n <= len(w); i++ {
		cost := 0
		for j := i; j+1 < i+n; j++ {
			cost += score.PairRank(w[j], w[j+1])
		}
		if cost < best {
			best, at = cost, i
		}
	}
	return at
}
