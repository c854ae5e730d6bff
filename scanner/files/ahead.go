package files

import (
	"context"
	"os"
	"runtime"
	"slices"

	"github.com/keyward/keyward/scanner"
)

const (
	batchFiles = 16        // files of a batch
	smallFile  = 128 << 10 // bytes; larger files are read when their turn comes
)

// An ahead reads the small files of a directory before their turn comes, a few batches
// at once, so that opening files keeps more than one processor busy. Files are yielded in
// the order in which they were added.
type ahead struct {
	opt     *Options
	batch   []early
	pending []batch // oldest first
	yield   func(scanner.Blob, error) bool
}

// A batch is some files that are being read.
type batch struct {
	files []early
	done  chan struct{}
}

// An early file is one that is read before its turn; its buf is nil if it was not, as
// it is large, or something is the matter with it.
type early struct {
	name, rel string
	buf       *buffer
	size      int
}

// add takes a regular file. The error is errStop if the caller wants no more.
func (a *ahead) add(name, rel string) error {
	if a.batch == nil {
		a.batch = make([]early, 0, batchFiles)
	}
	a.batch = append(a.batch, early{name: name, rel: rel})
	if len(a.batch) < batchFiles {
		return nil
	}
	a.start()
	if len(a.pending) <= 2*runtime.GOMAXPROCS(0) {
		return nil
	}
	return a.next()
}

// start begins to read the batch.
func (a *ahead) start() {
	b := batch{files: a.batch, done: make(chan struct{})}
	a.batch = nil
	a.pending = append(a.pending, b)
	most := min(smallFile, a.opt.maxSize())
	go func() {
		defer close(b.done)
		for i := range b.files {
			f := &b.files[i]
			f.buf, f.size = readSmall(f.name, most)
		}
	}()
}

// next yields the files of the oldest batch.
func (a *ahead) next() error {
	b := a.pending[0]
	a.pending = slices.Delete(a.pending, 0, 1)
	<-b.done
	for i := range b.files {
		if !a.one(&b.files[i]) {
			return errStop
		}
	}
	return nil
}

func (a *ahead) one(f *early) bool {
	if f.buf != nil {
		return a.opt.whole(scanner.Blob{Path: f.rel, Data: f.buf.data[:f.size]}, f.buf.done, a.yield)
	}
	info, err := os.Lstat(f.name)
	if err != nil {
		return a.yield(scanner.Blob{}, &scanner.Gap{Path: f.rel, Reason: plainReason(err)})
	}
	if !info.Mode().IsRegular() { // since the directory was read
		a.opt.skipped(f.rel, "not a regular file")
		return true
	}
	return a.opt.file(f.name, f.rel, info, a.yield)
}

// rest yields what is left, until ctx ends.
func (a *ahead) rest(ctx context.Context) error {
	a.start()
	for len(a.pending) > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := a.next(); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for what is still being read.
func (a *ahead) wait() {
	for _, b := range a.pending {
		<-b.done
	}
}
