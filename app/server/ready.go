package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/keyward/keyward/app/store"
)

const (
	// leastFree is how many bytes have to be free: with less, a fetch or a write to the
	// database fails soon.
	leastFree = 100 << 20
	// diskInterval is how often the disk is looked at, at most: anyone may ask /readyz.
	diskInterval = 2 * time.Second
)

// readiness says whether the server can take work. It is safe for concurrent use.
type readiness struct {
	ping     func(context.Context) error // the database
	dirs     []string                    // where the server writes
	least    uint64                      // bytes free in each
	log      *slog.Logger
	now      func() time.Time
	draining atomic.Bool

	mu      sync.Mutex
	checked time.Time
	disk    error
}

// newReadiness makes the data directory if it is not there.
func newReadiness(c *Config, s *store.Store, log *slog.Logger) (*readiness, error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, hint(fmt.Errorf("create the data directory: %w", err), "KEYWARD_DATA sets another directory")
	}
	r := &readiness{ping: s.Ping, dirs: []string{c.DataDir}, least: leastFree, log: log, now: time.Now}
	if dir := filepath.Dir(c.Database); !store.Postgres(c.Database) && dir != filepath.Clean(c.DataDir) {
		r.dirs = append(r.dirs, dir)
	}
	return r, nil
}

// ServeHTTP answers /readyz. Anyone may ask: it names no path.
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), 2*time.Second)
	defer cancel()
	switch {
	case r.draining.Load():
		say(w, http.StatusServiceUnavailable, "draining")
	case r.ping(ctx) != nil:
		say(w, http.StatusServiceUnavailable, "no answer from the database")
	case r.disks() != nil:
		say(w, http.StatusServiceUnavailable, "the disk is full or not writable")
	default:
		say(w, http.StatusOK, "ready")
	}
}

// disks checks the directories, and logs when the answer changes.
func (r *readiness) disks() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if since := now.Sub(r.checked); 0 <= since && since < diskInterval {
		return r.disk
	}
	var err error
	for _, dir := range r.dirs {
		err = errors.Join(err, writable(dir, r.least))
	}
	switch {
	case err != nil && r.disk == nil:
		r.log.Error("not ready: the disk is full or not writable", "error", err.Error())
	case err == nil && r.disk != nil:
		r.log.Info("the disk is writable again")
	}
	r.checked, r.disk = now, err
	return err
}

// writable returns an error if a directory cannot be written to, or has fewer bytes free.
func writable(dir string, least uint64) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("read the free space of %s: %w", dir, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < least {
		return fmt.Errorf("%s has %d MB free, at least %d are needed", dir, free>>20, least>>20)
	}
	f, err := os.CreateTemp(dir, ".keyward-ready-*") // says more than permissions do: quotas, inodes, read-only mounts
	if err != nil {
		return fmt.Errorf("write to %s: %w", dir, err)
	}
	_, err = f.WriteString("ready\n")
	if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("write to %s: %w", dir, err)
	}
	return nil
}
