package hooks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

// scanOptions are the flags of keyward scan.
type scanOptions struct {
	setup
	staged, uncommitted, history, unreachable, stdin, plain bool
	commits                                                 string
	emptyRange                                              bool // a range without commits is nothing to scan, and no mistake
	gitignore, archives, allowIncomplete, quiet             bool
	firstSeen                                               bool
	maxSize                                                 int64
	format, output, failOn, cache                           string
	advice                                                  bool
}

// anyConfidence is what --min-confidence 0 means: the scanner takes 0 for its default.
const anyConfidence = 1e-9

func newScan(env *Env) *cobra.Command {
	var o scanOptions
	c := &cobra.Command{
		Use:   "scan [PATH...]",
		Short: "Find keys in files, staged changes, commits, a history or standard input",
		Long: `Scan looks for keys and says of each what it is, what its holder can do, where it
stands, since when, and how to rotate it. Without a mode it reads every file below
PATH (by default the working directory) except .git.`,
		Example: `  keyward scan
  keyward scan --history --format sarif --output keys.sarif
  keyward scan --range origin/main..HEAD
  git diff | keyward scan --stdin`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.minConfidence == 0 {
				o.minConfidence = anyConfidence
			}
			return env.scan(c.Context(), &o, args)
		},
	}
	f := c.Flags()
	o.modeFlags(c)
	o.setupFlags(c)
	f.StringVarP(&o.format, "format", "f", "text", "one of "+strings.Join(report.Formats(), ", "))
	f.StringVarP(&o.output, "output", "o", "", "write the report to this file")
	f.StringVar(&o.failOn, "fail-on", "low", "exit 1 only for keys this grave: critical, high, medium, low")
	f.BoolVar(&o.allowIncomplete, "allow-incomplete", false, "exit 0 even if something could not be scanned")
	f.BoolVar(&o.advice, "advice", false, "tell in full how to rotate every key, not once for each kind")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress on standard error")
	return c
}

// modeFlags adds the flags that say what is scanned.
func (o *scanOptions) modeFlags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.staged, "staged", false, "scan what is staged: the index's blobs, not the files")
	f.BoolVar(&o.uncommitted, "uncommitted", false, "scan what is staged, changed or untracked")
	f.StringVar(&o.commits, "range", "", "scan what each commit of A..B brought")
	f.BoolVar(&o.history, "history", false, "scan every blob that any ref reaches, each once")
	f.BoolVar(&o.unreachable, "unreachable", false, "with --history: blobs that no ref reaches, too")
	f.StringVar(&o.cache, "cache", "", "with --history: remember in this file which objects are clean, do not read them again")
	f.BoolVar(&o.stdin, "stdin", false, "scan standard input; of a diff only the lines it adds")
	f.BoolVar(&o.plain, "plain", false, "with --stdin: read a diff as any other text")
	f.BoolVar(&o.gitignore, "gitignore", false, "leave out what .gitignore names")
	f.BoolVar(&o.archives, "archives", false, "look into zip, tar, gzip, jar, whl and archives within them")
	f.Int64Var(&o.maxSize, "max-size", files.DefaultMaxSize, "do not read files larger than this many bytes")
	f.BoolVar(&o.firstSeen, "first-seen", true, "look up the commit that first brought each key")
}

func (o *setup) setupFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.config, "config", "c", "", "policy file (default .keyward.toml or .github/keyward.toml)")
	f.StringArrayVar(&o.rules, "rules", nil, "more rules, in our form or that of gitleaks; may be repeated")
	f.StringVarP(&o.baseline, "baseline", "b", "", "do not report the findings that this file lists; none turns it off (default .keyward-baseline.toml)")
	f.Float64Var(&o.minConfidence, "min-confidence", scanner.DefaultConfidence, "least confidence of a key that is reported, 0 to 1")
	f.BoolVar(&o.noGit, "no-git", false, "read repositories without the git command")
	_ = f.MarkHidden("no-git") // the flag exists: it was defined above
}

