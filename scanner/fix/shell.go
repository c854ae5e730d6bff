package fix

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

var shell = kind{
	reference: func(v string) string { return `"${` + v + `:?}"` },
	mend: func(f *file) error {
		s, err := parseShell(f.data, 0)
		if err != nil {
			return err
		}
		for _, p := range f.places {
			if err := s.mend(f, p); err != nil {
				f.left(p, err.Error())
				continue
			}
			f.next("set %s in the environment that runs the script", p.Name)
		}
		return nil
	},
}

func hasShellShebang(data []byte) bool {
	line, _, _ := bytes.Cut(data[:min(len(data), 200)], []byte("\n"))
	words := strings.Fields(strings.TrimPrefix(string(line), "#!"))
	if !bytes.HasPrefix(line, []byte("#!")) || len(words) == 0 {
		return false
	}
	if path.Base(words[0]) == "env" && len(words) > 1 {
		words = words[1:]
	}
	return slices.Contains([]string{"sh", "bash", "dash", "ash", "ksh"}, path.Base(words[0]))
}

// A script is a parsed shell script that stands somewhere in a file.
type script struct {
	base int // where in the file it begins
	tree *syntax.File
}

func parseShell(text []byte, base int) (*script, error) {
	tree, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)).Parse(bytes.NewReader(text), "")
	if err != nil {
		var pe syntax.ParseError
		if errors.As(err, &pe) {
			return nil, fmt.Errorf("the shell script does not parse at line %d, column %d", pe.Pos.Line(), pe.Pos.Col())
		}
		return nil, errors.New("the shell script does not parse")
	}
	return &script{base, tree}, nil
}

// mend replaces the value at p by an expansion, as its quoting needs.
func (s *script) mend(f *file, p Place) error {
	var stack, found []syntax.Node
	syntax.Walk(s.tree, func(n syntax.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return false
		}
		stack = append(stack, n)
		if s.at(n.Pos()) <= p.Start && p.End <= s.at(n.End()) {
			found = append(found[:0], stack...)
		}
		return true
	})
	if len(found) == 0 {
		return errors.New("it is in no word of the script")
	}
	ref := "${" + p.Name + ":?}"
	last := found[len(found)-1]
	for _, n := range found { // a default is a value in clear: all of ${X:-value} goes
		if e, ok := n.(*syntax.ParamExp); ok && e.Exp != nil {
			return s.dropDefault(f, p, e)
		}
	}
	switch n := last.(type) {
	case *syntax.Comment:
		f.replace(p, p.Name, p.Name)
	case *syntax.SglQuoted:
		if n.Dollar {
			return errors.New("it is in a $'…' string")
		}
		s.breakOut(f, p, s.at(n.Pos()), s.at(n.End()), ref)
	case *syntax.Lit:
		quoted, err := s.quoting(found, p)
		if err != nil {
			return err
		}
		if quoted {
			f.replace(p, ref, ref)
		} else {
			f.replace(p, `"`+ref+`"`, ref)
		}
	default:
		return errors.New("it is more than one word of the script")
	}
	return nil
}

func (s *script) at(p syntax.Pos) int { return s.base + int(p.Offset()) }

// quoting reports whether the innermost word is in double quotes or in a here
// document that expands; there the expansion needs no quotes.
func (s *script) quoting(path []syntax.Node, p Place) (quoted bool, err error) {
	for i := len(path) - 1; i >= 0; i-- {
		switch n := path[i].(type) {
		case *syntax.DblQuoted:
			return true, nil
		case *syntax.Redirect:
			if n.Hdoc != nil && s.at(n.Hdoc.Pos()) <= p.Start && p.End <= s.at(n.Hdoc.End()) {
				for _, part := range n.Word.Parts {
					if _, plain := part.(*syntax.Lit); !plain {
						return false, errors.New("it is in a here document whose end is quoted: nothing expands there")
					}
				}
				if lit := n.Word.Lit(); strings.Contains(lit, `\`) {
					return false, errors.New("it is in a here document whose end is quoted: nothing expands there")
				}
				return true, nil
			}
		case *syntax.CmdSubst, *syntax.Assign, *syntax.CallExpr:
			return false, nil
		}
	}
	return false, nil
}

// breakOut leaves single quotes for the expansion.
func (s *script) breakOut(f *file, p Place, from, to int, ref string) {
	start, end, text := p.Start, p.End, `"`+ref+`"`
	if start == from+1 {
		start = from
	} else {
		text = "'" + text
	}
	if end == to-1 {
		end = to
	} else {
		text += "'"
	}
	f.edit(start, end, text)
	f.moved(p, ref)
}

func (s *script) dropDefault(f *file, p Place, e *syntax.ParamExp) error {
	switch e.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
	default:
		return errors.New("it is in an expansion that is more than a default")
	}
	if e.Param == nil || e.Index != nil || e.Slice != nil || e.Repl != nil || e.Excl || e.Length {
		return errors.New("it is in an expansion that is more than a default")
	}
	ref := "${" + e.Param.Value + ":?}"
	f.edit(s.at(e.Pos()), s.at(e.End()), ref)
	f.moved(p, ref)
	return nil
}
