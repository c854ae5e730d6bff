package scanner

import (
	"bytes"
	"regexp"

	"github.com/keyward/keyward/scanner/score"
)

// Keyward's own texts hold fingerprints and MACs, in hexadecimal digits: in the hidden
// markers of issues and comments, in receipts and in baselines. Quoted in a comment, mailed
// or committed, they must not become findings. Nothing else is exempt: the fields have to be
// of the exact form, and only the generic rules pass them over.

// ownMarker is a whole marker with the fields that Keyward writes and no other, also as HTML shows it, and with the line ends and signs of
// quoting that a mail puts into it.
var ownMarker = regexp.MustCompile(`^(?:<|&lt;)!-- keyward v1` +
	`(?:[\s>]+key=[0-9a-f]{64})?(?:[\s>]+[a-z]{1,16}(?:=[0-9]{1,9})?)?(?:[\s>]+mac=[0-9a-f]{24})?` +
	`(?:[\s>]+after=[0-9]{1,9}[\s>]+to=[0-9]{1,9})?[\s>]+--(?:>|&gt;)`)

// ownFields are the names of the fields of receipts and baselines that hold digits.
var ownFields = []string{"fingerprint", "mac", "pepper"}

// maxMarker is how long a marker may be.
const maxMarker = 400

// own reports whether a value is a field of one of Keyward's own texts.
func (w *work) own(v span) bool {
	switch n := v.end - v.start; {
	case n != 64 && n != 24 && n != 12, !lowerHex(w.text[v.start:v.end]):
		return false
	}
	from := max(0, v.start-maxMarker)
	if i := bytes.LastIndex(w.text[from:v.start], []byte("!-- keyward v1")); i >= 0 {
		for _, open := range []int{1, 4} { // < or &lt;
			at := from + i - open
			if at < 0 {
				continue
			}
			if m := ownMarker.FindIndex(w.text[at:min(len(w.text), at+maxMarker)]); m != nil && at+m[1] > v.end {
				return true
			}
		}
	}
	name := w.name.Raw()
	for _, f := range ownFields {
		if string(name) == f {
			return w.ownDocument(v)
		}
	}
	return false
}

// ownDocument reports whether the text around a value is that of a baseline or a receipt.
func (w *work) ownDocument(v span) bool {
	const around = 2048
	near := w.text[max(0, v.start-around):min(len(w.text), v.end+around)]
	for _, sign := range []string{"# Keys that Keyward knows", "tells under which pepper the fingerprints were made", "where it stood when it was written down"} {
		if bytes.Contains(near, []byte(sign)) {
			return true
		}
	}
	return bytes.Contains(near, []byte(`"ledger"`)) && bytes.Contains(near, []byte(`"public_key"`)) && bytes.Contains(near, []byte(`"signature"`))
}

func lowerHex(v []byte) bool {
	for _, c := range v {
		if !score.IsHex(c) || c >= 'A' && c <= 'F' {
			return false
		}
	}
	return true
}
