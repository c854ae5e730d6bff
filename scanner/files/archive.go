package files

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"github.com/keyward/keyward/scanner"
)

// Budgets of one archive, with all that is nested in it: an archive from a
// repository may be a bomb.
const (
	maxDepth    = 4
	maxEntries  = 20_000
	maxRatio    = 200       // unpacked bytes per packed byte
	maxUnpacked = 512 << 20 // bytes
	maxMember   = 64 << 20  // of an archive within an archive, held in memory
)

// a budget is what of it is left.
type budget struct {
	entries int
	bytes   int64
	of      scanner.Blob // the archive
	yield   func(scanner.Blob, error) bool
	stopped bool
	spent   bool
}

// reader is what archives are read from.
type reader interface {
	io.Reader
	io.ReaderAt
	io.Seeker
}

// isArchive reports whether f is an archive, by its name and its first bytes.
func isArchive(name string, f io.ReaderAt) bool {
	var head [512]byte
	n, _ := f.ReadAt(head[:], 0)
	return kindOf(name, head[:n]) != ""
}

func kindOf(name string, head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return "zip" // jar, war, whl, docx and more are zip files
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "gzip"
	case bytes.HasPrefix(head, []byte("BZh")) && strings.HasSuffix(name, "bz2"):
		return "bzip2"
	case len(head) >= 263 && bytes.Equal(head[257:262], []byte("ustar")):
		return "tar"
	}
	return ""
}

// archive yields the members of an archive as PATH!MEMBER.
func (o *Options) archive(of scanner.Blob, r reader, size int64, yield func(scanner.Blob, error) bool) bool {
	name := of.Path
	b := &budget{entries: maxEntries, bytes: min(maxUnpacked, size*maxRatio+1<<20), of: of, yield: yield}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return yield(scanner.Blob{}, &scanner.Gap{Path: name, Reason: plainReason(err)})
	}
	b.open(name, r, size, 0)
	if b.spent && !b.stopped {
		b.send(scanner.Blob{}, &scanner.Gap{Path: name, Reason: fmt.Sprintf("archive holds more than is unpacked (%d members, %d times its size, %d bytes): the rest was not scanned", maxEntries, maxRatio, maxUnpacked)})
	}
	return !b.stopped
}

func (b *budget) send(blob scanner.Blob, err error) {
	blob.Commit, blob.ID = b.of.Commit, b.of.ID
	if !b.stopped && !b.yield(blob, err) {
		b.stopped = true
	}
}

func (b *budget) done() bool { return b.stopped || b.spent }

func (b *budget) gap(name string, err error) {
	b.send(scanner.Blob{}, &scanner.Gap{Path: name, Reason: "broken archive: " + plainReason(err)})
}

func (b *budget) open(name string, r reader, size int64, depth int) {
	if depth >= maxDepth {
		b.send(scanner.Blob{}, &scanner.Gap{Path: name, Reason: fmt.Sprintf("archives nested deeper than %d", maxDepth)})
		return
	}
	var head [512]byte
	n, _ := r.ReadAt(head[:], 0)
	switch kindOf(name, head[:n]) {
	case "zip":
		b.zip(name, r, size, depth)
	case "tar":
		b.tar(name, r, depth)
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			b.gap(name, err)
			return
		}
		b.packed(name, z, depth)
	case "bzip2":
		b.packed(name, bzip2.NewReader(r), depth)
	}
}

// packed handles a stream that holds one file, often a tar archive.
func (b *budget) packed(name string, r io.Reader, depth int) {
	var head [512]byte
	n, err := fill(r, head[:])
	if err != nil && err != io.EOF {
		b.gap(name, err)
		return
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), r)
	if kindOf("", head[:n]) == "tar" {
		b.tar(name, whole, depth)
		return
	}
	inner := strings.TrimSuffix(strings.TrimSuffix(path.Base(name), ".gz"), ".bz2")
	b.member(name+"!"+inner, whole, depth)
}

func (b *budget) zip(name string, r reader, size int64, depth int) {
	directory := &metered{r: r, left: maxDirectory}
	z, err := zip.NewReader(directory, size) // which reads the list of all members into memory
	if err != nil {
		b.gap(name, err)
		return
	}
	directory.left = math.MaxInt64
	for _, f := range z.File {
		if b.done() {
			return
		}
		if f.FileInfo().IsDir() {
			continue
		}
		inner := name + "!" + f.Name
		m, err := f.Open()
		if err != nil {
			b.gap(inner, err)
			continue
		}
		b.member(inner, m, depth)
		m.Close()
	}
}

// maxDirectory is how many bytes of a ZIP archive's directory are read: enough for as many
// members as are scanned.
const maxDirectory = 8 << 20

// metered is a reader that fails when more was read than is left.
type metered struct {
	r    io.ReaderAt
	left int64
}

func (m *metered) ReadAt(p []byte, at int64) (int, error) {
	if m.left -= int64(len(p)); m.left < 0 {
		return 0, fmt.Errorf("its directory has more than %d bytes", maxDirectory)
	}
	return m.r.ReadAt(p, at)
}

func (b *budget) tar(name string, r io.Reader, depth int) {
	t := tar.NewReader(r)
	for !b.done() {
		h, err := t.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			b.gap(name, err)
			return
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
			b.member(name+"!"+h.Name, t, depth)
		case tar.TypeDir, tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo, tar.TypeXHeader, tar.TypeXGlobalHeader:
			// nothing of its own to read
		default:
			b.send(scanner.Blob{}, &scanner.Gap{Path: name + "!" + h.Name, Reason: fmt.Sprintf("a member of unknown kind %q", h.Typeflag)})
		}
	}
}

// member yields one member, or opens it if it is an archive itself.
func (b *budget) member(name string, r io.Reader, depth int) {
	b.entries--
	if b.entries < 0 || b.bytes <= 0 {
		b.spent = true
		return
	}
	var head [512]byte
	n, err := fill(r, head[:])
	if err != nil && err != io.EOF {
		b.gap(name, err)
		return
	}
	whole := &counted{r: io.MultiReader(bytes.NewReader(head[:n]), r), left: b.bytes}
	if kindOf(name, head[:n]) == "" {
		Stream(scanner.Blob{Path: name}, whole, maxUnpacked, func(p scanner.Blob, err error) bool {
			b.send(p, err)
			return !b.stopped
		})
		b.bytes = whole.left
		b.spent = b.spent || whole.left <= 0
		return
	}
	data, err := io.ReadAll(io.LimitReader(whole, maxMember+1))
	b.bytes = whole.left
	switch {
	case err != nil:
		b.gap(name, err)
	case len(data) > maxMember:
		b.send(scanner.Blob{}, &scanner.Gap{Path: name, Reason: fmt.Sprintf("an archive of more than %d bytes in an archive", maxMember)})
	default:
		b.open(name, bytes.NewReader(data), int64(len(data)), depth+1)
	}
}

// counted ends a stream when its budget is spent.
type counted struct {
	r    io.Reader
	left int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}
