package hooks

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/foreign"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

func newMigrate(env *Env) *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "migrate [FILE...]",
		Short: "Take over what other scanners were told to ignore",
		Long: `Migrate reads .gitleaksignore, the allowlists and reports of gitleaks,
.secrets.baseline, lists of paths of trufflehog and .gitguardian.yaml: the files
named, or those at the top of the repository. It looks for the findings that they
speak of and adds exceptions to .keyward.toml, and secrets that are known and not
yet rotated to .keyward-baseline.toml. What has no equivalent is named.

Allow comments of other scanners hold with foreign-comments = true in .keyward.toml.`,
		RunE: func(c *cobra.Command, args []string) error { return env.migrate(c.Context(), args, dryRun) },
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be written")
	return c
}

// A migration collects what the entries of other scanners become.
type migration struct {
	entries  []foreign.Entry
	used     []bool // by number of the entry
	byValue  bool   // some entry names a value or its hash
	problems []foreign.Problem
	allowed  map[string][]string // fingerprints, by the file that excepts them
	globs    map[string][]string // by file
	written  int                 // of the globs, those that the policy takes
	known    []*scanner.Key
	noted    map[string]bool // fingerprints that are in allowed or known
}

func (env *Env) migrate(ctx context.Context, args []string, dryRun bool) error {
	s, err := env.begin(ctx, env.path("."), &setup{})
	if err != nil {
		return err
	}
	if s.repo != nil && s.repo.Bare {
		return hint(errors.New("migrate: a bare repository has no files to change"), "nothing was changed")
	}
	m := &migration{allowed: map[string][]string{}, globs: map[string][]string{}, noted: map[string]bool{}}
	if err := m.read(s, args); err != nil {
		return hint(err, "nothing was changed")
	}
	complete, err := env.everywhere(ctx, m.match)
	if err != nil {
		return err
	}
	m.leaveOut(s, env.Now())
	text, err := m.exceptions()
	if err != nil {
		return hint(err, "nothing was changed")
	}
	if !dryRun {
		if err := env.writeMigration(ctx, s, m, text); err != nil {
			return err
		}
	}
	env.tellMigration(m, dryRun)
	if !complete {
		fmt.Fprintln(env.Stderr, "keyward: note: not everything could be scanned: findings may be missing (keyward scan --history names what)")
	}
	return nil
}

