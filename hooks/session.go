package hooks

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/rules"
)

// setup are the flags that every command that scans has.
type setup struct {
	config        string
	rules         []string
	baseline      string
	identity      string // what fingerprints are derived from without a pepper; "" leaves it to the policy and git
	minConfidence float64
	noGit         bool
	named         bool   // the user named what to scan
	noComments    bool   // allow comments do not count
	trusted       string // revision from which policy, rules and baseline are read, instead of the files
}

// A session is what a command scans with: the rules, the policy, the baseline
// and the repository, if there is one.
type session struct {
	env      *Env
	repo     *git.Repo // nil outside a repository
	root     string    // where the policy lies: the work tree's top, or the directory
	policy   *policy.Policy
	baseline *policy.Baseline
	builtin  []scanner.Rule
	scanner  *scanner.Scanner
	allow    []scanner.Allowlist // of the rules files
	peppers  [][]byte            // of fingerprints; the last is the present one
	notes    []string
	refused  []string // parts of the policy's rules files that do not count: the scan is not complete
}

// begin opens what is needed to scan dir.
func (env *Env) begin(ctx context.Context, dir string, o *setup) (*session, error) {
	s, err := env.open(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	return s, s.load(ctx, o)
}

// open opens the repository that dir is in, if there is one.
func (env *Env) open(ctx context.Context, dir string, o *setup) (*session, error) {
	s := &session{env: env, root: dir, policy: &policy.Policy{}}
	var group errgroup.Group
	group.Go(func() (err error) { // while git answers
		s.builtin, err = rules.Lazy()
		return err
	})
	repo, err := git.Open(ctx, dir, git.Options{Getenv: env.Getenv, NoGit: o.noGit, Named: o.named})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	switch {
	case err == nil:
		s.repo, s.root = repo, repo.Dir
	case !errors.Is(err, git.ErrNotRepository):
		return nil, repositoryError(err)
	}
	return s, nil
}

// load reads the policy, the rules and the baseline.
func (s *session) load(ctx context.Context, o *setup) (err error) {
	if err := s.loadPolicy(ctx, o); err != nil {
		return err
	}
	if o.identity != "" {
		s.policy.Repository = o.identity
	}
	var list []scanner.Rule
	list, s.allow, err = s.loadRules(ctx, o)
	if err != nil {
		return err
	}
	if s.peppers, err = s.makePeppers(ctx); err != nil {
		return err
	}
	if err := s.loadBaseline(ctx, o); err != nil {
		return err
	}
	n := len(s.peppers) - 1
	s.scanner, err = scanner.New(list, scanner.Options{Pepper: s.peppers[n], FormerPeppers: s.peppers[:n], MinConfidence: o.minConfidence, Allow: s.allow, Now: s.env.Now(),
		ForeignComments: s.policy.ForeignComments})
	return err
}

// repositoryError adds to git's refusal what to do about it.
func repositoryError(err error) error {
	if git.FaultOf(err) == git.ForeignOwner {
		return hint(err, "nothing was scanned: git refuses a repository that belongs to somebody else",
			"if you trust it: git config --global --add safe.directory DIRECTORY")
	}
	return hint(err, "nothing was scanned")
}

func (s *session) loadPolicy(ctx context.Context, o *setup) (err error) {
	switch {
	case o.trusted != "":
		s.policy, err = s.policyAt(ctx, o)
	case o.config != "":
		s.policy, err = policy.Load(s.env.path(o.config), o.config)
	case s.repo != nil && s.repo.Bare:
		s.policy, err = s.policyAt(ctx, &setup{trusted: "HEAD"})
	default:
		s.policy, err = policy.Find(s.root)
	}
	if err != nil {
		return hint(err, "nothing was scanned: mend the policy file, or name another with --config")
	}
	s.notes = append(s.notes, s.policy.Lapsed(s.env.Now())...)
	return nil
}

// policyAt returns the policy that a revision holds.
func (s *session) policyAt(ctx context.Context, o *setup) (*policy.Policy, error) {
	names := policy.Names()
	if o.config != "" {
		names = []string{filepath.ToSlash(filepath.Clean(o.config))}
	}
	id, err := s.repo.Resolve(ctx, o.trusted)
	if err != nil {
		return nil, err
	}
	if id != "" {
		name, data, err := s.repo.FirstFile(ctx, id, names, policy.MaxFile)
		if err != nil {
			return nil, err
		}
		if data != nil {
			return policy.Parse(name, data)
		}
	}
	if o.config != "" {
		return nil, fmt.Errorf("policy %s: there is none at %.12s", o.config, o.trusted)
	}
	return &policy.Policy{}, nil
}

// readRules returns the text of a rules file that the policy names, from where the
// policy is.
func (s *session) readRules(ctx context.Context, o *setup, name string) ([]byte, error) {
	rev := o.trusted
	if rev == "" && s.repo != nil && s.repo.Bare && o.config == "" {
		rev = "HEAD"
	}
	if rev == "" {
		return policy.ReadBelow(s.root, name, maxRules)
	}
	data, err := s.repo.File(ctx, rev, name, maxRules)
	if err == nil && data == nil {
		err = fmt.Errorf("no such file at %.12s", rev)
	}
	return data, err
}

// maxRules is the largest rules file that is read.
const maxRules = 4 << 20

// loadRules returns the built-in rules with those of the policy and of --rules.
func (s *session) loadRules(ctx context.Context, o *setup) (list []scanner.Rule, allow []scanner.Allowlist, err error) {
	if list, allow, err = s.policyRules(ctx, o); err != nil {
		return nil, nil, err
	}
	if list, err = s.policy.Enabled(list); err != nil {
		return nil, nil, hint(err, "keyward rules list shows them")
	}
	s.notes = append(s.notes, s.policy.Off()...)
	for _, f := range o.rules {
		set, err := s.givenRules(ctx, o, f)
		if err != nil {
			return nil, nil, hint(err, "nothing was scanned")
		}
		s.notes = append(s.notes, set.Changes(list, f)...)
		list = rules.Merge(list, set)
		allow = append(allow, set.Allow...)
	}
	if len(list) == 0 {
		return nil, nil, errors.New("no rules are left: nothing could be found")
	}
	return list, allow, nil
}

// policyRules returns the built-in rules with what the rules files of the policy add.
func (s *session) policyRules(ctx context.Context, o *setup) ([]scanner.Rule, []scanner.Allowlist, error) {
	var added []*rules.Addition
	for _, f := range s.policy.Rules {
		data, err := s.readRules(ctx, o, filepath.ToSlash(filepath.Clean(f)))
		if err != nil {
			return nil, nil, hint(fmt.Errorf("rules %s: %w", f, err), "nothing was scanned")
		}
		set, err := rules.Parse(f, data)
		if err != nil {
			return nil, nil, hint(err, "nothing was scanned")
		}
		a := rules.Confine(s.builtin, f, set)
		s.refused = append(s.refused, a.Errors...)
		s.notes = append(s.notes, a.Notes...)
		added = append(added, a)
	}
	list, allow, err := rules.Join(s.builtin, added)
	if err != nil {
		return nil, nil, hint(fmt.Errorf("policy %s: %w", s.policy.Path, err), "nothing was scanned")
	}
	return list, allow, nil
}

// givenRules reads a rules file that the person who runs the command names with --rules.
func (s *session) givenRules(ctx context.Context, o *setup, f string) (*rules.Set, error) {
	var data []byte
	var err error
	if o.trusted != "" { // such a file weakens a scan as a policy does
		data, err = s.readRules(ctx, o, filepath.ToSlash(filepath.Clean(f)))
	} else {
		data, err = policy.ReadRegular(s.env.path(f), maxRules)
	}
	if err != nil {
		return nil, fmt.Errorf("rules %s: %w", f, err)
	}
	return rules.Parse(f, data)
}

// leastPepper is how long a pepper has to be: it must not be guessable.
const leastPepper = 16

// makePeppers returns the keys of fingerprints, the present one last: the organisation's, or
// one derived from the repository, which anybody who knows the repository can derive.
func (s *session) makePeppers(ctx context.Context) (list [][]byte, err error) {
	for old := range strings.Lines(s.env.Getenv("KEYWARD_OLD_PEPPERS")) {
		if old = strings.TrimSpace(old); old == "" {
			continue
		}
		if len(old) < leastPepper {
			return nil, hint(fmt.Errorf("KEYWARD_OLD_PEPPERS: one has %d characters, want %d or more", len(old), leastPepper), "write one on each line, the oldest first")
		}
		list = append(list, []byte(old))
	}
	p := s.env.Getenv("KEYWARD_PEPPER")
	switch {
	case p == "" && len(list) > 0:
		return nil, hint(errors.New("KEYWARD_OLD_PEPPERS is set and KEYWARD_PEPPER is not"), "set KEYWARD_PEPPER to the present pepper")
	case p == "":
		return [][]byte{derivedPepper(s.identity(ctx))}, nil
	case len(p) < leastPepper:
		return nil, hint(fmt.Errorf("KEYWARD_PEPPER has %d characters, want %d or more", len(p), leastPepper), "make one with: openssl rand -hex 32")
	}
	return append(list, []byte(p)), nil
}

// derivedPepper is the key of fingerprints where there is no pepper.
func derivedPepper(identity string) []byte {
	sum := sha256.Sum256([]byte("keyward fingerprints of " + identity))
	return sum[:]
}

// identity is what fingerprints are derived from where there is no pepper: what
// the policy says, else the origin, else the first commit.
func (s *session) identity(ctx context.Context) string {
	identity := s.policy.Repository
	if identity == "" && s.repo != nil {
		if identity = s.repo.Origin(ctx); identity == "" {
			identity = s.repo.FirstCommit(ctx) // the same in every copy, another in every repository
		}
	}
	return cmp.Or(identity, "local")
}

// loadBaseline reads the baseline that is named, or the one at the top of the repository. One
// that was made without a pepper names the repository that its fingerprints are derived from:
// they are compared with in forks, too, and beside a pepper.
func (s *session) loadBaseline(ctx context.Context, o *setup) error {
	b, err := s.readBaseline(ctx, o)
	if err != nil {
		return hint(err, "nothing was scanned", "keyward baseline writes one")
	}
	if b == nil {
		return nil
	}
	if b.Print != "" && !slices.Contains(s.prints(), b.Print) {
		derived := derivedPepper(b.Repository)
		switch {
		case b.Repository != "" && printOf(derived) == b.Print:
			s.peppers = slices.Insert(s.peppers, 0, derived)
		case o.baseline == "":
			s.notes = append(s.notes, fmt.Sprintf("baseline %s does not count: it was made under another pepper. Set KEYWARD_PEPPER to that one, or remove the file and run keyward baseline", b.Path))
			return nil
		default:
			return hint(fmt.Errorf("baseline %s was made under another pepper: its fingerprints match nothing here", o.baseline),
				"set KEYWARD_PEPPER to the one it was made with, or KEYWARD_OLD_PEPPERS if that was replaced, or set repository in .keyward.toml if the clone's origin differs",
				"or remove it and write it again: keyward baseline")
		}
	}
	s.baseline = b
	return nil
}

// noBaseline is what --baseline takes to use none.
const noBaseline = "none"

// readBaseline returns the baseline, nil if the repository has no baseline file.
func (s *session) readBaseline(ctx context.Context, o *setup) (*policy.Baseline, error) {
	rev := o.trusted
	if rev == "" && s.repo != nil && s.repo.Bare {
		rev = "HEAD"
	}
	switch {
	case o.baseline == noBaseline:
		return nil, nil
	case o.baseline != "" && o.trusted == "":
		return policy.LoadBaseline(s.env.path(o.baseline))
	case rev == "":
		data, err := policy.ReadBelow(s.root, policy.BaselineName, policy.MaxBaseline)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("baseline %s: %w", policy.BaselineName, err)
		}
		return policy.ParseBaseline(policy.BaselineName, data)
	}
	return s.baselineAt(ctx, rev, o.baseline)
}

