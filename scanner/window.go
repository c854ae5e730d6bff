package scanner

import (
	"bytes"

	"github.com/keyward/keyward/scanner/score"
)

const (
	maxReach     = 64 << 10
	maxNearLines = 100
	looseReach   = 1500 // bytes around a keyword for rules of other scanners
)

// candidate looks for rule n around the keyword at pos: within the line, or
// within the rule's reach. What one window covers is not searched again.
func (w *work) candidate(n int32, pos int) {
	if pos < w.until[n] {
		return
	}
	c := w.s.rules[n]
	if c.read() != nil || !w.reaches(c) {
		w.skip(n)
		return
	}
	if c.lead != nil && !c.lead.fits(w.text, pos) {
		return
	}
	from, to, done := w.window(c, pos)
	if c.Check.Reach > 0 {
		w.stay()
	}
	last := 0
	if c.need == nil || c.need.in(w.text[from:to]) {
		if c.compile() != nil {
			w.skip(n)
			return
		}
		last = w.search(c, from, to)
	}
	w.touch(n)
	w.until[n] = max(done, last, pos+1)
}

// reaches reports whether a rule is for the path of the blob.
func (w *work) reaches(c *compiled) bool {
	return len(c.given.Paths) == 0 || c.compile() == nil && c.inPath(w.blob.Path)
}

// window returns the part of the text in which a match that contains the
// keyword at pos must lie, and the position up to which later keywords have
// their matches in it too.
func (w *work) window(c *compiled, pos int) (from, to, done int) {
	n := len(w.text)
	if c.Loose {
		return max(0, pos-looseReach), min(n, pos+2*looseReach), min(n, pos+looseReach)
	}
	if r := c.Check.Reach; r > 0 {
		return max(0, pos-r), min(n, pos+r), pos + 1
	}
	reach := c.width + 64
	from, to = max(0, pos-reach), min(n, pos+3*reach)
	if i := bytes.LastIndexByte(w.text[from:pos], '\n'); i >= 0 {
		from += i + 1
	}
	if i := bytes.IndexByte(w.text[pos:to], '\n'); i >= 0 {
		return from, pos + i, pos + i
	}
	if to == n {
		return from, to, to
	}
	return from, to, pos + 2*reach
}

func (w *work) touch(n int32) {
	if w.until[n] == 0 {
		w.touched = append(w.touched, n)
	}
}

// skip rules out rule n for the rest of this text.
func (w *work) skip(n int32) {
	w.touch(n)
	w.until[n] = len(w.text) + 1
}

func (c *compiled) inPath(path string) bool {
	if len(c.paths) == 0 {
		return true
	}
	for _, re := range c.paths {
		if re.MatchString(path) {
			return true
		}
	}
	return false
}

// Profile tells apart the paths at which the same content may give different
// findings: code or not, a test or not, in reach of a rule or an allowlist or not.
func (s *Scanner) Profile(path string) string {
	bits := []byte{mark(isCode(path)), mark(inTest(path)), mark(isGenerated(path, nil)), '0' + byte(score.FileKindOf(path, isCode(path)))}
	for _, c := range s.rules {
		if len(c.given.Paths) > 0 && c.compile() == nil {
			bits = append(bits, mark(c.inPath(path)))
		}
		for i := range c.given.Allow {
			bits = append(bits, mark(c.given.Allow[i].reaches(path)))
		}
	}
	for i := range s.opt.Allow {
		bits = append(bits, mark(s.opt.Allow[i].reaches(path)))
	}
	return string(bits)
}

func mark(b bool) byte { return '0' + byte(btoi(b)) }

// search records the matches of c in text[from:to] that pass its checks, and
// returns the end of the last match.
func (w *work) search(c *compiled, from, to int) (last int) {
	for _, m := range w.find(c, w.text[from:to]) {
		g := c.group
		if m[2*g] < 0 || g == 0 && !c.Loose { // no group is named: the first that took part
			g = firstGroup(m)
		}
		start, end := from+m[2*g], from+m[2*g+1]
		if c.Loose {
			start, end = trimSpace(w.text, start, end)
		}
		if start < end {
			w.match(c, span{start, end}, span{from + m[0], from + m[1]})
		}
		last = from + m[1]
	}
	return last
}

// firstGroup returns the first group that took part in the match, else 0.
func firstGroup(m []int) int {
	for g := 1; 2*g < len(m); g++ {
		if m[2*g] >= 0 {
			return g
		}
	}
	return 0
}

func trimSpace(text []byte, start, end int) (int, int) {
	for start < end && text[start] <= ' ' {
		start++
	}
	for start < end && text[end-1] <= ' ' {
		end--
	}
	return start, end
}