// read reads the files named, or those that are there.
func (m *migration) read(s *session, args []string) error {
	names := args
	if len(args) == 0 {
		for _, name := range foreign.Names() {
			if _, err := policy.ReadBelow(s.root, name, policy.MaxBaseline); !errors.Is(err, fs.ErrNotExist) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("migrate: none of %s is in %s: name the file", strings.Join(foreign.Names(), ", "), s.root)
	}
	for _, name := range names {
		var data []byte
		var err error
		if len(args) == 0 {
			data, err = policy.ReadBelow(s.root, name, policy.MaxBaseline)
		} else {
			data, err = policy.ReadRegular(s.env.path(name), policy.MaxBaseline)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		entries, problems, err := foreign.Read(filepath.ToSlash(name), data)
		if err != nil {
			return err
		}
		m.entries, m.problems = append(m.entries, entries...), append(m.problems, problems...)
	}
	m.used = make([]bool, len(m.entries))
	for i, e := range m.entries {
		m.byValue = m.byValue || e.Value != "" || e.SHA1 != "" || e.SHA256 != ""
		if len(e.Globs) > 0 {
			m.used[i] = true
			m.globs[e.File] = append(m.globs[e.File], e.Globs...)
		}
	}
	return nil
}

// match finds the entries that speak of findings, and reports whether all have been found.
func (m *migration) match(j *job, keys []*scanner.Key) bool {
	for _, k := range keys {
		for _, p := range k.Places {
			var v value
			if m.byValue { // the file is read for it
				v = valueOf(j.valueAt(&p))
			}
			for i := range m.entries {
				if e := &m.entries[i]; len(e.Globs) == 0 && speaksOf(e, &p, &v) {
					m.used[i] = true
					m.note(e, k)
				}
			}
		}
	}
	return !slices.Contains(m.used, false)
}

// note notes what an entry says of a finding.
func (m *migration) note(e *foreign.Entry, k *scanner.Key) {
	if m.noted[k.Fingerprint] {
		return
	}
	m.noted[k.Fingerprint] = true
	if e.Known {
		m.known = append(m.known, k)
	} else {
		m.allowed[e.File] = append(m.allowed[e.File], k.Fingerprint)
	}
}

// A value is a secret as it stands in a file, in the forms in which entries have it.
type value struct{ text, low, sha1, sha256 string }

func valueOf(text []byte) value {
	sum1, sum256 := sha1.Sum(text), sha256.Sum256(text)
	return value{string(text), strings.ToLower(string(text)), hex.EncodeToString(sum1[:]), hex.EncodeToString(sum256[:])}
}

// speaksOf reports whether an entry speaks of a finding at a place, where a value stands.
func speaksOf(e *foreign.Entry, p *scanner.Place, v *value) bool {
	switch {
	case e.Path != "" && e.Path != p.Path:
		return false
	case e.At > 0 && (e.At < p.Line || e.At > max(p.Line, p.EndLine)):
		return false
	case e.Commit != "" && (p.Commit == nil || !strings.HasPrefix(p.Commit.ID, e.Commit)):
		return false
	case e.SHA1 != "" && e.SHA1 != v.sha1, e.SHA256 != "" && e.SHA256 != v.sha256:
		return false
	case e.Value != "" && !e.Part && e.Value != v.text:
		return false
	case e.Value != "" && e.Part && !strings.Contains(v.low, strings.ToLower(e.Value)):
		return false
	}
	return true
}

// valueAt reads the value at a place from its file, nil if the file cannot be read.
func (j *job) valueAt(p *scanner.Place) []byte {
	data := j.content(context.Background(), p)
	if p.Start < 0 || p.End > int64(len(data)) || p.Start > p.End {
		return nil
	}
	return data[p.Start:p.End]
}

// leaveOut leaves out what the policy and the baseline have already, so that a second
// migration of the same files adds nothing.
func (m *migration) leaveOut(s *session, now time.Time) {
	for _, e := range s.policy.Allow {
		if !e.Holds(now) || len(e.Rules) > 0 || len(e.Paths) > 0 && len(e.Fingerprints) > 0 {
			continue
		}
		for file := range m.allowed {
			m.allowed[file] = slices.DeleteFunc(m.allowed[file], func(full string) bool {
				return slices.ContainsFunc(e.Fingerprints, func(fp string) bool { return strings.HasPrefix(full, fp) })
			})
		}
		for file := range m.globs {
			m.globs[file] = slices.DeleteFunc(m.globs[file], func(g string) bool { return slices.Contains(e.Paths, g) })
		}
	}
	if s.baseline != nil {
		m.known = slices.DeleteFunc(m.known, func(k *scanner.Key) bool { return s.baseline.Has(k) })
	}
}

// exceptions returns the text that is added to the policy. A path that the policy refuses is
// a problem.
func (m *migration) exceptions() ([]byte, error) {
	var list []exception
	files := map[string]bool{}
	for _, e := range m.entries {
		if files[e.File] {
			continue
		}
		files[e.File] = true
		reason := "migrated from " + e.File
		if prints := m.allowed[e.File]; len(prints) > 0 {
			list = append(list, exception{Fingerprints: slices.Sorted(slices.Values(prints)), Reason: reason})
		}
		var paths []string
		for _, g := range m.globs[e.File] {
			text, err := marshalExceptions(exception{Paths: append(slices.Clone(paths), g), Reason: reason})
			if err != nil {
				return nil, err
			}
			if _, err := policy.Parse("policy", text); err != nil {
				m.problems = append(m.problems, foreign.Problem{File: e.File, Why: fmt.Sprintf("the path %q is refused: %v", g, errors.Unwrap(err))})
				continue
			}
			paths = append(paths, g)
		}
		m.written += len(paths)
		if len(paths) > 0 {
			list = append(list, exception{Paths: paths, Reason: reason})
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	return marshalExceptions(list...)
}

// writeMigration adds the exceptions to the policy, and the known findings to the baseline.
func (env *Env) writeMigration(ctx context.Context, s *session, m *migration, text []byte) error {
	if len(text) > 0 {
		if _, err := env.addToPolicy(ctx, s, text); err != nil {
			return err
		}
	}
	if len(m.known) == 0 {
		return nil
	}
	b := s.baseline
	if b == nil {
		if _, err := os.Lstat(filepath.Join(s.root, policy.BaselineName)); err == nil {
			return hint(fmt.Errorf("migrate: %s was made under another pepper: %s cannot be added to it", policy.BaselineName, report.Count(len(m.known), "finding")),
				"set KEYWARD_PEPPER to the one it was made with, or remove the file")
		}
		b = &policy.Baseline{Path: policy.BaselineName}
	}
	b.Add(m.known, "migrated, still to be rotated", env.Now(), time.Time{})
	return env.writeBaseline(ctx, s, b, filepath.Join(s.root, policy.BaselineName))
}

// tellMigration says what was taken over, and what was not.
func (env *Env) tellMigration(m *migration, dryRun bool) {
	allowed := 0
	for _, p := range m.allowed {
		allowed += len(p)
	}
	verb := map[bool]string{false: "added", true: "to add"}[dryRun]
	fmt.Fprintf(env.Stdout, "%s: %s %s, %s\n", policy.Names()[0], report.Count(allowed, "finding"), verb, report.Count(m.written, "path pattern"))
	rotate := "; they still need to be rotated"
	if len(m.known) == 0 {
		rotate = ""
	}
	fmt.Fprintf(env.Stdout, "%s: %s %s%s\n", policy.BaselineName, report.Count(len(m.known), "finding"), verb, rotate)
	for _, p := range m.problems {
		fmt.Fprintf(env.Stdout, "not migrated: %s: %s\n", where(p.File, p.Line), p.Why)
	}
	for i, e := range m.entries {
		if !m.used[i] {
			what := where(e.Path, e.At)
			if e.Path == "" {
				what = "its value or commit"
			}
			fmt.Fprintf(env.Stdout, "not migrated: %s: Keyward has no finding for %s\n", where(e.File, e.Line), what)
		}
	}
}

// where names a line of a file, if it is known.
func where(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
