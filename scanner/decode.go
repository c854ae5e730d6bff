package scanner

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/keyward/keyward/scanner/score"
)

const (
	maxDepth  = 3       // encodings within encodings
	leastRun  = 24      // shortest run of base64 or hexadecimal digits that is decoded
	maxLayer  = 1 << 20 // longest run that is decoded
	escapeRun = 4       // fewest \xXX in a word that are undone
)

// decode looks for keys inside the encoded parts of text[from:to], whole lines: base64 in both
// alphabets, hexadecimal, percent-encoding and \u escapes, nested to maxDepth.
// Only what decodes to text is looked at, and only as far as the budget goes.
func (w *work) decode(text []byte, from, to int, outer *layer) {
	depth := 0
	if outer != nil {
		depth = outer.depth
	}
	if depth >= maxDepth {
		return
	}
	joined := from // up to here wrapped lines were joined, and gave no text
	for at := from; ; {
		run, ok := nextRun(text[:to], at)
		if !ok {
			break
		}
		at = run.end
		if decoded, name := decodeRun(w.scratch[depth].text, text[run.start:min(run.end, run.start+maxLayer)]); decoded != nil {
			w.spent = w.spent || run.end-run.start > maxLayer
			if run.start >= joined {
				if whole, end := w.wrapped(text[:to], run); whole != nil {
					joined = end
					if more, kind := decodeRun(nil, whole); more != nil {
						at = end
						hits := len(w.hits)
						if w.enter(more, kind, span{run.start, end}, outer, depth); len(w.hits) > hits {
							continue
						}
						// What follows may be something else.
					}
				}
			}
			w.enter(decoded, name, run, outer, depth)
		}
	}
	w.escapes(text, from, to, outer, depth)
}

// leastLine is how long the lines of wrapped base64 are, at least; 64 and 76 are usual.
const leastLine = 40

// wrapped joins base64 that goes on over lines of one length, perhaps each in quotes. It
// returns nil if nothing follows the run, and where the last line ends.
func (w *work) wrapped(text []byte, run span) (joined []byte, end int) {
	width := run.end - run.start
	if width < leastLine || width > 1024 || text[run.end-1] == '=' {
		return nil, 0
	}
	for end = run.end; len(joined) < maxLayer; {
		from := nextWrapped(text, end)
		to := from
		for to < len(text) && runClass[text[to]] && to-from <= width {
			to++
		}
		for n := 0; n < 2 && to < len(text) && text[to] == '='; n++ {
			to++
		}
		if to == from || to-from > width {
			break
		}
		if joined == nil {
			joined = append(joined, text[run.start:run.end]...)
			w.stayAt(run.start)
		}
		joined = append(joined, text[from:to]...)
		if end = to; to-from < width {
			break
		}
	}
	return joined, end
}

// nextWrapped returns where the line after one of wrapped base64 begins that ends at i, or
// the end of the text: only one line end, quotes, signs that join strings and the
// beginning of a comment or a patch may stand between.
func nextWrapped(text []byte, i int) int {
	lines := 0
	for j := i; j < len(text) && j-i < 40; j++ {
		switch c := text[j]; {
		case c == '\n':
			if lines++; lines > 1 {
				return len(text)
			}
		case c == 'n' && text[j-1] == '\\' && lines == 0:
		case strings.IndexByte("bBrRuU", c) >= 0 && j+1 < len(text) && (text[j+1] == '"' || text[j+1] == '\''):
		case strings.IndexByte(" \t\r\"'`\\,.(;", c) >= 0:
		case (c == '+' || c == '#' || c == '*') && j+1 < len(text) && (text[j+1] == ' ' || text[j+1] == '\n' || text[j+1] == '\r'):
		default:
			if lines == 1 {
				return j
			}
			return len(text)
		}
	}
	return len(text)
}

// enter looks at a decoded text and what is encoded in it again.
func (w *work) enter(decoded []byte, name string, at span, outer *layer, depth int) {
	if len(decoded) > w.budget {
		w.spent = true
		return
	}
	w.budget -= len(decoded)
	if outer == nil {
		w.stayAt(at.start)
	}
	l := w.scratch[depth].layer
	if l == nil {
		l = new(layer)
	}
	*l = layer{name: name, text: decoded, outer: at, depth: depth + 1}
	if outer != nil {
		l.name, l.outer = outer.name+" > "+name, outer.outer
	}
	code, generated, hits := w.codeFile, w.generated, len(w.hits)
	w.codeFile, w.generated = false, false
	w.scratch[depth] = scratch{} // this layer is in use
	w.pass(decoded, l)
	w.decode(decoded, 0, len(decoded), l)
	w.codeFile, w.generated = code, generated
	if len(w.hits) == hits && w.explain == nil {
		w.scratch[depth] = scratch{l, decoded[:0]}
	}
}

// A scratch is what the next layer of a depth is made of: of the last one that nothing
// was found in.
type scratch struct {
	layer *layer
	text  []byte
}

// runClass marks the bytes of both base64 alphabets.
var runClass = func() (t [256]bool) {
	for c := range 256 {
		t[c] = score.IsAlnum(byte(c)) || c == '+' || c == '/' || c == '-' || c == '_'
	}
	return t
}()

// nextRun returns the next stretch of at least leastRun characters of base64
// at or after from. It looks at one byte in leastRun where there is none.
func nextRun(text []byte, from int) (span, bool) {
	for i := from; i+leastRun <= len(text); {
		j := i + leastRun - 1
		for j >= i && runClass[text[j]] {
			j--
		}
		if j >= i {
			i = j + 1
			continue
		}
		end := i + leastRun
		for end < len(text) && runClass[text[end]] {
			end++
		}
		for n := 0; n < 2 && end < len(text) && text[end] == '='; n++ {
			end++
		}
		return span{i, end}, true
	}
	return span{}, false
}

