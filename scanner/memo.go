package scanner

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/keyward/keyward/scanner/score"
)

// A memo remembers pieces of text in which nothing was found that could be a key, so
// that they are not looked at again: the versions of a file share most of their lines,
// vendored copies and licences all of them. It is a table of fixed size in which a new
// piece takes the place of an old one. Safe for concurrent use.
//
// A piece is some whole lines. It is known by a hash of its bytes, of those around it
// as far as anything looks past a line's end, and of all that decides what is looked
// for at its path. The seed of the hash is made anew for each run, so that nobody can
// prepare a piece that is taken for another; two pieces are confused by chance once in
// 2^64 looks.
type memo struct {
	seed  maphash.Seed
	size  int // of slots, which are made at the first look
	once  sync.Once
	slots []atomic.Uint64 // keys, each in the slot of its low bits
	found []atomic.Pointer[found]
	score []atomic.Pointer[scored]
}

// scored is how likely a value is a key that is known as one that was refused would be.
type scored struct {
	key uint64
	p   float64
}

// found is where an expression matches in a window of text, which is known by a hash as
// pieces are: versions of a file that have keys have the same ones.
type found struct {
	key uint64
	at  [][]int
}

const (
	memoSlots   = 1 << 20 // 8 MB
	foundSlots  = 1 << 14
	mostFound   = 32      // matches of one window that are remembered
	leastPiece  = 512     // bytes; the pieces are twice as long on average
	mostPiece   = 8 << 10 // bytes, but for the rest of a line
	pieceMargin = 192     // bytes around a piece that are part of its key
)

// A piece is a part of a text, and what is known of it.
type piece struct {
	span
	key   uint64
	known bool // holds nothing: it was seen before
	live  bool // something in it went as far as to need more than the piece and its margin
}

func newMemo() *memo { return &memo{seed: maphash.MakeSeed(), size: memoSlots} }

func (m *memo) has(key uint64) bool {
	m.once.Do(func() {
		m.slots = make([]atomic.Uint64, m.size)
		m.found = make([]atomic.Pointer[found], foundSlots)
		m.score = make([]atomic.Pointer[scored], foundSlots)
	})
	return m.slots[key%uint64(len(m.slots))].Load() == key
}

func (m *memo) add(key uint64) { m.slots[key%uint64(len(m.slots))].Store(key) }

// find returns where the expression of a rule matches in a window of the text that is
// looked at. What it returns is not to be changed.
func (w *work) find(c *compiled, window []byte) [][]int {
	if w.memo == nil || len(w.pieces) == 0 { // pieces were asked for: the tables are there
		w.searches++
		w.searched += len(window)
		return c.re.FindAllSubmatchIndex(window, -1)
	}
	key := maphash.Bytes(w.memo.seed, window) ^ mix(uint64(c.number)+1)
	slot := &w.memo.found[key%foundSlots]
	if f := slot.Load(); f != nil && f.key == key {
		return f.at
	}
	at := c.re.FindAllSubmatchIndex(window, -1)
	if len(at) <= mostFound {
		slot.Store(&found{key, at})
	}
	return at
}

// cut appends the pieces of text. Where one ends depends on the bytes before its end
// alone, so that after an edit the pieces soon are the same again.
func (m *memo) cut(dst []piece, text []byte, salt uint64) []piece {
	for start := 0; start < len(text); {
		end := pieceEnd(text, start)
		from, to := max(0, start-pieceMargin), min(len(text), end+pieceMargin)
		key := maphash.Bytes(m.seed, text[from:to]) ^ mix(salt^mix(uint64(start-from)<<32|uint64(to-end)))
		key += uint64(btoi(key == 0)) // an empty slot holds nothing
		dst = append(dst, piece{span: span{start, end}, key: key, known: m.has(key)})
		start = end
	}
	return dst
}

// pieceEnd returns the end of the line that ends the piece at start: one in eight lines
// after leastPiece bytes, any after mostPiece.
func pieceEnd(text []byte, start int) int {
	for i := start + leastPiece; i < len(text); i++ {
		n := bytes.IndexByte(text[i:], '\n')
		if n < 0 {
			break
		}
		i += n
		if i-start >= mostPiece || mix(binary.LittleEndian.Uint64(text[i-8:]))>>61 == 0 {
			return i + 1
		}
	}
	return len(text)
}

