package fix

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func isKubernetes(data []byte) bool {
	return bytes.Contains(data, []byte("apiVersion:")) && bytes.Contains(data, []byte("kind:"))
}

var kubernetes = kind{
	reference: func(string) string { return "an ExternalSecret, or valueFrom.secretKeyRef" },
	mend: func(f *file) error {
		y, err := parseYAML(f)
		if err != nil {
			return err
		}
		secrets := map[int][]keyed{}
		y.mendEach(func(s *scalar, p Place) error {
			doc := y.docs[s.doc]
			switch kind := get(doc, "kind"); {
			case kind != nil && kind.Value == "Secret" && len(s.keys) == 2 && (s.keys[0] == "data" || s.keys[0] == "stringData"):
				secrets[s.doc] = append(secrets[s.doc], keyed{s, p})
				return nil
			case s.key(1) == "value" && s.key(3) == "env" && s.key(2) == "[]":
				return y.secretKeyRef(s, p)
			case kind != nil && kind.Value == "ConfigMap":
				return errors.New("a ConfigMap is no place for a secret, and cannot refer to one: move the entry to a Secret")
			}
			return fmt.Errorf("there is no form of reference at %s", strings.ReplaceAll(strings.Join(s.keys, "."), ".[]", "[]"))
		})
		for i := range y.docs {
			if len(secrets[i]) > 0 {
				y.externalSecret(i, secrets[i])
			}
		}
		return nil
	},
}

type keyed struct {
	s *scalar
	p Place
}

// secretKeyRef replaces the value of an environment variable. A value is kept only
// if all of it is secret: Kubernetes puts no part of one together.
func (y *yamlFile) secretKeyRef(s *scalar, p Place) error {
	f, entry := y.f, s.parents[len(s.parents)-1]
	start, end := y.span(s)
	if s.flow || entry.Style&yaml.FlowStyle != 0 {
		return errors.New("the entry is written in {}")
	}
	if s.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return errors.New("the value is a block of lines: keep it in a Secret")
	}
	if whole := strings.Trim(strings.TrimSpace(string(f.data[start:end])), `"'`); whole != string(f.data[p.Start:p.End]) {
		return errors.New("it is only a part of the value: keep the whole value in a Secret")
	}
	name, key := "app", p.Name
	if n := get(get(y.docs[s.doc], "metadata"), "name"); n != nil && n.Value != "" {
		name = n.Value
	}
	if n := get(entry, "name"); n != nil && n.Value != "" {
		key = n.Value
	}
	name += "-secrets"
	indent := y.indent(entry, s)
	pad, nl := strings.Repeat(" ", indent), f.newline()
	at := y.offset(entryKey(entry, s.node))
	f.edit(at, end, "valueFrom:"+nl+pad+"  secretKeyRef:"+nl+pad+"    name: "+name+nl+pad+"    key: "+key)
	f.moved(p, "secretKeyRef "+name+"/"+key)
	f.next("kubectl create secret generic %s --from-file=%s=/dev/stdin   (it reads the value; or let your secret manager make the Secret)", name, key)
	return nil
}

func entryKey(mapping, value *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i+1] == value {
			return mapping.Content[i]
		}
	}
	return value
}

