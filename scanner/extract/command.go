package extract

import (
	"bytes"
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/keyward/keyward/scanner/score"
)

//go:embed commands.txt
var commandTable string

// An argument is where a command takes a credential.
type argument struct {
	option string // "" for an argument by position or standard input
	place  int    // of the argument without an option; 0 for none, -1 for the last
	stdin  bool
	join   bool   // attached to the option
	after  string // the credential stands behind this sign or prefix in the word
	prefix bool   // after is a prefix of the word
	named  bool   // the argument before is its name
	token  bool
}

// A usage is one line of the table.
type usage struct {
	sub  []string
	args []argument
}

// commands are the usages of each command, by its name in lower case.
var commands = sync.OnceValue(func() map[string][]usage {
	out := map[string][]usage{}
	for line := range tableLines(commandTable) {
		head, args, _ := strings.Cut(line, ": ")
		names, sub := splitHead(strings.Fields(head))
		u := usage{sub: sub}
		for a := range strings.FieldsSeq(args) {
			u.args = append(u.args, parseArgument(a))
		}
		for _, name := range names {
			out[strings.ToLower(name)] = append(out[strings.ToLower(name)], u)
		}
	}
	return out
})

// subcommands are the words in the heads of the table that are not commands.
var subcommands = score.Set("login password passwd config set publish push signin setapikey add source user-secrets registry remote user token auth ad sp init " +
	"secrets secret kv put write operator unseal unwrap up tunnel run service install authtoken add-authtoken variable register setup encrypt account bootstrap " +
	"use unlock authenticate_user add_user change_password alias host obscure add-generic-password add-internet-password unlock-keychain import " +
	"set-key-partition-list store-credentials upload apikey configure config:set config:add nuget psk")

// splitHead separates the names of commands from the subcommand they share.
func splitHead(words []string) (names, sub []string) {
	n := 1
	for n < len(words) && !subcommands[words[n]] {
		n++
	}
	return words[:n], words[n:]
}

func parseArgument(s string) (a argument) {
	s, a.token = strings.CutSuffix(s, "!")
	s, a.named = strings.CutSuffix(s, "@")
	if flag, ok := strings.CutPrefix(s, "<"); ok {
		a.stdin = true
		a.option, a.after = flag, ""
		if flag == ":" {
			a.option, a.after = "", ":"
		}
		return a
	}
	if before, prefix, ok := strings.Cut(s, "^"); ok {
		a.option, a.after, a.prefix = before, prefix, true
		return a
	}
	for _, sep := range []string{"==", ":+", ":", "%", ",", "/"} {
		if before, ok := strings.CutSuffix(s, sep); ok && before != "" {
			s, a.after = before, strings.TrimPrefix(sep, "=")
			if sep == ":+" {
				s, a.after, a.join = before+":", "", true
			}
			break
		}
	}
	if before, ok := strings.CutSuffix(s, "+"); ok {
		s, a.join = before, true
	}
	if place, ok := strings.CutPrefix(s, "#"); ok {
		a.place, _ = strconv.Atoi(place) // the table's own test reads it
		return a
	}
	a.option = s
	return a
}

// Commands returns the names of the commands that [Command] knows, in lower case.
func Commands() []string { return keywords(commands()) }

// An Arg is a credential that a command or a call is given.
type Arg struct {
	Value
	Name  Span // of the option or of NAME=VALUE; empty without a name
	Token bool // a token rather than a password
	// Setting says that the value is that of NAME=VALUE: only its name tells whether it is a
	// credential.
	Setting bool
}

// Command appends the credentials among the arguments of the command whose name begins
// at i and has n bytes.
func Command(dst []Arg, t []byte, i, n int) []Arg {
	if !commandStart(t, i) {
		return dst
	}
	var buf [40]byte
	usages := commands()[string(lowerWord(buf[:], t[i:i+n]))]
	if len(usages) == 0 {
		return dst
	}
	var c commandLine
	if !c.split(t, i, i+n) {
		return dst
	}
	for k := range usages {
		if plain, ok := c.positional(usages[k].sub); ok {
			dst = c.find(dst, usages[k].args, plain)
		}
	}
	return dst
}

