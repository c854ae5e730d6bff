// Package guard is the last thing that what Keyward writes goes through: a key that
// stands in a path, an author's name, a broken file or a misused flag is cut down to
// its redacted form.
package guard

import (
	"bytes"
	"io"
	"slices"
	"sync"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/rules"
)

// A Guard redacts keys in text. Only rules whose format alone tells a key take part,
// so that nothing else changes. The zero value is ready; it is safe for concurrent use.
type Guard struct {
	once    sync.Once
	scanner *scanner.Scanner
}

// load makes the scanner of the guard, once, when there is something to write.
func (g *Guard) load() {
	all, err := rules.Builtin()
	if err != nil {
		return // the program ends with this very error
	}
	var own []scanner.Rule
	for _, r := range all {
		if r.Pattern != "" && !required(r.Near) && len(r.Paths) == 0 && !keyIDs[r.ID] {
			own = append(own, r)
		}
	}
	if s, err := scanner.New(own, scanner.Options{Loose: true}); err == nil {
		g.scanner = s
	}
}

// keyIDs are rules for identifiers that reports show on purpose.
var keyIDs = map[string]bool{"aws-access-key-id": true, "alibaba-access-key": true, "tencent-secret-id": true}

// Clean returns text with the keys in it redacted.
func (g *Guard) Clean(text []byte) []byte {
	g.once.Do(g.load)
	if g.scanner == nil {
		return text
	}
	found, _ := g.scanner.Scan(nil, scanner.Blob{Data: text}) // a gap only means that less was decoded
	if len(found) == 0 {
		return text
	}
	var out bytes.Buffer
	at := 0
	for i := range found {
		f := &found[i]
		if start, end := int(f.Start), int(f.End); start >= at {
			out.Write(text[at:start])
			out.WriteString(f.Redacted)
			at = end
		}
	}
	out.Write(text[at:])
	return out.Bytes()
}

// String is Clean for a string.
func (g *Guard) String(text string) string { return string(g.Clean([]byte(text))) }

// Writer returns a writer that cleans what is written in one call as a whole: reports
// are written at once.
func (g *Guard) Writer(w io.Writer) io.Writer { return writer{w, g} }

type writer struct {
	w io.Writer
	g *Guard
}

func (w writer) Write(p []byte) (int, error) {
	if _, err := w.w.Write(w.g.Clean(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// required reports whether a rule needs something near the key: then its format alone does
// not tell one.
func required(near []scanner.Near) bool {
	return slices.ContainsFunc(near, func(n scanner.Near) bool { return n.Required || n.Name != "" })
}
