package extract

import (
	"bytes"
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/keyward/keyward/scanner/score"
)

//go:embed calls.txt
var callTable string

// A parameter is where a function takes a credential.
type parameter struct {
	place int
	split bool // user:CREDENTIAL
	token bool
	whole bool // the function has this name, not only this end
}

// calls are the parameters of each function, by its name and the bracket after it.
var calls = sync.OnceValue(func() map[string][]parameter {
	out := map[string][]parameter{}
	for line := range tableLines(callTable) {
		i := strings.LastIndexByte(line, ' ') // new buffer 1
		name := line[:i]
		var p parameter
		var place string
		place, p.token, p.split = flags(line[i+1:])
		name, p.whole = strings.CutPrefix(name, "^")
		p.place, _ = strconv.Atoi(place) // the table's own test reads it
		key := name + "("
		if before, ok := strings.CutSuffix(name, "~"); ok {
			key = before + " "
		}
		out[key] = append(out[key], p)
	}
	return out
})

// Calls returns the names of the functions that [Call] knows, with the bracket that opens
// their arguments.
func Calls() []string { return keywords(calls()) }

// asks reports whether the verb that a function's name begins with says that it is given the
// name of a thing rather than a credential: deleteCredential, findCredential.
func asks(function []byte) bool {
	if IndexFold(function, "credential") < 0 {
		return false
	}
	for _, verb := range [...]string{"delete", "get", "find", "remove", "list", "load", "has", "save", "update", "revoke", "lookup"} {
		if len(function) > len(verb) && IndexFold(function[:len(verb)], verb) == 0 {
			return true
		}
	}
	return false
}

// Call appends the credentials among the arguments of a call of a known function. Its name,
// as in [Calls], stands at t[i:i+n].
func Call(dst []Arg, t []byte, i, n int) []Arg {
	var buf [40]byte
	params := calls()[string(lowerWord(buf[:], t[i:i+n]))]
	for k := range params {
		p := &params[k]
		if p.whole && i > 0 && (isWord(t[i-1]) || t[i-1] == '.') {
			continue
		}
		if !p.whole && asks(wordBefore(t, i+n-1)) {
			continue
		}
		place := p.place
		switch string(wordAt(t, skip(t, i+n, blanks))) {
		case "ctx", "context": // Go: it comes first
			place++
		case "this": // JavaScript: bind of a function
			continue
		}
		arg, ok := nth(t, i+n, place)
		if t[i+n-1] == ' ' {
			arg, ok = word(t, i+n, p.place)
		}
		if !ok || p.split && !authBeside(t, i) {
			continue
		}
		v, ok := stringIn(t, arg)
		if !ok {
			continue
		}
		if p.split {
			if v, ok = afterUser(t, v); !ok {
				continue
			}
		}
		dst = append(dst, Arg{Value: Value{v, score.Argument, true}, Token: p.token})
	}
	return dst
}

// CharArray appends the string before .toCharArray( at i: Java takes passwords so.
func CharArray(dst []Arg, t []byte, i int) []Arg {
	if i == 0 || t[i-1] != '"' {
		return dst
	}
	start := LineStart(t, i)
	q := bytes.LastIndexByte(t[start:i-1], '"')
	if q < 0 || start+q+1 >= i-1 {
		return dst
	}
	return append(dst, Arg{Value: Value{Span{start + q + 1, i - 1}, score.Argument, true}})
}

// authBeside reports whether the line before i speaks of authentication, or the text around
// it of the header for that.
func authBeside(t []byte, i int) bool {
	line := t[max(LineStart(t, i), i-160):i]
	for _, w := range [...]string{"auth", "basic", "cred", "header", "proxy"} {
		if IndexFold(line, w) >= 0 {
			return true
		}
	}
	around := t[max(0, i-200):min(len(t), i+200)]
	return IndexFold(around, "basic ") >= 0 || IndexFold(around, "authorization") >= 0
}

// nth returns the nth argument of the call whose arguments begin at i.
func nth(t []byte, i, n int) (Span, bool) {
	depth, start := 0, i
	for j := i; j < len(t) && j-i < maxStatement; j++ {
		switch t[j] {
		case '"', '\'', '`':
			_, next, ok := literal(t, j)
			if !ok {
				return Span{}, false
			}
			j = max(j, next-1)
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				return Span{start, j}, n == 1
			}
		case ',':
			if depth > 0 {
				continue
			}
			if n--; n == 0 {
				return Span{start, j}, true
			}
			start = j + 1
		}
	}
	return Span{}, false
}

// word returns the nth of the strings that follow a function without brackets, as in Ruby,
// Visual Basic and Haskell.
func word(t []byte, i, n int) (Span, bool) {
	for {
		i = skip(t, i, blanks)
		_, next, ok := literal(t, i)
		if !ok {
			return Span{}, false
		}
		if n--; n == 0 {
			return Span{i, next}, true
		}
		i = skip(t, next, ", \t")
	}
}

// stringIn returns the string that an argument is, perhaps converted: []byte("…"),
// Encoding.UTF8.GetBytes("…"), decode("…"). The argument of a function that looks something
// up is not a value.
func stringIn(t []byte, arg Span) (Span, bool) {
	i := skip(t, arg.Start, spaces)
	for j := i; j < arg.End; j++ {
		if !isQuote(t[j]) {
			if !isWord(t[j]) && !contains("()[]{}.&*: \t\r\n=@", t[j]) {
				return Span{}, false
			}
			continue
		}
		v, next, ok := literal(t, j)
		if !ok || v.End == v.Start {
			return Span{}, false
		}
		if looksUp(t[i:j]) || at(t, skip(t, next, blanks)) == '+' {
			return Span{}, false
		}
		return v, true
	}
	return Span{}, false
}

// looksUp reports whether what stands before a string is a call that takes a name and
// returns something else, or an index.
func looksUp(before []byte) bool {
	b := bytes.TrimRight(before, " \t\r\nbruBRUfF@")
	if len(b) == 0 {
		return false
	}
	if b[len(b)-1] == '[' {
		return true
	}
	word := wordBefore(b, len(bytes.TrimRight(b, "( \t")))
	for _, p := range [...]string{"get", "env", "lookup", "fetch", "load", "read", "ask", "open", "file", "config", "setting", "property", "find", "resolve",
		"param", "secret", "vault", "input", "prompt", "require", "import", "option", "var", "value", "query", "format", "sprintf"} {
		if IndexFold(word[:min(len(word), len(p))], p) == 0 && IndexFold(word, "getbytes") != 0 {
			return true
		}
	}
	return false
}
