package git

import (
	"cmp"
	"context"
	"iter"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git/pack"
)

// A part is some of what is wanted, to be read by one reader or one process of git.
type part struct {
	wanted
	places []pack.Place // in the packs, one for each; nil where git has to be asked
}

type item struct {
	blob scanner.Blob
	err  error
}

// fewObjects is how many git reads before this process could look into the packs.
const fewObjects = 300

// parts cuts what is wanted into parts. What the packs have comes in the order in which it
// is best read from them. What they have not git reads by path: the versions of a file are
// alike. The caller closes the packs.
func (r *Repo) parts(want wanted) (*pack.Set, []part) {
	packs := &pack.Set{}
	var parts []part
	if want.len() >= fewObjects && filepath.IsAbs(r.GitDir) { // else it is not known where the objects are
		if set, err := pack.Open(filepath.Join(r.commonDir(), "objects"), want.width); err == nil {
			packs = set
			if places, err := set.Find(want.len(), want.rawID); err == nil { // those of a broken index are left to git
				want, parts = packed(set, want, places)
			}
		}
	}
	for from, to := range cuts(want.len(), func(i int) bool { return want.path(i) != want.path(i-1) }) {
		parts = append(parts, part{wanted: want.part(from, to)})
	}
	return packs, parts
}

// mostOrdered is how many objects are put in order at once, which takes 50 bytes for each.
const mostOrdered = 1_000_000

// packed returns what of the wanted has no place in the packs, and the parts of what has.
func packed(set *pack.Set, want wanted, places []pack.Place) (rest wanted, parts []part) {
	in := set.NewReader()
	defer in.Close()
	rest = wanted{List: want.List}
	var found []int32
	for i, at := range places {
		if at == 0 {
			rest.at = append(rest.at, want.at[i])
		} else {
			found = append(found, int32(i))
		}
	}
	if len(found) > mostOrdered { // what belongs together is mostly near each other
		slices.SortFunc(found, func(a, b int32) int { return cmp.Compare(places[a], places[b]) })
	}
	for some := range slices.Chunk(found, mostOrdered) {
		of := make([]pack.Place, len(some))
		for n, i := range some {
			of[n] = places[i]
		}
		order, families := in.Order(of)
		sorted := part{wanted: wanted{List: want.List}}
		for _, n := range order {
			sorted.at, sorted.places = append(sorted.at, want.at[some[n]]), append(sorted.places, of[n])
		}
		begins := func(i int) bool { _, ok := slices.BinarySearch(families, int32(i)); return ok }
		for from, to := range cuts(sorted.len(), begins) {
			parts = append(parts, part{sorted.part(from, to), sorted.places[from:to]})
		}
	}
	return rest, parts
}

// cuts yields where to cut n objects into several parts for each processor, but none so
// small that starting a process would cost more than it saves, and none between two that
// belong together: begins tells where others begin.
func cuts(n int, begins func(i int) bool) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		size := max(500, n/(8*min(runtime.GOMAXPROCS(0), 4)))
		for from := 0; from < n; {
			to := min(from+size, n)
			for to < n && to < from+2*size && !begins(to) {
				to++
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}

// read reads a part and sends what it finds. What the packs do not tell git is asked for.
func (r *Repo) read(ctx context.Context, p part, in *pack.Reader, opt *files.Options, out chan<- item) {
	send := func(b scanner.Blob, err error) bool {
		select {
		case out <- item{b, err}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	rest := p.wanted
	if p.places != nil {
		rest = wanted{List: p.List}
		for i, at := range p.places {
			if ctx.Err() != nil {
				return
			}
			o, err := in.Read(at)
			if err != nil {
				rest.at = append(rest.at, p.at[i])
				continue
			}
			c := p.get(i)
			if !sendObject(scanner.Blob{Path: c.Path, Commit: c.Commit, ID: c.ID}, o, opt, send) {
				return
			}
		}
	}
	if rest.len() > 0 {
		r.cat(ctx, rest, opt, send)
	}
}

// sendObject sends an object that was read from a pack, and reports whether to go on.
func sendObject(b scanner.Blob, o pack.Object, opt *files.Options, send func(scanner.Blob, error) bool) bool {
	done := func(bool) { o.Release() }
	switch o.Kind {
	case pack.Blob:
		b.Data = o.Data
		return opt.Held(b, done, send)
	case pack.Commit, pack.Tag:
		b.Data, b.Whole, b.Done = message(o.Data), true, done
		return send(b, nil)
	}
	o.Release()
	return send(scanner.Blob{}, noFile(&b))
}

// noFile is the gap of an object that is neither a file nor has a message.
func noFile(b *scanner.Blob) error {
	return &scanner.Gap{Path: b.Path, Commit: b.Commit, Reason: "object " + b.ID[:12] + " is no file: the repository is damaged (git fsck)"}
}
