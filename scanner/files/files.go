// Package files yields the blobs of directories, files, archives and standard
// input. It follows no symbolic link, opens nothing but regular files, and says
// of everything that it does not read why not.
package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/keyward/keyward/scanner"
)

// Options say what of a directory is read. The zero value reads every file but .git.
type Options struct {
	MaxSize  int64                                   // larger files are not read; 0 means DefaultMaxSize
	Archives bool                                    // look into zip, tar, gzip and their like
	Skip     func(path string) bool                  // paths to leave out, slash-separated; nil means none
	Skipped  func(path, why string)                  // told of what is left out on purpose; may be nil
	LFS      func(oid string) (io.ReadCloser, error) // opens an LFS object; nil means none is there
}

// DefaultMaxSize is the largest file that is read.
const DefaultMaxSize = 1 << 30

// Chunk is how much of a large file makes one blob, and Overlap how much of it
// the next blob has again, so that a key on the cut is seen whole.
const (
	Chunk   = 4 << 20
	Overlap = 16 << 10
)

func (o *Options) maxSize() int64 {
	if o.MaxSize > 0 {
		return o.MaxSize
	}
	return DefaultMaxSize
}

func (o *Options) skipped(path, why string) {
	if o.Skipped != nil {
		o.Skipped(path, why)
	}
}

// Walk yields the blobs of root, a directory or a file, with paths relative to it.
func Walk(ctx context.Context, root string, opt Options) scanner.Source {
	return func(yield func(scanner.Blob, error) bool) {
		name := filepath.Base(root)
		info, err := os.Stat(root) // the user named it: a link is followed
		if err == nil && info.IsDir() {
			root, err = filepath.EvalSymlinks(root)
		}
		switch {
		case err != nil:
			yield(scanner.Blob{}, fmt.Errorf("scan: %w", err))
			return
		case info.Mode().IsRegular():
			opt.file(root, name, info, yield)
			return
		case !info.IsDir():
			yield(scanner.Blob{}, &scanner.Gap{Path: name, Reason: "a pipe or a device, not a file: give its content to --stdin"})
			return
		}
		a := &ahead{opt: &opt, yield: yield}
		defer a.wait()
		err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return opt.entry(name, relative(root, name), d, err, a)
		})
		if err == nil {
			err = a.rest(ctx)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(scanner.Blob{}, err)
		}
	}
}

// relative is name, below root, relative to it and with slashes.
func relative(root, name string) string {
	if name == root {
		return "."
	}
	if rest, ok := strings.CutPrefix(name, root); ok && rest[0] == filepath.Separator { // what WalkDir puts together
		return filepath.ToSlash(rest[1:])
	}
	rel, err := filepath.Rel(root, name)
	if err != nil {
		rel = name
	}
	return filepath.ToSlash(rel)
}

var errStop = errors.New("the caller wants no more")

// entry handles one entry of a directory.
func (o *Options) entry(name, rel string, d fs.DirEntry, err error, a *ahead) error {
	switch {
	case err != nil:
		if !a.yield(scanner.Blob{}, &scanner.Gap{Path: rel, Reason: plainReason(err)}) {
			return errStop
		}
		return nil
	case d.Name() == ".git" && rel != ".":
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	case rel != "." && o.Skip != nil && o.Skip(rel):
		o.skipped(rel, "ignored")
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	case d.IsDir():
		return nil
	case d.Type()&fs.ModeSymlink != 0:
		o.skipped(rel, "symbolic link")
		return nil
	case !d.Type().IsRegular():
		o.skipped(rel, "not a regular file")
		return nil
	}
	return a.add(name, rel)
}

// plainReason is an error without the path, which the gap names already.
func plainReason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Op + ": " + pe.Err.Error()
	}
	return err.Error()
}

// file yields the blobs of one regular file and reports whether to go on.
func (o *Options) file(name, rel string, info fs.FileInfo, yield func(scanner.Blob, error) bool) bool {
	if info.Size() > o.maxSize() { // do not even open it
		return yield(scanner.Blob{}, o.tooLarge(scanner.Blob{Path: rel}))
	}
	f, err := os.Open(name)
	if err != nil {
		return yield(scanner.Blob{}, &scanner.Gap{Path: rel, Reason: plainReason(err)})
	}
	defer f.Close()
	return o.Content(scanner.Blob{Path: rel}, f, info.Size(), yield)
}

func (o *Options) tooLarge(b scanner.Blob) error {
	return &scanner.Gap{Path: b.Path, Commit: b.Commit, Reason: fmt.Sprintf("larger than the limit of %d bytes (--max-size)", o.maxSize())}
}

