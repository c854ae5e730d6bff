package fix

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

var golang = kind{
	reference: func(v string) string { return `os.Getenv("` + v + `")` },
	mend: func(f *file) error {
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, f.path, f.data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return errors.New("the Go file does not parse")
		}
		g := &goFile{f: f, fset: fset, tree: tree, literals: map[*ast.BasicLit][]Place{}, consts: map[*ast.GenDecl]bool{}}
		for _, p := range f.places {
			if err := g.sort(p); err != nil {
				f.left(p, err.Error())
			}
		}
		for lit, places := range g.literals {
			g.replace(lit, places)
		}
		for d := range g.consts {
			f.next("%s is a variable now: build the program", d.Specs[0].(*ast.ValueSpec).Names[0].Name)
			at := g.at(d.Pos())
			f.edit(at, at+len("const"), "var")
		}
		if len(g.literals) > 0 {
			g.importOS()
		}
		return nil
	},
}

type goFile struct {
	f        *file
	fset     *token.FileSet
	tree     *ast.File
	literals map[*ast.BasicLit][]Place
	consts   map[*ast.GenDecl]bool // to become var: a constant calls nothing
}

func (g *goFile) at(p token.Pos) int { return g.fset.Position(p).Offset }

// sort finds what a value stands in: a string that may become a call, or a comment.
func (g *goFile) sort(p Place) error {
	for _, group := range g.tree.Comments {
		if g.at(group.Pos()) <= p.Start && p.End <= g.at(group.End()) {
			g.f.replace(p, p.Name, p.Name)
			return nil
		}
	}
	path := g.pathTo(p)
	if len(path) == 0 {
		return errors.New("it is in no string")
	}
	lit := path[len(path)-1].(*ast.BasicLit) // pathTo ends with one
	var constant *ast.GenDecl                // that the string is the value of
	for i := len(path) - 2; i >= 0; i-- {
		switch n := path[i].(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			if constant != nil {
				return errors.New("it is a constant in a function: make it a variable first")
			}
		case *ast.ImportSpec, *ast.Field:
			return errors.New("it is in an import or a field's tag")
		case *ast.GenDecl:
			if n.Tok == token.CONST {
				constant = n
				if err := g.variable(n); err != nil {
					return err
				}
			}
		}
	}
	if g.shadowsOS() {
		return errors.New("the file of package " + g.tree.Name.Name + " uses the name os for something else")
	}
	if constant != nil {
		g.consts[constant] = true
	}
	g.literals[lit] = append(g.literals[lit], p)
	return nil
}

// variable notes that constants have to become variables: iota and values that are
// repeated from the line above cannot.
func (g *goFile) variable(d *ast.GenDecl) error {
	for _, s := range d.Specs {
		v, ok := s.(*ast.ValueSpec)
		if !ok || len(v.Values) == 0 {
			return errors.New("it is a constant in a list that repeats values: make it a variable first")
		}
		for _, value := range v.Values {
			iota := false
			ast.Inspect(value, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				iota = iota || ok && id.Name == "iota"
				return true
			})
			if iota {
				return errors.New("it is a constant in a list with iota: make it a variable first")
			}
		}
	}
	if g.usedInConstant(d) {
		return errors.New("another constant is made of it: make both variables first")
	}
	if v := d.Specs[0].(*ast.ValueSpec); v.Type != nil {
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "string" {
			return errors.New("it is a constant of a type of its own: make it a variable first")
		}
	}
	if len(d.Specs) > 1 {
		return errors.New("it is a constant in a group: make it a variable first")
	}
	return nil
}

// usedInConstant reports whether a constant of the file is made of one of d.
func (g *goFile) usedInConstant(d *ast.GenDecl) bool {
	names := map[string]bool{}
	for _, s := range d.Specs {
		for _, id := range s.(*ast.ValueSpec).Names {
			names[id.Name] = true
		}
	}
	used := false
	ast.Inspect(g.tree, func(n ast.Node) bool {
		other, ok := n.(*ast.GenDecl)
		if !ok || other.Tok != token.CONST || other == d {
			return true
		}
		ast.Inspect(other, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			used = used || ok && names[id.Name]
			return true
		})
		return false
	})
	return used
}

