package hooks

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
)

func newExplain(env *Env) *cobra.Command {
	var o setup
	c := &cobra.Command{
		Use:   "explain PATH[:LINE]",
		Short: "Say, rule by rule, why something was found or dropped",
		Args:  needs("a file, PATH or PATH:LINE", "see 'keyward explain --help'"),
		RunE:  func(c *cobra.Command, args []string) error { return env.explain(c.Context(), &o, args[0]) },
	}
	o.setupFlags(c)
	return c
}

// maxExplained is the largest file that is explained.
const maxExplained = 16 << 20

func (env *Env) explain(ctx context.Context, o *setup, arg string) error {
	name, line := arg, 0
	if i := strings.LastIndexByte(arg, ':'); i > 0 {
		if n, err := strconv.Atoi(arg[i+1:]); err == nil && n > 0 {
			name, line = arg[:i], n
		}
	}
	dir, err := env.directory(name)
	if err != nil {
		return err
	}
	o.named = true
	s, err := env.begin(ctx, dir, o)
	if err != nil {
		return err
	}
	f, err := os.Open(env.path(name))
	if err != nil {
		return fmt.Errorf("explain %s: %w", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxExplained+1))
	if err != nil {
		return fmt.Errorf("explain %s: %w", name, err)
	}
	if len(data) > maxExplained {
		return fmt.Errorf("explain %s: larger than %d bytes", name, maxExplained)
	}
	path := filepath.ToSlash(name)
	if abs, err := filepath.Abs(env.path(name)); err == nil {
		root := s.root
		if here, err := filepath.Abs(env.path(".")); err == nil && s.repo == nil { // as a scan names paths
			root = here
		}
		if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) {
			path = filepath.ToSlash(rel)
		}
	}
	n := 0
	for _, d := range s.scanner.Explain(scanner.Blob{Path: path, Data: data}) {
		if line == 0 || d.Line == line {
			env.decision(name, &d)
			n++
		}
	}
	if n == 0 {
		where := name
		if line > 0 {
			where = fmt.Sprintf("%s:%d", name, line)
		}
		fmt.Fprintf(env.Stdout, "%s: no rule matched: nothing here has the form of a known key or is assigned to a name that speaks of one\n", where)
	}
	return nil
}

// decision prints what became of one match.
func (env *Env) decision(name string, d *scanner.Decision) {
	verdict := "found"
	if !d.Kept {
		verdict = "dropped: " + d.Why
	}
	fmt.Fprintf(env.Stdout, "%s:%d  %s  %s\n    %s\n", name, d.Line, d.Rule.ID, d.Redacted, verdict)
	if d.Confidence > 0 {
		fmt.Fprintf(env.Stdout, "    confidence %.2f\n", d.Confidence)
	}
	for _, r := range d.Reasons {
		fmt.Fprintf(env.Stdout, "      %+5.1f  %s\n", r.Adds, r.What)
	}
}
