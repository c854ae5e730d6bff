package fix

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
)

// of makes a kind of file of a source language.
func of(s *source) kind {
	return kind{reference: s.expr, mend: s.mend}
}

var python = of(&source{
	lexer: lexer{line: []string{"#"}, quotes: `"'`, triple: `"'`, prefixes: "rRbBuUfF"},
	expr:  func(v string) string { return `os.environ["` + v + `"]` },
	within: func(name, quote string) string {
		if strings.HasPrefix(quote, `"`) {
			return "{os.environ['" + name + "']}"
		}
		return `{os.environ["` + name + `"]}`
	},
	check: func(f *file, tokens []lexeme, n int) error {
		t := tokens[n]
		if otherOS.Match(f.data) {
			return errors.New("the file uses the name os for something else")
		}
		line := string(f.data[f.lineStart(t.start):t.start])
		switch {
		case beside(f.data, tokens, n, " \t\r\n\\"):
			return errJoined
		case bytes.HasPrefix(f.data, []byte("\ufeff")):
			return errors.New("the file has a byte order mark")
		case onlyConstants.MatchString(line):
			return errors.New("only a constant may stand there")
		}
		if len(t.quote) == 3 && firstOnLine(f.data, t.start) && isDocstring(f.data[:t.start]) {
			tokens[n].comment = true // nothing is computed in it
		}
		return nil
	},
	header: importOS,
})

var onlyConstants = regexp.MustCompile(`\bLiteral\[[^\]]*$|^\s*case\s[^:]*$`)

// isDocstring reports whether a string that begins a line after text is a statement of
// its own.
func isDocstring(text []byte) bool {
	t := bytes.TrimRight(text, " \t\r\n")
	if len(t) == 0 {
		return true
	}
	switch t[len(t)-1] {
	case '=', '(', '[', '{', ',', '+', '%', '\\':
		return false
	case ':':
		return blockHead.Match(t[bytes.LastIndexByte(t, '\n')+1:])
	}
	return true
}

var blockHead = regexp.MustCompile(`^\s*(?:async\s+def|def|class)\b|^\s*\).*:$|->`)

func firstOnLine(data []byte, i int) bool {
	return len(bytes.TrimSpace(data[bytes.LastIndexByte(data[:i], '\n')+1:i])) == 0
}

var (
	importsOS  = regexp.MustCompile(`(?m)^import[ \t]+(?:[\w., \t]*,[ \t]*)?os[ \t]*(?:,|#|\r?$)`)
	otherOS    = regexp.MustCompile(`(?m)\bas[ \t]+os\b|^[ \t]*(?:os[ \t]*=[^=]|def[ \t]+os\b|for[ \t]+os\b)|^from[ \t]+\S+[ \t]+import[^\n]*\bos\b|\bdef[ \t]+\w+\([^)]*\bos\b`)
	importLine = regexp.MustCompile(`(?m)^(?:import|from)[ \t]`)
	futureLine = regexp.MustCompile(`(?m)^from[ \t]+__future__[ \t]+import[^\n(]*(?:\([^)]*\)[^\n]*)?\n`)
)

// importOS adds "import os" to a Python file: before the first import, after the
// docstring and what must come first.
func importOS(f *file, tokens []lexeme) {
	first := len(f.data) // where the name is used first
	for _, m := range f.result.Moved {
		if m.Reference != m.Name { // not in a comment
			first = min(first, m.Start)
		}
	}
	inText := func(i int) bool {
		for _, t := range tokens {
			if t.start <= i && i < t.end {
				return true
			}
		}
		return false
	}
	for _, m := range importsOS.FindAllIndex(f.data, -1) {
		if !inText(m[0]) && m[0] < first {
			return
		}
	}
	at := -1
	for _, m := range importLine.FindAllIndex(f.data, -1) {
		if future := futureLine.FindIndex(f.data[m[0]:]); future != nil && future[0] == 0 {
			continue
		}
		if !inText(m[0]) {
			at = m[0]
			break
		}
	}
	if at < 0 || at > first {
		at = afterHead(f, tokens)
	}
	f.edit(at, at, "import os"+f.newline())
}

// afterHead is where the first statement of a Python file may stand.
func afterHead(f *file, tokens []lexeme) int {
	at := 0
	for _, t := range tokens {
		if len(bytes.TrimSpace(f.data[at:t.start])) > 0 {
			break
		}
		docstring := !t.comment || len(t.quote) == 3
		if docstring && firstOnLine(f.data, t.start) || t.comment && t.quote == "" {
			at = min(len(f.data), f.lineEnd(t.end)+1)
		}
		if docstring {
			break
		}
	}
	for _, m := range futureLine.FindAllIndex(f.data, -1) {
		at = max(at, m[1])
	}
	return at
}

var javascript = of(ecmaScript(""))

// In TypeScript a variable of the environment may be undefined: the ! says that it is not.
var typescript = of(ecmaScript("!"))

