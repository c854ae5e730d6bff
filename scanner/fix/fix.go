// Package fix takes a hardcoded value out of a file and puts a reference in its
// place, in the file's own language: ${{ secrets.X }}, os.Getenv("X"), ${X:?}.
//
// It reads the file with a parser of its language, changes as few bytes as it can,
// and leaves alone, with the reason, what it does not understand: a value that stays
// is found again, a file that no longer parses is worse. It writes nothing itself
// and puts the value nowhere: whoever applies a fix has to keep the value, and its
// owner to rotate it.
//
// What each kind of file gets follows its documentation:
//
//	GitHub workflows   https://docs.github.com/actions/reference/workflows-and-actions/contexts#context-availability
//	Docker Compose     https://docs.docker.com/reference/compose-file/interpolation/
//	Dockerfile         https://docs.docker.com/reference/dockerfile/#run---mounttypesecret
//	Terraform          https://developer.hashicorp.com/terraform/language/values/variables
//	Kubernetes         https://external-secrets.io/latest/api/externalsecret/
//	npm                https://docs.npmjs.com/cli/configuring-npm/npmrc
package fix

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Place is a hardcoded value in a file.
type Place struct {
	Start, End int    // its bytes
	Name       string // of what takes its place, in upper snake case
}

// A Tree reads other files of the repository, by slash-separated paths. It returns
// nil for a file that is not there.
type Tree interface {
	File(path string) []byte
	List(dir string) []string // names in a directory
}

// A Result is a file without the values.
type Result struct {
	Data      []byte            // the file as it should be
	Untrack   bool              // the file stays as it is, and git no longer tracks it
	Moved     []Moved           // in order
	Left      []Left            // what was not moved, and why
	Others    map[string][]byte // other files to write, whole
	NextSteps []string          // for the user: where the value goes now
}

// Moved is a value that was taken out.
type Moved struct {
	Place
	Reference string
}

// Left is a value that stays in the file.
type Left struct {
	Place
	Why string
}

// MaxFile is the largest file that is mended.
const MaxFile = 4 << 20

// File takes the values at places out of a file. Errors say why the file as a whole
// cannot be mended.
func File(tree Tree, name string, data []byte, places []Place) (*Result, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("larger than %d bytes", MaxFile)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("it is not in UTF-8: take the value out by hand")
	}
	f := &file{tree: tree, path: name, data: data, result: &Result{Others: map[string][]byte{}}}
	f.places = slices.Clone(places)
	slices.SortFunc(f.places, func(a, b Place) int { return cmp.Compare(a.Start, b.Start) })
	f.places = slices.CompactFunc(f.places, func(p, before Place) bool { return p.Start < before.End })
	for _, p := range f.places {
		if p.Start < 0 || p.End > len(data) || p.Start >= p.End || p.Name == "" {
			return nil, fmt.Errorf("a place outside the file: %d to %d of %d", p.Start, p.End, len(data))
		}
	}
	k := kindOf(name, data)
	if k == nil {
		return nil, errors.New("there is no form of reference for this kind of file: take the value out by hand")
	}
	if err := k.mend(f); err != nil {
		return nil, err
	}
	f.result.Data = f.apply()
	if len(f.edits) > 0 && len(f.places) > 0 {
		if _, err := File(tree, name, f.result.Data, nil); err != nil {
			return nil, fmt.Errorf("a reference would break it (%w): take the value out by hand", err)
		}
	}
	slices.SortFunc(f.result.Moved, func(a, b Moved) int { return cmp.Compare(a.Start, b.Start) })
	slices.SortFunc(f.result.Left, func(a, b Left) int { return cmp.Compare(a.Start, b.Start) })
	return f.result, nil
}

// Reference is what File would write for a value of this name, "" if the kind of
// file has no form of reference.
func Reference(name string, data []byte, variable string) string {
	k := kindOf(name, data)
	if k == nil {
		return ""
	}
	return k.reference(variable)
}

// A file while it is mended.
type file struct {
	tree   Tree
	path   string
	data   []byte
	places []Place
	edits  []edit
	result *Result
}

// An edit replaces data[start:end].
type edit struct {
	start, end int
	text       string
}

func (f *file) edit(start, end int, text string) { f.edits = append(f.edits, edit{start, end, text}) }

func (f *file) moved(p Place, reference string) {
	f.result.Moved = append(f.result.Moved, Moved{p, reference})
}

// replace puts text in place of the value and records it.
func (f *file) replace(p Place, text, reference string) {
	f.edit(p.Start, p.End, text)
	f.moved(p, reference)
}

func (f *file) left(p Place, why string) { f.result.Left = append(f.result.Left, Left{p, why}) }

// next adds a step for the user, once.
func (f *file) next(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(f.result.NextSteps, s) {
		f.result.NextSteps = append(f.result.NextSteps, s)
	}
}

// apply returns the data with the edits. Insertions at one place stay in order.
func (f *file) apply() []byte {
	slices.SortStableFunc(f.edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	var out []byte
	at := 0
	for _, e := range f.edits {
		if e.start < at {
			continue // inside of what is gone already
		}
		out = append(append(out, f.data[at:e.start]...), e.text...)
		at = e.end
	}
	return append(out, f.data[at:]...)
}

// newline is the file's line end.
func (f *file) newline() string {
	if i := strings.IndexByte(string(f.data), '\n'); i > 0 && f.data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// lineStart returns where the line begins in which i lies, lineEnd where it ends,
// its newline excluded.
func (f *file) lineStart(i int) int {
	for i > 0 && f.data[i-1] != '\n' {
		i--
	}
	return i
}

func (f *file) lineEnd(i int) int {
	for i < len(f.data) && f.data[i] != '\n' {
		i++
	}
	return i
}

// A kind is a kind of file.
type kind struct {
	reference func(variable string) string
	mend      func(*file) error
}

// kindOf returns the kind of a file by its name and content, nil if it is none
// that has a form of reference.
func kindOf(name string, data []byte) *kind {
	base := strings.ToLower(path.Base(name))
	ext := path.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	yaml := ext == ".yml" || ext == ".yaml"
	switch {
	case yaml && strings.Contains("/"+name, "/.github/workflows/"):
		return &workflow
	case yaml && (stem == "compose" || strings.HasPrefix(stem, "compose.") || strings.HasPrefix(stem, "docker-compose")):
		return &compose
	case yaml && isKubernetes(data):
		return &kubernetes
	case base == "dockerfile" || base == "containerfile" || strings.HasPrefix(base, "dockerfile.") || ext == ".dockerfile":
		return &dockerfile
	case ext == ".tf":
		return &terraform
	case ext == ".tfvars":
		return &tfvars
	case base == ".npmrc" || base == "npmrc":
		return &npmrc
	case isEnvFile(base):
		return &envFile
	}
	if k := languages[ext]; k != nil {
		return k
	}
	if ext == ".sh" || ext == ".bash" || ext == ".ksh" || hasShellShebang(data) {
		return &shell
	}
	return nil
}

var languages = map[string]*kind{
	".go": &golang, ".py": &python, ".pyi": &python,
	".js": &javascript, ".mjs": &javascript, ".cjs": &javascript, ".jsx": &javascript,
	".ts": &typescript, ".mts": &typescript, ".cts": &typescript, ".tsx": &typescript,
	".java": &java, ".rb": &ruby, ".rake": &ruby,
}
