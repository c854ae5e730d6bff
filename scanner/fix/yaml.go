package fix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A scalar is a value of a YAML document and where it stands.
type scalar struct {
	node    *yaml.Node
	doc     int          // number of the document in the file
	keys    []string     // the keys that lead to it; "[]" for an element of a list
	parents []*yaml.Node // the mappings and lists that it is in, outermost first
	flow    bool         // one of them is in {} or []
}

// A yamlFile is a parsed YAML file.
type yamlFile struct {
	f       *file
	docs    []*yaml.Node
	scalars []scalar
	lines   []int // where each line begins
}

func parseYAML(f *file) (*yamlFile, error) {
	if oddLines.Match(f.data) {
		return nil, errors.New("it has line ends that are neither LF nor CRLF, or a byte order mark")
	}
	y := &yamlFile{f: f, lines: []int{0}}
	for i, c := range f.data {
		if c == '\n' {
			y.lines = append(y.lines, i+1)
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(f.data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return y, nil
		}
		if err != nil || len(doc.Content) != 1 {
			return nil, errors.New("the YAML does not parse")
		}
		y.walk(doc.Content[0], scalar{doc: len(y.docs)}, 0)
		y.docs = append(y.docs, doc.Content[0])
	}
}

func (y *yamlFile) walk(n *yaml.Node, at scalar, depth int) {
	if depth > 100 {
		return
	}
	child := func(key string, c *yaml.Node) {
		s := scalar{node: c, doc: at.doc, flow: at.flow || n.Style&yaml.FlowStyle != 0,
			keys: append(slices.Clone(at.keys), key), parents: append(slices.Clone(at.parents), n)}
		if c.Kind == yaml.ScalarNode {
			y.scalars = append(y.scalars, s)
			return
		}
		y.walk(c, s, depth+1)
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			child(n.Content[i].Value, n.Content[i+1])
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			child("[]", c)
		}
	}
}

// oddLines matches what YAML takes for a line end and most programs do not.
var oddLines = regexp.MustCompile("\r[^\n]|\r$|\u0085|\u2028|\u2029|\ufeff")

// offset is where a node begins in the file. Columns count characters.
func (y *yamlFile) offset(n *yaml.Node) int {
	at := y.lines[n.Line-1]
	for range n.Column - 1 {
		if at >= len(y.f.data) {
			break
		}
		_, w := utf8.DecodeRune(y.f.data[at:])
		at += w
	}
	return at
}

// span is the part of the file that holds a scalar: its quotes included; of a block
// its lines.
func (y *yamlFile) span(s *scalar) (start, end int) {
	start = y.offset(s.node)
	if s.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		indent := y.indent(s.parents[len(s.parents)-1], s)
		line := s.node.Line // index of the line after the indicator
		for line < len(y.lines) {
			text := y.line(line)
			if t := strings.TrimLeft(text, " "); strings.TrimSpace(t) != "" && len(text)-len(t) <= indent {
				break
			}
			line++
		}
		start = y.lines[min(s.node.Line, len(y.lines)-1)]
		if line < len(y.lines) {
			return start, y.lines[line]
		}
		return start, len(y.f.data)
	}
	end = y.f.lineEnd(start)
	if start == len(y.f.data) {
		return start, end
	}
	if q := y.f.data[start]; q == '"' || q == '\'' {
		for i := start + 1; i < len(y.f.data); i++ {
			switch {
			case q == '"' && y.f.data[i] == '\\':
				i++
			case y.f.data[i] == q && q == '\'' && i+1 < len(y.f.data) && y.f.data[i+1] == q:
				i++
			case y.f.data[i] == q:
				return start, i + 1
			}
		}
	}
	return start, end
}

// indent is the column, from 0, of the key or dash that a scalar belongs to.
func (y *yamlFile) indent(parent *yaml.Node, s *scalar) int {
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Kind == yaml.MappingNode && parent.Content[i+1] == s.node {
			return parent.Content[i].Column - 1
		}
	}
	return parent.Column - 1
}

func (y *yamlFile) line(i int) string {
	end := len(y.f.data)
	if i+1 < len(y.lines) {
		end = y.lines[i+1]
	}
	return string(y.f.data[y.lines[i]:end])
}