func ecmaScript(mark string) *source {
	env := func(v string) string { return "process.env." + v + mark }
	return &source{
		lexer: lexer{line: []string{"//"}, block: []string{"/*", "*/"}, quotes: "\"'`", multiline: "`", interpol: map[byte]string{'`': "${"}, regex: true},
		expr:  env,
		within: func(name, _ string) string {
			return "${" + env(name) + "}"
		},
		check: func(f *file, tokens []lexeme, n int) error {
			t := tokens[n]
			before, after := around(f.data, t)
			line := string(f.data[f.lineStart(t.start):t.start])
			switch {
			case after == ':' && (before == '{' || before == ','):
				return errors.New("it is the name of a property")
			case importFrom.MatchString(line):
				return errors.New("it is in an import")
			case jsxAttribute.Match(f.data[max(0, t.start-1000):t.start]):
				return errors.New("it is an attribute of an element: put it in braces first")
			case mark != "" && (typePlace.MatchString(line) || before == '|' || after == '|' || asConst.Match(f.data[t.end:]) || interfacePlace.Match(f.data[max(0, t.start-4096):t.start])):
				return errors.New("it is a type, or a constant that is to be one")
			case mark != "" && enumPlace.Match(f.data[max(0, t.start-4096):t.start]):
				return errors.New("it is a member of an enum, which takes constants only")
			}
			return nil
		},
	}
}

var (
	importFrom   = regexp.MustCompile(`\b(?:from|import|require\()\s*$`)
	jsxAttribute = regexp.MustCompile(`<[A-Za-z][^<>{}]*[A-Za-z]=$`)
	typePlace    = regexp.MustCompile(`(?:^|\s)type\s+\w+[^=]*=\s*(?:[^;]*\|\s*)?$`)
	asConst      = regexp.MustCompile(`^\s+as\s+const\b`)
	// a member of an interface or an object type
	interfacePlace = regexp.MustCompile(`\b(?:interface\s+\w+[^{}=]*|type\s+\w+[^{}=]*=\s*)\{[^{}]*$|\bmodule\s+$`)
	enumPlace      = regexp.MustCompile(`\benum\s+\w+\s*\{[^{}]*$`)
)

var java = of(&source{
	lexer: lexer{line: []string{"//"}, block: []string{"/*", "*/"}, quotes: `"'`, triple: `"`},
	expr:  func(v string) string { return `System.getenv("` + v + `")` },
	check: func(f *file, tokens []lexeme, n int) error {
		t := tokens[n]
		line := string(f.data[f.lineStart(t.start):t.start])
		switch {
		case inAnnotation(f.data, tokens, n):
			return errors.New("it is in an annotation, which takes constants only")
		case caseOf.MatchString(line):
			return errors.New("it is a case of a switch")
		}
		if m := constantName.FindStringSubmatch(line); m != nil && regexp.MustCompile(`@[\w.]+\([^)]*\b`+m[1]+`\b|\bcase\b[^:;]*\b`+m[1]+`\b`).Match(f.data) {
			return errors.New("it is a constant that an annotation or a case is made of")
		}
		return nil
	},
})

var (
	caseOf       = regexp.MustCompile(`\bcase\b[^:;{}>]*$`)
	constantName = regexp.MustCompile(`\bfinal\b.*\b(\w+)\s*=\s*$`)
)

// inAnnotation reports whether a token stands within the parentheses of @Name(…).
func inAnnotation(data []byte, tokens []lexeme, n int) bool {
	depth, k := 0, n-1
	for i := tokens[n].start - 1; i >= 0; i-- {
		for k >= 0 && i < tokens[k].end && i >= tokens[k].start {
			i = tokens[k].start - 1
			k--
		}
		if i < 0 {
			return false
		}
		switch data[i] {
		case ')':
			depth++
		case ';', '{', '}':
			if depth == 0 && data[i] != '{' {
				return false
			}
		case '(':
			if depth--; depth < 0 {
				return annotated.Match(data[max(0, i-200):i])
			}
		}
	}
	return false
}

var annotated = regexp.MustCompile(`@[A-Za-z_][\w.]*\s*$`)

// percentLiteral matches what begins a literal of Ruby that is not told from code here.
var percentLiteral = regexp.MustCompile(`(?m)(?:^|[\s(,=\[{])%[qQwWiIrsx]?[(\[{<|!/]`)

// continued reports whether a backslash ends the line on either side of a string.
func continued(data []byte, tokens []lexeme, n int) bool {
	before := bytes.TrimRight(data[:tokens[n].start], " \t\r\n")
	after := bytes.TrimLeft(data[tokens[n].end:], " \t")
	return bytes.HasSuffix(before, []byte("\\")) || bytes.HasPrefix(after, []byte("\\"))
}

var ruby = of(&source{
	lexer: lexer{line: []string{"#"}, block: []string{"=begin", "\n=end"}, quotes: "\"'`", multiline: "\"'`", interpol: map[byte]string{'"': "#{", '`': "#{"}, regex: true, ruby: true},
	expr:  func(v string) string { return `ENV.fetch("` + v + `")` },
	within: func(name, quote string) string {
		if quote == `"` {
			return `#{ENV.fetch("` + name + `")}`
		}
		return "#{ENV.fetch('" + name + "')}"
	},
	check: func(f *file, tokens []lexeme, n int) error {
		t := tokens[n]
		before, _ := around(f.data, t)
		switch {
		case percentLiteral.Match(f.data):
			return errors.New("the file has % literals, such as %q(…)")
		case beside(f.data, tokens, n, " \t"), beside(f.data, tokens, n, " \t\r\n\\") && continued(f.data, tokens, n):
			return errJoined
		case before == ':' && f.data[t.start-1] == ':', t.end < len(f.data) && f.data[t.end] == ':' && !bytes.HasPrefix(f.data[t.end:], []byte("::")):
			return errors.New("it is a symbol")
		}
		return nil
	},
})
