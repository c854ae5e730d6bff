package extract

import (
	"bytes"

	"github.com/keyward/keyward/scanner/score"
)

// fallback appends the strings that an expression gives as a default: after ??, ?:, ||, or,
// else, in the last argument of coalesce and getenv, as ${NAME:-default}. The expression
// begins with an operator at or after i and ends with its statement.
func fallback(dst []Value, t []byte, name Span, i int) []Value {
	if v, ok := expansion(t, name); ok {
		return append(dst, v)
	}
	i = skip(t, i, blanks)
	if i >= len(t) || !contains(":=,(|!+.?<", t[i]) {
		return dst
	}
	if t[i] == ',' && bytes.IndexByte(t[name.End:i], ')') >= 0 { // the call that has the name ends before: env('PASSWORD'),
		return dst
	}
	from := i
	end := statementEnd(t, from)
	if v, ok := shellDefault(t, from, end); ok {
		return append(dst, v)
	}
	for j, n := from, 0; j < end && n < 8; {
		if !isQuote(t[j]) {
			j++
			continue
		}
		v, next, ok := literal(t, j)
		if !ok {
			break
		}
		if n++; v.End > v.Start && next <= end && isDefault(t, from, prefixStart(t, j)) {
			dst = append(dst, Value{v, score.Assignment, true})
		}
		j = max(next, j+1)
	}
	return dst
}

// prefixStart returns where the prefix of a string that begins at i stands: b in b'…'.
func prefixStart(t []byte, i int) int {
	if i > 1 && contains("bBrRuUf@", t[i-1]) && !isWord(t[i-2]) {
		return i - 1
	}
	return i
}

// statementEnd returns where the statement of position i ends: at a semicolon or a line end
// outside of strings and brackets.
func statementEnd(t []byte, i int) int {
	depth := 0
	inside := t[i] == ',' // the name is an argument
	for j := i; j < len(t) && j-i < maxStatement; j++ {
		switch t[j] {
		case '"', '\'', '`':
			if _, next, ok := literal(t, j); ok {
				j = max(j, next-1)
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				return j
			}
		case ';':
			if depth <= 0 {
				return j
			}
		case '\n':
			if depth <= 0 && !inside && !goesOn(t, i, j) {
				return j
			}
		}
	}
	return min(len(t), i+maxStatement)
}

// goesOn reports whether an expression goes on after the line end at j, because an operator
// stands beside it.
func goesOn(t []byte, from, j int) bool {
	before := t[from:max(from, back(t, j, spaces+"\\"))]
	next := skip(t, j, spaces)
	for _, op := range []string{"??", "?:", "||", "|", "+"} {
		if bytes.HasSuffix(before, []byte(op)) || bytes.HasPrefix(t[next:], []byte(op)) {
			return true
		}
	}
	return bytes.HasSuffix(before, []byte(" or")) || bytes.HasPrefix(t[next:], []byte("or ")) || bytes.HasPrefix(t[next:], []byte("else "))
}

var (
	// defaultWords stand before a default.
	defaultWords = score.Set("or else default otherwise")
	// defaultFields are names of arguments and options that hold a default.
	defaultFields = score.Set("default defaultvalue defaultto fallback initial initialvalue devdefault ifmissing ifabsent")
	// firstDefaults are functions whose first argument is a default.
	firstDefaults = score.Set("unwrapor unwraporelse orelse orelseget getorelse valueor valueordefault ordefault default defaultto defaultvalue withdefault " +
		"fallback fallbackto ifempty ifnull ifblank getvalueordefault ornull or orelsegetvalue recover presence")
	// lastDefaults are functions whose arguments after the first are defaults.
	lastDefaults = score.Set("coalesce or get getenv env envor envdefault envordefault getenvdefault getenvordefault getenvor envstring fetch lookup try nvl ifnull isnull " +
		"getproperty getordefault getoption getstring getvalue config option default defaultto firstnonempty firstnotempty firstof first cmp iif dig setting getsetting environ " +
		"mustenv envget readenv requireenv property optional either pick prompt string stringvar stringp stringvarp")
)

