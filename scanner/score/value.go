package score

import (
	"bytes"
	"math"
	"sync/atomic"
)

// Shannon returns the entropy of v in bits per byte.
func Shannon(v []byte) float64 {
	if len(v) == 0 {
		return 0
	}
	var count [256]int
	for _, c := range v {
		count[c]++
	}
	h, n := 0.0, float64(len(v))
	for _, c := range count {
		if c > 0 {
			p := float64(c) / n
			h -= p * math.Log2(p)
		}
	}
	return h
}

// An Alphabet is the smallest usual set of characters that a value is drawn from.
type Alphabet int

const (
	Digits Alphabet = iota
	HexLower
	HexUpper
	Base32Upper
	Letters      // letters of one case
	LowerDigits  // letters of one case, and digits
	Alnum        // letters of both cases, perhaps digits
	Base64Like   // alnum and + / - _ =
	AnyPrintable // with punctuation
)

// size is the number of characters of the alphabet.
func (a Alphabet) size() float64 {
	return [...]float64{10, 16, 16, 32, 26, 36, 62, 64, 90}[a]
}

// A Shape is what a look at each byte of a value tells.
type Shape struct {
	Alphabet                             Alphabet
	Lower, Upper, Digit, Punct, Space    int
	Other                                int // bytes that are not printable ASCII
	ClassRuns                            int // stretches of one class: many in random text
	Dots, Slashes, Dashes, Under, Colons int
}

// ShapeOf looks at each byte of v.
func ShapeOf(v []byte) Shape {
	var s Shape
	hexL, hexU, b32, b64 := true, true, true, true
	prev := byte(0)
	for _, c := range v {
		k := classOf(c)
		if k != prev {
			s.ClassRuns++
		}
		prev = k
		switch k {
		case 'a':
			s.Lower++
			hexU, b32 = false, false
			hexL = hexL && c <= 'f'
		case 'A':
			s.Upper++
			hexL = false
			hexU = hexU && c <= 'F'
		case '0':
			s.Digit++
			b32 = b32 && '2' <= c && c <= '7'
		default:
			s.count(c)
			hexL, hexU, b32 = false, false, false
			b64 = b64 && (c == '+' || c == '/' || c == '=' || c == '-' || c == '_')
		}
	}
	s.Alphabet = s.pick(hexL, hexU, b32, b64)
	return s
}

func (s *Shape) count(c byte) {
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		s.Space++
	case c < 0x20 || c > 0x7e:
		s.Other++
	default:
		s.Punct++
	}
	switch c {
	case '.':
		s.Dots++
	case '/', '\\':
		s.Slashes++
	case '-':
		s.Dashes++
	case '_':
		s.Under++
	case ':':
		s.Colons++
	}
}

func (s *Shape) pick(hexL, hexU, b32, b64 bool) Alphabet {
	n := s.Lower + s.Upper
	switch {
	case s.Punct+s.Space+s.Other == 0 && n == 0:
		return Digits
	case hexL && s.Digit > 0:
		return HexLower
	case hexU && s.Digit > 0:
		return HexUpper
	case b32 && s.Digit > 0:
		return Base32Upper
	case s.Punct+s.Space+s.Other == 0 && s.Digit == 0 && (s.Lower == 0 || s.Upper == 0):
		return Letters
	case s.Punct+s.Space+s.Other == 0 && (s.Lower == 0 || s.Upper == 0):
		return LowerDigits
	case s.Punct+s.Space+s.Other == 0:
		return Alnum
	case b64:
		return Base64Like
	}
	return AnyPrintable
}

func classOf(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z':
		return 'a'
	case 'A' <= c && c <= 'Z':
		return 'A'
	case '0' <= c && c <= '9':
		return '0'
	}
	return '.'
}

// expectedEntropy is the mean Shannon entropy of n characters drawn evenly from
// an alphabet of k. A flat threshold would throw away one in five random keys
// of 32 hexadecimal digits. Each character's count is binomial, so the mean is
// log2 n less k/n times the mean of j log2 j over j.
func expectedEntropy(n int, a Alphabet) float64 {
	if n < 2 {
		return 0
	}
	n = min(n, maxMeasured)
	known := &expected[a][n]
	if bits := known.Load(); bits != 0 {
		return math.Float64frombits(bits)
	}
	h := meanEntropy(n, a.size())
	known.Store(math.Float64bits(h))
	return h
}

// expected keeps what meanEntropy was asked for.
var expected [AnyPrintable + 1][maxMeasured + 1]atomic.Uint64

