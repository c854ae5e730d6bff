package scanner

import (
	"regexp/syntax"
	"strings"
)

// A byteSet is a set of bytes.
type byteSet [8]uint32

func (s *byteSet) add(c byte)      { s[c>>5] |= 1 << (c & 31) }
func (s *byteSet) has(c byte) bool { return s[c>>5]>>(c&31)&1 != 0 }

// maxLead bounds how many bytes at the beginning of a match are known.
const maxLead = 24

// A lead is what every match of an expression begins with, byte by byte, as far as that
// is known: a look at a few bytes around a keyword says whether the expression has to be
// tried there. A keyword such as "st." stands everywhere, 24 hexadecimal digits after it
// hardly anywhere.
type lead struct {
	sets []byteSet
	at   int // where the keyword begins
}

// leadOf returns the lead of an expression whose matches begin with text that holds the
// keyword, which is lower case; nil if they do not. A match that has the keyword further
// on as well is found where it begins.
func leadOf(re *syntax.Regexp, keyword string) *lead {
	l := &lead{}
	l.walk(re)
	for at := 0; at+len(keyword) <= len(l.sets); at++ {
		if l.holds(keyword, at) {
			l.at = at
			if len(l.sets) > at+len(keyword) { // else it says no more than the keyword
				return l
			}
			return nil
		}
	}
	return nil
}

// holds reports whether every match has the keyword at a place.
func (l *lead) holds(keyword string, at int) bool {
	for i := range len(keyword) {
		low, up := keyword[i], strings.ToUpper(keyword[i : i+1])[0]
		n := 0
		for c := range 256 {
			if l.sets[at+i].has(byte(c)) {
				n++
				if byte(c) != low && byte(c) != up {
					return false
				}
			}
		}
		if n == 0 {
			return false
		}
	}
	return true
}

// walk appends what a match of re begins with, and reports whether what follows re
// follows at a known distance.
func (l *lead) walk(re *syntax.Regexp) bool {
	if len(l.sets) >= maxLead {
		return false
	}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	case syntax.OpLiteral:
		return l.literal(re)
	case syntax.OpCharClass:
		var s byteSet
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for c := re.Rune[i]; c <= re.Rune[i+1]; c++ {
				if c >= 0x80 { // of several bytes, or one in Latin-1
					return false
				}
				s.add(byte(c))
			}
		}
		l.sets = append(l.sets, s)
		return true
	case syntax.OpCapture:
		return l.walk(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !l.walk(sub) {
				return false
			}
		}
		return true
	case syntax.OpRepeat:
		for range min(re.Min, maxLead) {
			if !l.walk(re.Sub[0]) {
				return false
			}
		}
		return re.Max == re.Min
	case syntax.OpPlus:
		l.walk(re.Sub[0])
	}
	return false
}

func (l *lead) literal(re *syntax.Regexp) bool {
	for _, c := range re.Rune {
		if c >= 0x80 || len(l.sets) >= maxLead {
			return false
		}
		var s byteSet
		s.add(byte(c))
		if re.Flags&syntax.FoldCase != 0 {
			if c == 'k' || c == 'K' || c == 's' || c == 'S' { // Unicode folds signs of several bytes to them
				return false
			}
			s.add(strings.ToLower(string(c))[0])
			s.add(strings.ToUpper(string(c))[0])
		}
		l.sets = append(l.sets, s)
	}
	return true
}

// fits reports whether a match may begin so that its keyword stands at pos.
func (l *lead) fits(text []byte, pos int) bool {
	from := pos - l.at
	if from < 0 || from+len(l.sets) > len(text) {
		return false
	}
	for i := range l.sets {
		if !l.sets[i].has(text[from+i]) {
			return false
		}
	}
	return true
}
