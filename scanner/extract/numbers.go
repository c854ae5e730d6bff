package extract

// leastBytes is how many bytes a key has at least that is written as numbers.
const leastBytes = 12

// Bytes reads a list of numbers that is assigned to a name which ends at i, as source code
// has raw keys: []byte{0xce, 0x5d, …}, { (byte) 0x2F, … }, [108, 147, …], "\xce\x5d…". It
// returns where the list stands and what it is, in the memory of dst.
func Bytes(dst []byte, t []byte, i int) (key []byte, where Span, ok bool) {
	i = skip(t, closeName(t, i), blanks)
	if at(t, i) == '[' { // aes_key[16], byte[] key
		for n := 0; n < 24 && i < len(t) && t[i] != ']' && t[i] != '\n'; n++ {
			i++
		}
		i = skip(t, i, "] \t")
	}
	if at(t, i) == ':' { // key: [u8; 16] = [1, 2, …]
		for j := i; j < len(t) && j-i < 40 && !contains("\n{\"',", t[j]); j++ {
			if t[j] == '=' {
				i = j
				break
			}
		}
	}
	if !contains(":=(", at(t, i)) {
		return nil, Span{}, false
	}
	open := i
	for open < len(t) && open-i < 80 && !contains("{[(\"'\\;,", t[open]) || open == i {
		open++
	}
	for open+1 < len(t) && open-i < 80 && (contains("[(", t[open]) || t[open] == '{') {
		if j := numberStart(t, open+1); j > 0 {
			return numbers(dst, t, j)
		}
		open++
		for open < len(t) && open-i < 80 && !contains("{[(\n;,", t[open]) {
			open++
		}
	}
	if isQuote(at(t, open)) {
		return escapes(dst, t, open+1)
	}
	return nil, Span{}, false
}

// numberStart returns where a number of a list begins at or after i, 0 if none does.
func numberStart(t []byte, i int) int {
	j := skip(t, i, spaces)
	n, next := number(t, j)
	if n < 0 || !contains(", \t\r\n", at(t, next)) {
		return 0
	}
	return j
}

// number reads one byte at i, in hexadecimal or decimal, perhaps signed or cast; n is -1 if
// there is none.
func number(t []byte, i int) (n, next int) {
	if at(t, i) == '(' { // (byte) 0x2F
		for n := 0; n < 16 && i < len(t) && t[i] != ')' && t[i] != '\n'; n++ {
			i++
		}
		i = skip(t, i, ") ")
	}
	negative := at(t, i) == '-'
	if negative {
		i++
	}
	start, base := i, 10
	if at(t, i) == '0' && at(t, i+1)|0x20 == 'x' {
		i, base = i+2, 16
		start = i
	}
	n = 0
	for i < len(t) && i-start < 4 {
		d := digit(t[i])
		if d < 0 || d >= base {
			break
		}
		n = n*base + d
		i++
	}
	if i == start || n > 255 {
		return -1, i
	}
	if negative {
		n = 256 - n
	}
	for at(t, i)|0x20 == 'u' || at(t, i)|0x20 == 'b' { // 0xcfu8
		i = skip(t, i, "uUbB8y")
	}
	return n, i
}

func digit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// numbers reads a list of numbers that begins at i and ends with a bracket.
func numbers(dst, t []byte, i int) (key []byte, where Span, ok bool) {
	where.Start = i
	for len(dst) < 256 {
		n, next := number(t, i)
		if n < 0 {
			return nil, Span{}, false
		}
		dst = append(dst, byte(n))
		where.End = next
		i = skip(t, next, ", \t\r\n")
		if contains("}])", at(t, i)) && i < len(t) {
			return dst, where, len(dst) >= leastBytes
		}
		if i == next {
			return nil, Span{}, false
		}
	}
	return nil, Span{}, false
}

// escapes reads a string of \x escapes alone that begins at i.
func escapes(dst, t []byte, i int) (key []byte, where Span, ok bool) {
	where.Start = i
	for i+3 < len(t) && t[i] == '\\' && t[i+1] == 'x' && digit(t[i+2]) >= 0 && digit(t[i+3]) >= 0 && len(dst) < 256 {
		dst = append(dst, byte(digit(t[i+2])<<4|digit(t[i+3])))
		i += 4
	}
	where.End = i
	return dst, where, len(dst) >= leastBytes && isQuote(at(t, i))
}

// Random reports whether a key looks as if it had been drawn by chance: it is no table of
// numbers that go up evenly or repeat, and no text.
func Random(key []byte) bool {
	var seen [256]bool
	different, steps, printable := 0, 0, 0
	for i, c := range key {
		if i > 1 && c-key[i-1] == key[i-1]-key[i-2] { // 00 11 22, and 01 02 03
			steps++
		}
		if !seen[c] {
			seen[c] = true
			different++
		}
		if i > 0 {
			if d := int(c) - int(key[i-1]); d >= -1 && d <= 1 {
				steps++
			}
		}
		if ' ' <= c && c < 0x7f {
			printable++
		}
	}
	n := len(key)
	return different*10 >= min(n, 64)*7 && steps*4 <= n && printable*10 <= n*8
}
