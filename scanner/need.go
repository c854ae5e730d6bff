package scanner

import (
	"math"
	"math/bits"
	"regexp/syntax"
	"strings"
)

// leastNeed is the length of the shortest run that is worth looking for.
const leastNeed = 8

// A need is a run of bytes that every match of an expression has in it: of the 40
// hexadecimal digits of a key, say. Words such as "ibm" or "customer" stand everywhere,
// a run like that on few lines; where there is none, the expression is neither compiled
// nor tried.
type need struct {
	set [256]bool
	n   int // how many bytes of the set stand side by side, at least
}

// needOf returns the run of an expression that is rarest in text, nil if it has none.
func needOf(re *syntax.Regexp) *need {
	_, best := runsOf(re)
	if best.min < leastNeed {
		return nil
	}
	d := &need{n: best.min}
	for c := range d.set {
		d.set[c] = best.set.has(byte(c))
	}
	return d
}

// in reports whether text has such a run. It looks at one byte in n where there is none.
func (d *need) in(text []byte) bool {
	for i := 0; i+d.n <= len(text); {
		j := i + d.n - 1
		for j >= i && d.set[text[j]] {
			j--
		}
		if j < i {
			return true
		}
		i = j + 1
	}
	return false
}

// A run is at least min bytes of a set.
type run struct {
	set byteSet
	min int
}

// rarity is how many bits of information a run is, were all bytes alike; none if it is
// too short to be looked for.
func (r *run) rarity() float64 {
	if r.min < leastNeed {
		return 0
	}
	n := 0
	for _, w := range r.set {
		n += bits.OnesCount32(w)
	}
	return float64(r.min) * (8 - math.Log2(float64(max(n, 1))))
}

func (r *run) unite(o *run) {
	for i := range r.set {
		r.set[i] |= o.set[i]
	}
}

// rarer returns the rarer of two runs.
func rarer(a, b run) run {
	if a.rarity() >= b.rarity() {
		return a
	}
	return b
}

// runsOf returns what all of a match of re is made of, and the rarest run in it.
func runsOf(re *syntax.Regexp) (whole, best run) {
	switch re.Op {
	case syntax.OpLiteral:
		whole = literalRun(re)
		return whole, whole
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			whole.set.addRange(re.Rune[i], re.Rune[i+1])
		}
		whole.min = 1
		return whole, whole
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		whole.set.addRange(0, 0xff)
		whole.min = 1
		return whole, whole
	case syntax.OpCapture:
		return runsOf(re.Sub[0])
	case syntax.OpStar, syntax.OpQuest:
		whole, _ = runsOf(re.Sub[0])
		whole.min = 0
		return whole, run{}
	case syntax.OpPlus:
		return runsOf(re.Sub[0])
	case syntax.OpRepeat:
		whole, best = runsOf(re.Sub[0])
		whole.min *= re.Min
		if re.Min == 0 {
			return whole, run{}
		}
		return whole, rarer(whole, best)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			w, b := runsOf(sub)
			whole.unite(&w)
			whole.min += w.min
			best = rarer(best, b)
		}
		return whole, rarer(best, whole)
	case syntax.OpAlternate:
		for i, sub := range re.Sub {
			w, b := runsOf(sub)
			if i == 0 {
				whole, best = w, b
				continue
			}
			whole.unite(&w)
			whole.min = min(whole.min, w.min)
			best.unite(&b)
			best.min = min(best.min, b.min)
		}
		return whole, rarer(best, whole)
	}
	return run{}, run{} // it matches between bytes, or nothing
}

// addRange adds the bytes that the runes from lo to hi are written with.
func (s *byteSet) addRange(lo, hi rune) {
	for c := lo; c <= min(hi, 0x7f); c++ {
		s.add(byte(c))
	}
	if hi >= 0x80 {
		s.addHigh()
	}
}

// addHigh adds all bytes of which runes beyond ASCII are made.
func (s *byteSet) addHigh() {
	for i := 4; i < len(s); i++ {
		s[i] = math.MaxUint32
	}
}

func literalRun(re *syntax.Regexp) (r run) {
	for _, c := range re.Rune {
		r.set.addRange(c, c)
		if re.Flags&syntax.FoldCase == 0 {
			continue
		}
		for _, f := range strings.ToLower(string(c)) + strings.ToUpper(string(c)) {
			r.set.addRange(f, f)
		}
		if c == 'k' || c == 'K' || c == 's' || c == 'S' { // signs beyond ASCII fold to them
			r.set.addHigh()
		}
	}
	r.min = len(re.Rune)
	return r
}
