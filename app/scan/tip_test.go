package scan_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keyward/keyward/app/scan"
)

// TestTips compares commits far apart whose ids begin alike: both are asked for in one
// fetch, which git refuses to put under one name.
func TestTips(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := map[string]int{}
	for i, id := range w.commits {
		j, ok := last[id[:2]]
		if !ok {
			last[id[:2]] = i
			continue
		}
		if i-j < 120 {
			continue
		}
		e, err := scan.New(&scan.Cache{Dir: t.TempDir()}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		job := *w.job
		job.Base, job.Head = w.commits[j], id
		res, err := e.Range(context.Background(), &job)
		if err != nil || res.Coverage.Commits != i-j {
			t.Fatalf("%v, %+v", err, res)
		}
		return
	}
	t.Fatal("no two commits begin alike")
}

// TestWaiting has a history and a range hang: another range does not wait for the
// history, and who waits for the range's copy goes when told to, and holds nothing.
func TestWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, err := scan.New(&scan.Cache{Dir: t.TempDir()}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := make(chan struct{}, 2)
	hangs := *w.job
	hangs.Token = func(ctx context.Context, _ bool) (string, error) {
		started <- struct{}{}
		<-ctx.Done()
		return "", ctx.Err()
	}
	done := make(chan error, 2)
	go func() { _, err := e.History(ctx, &hangs); done <- err }()
	<-started
	w.found(t, e, w.job)

	other, job := hangs, *w.job
	other.Base, other.Head = w.commits[0], w.commits[1]
	go func() { _, err := e.Range(ctx, &other); done <- err }()
	<-started
	short, stop := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer stop()
	if _, err := e.Range(short, &job); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for the copy: %v", err)
	}
	cancel()
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	w.found(t, e, w.job)
}
