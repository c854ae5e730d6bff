package score

import _ "embed"

// triples is how usual each three letters in a row are, on a scale of logarithms from
// 0, never seen, to 9. A place is made of letters a to z as 1 to 26, and 0 for the
// beginning or the end of a word. Program train/letters counted them in the source of
// the Go distribution, each word of a file once.
//
//go:embed letters.txt
var triples string

// A Reading says how much the letters of a value read like words. Runs of fewer than
// three letters say nothing.
type Reading struct {
	Mean     float64 // of the triples, 0 to 9; -1 if there are none
	Least    float64 // of the rarest two triples; -1 if there are none
	Rare     float64 // share of triples that are hardly ever seen
	Runs     int     // of letters of one case, a capital before them counted in
	Readable float64 // share of the value that stands in runs that read like words
	Vowels   float64 // share of letters
}

// readable is the mean of triples from which on a run reads like a word.
const readable = 5.5

// Read reads the letters of v.
func Read(v []byte) Reading {
	r := Reading{Mean: -1, Least: -1}
	sum, n, rare, letters, vowels, covered := 0, 0, 0, 0, 0, 0
	least, second := 9, 9
	for i := 0; i < len(v); {
		if Letter(v[i]) == 0 {
			i++
			continue
		}
		j := RunEnd(v, i)
		r.Runs++
		a, b, run := 0, 0, 0
		for k := i; k <= j; k++ {
			c := 0
			if k < j {
				c = Letter(v[k])
				letters++
				if c == 1 || c == 5 || c == 9 || c == 15 || c == 21 || c == 25 {
					vowels++
				}
			}
			if k > i && j-i > 2 {
				t := int(triples[Triple(a, b, c)] - '0')
				run += t
				if t <= 2 {
					rare++
				}
				if t < least {
					least, second = t, least
				} else if t < second {
					second = t
				}
			}
			a, b = b, c
		}
		if j-i > 2 {
			sum, n = sum+run, n+j-i
			if float64(run) >= readable*float64(j-i) {
				covered += j - i
			}
		}
		i = j
	}
	if n > 0 {
		r.Mean, r.Rare = float64(sum)/float64(n), float64(rare)/float64(n)
		r.Least = float64(least+second) / 2
		r.Readable = float64(covered) / float64(len(v))
	}
	if letters > 0 {
		r.Vowels = float64(vowels) / float64(letters)
	}
	return r
}

// RunEnd returns where the run of letters ends that begins at i: all of one case, but
// for a capital at its beginning.
func RunEnd[T []byte | string](v T, i int) int {
	j := i + 1
	for ; j < len(v); j++ {
		c, p := v[j], v[j-1]
		switch {
		case 'a' <= c && c <= 'z' && ('a' <= p && p <= 'z' || j == i+1):
		case 'A' <= c && c <= 'Z' && 'A' <= p && p <= 'Z':
		default:
			return j
		}
	}
	return j
}

// Letter is the number of an ASCII letter, from 1, whatever its case; 0 for what is none.
func Letter(c byte) int {
	if c |= 0x20; c < 'a' || c > 'z' {
		return 0
	}
	return int(c-'a') + 1
}

// Triple is the place of three letters, by number, in a table of all; 0 stands for the
// beginning or the end of a run.
func Triple(a, b, c int) int { return (a*27+b)*27 + c }

// AllTriples is how many there are.
const AllTriples = 27 * 27 * 27
