package extract

import (
	"bytes"

	"github.com/keyward/keyward/scanner/score"
)

// maxDocument bounds a document of Kubernetes, in bytes, to both sides of its kind.
const maxDocument = 64 << 10

// A Setting is a name and the value that a document gives it.
type Setting struct {
	Name    Span
	Value   Value
	Encoded bool // in base64
}

// KubeSecret appends the entries of data and stringData of a Kubernetes Secret, whose kind
// stands at t[kind.Start:kind.End], in YAML or JSON. All are secret, whatever their names. It
// returns where the document ends: it need not be looked at again before that.
func KubeSecret(dst []Setting, t []byte, kind Span) (out []Setting, end int) {
	if !IsKind(t, kind) {
		return dst, kind.End
	}
	i := back(t, kind.Start, kindSigns)
	if i > 4 && isQuote(t[i-5]) {
		return jsonSecret(dst, t, i-5), objectEnd(t, i)
	}
	if end := skip(t, kind.End, "\"' \t\r"); end < len(t) && t[end] != '\n' && t[end] != '#' {
		return dst, kind.End
	}
	line := LineStart(t, i)
	depth := indent(t, line)
	from, to := yamlDocument(t, line)
	for i := from; i < to; {
		end := lineEnd(t, i, maxDocument)
		next := min(end+1, to)
		if indent(t, i) == depth && end > i {
			word, _, is := field(t, skip(t, i, " -"))
			key := t[word.Start:word.End]
			if is && (string(key) == "data" || string(key) == "stringData") {
				if after := skip(t, closeName(t, word.End), ": \t"); at(t, after) == '{' {
					dst = flow(dst, t[:end], after+1, string(key) == "data")
				}
				dst, next = entries(dst, t[:to], next, depth, string(key) == "data")
			}
		}
		if next <= i {
			break
		}
		i = next
	}
	return dst, to
}

// kindSigns may stand between "kind" and its value.
const kindSigns = "\"' \t:\\"

// IsKind reports whether a word is the kind of a Kubernetes document.
func IsKind(t []byte, word Span) bool {
	i := back(t, word.Start, kindSigns)
	return i >= 4 && i < word.Start && string(t[i-4:i]) == "kind"
}

// objectEnd returns where the object of JSON that position i is in may end: at the next kind.
func objectEnd(t []byte, i int) int {
	to := min(len(t), i+maxDocument)
	if n := bytes.Index(t[i:to], []byte(`"kind"`)); n >= 0 {
		return i + n
	}
	return to
}

// yamlDocument returns the YAML document of the line at i.
func yamlDocument(t []byte, i int) (from, to int) {
	from, to = max(0, i-maxDocument), min(len(t), i+maxDocument)
	if n := bytes.LastIndex(t[from:i], []byte("\n---")); n >= 0 {
		from += n + 1
	}
	if n := bytes.Index(t[i:to], []byte("\n---")); n >= 0 {
		to = i + n + 1
	}
	return from, to
}

// entries appends the entries of a mapping whose lines begin at i and are indented by more
// than depth, and returns where it ends.
func entries(dst []Setting, t []byte, i, depth int, encoded bool) ([]Setting, int) {
	for i < len(t) {
		end := lineEnd(t, i, maxDocument)
		start := skip(t, i, blanks)
		if start < end && t[start] != '\r' && t[start] != '#' {
			if start-i <= depth {
				return dst, i
			}
			if v, ok := entry(t, start, end); ok {
				v.Encoded = encoded && !(v.Value.Quoted && v.Value.Start > 3 && bytes.Contains(t[v.Name.End:v.Value.Start], []byte("{{")))
				dst = append(dst, v)
			}
		}
		i = end + 1
	}
	return dst, len(t)
}