// match checks one match of c, cheap checks first, and keeps it as a hit.
func (w *work) match(c *compiled, secret, whole span) {
	v := w.text[secret.start:secret.end]
	why := ""
	var near, candidates []Fact
	bounded := !c.Loose && !w.s.opt.Loose
	switch {
	case bounded && secret.start == whole.start && !freeLeft(w.text, secret.start):
		why = "a letter or digit stands right before it"
	case bounded && secret.end == whole.end && !freeRight(w.text, secret.end, c.Check.Ends):
		why = "the value goes on after it"
	case c.Check.Entropy > 0 && score.Shannon(v) < c.Check.Entropy:
		why = "entropy below the rule's minimum"
	case !c.Loose && score.Placeholder(v):
		why = "a placeholder, not a key"
	case c.Check.Checksum != "" && !checksums[c.Check.Checksum](v):
		why = "its checksum is wrong"
	case c.Name != "" && plain(v):
		why = "a word, a path or a name, not a key"
	case c.Name != "" && misnamed(w.text, whole.start):
		why = "its name says that it is about a key, not one"
	default:
		w.stay()
		near, candidates, why = w.companions(c, secret)
	}
	if why == "" {
		why = w.excepted(c, secret, whole)
	}
	if why != "" {
		w.drop(c, secret, why)
		return
	}
	w.keep(hit{rule: c, span: secret, near: near, candidates: candidates, score: c.confidence(), rank: c.rank()})
}

// distance is how many bytes are between two spans, 0 if they overlap.
func (s span) distance(o span) int { return max(0, o.start-s.end, s.start-o.end) }

// lineSpan returns the whole lines around text[start:end] and n more on both
// sides, at most maxReach bytes each way.
func lineSpan(text []byte, start, end, n int) (from, to int) {
	from, to = start, end
	for i := 0; i <= n; i++ {
		j := bytes.LastIndexByte(text[max(0, start-maxReach):from], '\n')
		if j < 0 {
			from = max(0, start-maxReach)
			break
		}
		from = max(0, start-maxReach) + j
	}
	for i := 0; i <= n; i++ {
		stop := min(len(text), end+maxReach)
		j := bytes.IndexByte(text[min(to, stop):stop], '\n')
		if j < 0 {
			to = stop
			break
		}
		to += j + 1
	}
	return from, to
}

// confidence is how sure a match of the rule is a key.
func (c *compiled) confidence() float64 {
	switch {
	case c.Check.Checksum != "":
		return 0.99
	case c.Class == "generic":
		return 0.7
	case c.Name != "":
		return 0.85
	}
	return 0.95
}

// rank orders rules that saw the same value: the most specific names it.
func (c *compiled) rank() int {
	n := 0
	for _, k := range c.Keywords {
		n = max(n, min(len(k), 20))
	}
	switch {
	case c.Untrusted:
		return -1
	case c.Finder != "":
		return 0
	case c.Class == "generic":
		return 20 + n
	}
	if c.Check.Yields {
		return 40
	}
	n += 50
	if c.Check.Checksum != "" {
		n += 40
	}
	if c.Name == "" {
		n += 20
	}
	for _, near := range c.Near {
		if near.Required {
			n += 10
			break
		}
	}
	return n
}

// freeLeft reports whether a token may begin at i: no letter or digit stands
// before it, unless that is the end of an escape such as \n or %3D.
func freeLeft(text []byte, i int) bool {
	if i > encodedRun && text[i-1] == '+' && base64Run(text[i-1-encodedRun:i-1]) { // a piece of base64
		return false
	}
	if i == 0 || !score.IsAlnum(text[i-1]) {
		return true
	}
	if i >= 2 && text[i-2] == '\\' && bytes.IndexByte([]byte("nrtbf"), text[i-1]) >= 0 {
		return true
	}
	if i >= 3 && text[i-3] == '%' && score.IsHex(text[i-2]) && score.IsHex(text[i-1]) {
		return true
	}
	return i >= 6 && text[i-6] == '\\' && text[i-5] == 'u' && score.IsHex(text[i-2]) && score.IsHex(text[i-1])
}

// encodedRun is how many characters of base64 on one side make a match a piece of it.
const encodedRun = 24

// base64Run reports whether t is that many characters of base64.
func base64Run(t []byte) bool {
	if len(t) < encodedRun {
		return false
	}
	for _, c := range t {
		if !score.IsAlnum(c) && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// freeRight reports whether a token may end at i.
func freeRight(text []byte, i int, ends string) bool {
	if i >= len(text) {
		return true
	}
	c := text[i]
	if c == '+' && base64Run(text[i+1:min(len(text), i+1+encodedRun)]) { // a piece of base64
		return false
	}
	return !isWordByte(c) && bytes.IndexByte([]byte(ends), c) < 0
}