// Content yields what r has, as the content of b, and reports whether to go on:
// whole or in chunks, with what is behind it if it is an archive or an LFS pointer.
func (o *Options) Content(b scanner.Blob, r io.Reader, size int64, yield func(scanner.Blob, error) bool) bool {
	if size > o.maxSize() {
		return yield(scanner.Blob{}, o.tooLarge(b))
	}
	if size <= Chunk || o.Archives && size <= maxMember {
		buf := bufferOf(int(size) + 1)
		data := buf.data
		n, err := fill(r, data)
		if err == nil { // it has grown, or its size was never true, as below /proc
			return Stream(b, io.MultiReader(bytes.NewReader(data), r), o.maxSize(), yield)
		}
		if err != io.EOF {
			return yield(scanner.Blob{}, &scanner.Gap{Path: b.Path, Commit: b.Commit, Reason: plainReason(err)})
		}
		b.Data = data[:n]
		return o.whole(b, buf.done, yield)
	}
	if f, ok := r.(*os.File); ok && o.Archives && isArchive(b.Path, f) {
		return o.archive(b, f, size, yield)
	}
	if o.Archives {
		br := bufio.NewReader(r)
		r = br
		if head, _ := br.Peek(512); kindOf(b.Path, head) != "" && !yield(scanner.Blob{}, &scanner.Gap{Path: b.Path, Commit: b.Commit,
			Reason: fmt.Sprintf("an archive of more than %d bytes that is not a file on disk: it was not unpacked", maxMember)}) {
			return false
		}
	}
	return Stream(b, r, o.maxSize(), yield)
}

// Held yields b, whose Data is all of a content, at most Chunk bytes, and belongs to who
// calls it until done is called. It reports whether to go on.
func (o *Options) Held(b scanner.Blob, done func(clean bool), yield func(scanner.Blob, error) bool) bool {
	if int64(len(b.Data)) > o.maxSize() {
		done(false)
		return yield(scanner.Blob{}, o.tooLarge(b))
	}
	return o.whole(b, done, yield)
}

// whole yields a file that was read at once, or what is in it.
func (o *Options) whole(b scanner.Blob, done func(clean bool), yield func(scanner.Blob, error) bool) bool {
	oid, pointer := LFSPointer(b.Data)
	data := b.Data
	switch {
	case pointer:
		b.Data = bytes.Clone(data)
		defer giveBack(done)
		return o.lfs(b, oid, yield)
	case o.Archives && isArchive(b.Path, bytes.NewReader(data)):
		defer giveBack(done)
		return o.archive(b, bytes.NewReader(data), int64(len(data)), yield)
	case len(data) > Chunk:
		defer giveBack(done)
		b.Data = nil
		return Stream(b, bytes.NewReader(data), o.maxSize(), yield)
	}
	b.Whole, b.Done = true, done
	return yield(b, nil)
}

// giveBack says that a content is not needed any more, of which copies were yielded.
func giveBack(done func(clean bool)) {
	if done != nil {
		done(false)
	}
}

// A buffer holds a file while it is scanned.
type buffer struct {
	data []byte
	done func(clean bool)
}

const maxBuffer = 1 << 20 // bytes; larger ones are not kept

var buffers sync.Pool

// bufferOf returns a buffer of n bytes, which its done gives back.
func bufferOf(n int) *buffer {
	if n > maxBuffer {
		return &buffer{data: make([]byte, n)}
	}
	b, _ := buffers.Get().(*buffer)
	if b == nil {
		b = new(buffer)
		b.done = func(bool) { buffers.Put(b) }
	}
	if cap(b.data) < n {
		b.data = make([]byte, n, max(n+n/4, 4<<10))
	}
	b.data = b.data[:n]
	return b
}

// lfs yields the pointer, which is text, and the object behind it.
func (o *Options) lfs(b scanner.Blob, oid string, yield func(scanner.Blob, error) bool) bool {
	if !yield(b, nil) {
		return false
	}
	if o.LFS == nil {
		return yield(scanner.Blob{}, &scanner.Gap{Path: b.Path, Commit: b.Commit, Reason: LFSReason})
	}
	r, err := o.LFS(oid)
	if err != nil {
		return yield(scanner.Blob{}, &scanner.Gap{Path: b.Path, Commit: b.Commit, Reason: LFSReason})
	}
	defer r.Close()
	b.Data = nil
	return Stream(b, r, o.maxSize(), yield)
}

// LFSReason says why the content behind an LFS pointer was not scanned.
const LFSReason = "Git LFS pointer, its content is not here (git lfs pull fetches it)"