// isDefault reports whether the string at i is a default within the expression t[from:i].
func isDefault(t []byte, from, i int) bool {
	b := t[from:max(from, back(t, i, spaces))]
	if len(b) == 0 {
		return false
	}
	for _, op := range []string{"??", "?:", "||", "??=", "||=", " //", "->", "=>"} {
		if bytes.HasSuffix(b, []byte(op)) && len(b) > len(op)+1 {
			return op != "->" && op != "=>" || bytes.HasSuffix(bytes.TrimRight(b[:len(b)-2], blanks), []byte(")"))
		}
	}
	switch last := b[len(b)-1]; {
	case last == '|': // unwrap_or_else(|_| "…")
		open := bytes.LastIndexByte(b[:len(b)-1], '|')
		return open > 0 && b[open-1] == '(' && in(firstDefaults, wordBefore(b, open-1))
	case isWord(last):
		word := wordBefore(t, from+len(b))
		return in(defaultWords, word) && len(word) < len(b)
	case last == '?':
		return len(b) > 2
	case last == ':' || last == '=':
		end := back(t, from+len(b)-1, blanks+"\"'")
		return last == ':' && bytes.Contains(b, []byte(" ? ")) || end > from && in(defaultFields, wordBefore(t, end))
	case last == '(' || last == '{':
		end := back(t, from+len(b)-1, blanks)
		word := wordBefore(t, end)
		return in(firstDefaults, word) || last == '{' && (in(defaultWords, word) || fetched(t[from:max(from, end)]))
	case last == ',':
		return in(lastDefaults, callee(t, from, from+len(b)-1))
	}
	return false
}

// fetched reports whether b ends in a call of fetch, whose block gives the default in Ruby.
func fetched(b []byte) bool {
	i := bytes.LastIndexByte(b, '(')
	return i > 0 && b[len(b)-1] == ')' && bytes.HasSuffix(b[:i], []byte("fetch"))
}

// callee returns the name of the function within whose arguments position i is.
func callee(t []byte, from, i int) []byte {
	depth := 0
	for j := i; j > from; j-- {
		switch t[j-1] {
		case ')', ']', '}':
			depth++
		case '(', '[', '{':
			if depth == 0 {
				if t[j-1] != '(' {
					return nil
				}
				end := back(t, j-1, blanks+"!")
				word := wordBefore(t, end)
				if end-len(word) > 0 && t[end-len(word)-1] == '.' && string(word) == "Or" { // cmp.Or
					return []byte("or")
				}
				return word
			}
			depth--
		}
	}
	return nil
}

// shellDefault finds the default in ${NAME:-default}, as shells and Compose have it, and in
// ${name:default}, as Spring does, at the beginning of t[i:end].
func shellDefault(t []byte, i, end int) (Value, bool) {
	i = skip(t, i, ":=, \t\"'(")
	if i+3 >= end || t[i] != '$' || t[i+1] != '{' {
		return Value{}, false
	}
	j := i + 2 + len(wordAt(t, i+2))
	if at(t, j) != '-' { // ${1-default}; names in Spring have dots and hyphens
		for j < end && isField(t[j]) && t[j] != ':' {
			j++
		}
	}
	return expanded(t, j, i+2, end)
}

// expansion finds the default in ${NAME:-default} for the name in it.
func expansion(t []byte, name Span) (Value, bool) {
	if name.Start < 2 || t[name.Start-1] != '{' || t[name.Start-2] != '$' {
		return Value{}, false
	}
	return expanded(t, name.End, name.Start, min(len(t), name.End+maxStatement))
}

// expanded reads the default of an expansion whose name ends at j.
func expanded(t []byte, j, start, end int) (Value, bool) {
	if j == start || j+1 >= end || t[j] != ':' && t[j] != '-' {
		return Value{}, false
	}
	if t[j] == '-' {
		j--
	}
	if j++; contains("-=+", t[j]) {
		j++
	} else if t[j] == '?' { // the message of an error
		return Value{}, false
	}
	j = skip(t, j, "\"'")
	k := j
	for k < end && t[k] != '}' && t[k] > ' ' {
		k++
	}
	if k >= end || t[k] != '}' {
		return Value{}, false
	}
	k = back(t, k, "\"'")
	return Value{Span{j, k}, score.Assignment, true}, k > j
}
