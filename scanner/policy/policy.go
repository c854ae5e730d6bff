// Package policy reads what a team has told Keyward of its keys: the policy file
// of a repository and the baseline of known keys. One policy serves every way
// of use: the command, the hooks, the Action and the App.
//
// Both files come from a repository and are hostile input. They are read only
// if they are regular files of bounded size, unknown words are errors with
// their line, and nothing in them switches everything off: an exception needs a
// reason, may expire, and is counted in every report.
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/pelletier/go-toml/v2"

	"github.com/keyward/keyward/scanner"
)

// Names are where the policy file may lie in a repository, in this order.
var names = []string{".keyward.toml", ".github/keyward.toml"}

// Names returns where a policy file is looked for.
func Names() []string { return slices.Clone(names) }

// MaxFile is the largest policy file that is read.
const MaxFile = 1 << 20

// The bounds of a policy: every finding is compared with every exception.
const (
	maxRuleFiles  = 8
	maxExceptions = 1000
	maxPatterns   = 100 // path patterns of one exception
	maxPattern    = 512 // bytes of a path pattern
	maxStars      = 8   // ** in a path pattern: each multiplies the ways to match
	maxBraces     = 4   // {a,b} in a path pattern, for the same reason
	maxWays       = 64  // of choosing among the alternatives of all its {a,b}
)

// A Policy is the content of a policy file. The zero value allows nothing.
type Policy struct {
	Path string // where it was read from, or ""
	// Repository is the identity under which fingerprints are made where there
	// is no pepper, such as github.com/acme/widgets.
	Repository string
	Rules      []string // more rules files, relative to the root
	Allow      []Exception
	Disable    []Disabled
	// ForeignComments says that the allow comments of other scanners hold.
	ForeignComments bool
	App             App
}

// An Exception says that certain keys are known and not to be reported.
type Exception struct {
	Rules        []string
	Paths        []string // globs with **, relative to the root
	Fingerprints []string
	Reason       string
	Expires      time.Time // the last day on which it holds, or zero
	line         int
}

// Disabled is a rule that is not wanted.
type Disabled struct {
	Rule, Reason string
}

type policyFile struct {
	Repository string        `toml:"repository"`
	Rules      []string      `toml:"rules"`
	Foreign    bool          `toml:"foreign-comments"`
	Allow      []tomlAllow   `toml:"allow"`
	Disable    []tomlDisable `toml:"disable"`
	App        tomlApp       `toml:"app"`
}

type tomlAllow struct {
	Rules        []string `toml:"rules"`
	Paths        []string `toml:"paths"`
	Fingerprints []string `toml:"fingerprints"`
	Reason       string   `toml:"reason"`
	Expires      any      `toml:"expires"`
}

type tomlDisable struct {
	Rule   string `toml:"rule"`
	Reason string `toml:"reason"`
}

