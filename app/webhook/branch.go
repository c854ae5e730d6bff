package webhook

import (
	"strings"
	"unicode"

	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/guard"
)

// maxBranch is the longest name of a default branch that is stored, in bytes. GitHub's own
// limit for a ref is close to it.
const maxBranch = 255

// BranchName returns the name of a default branch as it may be stored and passed to git, or
// "" if it may not. Callers then use HEAD, which names the same branch on GitHub.
//
// A name is valid by the rules of git check-ref-format, so that it is never read as an
// option, a revision or a refspec. It has printable characters only, so that it cannot
// forge a line of a log or change the direction of text. A name that looks like a
// credential is not stored at all: people do paste credentials into names.
func BranchName(g *guard.Guard, name string) string {
	switch {
	case name == "" || len(name) > maxBranch || !git.ValidRef("refs/heads/"+name):
	case strings.ContainsFunc(name, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }): // the payload was not UTF-8
	case hasToken(name) || g.String(name) != name:
	default:
		return name
	}
	return ""
}

const (
	tokenLength  = 20
	tokenChanges = 4
)

// hasToken reports whether a name contains what looks random: a long run of letters and
// digits that alternates between the two. The guard knows the formats of providers; this
// is for credentials that have no format of their own.
func hasToken(name string) bool {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, word := range words {
		if len(word) >= tokenLength && changes(word) >= tokenChanges {
			return true
		}
	}
	return false
}

// changes counts how often a word changes from letters to digits or back.
func changes(word string) (n int) {
	last := unicode.IsDigit(rune(word[0]))
	for _, r := range word {
		if digit := unicode.IsDigit(r); digit != last {
			n++
			last = digit
		}
	}
	return n
}
