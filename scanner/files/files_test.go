package files_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
)

// read returns the paths that were yielded with their text, and the gaps.
func read(t *testing.T, src scanner.Source) (blobs map[string]string, gaps []string) {
	t.Helper()
	blobs = map[string]string{}
	for b, err := range src {
		var gap *scanner.Gap
		switch {
		case errors.As(err, &gap):
			gaps = append(gaps, gap.Error())
		case err != nil:
			t.Fatal(err)
		default:
			blobs[b.Path] += string(b.Data)
		}
	}
	return blobs, gaps
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "root/a.txt"), "a")
	write(t, filepath.Join(dir, "root/sub/.hidden"), "b")
	write(t, filepath.Join(dir, "root/.git/config"), "c")
	write(t, filepath.Join(dir, "root/sub/.git"), "gitdir: elsewhere")
	write(t, filepath.Join(dir, "outside"), "d")
	if err := os.Symlink("../outside", filepath.Join(dir, "root/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", filepath.Join(dir, "root/loop")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "root/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	skipped := map[string]string{}
	blobs, gaps := read(t, files.Walk(context.Background(), filepath.Join(dir, "root"), files.Options{
		Skipped: func(p, why string) { skipped[p] = why },
	}))
	if len(blobs) != 2 || blobs["a.txt"] != "a" || blobs["sub/.hidden"] != "b" || len(gaps) > 0 {
		t.Errorf("got %v and %v, want a.txt and sub/.hidden", blobs, gaps)
	}
	if skipped["link"] != "symbolic link" || skipped["loop"] != "symbolic link" || skipped["fifo"] != "not a regular file" {
		t.Errorf("skipped %v, want both links and the pipe", skipped)
	}
}

func TestMaxSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "big"), strings.Repeat("x", 100))
	blobs, gaps := read(t, files.Walk(context.Background(), dir, files.Options{MaxSize: 99}))
	if len(blobs) != 0 || len(gaps) != 1 || !strings.Contains(gaps[0], "larger than the limit of 99 bytes") {
		t.Errorf("got %v and %v, want one gap", blobs, gaps)
	}
	_, gaps = read(t, files.Reader("stdin", strings.NewReader(strings.Repeat("x", 100)), files.Options{MaxSize: 99}))
	if len(gaps) != 1 || !strings.Contains(gaps[0], "the rest was not scanned") {
		t.Errorf("a stream over the limit: got %v, want one gap", gaps)
	}
}

// TestStream: a key on the cut between two parts is in one of them whole, and
// lines and offsets go on.
func TestStream(t *testing.T) {
	t.Parallel()
	const mark = "MARKER-ON-THE-CUT"
	for _, filler := range []string{strings.Repeat("a line of text\n", 400_000), strings.Repeat("x", 6<<20)} {
		for _, at := range []int{files.Chunk - 3, files.Chunk - files.Overlap - 5, files.Chunk - files.Overlap/2, files.Chunk} {
			text := filler[:at] + mark + filler[at:]
			whole := 0
			for b, err := range files.Reader("big", strings.NewReader(text), files.Options{}) {
				if err != nil {
					t.Fatal(err)
				}
				if i := bytes.Index(b.Data, []byte(mark)); i >= 0 {
					whole++
					line := b.Line + bytes.Count(b.Data[:i], []byte("\n"))
					if want := 1 + strings.Count(text[:at], "\n"); line != want || b.Offset+int64(i) != int64(at) {
						t.Errorf("at %d: got line %d and byte %d, want %d and %d", at, line, b.Offset+int64(i), want, at)
					}
					before := i - bytes.LastIndexByte(b.Data[:i], '\n') - 1
					if before == i { // on the first line of the part
						before += b.Indent
					}
					if want := at - strings.LastIndexByte(text[:at], '\n') - 1; before != want {
						t.Errorf("at %d: %d bytes of its line stand before it, want %d", at, before, want)
					}
				}
			}
			if whole == 0 {
				t.Errorf("at %d: no part has the mark whole", at)
			}
		}
	}
}

func TestLFSPointer(t *testing.T) {
	t.Parallel()
	oid := strings.Repeat("0123456789abcdef", 4)
	good := "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 1\n"
	for text, want := range map[string]bool{
		good: true, "": false, "oid sha256:" + oid: false, strings.Replace(good, oid, oid[:10], 1): false,
		strings.Replace(good, "0123", "../x", 1): false, strings.Replace(good, "abc", "ABC", 1): false, good + strings.Repeat("x", 2000): false,
	} {
		if got, ok := files.LFSPointer([]byte(text)); ok != want || ok && got != oid {
			t.Errorf("%.60q: got %q, %v; want %v", text, got, ok, want)
		}
	}
}