// mix spreads the bits of v: the finalizer of MurmurHash3.
func mix(v uint64) uint64 {
	v = (v ^ v>>33) * 0xff51afd7ed558ccd
	v = (v ^ v>>33) * 0xc4ceb9fe1a85ec53
	return v ^ v>>33
}

// remember cuts the text that is looked at into pieces, if there is a memo. Explanations
// and text out of an encoding are made without.
func (w *work) remember(text []byte, encoding string) {
	w.pieces, w.current = w.pieces[:0], 0
	if w.memo == nil || encoding != "" || w.explain != nil || w.visit != nil {
		return
	}
	w.pieces = w.memo.cut(w.pieces, text, w.salt(w.blob.Path)+uint64(btoi(w.generated))+2*uint64(btoi(w.binary)))
}

// mostSalts is how many paths' salts are remembered.
const mostSalts = 4096

// salt is what tells the pieces at a path from the same at one where something else is
// looked for.
func (w *work) salt(path string) uint64 {
	salt, ok := w.salts[path]
	if !ok {
		if len(w.salts) >= mostSalts || w.salts == nil {
			w.salts = map[string]uint64{}
		}
		salt = maphash.String(w.memo.seed, w.s.Profile(path))
		w.salts[path] = salt
	}
	return salt
}

// eachNew calls look with the parts of text that have to be looked at: all of it without
// a memo, else the pieces that are not known, those that touch at once.
func (w *work) eachNew(text []byte, look func(from, to int)) {
	if len(w.pieces) == 0 {
		look(0, len(text))
		return
	}
	w.current = 0
	for i := 0; i < len(w.pieces); i++ {
		if w.pieces[i].known {
			continue
		}
		from := w.pieces[i].start
		for i+1 < len(w.pieces) && !w.pieces[i+1].known {
			i++
		}
		look(from, w.pieces[i].end)
	}
}

// refusedBefore reports whether the same value was refused before, of the same name and
// beside the same. Lines with keys are looked at in each version of a file.
func (w *work) refusedBefore(c *score.Candidate) bool {
	w.verdict = 0
	if w.memo == nil || w.explain != nil || w.visit != nil {
		return false
	}
	var h maphash.Hash
	h.SetSeed(w.memo.seed)
	for _, part := range [...][]byte{c.Name.Raw(), c.Before, c.Value, c.After} {
		var n [4]byte
		binary.LittleEndian.PutUint32(n[:], uint32(len(part)))
		_, _ = h.Write(n[:]) // a hash does not fail
		_, _ = h.Write(part)
	}
	_, _ = h.Write([]byte{1, byte(c.Kind), byte(c.Form), byte(btoi(c.Quoted)), byte(btoi(w.generated)), byte(c.File), byte(btoi(c.InTest)), byte(btoi(c.Placed)), byte(btoi(w.called))})
	w.verdict = max(1, h.Sum64())
	return w.memo.has(w.verdict)
}

// scoredBefore returns the score of the value asked for last, if it is known.
func (w *work) scoredBefore() (p float64, known bool) {
	if w.verdict == 0 {
		return 0, false
	}
	s := w.memo.score[w.verdict%foundSlots].Load()
	if s == nil || s.key != w.verdict {
		return 0, false
	}
	return s.p, true
}

// scoreIs remembers the score of the value asked for last.
func (w *work) scoreIs(p float64) {
	if w.verdict != 0 {
		w.memo.score[w.verdict%foundSlots].Store(&scored{w.verdict, p})
	}
}

// refuse remembers that the value asked for last was refused.
func (w *work) refuse() {
	if w.verdict != 0 {
		w.memo.add(w.verdict)
	}
}

// at says that position pos of the blob's text is looked at now.
func (w *work) at(pos int) {
	if w.layer == nil {
		for w.current < len(w.pieces) && pos >= w.pieces[w.current].end {
			w.current++
		}
	}
}

// stay keeps the piece that is looked at from being remembered.
func (w *work) stay() {
	if w.layer == nil && w.current < len(w.pieces) {
		w.pieces[w.current].live = true
	}
}

// stayAt keeps the piece with position pos of the blob's text from being remembered.
func (w *work) stayAt(pos int) {
	i := sort.Search(len(w.pieces), func(i int) bool { return w.pieces[i].end > pos })
	if i < len(w.pieces) {
		w.pieces[i].live = true
	}
}

// learn remembers the pieces in which nothing was found.
func (w *work) learn() {
	for i := range w.pieces {
		if p := &w.pieces[i]; !p.known && !p.live {
			w.memo.add(p.key)
		}
	}
}