// entry reads one "name: value" of a mapping.
func entry(t []byte, start, end int) (s Setting, ok bool) {
	if !isWord(t[start]) && !isQuote(t[start]) && t[start] != '.' {
		return Setting{}, false
	}
	var is bool
	var next int
	if s.Name, next, is = field(t, start); !is {
		return Setting{}, false
	}
	if at(t, next) == '{' && at(t, next+1) == '{' { // a template encodes it
		v, _, ok := literal(t, skip(t, next+2, "- \t"))
		s.Value = Value{v, score.Assignment, true}
		return s, ok && v.End > v.Start
	}
	if next > end || contains("|>", at(t, next)) || next > 0 && t[next-1] == '>' {
		after := closeName(t, s.Name.End)
		s.Value, ok = nextLine(t, s.Name, after)
		return s, ok
	}
	s.Value, ok = value(t, next, score.Assignment)
	return s, ok
}

// flow appends the entries of a mapping in braces: {a: b, c: d}.
func flow(dst []Setting, t []byte, i int, encoded bool) []Setting {
	for range 200 {
		i = skip(t, i, ", \t")
		if i >= len(t) || t[i] == '}' {
			break
		}
		name, next, is := field(t, i)
		if !is {
			break
		}
		v, ok := value(t, next, score.Assignment)
		if !ok {
			break
		}
		dst = append(dst, Setting{name, v, encoded})
		i = skip(t, v.End, "\"'")
	}
	return dst
}

// jsonSecret reads the data of a Secret in JSON, whose "kind" begins at i.
func jsonSecret(dst []Setting, t []byte, i int) []Setting {
	from, to := max(0, i-maxDocument), min(len(t), i+maxDocument)
	for _, name := range []string{`"data"`, `"stringData"`} {
		for at := from; at < to; {
			n := bytes.Index(t[at:to], []byte(name))
			if n < 0 {
				break
			}
			at += n + len(name)
			if j := skip(t, at, ": \t\r\n"); j < to && t[j] == '{' {
				dst = jsonEntries(dst, t[:to], j+1, name == `"data"`)
				break
			}
		}
	}
	return dst
}

// jsonEntries appends the strings of the object that begins at i.
func jsonEntries(dst []Setting, t []byte, i int, encoded bool) []Setting {
	for range 200 {
		i = skip(t, i, ", \t\r\n")
		if i >= len(t) || t[i] != '"' {
			break
		}
		name, next, is := field(t, i)
		if !is {
			break
		}
		v, after, ok := literal(t, next)
		if !ok {
			break
		}
		if v.End > v.Start {
			dst = append(dst, Setting{name, Value{v, score.Assignment, true}, encoded})
		}
		i = after
	}
	return dst
}

// StateSecret appends what a Terraform state says of a resource that makes a password, whose
// type stands at t[kind.Start:kind.End]: its results in the instances that follow.
func StateSecret(dst []Value, t []byte, kind Span) []Value {
	if before := back(t, kind.Start, "\": \t"); before < 4 || string(t[before-4:before]) != "type" {
		return dst
	}
	rest := t[kind.End:min(len(t), kind.End+maxDocument)]
	if n := bytes.Index(rest, []byte(`"type":`)); n >= 0 {
		rest = rest[:n]
	}
	for i := 0; i < len(rest); {
		n := bytes.Index(rest[i:], []byte(`"result"`))
		if n < 0 {
			break
		}
		i += n + len(`"result"`)
		if v, _, ok := literal(t, kind.End+skip(rest, i, ": \t")); ok && v.End > v.Start {
			dst = append(dst, Value{v, score.Pair, true})
		}
	}
	return dst
}

// Sensitive finds the value of an output that a Terraform state calls sensitive; "sensitive"
// ends at i.
func Sensitive(t []byte, i int) (name Span, v Value, ok bool) {
	j := skip(t, i, "\": \t")
	if j+4 > len(t) || string(t[j:j+4]) != "true" {
		return Span{}, Value{}, false
	}
	from := containerStart(t, max(0, i-len(`"sensitive"`)))
	v, ok = valueField(t, from, min(len(t), i+maxContainer), 0)
	if !ok || !v.Quoted || from < 2 {
		return Span{}, Value{}, false
	}
	end := back(t, from-1, "\": \t\r\n")
	return Span{end - len(wordBefore(t, end)), end}, v, true
}
