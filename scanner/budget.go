package scanner

import (
	"cmp"
	"fmt"
	"strconv"
)

// A Budget bounds how much one scan lists and keeps, beside the bytes that it reads and
// the time that it takes. A repository is hostile input: a pack of 100 kB can hold trees
// that expand to ten million paths. A field that is 0 means the default of that field.
type Budget struct {
	Commits   int64 // commits that a listing names
	Parents   int64 // parents of one commit
	Changes   int64 // files and submodules that the commits add, change or delete, all together
	OneCommit int64 // of these, those of one commit; also the files of one tree and of the index
	PathBytes int64 // bytes of distinct paths
	Refs      int64 // refs that a scan of all refs, or a push, names
	Findings  int64 // findings, and locations of findings, that are kept
}

// Or returns b with the fields of other where b has none, and the defaults where neither
// has one. The defaults are meant for the command on a user's own machine: the history of
// Linux (1.3 million commits) stays far below them.
func (b Budget) Or(other Budget) Budget {
	return Budget{
		Commits:   cmp.Or(b.Commits, other.Commits, 5_000_000),
		Parents:   cmp.Or(b.Parents, other.Parents, 256),
		Changes:   cmp.Or(b.Changes, other.Changes, 30_000_000),
		OneCommit: cmp.Or(b.OneCommit, other.OneCommit, 1_000_000),
		PathBytes: cmp.Or(b.PathBytes, other.PathBytes, 512<<20),
		Refs:      cmp.Or(b.Refs, other.Refs, 1_000_000),
		Findings:  cmp.Or(b.Findings, other.Findings, 100_000),
	}
}

// A BudgetError says that a scan would exceed its budget. It is final: the same scan
// fails the same way the next time.
type BudgetError struct {
	What  string // what there are too many of, in the plural
	Count int64  // how many were counted before the scan stopped: there may be more
	Limit int64
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("at least %s %s, more than the limit of %s for one scan", grouped(e.Count), e.What, grouped(e.Limit))
}

// Exceeds returns a [*BudgetError] if count is over limit, else nil.
func Exceeds(what string, count, limit int64) error {
	if count <= limit {
		return nil
	}
	return &BudgetError{What: what, Count: count, Limit: limit}
}

// grouped formats a number with commas between the thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Collected are the findings of a scan, up to a limit.
type Collected struct {
	Findings []Finding
	limit    int64
	dropped  int64
}

// Collect returns an empty collection that keeps as many findings as the budget allows.
func (b Budget) Collect() *Collected { return &Collected{limit: b.Findings} }

// Add keeps a finding, or counts it if the limit is reached.
func (c *Collected) Add(f Finding) {
	if int64(len(c.Findings)) >= c.limit {
		c.dropped++
		return
	}
	c.Findings = append(c.Findings, f)
}

// Gap returns what is missing from the collection, or nil if nothing is.
func (c *Collected) Gap() *Gap {
	if c.dropped == 0 {
		return nil
	}
	kept := int64(len(c.Findings))
	return &Gap{Reason: fmt.Sprintf("%s findings, only the first %s are reported", grouped(kept+c.dropped), grouped(kept))}
}
