package extract

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/keyward/keyward/scanner/score"
)

//go:embed directives.txt
var directiveTable string

// A directive is one line of the table.
type directive struct {
	words  []string // after the first
	place  int
	split  bool // user:CREDENTIAL
	token  bool
	passed map[string]bool
}

// directives are those that begin with a word, by the word.
var directives = sync.OnceValue(func() map[string][]directive {
	out := map[string][]directive{}
	for line := range tableLines(directiveTable) {
		head, rest, _ := strings.Cut(line, ": ")
		place, passed, _ := strings.Cut(rest, " ")
		d := directive{passed: score.Set(strings.Trim(passed, "[]"))}
		place, d.token, d.split = flags(place)
		d.place, _ = strconv.Atoi(place) // the table's own test reads it
		first, further, _ := strings.Cut(head, " ")
		d.words = strings.Fields(further)
		out[first] = append(out[first], d)
	}
	return out
})

// Directives returns the words with which the directives begin that [Directive] knows.
func Directives() []string { return keywords(directives()) }

// Directive appends the credentials that stand after the word of a configuration file at
// t[i:end], without an operator between: rootpw VALUE. The word begins its line, apart from
// other words of the directive, and the line is short: it is no prose.
func Directive(dst []Arg, t []byte, i, end int) []Arg {
	var buf [40]byte
	known := directives()[string(lowerWord(buf[:], t[i:end]))]
	if len(known) == 0 || i > 0 && t[i-1] == ':' || !configLine(t, i) { // pass:password 2048
		return dst
	}
	for k := range known {
		d := &known[k]
		at, ok := d.follow(t, end)
		if !ok {
			continue
		}
		if v, ok := d.value(t, at); ok {
			dst = append(dst, Arg{Value: v, Name: Span{i, end}, Token: d.token})
		}
	}
	return dst
}

// configLine reports whether no more than twelve words stand before position i on its line,
// none of which ends a sentence.
func configLine(t []byte, i int) bool {
	start := LineStart(t, i)
	if i-start > 160 {
		return false
	}
	words := 0
	for j := start; j < i; j++ {
		switch c := t[j]; {
		case contains(blanks, c):
			words++
			j = skip(t, j, blanks) - 1
		case !isWord(c) && !contains("-/.:*#_@\"'[]", c):
			return false
		case c == '.' && contains(blanks, at(t, j+1)):
			return false
		}
	}
	return words <= 12
}

// follow matches the further words of a directive, and returns where its values begin.
func (d *directive) follow(t []byte, i int) (int, bool) {
	for _, want := range d.words {
		j := skip(t, i, blanks)
		word := configWord(t, j)
		if j == i || word.End == word.Start || want != "*" && !equalFold(t[word.Start:word.End], want) {
			return 0, false
		}
		i = word.End
	}
	return i, true
}

// value reads the word at the directive's place after i.
func (d *directive) value(t []byte, i int) (Value, bool) {
	for n := d.place; ; {
		j := skip(t, i, blanks)
		if j == i {
			return Value{}, false
		}
		if v, _, ok := literal(t, j); ok {
			return Value{v, score.Assignment, true}, n == 1 && v.End > v.Start
		}
		word := configWord(t, j)
		if word.End == word.Start {
			return Value{}, false
		}
		i = word.End
		if d.passed[string(t[word.Start:word.End])] {
			continue
		}
		if n--; n > 0 {
			continue
		}
		if d.split {
			var ok bool
			if word, ok = afterUser(t, word); !ok {
				return Value{}, false
			}
		}
		return Value{word, score.Assignment, false}, shortRest(t, word.End)
	}
}

// configWord reads the word at i up to white space, or to a semicolon that ends the line.
func configWord(t []byte, i int) Span {
	end := i
	for end < len(t) && end-i < maxValue && t[end] > ' ' {
		end++
	}
	if end > i && t[end-1] == ';' {
		end--
	}
	return Span{i, end}
}

// shortRest reports whether at most two words follow on the line.
func shortRest(t []byte, i int) bool {
	for n := 0; n <= 2; n++ {
		i = skip(t, i, blanks+";")
		if c := at(t, i); c == 0 || c == '\n' || c == '\r' {
			return true
		}
		i = configWord(t, i).End
	}
	return false
}

func equalFold(word []byte, low string) bool {
	return len(word) == len(low) && IndexFold(word, low) == 0
}

// Row finds the value of a name that begins its line and is followed by few words, as the
// settings of many programs have it: rootpw VALUE, or columns of names and values.
func Row(t []byte, name Span) (Value, bool) {
	start := skip(t, LineStart(t, name.Start), blanks+"\"")
	if start != name.Start {
		return Value{}, false
	}
	i := skip(t, name.End, "\"")
	j := skip(t, i, blanks)
	if j == i || j >= len(t) {
		return Value{}, false
	}
	v, ok := value(t, j, score.Assignment)
	if !ok {
		return Value{}, false
	}
	rest := skip(t, v.End, "\"'")
	return v, shortRest(t, rest)
}