// Find reads the policy of the work tree at root, or returns an empty one.
func Find(root string) (*Policy, error) {
	for _, name := range names {
		p, err := Load(filepath.Join(root, filepath.FromSlash(name)), name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return p, err
	}
	return &Policy{}, nil
}

// Load reads the policy file called file; name is what messages call it.
func Load(file, name string) (*Policy, error) {
	data, err := ReadRegular(file, MaxFile)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	return Parse(name, data)
}

// ReadRegular reads a file that a repository may have planted: it must be a
// regular file, not a link, of at most limit bytes.
func ReadRegular(file string, limit int64) ([]byte, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if err := regular(info, limit); err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// ReadBelow reads a regular file below root as ReadRegular does. No part of its path may
// be a link that leads out of root.
func ReadBelow(root, name string, limit int64) ([]byte, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	info, err := dir.Lstat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if err := regular(info, limit); err != nil {
		return nil, err
	}
	f, err := dir.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// regular returns why a file is not read: only regular files of bounded size are.
func regular(info fs.FileInfo, limit int64) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("is a symbolic link: put the file itself there")
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file")
	case info.Size() > limit:
		return fmt.Errorf("is larger than %d bytes", limit)
	}
	return nil
}

// Parse reads the text of a policy file.
func Parse(name string, data []byte) (*Policy, error) {
	var f policyFile
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, tomlError(err))
	}
	p := &Policy{Path: name, Repository: f.Repository, Rules: f.Rules, ForeignComments: f.Foreign}
	if len(f.Allow) > maxExceptions {
		return nil, fmt.Errorf("policy %s: %d [[allow]] tables, at most %d are read: a baseline lists many findings", name, len(f.Allow), maxExceptions)
	}
	var err error
	if p.App, err = f.App.app(); err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	lines := tableLines(data, "[[allow]]")
	for i, a := range f.Allow {
		e := Exception{Rules: a.Rules, Paths: a.Paths, Fingerprints: a.Fingerprints, Reason: strings.TrimSpace(a.Reason)}
		if i < len(lines) {
			e.line = lines[i]
		}
		var err error
		if e.Expires, err = day(a.Expires); err == nil {
			err = e.check()
		}
		if err != nil {
			return nil, fmt.Errorf("policy %s: line %d: [[allow]]: %w", name, e.line, err)
		}
		p.Allow = append(p.Allow, e)
	}
	if tooWide(p.Allow) {
		return nil, fmt.Errorf("policy %s: the [[allow]] tables for paths alone match most files together: an exception for everything is refused", name)
	}
	for i, d := range f.Disable {
		if d.Rule == "" || len(strings.TrimSpace(d.Reason)) < 3 {
			return nil, fmt.Errorf("policy %s: [[disable]] number %d: needs rule and reason", name, i+1)
		}
		p.Disable = append(p.Disable, Disabled(d))
	}
	if len(p.Rules) > maxRuleFiles {
		return nil, fmt.Errorf("policy %s: rules: %d files, at most %d are read", name, len(p.Rules), maxRuleFiles)
	}
	for _, r := range p.Rules {
		if !filepath.IsLocal(filepath.FromSlash(r)) {
			return nil, fmt.Errorf("policy %s: rules file %q lies outside the repository", name, r)
		}
	}
	return p, nil
}

// tableLines returns the lines on which a table array's headers stand.
func tableLines(data []byte, header string) []int {
	var lines []int
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if strings.HasPrefix(strings.TrimSpace(string(line)), header) {
			lines = append(lines, n)
		}
	}
	return lines
}

// day reads a date, written as a TOML date or as text.
func day(v any) (time.Time, error) {
	switch v := v.(type) {
	case nil:
		return time.Time{}, nil
	case toml.LocalDate:
		return v.AsTime(time.UTC), nil
	case string:
		t, err := time.Parse(time.DateOnly, v)
		if err != nil {
			return t, fmt.Errorf("expires = %q is no date: write 2027-01-31", v)
		}
		return t, nil
	case time.Time:
		return v, nil
	}
	return time.Time{}, fmt.Errorf("expires = %v is no date: write 2027-01-31", v)
}

// probes are paths as repositories have them. Patterns that match half of them would
// switch the scan off.
var probes = []string{
	"main.go", "src/app.py", "config/production.yml", "deploy/prod/values.yaml", ".env", ".github/workflows/ci.yml", "internal/db/conn.go",
	"terraform/main.tf", "docker-compose.yml", "Dockerfile", "app/models/user.rb", "scripts/deploy.sh", "package.json", "lib/util.js",
	"services/api/handler.ts", "k8s/secret.yaml", "ansible/group_vars/all", "backend/settings.py", "web/index.html", "README.md",
	"a", "x/y/z/w/v.txt", "notes", "infra/prod.tfvars",
}

// covers reports whether an exception for paths alone matches p.
func (e *Exception) covers(p string) bool {
	return len(e.Rules)+len(e.Fingerprints) == 0 && slices.ContainsFunc(e.Paths, func(g string) bool { return match(g, p) })
}

