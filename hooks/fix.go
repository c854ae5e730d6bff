package hooks

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/fix"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

func newFix(env *Env) *cobra.Command {
	o := &scanOptions{}
	apply := false
	c := &cobra.Command{
		Use:   "fix [PATH...]",
		Short: "Take hardcoded keys out of files and put references in their place",
		Long: `Fix replaces the keys that a scan finds in files by references in each file's own
language, and shows what it would change, the keys left out. It asks before it
changes a file; --apply does not ask. The keys are written nowhere: put each where
it belongs first, or better, put a new one there and revoke this one.`,
		RunE: func(c *cobra.Command, args []string) error { return env.fix(c.Context(), o, args, apply) },
	}
	o.setupFlags(c)
	c.Flags().BoolVar(&apply, "apply", false, "change the files without asking")
	return c
}

// A repair is what is to be done to one file.
type repair struct {
	path   string // relative to the root
	data   []byte
	found  []scanner.Finding
	all    []scanner.Finding // those that are known and stay, too
	result *fix.Result
	why    string // it cannot be mended as a whole
}

func (env *Env) fix(ctx context.Context, o *scanOptions, args []string, apply bool) error {
	if len(args) == 0 {
		args = []string{"."}
	}
	asker := bufio.NewReader(env.input())
	var names fix.Names
	var next, add []string
	files, left := 0, 0
	for _, arg := range args {
		s, list, err := env.repairs(ctx, o, arg)
		if err != nil {
			return err
		}
		for _, r := range list {
			s.plan(r, workTree(s.root), &names) // after the file before it was changed: they may share others
			files++
			done := false
			if env.show(ctx, s, r); s.settled(ctx, r) {
				continue
			}
			if r.result != nil && len(r.result.Moved) > 0 && env.wants(asker, apply, r.result.Untrack) {
				if err := s.mend(ctx, r); err != nil {
					return err
				}
				done = true
				next = append(next, r.result.NextSteps...)
				add = append(add, s.changed(r)...)
			}
			if !done || len(r.result.Left) > 0 {
				left++
			}
		}
	}
	if files == 0 {
		fmt.Fprintf(env.Stdout, "no keys found in %s\n", strings.Join(args, " "))
		return nil
	}
	env.nextSteps(next, add)
	if left > 0 {
		if !apply && !env.canAnswer() {
			fmt.Fprintln(env.Stdout, "nothing was changed: keyward fix --apply changes the files")
		}
		return errFound
	}
	return nil
}

func (env *Env) nextSteps(next, add []string) {
	if len(next) == 0 {
		return
	}
	slices.Sort(next)
	fmt.Fprintln(env.Stdout, "Now:")
	for _, n := range slices.Compact(next) {
		env.wrap("  - ", n)
	}
	slices.Sort(add)
	for i, name := range add {
		add[i] = quoteArg(name)
	}
	env.wrap("  - ", "git add "+strings.Join(slices.Compact(add), " "))
	env.wrap("  - ", "if a key was ever pushed or shared, rotate it: its old value still works (keyward rules show RULE says how)")
}

// wrap writes a text between words, so that it fits.
func (env *Env) wrap(first, text string) {
	_ = report.Wrap(env.Stdout, env.width(env.rawOut), first, text) // there is nowhere left to say it
}

// repairs scans a path and returns the files with keys.
func (env *Env) repairs(ctx context.Context, o *scanOptions, arg string) (*session, []*repair, error) {
	one := *hookOptions(o)
	var j *job
	r, s, err := env.runJob(ctx, &one, []string{arg}, func(it *job, ctx context.Context) error {
		j = it
		it.o.gitignore = it.repo != nil && !it.repo.Bare
		return it.tree(ctx)
	})
	if err != nil {
		return nil, nil, err
	}
	for _, g := range r.Coverage.Gaps {
		fmt.Fprintf(env.Stderr, "not scanned: %s\n", g.Error())
	}
	counted := map[string]bool{}
	for _, k := range r.Keys {
		counted[k.Fingerprint] = true
	}
	byPath := map[string]*repair{}
	all := map[string][]scanner.Finding{}
	var list []*repair
	for _, f := range j.found {
		all[f.Path] = append(all[f.Path], f)
		if !counted[f.Fingerprint] {
			continue
		}
		if byPath[f.Path] == nil {
			byPath[f.Path] = &repair{path: f.Path}
			list = append(list, byPath[f.Path])
		}
		byPath[f.Path].found = append(byPath[f.Path].found, f)
	}
	for _, r := range list {
		r.all = all[r.path]
	}
	slices.SortFunc(list, func(a, b *repair) int { return strings.Compare(a.path, b.path) })
	s.root = j.top()
	return s, list, nil
}

