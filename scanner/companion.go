package scanner

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/keyward/keyward/scanner/score"
)

// maxCandidates is how many values near a key may be its companion.
const maxCandidates = 8

// A companion is a value near a key that may belong to it: its id, its user, its host.
type companion struct {
	span
	value  string
	walls  int // between the key and it: ends of objects, blocks, sections, list items
	kin    int // how much its name has in common with the key's
	behind bool
	apart  int // bytes between them
}

// companions looks for what the rule wants near the key. Of each kind the one that belongs
// to the key by the structure of the document is a fact of it: of the same object, block or
// section, under a name with the same beginning or number; among equals the one on the same
// side as the first such pair, then the nearest. If two are alike in all that, none is a
// fact. All distinct values are candidates.
func (w *work) companions(c *compiled, key span) (facts, candidates []Fact, why string) {
	for i, n := range c.Near {
		from, to := lineSpan(w.text, key.start, key.end, n.Lines)
		g := max(c.near[i].SubexpIndex("secret"), 0)
		matches := c.near[i].FindAllSubmatchIndex(w.text[from:to], maxCandidates)
		if n.Absent {
			if len(matches) > 0 {
				return nil, nil, "what stands near it says that it is no key there"
			}
			continue
		}
		if len(matches) == 0 {
			if n.Required {
				return nil, nil, fmt.Sprintf("no %s within %d lines", cmp.Or(n.Name, "companion"), n.Lines)
			}
			continue
		}
		var found []companion
		for _, m := range matches {
			at := span{from + m[2*g], from + m[2*g+1]}
			if n.Name == "" || m[2*g] < 0 || score.Placeholder(w.text[at.start:at.end]) {
				continue
			}
			o := w.companion(key, at)
			found = append(found, o)
			if f := (Fact{n.Name, o.value}); !slices.Contains(candidates, f) {
				candidates = append(candidates, f)
			}
		}
		if o := w.belonging(found, key, from); o != nil {
			facts = append(facts, Fact{n.Name, o.value})
		}
	}
	return facts, candidates, ""
}

// companion says how a value stands to a key.
func (w *work) companion(key, at span) companion {
	o := companion{span: at, value: string(w.text[at.start:at.end]), apart: key.distance(at), behind: at.start > key.start}
	between := w.text[min(key.end, at.end):max(key.start, at.start)]
	if key.overlaps(at) {
		between = nil
	}
	o.walls = walls(between) + dedents(w.text, min(key.end, at.end), max(key.start, at.start))
	o.kin = kinship(nameBefore(w.text, key.start), nameBefore(w.text, at.start))
	return o
}

// belonging returns the companion that belongs to the key, nil if no one does or several may.
func (w *work) belonging(found []companion, key span, from int) *companion {
	if len(found) == 0 {
		return nil
	}
	first := slices.MinFunc(found, func(a, b companion) int { return cmp.Compare(a.start, b.start) })
	behind := false // in the first pair the id stands behind its key
	if name := nameBefore(w.text, key.start); len(name) > 0 {
		i := bytes.Index(w.text[from:], name)
		behind = i >= 0 && from+i < first.start
	}
	side := func(o *companion) int { return btoi(o.behind != behind) }
	order := func(a, b companion) int {
		return cmp.Or(cmp.Compare(a.walls, b.walls), -cmp.Compare(a.kin, b.kin), cmp.Compare(side(&a), side(&b)), cmp.Compare(a.apart, b.apart))
	}
	slices.SortFunc(found, order)
	if len(found) > 1 && found[1].value != found[0].value && order(found[0], found[1]) == 0 {
		return nil
	}
	return &found[0]
}

// walls counts what separates two values in the text between them: blank lines, headers of
// sections, items of a list, and brackets that close or open one side only.
func walls(between []byte) int {
	n, depth, least := 0, 0, 0
	first := true
	for line := range bytes.Lines(between) {
		trimmed := bytes.TrimSpace(line)
		switch {
		case first: // the rest of a line
		case len(trimmed) == 0 && line[len(line)-1] == '\n':
			n++
		case len(trimmed) > 0 && trimmed[0] == '[' && bytes.IndexByte(trimmed, ']') > 0, bytes.HasPrefix(trimmed, []byte("- ")), bytes.HasPrefix(trimmed, []byte("---")):
			n += 2
		}
		first = false
		for _, c := range line {
			switch c {
			case '{', '(', '[':
				depth++
			case '}', ')', ']':
				depth--
				least = min(least, depth)
			}
		}
	}
	return n + 2*-least + 2*(depth-least)
}

// dedents counts the lines between two values that are indented less than both of theirs: a
// name on such a line opens another block.
func dedents(text []byte, from, to int) (n int) {
	if from >= to || bytes.IndexByte(text[from:to], '\n') < 0 {
		return 0
	}
	least := min(indentOf(text, from), indentOf(text, to))
	lines := bytes.Split(text[from:to], []byte("\n"))
	for _, line := range lines[1 : len(lines)-1] {
		if trimmed := bytes.TrimLeft(line, " \t"); len(trimmed) > 0 && len(line)-len(trimmed) < least {
			n = 2
		}
	}
	return n
}

// indentOf returns how far the line of position i is indented.
func indentOf(text []byte, i int) int {
	from := bytes.LastIndexByte(text[:i], '\n') + 1
	n := 0
	for from+n < len(text) && (text[from+n] == ' ' || text[from+n] == '\t') {
		n++
	}
	return n
}

// nameBefore returns the name that the value at i is assigned to, if it stands on its line.
func nameBefore(text []byte, i int) []byte {
	from := max(0, i-120)
	if n := bytes.LastIndexByte(text[from:i], '\n'); n >= 0 {
		from += n + 1
	}
	end := i
	for end > from && !isWordByte(text[end-1]) {
		end--
	}
	start := end
	for start > from && isNameByte(text[start-1]) {
		start--
	}
	return text[start:end]
}

// kinship is how much two names have in common that names of other pairs need not have: the
// words at their beginning, and a number at their end.
func kinship(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && n < len(b) && score.IsAlnum(a[n-1]) { // whole words
		n--
	}
	x, y := number(a), number(b)
	if len(x) > 0 || len(y) > 0 {
		if bytes.Equal(x, y) {
			return n + 100
		}
		return n - 100
	}
	return n
}

// number returns the digits at the end of a name.
func number(name []byte) []byte {
	i := len(name)
	for i > 0 && '0' <= name[i-1] && name[i-1] <= '9' {
		i--
	}
	return name[i:]
}
