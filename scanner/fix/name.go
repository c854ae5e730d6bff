package fix

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/keyward/keyward/scanner"
)

// Names gives each key a name, the same for the same key wherever it stands. The
// zero value is ready for use.
type Names struct {
	byPrint map[string]string
	taken   map[string]bool
}

// Of returns the name of the key of a finding in a file with this content, in which
// all of found stand: no part of another key gets into a name.
func (n *Names) Of(f *scanner.Finding, data []byte, found []scanner.Finding) string {
	if name, ok := n.byPrint[f.Fingerprint]; ok {
		return name
	}
	if n.byPrint == nil {
		n.byPrint, n.taken = map[string]string{}, map[string]bool{}
	}
	data = bytes.Clone(data[:f.Start])
	for _, other := range found {
		for i := other.Start; i < min(other.End, f.Start); i++ {
			data[i] = '*'
		}
	}
	base := nameFor(f.Rule, f.Path, data, int(f.Start))
	name := base
	for i := 2; n.taken[name]; i++ {
		name = base + "_" + string(rune('0'+i%10))
		if i > 9 {
			name = base + "_" + strings.ToUpper(f.Fingerprint[:6])
			break
		}
	}
	n.byPrint[f.Fingerprint], n.taken[name] = name, true
	return name
}

// telling are the words of which one has to be in an identifier for it to name a key.
var telling = []string{"token", "key", "secret", "pass", "pwd", "auth", "cred", "pat", "dsn"}

// vague identifiers say what kind of thing a value is, not whose.
var vague = map[string]bool{"TOKEN": true, "KEY": true, "SECRET": true, "PASSWORD": true, "PASS": true, "PASSWD": true, "PWD": true,
	"AUTH": true, "API_KEY": true, "APIKEY": true, "AUTH_TOKEN": true, "ACCESS_TOKEN": true, "SECRET_KEY": true, "AUTHKEY": true,
	"AUTH_KEY": true, "CREDENTIALS": true, "PRIVATE_TOKEN": true, "ACCESS_KEY": true, "API_TOKEN": true}

var identifier = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.\-]*)["'\]` + "`" + `]*[ \t]*(?::=|=>|[:=(,]|[ \t])[ \t]*(?:!|&|[bBrRfFuU]{0,2})["'` + "`" + `]?$`)

// nameFor chooses a name: what the value is assigned to, in upper snake case, else
// what the rule calls such a key.
func nameFor(r *scanner.Rule, path string, data []byte, at int) string {
	fallback := upperSnake(r.ID)
	if strings.HasSuffix(path, ".npmrc") {
		return "NPM_TOKEN"
	}
	line := data[bytes.LastIndexByte(data[:at], '\n')+1 : at]
	if len(line) > 300 {
		line = line[len(line)-300:]
	}
	inURL := false
	if i := bytes.LastIndex(line, []byte("://")); i >= 0 && !bytes.ContainsAny(line[i:], " \t\"'") {
		line, inURL = bytes.TrimRight(line[:i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-"), true
	}
	m := identifier.FindSubmatch(line)
	if m != nil && (len(m[1]) > 40 || digits(m[1]) > 3) { // it may be another key
		return fallback
	}
	if m == nil || inURL && bytes.ContainsAny(m[0], "(,") {
		return fallback
	}
	word := string(m[1])
	word = word[strings.LastIndexByte(word, '.')+1:]
	name := upperSnake(strings.Trim(word, "-_"))
	if inURL && name != "" {
		return strings.TrimPrefix(name+"_PASSWORD", "_")
	}
	tells := false
	for _, t := range telling {
		tells = tells || strings.Contains(strings.ToLower(name), t)
	}
	if isEnvFile(strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])) {
		return name // the file says what it is called
	}
	if !tells || len(name) < 3 || r.Class != "generic" && vague[name] {
		return fallback
	}
	return name
}

func digits(b []byte) int {
	n := 0
	for _, c := range b {
		n += btoi('0' <= c && c <= '9')
	}
	return n
}

// upperSnake turns apiKey, api-key and api.key into API_KEY.
func upperSnake(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z':
			b.WriteByte(c - 'a' + 'A')
			continue
		case 'A' <= c && c <= 'Z':
			if i > 0 && ('a' <= s[i-1] && s[i-1] <= 'z' || i+1 < len(s) && 'A' <= s[i-1] && s[i-1] <= 'Z' && 'a' <= s[i+1] && s[i+1] <= 'z') {
				b.WriteByte('_')
			}
		case '0' <= c && c <= '9':
		default:
			c = '_'
		}
		b.WriteByte(c)
	}
	name := b.String()
	if name != "" && '0' <= name[0] && name[0] <= '9' {
		name = "KEY_" + name
	}
	return name
}