// modes are the flags given that say what is scanned.
func (o *scanOptions) modes() []string {
	var out []string
	for _, m := range []struct {
		given bool
		name  string
	}{{o.staged, "staged"}, {o.uncommitted, "uncommitted"}, {o.commits != "", "range"}, {o.history, "history"}, {o.stdin, "stdin"}} {
		if m.given {
			out = append(out, m.name)
		}
	}
	return out
}

// mode names what is scanned.
func (o *scanOptions) mode() string {
	if modes := o.modes(); len(modes) > 0 {
		return modes[0]
	}
	return "tree"
}

func (o *scanOptions) check(args []string) error {
	if !slices.Contains(report.Formats(), o.format) {
		return hint(fmt.Errorf("unknown format %q", o.format), "use one of "+strings.Join(report.Formats(), ", "))
	}
	if _, err := scanner.ParseSeverity(o.failOn); err != nil {
		return hint(fmt.Errorf("unknown severity %q for --fail-on", o.failOn), "use critical, high, medium or low")
	}
	if modes := o.modes(); len(modes) > 1 {
		return hint(fmt.Errorf("--%s: give only one of them", strings.Join(modes, " and --")), "run keyward once for each")
	}
	switch m := o.mode(); {
	case o.unreachable && !o.history:
		return hint(errors.New("--unreachable needs --history"))
	case o.cache != "" && !o.history:
		return hint(errors.New("--cache needs --history"))
	case o.plain && !o.stdin:
		return hint(errors.New("--plain needs --stdin"))
	case o.stdin && len(args) > 0:
		return hint(errors.New("--stdin takes no paths"))
	case m != "tree" && len(args) > 1:
		return hint(fmt.Errorf("--%s takes one repository, not %d", m, len(args)), "run keyward once for each")
	case o.minConfidence < 0 || o.minConfidence > 1:
		return hint(fmt.Errorf("--min-confidence %g is not between 0 and 1", o.minConfidence))
	}
	return nil
}

// scan is the command keyward scan.
func (env *Env) scan(ctx context.Context, o *scanOptions, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	r, _, err := env.run(ctx, o, args)
	if err != nil {
		return err
	}
	if err := env.write(r, o); err != nil {
		return err
	}
	return verdict(r, o)
}

// run scans what o and args say and returns the report.
func (env *Env) run(ctx context.Context, o *scanOptions, args []string) (*report.Report, *session, error) {
	return env.runJob(ctx, o, args, (*job).do)
}

// runJob scans what a job's method says and returns the report.
func (env *Env) runJob(ctx context.Context, o *scanOptions, args []string, work func(*job, context.Context) error) (*report.Report, *session, error) {
	o.named = len(args) > 0
	if len(args) == 0 {
		args = []string{"."}
	}
	dir, err := env.directory(args[0])
	if err != nil {
		return nil, nil, err
	}
	s, err := env.open(ctx, dir, &o.setup)
	if err != nil {
		return nil, nil, err
	}
	j := &job{session: s, o: o, args: args, dir: dir, started: env.Now()}
	j.cov.Skipped = map[string]int{}
	if o.history && s.repo != nil {
		j.listed = j.list(ctx)
		defer j.listed.stop()
	}
	if err := s.load(ctx, &o.setup); err != nil {
		return nil, nil, err
	}
	j.cov.Refused = len(s.refused) > 0
	for _, why := range s.refused {
		j.cov.Gaps = append(j.cov.Gaps, scanner.Gap{Path: s.policy.Path, Reason: "policy error: " + why})
	}
	if err := j.run(ctx, work); err != nil {
		return nil, nil, err
	}
	r := &report.Report{Version: Version(), Target: strings.Join(args, " "), Mode: o.mode(), Notes: s.notes, Coverage: j.cov, Advice: o.advice}
	if o.stdin {
		r.Target = "standard input"
	}
	r.At = env.Now()
	r.Coverage.Took = r.At.Sub(j.started)
	for _, k := range j.keys.Sorted() {
		if k.Known = j.known(k); k.Known != nil {
			r.Known = append(r.Known, k)
		} else {
			r.Keys = append(r.Keys, k)
		}
	}
	published, err := j.markPublished(ctx, r.Keys)
	if err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("cannot tell which findings the remote already has: %v", err))
	}
	r.Known = append(r.Known, published...)
	r.Keys = slices.DeleteFunc(r.Keys, func(k *scanner.Key) bool { return k.Known != nil })
	if o.trusted != "" && len(r.Keys) > 0 {
		j.markPending(r.Keys)
	}
	return r, s, nil
}