// at returns the scalar that a value stands in.
func (y *yamlFile) at(p Place) (*scalar, error) {
	var best *scalar
	from := -1
	for i := range y.scalars { // of several on a line the last that begins before it
		s := &y.scalars[i]
		if s.node.Line == 0 || s.node.Line > len(y.lines) {
			continue
		}
		if start, end := y.span(s); start > from && start <= p.Start && p.End <= end && !y.commented(start, p) {
			best, from = s, start
		}
	}
	if best != nil {
		return best, nil
	}
	if line := y.f.data[y.f.lineStart(p.Start):p.Start]; bytes.Contains(line, []byte("#")) {
		return nil, errComment
	}
	return nil, errors.New("it is in no value of the file that can be told from the text around it")
}

// commented reports whether p stands in a comment after a plain scalar.
func (y *yamlFile) commented(start int, p Place) bool {
	if start == len(y.f.data) {
		return false
	}
	if c := y.f.data[start]; c == '"' || c == '\'' {
		return false
	}
	i := bytes.Index(y.f.data[start:p.Start], []byte(" #"))
	return i >= 0 && !bytes.Contains(y.f.data[start:p.Start], []byte("\n"))
}

var errComment = errors.New("it is in a comment")

// put replaces the value within its scalar, and quotes a plain one that needs it.
func (y *yamlFile) put(s *scalar, p Place, ref string) {
	start, end := y.span(s)
	plain := s.node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if plain && s.flow && p.Start == start {
		if i := bytes.IndexAny(y.f.data[p.End:end], ",}] \t\r\n"); i == 0 || p.End == end {
			y.f.edit(p.Start, p.End, `"`+ref+`"`)
			y.f.moved(p, ref)
			return
		}
	}
	if plain && s.flow {
		y.f.left(p, "it is part of a text without quotes inside {} or []: put it in quotes first")
		return
	}
	y.f.replace(p, ref, ref)
}

// mendEach calls mend for each place with the scalar that it is in.
func (y *yamlFile) mendEach(mend func(s *scalar, p Place) error) {
	for _, p := range y.f.places {
		s, err := y.at(p)
		if errors.Is(err, errComment) {
			y.f.replace(p, p.Name, p.Name)
			continue
		}
		if err == nil {
			err = mend(s, p)
		}
		if err != nil {
			y.f.left(p, err.Error())
		}
	}
}

// key is the nth key from the end, 1 being the last.
func (s *scalar) key(n int) string {
	if n > len(s.keys) {
		return ""
	}
	return s.keys[len(s.keys)-n]
}

