package scanner

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// FuzzKeywords holds the index of keywords equal to a search for each of them.
func FuzzKeywords(f *testing.F) {
	words := []string{"key", "://", "pass", "token", "passphrase", "abab", "ababab", "$1$", "k10", "provisiondevice"}
	x := newKeywordIndex(words, nil)
	f.Add("a KEY=x\nPassphrase https://ababababab", uint(3))
	f.Add("key", uint(0))
	f.Add("xxpass\ntokeN", uint(1))
	f.Fuzz(func(t *testing.T, text string, cut uint) {
		data := []byte(text)
		from, to := 0, len(data)
		if n := uint(bytes.Count(data, []byte("\n"))); n > 0 { // pieces end with a line
			for range cut%n + 1 {
				from += bytes.IndexByte(data[from:], '\n') + 1
			}
		}
		var got, want []string
		hit := func(word, pos int) bool {
			got = append(got, fmt.Sprint(pos, words[word]))
			return true
		}
		x.scan(data, 0, from, hit)
		x.scan(data, from, to, hit)
		var low []byte
		for _, c := range data {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			low = append(low, c)
		}
		for _, w := range words {
			for i := range low {
				if bytes.HasPrefix(low[i:], []byte(w)) {
					want = append(want, fmt.Sprint(i, w))
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	})
}
