package scanner

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"
)

// A private key in PEM stands in files in many writings: with escaped line ends, in the
// strings of a program, in comments, in HTML, on one line. Here each becomes the same text,
// so that it is one key with one fingerprint.

// lineEnd is a line end as strings and documents write it.
var lineEnd = regexp.MustCompile(`(?i)\\{1,2}r\\{1,2}n|\\{1,2}[nr]|\\{1,2}u000[ad]|\\{1,2}x0[ad]|\\0?1[25]|&#(?:1[03]|x0?[ad]);|&newline;|<br\s?/?>|%0[ad]|\r`)

// pemMarker is the line at the beginning or the end of a PEM block.
var pemMarker = regexp.MustCompile(`-----(?:BEGIN|END) [A-Z0-9 ]{3,40}-----`)

// linePrefixes may stand before each line of a block: signs of comments, of quoting and of
// patches.
var linePrefixes = []string{"//", "#", "*", "--", ";;", ";", ">", "|", "%", "!", "+", "-", "'", "rem ", "REM "}

// unescapePEM gives each line of a PEM block a line end of its own, and drops what belongs to
// the text around it.
func unescapePEM(v []byte) []byte {
	v = lineEnd.ReplaceAll(v, []byte("\n"))
	v = pemMarker.ReplaceAll(v, []byte("\n$0\n"))
	prefix := sharedPrefix(v)
	var out []byte
	for line := range bytes.Lines(v) {
		line = withoutJoins(bytes.TrimPrefix(bytes.Trim(line, aroundPEM), []byte(prefix)))
		if len(line) == 0 {
			continue
		}
		if bytes.HasPrefix(line, []byte("-----")) || bytes.IndexByte(line, ':') >= 0 {
			out = append(append(out, line...), '\n')
			continue
		}
		for part := range bytes.FieldsSeq(line) { // lines joined by spaces
			out = append(append(out, part...), '\n')
		}
	}
	return out
}

// aroundPEM are the bytes that indentation, strings and lists put around a line.
const aroundPEM = " \t\r\n\"',\\`"

// sharedPrefix returns the prefix that all lines of a block have after its first.
func sharedPrefix(v []byte) string {
	for _, p := range linePrefixes {
		n, all := 0, true
		for line := range bytes.Lines(v) {
			line = bytes.Trim(line, aroundPEM)
			if len(line) == 0 {
				continue
			}
			if n++; n > 1 && !bytes.HasPrefix(line, []byte("-----")) && !bytes.HasPrefix(line, []byte(p)) && string(line) != strings.TrimSpace(p) {
				all = false
				break
			}
		}
		if all && n > 2 {
			return p
		}
	}
	return ""
}

// withoutJoins drops the plus or dot that joins a line to the string before or after it. A
// plus is a digit of base64; beside a quote or a blank it joins.
func withoutJoins(line []byte) []byte {
	line = bytes.Trim(line, aroundPEM)
	if len(line) == 1 && (line[0] == '+' || line[0] == '.') {
		return nil
	}
	if n := len(line); n > 1 && (line[n-1] == '+' || line[n-1] == '.') && strings.IndexByte(aroundPEM, line[n-2]) >= 0 {
		line = line[:n-1]
	}
	if len(line) > 1 && (line[0] == '+' || line[0] == '.') && strings.IndexByte(aroundPEM, line[1]) >= 0 {
		line = line[1:]
	}
	return bytes.Trim(line, aroundPEM)
}

// canonical returns the value by which a key is known wherever it stands: quotes, white
// space and the scheme before it are no part of it; of PEM only the body is, its lines
// joined and their escapes undone, also of PEM that is in base64 as a whole.
func canonical(v []byte) []byte {
	v = withoutScheme(bytes.Trim(v, " \t\r\n\"'`"))
	if bytes.HasPrefix(v, []byte("LS0tLS1CRUdJTi")) {
		if pem, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(v), nil))); err == nil && bytes.Contains(pem, []byte("-----END")) {
			v = pem
		}
	}
	if _, rest, ok := bytes.Cut(v, []byte("-----BEGIN ")); ok {
		if _, body, ok := bytes.Cut(rest, []byte("-----")); ok {
			v, _, _ = bytes.Cut(body, []byte("-----END"))
			v = append([]byte("\n"), v...) // the first line of the body is whole
		}
	} else if !bytes.ContainsAny(v, "\n") && !bytes.Contains(v, []byte(`\n`)) {
		return v
	}
	return bytes.ReplaceAll(bytes.TrimSpace(unescapePEM(v)), []byte("\n"), nil)
}

// withoutScheme drops the name of an encoding or of an authentication scheme before a value.
func withoutScheme(v []byte) []byte {
	for _, scheme := range [...]string{"base64:", "bearer ", "basic ", "token ", "apikey "} {
		if hasPrefixFold(v, scheme) && len(v) >= len(scheme)+8 {
			return bytes.TrimLeft(v[len(scheme):], " ")
		}
	}
	return v
}

// hasBody reports whether base64 digits stand between the lines of a PEM block, and no prose.
func hasBody(v []byte) bool {
	if bytes.Contains(v, []byte("PGP PRIVATE")) {
		return true
	}
	digits, others := 0, 0
	for _, c := range canonical(v) {
		if runClass[c] || c == '=' {
			digits++
		} else {
			others++
		}
	}
	return digits >= 48 && others*8 < digits
}
