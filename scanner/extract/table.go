package extract

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"
)

// tableLines yields the lines of a table but for comments and empty ones.
func tableLines(table string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(table) {
			line = strings.TrimSpace(line)
			if line != "" && line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

// keywords returns the words that the entries of a table are known by.
func keywords[T any](table map[string]T) []string { return slices.Collect(maps.Keys(table)) }

// flags separates the marks after a place of a credential: ! is a token rather than a
// password, a colon user:CREDENTIAL.
func flags(s string) (place string, token, split bool) {
	s, token = strings.CutSuffix(s, "!")
	s, split = strings.CutSuffix(s, ":")
	return s, token, split
}

// afterUser returns the credential of user:CREDENTIAL at v, false if no user is before it.
func afterUser(t []byte, v Span) (Span, bool) {
	i := bytes.IndexByte(t[v.Start:v.End], ':')
	return Span{v.Start + i + 1, v.End}, i > 0
}
