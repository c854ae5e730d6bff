package git

import (
	"context"
	"path/filepath"
	"runtime"

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

// parts cuts what is wanted into parts. What the packs have comes in their order: an
// object stands behind the one that it is a difference to. What they have not git reads
// by path: the versions of a file are alike. The caller closes the packs.
func (r *Repo) parts(want wanted) (*pack.Set, []part) {
	packs, packed := &pack.Set{}, part{wanted: wanted{List: want.List}}
	if want.len() >= fewObjects {
		var places []pack.Place
		if set, err := pack.Open(filepath.Join(r.commonDir(), "objects"), want.width); err == nil {
			packs = set
			places, _ = set.Find(want.len(), want.rawID) // those of a broken index are left to git
		}
		want, packed = divide(want, places)
	}
	parts := packed.split(func(i int) bool { return false })
	return packs, append(parts, part{wanted: want}.split(func(i int) bool { return want.path(i) == want.path(i-1) })...)
}

// divide returns what of the wanted has no place, and what has one, in their order.
func divide(want wanted, places []pack.Place) (rest wanted, packed part) {
	rest, packed = wanted{List: want.List}, part{wanted: wanted{List: want.List}}
	var found []int32
	for i := range want.at {
		if i < len(places) && places[i] != 0 {
			found = append(found, int32(i))
		} else {
			rest.at = append(rest.at, want.at[i])
		}
	}
	for _, i := range found {
		packed.at = append(packed.at, want.at[i])
		packed.places = append(packed.places, places[i])
	}
	return rest, packed
}

// split cuts a part into several for each processor, but none so small that starting a
// process would cost more than it saves, and none between two that belong together.
func (p part) split(together func(i int) bool) (parts []part) {
	size := max(500, p.len()/(8*min(runtime.GOMAXPROCS(0), 4)))
	for from := 0; from < p.len(); {
		to := min(from+size, p.len())
		for to < p.len() && to < from+2*size && together(to) {
			to++
		}
		cut := part{wanted: p.wanted.part(from, to)}
		if p.places != nil {
			cut.places = p.places[from:to]
		}
		parts = append(parts, cut)
		from = to
	}
	return parts
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
