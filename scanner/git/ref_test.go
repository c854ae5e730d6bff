package git

import (
	"os/exec"
	"strings"
	"testing"
)

// names are refs, good and bad.
var names = []string{
	"refs/heads/main", "refs/heads/größe", "refs/heads/release+1", "refs/heads/release/1.0", "refs/heads/日本語", "refs/heads/-x", "refs/heads/a@b", "refs/heads/@", "refs/heads/a=b,c;d'e\"f$g`h(i)|j&k<l>m!n#o%p", "refs/heads/\xff",
	"refs/heads/ä.lockx", "refs/heads/a]b", "refs/heads/a{b}",
	"", "main", "@", "refs/heads/", "/refs/heads/x", "refs//heads/x", "refs/heads/.x", "refs/heads/x.", "refs/heads/x..y", "refs/heads/x.lock", "refs/heads/x.lock/y", "refs/heads/x y", "refs/heads/x~1", "refs/heads/x^", "refs/heads/x:y",
	"refs/heads/x?", "refs/heads/*", "refs/heads/x[1]", "refs/heads/x\\y", "refs/heads/x@{1}", "refs/heads/x\ny", "refs/heads/x\x7f", "refs/heads/x\ty", "refs/heads/../x",
}

// FuzzValidRef holds ValidRef equal to git.
func FuzzValidRef(f *testing.F) {
	for _, name := range names {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.Contains(name, "\x00") || len(name) > 1000 {
			return // no argument can hold it
		}
		if strings.HasPrefix(name, "-") {
			return // git takes it for an option
		}
		want := exec.Command("git", "check-ref-format", name).Run() == nil
		if got := ValidRef(name); got != want {
			t.Errorf("%q: %v, git says %v", name, got, want)
		}
	})
}
