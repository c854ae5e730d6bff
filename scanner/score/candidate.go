// Package score says how likely it is that a value is a key.
//
// What has a format of its own is found by rules. The rest is judged here: a value
// that is assigned to a name, passed with a flag, written into a URL or a header. A
// look at the value, the name and the line gives a few dozen numbers, and a
// small model made of decision trees sums up what they say. Program train makes the
// model from labelled lines; nothing in it is set by hand, and each addend of a score
// can be told ([Model.Explain]).
//
// Everything here is pure and allocates nothing on the way to a score.
package score

// A Kind says which finder saw a candidate.
type Kind uint8

// The kinds, by what the name speaks of or where the value stands.
const (
	Key Kind = iota
	Password
	Provisioning
	URL
	Header
	Material // a key whose structure shows it; it is not scored
)

// A Form is how a value stands beside its name.
type Form uint8

// The forms.
const (
	Assignment Form = iota // name = value, name: value, "name": "value"
	Argument               // name("value"), ("name", "value")
	Element                // <name>value</name>
	Flag                   // --name value
	Pair                   // name: NAME, value: VALUE on the next line
	Userinfo               // scheme://user:VALUE@host
	Scheme                 // Authorization: Bearer VALUE
	Query                  // ?name=VALUE&
	Clause                 // IDENTIFIED BY 'VALUE'
	Sentence               // the token VALUE
)

// A FileKind is what kind of file a candidate stands in, by its name.
type FileKind uint8

// The kinds of files.
const (
	OtherFile FileKind = iota
	CodeFile
	ConfigFile
	DocumentFile
	ScriptFile
	TranslationFile
)

// A Candidate is a value that may be a key. It points into the text that is scanned.
type Candidate struct {
	Kind   Kind
	Form   Form
	Quoted bool
	InTest bool // the path is one of tests, examples or documentation
	File   FileKind
	// Refused says that the form of the value, or what stands around it, shows that it is no
	// key: programs that learn see it, and it is not scored.
	Refused bool
	Placed  bool // it stands where a command or a call takes a credential
	Name    *Name
	Value   []byte
	Before  []byte // of its line, the name too, at most MaxBeside bytes
	After   []byte // of its line, at most MaxBeside bytes
}

// MaxBeside is how much of a line is looked at on each side of a value.
const MaxBeside = 160
