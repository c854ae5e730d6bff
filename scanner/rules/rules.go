// Package rules loads rules: the built-in ones, which are TOML files beside
// this one, and those of a user, in the same form or in that of gitleaks.
//
// A file names an issuer and has one [[rule]] table for each kind of key it
// issues. Examples are lists of pieces that are joined here, so that the files
// themselves hold nothing that looks like a key. Keys that the form does not
// know are errors, with their line.
package rules

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/wasilibs/go-re2"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/scanner"
)

//go:embed *.toml
var builtin embed.FS

// maxFile is the largest rules file that is read: it may come from a
// repository, and be hostile.
const maxFile = 4 << 20

// file is the form of a rules file.
type file struct {
	Issuer string     `toml:"issuer"`
	Rule   []tomlRule `toml:"rule"`
}

type tomlRule struct {
	ID           string     `toml:"id"`
	Title        string     `toml:"title"`
	Class        string     `toml:"class"`
	Tier         string     `toml:"tier"`
	Provisioning bool       `toml:"provisioning"`
	Keywords     []string   `toml:"keywords"`
	Pattern      string     `toml:"pattern"`
	Name         string     `toml:"name"`
	Value        string     `toml:"value"`
	Finder       string     `toml:"finder"`
	Entropy      float64    `toml:"entropy"`
	Checksum     string     `toml:"checksum"`
	Facts        []string   `toml:"facts"`
	Reach        int        `toml:"reach"`
	Yields       bool       `toml:"yields"`
	Ends         string     `toml:"ends"`
	Paths        []string   `toml:"paths"`
	Near         []tomlNear `toml:"near"`
	Match        [][]string `toml:"match"`
	NoMatch      [][]string `toml:"no_match"`
	About        tomlAbout  `toml:"about"`
}

type tomlNear struct {
	Name     string `toml:"name"`
	Pattern  string `toml:"pattern"`
	Lines    int    `toml:"lines"`
	Required bool   `toml:"required"`
	Absent   bool   `toml:"absent"`
}

type tomlAbout struct {
	Holder   string   `toml:"holder"`
	Lifetime string   `toml:"lifetime"`
	Maximum  string   `toml:"maximum"`
	Scope    string   `toml:"scope"`
	Rotate   []string `toml:"rotate"`
	Revoke   string   `toml:"revoke"`
	Verify   string   `toml:"verify"`
	List     string   `toml:"list"`
	Delete   string   `toml:"delete"`
	Log      string   `toml:"log"`
	Store    string   `toml:"store"`
	Docs     []string `toml:"docs"`
	Evidence string   `toml:"evidence"`
}

