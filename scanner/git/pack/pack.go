// Package pack reads objects out of git's pack files in this process, which saves the
// pipe that git would send them through: half of what reading a history costs. It reads
// what is plain. What it does not understand, and what is broken, it refuses with an
// error, and git has the word: whoever uses it asks git then.
//
// The format is that of https://git-scm.com/docs/gitformat-pack. A pack is what somebody
// sent: sizes, depths and numbers in it are bounded, and no offset is believed.
package pack

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MaxObject is the largest object that is read, in bytes. Larger ones are better read
// as a stream, which a delta is not.
const MaxObject = 1 << 20

const (
	maxPacks = 100     // that are opened: the others are left to git
	fanout   = 256 * 4 // bytes of the table at the beginning of an index
)

// A Set is the packs of one object directory. It is safe for concurrent use, and reads
// on although git removes the packs, which git can not on Windows until it is closed.
type Set struct {
	packs []*packed
	width int // of an object id in bytes
	free  freeList
}

// packed is one pack and its index.
type packed struct {
	pack, index *os.File
	size, end   int64 // of the index, and of what is in the pack without its checksum
}

// A Place is where an object stands in a Set. The zero value is nowhere.
type Place uint64

const offsetBits = 48

func placeAt(pack int, offset int64) Place { return Place(pack)<<offsetBits | Place(offset) }

func (p Place) pack() int     { return int(p >> offsetBits) }
func (p Place) offset() int64 { return int64(p & (1<<offsetBits - 1)) }

// Open opens the packs below an object directory, of ids that are width bytes long, 20
// or 32. Packs of another version than 2 are left out, and so is what is no regular file.
func Open(objects string, width int) (*Set, error) {
	dir := filepath.Join(objects, "pack")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read packs: %w", err)
	}
	s := &Set{width: width}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".idx")
		if !ok || len(s.packs) == maxPacks {
			continue
		}
		if p, err := s.open(filepath.Join(dir, name)); err == nil { // else its objects are not found
			s.packs = append(s.packs, p)
		}
	}
	slices.SortStableFunc(s.packs, func(a, b *packed) int { return cmp.Compare(b.size, a.size) }) // most is found in the largest, and not looked for again
	return s, nil
}

var errUnknown = errors.New("not a pack of version 2 with an index of version 2")

func (s *Set) open(name string) (*packed, error) {
	p := &packed{}
	err := p.open(name, s.width)
	if err != nil {
		p.close()
	}
	return p, err
}

func (p *packed) open(name string, width int) (err error) {
	if p.index, p.size, err = openRegular(name + ".idx"); err != nil {
		return err
	}
	if p.pack, p.end, err = openRegular(name + ".pack"); err != nil {
		return err
	}
	p.end -= int64(width)
	var head [12]byte
	if _, err := p.index.ReadAt(head[:8], 0); err != nil || string(head[:8]) != "\xfftOc\x00\x00\x00\x02" {
		return errUnknown
	}
	if _, err := p.pack.ReadAt(head[:], 0); err != nil || string(head[:8]) != "PACK\x00\x00\x00\x02" || p.end >= 1<<offsetBits {
		return errUnknown
	}
	return nil
}

func (p *packed) close() {
	for _, f := range []*os.File{p.pack, p.index} {
		if f != nil {
			_ = f.Close() // it was only read
		}
	}
}

func openRegular(name string) (*os.File, int64, error) {
	before, err := os.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	if !before.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: not a regular file", name)
	}
	f, err := os.Open(name)
	return f, before.Size(), err
}

// Close closes the files. Objects that were read stay as they are.
func (s *Set) Close() {
	for _, p := range s.packs {
		p.close()
	}
}

// Find returns for each of n object ids where it stands. An index that is broken is an
// error.
func (s *Set) Find(n int, id func(i int) []byte) ([]Place, error) {
	places := make([]Place, n)
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return bytes.Compare(id(int(a)), id(int(b))) })
	for number, p := range s.packs {
		if err := s.find(p, number, order, id, places); err != nil {
			return nil, fmt.Errorf("read %s: %w", p.index.Name(), err)
		}
	}
	return places, nil
}

var errIndex = errors.New("the index of a pack is broken")

// find notes the places of those objects that one pack has and none before it had.
// order is by id, as an index is: it is read from its beginning to its end.
func (s *Set) find(p *packed, number int, order []int32, id func(i int) []byte, places []Place) error {
	var fan [fanout]byte
	if _, err := p.index.ReadAt(fan[:], 8); err != nil {
		return err
	}
	count := int64(binary.BigEndian.Uint32(fan[fanout-4:]))
	names := int64(8 + fanout)
	offsets := names + count*int64(s.width+4) // behind the names stand their checksums
	large := offsets + count*4
	if large > p.size {
		return errIndex
	}
	in, beside := window{f: p.index, end: p.size}, window{f: p.index, end: p.size}
	at := int64(0)
	for _, i := range order {
		want := id(int(i))
		if places[i] != 0 {
			continue
		}
		if want[0] > 0 {
			at = max(at, int64(binary.BigEndian.Uint32(fan[4*(int(want[0])-1):])))
		}
		for found := -1; found < 0 && at < count; {
			name, err := in.at(names+at*int64(s.width), s.width)
			if err != nil {
				return err
			}
			if found = bytes.Compare(name, want); found > 0 {
				break
			}
			if found < 0 {
				at++
				continue
			}
			offset, err := offsetOf(&beside, offsets, large, at)
			if err != nil || offset < 12 || offset >= p.end {
				return errors.Join(errIndex, err)
			}
			places[i] = placeAt(number, offset)
		}
	}
	return nil
}

// offsetOf reads where an object of the pack begins. What needs more than 31 bits stands
// in a table of its own.
func offsetOf(in *window, offsets, large, n int64) (int64, error) {
	b, err := in.at(offsets+4*n, 4)
	if err != nil {
		return 0, err
	}
	v := binary.BigEndian.Uint32(b)
	if v < 1<<31 {
		return int64(v), nil
	}
	var long [8]byte
	if _, err := in.f.ReadAt(long[:], large+8*int64(v&(1<<31-1))); err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(long[:]) & (1<<63 - 1)), nil
}

// A window is a part of a file that is held in memory and moves on as the file is read.
type window struct {
	f     io.ReaderAt
	end   int64 // of the file
	buf   []byte
	start int64
}

const windowSize = 16 << 10

// at returns n bytes at an offset, or what is left to the end of the file if that is
// less, but at least one. They are valid until the next call.
func (w *window) at(offset int64, n int) ([]byte, error) {
	if offset < 0 || offset >= w.end {
		return nil, io.ErrUnexpectedEOF
	}
	n = int(min(int64(n), w.end-offset))
	if offset < w.start || offset+int64(n) > w.start+int64(len(w.buf)) {
		size := int(min(int64(max(n, windowSize)), w.end-offset))
		w.buf = slices.Grow(w.buf[:0], size)[:size]
		w.start = offset
		if m, err := w.f.ReadAt(w.buf, offset); m < size {
			w.buf = w.buf[:0]
			return nil, errors.Join(io.ErrUnexpectedEOF, err)
		}
	}
	i := int(offset - w.start)
	return w.buf[i : i+n], nil
}
