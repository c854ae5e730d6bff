package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Cache keeps bare copies of repositories on disk, so that a push is fetched and not
// cloned. It is bounded: the copies that were used longest ago are removed. Several
// processes may share one. It is safe for concurrent use.
//
// A copy is by the repository's id, not by its name, which may change. It is fetched
// into with a token that stands in no file and no argument.
type Cache struct {
	Dir     string
	MaxRepo int64 // bytes of one copy: what is larger is not scanned, and said so
	MaxAll  int64 // bytes of all copies

	mu      sync.Mutex
	locks   map[int64]*sync.Mutex
	evicted time.Time
}

// ErrTooLarge says that a repository is larger than the cache takes.
var ErrTooLarge = errors.New("the repository is larger than MAX_REPOSITORY_MB allows")

// path is where the copy of a repository lies, and what belongs to it.
func (c *Cache) path(id int64, suffix string) string {
	return filepath.Join(c.Dir, strconv.FormatInt(id, 10)+suffix)
}

// open returns the copy of a repository, made if there is none, locked until it is
// released.
func (c *Cache) open(ctx context.Context, id int64, url string, token func(context.Context, bool) (string, error)) (*mirror, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the cache of repositories: %w", err)
	}
	m := &mirror{cache: c, dir: c.path(id, ".git"), token: token, seen: map[string]bool{}}
	var err error
	if m.unlock, err = c.lock(ctx, id); err != nil {
		return nil, err
	}
	if err := m.prepare(ctx, url); err != nil {
		m.unlock()
		return nil, fmt.Errorf("the copy of repository %d: %w", id, err)
	}
	return m, nil
}

// lock waits for the copy of a repository: for this process's jobs, then for other
// processes'.
func (c *Cache) lock(ctx context.Context, id int64) (func(), error) {
	c.mu.Lock()
	if c.locks == nil {
		c.locks = map[int64]*sync.Mutex{}
	}
	if c.locks[id] == nil {
		c.locks[id] = &sync.Mutex{}
	}
	l := c.locks[id]
	c.mu.Unlock()
	l.Lock()
	f, err := os.OpenFile(c.path(id, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		l.Unlock()
		return nil, fmt.Errorf("lock the copy of repository %d: %w", id, err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close(); l.Unlock() }, nil // closing it unlocks it
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			_ = f.Close() // the error is that of the context
			l.Unlock()
			return nil, ctx.Err()
		}
	}
}

// diskUse is how many bytes the files below a directory have.
func diskUse(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // what goes away meanwhile has no size
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// evict removes copies, those first that were used longest ago, until the rest fits.
// A copy that is in use is left alone.
func (c *Cache) evict(now time.Time) {
	c.mu.Lock()
	soon := now.Sub(c.evicted) < 10*time.Second
	if !soon {
		c.evicted = now
	}
	c.mu.Unlock()
	if c.MaxAll <= 0 || soon {
		return
	}
	type copied struct {
		id   int64
		used time.Time
		size int64
	}
	var all []copied
	var sum int64
	dirs, err := filepath.Glob(filepath.Join(c.Dir, "*.git"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		id, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(dir), ".git"), 10, 64)
		info, statErr := os.Stat(dir)
		if err != nil || statErr != nil {
			continue
		}
		size := diskUse(dir)
		all = append(all, copied{id, info.ModTime(), size})
		sum += size
	}
	slices.SortFunc(all, func(a, b copied) int { return a.used.Compare(b.used) })
	for _, old := range all {
		if sum <= c.MaxAll {
			return
		}
		if c.remove(old.id) {
			sum -= old.size
		}
	}
}

// remove removes the copy of a repository unless it is in use.
func (c *Cache) remove(id int64) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // do not wait
	c.mu.Lock()
	l := c.locks[id]
	c.mu.Unlock()
	if l != nil && !l.TryLock() {
		return false
	}
	if l != nil {
		l.Unlock()
	}
	unlock, err := c.lock(ctx, id)
	if err != nil {
		return false
	}
	defer unlock()
	return os.RemoveAll(c.path(id, ".git")) == nil
}

// Remove removes the copy of a repository that is not ours to read any more.
func (c *Cache) Remove(ctx context.Context, id int64) error {
	if _, err := os.Stat(c.Dir); err != nil {
		return nil // there never was one
	}
	unlock, err := c.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.RemoveAll(c.path(id, ".git")); err != nil {
		return fmt.Errorf("remove the copy of repository %d: %w", id, err)
	}
	return nil
}
