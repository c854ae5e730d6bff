package extract

import (
	"github.com/keyward/keyward/scanner/score"
)

// nameFields are the fields that hold the name of a setting, valueFields those that hold
// its value.
var (
	nameFields = score.Set("name key k parameterkey parametername paramname variable variablename var env envname envvar " +
		"property propertyname option optionname setting settingname header headername field fieldname attribute attributename id")
	valueFields = score.Set("value val v parametervalue paramvalue defaultvalue default content secretvalue stringvalue " +
		"initialvalue currentvalue plaintextvalue settingvalue optionvalue headervalue fieldvalue attributevalue")
)

// Sibling finds the value of a setting that is described by several fields, of which one
// holds the name: {"name": "API_TOKEN", "value": "…"}, ParameterKey and ParameterValue,
// <name>…</name><value>…</value>, in either order.
func Sibling(t []byte, name Span) (Value, bool) {
	if name.End < len(t) && !contains("\"'`<,\\ \t\r\n", t[name.End]) {
		return Value{}, false
	}
	field, isElement, ok := fieldOf(t, name.Start)
	if !ok || !in(nameFields, t[field.Start:field.End]) {
		return Value{}, false
	}
	depth := 0
	if isElement {
		depth = 1
		if string(t[field.Start:field.End]) == "key" {
			if v, ok := plistValue(t, name.End); ok {
				return v, true
			}
		}
	}
	after := skip(t, name.End, "\"'`\\")
	if v, ok := valueField(t, after, min(len(t), after+maxContainer), depth); ok {
		return v, true
	}
	from := containerStart(t, field.Start)
	return valueField(t, from, field.Start, 0)
}

// fieldOf returns the name of the field whose value begins at i, and whether it is an XML
// element.
func fieldOf(t []byte, i int) (field Span, isElement, ok bool) {
	i = back(t, i, "\"'`\\")
	j := back(t, i, blanks)
	if j == 0 {
		return Span{}, false, false
	}
	switch t[j-1] {
	case ':', '=':
		end := back(t, j, ":=> \t\"'`\\")
		return Span{end - len(wordBefore(t, end)), end}, false, true
	case '>':
		start := j - 1
		for start > 0 && j-start < 60 && t[start-1] != '<' && t[start-1] != '>' {
			start--
		}
		if start == 0 || t[start-1] != '<' {
			return Span{}, false, false
		}
		return Span{start, start + len(wordAt(t, start))}, true, true
	}
	return Span{}, false, false
}

// plistValue reads what follows a <key> of a property list: <string>, mostly.
func plistValue(t []byte, i int) (Value, bool) {
	for _, tag := range []string{"</key>", "<string>"} {
		i = skip(t, i, spaces)
		if i+len(tag) > len(t) || string(t[i:i+len(tag)]) != tag {
			return Value{}, false
		}
		i += len(tag)
	}
	return element(t, i)
}

// containerStart returns where the object, block, list item or tag begins that holds
// position i.
func containerStart(t []byte, i int) int {
	depth := 0
	for j := i; j > 0 && i-j < maxContainer; j-- {
		switch c := t[j-1]; {
		case c == '}' || c == ']':
			depth++
		case c == '{' || c == '[':
			if depth == 0 {
				return j
			}
			depth--
		case c == '<' && depth == 0 && j < len(t) && t[j] != '/':
			return j
		case c == '\n' && depth == 0 && (j >= 2 && t[j-2] == '\n' || startsItem(t, j)):
			return j
		}
	}
	return i
}

// startsItem reports whether the line at i begins an item of a YAML list.
func startsItem(t []byte, i int) bool {
	i = skip(t, i, blanks)
	return i+1 < len(t) && t[i] == '-' && t[i+1] == ' '
}