func (g *goFile) pathTo(p Place) []ast.Node {
	var stack, found []ast.Node
	ast.Inspect(g.tree, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && g.at(lit.Pos()) < p.Start && p.End < g.at(lit.End()) {
			found = append([]ast.Node(nil), stack...)
		}
		return true
	})
	return found
}

func (g *goFile) shadowsOS() bool {
	shadowed := false
	ast.Inspect(g.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			path, _ := strconv.Unquote(n.Path.Value)
			name := path[strings.LastIndexByte(path, '/')+1:]
			if n.Name != nil {
				name = n.Name.Name
			}
			shadowed = shadowed || (name == "os") != (path == "os")
		case *ast.AssignStmt:
			for _, l := range n.Lhs {
				id, ok := l.(*ast.Ident)
				shadowed = shadowed || ok && n.Tok == token.DEFINE && id.Name == "os"
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				shadowed = shadowed || id.Name == "os"
			}
		case *ast.Field:
			for _, id := range n.Names {
				shadowed = shadowed || id.Name == "os"
			}
		}
		return true
	})
	return shadowed
}

// replace puts calls in place of values in one literal; the rest of it is joined to them.
func (g *goFile) replace(lit *ast.BasicLit, places []Place) {
	start, end := g.at(lit.Pos()), g.at(lit.End())
	quote := string(g.f.data[start])
	concat(g.f, piece{start: start, end: end, open: start + 1, close: end - 1, before: quote, after: quote}, places,
		func(p Place) string { return `os.Getenv("` + p.Name + `")` })
	for _, p := range places {
		g.f.next("set %s in the environment of the program", p.Name)
	}
}

// importOS adds the import, in its place among the others.
func (g *goFile) importOS() {
	var block *ast.GenDecl
	for _, d := range g.tree.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.IMPORT {
			break
		}
		for _, s := range gen.Specs {
			if s.(*ast.ImportSpec).Path.Value == `"os"` {
				return
			}
		}
		if gen.Lparen.IsValid() && block == nil {
			block = gen
		}
	}
	f, nl := g.f, g.f.newline()
	for _, s := range g.tree.Imports { // the comment before import "C" is C's
		if s.Path.Value == `"C"` {
			last := g.tree.Imports[len(g.tree.Imports)-1]
			at := f.lineEnd(g.at(last.End()))
			if block != nil {
				at = f.lineEnd(g.at(block.End()))
			}
			f.edit(at, at, nl+`import "os"`)
			return
		}
	}
	switch {
	case block != nil && g.fset.Position(block.Lparen).Line == g.fset.Position(block.Rparen).Line:
		at := g.at(block.Lparen) + 1
		f.edit(at, at, `"os"; `)
	case block != nil && len(block.Specs) > 0:
		at, prefix, suffix := 0, "", nl+"\t"
		for i, s := range block.Specs {
			spec := s.(*ast.ImportSpec)
			if i > 0 && g.fset.Position(spec.Pos()).Line > g.fset.Position(block.Specs[i-1].End()).Line+1 {
				break // the standard library's group is the first one
			}
			if at == 0 && spec.Path.Value > `"os"` {
				at = g.at(spec.Pos())
			}
		}
		if at == 0 { // after all of the first group
			last := block.Specs[0]
			for i, s := range block.Specs[1:] {
				if g.fset.Position(s.Pos()).Line > g.fset.Position(block.Specs[i].End()).Line+1 {
					break
				}
				last = s
			}
			at, prefix, suffix = f.lineEnd(g.at(last.End())), nl+"\t", ""
		}
		f.edit(at, at, prefix+`"os"`+suffix)
	case len(g.tree.Imports) > 0:
		at := g.at(g.tree.Decls[0].Pos())
		f.edit(at, at, `import "os"`+nl)
	default:
		at := f.lineEnd(g.at(g.tree.Name.End()))
		f.edit(at, at, nl+nl+`import "os"`)
	}
}
