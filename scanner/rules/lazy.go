package rules

import (
	"bytes"
	"fmt"
	"io/fs"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"github.com/keyward/keyward/scanner"
)

// A stub is what of a rule is needed before its first candidate appears.
type stub struct {
	ID       string   `toml:"id"`
	Keywords []string `toml:"keywords"`
	Finder   string   `toml:"finder"`
	Paths    []string `toml:"paths"`
}

// Lazy returns the built-in rules as [Builtin] does, but reads of each only what
// tells whether it may apply; the scanner loads the rest when its first candidate
// appears. That takes a quarter of the time, and most commits need no more.
func Lazy() ([]scanner.Rule, error) {
	names, err := fs.Glob(builtin, "*.toml")
	if err != nil {
		return nil, err
	}
	var short []byte // the lines of all files that make up the stubs
	var of []func() ([]scanner.Rule, error)
	var place []int // of each rule within its file
	for _, name := range names {
		data, err := builtin.ReadFile(name)
		if err != nil {
			return nil, err
		}
		load := sync.OnceValues(func() ([]scanner.Rule, error) { return parse(name, data) })
		n := 0
		short, n = stubLines(short, data)
		for i := range n {
			of, place = append(of, load), append(place, i)
		}
	}
	var all struct {
		Rule []stub `toml:"rule"`
	}
	if err := toml.Unmarshal(short, &all); err != nil {
		return nil, fmt.Errorf("built-in rules: %w", position(err))
	}
	out := make([]scanner.Rule, len(all.Rule))
	for i, s := range all.Rule {
		if s.Finder != "" { // it has no candidates of its own: load it now
			list, err := of[i]()
			if err != nil {
				return nil, err
			}
			out[i] = list[place[i]]
			continue
		}
		out[i] = scanner.Rule{ID: s.ID, Keywords: s.Keywords, Paths: s.Paths, Load: func() (scanner.Rule, error) {
			list, err := of[i]()
			if err != nil {
				return scanner.Rule{}, err
			}
			return list[place[i]], nil
		}}
	}
	return out, nil
}

// stubLines appends the lines of a rules file that hold a stub's fields, and
// counts its rules. It knows the built-in files, where each field begins a line;
// a test holds the stubs equal to the rules.
func stubLines(dst, data []byte) (out []byte, rules int) {
	within := false // a list that spans lines
	for line := range bytes.Lines(data) {
		switch {
		case within:
		case bytes.HasPrefix(line, []byte("[[rule]]")):
			rules++
		case bytes.HasPrefix(line, []byte("keywords = ")), bytes.HasPrefix(line, []byte("paths = ")):
			within = true
		case bytes.HasPrefix(line, []byte("id = ")), bytes.HasPrefix(line, []byte("finder = ")):
		default:
			continue
		}
		dst = append(dst, line...)
		within = within && !bytes.HasSuffix(bytes.TrimSpace(line), []byte("]"))
	}
	return dst, rules
}