func meanEntropy(n int, k float64) float64 {
	p := 1 / k
	prob := math.Pow(1-p, float64(n)) // of j = 0
	loss := 0.0
	for j := 1; j <= n && (prob > 1e-12 || float64(j) < float64(n)*p+1); j++ {
		prob *= float64(n-j+1) / float64(j) * p / (1 - p)
		loss += prob * float64(j) * math.Log2(float64(j))
	}
	return math.Log2(float64(n)) - k/float64(n)*loss
}

// EntropyShare is the entropy of v as a share of what a random value of its
// length and alphabet has: about 1 for random values, lower for words.
func EntropyShare(v []byte, a Alphabet) float64 { return share(Shannon(v), len(v), a) }

// share is the entropy h of n characters as such a share.
func share(h float64, n int, a Alphabet) float64 {
	want := expectedEntropy(n, a)
	if want <= 0 {
		return 0
	}
	return h / want
}

// WordLikeness is how usual the pairs of letters in v are: about 4 for random
// letters, 6.5 for English words and the names in code. It returns -1 if v has
// fewer than 3 pairs.
func WordLikeness(v []byte) float64 {
	sum, n := 0, 0
	for i := 1; i < len(v); i++ {
		a, b := v[i-1]|0x20, v[i]|0x20
		if classOf(v[i-1]) == 'a' && classOf(v[i]) == 'A' {
			continue // a new word of camelCase
		}
		if 'a' <= a && a <= 'z' && 'a' <= b && b <= 'z' {
			sum += int(bigrams[int(a-'a')*26+int(b-'a')] - '0')
			n++
		}
	}
	if n < 3 {
		return -1
	}
	return float64(sum) / float64(n)
}

// PairRank is how common a pair of bytes is in source code, on a scale of logarithms: of
// lower-case letters, as the words there have them; signs and digits by a rough rank.
func PairRank(a, b byte) int {
	if 'a' <= a && a <= 'z' && 'a' <= b && b <= 'z' {
		return int(bigrams[int(a-'a')*26+int(b-'a')] - '0')
	}
	rank := 0
	for _, c := range [...]byte{a, b} {
		switch {
		case c == ' ':
			rank += 4
		case c == '(' || c == '.' || c == '"':
			rank += 3
		case 'a' <= c && c <= 'z':
			rank += 3
		case c == '_' || c == '-' || c == '/' || c == '=' || c == ':':
			rank += 2
		default:
			rank++
		}
	}
	return rank
}

// bigrams is how often each pair of letters stands in the words of the Go
// distribution's source, each word of a file counted once, on a scale of logarithms.
const bigrams = "" +
	"46774572636878262878664563" + // a
	"64447421652632631554622262" + // b
	"74647447617654843657643241" + // c
	"64468432732534632664543452" + // d
	"75786664534778566887466752" + // e
	"64556733712644741655612241" + // f
	"52427346611546731564522122" + // g
	"72347322712343721546412132" + // h
	"65776672224779763677262516" + // i
	"31124211212121420142411110" + // j
	"62236342512325332253422131" + // k
	"73468543714734741466644272" + // l
	"75357322614453671355621231" + // m
	"74777683725545743478663152" + // n
	"55775652625678671867766322" + // o
	"72447344614622762756623261" + // p
	"21221111101111121221611111" + // q
	"74668563815567741777665262" + // r
	"63648456725554763478735263" + // s
	"73658548812543761776635472" + // t
	"55656552612667461777221413" + // u
	"72327321611332531232232211" + // v
	"62236326611325531642113211" + // w
	"54545522511221361236232331" + // x
	"23314111401555461566123123" + // y
	"42226111311211310121111123" // z

// Placeholder reports whether v plainly stands for a key and is none: one
// character over and over, a counted row, an angle bracket, a known example.
func Placeholder(v []byte) bool {
	if len(v) == 0 || v[0] == '<' && v[len(v)-1] == '>' {
		return true
	}
	if crossed(v) {
		return true
	}
	if Repeated(v) || counted(v) || interleaved(v) || drawnOut(v) || samples[string(v)] {
		return true
	}
	if bytes.HasSuffix(v, []byte("...")) || bytes.HasPrefix(v, []byte("...")) || typed(v) || redacted(v) {
		return true
	}
	for _, w := range []string{"EXAMPLE", "xxxxx", "XXXXX", "*****", "......", "_____", "00000000000", "…"} { // the last: cut, as redacted values are
		if bytes.Contains(v, []byte(w)) {
			return true
		}
	}
	return false
}