// valueField looks in t[i:stop] for a field that holds a value, until the container ends
// or another name begins. depth is how many XML elements are open.
func valueField(t []byte, i, stop, depth int) (Value, bool) {
	braces := 0
	for fields := 0; i < stop && fields < maxFields; {
		switch c := t[i]; {
		case c == '{' || c == '[':
			braces++
			i++
		case c == '}' || c == ']':
			if braces == 0 {
				return Value{}, false
			}
			braces--
			i++
		case c == '\n':
			i++
			if braces == 0 && (i < stop && t[i] == '\n' || startsItem(t, i)) {
				return Value{}, false
			}
		case c == '/' && i+1 < stop && t[i+1] == '>' && depth == 0:
			return Value{}, false
		case c == '<' && i+1 < stop && t[i+1] == '/':
			if depth--; depth < 0 {
				return Value{}, false
			}
			i = skipTag(t, i)
		case c == '<':
			tag := wordAt(t, i+1)
			i = skipTag(t, i)
			if in(valueFields, tag) {
				return element(t, i)
			}
			depth++
			fields++
		case isQuote(c) || isWord(c) || c == '\\' && i+1 < stop && isQuote(t[i+1]):
			v, next, is := field(t, i)
			if is && braces == 0 {
				fields++
				word := t[v.Start:v.End]
				if in(valueFields, word) {
					return value(t, next, score.Pair)
				}
				if in(nameFields, word) && string(word) != "id" {
					return Value{}, false
				}
			}
			i = max(next, i+1)
		default:
			i++
		}
	}
	return Value{}, false
}

// skipTag returns the position after the tag that begins at i.
func skipTag(t []byte, i int) int {
	for j := i; j < len(t) && j-i < 200; j++ {
		if t[j] == '>' {
			return j + 1
		}
	}
	return min(len(t), i+1)
}

// field reads a word or a string at i. It is the name of a field if an operator follows;
// then next is where its value begins.
func field(t []byte, i int) (word Span, next int, is bool) {
	if isQuote(t[i]) || t[i] == '\\' {
		v, after, ok := literal(t, i)
		if !ok {
			return Span{}, i + 1, false
		}
		word, next = v, after
	} else {
		end := i
		for end < len(t) && isField(t[end]) && t[end] != ':' {
			end++
		}
		word, next = Span{i, end}, end
	}
	j := skip(t, next, blanks)
	if j < len(t) && (t[j] == ':' || t[j] == '=') {
		return word, skip(t, j, ":=> \t\r\n"), true
	}
	return word, next, false
}

// nested finds the value inside the object, block or element that a name opens:
// {"api_token": {"value": "…"}}, variable "db_password" { default = "…" }, a parameter of a
// CloudFormation template or an input of an action with a default below it.
func nested(t []byte, name Span, after int) (Value, bool) {
	i := skip(t, after, blanks)
	if i >= len(t) {
		return Value{}, false
	}
	if t[i] == '>' { // <password><value>…
		j := skip(t, i+1, spaces)
		if j+1 < len(t) && t[j] == '<' && in(valueFields, wordAt(t, j+1)) {
			return element(t, skipTag(t, j))
		}
		return Value{}, false
	}
	if t[i] == ':' || t[i] == '=' {
		i = skip(t, i, ":=> \t")
	}
	if i >= len(t) {
		return Value{}, false
	}
	switch t[i] {
	case '{':
		return valueField(t, i+1, min(len(t), i+maxContainer), 0)
	case '\r', '\n':
		return blockField(t, name, i)
	}
	return Value{}, false
}

// blockField looks for a field with a value among the lines that are indented below the
// line of a name.
func blockField(t []byte, name Span, i int) (Value, bool) {
	start := LineStart(t, name.Start)
	if start+indent(t, start) != back(t, name.Start, "\"'") {
		return Value{}, false
	}
	outer, inner := indent(t, start), -1
	i = skip(t, i, "\r")
	for n := 0; n < maxFields && i < len(t); n++ {
		i++ // the line end
		at := skip(t, i, blanks)
		if at >= len(t) || at-i <= outer || startsItem(t, i) {
			return Value{}, false
		}
		if inner < 0 {
			inner = at - i
		}
		if at-i == inner && (isWord(t[at]) || isQuote(t[at])) {
			if v, next, is := field(t, at); is && in(valueFields, t[v.Start:v.End]) && t[next-1] != '\n' {
				return value(t, next, score.Pair)
			}
		}
		if i = lineEnd(t, at, 1000); i >= len(t) || t[i] != '\n' {
			break
		}
	}
	return Value{}, false
}
