package hooks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/git"
)

// A cache is a file that says which objects of a history are clean, so that a scan that
// was stopped goes on where it was, and the next one reads only what is new. It holds
// hashes of object ids alone: what has a key in it, or could not be read, is read again.
//
// The file begins with cacheMark and a hash of all that decides what is found: this
// program, the rules, the options. Records of 16 bytes follow, each appended when its
// object has been scanned. A record that was cut off is dropped.
type cache struct {
	known   map[record]bool
	mu      sync.Mutex
	file    *os.File
	pending []byte
	failed  error
	used    int // objects that were not read
}

type record [16]byte

const (
	cacheMark = "keyward clean 1\n"
	cacheHead = len(cacheMark) + sha256.Size
	maxCache  = 1 << 30 // bytes; 67 million objects
)

// openCache reads the cache in the file name, which is made if it is not there.
func openCache(name string, digest [sha256.Size]byte) (*cache, error) {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("--cache %s: not a regular file", name)
	} else if err == nil && info.Size() > maxCache {
		return nil, fmt.Errorf("--cache %s: larger than %d bytes: delete it, it is made again", name, maxCache)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--cache: %w", err)
	}
	c := &cache{file: f, known: map[record]bool{}}
	if err := c.load(digest); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("--cache %s: %w", name, err)
	}
	return c, nil
}

func (c *cache) load(digest [sha256.Size]byte) error {
	data, err := io.ReadAll(io.LimitReader(c.file, maxCache))
	if err != nil {
		return err
	}
	if n := min(len(data), len(cacheMark)); string(data[:n]) != cacheMark[:n] {
		return errors.New("it is no cache of keyward: name another file")
	}
	head := append([]byte(cacheMark), digest[:]...)
	if !bytes.HasPrefix(data, head) { // other rules, another program: nothing holds any more
		if err := c.file.Truncate(0); err != nil {
			return err
		}
		_, err := c.file.WriteAt(head, 0)
		if err == nil {
			_, err = c.file.Seek(0, io.SeekEnd)
		}
		return err
	}
	data = data[cacheHead:]
	whole := len(data) - len(data)%len(record{})
	for r := range slices.Chunk(data[:whole], len(record{})) {
		c.known[record(r)] = true
	}
	_, err = c.file.Seek(int64(cacheHead+whole), io.SeekStart)
	return err
}

func recordOf(id, profile string) record {
	sum := sha256.Sum256([]byte(id + "\x00" + profile))
	return record(sum[:])
}

// add appends an object. What can not be written is read again by the next scan.
func (c *cache) add(r record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = append(c.pending, r[:]...)
	if len(c.pending) >= 256*len(r) {
		c.flush()
	}
}

func (c *cache) flush() {
	if c.failed == nil && len(c.pending) > 0 {
		_, c.failed = c.file.Write(c.pending)
	}
	c.pending = c.pending[:0]
}

// close writes what is left and returns what went wrong in writing.
func (c *cache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
	return errors.Join(c.failed, c.file.Close())
}

// unread returns the changes whose objects are not known to be clean.
func (c *cache) unread(l *git.List, profile func(string) string) *git.List {
	return l.Filter(func(ch git.Change) bool {
		clean := c.known[recordOf(ch.ID, profile(ch.Path))]
		if clean {
			c.used++
		}
		return !clean
	})
}

// learning is src, whose clean objects are added. What an allow comment speaks for is
// not clean for good: the comment may expire.
func (c *cache) learning(src scanner.Source, profile func(string) string) scanner.Source {
	return func(yield func(scanner.Blob, error) bool) {
		for b, err := range src {
			if err == nil && b.Whole && !bytes.Contains(b.Data, []byte(scanner.AllowMark)) {
				done, r := b.Done, recordOf(b.ID, profile(b.Path))
				b.Done = func(clean bool) {
					if clean {
						c.add(r)
					}
					if done != nil {
						done(clean)
					}
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// digest is a hash of all that decides what a scan of a history finds in an object.
func (j *job) digest() (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	exe, err := os.Executable()
	if err != nil {
		return sum, err
	}
	f, err := os.Open(exe)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	e := json.NewEncoder(h)
	for _, r := range j.scanner.Rules() {
		whole := *r
		whole.Load = nil // what is loaded later is part of the program
		if err := e.Encode(&whole); err != nil {
			return sum, err
		}
	}
	err = e.Encode([]any{j.allow, j.o.minConfidence, j.o.archives, j.o.maxSize})
	return [sha256.Size]byte(h.Sum(nil)), err
}

// tracked reports whether a file is part of the repository that is scanned.
func (j *job) tracked(ctx context.Context, name string) (bool, error) {
	full, err := realPath(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it is made
	}
	if err != nil {
		return false, fmt.Errorf("--cache: %w", err)
	}
	top, err := realPath(j.env.path(j.root))
	if err != nil {
		return false, fmt.Errorf("--cache: %w", err)
	}
	rel, err := filepath.Rel(top, full)
	if err != nil || !filepath.IsLocal(rel) {
		return false, nil // outside
	}
	staged, err := j.repo.IsTracked(ctx, filepath.ToSlash(rel))
	if err != nil {
		return false, fmt.Errorf("--cache %s: %w", j.o.cache, err)
	}
	return staged, nil
}

// realPath is the absolute path of a file, symbolic links followed.
func realPath(name string) (string, error) {
	full, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(full)
}

// cached scans the objects of a history that the cache does not say to be clean.
func (j *job) cached(ctx context.Context, l *git.List) ([]scanner.Finding, error) {
	digest, err := j.digest()
	if err != nil {
		return nil, fmt.Errorf("--cache: %w", err)
	}
	name := j.env.path(j.o.cache)
	if tracked, err := j.tracked(ctx, name); err != nil {
		return nil, err
	} else if tracked {
		return nil, hint(fmt.Errorf("--cache %s: the repository itself brings this file, so it proves nothing", j.o.cache), "nothing was scanned", "name a file outside the repository, or one that is ignored")
	}
	c, err := openCache(name, digest)
	if err != nil {
		return nil, err
	}
	rest := c.unread(l, j.reader().Profile)
	found, err := j.collect(ctx, c.learning(j.reader().Blobs(ctx, rest), j.changes.Profile), rest.Objects())
	if closing := c.close(); closing != nil {
		j.notes = append(j.notes, fmt.Sprintf("--cache %s could not be written, the next scan reads again what it lacks: %v", j.o.cache, closing))
	}
	if c.used > 0 {
		j.notes = append(j.notes, fmt.Sprintf("%d objects were clean when they were last scanned with these rules, and were not read again (--cache %s)", c.used, j.o.cache))
	}
	return found, err
}