// Builtin returns the built-in rules, by issuer and in the order of their files.
func Builtin() ([]scanner.Rule, error) {
	names, err := fs.Glob(builtin, "*.toml")
	if err != nil {
		return nil, err
	}
	lists := make([][]scanner.Rule, len(names))
	var group errgroup.Group // most of the time that a small scan takes is this
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range names {
		group.Go(func() error {
			data, err := builtin.ReadFile(name)
			if err == nil {
				lists[i], err = parse(name, data)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(lists...), nil
}

// A Set is what a rules file holds.
type Set struct {
	Rules []scanner.Rule
	Allow []scanner.Allowlist
	// Disabled are IDs of built-in rules that the file switches off.
	Disabled []string
	// Builtin says that the built-in rules are wanted as well.
	Builtin bool
	// Ignored says what of the file is not honoured, and why.
	Ignored []string
}

// ByID returns the rules that are built in, by their ids.
func ByID() (map[string]*scanner.Rule, error) {
	list, err := Builtin()
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*scanner.Rule, len(list))
	for i := range list {
		byID[list[i].ID] = &list[i]
	}
	return byID, nil
}

// ReadFile reads a rules file in either form.
func ReadFile(name string) (*Set, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read rules %s: %w", name, err)
	}
	return Parse(name, data)
}

// Parse reads the text of a rules file in either form: with [[rule]] tables it
// is ours, with [[rules]] or [extend] it is that of gitleaks or betterleaks. Every
// expression is compiled, so that a mistake is told at once.
func Parse(name string, data []byte) (*Set, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("rules %s: larger than %d MiB", name, maxFile>>20)
	}
	var shape map[string]any
	if err := toml.Unmarshal(data, &shape); err != nil {
		return nil, fmt.Errorf("rules %s: %w", name, position(err))
	}
	set := &Set{Builtin: true}
	var err error
	if _, ours := shape["rule"]; ours {
		set.Rules, err = parse(name, data)
	} else {
		set, err = parseGitleaks(name, data, shape)
	}
	if err != nil {
		return nil, err
	}
	if len(set.Rules) == 0 && len(set.Allow) == 0 && len(set.Disabled) == 0 && !set.Builtin {
		return nil, fmt.Errorf("rules %s: has no rules: expected [[rule]] tables, or [[rules]] as gitleaks has them", name)
	}
	s, err := scanner.New(set.Rules, scanner.Options{})
	if err == nil {
		err = s.Compile()
	}
	if err != nil {
		return nil, fmt.Errorf("rules %s: %w", name, err)
	}
	for i := range set.Allow {
		if err := set.Allow[i].Compile(); err != nil {
			return nil, fmt.Errorf("rules %s: allowlist: %w", name, err)
		}
	}
	return set, nil
}

// Changes returns a note for each rule of base that the set, read from file, switches off
// or replaces: nobody must take the scan for one with all built-in rules.
func (set *Set) Changes(base []scanner.Rule, file string) []string {
	var out []string
	if !set.Builtin {
		out = append(out, file+": all built-in rules are off: the file does not say extend.useDefault")
	}
	for _, what := range set.Ignored {
		out = append(out, file+": "+what)
	}
	for i := range base {
		id := base[i].ID
		switch {
		case slices.Contains(set.Disabled, id):
			out = append(out, fmt.Sprintf("rule %s is off: disabledRules (%s)", id, file))
		case slices.ContainsFunc(set.Rules, func(r scanner.Rule) bool { return r.ID == id }):
			out = append(out, fmt.Sprintf("rule %s is off: replaced by a rule of the same id (%s)", id, file))
		}
	}
	return out
}

// Merge returns the built-in rules and those of set: a rule of the set replaces
// a built-in one of the same ID.
func Merge(base []scanner.Rule, set *Set) []scanner.Rule {
	out := make([]scanner.Rule, 0, len(base)+len(set.Rules))
	if set.Builtin {
		for _, r := range base {
			same := func(o scanner.Rule) bool { return o.ID == r.ID }
			if !slices.Contains(set.Disabled, r.ID) && !slices.ContainsFunc(set.Rules, same) {
				out = append(out, r)
			}
		}
	}
	return append(out, set.Rules...)
}

func parse(name string, data []byte) ([]scanner.Rule, error) {
	var f file
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("rules %s: %w", name, position(err))
	}
	var out []scanner.Rule
	for i := range f.Rule {
		r := f.Rule[i].rule(f.Issuer)
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("rules %s: %w", path.Base(name), err)
		}
		out = append(out, r)
	}
	return out, nil
}

// position adds the line to an error of the TOML library.
func position(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		e := strict.Errors[0]
		line, _ := e.Position()
		return fmt.Errorf("line %d: unknown key %q", line, strings.Join(e.Key(), "."))
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, col := decode.Position()
		return fmt.Errorf("line %d, column %d: %w", line, col, err)
	}
	return err
}

func (t *tomlRule) rule(issuer string) scanner.Rule {
	r := scanner.Rule{
		ID: t.ID, Issuer: issuer, Title: t.Title, Class: scanner.Class(t.Class), Tier: scanner.Tier(t.Tier),
		Provisioning: t.Provisioning, Keywords: t.Keywords, Pattern: t.Pattern, Name: t.Name, Value: t.Value,
		Finder: t.Finder, Paths: t.Paths, Match: join(t.Match), NoMatch: join(t.NoMatch), About: scanner.About(t.About),
		Check: scanner.Check{Entropy: t.Entropy, Checksum: t.Checksum, Reach: t.Reach, Ends: t.Ends, Yields: t.Yields},
	}
	if r.Title == "" {
		r.Title = r.ID
	}
	for _, f := range t.Facts {
		r.Facts = append(r.Facts, scanner.Facts(f))
	}
	for _, n := range t.Near {
		r.Near = append(r.Near, scanner.Near(n))
	}
	return r
}

func join(examples [][]string) []string {
	var out []string
	for _, pieces := range examples {
		out = append(out, strings.Join(pieces, ""))
	}
	return out
}

// ExamplePath returns a path at which a rule that is bound to paths applies.
func ExamplePath(r *scanner.Rule) string {
	for _, p := range examplePaths {
		for _, expr := range r.Paths {
			if re, err := re2.Compile(expr); err == nil && re.MatchString(p) {
				return p
			}
		}
	}
	return "example"
}

// examplePaths are the kinds of files that rules are bound to.
var examplePaths = []string{"home/.npmrc", "home/.netrc", "home/.pgpass", "etc/.htpasswd", "home/.docker/config.json", "home/.pypirc",
	"app/.env", "deploy/main.tf", "deploy/values.yaml", "etc/app.conf", ".github/workflows/ci.yml", "etc/ipsec.secrets", "wg0.conf", "home/.ftpconfig", "home/.git-credentials", "home/.mozilla/logins.json"}