// plan works out how a file is mended, and makes sure that it will be.
func (s *session) plan(r *repair, root workTree, names *fix.Names) {
	if strings.Contains(r.path, "!") {
		r.why = "it is in an archive: take it out by hand"
		return
	}
	data, err := policy.ReadRegular(filepath.Join(string(root), filepath.FromSlash(r.path)), fix.MaxFile)
	if err != nil {
		r.why = err.Error()
		return
	}
	r.data = data
	var places []fix.Place
	for i := range r.found {
		f := &r.found[i]
		if f.End > int64(len(data)) || strings.HasPrefix(f.Decoded, "utf-16") {
			r.why = "it is not in an encoding that can be mended"
			return
		}
		places = append(places, fix.Place{Start: int(f.Start), End: int(f.End), Name: names.Of(f, data, r.found)})
	}
	if r.result, err = fix.File(root, r.path, data, places); err != nil {
		r.why = err.Error()
		return
	}
	for name := range r.result.Others {
		if _, err := os.Lstat(filepath.Join(string(root), filepath.FromSlash(name))); err == nil && root.File(name) == nil {
			r.result, r.why = nil, name+" would be written and cannot be read: is it a link?"
			return
		}
	}
	if r.result.Untrack {
		return
	}
	after, _ := s.scanner.Scan(nil, scanner.Blob{Path: r.path, Data: r.result.Data}) // a gap was told before
	if len(after) > len(r.result.Left) {
		r.result, r.why = nil, "a key would still be found in it afterwards: take it out by hand"
	}
}

// show prints what would become of a file. Keys are replaced by their redacted form.
func (env *Env) show(ctx context.Context, s *session, r *repair) {
	if r.result == nil {
		env.wrap("", fmt.Sprintf("%s: left as it is: %s", r.path, r.why))
		fmt.Fprintln(env.Stdout)
		return
	}
	if s.settled(ctx, r) {
		fmt.Fprintf(env.Stdout, "%s: git does not track it: nothing to do\n\n", r.path)
		return
	}
	if r.result.Untrack {
		fmt.Fprintf(env.Stdout, "%s: git will not track it; it stays on disk\n", r.path)
	}
	if !bytes.Equal(r.data, r.result.Data) {
		env.changes(r.path, r.redacted(r.data), r.redacted(r.result.Data))
	}
	for _, name := range slices.Sorted(maps.Keys(r.result.Others)) {
		env.changes(name, workTree(s.root).File(name), r.result.Others[name])
	}
	var told []string
	for _, l := range r.result.Left {
		if line := fmt.Sprintf("%s:%d: left as it is: %s", r.path, 1+bytes.Count(r.data[:l.Start], []byte("\n")), l.Why); !slices.Contains(told, line) {
			told = append(told, line)
			env.wrap("", line)
		}
	}
	fmt.Fprintln(env.Stdout)
}

// changes prints the lines that change, without those around them: what nobody asked
// about, a key that is allowed among it, is not shown.
func (env *Env) changes(name string, before, after []byte) {
	var out strings.Builder
	fmt.Fprintf(&out, "%s:\n", name)
	for n, line := range strings.SplitAfter(string(diff.Diff("a", before, "b", after)), "\n") {
		if n >= 3 && line != "" && (line[0] == '+' || line[0] == '-') {
			out.WriteString("  " + line)
		}
	}
	_, _ = io.WriteString(env.Stdout, out.String()) // a report
}