// samples are UUIDs that standards and manuals give as examples.
var samples = Set("123e4567-e89b-12d3-a456-426614174000 123e4567-e89b-12d3-a456-426655440000 550e8400-e29b-41d4-a716-446655440000 " +
	"f81d4fae-7dec-11d0-a765-00a0c91e6bf6 00000000-0000-0000-0000-000000000000 6ba7b810-9dad-11d1-80b4-00c04fd430c8 f47ac10b-58cc-4372-a567-0e02b2c3d479 " +
	"12345678-1234-1234-1234-123456789012 12345678-1234-5678-1234-567812345678 11111111-1111-1111-1111-111111111111 deadbeef-dead-beef-dead-beefdeadbeef " +
	"c232ab00-9414-11ec-b3c8-9f6bdeced846 919108f7-52d1-4320-9bac-f847db4148a8 017f22e2-79b0-7cc3-98c4-dc0c0c07398f")

// typed reports whether most of v is rows of a keyboard.
func typed(v []byte) bool {
	rows := 0
	for _, row := range [...]string{"qwertyuiop", "asdfghjkl", "zxcvbnm", "QWERTYUIOP", "ASDFGHJKL", "ZXCVBNM"} {
		if bytes.Contains(v, []byte(row)) {
			rows += len(row)
		}
	}
	return 2*rows > len(v) && rows > 10
}

// redacted reports whether a part of v was replaced by a word that says so.
func redacted(v []byte) bool {
	if !bytes.ContainsAny(v, "])}>") {
		return false
	}
	for _, word := range [...]string{"[redacted", "<redacted", "(redacted", "{redacted", "[filtered", "[masked", "[hidden", "[removed", "[secret", "[your", "[token", "[password", "[censored", "[snip"} {
		for i := 0; i+len(word) <= len(v); i++ {
			if v[i] == word[0] && bytes.EqualFold(v[i:i+len(word)], []byte(word)) {
				return true
			}
		}
	}
	return false
}

// crossed reports whether most of v is the letter x, and some of it in a row.
func crossed(v []byte) bool {
	n, run, longest := 0, 0, 0
	for _, c := range v {
		if c|0x20 != 'x' {
			run = 0
			continue
		}
		n++
		run++
		longest = max(longest, run)
	}
	return longest >= 4 && n >= 6 && 2*n >= len(v)
}

// interleaved reports whether the letters of v count up and its digits do, as in
// a1b2c3d4 and abc123def456.
func interleaved(v []byte) bool {
	if len(v) < 8 {
		return false
	}
	var last [2]byte
	var n, up [2]int
	for _, c := range v {
		k := 0
		switch classOf(c) {
		case '0':
			k = 1
		case '.':
			continue
		default:
			c |= 0x20
		}
		if n[k]++; n[k] > 1 && (c == last[k]+1 || c == '0' && last[k] == '9' || c == 'a' && last[k] == 'z') {
			up[k]++
		}
		last[k] = c
	}
	return n[0] >= 4 && n[1] >= 4 && up[0]*10 >= (n[0]-1)*8 && up[1]*10 >= (n[1]-1)*8
}

// drawnOut reports whether most of v, at its end, is one short piece over and over, as in a
// prefix that is filled up.
func drawnOut(v []byte) bool {
	if len(v) < 12 {
		return false
	}
	for n := 1; n <= 4; n++ {
		i := len(v) - 1
		for i-n >= 0 && v[i] == v[i-n] {
			i--
		}
		if same := len(v) - 1 - i; same >= 8 && same*10 >= len(v)*6 {
			return true
		}
	}
	return false
}

// Repeated reports whether v is one short piece over and over.
func Repeated(v []byte) bool {
	for n := 1; n <= 4 && n*3 <= len(v); n++ {
		same := true
		for i := n; i < len(v) && same; i++ {
			same = v[i] == v[i-n]
		}
		if same {
			return true
		}
	}
	return false
}

// counted reports whether most of v goes up or down one by one, as 12345678
// and abcdefgh do.
func counted(v []byte) bool {
	steps := 0
	for i := 1; i < len(v); i++ {
		if d := int(v[i]) - int(v[i-1]); d == 1 || d == -1 || v[i] == '0' && v[i-1] == '9' {
			steps++
		}
	}
	return len(v) >= 4 && steps*10 >= (len(v)-1)*7
}

// IsUUID reports whether v is 8-4-4-4-12 hexadecimal digits.
func IsUUID(v []byte) bool {
	if len(v) != 36 {
		return false
	}
	for i, c := range v {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !IsHex(c) {
			return false
		}
	}
	return true
}

// IsHex reports whether c is a hexadecimal digit.
func IsHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// IsAlnum reports whether c is an ASCII letter or a digit.
func IsAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
