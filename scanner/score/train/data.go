package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/rules"
	"github.com/keyward/keyward/scanner/score"
)

// A label is what a person said of a value.
type label struct {
	Line     int    `json:"line"`
	EndLine  int    `json:"end_line"`
	Start    int    `json:"start"` // in characters
	End      int    `json:"end"`
	Truth    string `json:"truth"` // T a key, F none, X a test value or a placeholder
	Category string `json:"category"`
}

// An excerpt is a part of a file, with its labels.
type excerpt struct {
	Path      string  `json:"path"`
	StartLine int     `json:"start_line"`
	ColOffset *int    `json:"col_offset"`
	Text      string  `json:"text"`
	Labels    []label `json:"labels"`
}

// A file is put together of its excerpts, the lines between them empty.
type file struct {
	path   string
	repo   string // the first part of its path
	text   []byte
	labels []label
}

// load reads the labelled data: one excerpt a line, compressed.
func load(name string) ([]*file, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	by := map[string][]excerpt{}
	in := bufio.NewScanner(z)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e excerpt
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if e.ColOffset != nil { // a cut-out of a very long line
			ext := path.Ext(e.Path)
			e.Path = fmt.Sprintf("%s.col%d%s", strings.TrimSuffix(e.Path, ext), *e.ColOffset, ext)
		}
		by[e.Path] = append(by[e.Path], e)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var out []*file
	for p, list := range by {
		slices.SortStableFunc(list, func(a, b excerpt) int { return a.StartLine - b.StartLine })
		repo, _, _ := strings.Cut(p, "/")
		f := &file{path: p, repo: repo}
		var lines []string
		for _, e := range list {
			for len(lines) < e.StartLine-1 {
				lines = append(lines, "")
			}
			lines = append(lines, strings.Split(strings.TrimRight(e.Text, "\n"), "\n")...)
			f.labels = append(f.labels, e.Labels...)
		}
		f.text = []byte(strings.Join(lines, "\n") + "\n")
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

// A row is a candidate with what is known of it.
type row struct {
	file   *file
	line   int
	x      score.Vector
	key    bool // a person said so
	weight float64
	fold   int
	value  string // for people
	made   bool   // nobody wrote it: it is learned from, and not counted
}

// A place is where something was found: whole lines count.
type place struct {
	file      *file
	line, end int
}

// measure scans all files. It returns the candidates, and what rules found, which have
// formats of their own and no score.
func measure(files []*file) (rows []*row, found []place, err error) {
	list, err := rules.Builtin()
	if err != nil {
		return nil, nil, err
	}
	all, err := scanner.New(list, scanner.Options{})
	if err != nil {
		return nil, nil, err
	}
	formats := slices.DeleteFunc(slices.Clone(list), func(r scanner.Rule) bool { return r.Finder != "" })
	structured, err := scanner.New(formats, scanner.Options{})
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		b := scanner.Blob{Path: f.path, Data: f.text}
		hits, err := structured.Scan(nil, b)
		if err != nil {
			return nil, nil, err
		}
		for _, h := range hits {
			found = append(found, place{f, h.Line, h.EndLine})
		}
		at, line := 0, 1
		all.Candidates(b, func(start, end int, c *score.Candidate) {
			if start < at {
				at, line = 0, 1
			}
			line += bytes.Count(f.text[at:start], []byte("\n"))
			at = start
			r := &row{file: f, line: line, value: string(f.text[start:end])}
			c.Measure(&r.x)
			r.judge(start, end)
			if r.made = c.Refused; r.made && r.key {
				return // the scanner says so, whatever people said
			}
			rows = append(rows, r)
			if r.key {
				rows = append(rows, r.strong(c, len(rows)))
			}
		})
	}
	return rows, found, nil
}

// Weights of rows for learning.
const (
	plainRow     = 1
	unlabelled   = 0.4 // nobody looked at it: most likely no key
	madeRow      = 0.25
	besideAnyKey = 0 // its line has a key elsewhere: it can do no harm
)

// judge looks up what people said of the value.
func (r *row) judge(start, end int) {
	begin := bytes.LastIndexByte(r.file.text[:start], '\n') + 1
	from := utf8.RuneCount(r.file.text[begin:start])
	to := from + utf8.RuneCount(r.file.text[start:end])
	r.weight = unlabelled
	near := false
	for _, l := range r.file.labels {
		if r.line < l.Line || r.line > max(l.Line, l.EndLine) {
			continue
		}
		over := l.EndLine > l.Line || l.Start < to && from < l.End
		switch {
		case l.Truth == "T" && over && group(l.Category) != "identifiers":
			r.key, r.weight = true, plainRow
			return
		case l.Truth == "T" && over: // who it names is not who may act as it
			r.weight = 0.15
		case l.Truth == "T":
			near = true
		default:
			r.weight = plainRow
		}
	}
	if near {
		r.weight = besideAnyKey
	}
}

// folds deals the repositories out to n parts of about as many labels each: all rows of
// a repository are on one side.
func folds(files []*file, rows []*row, n int) {
	size := map[string]int{}
	for _, f := range files {
		size[f.repo] += len(f.labels)
	}
	var repos []string
	for r := range size {
		repos = append(repos, r)
	}
	slices.SortFunc(repos, func(a, b string) int {
		if size[a] != size[b] {
			return size[b] - size[a]
		}
		return int(hash(a)>>33) - int(hash(b)>>33)
	})
	fold, load := map[string]int{}, make([]int, n)
	for _, r := range repos {
		least := 0
		for i := range load {
			if load[i] < load[least] {
				least = i
			}
		}
		fold[r], load[least] = least, load[least]+size[r]
	}
	for _, r := range rows {
		r.fold = fold[r.file.repo]
	}
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}

// remembered is a password as people make them up: words, with capitals, digits and
// signs in and after them.
func remembered(rng *rand.Rand) []byte {
	words := strings.Fields("summer dragon river mountain silver coffee garden winter tiger planet castle orange thunder falcon window bridge harbor forest rocket copper station anchor velvet marble canyon ward keep mill stone north field lake moon")
	v := []byte(words[rng.IntN(len(words))])
	if rng.IntN(2) == 0 {
		v = append(v, words[rng.IntN(len(words))]...)
	}
	for i := range v {
		switch rng.IntN(8) {
		case 0:
			v[i] &^= 0x20
		case 1:
			v[i] = '0' + byte(rng.IntN(10))
		}
	}
	v = append(v, fmt.Sprint(rng.IntN(10_000))...)
	if rng.IntN(3) > 0 {
		v = append(v, "!@#$%&*?"[rng.IntN(8)])
	}
	return v
}

// strong is a key's row with a value drawn at random in place of what a person wrote.
// Most of the keys in the data are weak: what stands beside the same names elsewhere is
// not, and counts more surely.
func (r *row) strong(c *score.Candidate, seed int) *row {
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	const lower, upper, digit = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	alphabet, n := "", 0
	if c.Kind == score.Password || c.Kind == score.URL {
		alphabet, n = lower+upper+digit, 10+rng.IntN(15)
		if c.Kind == score.Password && rng.IntN(2) == 0 {
			alphabet += "!@#$%^&*-_+.!@#"
		}
	} else {
		switch rng.IntN(5) {
		case 0:
			alphabet, n = digit+"abcdef", []int{32, 40, 64}[rng.IntN(3)]
		case 1:
			alphabet, n = lower+upper+digit+"+/", 32+4*rng.IntN(12)
		case 2:
			alphabet, n = upper+"234567", 26+rng.IntN(30)
		case 3:
			alphabet, n = lower+upper+digit+"-_", 24+rng.IntN(24)
		default:
			alphabet, n = lower+upper+digit, 20+rng.IntN(30)
		}
	}
	v := make([]byte, n)
	for i := range v {
		v[i] = alphabet[rng.IntN(len(alphabet))]
	}
	if (c.Kind == score.Password || c.Kind == score.URL) && rng.IntN(2) == 0 {
		v = remembered(rng)
	}
	d := *c
	d.Value = v
	made := &row{file: r.file, line: r.line, key: true, weight: madeRow, made: true}
	d.Measure(&made.x)
	return made
}
