package fix

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

var terraform = kind{
	reference: func(v string) string { return "var." + strings.ToLower(v) },
	mend:      mendTerraform,
}

func mendTerraform(f *file) error {
	parsed, diags := hclsyntax.ParseConfig(f.data, f.path, hcl.InitialPos)
	if diags.HasErrors() {
		return errors.New("the Terraform file does not parse")
	}
	body := parsed.Body.(*hclsyntax.Body) // ParseConfig's documentation says so
	declared := f.variables()
	for _, p := range f.places {
		block, attr := locate(body, p)
		if attr == nil {
			if t := strings.TrimSpace(string(f.data[f.lineStart(p.Start):p.Start])); strings.ContainsAny(t, "#/") {
				f.replace(p, p.Name, p.Name)
				continue
			}
			f.left(p, "it is in no argument of a block")
			continue
		}
		if block != nil && block.Type == "variable" {
			f.variableDefault(block, attr, p)
			continue
		}
		if block != nil && slices.Contains([]string{"backend", "terraform", "cloud", "workspaces"}, block.Type) {
			f.left(p, "the terraform block takes no variables: give it with terraform init -backend-config, or in the environment")
			continue
		}
		if why := constant(block, attr); why != "" {
			f.left(p, why)
			continue
		}
		name := strings.ToLower(p.Name)
		if err := f.variableReference(attr, p, "var."+name); err != nil {
			f.left(p, err.Error())
			continue
		}
		if !declared[name] {
			declared[name] = true
			f.declare(name)
		}
		f.next("set TF_VAR_%s in the environment of terraform; its state still holds the value: protect and rotate", name)
	}
	return nil
}

// constant says why an argument takes no variable, or no sensitive one.
// https://developer.hashicorp.com/terraform/language/meta-arguments
func constant(b *hclsyntax.Block, a *hclsyntax.Attribute) string {
	switch {
	case b != nil && b.Type == "module" && (a.Name == "source" || a.Name == "version"):
		return "a module's source takes no variables: give git its credentials another way"
	case a.Name == "for_each" || a.Name == "count":
		return a.Name + " takes no sensitive value"
	case b != nil && b.Type == "lifecycle":
		return "lifecycle takes no variables"
	}
	return ""
}

// locate returns the innermost block and the attribute that a value stands in.
func locate(body *hclsyntax.Body, p Place) (*hclsyntax.Block, *hclsyntax.Attribute) {
	for _, a := range body.Attributes {
		if r := a.Expr.Range(); r.Start.Byte <= p.Start && p.End <= r.End.Byte {
			return nil, a
		}
	}
	for _, b := range body.Blocks {
		if r := hcl.RangeBetween(b.OpenBraceRange, b.CloseBraceRange); r.Start.Byte <= p.Start && p.End <= r.End.Byte {
			inner, a := locate(b.Body, p)
			if inner == nil {
				inner = b
			}
			return inner, a
		}
	}
	return nil, nil
}

// variableReference replaces the value in an expression: a whole string by the
// reference, a part of one by an interpolation.
func (f *file) variableReference(a *hclsyntax.Attribute, p Place, ref string) error {
	var found *hclsyntax.TemplateExpr
	inLiteral := false
	_ = hclsyntax.VisitAll(a.Expr, func(n hclsyntax.Node) hcl.Diagnostics { // the function reports none
		r := n.Range()
		if r.Start.Byte <= p.Start && p.End <= r.End.Byte {
			switch n := n.(type) {
			case *hclsyntax.TemplateExpr:
				found = n
			case *hclsyntax.LiteralValueExpr:
				inLiteral = true
			}
		}
		return nil
	})
	if found == nil || !inLiteral {
		return errors.New("it is in no string")
	}
	r := found.Range()
	if f.data[r.Start.Byte] == '"' && r.Start.Byte+1 == p.Start && p.End == r.End.Byte-1 {
		f.edit(r.Start.Byte, r.End.Byte, ref)
		f.moved(p, ref)
		return nil
	}
	f.replace(p, "${"+ref+"}", ref)
	return nil
}

// variableDefault drops the default of a variable and marks it sensitive.
func (f *file) variableDefault(b *hclsyntax.Block, a *hclsyntax.Attribute, p Place) {
	if a.Name != "default" {
		f.replace(p, p.Name, p.Name) // a description
		return
	}
	if r := a.Expr.Range(); f.data[r.Start.Byte] != '"' || r.Start.Byte+1 != p.Start || p.End != r.End.Byte-1 {
		f.left(p, "the default is more than the value: take it out of it by hand")
		return
	}
	start, end := f.lineStart(a.NameRange.Start.Byte), f.lineEnd(a.Expr.Range().End.Byte)
	if f.lineStart(b.OpenBraceRange.Start.Byte) == start { // variable "x" { default = "…" }
		f.left(p, "the variable is written on one line: give it lines of its own")
		return
	}
	text := ""
	if b.Body.Attributes["sensitive"] == nil {
		indent := string(f.data[start:a.NameRange.Start.Byte])
		text = indent + "sensitive = true" + f.newline()
	}
	f.edit(start, min(end+1, len(f.data)), text)
	f.moved(p, "var."+b.Labels[0])
	f.next("set TF_VAR_%s in the environment of terraform; its state still holds the value: protect and rotate", b.Labels[0])
}

// variables are the names declared in the module that the file belongs to.
func (f *file) variables() map[string]bool {
	out := map[string]bool{}
	dir := path.Dir(f.path)
	for _, name := range append(f.tree.List(dir), path.Base(f.path)) {
		if path.Ext(name) != ".tf" {
			continue
		}
		data := f.data
		if name != path.Base(f.path) {
			data = f.tree.File(path.Join(dir, name))
		}
		parsed, diags := hclsyntax.ParseConfig(data, name, hcl.InitialPos)
		if diags.HasErrors() {
			continue
		}
		for _, b := range parsed.Body.(*hclsyntax.Body).Blocks {
			if b.Type == "variable" && len(b.Labels) > 0 {
				out[b.Labels[0]] = true
			}
		}
	}
	return out
}

func (f *file) declare(name string) {
	nl := f.newline()
	text := nl + `variable "` + name + `" {` + nl + "  type      = string" + nl + "  sensitive = true" + nl + "}" + nl
	if len(f.data) > 0 && f.data[len(f.data)-1] != '\n' {
		text = nl + text
	}
	f.edit(len(f.data), len(f.data), text)
}

// tfvars loses its entry: the value comes from the environment.
var tfvars = kind{
	reference: func(v string) string { return "TF_VAR_" + strings.ToLower(v) },
	mend: func(f *file) error {
		parsed, diags := hclsyntax.ParseConfig(f.data, f.path, hcl.InitialPos)
		if diags.HasErrors() {
			return errors.New("the Terraform file does not parse")
		}
		for _, p := range f.places {
			_, a := locate(parsed.Body.(*hclsyntax.Body), p)
			if a == nil {
				f.replace(p, p.Name, p.Name) // a comment
				continue
			}
			if r := a.Expr.Range(); f.data[r.Start.Byte] != '"' || r.Start.Byte+1 != p.Start || p.End != r.End.Byte-1 {
				f.left(p, "the entry is more than the value: take it out of it by hand")
				continue
			}
			r := a.Range()
			f.edit(f.lineStart(r.Start.Byte), min(f.lineEnd(r.End.Byte)+1, len(f.data)), "")
			f.moved(p, "TF_VAR_"+a.Name)
			f.next("set TF_VAR_%s in the environment of terraform, or keep the entry in a *.auto.tfvars that git ignores", a.Name)
		}
		return nil
	},
}
