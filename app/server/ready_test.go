package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReady fails on each thing that the server needs, and recovers.
func TestReady(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "database")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	clock := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	var down error
	r := &readiness{ping: func(context.Context) error { return down }, dirs: []string{dir, other}, least: 1, log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return clock }}
	expect := func(what string, code int, text string) {
		t.Helper()
		res := httptest.NewRecorder()
		r.ServeHTTP(res, httptest.NewRequest("GET", "/readyz", nil))
		if got := strings.TrimSpace(res.Body.String()); res.Code != code || got != text {
			t.Errorf("%s: %d %q, want %d %q", what, res.Code, got, code, text)
		}
	}
	const full = "the disk is full or not writable"
	expect("all is well", 200, "ready")
	down = errors.New("down")
	expect("no database", 503, "no answer from the database")
	down = nil

	r.least = math.MaxUint64
	expect("full, within the interval", 200, "ready")
	clock = clock.Add(diskInterval)
	expect("full", 503, full)
	clock = clock.Add(diskInterval)
	expect("still full", 503, full)
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), dir+" has ") {
		t.Errorf("%d errors logged, want 1 that names the directory:\n%s", n, &log)
	}
	r.least = 1
	clock = clock.Add(diskInterval)
	expect("freed", 200, "ready")

	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(diskInterval)
	expect("the database's directory is missing", 503, full)
	if err := os.Mkdir(other, 0o500); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(diskInterval)
	if os.Getuid() != 0 { // root may write everywhere
		expect("the database's directory is read-only", 503, full)
	}
	if err := os.Chmod(other, 0o700); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(diskInterval)
	expect("there again", 200, "ready")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the directory: %v %v", left, err)
	}
	r.draining.Store(true)
	expect("draining", 503, "draining")
}