// LFSPointer returns the object id that an LFS pointer names.
// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
func LFSPointer(data []byte) (oid string, ok bool) {
	if len(data) > 1024 || !bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")) {
		return "", false
	}
	_, rest, ok := strings.Cut(string(data), "\noid sha256:")
	if !ok || len(rest) < 64 {
		return "", false
	}
	oid = rest[:64]
	return oid, strings.Trim(oid, "0123456789abcdef") == ""
}

// Stream yields what r has in blobs of one Chunk each, as parts of b. Reading
// more than limit bytes is a gap.
func Stream(b scanner.Blob, r io.Reader, limit int64, yield func(scanner.Blob, error) bool) bool {
	r = io.LimitReader(r, limit+1)
	line, indent, offset := max(b.Line, 1), b.Indent, b.Offset
	var free chan []byte // chunks that were scanned, for the next: a long stream makes no garbage
	var carry []byte
	var encoding scanner.Encoding // of the parts so far
	for {
		var buf []byte
		select {
		case buf = <-free:
		default:
		}
		data, err := more(r, buf, carry, Chunk)
		part := b
		part.Line, part.Indent, part.Offset, part.Data, part.Encoding = line, indent, offset, data, encoding
		if encoding == 0 {
			encoding, _ = scanner.EncodingOf(data)
		}
		fresh := len(data) > len(carry) || offset == b.Offset
		if err == nil { // there is more to come
			cut := cutAt(data)
			cut -= cut % encoding.Size()
			line += bytes.Count(data[:cut], []byte("\n"))
			if last := bytes.LastIndexByte(data[:cut], '\n'); last >= 0 {
				indent = cut - last - 1
			} else {
				indent += cut
			}
			offset += int64(cut)
			carry = append(carry[:0], data[cut:]...)
			if free == nil {
				free = make(chan []byte, 4)
			}
			part.Done = func(bool) {
				select {
				case free <- data:
				default:
				}
			}
		}
		if fresh && !yield(part, nil) {
			return false
		}
		if part.Offset+int64(len(data))-b.Offset > limit {
			return yield(scanner.Blob{}, &scanner.Gap{Path: b.Path, Commit: b.Commit, Reason: fmt.Sprintf("larger than the limit of %d bytes (--max-size): the rest was not scanned", limit)})
		}
		if err != nil && err != io.EOF {
			return yield(scanner.Blob{}, &scanner.Gap{Path: b.Path, Commit: b.Commit, Reason: plainReason(err) + ": the rest was not scanned"})
		}
		if err != nil {
			return true
		}
	}
}

// more returns carry with up to n more bytes of r behind it, in buf if that is large
// enough. Else the buffer grows as it fills: most streams are small.
func more(r io.Reader, buf, carry []byte, n int) ([]byte, error) {
	if cap(buf) < len(carry)+n {
		buf = make([]byte, 0, len(carry)+16<<10)
	}
	data := append(buf[:0], carry...)
	for {
		room := min(cap(data)-len(data), len(carry)+n-len(data))
		m, err := fill(r, data[len(data):len(data)+room])
		data = data[:len(data)+m]
		if err != nil || len(data) == len(carry)+n {
			return data, err
		}
		data = slices.Grow(data, len(data))
	}
}

// fill reads until buf is full. Unlike io.ReadFull it tells a stream that ends,
// io.EOF, from one that breaks off, as a truncated archive does.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if n == len(buf) {
		err = nil
	}
	return n, err
}

// cutAt returns where the next chunk begins: Overlap before the end, after a
// line break if there is one near.
func cutAt(data []byte) int {
	at := max(0, len(data)-Overlap)
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 && i < Overlap/2 {
		return at + i + 1
	}
	return at
}

// One yields the blobs of one file below root, or of all files of a directory,
// such as an untracked repository. What has gone is none.
func One(ctx context.Context, root, rel string, opt Options) scanner.Source {
	return func(yield func(scanner.Blob, error) bool) {
		name := filepath.Join(root, filepath.FromSlash(rel))
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			yield(scanner.Blob{}, &scanner.Gap{Path: rel, Reason: plainReason(err)})
		case info.Mode().IsRegular():
			opt.file(name, rel, info, yield)
		case info.IsDir():
			for b, err := range Walk(ctx, name, opt) {
				b.Path = rel + "/" + b.Path
				if !yield(b, err) {
					return
				}
			}
		case info.Mode()&fs.ModeSymlink != 0:
			opt.skipped(rel, "symbolic link")
		default:
			opt.skipped(rel, "not a regular file")
		}
	}
}

// Reader yields what r has, as a file of the given name.
func Reader(name string, r io.Reader, opt Options) scanner.Source {
	return func(yield func(scanner.Blob, error) bool) {
		Stream(scanner.Blob{Path: name}, r, opt.maxSize(), yield)
	}
}
