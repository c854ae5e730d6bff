package git

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

// A List holds many changes in little memory: 12 bytes for each, about 50 for each
// object, and each path once. It does not keep what a blob took the place of.
type List struct {
	mu      sync.Mutex // while several processes are read into it
	entries []entry
	paths   []string
	pathAt  map[string]int32
	width   int              // of an object id in bytes: 20 or 32
	ids     []byte           // of the objects, one after another
	idAt    map[uint64]int32 // by the first bytes of the id, or the next number that is free
	bad     error            // a change that could not be added
}

type entry struct{ path, object, commit int32 } // commit is -1 for none

// ListOf returns a list of changes, in their order.
func ListOf(changes []Change) *List {
	l := newList()
	l.entries = make([]entry, 0, len(changes))
	l.Add(changes...)
	return l
}

func newList() *List { return &List{pathAt: map[string]int32{}, idAt: map[uint64]int32{}} }

// Add appends changes. An id that is none is an error of the list, which reading its
// blobs returns.
func (l *List) Add(changes ...Change) {
	for i := range changes {
		c := &changes[i]
		if _, ok := l.pathAt[c.Path]; !ok { // the list shares the text
			l.addPath(c.Path)
		}
		l.entries = l.put(l.entries, []byte(c.Path), []byte(c.ID), []byte(c.Commit))
	}
}

// Len is the number of changes.
func (l *List) Len() int { return len(l.entries) }

// Objects is the number of objects that the changes brought.
func (l *List) Objects() (n int) {
	seen := make([]bool, len(l.ids)/max(1, l.width))
	for _, e := range l.entries {
		if !seen[e.object] {
			seen[e.object] = true
			n++
		}
	}
	return n
}

// Filter returns a list of those changes that keep is true of. It shares what it can
// with l: neither may be added to afterwards.
func (l *List) Filter(keep func(Change) bool) *List {
	rest := &List{paths: l.paths, pathAt: l.pathAt, width: l.width, ids: l.ids, idAt: l.idAt, bad: l.bad}
	for i := range l.entries {
		if keep(l.change(i)) {
			rest.entries = append(rest.entries, l.entries[i])
		}
	}
	return rest
}

// Each yields the changes in their order.
func (l *List) Each() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for i := range l.entries {
			if !yield(l.change(i)) {
				return
			}
		}
	}
}

// Of yields those changes that brought one of the objects, which are given in
// hexadecimal, in their order.
func (l *List) Of(ids iter.Seq[string]) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		wanted := make([]bool, len(l.ids)/max(1, l.width))
		for id := range ids {
			if n, ok := l.number(id); ok {
				wanted[n] = true
			}
		}
		for i, e := range l.entries {
			if wanted[e.object] && !yield(l.change(i)) {
				return
			}
		}
	}
}

func (l *List) change(i int) Change {
	e := l.entries[i]
	c := Change{Path: l.paths[e.path], ID: l.hexID(e.object)}
	switch e.commit {
	case -1:
	case e.object:
		c.Commit = c.ID
	default:
		c.Commit = l.hexID(e.commit)
	}
	return c
}

func (l *List) hexID(n int32) string { return hex.EncodeToString(l.id(n)) }

func (l *List) id(n int32) []byte { return l.ids[int(n)*l.width:][:l.width] }

// Has reports whether an object, given in hexadecimal, is among the changes.
func (l *List) Has(id string) bool {
	_, ok := l.number(id)
	return ok
}

// number is the number of an object that is given in hexadecimal.
func (l *List) number(id string) (int32, bool) {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != l.width {
		return 0, false
	}
	key, ok := l.find(raw)
	return l.idAt[key], ok
}

// find returns the number of an object, or the place in idAt where it would be.
func (l *List) find(raw []byte) (key uint64, ok bool) {
	for key = binary.LittleEndian.Uint64(raw); ; key++ {
		n, taken := l.idAt[key]
		if !taken {
			return key, false
		}
		if bytes.Equal(l.id(n), raw) {
			return key, true
		}
	}
}

// put appends the change of an object, given in hexadecimal, at a path.
func (l *List) put(to []entry, path, id, commit []byte) []entry {
	e := entry{object: l.object(id), commit: -1}
	if len(commit) > 0 {
		e.commit = l.object(commit)
	}
	at, ok := l.pathAt[string(path)]
	if !ok {
		at = l.addPath(string(path))
	}
	e.path = at
	return append(to, e)
}