func zipOf(t *testing.T, members map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range members {
		m, err := w.Create(name)
		if err == nil {
			_, err = m.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tarOf(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipOf(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestArchives(t *testing.T) {
	t.Parallel()
	deep := "deep"
	for i := range 6 {
		deep = gzipOf(t, tarOf(t, fmt.Sprintf("%d.tar.gz", i), deep))
	}
	many := map[string]string{}
	for i := range 20_100 {
		many[fmt.Sprint(i)] = "x"
	}
	whole := zipOf(t, map[string]string{"a": strings.Repeat("abc ", 5000)})
	tests := []struct {
		name, file, text string
		want             string // a path that is yielded
		gap              string // part of a gap
	}{
		{"zip", "a.zip", zipOf(t, map[string]string{"dir/m.txt": "hello"}), "a.zip!dir/m.txt", ""},
		{"jar", "a.jar", zipOf(t, map[string]string{"M.class": "hello"}), "a.jar!M.class", ""},
		{"tar", "a.tar", tarOf(t, "m.txt", "hello"), "a.tar!m.txt", ""},
		{"tar.gz", "a.tgz", gzipOf(t, tarOf(t, "m.txt", "hello")), "a.tgz!m.txt", ""},
		{"gzip", "log.gz", gzipOf(t, "hello"), "log.gz!log", ""},
		{"nested", "a.zip", zipOf(t, map[string]string{"b.tar.gz": gzipOf(t, tarOf(t, "m", "hello"))}), "a.zip!b.tar.gz!m", ""},
		{"climbing name", "a.zip", zipOf(t, map[string]string{"../../m": "hello"}), "a.zip!../../m", ""},
		{"too deep", "a.tgz", deep, "", "nested deeper than"},
		{"too many", "a.zip", zipOf(t, many), "", "holds more than is unpacked"},
		{"large directory", "a.zip", directoryOf(t, 150_000), "", "its directory has more than"},
		{"bomb", "a.gz", gzipOf(t, strings.Repeat("\x00", 300<<20)), "", "holds more than is unpacked"},
		{"cut off", "a.zip", whole[:len(whole)/2], "", "broken archive"},
		{"cut off gzip", "a.gz", gzipOf(t, strings.Repeat("abc", 10_000))[:40], "", "unexpected EOF"},
		{"no archive", "a.zip", "just text", "a.zip", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, tt.file), tt.text)
			blobs, gaps := read(t, files.Walk(context.Background(), dir, files.Options{Archives: true}))
			if tt.want != "" && blobs[tt.want] == "" {
				t.Errorf("got %v, want %s", blobs, tt.want)
			}
			if tt.gap == "" && len(gaps) > 0 || tt.gap != "" && !slices.ContainsFunc(gaps, func(g string) bool { return strings.Contains(g, tt.gap) }) {
				t.Errorf("got gaps %q, want %q", gaps, tt.gap)
			}
		})
	}
}

// counted counts what is read of it.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// TestReadOnce: each byte of a file is read once, and hardly one is looked at twice,
// however large the file is; no more than a few chunks of it are in memory.
func TestReadOnce(t *testing.T) {
	for _, size := range []int64{0, 1, 100_000, files.Chunk, files.Chunk + 1, 20 << 20} {
		c := &counted{r: io.LimitReader(lines{}, size)}
		var seen int64
		largest := 0
		opt := files.Options{MaxSize: 1 << 40}
		opt.Content(scanner.Blob{Path: "a"}, c, size, func(b scanner.Blob, err error) bool {
			if err != nil {
				t.Error(err)
			}
			seen += int64(len(b.Data))
			largest = max(largest, len(b.Data))
			if b.Done != nil {
				b.Done(true)
			}
			return true
		})
		if c.n != size || seen < size || seen > size+size/50 || largest > files.Chunk+files.Overlap {
			t.Errorf("%d bytes: %d read, %d looked at, %d at once", size, c.n, seen, largest)
		}
	}
}

// lines has lines without end.
type lines struct{}

func (lines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "a line that says nothing\n"[i%25]
	}
	return len(p), nil
}

// directoryOf is a ZIP archive with so many empty members that its directory alone is large.
func directoryOf(t *testing.T, members int) string {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for i := range members {
		if _, err := z.CreateRaw(&zip.FileHeader{Name: fmt.Sprintf("%012d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