// lowerWord writes a word in lower case into buf.
func lowerWord(buf, word []byte) []byte {
	buf = append(buf[:0], word[:min(len(word), cap(buf))]...)
	for i, c := range buf {
		if 'A' <= c && c <= 'Z' {
			buf[i] = c | 0x20
		}
	}
	return buf
}

// commandStart reports whether a command may begin at i.
func commandStart(t []byte, i int) bool {
	return i == 0 || contains(" \t\r\n\"'`/;|&(@$\\[>=!-", t[i-1])
}

// maxWords bounds the words of a command line.
const maxWords = 48

// A commandLine is a command in words.
type commandLine struct {
	t      []byte
	start  int // of the command
	words  [maxWords]Value
	n      int
	places [maxWords]int // of the words that are no options
	quotes bool          // an array of strings: ["mysql", "-u", "root"]
}

// split reads the words of the command line after the command, which stands at
// t[start:end]. It reports whether the name may be a command there.
func (c *commandLine) split(t []byte, start, end int) bool {
	c.t, c.start = t, start
	i := end
	if rest := []byte(".exe"); bytes.HasPrefix(t[i:], rest) {
		i += len(rest)
	}
	if start > 0 && isQuote(t[start-1]) && at(t, i) == t[start-1] {
		next := skip(t, i+1, blanks)
		c.quotes = at(t, next) == ','
		i++
	}
	if i < len(t) && !c.quotes && !contains(" \t\r\n", t[i]) {
		return false
	}
	for limit := min(len(t), i+2000); i < limit && c.n < maxWords; {
		next, ok := c.gap(i)
		if !ok {
			break
		}
		word, after := c.word(next)
		if after == next {
			break
		}
		c.words[c.n] = word
		c.n++
		i = after
	}
	return true
}

// gap skips what stands between two words, and reports whether the command goes on.
func (c *commandLine) gap(i int) (next int, ok bool) {
	t := c.t
	for i < len(t) {
		switch {
		case contains(blanks, t[i]):
			i++
		case c.quotes && contains(",\r\n", t[i]):
			i++
		case t[i] == '\\' && (at(t, i+1) == '\n' || at(t, i+1) == '\r' && at(t, i+2) == '\n'), t[i] == '`' && at(t, i+1) == '\n':
			i = skip(t, i+1, "\r\n")
		case contains("\r\n|;&)]}`<>#", t[i]):
			return i, false
		default:
			return i, true
		}
	}
	return i, false
}

// word reads one word; of a word that is quoted as a whole the quotes are no part.
func (c *commandLine) word(i int) (w Value, next int) {
	t := c.t
	if v, next, ok := literal(t, i); ok && (next >= len(t) || contains(" \t\r\n,;|)]}&\\", t[next])) {
		return Value{v, score.Flag, true}, next
	}
	j := i
	for j < len(t) && j-i < maxValue && t[j] > ' ' && !contains("|;&<>", t[j]) {
		if isQuote(t[j]) {
			_, after, ok := literal(t, j)
			if !ok {
				break
			}
			j = after
			continue
		}
		j++
	}
	return Value{Span{i, j}, score.Flag, false}, j
}

// positional returns the places of the words that are no options after a subcommand, or
// false if the subcommand is not there.
func (c *commandLine) positional(sub []string) (plain []int, ok bool) {
	n := 0
	for i := range c.n {
		word := c.t[c.words[i].Start:c.words[i].End]
		if len(word) == 0 || word[0] == '-' && len(word) > 1 {
			continue
		}
		if len(sub) > 0 && !c.words[i].Quoted || len(sub) > 0 && c.quotes {
			if string(word) == sub[0] {
				sub = sub[1:]
			}
			continue
		}
		c.places[n] = i
		n++
	}
	return c.places[:n], len(sub) == 0
}

// find appends the credentials that are given where args say.
func (c *commandLine) find(dst []Arg, args []argument, plain []int) []Arg {
	for k := range args {
		a := &args[k]
		switch {
		case a.stdin:
			if a.option == "" || c.has(a.option) {
				dst = c.piped(dst, a)
			}
		case a.option != "":
			dst = c.option(dst, a)
		case a.place < 0 && len(plain) > 0:
			dst = c.add(dst, a, c.words[plain[len(plain)-1]], Span{})
		case a.named && a.place > 1 && a.place <= len(plain):
			before := c.words[plain[a.place-2]]
			dst = c.add(dst, a, c.words[plain[a.place-1]], Span{before.Start, before.End})
		case a.place > 0 && a.place <= len(plain):
			dst = c.add(dst, a, c.words[plain[a.place-1]], Span{})
		}
	}
	return dst
}