// decodeRun decodes a run as hexadecimal or base64 and returns the text in it,
// or nil. A look at its first characters rules out most names in code.
func decodeRun(dst, run []byte) ([]byte, string) {
	if run[0] == '-' && run[len(run)-1] == '-' {
		return nil, ""
	}
	if allHex(run) && len(run)%2 == 0 {
		out := slices.Grow(dst[:0], len(run)/2)[:len(run)/2]
		if _, err := hex.Decode(out, run); err == nil && textLike(out) {
			return out, "hex"
		}
	}
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(run, "-_") {
		enc = base64.RawURLEncoding
	}
	body := bytes.TrimRight(run, "=")
	var head [12]byte
	if n, err := enc.Decode(head[:], body[:16]); err != nil || !textLike(head[:n]) {
		return nil, ""
	}
	body = body[:len(body)-btoi(len(body)%4 == 1)]
	out := slices.Grow(dst[:0], enc.DecodedLen(len(body)))[:enc.DecodedLen(len(body))]
	n, err := enc.Decode(out, body)
	if err != nil && n < 12 {
		return nil, ""
	}
	if e, sure := EncodingOf(out[:n]); e != 0 && (sure || printableShare(out[:n]) <= 0.9) {
		return decodeWide(out[:n], e), "base64 > " + e.String()
	}
	if !textLike(out[:n]) {
		return nil, ""
	}
	return out[:n], "base64"
}

func allHex(v []byte) bool {
	for _, c := range v {
		if !score.IsHex(c) {
			return false
		}
	}
	return true
}

// textLike reports whether v is text rather than random bytes. UTF-16 counts.
func textLike(v []byte) bool {
	if printableShare(v) > 0.9 {
		return true
	}
	zero := bytes.Count(v, []byte{0})
	return zero*10 >= len(v)*4 && zero*10 <= len(v)*6
}

func printableShare(v []byte) float64 {
	if len(v) == 0 {
		return 0
	}
	n := 0
	for _, c := range v {
		if c >= 0x20 && c < 0x7f || c == '\n' || c == '\r' || c == '\t' {
			n++
		}
	}
	return float64(n) / float64(len(v))
}

// escapes undoes %XX and \uXXXX (and \xXX) on the lines that have many.
func (w *work) escapes(text []byte, from, to int, outer *layer, depth int) {
	for _, kind := range []struct{ mark, name string }{{"%", "percent"}, {`\u00`, "unicode escapes"}, {`\x`, "hex escapes"}} {
		mark := []byte(kind.mark)
		for at := from; at < to; {
			i := bytes.Index(text[at:to], mark)
			if i < 0 {
				break
			}
			if !escapeAt(text, at+i) {
				at += i + 1
				continue
			}
			from, to := escapedSpan(text, at+i)
			at = max(to, at+i+1)
			out, n := unescape(w.scratch[depth].text, text[from:to])
			w.scratch[depth].text = out[:0]
			if n == 0 || n < escapeRun && kind.mark == `\x` {
				continue
			}
			w.enter(out, kind.name, span{from, to}, outer, depth)
		}
	}
}

// escapeAt reports whether the mark at i begins an escape: %d and \x alone do not.
func escapeAt(text []byte, i int) bool {
	if text[i] == '\\' {
		i++ // of x or u
	}
	digits := 2
	if text[i] == 'u' {
		digits = 4
	}
	return i+digits < len(text) && allHex(text[i+1:i+1+digits])
}

// escapedSpan returns the stretch without white space or quotes around i.
func escapedSpan(text []byte, i int) (from, to int) {
	stop := func(c byte) bool { return c <= ' ' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>' }
	from, to = i, i
	for from > 0 && i-from < maxValue && !stop(text[from-1]) {
		from--
	}
	for to < len(text) && to-i < maxValue && !stop(text[to]) {
		to++
	}
	return from, to
}

// unescape undoes the escapes in v, in the memory of dst, and returns how many there were.
func unescape(dst, v []byte) (out []byte, n int) {
	out = slices.Grow(dst[:0], len(v))
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '%' && i+2 < len(v) && score.IsHex(v[i+1]) && score.IsHex(v[i+2]):
			out = append(out, hexByte(v[i+1])<<4|hexByte(v[i+2]))
			i += 2
			n++
		case v[i] == '\\' && i+3 < len(v) && v[i+1] == 'x' && score.IsHex(v[i+2]) && score.IsHex(v[i+3]):
			out = append(out, hexByte(v[i+2])<<4|hexByte(v[i+3]))
			i += 3
			n++
		case v[i] == '\\' && i+5 < len(v) && v[i+1] == 'u' && allHex(v[i+2:i+6]):
			r := rune(hexByte(v[i+2]))<<12 | rune(hexByte(v[i+3]))<<8 | rune(hexByte(v[i+4]))<<4 | rune(hexByte(v[i+5]))
			out = utf8.AppendRune(out, r)
			i += 5
			n++
		default:
			out = append(out, v[i])
		}
	}
	return out, n
}

func hexByte(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// sniffed is how many bytes of a blob tell whether it is text.
const sniffed = 8000

// looksBinary reports whether a NUL stands near the beginning, as git decides.
// Structured rules look into binary blobs, generic ones do not.
func looksBinary(text []byte) bool {
	return bytes.IndexByte(text[:min(len(text), sniffed)], 0) >= 0
}