// redacted is the text with every key replaced.
func (r *repair) redacted(text []byte) []byte {
	found := slices.Clone(r.all)
	slices.SortFunc(found, func(a, b scanner.Finding) int { return cmp.Compare(len(b.Redacted), len(a.Redacted)) })
	for _, f := range found {
		if f.End > int64(len(r.data)) {
			continue
		}
		text = bytes.ReplaceAll(text, r.data[f.Start:f.End], []byte(f.Redacted))
	}
	return text
}

// wants reports whether the user wants a change.
func (env *Env) wants(answers *bufio.Reader, apply, untrack bool) bool {
	if apply {
		return true
	}
	if !env.canAnswer() {
		return false
	}
	question := "Change it? The key leaves the file and is kept nowhere else. [y/N] "
	if untrack {
		question = "Do it? The file keeps its keys, git forgets the file. [y/N] "
	}
	fmt.Fprint(env.Stdout, question)
	line, err := answers.ReadString('\n')
	return err == nil && strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "y")
}

// canAnswer reports whether somebody can answer a question.
func (env *Env) canAnswer() bool {
	f, ok := env.Stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// mend writes the files of a repair.
func (s *session) mend(ctx context.Context, r *repair) error {
	full := func(name string) string { return filepath.Join(s.root, filepath.FromSlash(name)) }
	now, err := policy.ReadRegular(full(r.path), fix.MaxFile)
	if err != nil {
		return fmt.Errorf("fix %s: %w", r.path, err)
	}
	if !bytes.Equal(now, r.data) {
		return fmt.Errorf("fix %s: the file has changed in the meantime: nothing was done to it", r.path)
	}
	for _, name := range slices.Sorted(maps.Keys(r.result.Others)) {
		if err := replaceFile(full(name), r.result.Others[name]); err != nil {
			return fmt.Errorf("fix %s: write %s: %w", r.path, name, err)
		}
	}
	if r.result.Untrack {
		if s.repo == nil {
			return nil
		}
		return s.repo.Untrack(ctx, r.path)
	}
	if bytes.Equal(r.data, r.result.Data) {
		return nil
	}
	info, err := os.Stat(full(r.path))
	if err != nil {
		return fmt.Errorf("fix %s: %w", r.path, err)
	}
	if err := replaceFile(full(r.path), r.result.Data); err != nil {
		return fmt.Errorf("fix %s: %w", r.path, err)
	}
	return os.Chmod(full(r.path), info.Mode().Perm())
}

// settled reports whether a file that is to leave git is not in it, and never will be.
func (s *session) settled(ctx context.Context, r *repair) bool {
	if r.result == nil || !r.result.Untrack || s.repo != nil && s.repo.Tracked(ctx, r.path) {
		return false
	}
	for name, text := range r.result.Others {
		if !bytes.Equal(workTree(s.root).File(name), text) {
			return false
		}
	}
	return true
}

// changed are the files that a repair writes and git is to have, as the user names them.
func (s *session) changed(r *repair) []string {
	var out []string
	names := slices.Collect(maps.Keys(r.result.Others))
	if !r.result.Untrack {
		names = append(names, r.path)
	}
	for _, name := range names {
		out = append(out, s.env.relative(filepath.Join(s.root, filepath.FromSlash(name))))
	}
	return out
}

// workTree is a directory from which fixes read other files.
type workTree string

func (w workTree) File(name string) []byte {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil
	}
	data, err := policy.ReadRegular(filepath.Join(string(w), filepath.FromSlash(name)), fix.MaxFile)
	if err != nil {
		return nil
	}
	return append([]byte{}, data...) // not nil: it is there
}

func (w workTree) List(dir string) []string {
	if !filepath.IsLocal(filepath.FromSlash(dir)) {
		return nil
	}
	entries, _ := os.ReadDir(filepath.Join(string(w), filepath.FromSlash(dir))) // nothing there, nothing to read
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
