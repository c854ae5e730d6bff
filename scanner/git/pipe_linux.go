package git

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// widen makes a pipe hold a megabyte, the most that everybody may have: git and the
// scanner wait for each other less often.
func widen(pipe io.Reader) {
	if f, ok := pipe.(*os.File); ok {
		if conn, err := f.SyscallConn(); err == nil {
			_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) }) // it works all the same without
		}
	}
}
