package scanner

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// A Finding is one place where one key stands. It never holds the secret, so it
// may be logged, stored and posted.
type Finding struct {
	Rule        *Rule
	Path        string
	Commit      string
	Blob        string // the git object, or empty
	Line, Col   int    // where the secret begins: line from 1, column in bytes from 1
	EndLine     int
	Start, End  int64 // the secret's bytes in the blob, End excluded
	Redacted    string
	Fingerprint string   // HMAC-SHA256 of the canonical value, hexadecimal
	Former      []string // the fingerprints under the former peppers, in their order
	Confidence  float64
	Decoded     string // the encodings undone to see it, outermost first, such as "base64"
	InTest      bool   // stands in a test, an example or documentation
	Facts       []Fact
	Companions  []Fact    // every value near it that may belong to it, such as an access key id; the nearest is among Facts
	Expires     time.Time // read from the value, or zero
	Allow       *Allow    // the allow comment beside it, or nil
}

// A Fact is something that a key says of itself and that is no secret: an id
// that the provider's logs use, an account, an owner.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ByPlace orders findings by where they stand, and by rule.
func ByPlace(a, b *Finding) int {
	return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), strings.Compare(a.Rule.ID, b.Rule.ID))
}

// Is reports whether a fingerprint is that of the finding, under any pepper.
func (f *Finding) Is(fingerprint string) bool {
	return f.Fingerprint == fingerprint || slices.Contains(f.Former, fingerprint)
}

// fingerprints returns the identity of a canonical value under the scanner's pepper, and
// under those that were replaced.
func (w *work) fingerprints(canonical []byte) (current string, former []string) {
	if w.macs == nil {
		for _, pepper := range slices.Concat([][]byte{w.s.opt.Pepper}, w.s.opt.FormerPeppers) {
			w.macs = append(w.macs, hmac.New(sha256.New, pepper))
		}
	}
	for i, mac := range w.macs {
		mac.Reset() // the key is not hashed again
		mac.Write(canonical)
		var sum [sha256.Size]byte
		fingerprint := hex.EncodeToString(mac.Sum(sum[:0]))
		if i == 0 {
			current = fingerprint
		} else {
			former = append(former, fingerprint)
		}
	}
	return current, former
}

// redact returns what may be shown of a value: its fixed, public prefix, at
// most 4 more characters where the value is long, and its length in place of the rest.
func redact(rule *Rule, v []byte) string {
	n := publicPrefix(rule, v)
	if rest := len(v) - n; n == 0 && rest >= 20 {
		n = 3
	}
	for i := range n {
		if v[i] < 0x20 || v[i] > 0x7e {
			n = i
			break
		}
	}
	return string(v[:n]) + "…(" + itoa(len(v)) + ")"
}

// publicPrefix returns how many bytes of v are the prefix that every key of
// this kind has: they tell the kind and nothing of the key.
func publicPrefix(rule *Rule, v []byte) int {
	best := 0
	for _, k := range rule.Keywords {
		if len(k) > best && len(k) <= len(v)/2 && len(k) <= 24 && hasPrefixFold(v, k) {
			best = len(k)
		}
	}
	return best
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
