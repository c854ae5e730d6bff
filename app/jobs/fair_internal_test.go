package jobs

import (
	"cmp"
	"slices"
	"testing"
	"time"
)

// TestFairOrder queues 8 installations, one of which pushes 400 times before the others push
// twice each: the others' scans come first, but for a few.
func TestFairOrder(t *testing.T) {
	t.Parallel()
	r := newRush()
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	type queued struct {
		installation int64
		priority, n  int
	}
	var queue []queued
	add := func(installation int64) {
		queue = append(queue, queued{installation, r.priority(installation, now), len(queue)})
	}
	for range 400 {
		add(1)
	}
	for range 2 {
		for id := int64(2); id <= 8; id++ {
			add(id)
		}
	}
	slices.SortFunc(queue, func(a, b queued) int { return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.n, b.n)) })
	for i, q := range queue[:rushFew+14] {
		if q.installation == 1 && i >= rushFew {
			t.Errorf("place %d belongs to the installation that pushed 400 times", i)
		}
	}
	// After a while without pushes it is first again.
	now = now.Add(5 * time.Minute)
	if p := r.priority(1, now); p != 1 {
		t.Errorf("five minutes later its priority is %d, want 1", p)
	}
}

// TestShares: an installation has at most half of the workers, and what it asks for besides
// comes back later and later, so that it does not keep them busy.
func TestShares(t *testing.T) {
	t.Parallel()
	s := newShares(4)
	var last time.Duration
	for i := range 100 {
		later, ok := s.enter(1)
		if ok != (i < 2) {
			t.Fatalf("scan %d: ok %v", i, ok)
		}
		if !ok && later <= last {
			t.Errorf("scan %d comes back after %s, the one before after %s", i, later, last)
		}
		last = later
	}
	for id := int64(2); id <= 8; id++ {
		if _, ok := s.enter(id); !ok {
			t.Errorf("installation %d had to wait for another", id)
		}
	}
	s.leave(1)
	if _, ok := s.enter(1); !ok {
		t.Error("a place that was given back is not free")
	}
	s.leave(1)
	s.leave(1)
	if len(s.running) != 7 || len(s.waiting) != 0 {
		t.Errorf("%d running, %d waiting are remembered", len(s.running), len(s.waiting))
	}
}