func (c *commandLine) has(option string) bool {
	for i := range c.n {
		if string(c.t[c.words[i].Start:c.words[i].End]) == option {
			return true
		}
	}
	return false
}

// option appends the values of an option.
func (c *commandLine) option(dst []Arg, a *argument) []Arg {
	for i := range c.n {
		w := c.words[i]
		word := c.t[w.Start:w.End]
		rest, ok := bytes.CutPrefix(word, []byte(a.option))
		if !ok {
			continue
		}
		name := Span{w.Start, w.Start + len(a.option)}
		switch {
		case a.join && len(rest) > 0:
			dst = c.add(dst, a, unquoted(c.t, Value{Span{name.End, w.End}, score.Flag, w.Quoted}), name)
		case len(rest) == 0 && !a.join && i+1 < c.n && a.option[len(a.option)-1] != '=':
			dst = c.add(dst, a, c.words[i+1], name)
		case len(rest) > 1 && (rest[0] == '=' || rest[0] == ':'):
			dst = c.add(dst, a, unquoted(c.t, Value{Span{name.End + 1, w.End}, score.Flag, w.Quoted}), name)
		case len(rest) > 0 && a.option[len(a.option)-1] == '=':
			dst = c.add(dst, a, unquoted(c.t, Value{Span{name.End, w.End}, score.Flag, w.Quoted}), name)
		}
	}
	return dst
}

// unquoted drops the quotes around a value.
func unquoted(t []byte, v Value) Value {
	if v.End-v.Start >= 2 && isQuote(t[v.Start]) && t[v.End-1] == t[v.Start] {
		return Value{Span{v.Start + 1, v.End - 1}, v.Form, true}
	}
	return v
}

// add appends a value, or the part of it that is the credential.
func (c *commandLine) add(dst []Arg, a *argument, v Value, name Span) []Arg {
	word := c.t[v.Start:v.End]
	switch {
	case a.prefix:
		if !bytes.HasPrefix(word, []byte(a.after)) {
			return dst
		}
		v.Start += len(a.after)
	case a.after != "":
		i := bytes.Index(word, []byte(a.after))
		if i <= 0 {
			return dst
		}
		if a.after == "=" {
			name = Span{v.Start, v.Start + i}
		}
		v = unquoted(c.t, Value{Span{v.Start + i + len(a.after), v.End}, v.Form, v.Quoted})
	}
	if v.End <= v.Start || c.t[v.Start] == '-' && !v.Quoted {
		return dst
	}
	return append(dst, Arg{v, name, a.token, a.after == "=" || a.named})
}

// piped appends what echo or printf writes into the command, or a here-string after it.
func (c *commandLine) piped(dst []Arg, a *argument) []Arg {
	t := c.t
	i := pipeBefore(t, c.start)
	if i < 0 {
		end := lineEnd(t, c.start, maxStatement)
		j := bytes.Index(t[c.start:end], []byte("<<<"))
		if j < 0 {
			return dst
		}
		v, ok := value(t, skip(t, c.start+j+3, blanks), score.Flag)
		if !ok {
			return dst
		}
		return c.add(dst, a, v, Span{})
	}
	start := LineStart(t, i)
	for _, writer := range []string{"echo ", "printf "} {
		j := bytes.LastIndex(t[start:i], []byte(writer))
		if j < 0 {
			continue
		}
		end := back(t, i, blanks)
		from := start + j + len(writer)
		for last := from; last < end; { // the last word is what is written
			last = skip(t, last, blanks)
			v, next := c.word(last)
			if next <= last {
				break
			}
			if skip(t, next, blanks) >= end {
				return c.add(dst, a, v, Span{})
			}
			last = next
		}
	}
	return dst
}

// pipeBefore returns where the pipe stands whose output the command at i reads, -1 if there
// is none. Words such as sudo and npx may come between.
func pipeBefore(t []byte, i int) int {
	start := max(LineStart(t, i), i-60)
	n := bytes.LastIndexByte(t[start:i], '|')
	if n < 0 || bytes.ContainsAny(t[start+n:i], "\"';&<>") {
		return -1
	}
	return start + n
}
