package pack

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"strings"
	"testing"
)

func deflated(tb testing.TB, data []byte, level int) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// texts are what is packed in tests: short and long, alike and random, with distances of
// all sizes.
func texts() [][]byte {
	var lines, far strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&lines, "key_%d = %x\n", i, i*i*7919)
	}
	far.WriteString(lines.String()[:300])
	far.WriteString(strings.Repeat("x", 32<<10-299))
	far.WriteString(lines.String()[:300])
	noise := make([]byte, 70_000)
	state := uint32(1)
	for i := range noise {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	return [][]byte{nil, []byte("a"), []byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), []byte(strings.Repeat("abc", 300)), []byte(lines.String()), []byte(far.String()), noise, make([]byte, 200_000)}
}

func TestInflate(t *testing.T) {
	var f inflater // one for all: what a block leaves does not matter
	for i, text := range texts() {
		for _, level := range []int{zlib.HuffmanOnly, zlib.NoCompression, 1, 6, 9} {
			packed := deflated(t, text, level)
			dst := make([]byte, len(text))
			if !f.inflate(dst, append(packed, "what follows"...)) || !bytes.Equal(dst, text) {
				t.Errorf("text %d at level %d: not what was packed", i, level)
			}
			if len(text) > 0 && f.inflate(dst[1:], packed) {
				t.Errorf("text %d at level %d: fits into a byte less", i, level)
			}
			if f.inflate(make([]byte, len(text)+1), packed) {
				t.Errorf("text %d at level %d: fills a byte more", i, level)
			}
			if f.inflate(dst, packed[:len(packed)-1]) {
				t.Errorf("text %d at level %d: a byte of the checksum is missing", i, level)
			}
		}
	}
}

// FuzzInflate: what is unpacked is what the standard library unpacks.
func FuzzInflate(f *testing.F) {
	for _, text := range texts() {
		for _, level := range []int{zlib.HuffmanOnly, zlib.NoCompression, 1, 9} {
			f.Add(deflated(f, text[:min(len(text), 2000)], level), min(len(text), 2000))
		}
	}
	f.Fuzz(func(t *testing.T, packed []byte, n int) {
		if n < 0 || n > 1<<16 {
			return
		}
		var in inflater
		got := make([]byte, n)
		if !in.inflate(got, packed) {
			r, err := zlib.NewReader(bytes.NewReader(packed))
			if err != nil {
				return
			}
			want, err := io.ReadAll(io.LimitReader(r, 1<<16))
			if err == nil && len(want) == n && bytes.Equal(packed[:min(len(packed), 2)], []byte{0x78, 0x9c}) && bytes.Equal(deflated(t, want, 6), packed) {
				t.Errorf("%x is refused", packed)
			}
			return
		}
		r, err := zlib.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatalf("%x: %v", packed, err)
		}
		want, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%x: got %x, want %x, %v", packed, got, want, err)
		}
	})
}

// FuzzRoundTrip: what the standard library packs is unpacked.
func FuzzRoundTrip(f *testing.F) {
	for i, text := range texts() {
		f.Add(text[:min(len(text), 5000)], i)
	}
	f.Fuzz(func(t *testing.T, text []byte, level int) {
		var in inflater
		got := make([]byte, len(text))
		if packed := deflated(t, text, (level%12+12)%12-2); !in.inflate(got, packed) || !bytes.Equal(got, text) {
			t.Errorf("level %d: %q comes out as %q", level, text, got)
		}
	})
}

// FuzzPatch: a difference fills what it should, out of what it may.
func FuzzPatch(f *testing.F) {
	f.Add([]byte("base of it"), []byte{3, 'n', 'e', 'w', 0x90, 4}, 7)
	f.Add([]byte("base of it"), []byte{0x91, 5, 5}, 5)
	f.Add(make([]byte, 1<<16), []byte{0x80}, 1<<16)
	f.Add([]byte("base of it"), []byte{0x98, 0xff, 4}, 4)
	f.Fuzz(func(t *testing.T, base, delta []byte, n int) {
		if n < 0 || n > 1<<17 {
			return
		}
		got := make([]byte, n)
		want, ok := plainPatch(base, delta)
		if patch(got, base, delta) != (ok && len(want) == n) || ok && len(want) == n && !bytes.Equal(got, want) {
			t.Errorf("base %q, delta %x: got %q, want %q, %t", base, delta, got, want, ok)
		}
	})
}

// plainPatch follows the format's description word for word:
// https://git-scm.com/docs/gitformat-pack#_deltified_representation
func plainPatch(base, delta []byte) (out []byte, ok bool) {
	for i := 0; i < len(delta); {
		op := delta[i]
		i++
		if op < 0x80 {
			if op == 0 || i+int(op) > len(delta) {
				return nil, false
			}
			out = append(out, delta[i:i+int(op)]...)
			i += int(op)
			continue
		}
		var field [7]int64
		for bit := range field {
			if op&(1<<bit) != 0 {
				if i == len(delta) {
					return nil, false
				}
				field[bit] = int64(delta[i])
				i++
			}
		}
		at := field[0] + field[1]<<8 + field[2]<<16 + field[3]<<24
		n := field[4] + field[5]<<8 + field[6]<<16
		if n == 0 {
			n = 0x10000
		}
		if at+n > int64(len(base)) || int64(len(out))+n > 1<<18 {
			return nil, false
		}
		out = append(out, base[at:at+n]...)
	}
	return out, true
}

// BenchmarkInflate is of text such as is packed in a repository.
func BenchmarkInflate(b *testing.B) {
	text := texts()[4]
	packed := deflated(b, text, 6)
	dst := make([]byte, len(text))
	b.Run("this", func(b *testing.B) {
		var f inflater
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if !f.inflate(dst, packed) {
				b.Fatal("broken")
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		src := bytes.NewReader(packed)
		r, err := zlib.NewReader(src)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			src.Reset(packed)
			if err := r.(zlib.Resetter).Reset(src, nil); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(r, dst); err != nil {
				b.Fatal(err)
			}
		}
	})
}
