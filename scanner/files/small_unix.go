//go:build unix

package files

import "golang.org/x/sys/unix"

// readSmall reads a regular file of at most most bytes, and returns nil if it is
// anything else or can not be read whole. It makes the fewest system calls that do: a
// tree of many small files takes most of its time in them.
func readSmall(name string, most int64) (buf *buffer, size int) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > most {
		return nil, 0
	}
	buf = bufferOf(int(st.Size) + 1) // a byte more shows a file that has grown
	n := 0
	for n < len(buf.data) {
		m, err := unix.Read(fd, buf.data[n:])
		if err != nil {
			buf.done(false)
			return nil, 0
		}
		n += m
		if m == 0 || n == int(st.Size) {
			return buf, n
		}
	}
	buf.done(false)
	return nil, 0
}
