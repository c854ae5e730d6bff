package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/riverqueue/river"
)

// Fairness between installations: one that pushes much, or whose scans are slow, delays the
// others by no more than its share. Its scans are queued behind those of installations that
// push less, and it never has more than half of the workers.

// maxInstallations is of how many installations it is known how much they push.
const maxInstallations = 5000

// rushWindow is the time in which deliveries are counted.
const rushWindow = time.Minute

// rush counts the scans that each installation asked for of late, in this process.
type rush struct {
	mu   sync.Mutex
	seen *lru.Cache[int64, *burst]
}

type burst struct {
	since time.Time
	n     int
}

func newRush() *rush {
	seen, _ := lru.New[int64, *burst](maxInstallations) // fails for sizes below 1 only
	return &rush{seen: seen}
}

// priority is that of an installation's next scan: 1 is the first to be run, 4 the last.
// Within a minute its first few scans come before the many of somebody else.
func (r *rush) priority(installation int64, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.seen.Get(installation)
	if !ok {
		b = &burst{since: now}
		r.seen.Add(installation, b)
	}
	if passed := now.Sub(b.since); passed >= rushWindow {
		b.n = max(0, b.n-int(passed/rushWindow)*rushMany)
		b.since = now
	}
	b.n++
	switch {
	case b.n <= rushFew:
		return 1
	case b.n <= rushSome:
		return 2
	case b.n <= rushMany:
		return 3
	}
	return 4
}

// How many scans a minute have which priority.
const (
	rushFew  = 4
	rushSome = 20
	rushMany = 100
)

// shared has an installation run no more jobs of a kind of the scan queue at once than its
// share. All kinds there count together.
func shared[T river.JobArgs](r *Runner, work func(context.Context, *river.Job[T], *slog.Logger) error) func(context.Context, *river.Job[T], *slog.Logger) error {
	return func(ctx context.Context, job *river.Job[T], log *slog.Logger) error {
		id := installationOf(job.Args)
		if later, ok := r.shares.enter(id); !ok {
			return river.JobSnooze(later)
		}
		defer r.shares.leave(id)
		return work(ctx, job, log)
	}
}

// histories is how many histories are scanned at once: at least two, so that one installation
// leaves a worker to the others.
func histories(workers int) int { return max(2, workers/4) }

// shares bounds how many scans of one installation run at once.
type shares struct {
	each int // of an installation

	mu      sync.Mutex
	running map[int64]int
	waiting map[int64]int // that were put back and have not come since
}

func newShares(workers int) *shares {
	return &shares{each: max(1, workers/2), running: map[int64]int{}, waiting: map[int64]int{}}
}

// enter takes a place for a scan of an installation. If it has its share, the scan has to
// come back after a while: the more of its scans wait, the later, so that workers are not
// kept busy with putting them back.
func (s *shares) enter(installation int64) (later time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[installation] < s.each {
		s.running[installation]++
		if s.waiting[installation] > 0 {
			s.waiting[installation]--
		}
		return 0, true
	}
	s.waiting[installation] = min(s.waiting[installation]+1, mostWaitingScans)
	return waitForShare + time.Duration(s.waiting[installation])*waitForShare/8, false
}

const (
	waitForShare     = time.Second
	mostWaitingScans = 1000
)

// leave gives a place back.
func (s *shares) leave(installation int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[installation]--; s.running[installation] <= 0 {
		delete(s.running, installation)
		delete(s.waiting, installation)
	}
}