// get returns the value of a key of a mapping, or nil.
func get(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

var compose = kind{
	reference: func(v string) string { return "${" + v + ":?}" },
	mend: func(f *file) error {
		y, err := parseYAML(f)
		if err != nil {
			return err
		}
		y.mendEach(func(s *scalar, p Place) error {
			y.put(s, p, "${"+p.Name+":?}")
			f.next("set %s in the environment of docker compose, or in an .env file that git ignores", p.Name)
			return nil
		})
		return nil
	},
}

// contexts are the keys in a workflow at which it may refer to secrets; * stands for
// any one key.
var contexts = []string{"env.*", "jobs.*.env.*", "jobs.*.secrets.*", "jobs.*.steps.[].env.*", "jobs.*.steps.[].with.*",
	"jobs.*.container.env.*", "jobs.*.container.credentials.*", "jobs.*.services.*.env.*", "jobs.*.services.*.credentials.*"}

func mayReferToSecrets(keys []string) bool {
	return slices.ContainsFunc(contexts, func(c string) bool {
		want := strings.Split(c, ".")
		if len(want) != len(keys) {
			return false
		}
		for i, w := range want {
			if w != "*" && w != keys[i] {
				return false
			}
		}
		return true
	})
}

// inExpression reports whether an expression is open at the end of a text.
func inExpression(text []byte) bool {
	return bytes.LastIndex(text, []byte("${{")) > bytes.LastIndex(text, []byte("}}"))
}

var workflow = kind{
	reference: func(v string) string { return "${{ secrets." + secretName(v) + " }}" },
	mend: func(f *file) error {
		y, err := parseYAML(f)
		if err != nil {
			return err
		}
		steps := map[*yaml.Node]map[string]bool{} // what is added to each step's env
		y.mendEach(func(s *scalar, p Place) error {
			if start, _ := y.span(s); inExpression(f.data[start:p.Start]) {
				return errors.New("it is in an expression: ${{ … }}")
			}
			name := secretName(p.Name)
			ref := "${{ secrets." + name + " }}"
			switch {
			case s.key(1) == "run" && slices.Contains(s.keys, "steps"):
				if err := y.run(s, p, steps); err != nil {
					return err
				}
			case s.key(1) == "script" && s.key(2) == "with":
				return errors.New("it is in a script that an action runs: hand it over in env")
			case mayReferToSecrets(s.keys):
				y.put(s, p, ref)
			default:
				return fmt.Errorf("a workflow cannot refer to a secret in %s: move it to an env of the job or step first", strings.ReplaceAll(strings.Join(s.keys, "."), ".[]", "[]"))
			}
			f.next("gh secret set %s   (it asks for the value)", name)
			return nil
		})
		return nil
	},
}

// secretName is a name that GitHub takes for a secret: it must not begin with GITHUB_.
// https://docs.github.com/actions/reference/security/secrets#naming-your-secrets
func secretName(v string) string {
	if rest, ok := strings.CutPrefix(v, "GITHUB_"); ok {
		return "GH_" + rest
	}
	return v
}

// run replaces a value in a step's script: the secret goes into the step's env, so
// that the shell and not the workflow's template puts it in place.
func (y *yamlFile) run(s *scalar, p Place, steps map[*yaml.Node]map[string]bool) error {
	f, step := y.f, s.parents[len(s.parents)-1]
	if sh := shellOf(y.docs[s.doc], s, step); sh != "bash" && sh != "sh" {
		return fmt.Errorf("the step's shell is %s", sh)
	}
	if step.Style&yaml.FlowStyle != 0 {
		return errors.New("the step is written in {}")
	}
	start, end := y.span(s)
	if s.node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		return errors.New("the script is a quoted string: write it as a block, with |")
	}
	if s.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		if line := strings.TrimSpace(strings.SplitN(string(f.data[start:end]), " #", 2)[0]); line != s.node.Value {
			return errors.New("the script goes on in the next line: write it as a block, with |")
		}
	}
	env := get(step, "env")
	if env != nil && (env.Kind != yaml.MappingNode || env.Style&yaml.FlowStyle != 0 || len(env.Content) == 0) {
		return errors.New("the step's env is written in {}, or is an alias")
	}
	text := withoutExpressions(f.data[start:end])
	sh, err := parseShell(text, start)
	if err != nil {
		return err
	}
	name := secretName(p.Name)
	if err := sh.mend(f, Place{p.Start, p.End, name}); err != nil {
		return err
	}
	line := func(indent int) string {
		return strings.Repeat(" ", indent) + name + ": ${{ secrets." + name + " }}" + f.newline()
	}
	if steps[step] == nil {
		steps[step] = map[string]bool{}
	}
	if steps[step][name] || get(env, name) != nil {
		return nil
	}
	first := len(steps[step]) == 0
	steps[step][name] = true
	switch {
	case env != nil:
		key := env.Content[0]
		at := y.lines[key.Line-1]
		f.edit(at, at, line(key.Column-1))
	default:
		indent := y.indent(step, s)
		text := line(indent + 2)
		if first {
			text = strings.Repeat(" ", indent) + "env:" + f.newline() + text
		}
		at := f.lineEnd(end - 1)
		if s.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			at = blockEnd(f.data, start, end)
		} else if at < len(f.data) {
			at++
		}
		if at == len(f.data) && at > 0 && f.data[at-1] != '\n' {
			text = f.newline() + text
		}
		f.edit(at, at, text)
	}
	return nil
}

// shellOf is the shell that runs a step's script.
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
func shellOf(root *yaml.Node, s *scalar, step *yaml.Node) string {
	job := s.parents[min(2, len(s.parents)-1)] // jobs, the job, its steps, a step
	for _, at := range []*yaml.Node{step, get(get(job, "defaults"), "run"), get(get(root, "defaults"), "run")} {
		if sh := get(at, "shell"); sh != nil {
			return sh.Value
		}
	}
	if on := get(job, "runs-on"); on != nil && strings.Contains(strings.ToLower(on.Value), "windows") {
		return "pwsh"
	}
	return "bash"
}

// blockEnd is where the text of a block ends, blank lines after it left out.
func blockEnd(data []byte, start, end int) int {
	t := bytes.TrimRight(data[start:end], " \t\r\n")
	if i := bytes.IndexByte(data[start+len(t):end], '\n'); i >= 0 {
		return start + len(t) + i + 1
	}
	return end
}

// withoutExpressions hides ${{ }} from the shell parser, byte for byte.
func withoutExpressions(text []byte) []byte {
	out := bytes.Clone(text)
	for i := 0; ; {
		from := bytes.Index(out[i:], []byte("${{"))
		if from < 0 {
			return out
		}
		from += i
		to := bytes.Index(out[from:], []byte("}}"))
		if to < 0 {
			return out
		}
		for j := from; j < from+to+2; j++ {
			out[j] = 'x'
		}
		i = from
	}
}
