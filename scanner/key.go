package scanner

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Key is one value, with all the places where it stands.
type Key struct {
	Rule        *Rule
	Fingerprint string
	Former      []string // as of a Finding
	Redacted    string
	Severity    Severity
	Confidence  float64
	Facts       []Fact
	Expires     time.Time
	Places      []Place
	First       *Commit  // that first brought it, or nil if not known
	Commits     []string // the ids of those that brought it, as far as they were looked at
	AtHead      *bool    // whether it still stands at HEAD, or nil if not known
	Known       *Known   // why it is not counted: allowed, or in the baseline
	Pending     *Known   // an exception that a branch adds, which counts once it is merged
	rank        int
	at          map[location]bool // of Places, once there are many
}

// Fingerprints returns the fingerprints of a key under all peppers, the present one first.
func (k *Key) Fingerprints() []string { return append([]string{k.Fingerprint}, k.Former...) }

// A location is where a place is: chunks of a large file overlap, and find a key there
// twice.
type location struct {
	path      string
	line, col int
}

func (p *Place) location() location { return location{p.Path, p.Line, p.Col} }

// manyPlaces is how many places of a key are compared one by one.
const manyPlaces = 32

// has reports whether a key has a place already.
func (k *Key) has(p *Place) bool {
	if len(k.Places) < manyPlaces {
		return slices.ContainsFunc(k.Places, func(o Place) bool { return o.location() == p.location() })
	}
	if k.at == nil {
		k.at = map[location]bool{}
		for i := range k.Places {
			k.at[k.Places[i].location()] = true
		}
	}
	known := k.at[p.location()]
	k.at[p.location()] = true
	return known
}

// A Place is where a key stands.
type Place struct {
	Path         string
	Line, Col    int
	EndLine      int
	Start, End   int64   // the secret's bytes in the blob, End excluded
	Commit       *Commit // in which it was seen, or nil for files on disk
	Blob         string
	Decoded      string
	InTest       bool
	AllowComment *Allow
}

// A Commit is who brought a change, and when.
type Commit struct {
	ID     string
	Author string
	Date   time.Time
}

// Known says that people know of a key and why it is not to be reported.
type Known struct {
	By      string    // "comment", "policy", "baseline", or "remote": the remote already has it
	Where   string    // the file and line that say so, or the branch that has it
	Reason  string    // in their words
	Expires time.Time // zero for never
}

// maxCommits is how many commits a key names.
const maxCommits = 1000

// Keys collects findings into keys. The zero value is ready for use. It is not
// safe for concurrent use.
type Keys struct {
	byPrint map[string]*Key
}

// Add adds a finding. commit is what is known of the commit it was seen in, or nil.
func (ks *Keys) Add(f *Finding, commit *Commit) *Key {
	if ks.byPrint == nil {
		ks.byPrint = map[string]*Key{}
	}
	rank := (&compiled{Rule: f.Rule}).rank()
	k := ks.byPrint[f.Fingerprint]
	if k == nil {
		k = &Key{Fingerprint: f.Fingerprint, Former: f.Former, rank: -2, Severity: Low}
		ks.byPrint[f.Fingerprint] = k
	}
	if rank > k.rank || rank == k.rank && f.Rule.ID < k.Rule.ID {
		k.Rule, k.Redacted, k.rank = f.Rule, f.Redacted, rank
	}
	k.Confidence = max(k.Confidence, f.Confidence)
	if f.Severity().order() < k.Severity.order() {
		k.Severity = f.Severity()
	}
	for _, fact := range f.Facts {
		if !slices.Contains(k.Facts, fact) {
			k.Facts = append(k.Facts, fact)
		}
	}
	if k.Expires.IsZero() {
		k.Expires = f.Expires
	}
	p := Place{Path: f.Path, Line: f.Line, Col: f.Col, EndLine: f.EndLine, Start: f.Start, End: f.End, Commit: commit, Blob: f.Blob, Decoded: f.Decoded,
		InTest: f.InTest, AllowComment: f.Allow}
	if commit != nil && !slices.Contains(k.Commits, commit.ID) && len(k.Commits) < maxCommits {
		k.Commits = append(k.Commits, commit.ID)
	}
	if !k.has(&p) {
		k.Places = append(k.Places, p)
	}
	return k
}

// Sorted returns the keys, the gravest first, their places in order.
func (ks *Keys) Sorted() []*Key {
	out := make([]*Key, 0, len(ks.byPrint))
	for _, k := range ks.byPrint {
		slices.SortFunc(k.Places, func(a, b Place) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), strings.Compare(a.Blob, b.Blob))
		})
		slices.SortFunc(k.Facts, func(a, b Fact) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value)) })
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b *Key) int {
		return cmp.Or(
			cmp.Compare(a.Severity.order(), b.Severity.order()),
			strings.Compare(a.Places[0].Path, b.Places[0].Path),
			cmp.Compare(a.Places[0].Line, b.Places[0].Line),
			cmp.Compare(a.Places[0].Col, b.Places[0].Col),
			strings.Compare(a.Fingerprint, b.Fingerprint))
	})
	return out
}
