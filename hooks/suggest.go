package hooks

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/scanner/report"
)

// similar returns the names that are a few letters away from one that is not known, or begin
// with it, as cobra does for commands.
func similar(name string, known []string) []string {
	list := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, k := range known {
		list.AddCommand(&cobra.Command{Use: k, Run: func(*cobra.Command, []string) {}})
	}
	return list.SuggestionsFor(name)
}

// flagError adds to an error about a flag which one may have been meant.
func flagError(c *cobra.Command, err error) error {
	help := "see '" + c.CommandPath() + " --help'"
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return hint(err, help)
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	if like := similar(name, known); len(like) > 0 {
		return hint(err, fmt.Sprintf("did you mean --%s?", like[0]), help)
	}
	return hint(err, help)
}

// noCommand refuses arguments to a command that only has others below it: they are names of
// commands that do not exist.
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("there is no command %q", strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), c.Root().Name())+" "+args[0]))
	if like := c.SuggestionsFor(args[0]); len(like) > 0 {
		return hint(err, fmt.Sprintf("did you mean %s %s?", c.CommandPath(), like[0]))
	}
	return hint(err, c.CommandPath()+" --help lists them")
}

// needs checks that there is an argument, which is what, and only one unless the usage says
// that it may be repeated; where says where a user finds it.
func needs(what, where string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 || len(args) > 1 && strings.HasSuffix(c.Use, "...") {
			return nil
		}
		return hint(fmt.Errorf("%s needs %s, and got %s", c.CommandPath(), what, report.Count(len(args), "argument")), where)
	}
}
