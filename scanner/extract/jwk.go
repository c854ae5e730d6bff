package extract

// maxJWK bounds a JSON Web Key around its kty, in bytes.
const maxJWK = 4 << 10

// JWK finds the private member of a JSON Web Key (RFC 7517), in JSON or as a literal of
// JavaScript, whose "kty" stands at t[i:end]: d of an RSA, EC or OKP key, k of an oct key.
func JWK(t []byte, i, end int) (Value, bool) {
	next := skip(t, end, "\"'\\")
	if next = skip(t, next, blanks); at(t, next) != ':' {
		return Value{}, false
	}
	kind, ok := jwkString(t, skip(t, next, ": \t\r\n"))
	if !ok {
		return Value{}, false
	}
	member := ""
	switch string(t[kind.Start:kind.End]) {
	case "RSA", "EC", "OKP":
		member = "d"
	case "oct":
		member = "k"
	default:
		return Value{}, false
	}
	return jwkMember(t, i, member)
}

// jwkMember finds a member of the object that position i is in.
func jwkMember(t []byte, i int, member string) (Value, bool) {
	from, to := i, i
	depth := indent(t, LineStart(t, i))
	for from > 0 && i-from < maxJWK && t[from-1] != '{' && t[from-1] != '}' {
		from--
	}
	for to < len(t) && to-i < maxJWK && t[to] != '{' && t[to] != '}' {
		to++
	}
	for j := from; j < to; j++ {
		if t[j] != member[0] || j > from && (isField(t[j-1]) && t[j-1] != ':') {
			continue
		}
		next := skip(t, skip(t, j+1, "\"'\\"), blanks)
		if at(t, next) != ':' {
			continue
		}
		if v, ok := jwkString(t, skip(t, next, ": \t\r\n")); ok && v.End-v.Start >= 20 && v.End <= to && (isQuote(t[v.Start-1]) || indent(t, LineStart(t, j)) == depth) {
			return Value{Span: v, Quoted: true}, true
		}
	}
	return Value{}, false
}

// jwkString reads a string of base64url digits at i, whose quotes may be escaped.
func jwkString(t []byte, i int) (Span, bool) {
	start := skip(t, i, "\\\"'")
	end := start
	plain := start == i // YAML
	for end < len(t) && end-start < maxValue && (isWord(t[end]) || t[end] == '-') {
		end++
	}
	if plain {
		return Span{start, end}, end > start && (end == len(t) || contains(spaces+"#", t[end]))
	}
	return Span{start, end}, end > start && contains("\\\"'", at(t, end))
}
