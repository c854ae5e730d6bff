package scanner

import "iter"

// A Blob is a piece of text to scan: a file, an index entry, a git object, or
// a part of one.
type Blob struct {
	Path   string // slash-separated, relative to what is scanned
	Commit string // the commit it was read from, or empty
	ID     string // the git object it is, or empty
	Line   int    // number of its first line, from 1; 0 means 1
	Indent int    // bytes of its first line that stand before Data, of a line longer than a part
	Offset int64  // where Data begins in the whole, in bytes
	Data   []byte // owned by the consumer once yielded, until it calls Done
	// Encoding of a part that is not the first: the first one tells, and begins with the mark.
	Encoding Encoding
	Whole    bool // Data is all of what was read: no part, no archive's member, no pointer

	// Done, if not nil, says that Data is not needed any more, and whether the blob is
	// clean: nothing was found in it, and nothing left out. [Scanner.Run] calls it. Who
	// does not call it leaves Data to the garbage collector.
	Done func(clean bool)
}

// IsMessage reports whether a blob is the message of a commit: it belongs to the
// commit, and is not counted beside it.
func (b *Blob) IsMessage() bool { return b.Commit != "" && b.ID == b.Commit }

// CommitMessage is the path under which the message of a commit is scanned.
const CommitMessage = "commit message"

// A Source yields the blobs of a directory, an index, a range of commits. An
// error beside a zero Blob means something could not be read; the source may
// go on after it. A [*Gap] error is counted, any other ends the scan.
type Source = iter.Seq2[Blob, error]

// A Gap is something that was meant to be scanned and was not, or not wholly.
type Gap struct {
	Path   string // what was not scanned, relative to what is scanned
	Commit string
	Reason string // why, and what to do about it
}

func (g *Gap) Error() string {
	if g.Path == "" {
		return g.Reason
	}
	return g.Path + ": " + g.Reason
}
