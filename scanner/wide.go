package scanner

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// An Encoding says that text stands in units of two or four bytes. The zero value is one that
// is not known: text of single bytes, unless it looks otherwise.
type Encoding uint8

// The encodings, by the order of the bytes in a unit.
const (
	UTF16LE Encoding = iota + 1
	UTF16BE
	UTF32LE
	UTF32BE
)

// Size is how many bytes a unit has.
func (e Encoding) Size() int {
	switch e {
	case UTF16LE, UTF16BE:
		return 2
	case UTF32LE, UTF32BE:
		return 4
	}
	return 1
}

// String names an encoding as a finding does.
func (e Encoding) String() string {
	switch e.Size() {
	case 2:
		return "utf-16"
	case 4:
		return "utf-32"
	}
	return ""
}

// mark is the byte order mark of an encoding.
// https://www.unicode.org/faq/utf_bom.html#bom4
func (e Encoding) mark() string {
	return [...]string{"", "\xff\xfe", "\xfe\xff", "\xff\xfe\x00\x00", "\x00\x00\xfe\xff"}[e]
}

// EncodingOf returns the encoding of a text by its beginning, and whether that is sure: a mark
// may stand before anything. Without a mark it is guessed by the NUL bytes that Latin letters
// have in it, at the beginning or in some other place.
func EncodingOf(text []byte) (e Encoding, sure bool) {
	for _, e := range []Encoding{UTF32LE, UTF32BE, UTF16LE, UTF16BE} { // the mark of one begins with that of another
		if rest, has := bytes.CutPrefix(text, []byte(e.mark())); has && len(rest) >= e.Size() {
			return e, guess(rest[:min(len(rest), guessed)]) == e
		}
	}
	if len(text) < 4 {
		return 0, false
	}
	if e := guess(text[:min(len(text), guessed)]); e != 0 {
		return e, true
	}
	head := text[:min(len(text), guessedFrom)]
	if bytes.IndexByte(head, 0) < 0 {
		return 0, false
	}
	for at := guessed; at+guessed <= len(head); at += guessed {
		part := head[at : at+guessed]
		if bytes.Contains(part, []byte{0, 0, 0, 0}) {
			return 0, false // binary
		}
		if e := guess(part); e.Size() == 2 {
			return e, false
		}
	}
	if rest := len(head) % guessed; rest >= 32 {
		if e := guess(head[len(head)-rest:]); e.Size() == 2 {
			return e, false
		}
	}
	return 0, false
}

// guessed is how many bytes an encoding is guessed by, guessedFrom in how many it is looked for.
const (
	guessed     = 256
	guessedFrom = 64 << 10
)

// guess says in which encoding a text is, by where its NUL bytes are. UTF-16 is told by its
// Latin letters, UTF-32 by any.
func guess(text []byte) Encoding {
	var zero [4]int
	for i, c := range text {
		if c == 0 {
			zero[i&3]++
		}
	}
	many := func(n, of int) bool { return n*10 >= of*8 }
	half, quarter := len(text)/2, len(text)/4
	switch {
	case half == 0:
		return 0
	case quarter > 0 && zero[0] == 0 && many(zero[2], quarter) && zero[3] >= quarter: // no character needs the highest byte
		return UTF32LE
	case quarter > 0 && zero[3] == 0 && many(zero[1], quarter) && zero[0] >= quarter:
		return UTF32BE
	}
	switch even, odd := zero[0]+zero[2], zero[1]+zero[3]; {
	case even == 0 && many(odd, half):
		return UTF16LE
	case odd == 0 && many(even, half):
		return UTF16BE
	}
	return 0
}

// decodeWide returns a text in an encoding as UTF-8, without its mark.
func decodeWide(text []byte, e Encoding) []byte {
	text = bytes.TrimPrefix(text, []byte(e.mark()))
	var order binary.ByteOrder = binary.LittleEndian
	if e == UTF16BE || e == UTF32BE {
		order = binary.BigEndian
	}
	out := make([]byte, 0, len(text)/2+len(text)/8)
	if e.Size() == 4 {
		for ; len(text) >= 4; text = text[4:] {
			out = utf8.AppendRune(out, rune(min(order.Uint32(text), utf8.MaxRune+1))) // one that is too large is replaced
		}
		return out
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	for _, r := range utf16.Decode(units) {
		out = utf8.AppendRune(out, r)
	}
	return out
}
