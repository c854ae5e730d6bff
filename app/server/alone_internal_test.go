package server

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestAloneAgain: a process that ends lets the next one in at once, though a child that it
// forked may have the lock file for another moment.
func TestAloneAgain(t *testing.T) {
	t.Parallel()
	c := &Config{Database: filepath.Join(t.TempDir(), "x.db")}
	_, unlock, err := c.alone()
	if err != nil {
		t.Fatal(err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd")
	}
	child := -1
	for _, e := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == c.Database+".lock" {
			fd, err := strconv.Atoi(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			if child, err = syscall.Dup(fd); err != nil { // as fork does
				t.Fatal(err)
			}
		}
	}
	if child < 0 {
		t.Fatal("the lock file is not open")
	}
	defer syscall.Close(child)
	if _, _, err := c.alone(); err == nil {
		t.Fatal("two processes got in")
	}
	unlock()
	_, unlock, err = c.alone()
	if err != nil {
		t.Fatalf("after the end of the first: %v", err)
	}
	unlock()
}
