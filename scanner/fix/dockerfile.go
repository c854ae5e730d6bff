package fix

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var dockerfile = kind{
	reference: func(v string) string { return "RUN --mount=type=secret,id=" + v + ",env=" + v },
	mend: func(f *file) error {
		if escape.Match(f.data) {
			return errors.New("it sets another escape character")
		}
		d := &docker{f: f, mounts: map[int][]string{}}
		d.parse()
		for _, p := range f.places {
			if err := d.mend(p); err != nil {
				f.left(p, err.Error())
			}
		}
		d.putMounts()
		if len(f.result.Moved) > 0 {
			f.next("the layers of images built before still hold the value: delete those images, and rotate the key")
		}
		return nil
	},
}

var escape = regexp.MustCompile("(?mi)^#\\s*escape\\s*=\\s*`")

// An instruction of a Dockerfile, with the lines that continue it.
type instruction struct {
	word       string // in upper case
	start, end int
	args       int // where its arguments begin, flags included
}

type docker struct {
	f      *file
	list   []instruction
	mounts map[int][]string // what RUN instructions need, by their place in list
}

func (d *docker) parse() {
	data := d.f.data
	for at := 0; at < len(data); {
		end := d.f.lineEnd(at)
		line := bytes.TrimSpace(data[at:end])
		if len(line) == 0 || line[0] == '#' {
			at = end + 1
			continue
		}
		start := at + bytes.Index(data[at:end], line)
		for { // continuation lines; comments and empty lines between them do not end it
			t := bytes.TrimSpace(data[at:end])
			continues := bytes.HasSuffix(t, []byte(`\`)) || at > start && (len(t) == 0 || t[0] == '#')
			if !continues || end >= len(data) {
				break
			}
			at, end = end+1, d.f.lineEnd(end+1)
		}
		word, _, _ := strings.Cut(strings.ReplaceAll(string(line), "\t", " "), " ")
		i := instruction{word: strings.ToUpper(word), start: start, end: end, args: start + len(word)}
		for i.args < end && (data[i.args] == ' ' || data[i.args] == '\t') {
			i.args++
		}
		if tag := heredoc.FindSubmatch(data[i.args:end]); tag != nil && (i.word == "RUN" || i.word == "COPY") {
			if n := regexp.MustCompile(`(?m)^\t*` + regexp.QuoteMeta(string(tag[1])) + `\r?$`).FindIndex(data[end:]); n != nil {
				i.end = end + n[1]
				i.word += " <<"
			}
		}
		d.list = append(d.list, i)
		at = i.end + 1
	}
}

var heredoc = regexp.MustCompile(`<<-?["']?([A-Za-z_][A-Za-z0-9_]*)`)

func (d *docker) mend(p Place) error {
	n := slices.IndexFunc(d.list, func(i instruction) bool { return i.start <= p.Start && p.End <= i.end })
	line := d.f.data[d.f.lineStart(p.Start):p.Start]
	if t := bytes.TrimSpace(line); len(t) > 0 && t[0] == '#' {
		d.f.replace(p, p.Name, p.Name)
		return nil
	}
	if n < 0 {
		return errors.New("it is in no instruction")
	}
	switch i := &d.list[n]; i.word {
	case "ENV", "ARG":
		return d.variable(n, p)
	case "RUN":
		if err := d.shell(i, p); err != nil {
			return err
		}
		d.mount(n, p.Name)
		return nil
	case "CMD", "ENTRYPOINT":
		if err := d.shell(i, p); err != nil {
			return err
		}
		d.f.next("set %s when the container runs: docker run --env %s", p.Name, p.Name)
		return nil
	default:
		return fmt.Errorf("there is no form of reference in %s", i.word)
	}
}

// shell mends a command in shell form.
func (d *docker) shell(i *instruction, p Place) error {
	for _, in := range d.list {
		if in.word == "SHELL" && !posixShell.Match(d.f.data[in.args:in.end]) {
			return errors.New("the Dockerfile sets another shell")
		}
	}
	from := i.args
	for bytes.HasPrefix(d.f.data[from:i.end], []byte("--")) {
		n := bytes.IndexAny(d.f.data[from:i.end], " \t")
		if n < 0 {
			return errors.New("it is in an option of the instruction")
		}
		from += n
		for from < i.end && (d.f.data[from] == ' ' || d.f.data[from] == '\t') {
			from++
		}
	}
	if from > p.Start {
		return errors.New("it is in an option of the instruction")
	}
	text := bytes.Clone(d.f.data[from:i.end])
	if bytes.HasPrefix(text, []byte("[")) {
		return errors.New("the command is a JSON list: no shell would put the value in place")
	}
	for at := 0; at < len(text); { // comments between continuation lines are not the shell's
		end := at + bytes.IndexByte(append(text[at:len(text):len(text)], '\n'), '\n')
		if t := bytes.TrimSpace(text[at:end]); at > 0 && len(t) > 0 && t[0] == '#' {
			for k := at; k < end-1; k++ {
				text[k] = ' '
			}
			text[max(at, end-1)] = '\\'
		}
		at = end + 1
	}
	s, err := parseShell(text, from)
	if err != nil {
		return err
	}
	return s.mend(d.f, p)
}

var assignment = regexp.MustCompile(`(?:^|[\s])([A-Za-z_][A-Za-z0-9_]*)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s"'\\]|\\[^\r\n])*)`)

var posixShell = regexp.MustCompile(`^\[\s*"(?:/usr)?(?:/bin/)?(?:ba|da|a)?sh"`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)

// variable drops an ENV or ARG with a value in clear, and mounts the secret where
// commands use the variable.
func (d *docker) variable(n int, p Place) error {
	i := d.list[n]
	text := d.f.data[i.args:i.end]
	all := assignment.FindAllSubmatchIndex(text, -1)
	k := slices.IndexFunc(all, func(m []int) bool { return i.args+m[4] <= p.Start && p.End <= i.args+m[5] })
	name := ""
	switch {
	case k >= 0:
		name = string(text[all[k][2]:all[k][3]])
	case i.word == "ENV" && len(all) == 0: // ENV name value
		first := variableName.Find(text)
		if first == nil {
			return errors.New("it is in no assignment of the instruction")
		}
		name = string(first)
	default:
		return errors.New("it is in no assignment of the instruction")
	}
	uses := regexp.MustCompile(`\$(?:` + regexp.QuoteMeta(name) + `\b|\{` + regexp.QuoteMeta(name) + `\b)`)
	for m, in := range d.list {
		switch {
		case m == n && uses.Match(d.f.data[in.args:in.end]):
			return errors.New("the instruction is made of itself: take it out by hand")
		case in.word == "ENV" || in.word == "ARG" || in.word == "COPY" || in.word == "ADD" || in.word == "LABEL" || in.word == "FROM":
			if m != n && uses.Match(d.f.data[in.args:in.end]) {
				return fmt.Errorf("%s uses $%s, which a mounted secret cannot stand for", in.word, name)
			}
		}
	}
	if len(all) > 1 { // other variables stay
		from, to := i.args+all[k][2], i.args+all[k][1]
		if k > 0 {
			from = i.args + all[k-1][1]
		} else {
			to = i.args + all[k+1][2]
		}
		d.f.edit(from, to, "")
	} else {
		d.f.edit(d.f.lineStart(i.start), min(i.end+1, len(d.f.data)), "")
	}
	d.f.moved(p, "RUN --mount=type=secret,id="+name)
	used := false
	for m := n + 1; m < len(d.list); m++ { // a later stage may be built on this one
		in := d.list[m]
		if (in.word == "RUN" || in.word == "RUN <<") && uses.Match(d.f.data[in.args:in.end]) {
			d.mount(m, name)
			used = true
		}
	}
	if i.word == "ENV" || !used {
		d.f.next("set %s when the container runs: docker run --env %s", name, name)
	}
	return nil
}

func (d *docker) mount(n int, name string) {
	if !slices.Contains(d.mounts[n], name) {
		d.mounts[n] = append(d.mounts[n], name)
		d.f.next("build with: docker build --secret id=%s   (it reads $%s; the env option needs Dockerfile frontend 1.10 or later)", name, name)
	}
}

func (d *docker) putMounts() {
	for n, names := range d.mounts {
		i := d.list[n]
		text := ""
		for _, name := range names {
			m := "--mount=type=secret,id=" + name + ",env=" + name + " "
			if !bytes.Contains(d.f.data[i.args:i.end], []byte(strings.TrimSpace(m))) {
				text += m
			}
		}
		d.f.edit(i.args, i.args, text)
	}
}