// tooWide reports whether exceptions for paths alone match half of all paths or more.
func tooWide(list []Exception) bool {
	matched := 0
	for _, p := range probes {
		if slices.ContainsFunc(list, func(e Exception) bool { return e.covers(p) }) {
			matched++
		}
	}
	return 2*matched >= len(probes)
}

// check returns what is wrong with an exception.
func (e *Exception) check() error {
	switch {
	case len(e.Reason) < 3:
		return errors.New("needs a reason")
	case len(e.Rules)+len(e.Paths)+len(e.Fingerprints) == 0:
		return errors.New("needs rules, paths or fingerprints: an exception for everything is refused")
	case len(e.Paths) > maxPatterns:
		return fmt.Errorf("%d path patterns, at most %d are read", len(e.Paths), maxPatterns)
	}
	for _, g := range e.Paths {
		switch {
		case len(g) > maxPattern || strings.Count(g, "**") > maxStars || strings.Count(g, "{") > maxBraces:
			return fmt.Errorf("path pattern %.40q is too long, or has more than %d ** or %d {}", g, maxStars, maxBraces)
		case ways(g) > maxWays:
			return fmt.Errorf("path pattern %.40q: its {} can be read in %d ways, at most %d are allowed", g, ways(g), maxWays)
		case !named(g) && len(e.Rules)+len(e.Fingerprints) == 0:
			return fmt.Errorf("path pattern %q names no part of a path: an exception for everything is refused", g)
		case !doublestar.ValidatePattern(g):
			return fmt.Errorf("path pattern %q is malformed", g)
		}
	}
	if tooWide([]Exception{*e}) {
		return fmt.Errorf("paths %q match most files: an exception for everything is refused", e.Paths)
	}
	for _, fp := range e.Fingerprints {
		if len(fp) < 12 || strings.Trim(fp, "0123456789abcdef") != "" {
			return fmt.Errorf("fingerprint %q: want at least 12 hexadecimal digits, as reports show them", fp)
		}
	}
	return nil
}

// ways counts how many globs without braces one stands for, at least.
func ways(glob string) int {
	all, here, depth := 1, 1, 0
	for _, r := range glob {
		switch {
		case r == '{':
			depth++
		case r == '}' && depth > 0:
			if depth--; depth == 0 {
				all, here = min(all*here, 1<<20), 1
			}
		case r == ',' && depth > 0:
			here++
		}
	}
	return all * here
}

// named reports whether a glob has a letter or digit outside its brackets.
func named(glob string) bool {
	depth := 0
	for _, r := range glob {
		switch {
		case r == '[' || r == '{':
			depth++
		case r == ']' || r == '}':
			depth--
		case depth == 0 && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			return true
		}
	}
	return false
}

func match(glob, p string) bool {
	ok, err := doublestar.Match(glob, p)
	if err == nil && !ok && !strings.Contains(glob, "/") { // as in .gitignore, a bare name is meant anywhere
		ok, err = doublestar.Match(glob, path.Base(p))
	}
	return err == nil && ok
}

// tomlError adds the line to an error of the TOML library.
func tomlError(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		line, _ := strict.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %q", line, strings.Join(strict.Errors[0].Key(), "."))
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, col := decode.Position()
		return fmt.Errorf("line %d, column %d: %w", line, col, err)
	}
	return err
}

// Holds reports whether an exception holds on a day.
func (e *Exception) Holds(now time.Time) bool {
	return e.Expires.IsZero() || now.Before(e.Expires.AddDate(0, 0, 1))
}

// names reports whether an exception names the fingerprint of a key, under any pepper.
func (e *Exception) names(k *scanner.Key) bool {
	for _, full := range k.Fingerprints() {
		if slices.ContainsFunc(e.Fingerprints, func(fp string) bool { return strings.HasPrefix(full, fp) }) {
			return true
		}
	}
	return false
}

