//go:build !linux

package git

// limitMemory does nothing: other systems cannot limit a process that runs.
func limitMemory(int, int64) {}