// addPath adds a path that is not there.
func (l *List) addPath(name string) int32 {
	at := int32(len(l.paths))
	l.paths = append(l.paths, name)
	l.pathAt[name] = at
	return at
}

// object returns the number of an object.
func (l *List) object(id []byte) int32 {
	var buf [32]byte
	n := hex.DecodedLen(len(id))
	if l.width == 0 && (n == 20 || n == 32) {
		l.width = n
	}
	if n > len(buf) || n != l.width {
		n = 0
	} else if _, err := hex.Decode(buf[:n], id); err != nil {
		n = 0
	}
	if n == 0 { // the zeros stand for it
		if l.bad == nil {
			l.bad = fmt.Errorf("%.70q is no object id of this repository", id)
		}
		l.width = max(l.width, 20)
	}
	key, ok := l.find(buf[:l.width])
	if !ok {
		l.idAt[key] = int32(len(l.ids) / l.width)
		l.ids = append(l.ids, buf[:l.width]...)
	}
	return l.idAt[key]
}

// oldest leaves of a list that begins with the newest commit each object at each path
// once, where it came first, and turns the order round.
func (l *List) oldest() {
	slices.Reverse(l.entries)
	first := make([]int32, len(l.ids)/max(1, l.width)) // the path where an object came first, plus one
	type place struct{ object, path int32 }
	more := map[place]bool{} // the others: most objects have one path
	l.entries = slices.DeleteFunc(l.entries, func(e entry) bool {
		at := place{e.object, e.path}
		switch {
		case first[e.object] == 0:
			first[e.object] = e.path + 1
		case first[e.object] == e.path+1 || more[at]:
			return true
		default:
			more[at] = true
		}
		return false
	})
	l.entries = slices.Clip(l.entries)
}

// wanted is what is to be read of a list: places in it.
type wanted struct {
	*List
	at []int32
}

func (w wanted) len() int             { return len(w.at) }
func (w wanted) get(i int) Change     { return w.change(int(w.at[i])) }
func (w wanted) path(i int) int32     { return w.entries[w.at[i]].path }
func (w wanted) part(i, j int) wanted { return wanted{w.List, w.at[i:j]} }
func (w wanted) rawID(i int) []byte   { return w.id(w.entries[w.at[i]].object) }
func (w wanted) appendID(dst []byte, i int) []byte {
	return hex.AppendEncode(dst, w.rawID(i))
}

// unique returns the first change of each object and profile, ordered by path.
func (l *List) unique(profile func(path string) string) wanted {
	first := make([]int32, len(l.ids)/max(1, l.width)) // the place of an object, plus one
	type seen struct {
		object, profile int32
	}
	more := map[seen]bool{}                 // of objects with several paths
	numbers := map[string]int32{}           // of profiles, from 1: there are few
	profiles := make([]int32, len(l.paths)) // the number of each path's
	profileOf := func(path int32) int32 {   // each is asked for once
		if profiles[path] == 0 {
			p := profile(l.paths[path])
			if numbers[p] == 0 {
				numbers[p] = int32(len(numbers)) + 1
			}
			profiles[path] = numbers[p]
		}
		return profiles[path]
	}
	var at []int32
	for i, e := range l.entries {
		switch f := first[e.object]; {
		case f == 0:
			first[e.object] = int32(i) + 1
			at = append(at, int32(i))
		case profile != nil && l.entries[f-1].path != e.path:
			more[seen{e.object, profileOf(l.entries[f-1].path)}] = true
			if s := (seen{e.object, profileOf(e.path)}); !more[s] {
				more[s] = true
				at = append(at, int32(i))
			}
		}
	}
	rank := make([]int32, len(l.paths))
	byName := make([]int32, len(l.paths))
	for i := range byName {
		byName[i] = int32(i)
	}
	slices.SortFunc(byName, func(a, b int32) int { return strings.Compare(l.paths[a], l.paths[b]) })
	for n, i := range byName {
		rank[i] = int32(n)
	}
	slices.SortStableFunc(at, func(a, b int32) int { return int(rank[l.entries[a].path] - rank[l.entries[b].path]) })
	return wanted{l, at}
}
