package hooks

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