// markPending notes on each counted finding the exception that the checkout has for it and
// the trusted revision has not: it counts once it is merged.
func (j *job) markPending(keys []*scanner.Key) {
	checkout, err := policy.Find(j.root)
	if err != nil { // a broken one excepts nothing
		checkout = &policy.Policy{}
	}
	for _, k := range keys {
		if k.Pending = policy.Commented(k); k.Pending == nil {
			k.Pending = cmp.Or(checkout.Known(k, j.env.Now()), checkout.Disabled(k))
		}
	}
}

// directory returns the directory that a path is or lies in.
func (env *Env) directory(arg string) (string, error) {
	p, err := filepath.Abs(env.path(arg))
	if err != nil {
		return "", err
	}
	info, err := os.Stat(p)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", hint(fmt.Errorf("%s: no such file or directory", arg), "nothing was scanned")
		}
		return "", hint(fmt.Errorf("scan %s: %w", arg, err), "nothing was scanned")
	}
	if info.IsDir() {
		return p, nil
	}
	return filepath.Dir(p), nil
}

// known returns why a key is not to be reported, or nil.
func (j *job) known(k *scanner.Key) *scanner.Known {
	if known := policy.Commented(k); known != nil && (!j.o.noComments || j.trusted[k.Fingerprint]) {
		return known
	}
	now := j.env.Now()
	if known := j.policy.Known(k, now); known != nil {
		return known
	}
	if j.baseline != nil {
		return j.baseline.Known(k, now)
	}
	return nil
}

// write writes the report to standard output or to a file, which is replaced
// whole or not at all.
func (env *Env) write(r *report.Report, o *scanOptions) error {
	var buf bytes.Buffer
	if o.output == "" || o.output == "-" {
		if err := report.Write(&buf, o.format, r, report.Options{Color: env.color(env.rawOut), Width: env.width(env.rawOut)}); err != nil {
			return err
		}
		if _, err := env.Stdout.Write(buf.Bytes()); err != nil {
			return err
		}
		return env.writeNotes(r, o.format)
	}
	if err := report.Write(&buf, o.format, r, report.Options{}); err != nil {
		return err
	}
	if err := replaceFile(env.path(o.output), env.guard.Clean(buf.Bytes())); err != nil {
		return hint(fmt.Errorf("write report %s: %w", o.output, err), "the scan itself was done: give another --output")
	}
	return env.writeNotes(r, o.format)
}

// writeNotes writes the notes to standard error where the format has no room for them: a
// rule that is off must never go unseen.
func (env *Env) writeNotes(r *report.Report, format string) error {
	if format != "csv" && format != "jsonl" {
		return nil
	}
	for _, n := range r.Notes {
		if _, err := fmt.Fprintf(env.Stderr, "keyward: note: %s\n", report.Plain(n)); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile puts data in place of a file, whole or not at all. A link, a pipe or
// a device is written to: it is not ours to replace.
func replaceFile(name string, data []byte) error {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".keyward-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all went well
	if _, err := f.Write(data); err != nil {
		_ = f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// input returns what --stdin reads.
func (env *Env) input() io.Reader {
	if env.Stdin == nil {
		return strings.NewReader("")
	}
	return env.Stdin
}