// Touches reports whether an exception speaks of a key at one of its places at least. Whether
// it holds for all of them, and today, says [Policy.Known].
func (e *Exception) Touches(k *scanner.Key) bool {
	switch {
	case len(e.Rules) > 0 && !slices.Contains(e.Rules, k.Rule.ID):
		return false
	case len(e.Fingerprints) > 0 && !e.names(k):
		return false
	}
	return len(e.Paths) == 0 || slices.ContainsFunc(k.Places, func(pl scanner.Place) bool { return e.at(pl.Path) })
}

// at reports whether one of the paths of an exception matches.
func (e *Exception) at(name string) bool {
	return slices.ContainsFunc(e.Paths, func(g string) bool { return match(g, name) })
}

// Line is the line of the policy file on which an exception begins, from 1.
func (e *Exception) Line() int { return e.line }

// Known returns why a key is known to the policy, or nil. Every place of the
// key has to be covered by the same exception: a key that is allowed in a
// fixture is not allowed in a deployment.
func (p *Policy) Known(k *scanner.Key, now time.Time) *scanner.Known {
	for i := range p.Allow {
		e := &p.Allow[i]
		if !e.Holds(now) || len(e.Rules) > 0 && !slices.Contains(e.Rules, k.Rule.ID) {
			continue
		}
		if len(e.Fingerprints) > 0 && !e.names(k) {
			continue
		}
		if len(e.Paths) > 0 && slices.ContainsFunc(k.Places, func(pl scanner.Place) bool { return !e.at(pl.Path) }) {
			continue
		}
		return &scanner.Known{By: "policy", Where: fmt.Sprintf("%s:%d", p.Path, e.line), Reason: e.Reason, Expires: e.Expires}
	}
	return nil
}

// Disabled returns the table that switches the rule of a key off, or nil.
func (p *Policy) Disabled(k *scanner.Key) *scanner.Known {
	for _, d := range p.Disable {
		if d.Rule == k.Rule.ID {
			return &scanner.Known{By: "policy", Where: p.Path, Reason: d.Reason}
		}
	}
	return nil
}

// Enabled returns the rules of a list that the policy does not switch off. A rule that
// is not there is an error: a misspelt one would stay on.
func (p *Policy) Enabled(list []scanner.Rule) ([]scanner.Rule, error) {
	for _, d := range p.Disable {
		n := slices.IndexFunc(list, func(r scanner.Rule) bool { return r.ID == d.Rule })
		if n < 0 {
			return nil, fmt.Errorf("policy %s: [[disable]]: there is no rule %q", p.Path, d.Rule)
		}
		list = slices.Delete(slices.Clone(list), n, n+1)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("policy %s: [[disable]]: no rules are left: nothing could be found", p.Path)
	}
	return list, nil
}

// Off returns a note for each rule that the policy switches off.
func (p *Policy) Off() []string {
	var out []string
	for _, d := range p.Disable {
		out = append(out, fmt.Sprintf("rule %s is off: %s (%s)", d.Rule, d.Reason, p.Path))
	}
	return out
}

// Lapsed returns a note for each exception that has expired.
func (p *Policy) Lapsed(now time.Time) []string {
	var out []string
	for i := range p.Allow {
		if e := &p.Allow[i]; !e.Holds(now) {
			out = append(out, fmt.Sprintf("%s:%d: the exception %q expired on %s", p.Path, e.line, e.Reason, e.Expires.Format(time.DateOnly)))
		}
	}
	return out
}

// Commented returns why a key is known by allow comments: one has to stand at
// every place of it.
func Commented(k *scanner.Key) *scanner.Known {
	var first *scanner.Place
	for i := range k.Places {
		p := &k.Places[i]
		if p.AllowComment == nil || p.AllowComment.Void != "" {
			return nil
		}
		if first == nil {
			first = p
		}
	}
	if first == nil {
		return nil
	}
	return &scanner.Known{By: "comment", Where: fmt.Sprintf("%s:%d", first.Path, first.Line), Reason: first.AllowComment.Reason, Expires: first.AllowComment.Until}
}
