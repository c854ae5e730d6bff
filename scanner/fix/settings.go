package fix

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

var npmrc = kind{
	reference: func(v string) string { return "${" + v + "}" },
	mend: func(f *file) error {
		for _, p := range f.places {
			if t := bytes.TrimSpace(f.data[f.lineStart(p.Start):p.Start]); len(t) > 0 && (t[0] == '#' || t[0] == ';') {
				f.replace(p, p.Name, p.Name)
				continue
			}
			f.replace(p, "${"+p.Name+"}", "${"+p.Name+"}")
			f.next("set %s in the environment that npm runs in", p.Name)
		}
		return nil
	},
}

// isEnvFile reports whether a base name, in lower case, is that of a file of
// environment variables with values, not of an example.
func isEnvFile(base string) bool {
	for _, s := range []string{"example", "sample", "template", "dist", "default"} {
		if strings.HasSuffix(base, s) {
			return false
		}
	}
	return base == ".env" || strings.HasPrefix(base, ".env.") || strings.HasSuffix(base, ".env")
}

// envFile is a file that is there to hold values: it stays, and leaves git. An
// example takes its place, and .gitignore keeps it out.
var envFile = kind{
	reference: func(string) string { return "" },
	mend: func(f *file) error {
		f.result.Untrack = true
		for _, p := range f.places {
			f.moved(p, "untracked file "+f.path)
		}
		example := f.path + ".example"
		f.result.Others[example] = exampleOf(f, f.tree.File(example))
		f.result.Others[".gitignore"] = ignoring(f.tree.File(".gitignore"), f.path)
		f.next("%s stays where it is and git no longer tracks it; %s says which variables it has", f.path, example)
		f.apply() // nothing: the file keeps its bytes
		return nil
	},
}

var envLine = regexp.MustCompile(`^(\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,63})\s*=)(.*)$`)

// exampleOf is the file with empty values. Comments stay, unless a key is in them. What
// the example has already stays as it is. Whatever may be the rest of a value that
// began on a line before is left out.
func exampleOf(f *file, old []byte) []byte {
	var out strings.Builder
	out.Write(old)
	if len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")) {
		out.WriteByte('\n')
	}
	has := func(name string) bool {
		return regexp.MustCompile(`(?m)^\s*(?:export\s+)?` + regexp.QuoteMeta(name) + `\s*=`).Match(old)
	}
	at, quote, pem := 0, byte(0), false
	for line := range strings.Lines(string(f.data)) {
		start := at
		at += len(line)
		text := strings.TrimRight(line, "\r\n")
		within := quote != 0 || pem || slices.ContainsFunc(f.places, func(p Place) bool { return p.Start < start && start < p.End })
		if strings.Contains(text, "-----BEGIN ") {
			pem = true
		}
		if strings.Contains(text, "-----END ") {
			pem = false
		}
		if within {
			if closes(text, quote) {
				quote = 0
			}
			continue
		}
		if m := envLine.FindStringSubmatch(text); m != nil {
			if v := strings.TrimSpace(m[3]); len(v) > 0 && strings.IndexByte("\"'`", v[0]) >= 0 && !closes(v[1:], v[0]) {
				quote = v[0]
			}
			if !has(m[2]) {
				out.WriteString(m[1] + "\n")
			}
			continue
		}
		holds := slices.ContainsFunc(f.places, func(p Place) bool { return p.Start < at && p.End > start })
		if t := strings.TrimSpace(text); !holds && (t == "" || t[0] == '#') && len(old) == 0 {
			out.WriteString(text + "\n")
		}
	}
	return []byte(out.String())
}

// closes reports whether a quote ends in a text.
func closes(text string, quote byte) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == quote:
			return true
		}
	}
	return quote == 0
}

// ignoring adds to a .gitignore what keeps an env file out: it and no other.
func ignoring(old []byte, name string) []byte {
	want := "/" + name
	out := bytes.Clone(old)
	there := false
	for line := range strings.Lines(string(old)) { // the last line that speaks of it counts
		line = strings.TrimSpace(line)
		there = line == want || there && !strings.HasPrefix(line, "!")
	}
	if there {
		return out
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return append(out, want+"\n"...)
}
