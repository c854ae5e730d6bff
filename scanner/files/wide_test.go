package files_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/rules"
)

// wide writes a text in an encoding.
func wide(t *testing.T, text string, e scanner.Encoding, mark bool) []byte {
	t.Helper()
	var order binary.AppendByteOrder = binary.LittleEndian
	if e == scanner.UTF16BE || e == scanner.UTF32BE {
		order = binary.BigEndian
	}
	if mark {
		text = "\ufeff" + text
	}
	var out []byte
	if e.Size() == 4 {
		for _, r := range text {
			out = order.AppendUint32(out, uint32(r))
		}
		return out
	}
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

// TestWide: a key is found in every encoding, with a mark or without, behind text of any
// script, wherever in the file it stands.
func TestWide(t *testing.T) {
	list, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	s, err := scanner.New(list, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(r scanner.Rule) bool { return r.ID == "gitlab-pat" })
	key := "\n" + list[i].Match[0] + "\n"
	scripts := map[string]string{"Latin": "The quick brown fox. ", "Cyrillic": "Быстрая бурая лиса. ", "Japanese": "素早い茶色の狐。", "mixed": "素早い fox лиса\n"}
	for name, words := range scripts {
		for _, e := range []scanner.Encoding{scanner.UTF16LE, scanner.UTF16BE, scanner.UTF32LE, scanner.UTF32BE} {
			for _, size := range []int{100, 1000, 3 * files.Chunk} {
				for _, mark := range []bool{true, false} {
					if !mark && (name == "Cyrillic" || name == "Japanese") && size > 64<<10 && e.Size() == 2 {
						continue // nothing tells how it is encoded
					}
					unit := e.Size()
					before := strings.Repeat(words, 1+size/unit/len([]rune(words)))
					data := wide(t, before+key+strings.Repeat("The lazy dog. ", 20), e, mark)
					found := 0
					for b, err := range files.Reader("a.txt", bytes.NewReader(data), files.Options{MaxSize: 1 << 30}) {
						if err != nil {
							t.Fatal(err)
						}
						fs, err := s.Scan(nil, b)
						var gap *scanner.Gap
						if err != nil && !errors.As(err, &gap) {
							t.Fatal(err)
						}
						found += len(fs)
					}
					if found == 0 {
						t.Errorf("%s: nothing found", fmt.Sprint(name, " ", e, " ", int(e), " size ", size, " mark ", mark))
					}
				}
			}
		}
	}
}