// externalSecret takes entries out of a Secret: with all of them gone the document
// becomes an ExternalSecret, else one is added that brings them.
// https://external-secrets.io/latest/api/externalsecret/
func (y *yamlFile) externalSecret(doc int, entries []keyed) {
	f, root := y.f, y.docs[doc]
	nl := f.newline()
	var total int
	for _, section := range []string{"data", "stringData"} {
		if n := get(root, section); n != nil {
			total += len(n.Content) / 2
			if n.Style&yaml.FlowStyle != 0 || root.Style&yaml.FlowStyle != 0 {
				for _, e := range entries {
					f.left(e.p, "the Secret is written in {}")
				}
				return
			}
		}
	}
	name := "secrets"
	if n := get(get(root, "metadata"), "name"); n != nil && n.Value != "" {
		name = n.Value
	}
	whole := distinct(entries) == total
	var b strings.Builder
	b.WriteString("spec:" + nl + "  secretStoreRef:" + nl + "    kind: ClusterSecretStore" + nl + "    name: default" + nl)
	b.WriteString("  target:" + nl + "    name: " + name + nl)
	if !whole {
		b.WriteString("    creationPolicy: Merge" + nl)
	}
	b.WriteString("  data:" + nl)
	for _, e := range entries {
		line := "    - secretKey: " + e.s.key(1) + nl
		if strings.Contains(b.String(), line) {
			continue
		}
		b.WriteString(line + "      remoteRef:" + nl + "        key: " + name + "/" + e.s.key(1) + nl)
	}
	for _, e := range entries {
		f.moved(e.p, "ExternalSecret "+name+"/"+e.s.key(1))
	}
	f.next("put the values into your secret manager under %s/…, and name its store in the ExternalSecret (secretStoreRef); the cluster needs the External Secrets Operator", name)
	if whole {
		y.setScalar(get(root, "apiVersion"), "external-secrets.io/v1")
		y.setScalar(get(root, "kind"), "ExternalSecret")
		first := true
		for i := 0; i+1 < len(root.Content); i += 2 {
			key := root.Content[i].Value
			if key != "data" && key != "stringData" && key != "type" && key != "immutable" {
				continue
			}
			text := ""
			if (key == "data" || key == "stringData") && first {
				text, first = b.String(), false
			}
			start, end := y.lines[root.Content[i].Line-1], y.mappingEnd(root, i)
			f.edit(start, end, text)
		}
		return
	}
	for _, section := range []string{"data", "stringData"} {
		y.dropEntries(root, section, entries)
	}
	at := y.documentEnd(doc)
	head := "---" + nl + "apiVersion: external-secrets.io/v1" + nl + "kind: ExternalSecret" + nl + "metadata:" + nl + "  name: " + name + nl
	if n := get(get(root, "metadata"), "namespace"); n != nil {
		head += "  namespace: " + n.Value + nl
	}
	if at > 0 && f.data[at-1] != '\n' {
		head = nl + head
	}
	f.edit(at, at, head+b.String())
}

func distinct(entries []keyed) int {
	seen := map[*yaml.Node]bool{}
	for _, e := range entries {
		seen[e.s.node] = true
	}
	return len(seen)
}

// dropEntries removes the entries of a section; the section goes with its last one.
func (y *yamlFile) dropEntries(root *yaml.Node, section string, entries []keyed) {
	n := get(root, section)
	if n == nil {
		return
	}
	gone := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		if slices.ContainsFunc(entries, func(e keyed) bool { return e.s.node == n.Content[i+1] }) {
			gone++
			y.f.edit(y.lines[n.Content[i].Line-1], y.mappingEnd(n, i), "")
		}
	}
	if gone == len(n.Content)/2 {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value == section {
				at := y.lines[root.Content[i].Line-1]
				y.f.edit(at, y.f.lineEnd(at)+1, "")
			}
		}
	}
}

func (y *yamlFile) setScalar(n *yaml.Node, text string) {
	if n == nil || n.Value == text {
		return
	}
	at := y.offset(n)
	if c := y.f.data[at]; c == '"' || c == '\'' { // its quotes stay
		at++
	}
	y.f.edit(at, at+len(n.Value), text)
}

// mappingEnd is where the entry at place i of a mapping ends: where the next line
// begins that is not indented more than its key.
func (y *yamlFile) mappingEnd(n *yaml.Node, i int) int {
	indent := n.Content[i].Column - 1
	line := n.Content[i].Line
	for line < len(y.lines) {
		text := y.line(line)
		t := strings.TrimLeft(text, " ")
		if strings.TrimSpace(t) != "" && len(text)-len(t) <= indent {
			break
		}
		line++
	}
	if line < len(y.lines) {
		return y.lines[line]
	}
	return len(y.f.data)
}

// documentEnd is where a document ends: before the next one's ---.
func (y *yamlFile) documentEnd(doc int) int {
	if doc+1 == len(y.docs) {
		return len(bytes.TrimRight(y.f.data, "\r\n")) + len(y.f.newline())*btoi(bytes.HasSuffix(y.f.data, []byte("\n")))
	}
	for line := y.docs[doc+1].Line - 1; line > 0; line-- {
		if strings.HasPrefix(y.line(line-1), "---") {
			return y.lines[line-1]
		}
	}
	return y.lines[y.docs[doc+1].Line-1]
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