// baselineAt returns the baseline that a revision has; named is "" for the usual one, which
// need not be there.
func (s *session) baselineAt(ctx context.Context, rev, named string) (*policy.Baseline, error) {
	id, err := s.repo.Resolve(ctx, rev)
	if err != nil || id == "" && named == "" {
		return nil, err
	}
	name := cmp.Or(named, policy.BaselineName)
	data, err := s.repo.File(ctx, rev, filepath.ToSlash(filepath.Clean(name)), policy.MaxBaseline)
	switch {
	case err != nil:
		return nil, err
	case data == nil && named != "":
		return nil, fmt.Errorf("baseline %s: there is none at %.12s", name, rev)
	case data == nil:
		return nil, nil
	}
	return policy.ParseBaseline(name, data)
}

// prints identify the peppers without giving them away, the present one last.
func (s *session) prints() (out []string) {
	for _, p := range s.peppers {
		out = append(out, printOf(p))
	}
	return out
}

func printOf(pepper []byte) string {
	sum := sha256.Sum256(append([]byte("keyward pepper "), pepper...))
	return fmt.Sprintf("%x", sum[:6])
}

// path resolves a path that the user gave against the working directory.
func (env *Env) path(p string) string {
	if filepath.IsAbs(p) || env.Dir == "" {
		return p
	}
	return filepath.Join(env.Dir, p)
}
