package hooks

import (
	"bytes"
	"io"
	"sync"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/rules"
)

// A guard is the last thing that everything the command writes goes through: a
// key that stands in a path, an author's name, a broken file or a misused flag
// is cut down to its redacted form. Only rules whose format alone tells a key
// take part, so that nothing else changes.
type guard struct {
	once    sync.Once
	scanner *scanner.Scanner
}

// load makes the scanner of the guard, once, when there is something to write.
func (g *guard) load() {
	all, err := rules.Builtin()
	if err != nil {
		return // the command ends with this very error
	}
	var own []scanner.Rule
	for _, r := range all {
		if r.Pattern != "" && len(r.Near) == 0 && len(r.Paths) == 0 && !keyIDs[r.ID] {
			own = append(own, r)
		}
	}
	if s, err := scanner.New(own, scanner.Options{Loose: true}); err == nil {
		g.scanner = s
	}
}

// keyIDs are rules for identifiers that reports show on purpose.
var keyIDs = map[string]bool{"aws-access-key-id": true}

// clean returns text with the keys in it redacted.
func (g *guard) clean(text []byte) []byte {
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

// A guarded writer cleans what is written in one call as a whole: reports are
// written at once.
type guardedWriter struct {
	w io.Writer
	g *guard
}

func (w guardedWriter) Write(p []byte) (int, error) {
	if _, err := w.w.Write(w.g.clean(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
