package git

import "golang.org/x/sys/unix"

// limitMemory limits the memory that a process may allocate. Files that it maps to read, as
// git does with packs, do not count. Where the kernel refuses, there is no limit.
func limitMemory(pid int, bytes int64) {
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	_ = unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil) // the counts of the budget hold without it
}
