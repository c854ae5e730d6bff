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

	now     func() time.Time // set by the engine
	mu      sync.Mutex
	locks   map[string]chan struct{} // full while the copy is in use
	evicted time.Time
}

// ErrTooLarge says that a repository is larger than the cache takes. A scan that exceeds its
// budget is this error, too: neither is tried again.
var ErrTooLarge = errors.New("the repository is larger than KEYWARD_MAX_REPOSITORY_MB allows")

// copyOf names the copy of a repository that pushes are fetched into, wholeOf one that
// holds all of it while its history is scanned, which may take an hour: no push waits
// for that.
func copyOf(id int64) string  { return strconv.FormatInt(id, 10) }
func wholeOf(id int64) string { return copyOf(id) + "-whole" }

// path is where a copy lies.
func (c *Cache) path(name string) string { return filepath.Join(c.Dir, name+".git") }

// open returns a copy of a repository, made if there is none, locked until it is
// released.
func (c *Cache) open(ctx context.Context, name, url string, token func(context.Context, bool) (string, error)) (*mirror, error) {
	if err := os.MkdirAll(c.home(), 0o700); err != nil {
		return nil, fmt.Errorf("create the cache of repositories: %w", err)
	}
	m := &mirror{cache: c, dir: c.path(name), token: token, seen: map[string]bool{}}
	var err error
	if m.unlock, err = c.lock(ctx, name); err != nil {
		return nil, err
	}
	if err := m.prepare(ctx, url); err != nil {
		m.unlock()
		return nil, fmt.Errorf("the copy of repository %s: %w", name, err)
	}
	return m, nil
}

// lock waits for a copy until ctx ends: for this process's jobs, then for other
// processes'. A copy that is free is had even if ctx has ended.
func (c *Cache) lock(ctx context.Context, name string) (func(), error) {
	c.mu.Lock()
	if c.locks == nil {
		c.locks = map[string]chan struct{}{}
	}
	if c.locks[name] == nil {
		c.locks[name] = make(chan struct{}, 1)
	}
	l := c.locks[name]
	c.mu.Unlock()
	select {
	case l <- struct{}{}:
	default:
		select {
		case l <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f, err := os.OpenFile(filepath.Join(c.Dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		<-l
		return nil, fmt.Errorf("lock the copy of repository %s: %w", name, err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close(); <-l }, nil // closing it unlocks it
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			_ = f.Close() // the error is that of the context
			<-l
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
		name string
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
		info, err := os.Stat(dir)
		if err != nil {
			continue
		}
		size := diskUse(dir)
		all = append(all, copied{strings.TrimSuffix(filepath.Base(dir), ".git"), info.ModTime(), size})
		sum += size
	}
	slices.SortFunc(all, func(a, b copied) int { return a.used.Compare(b.used) })
	for _, old := range all {
		if sum <= c.MaxAll {
			return
		}
		dontWait, cancel := context.WithCancel(context.Background())
		cancel()
		if c.remove(dontWait, old.name) == nil {
			sum -= old.size
		}
	}
}

// remove removes a copy when it is not in use any more.
func (c *Cache) remove(ctx context.Context, name string) error {
	unlock, err := c.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.RemoveAll(c.path(name)); err != nil {
		return fmt.Errorf("remove the copy of repository %s: %w", name, err)
	}
	return nil
}

// Remove removes the copies of a repository that is not ours to read any more.
func (c *Cache) Remove(ctx context.Context, id int64) error {
	if _, err := os.Stat(c.Dir); err != nil {
		return nil // there never was one
	}
	return errors.Join(c.remove(ctx, copyOf(id)), c.remove(ctx, wholeOf(id)), c.remove(ctx, wikiOf(id)))
}
