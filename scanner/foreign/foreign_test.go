package foreign

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
)

// TestGlobs holds that the globs of an expression match what it matches, and nothing else.
func TestGlobs(t *testing.T) {
	paths := []string{"a", "vendor/x", "a/vendor/x/y", "myvendor/x", "docs/a.md", "docs/b/a.md", "x/docs/a.md", "yarn.lock", "a/yarn.lock", "a/yarn.lockfile",
		"test/data/k.pem", "test/deep/data/k.pem", "testdata/k.pem", "src/a.go", "src/b/a.go", "go.sum"}
	for expr, convertible := range map[string]bool{
		`^vendor/`: true, `vendor/`: true, `\.lock$`: true, `^docs/.*\.md$`: true, `^src/a\.go$`: true, `^test/.*/k\.pem$`: true, `.*\.lock`: true, `data/`: true, `^docs/.*`: true,
		`go\.(mod|sum)$`: false, `[a-z]+/x`: false, `(?i)vendor/`: false, `.*`: false, `^`: false, `a{3}`: false, `(`: false, `\[x\]`: false,
	} {
		globs := Globs(expr)
		if (globs != nil) != convertible {
			t.Errorf("%s: got %q, want convertible %v", expr, globs, convertible)
			continue
		}
		if !convertible {
			continue
		}
		re := regexp.MustCompile(expr)
		for _, p := range paths {
			matched := slices.ContainsFunc(globs, func(g string) bool { return doublestar.MatchUnvalidated(g, p) })
			if matched != re.MatchString(p) {
				t.Errorf("%s: %s: the globs %q match: %v", expr, p, globs, matched)
			}
		}
	}
}

// FuzzRead reads hostile files under each name: no panic, and nothing of a value in a problem.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"a:b:1", "[{\"File\": \"a\"}]", "{\"results\": {\"a\": [{\"hashed_secret\": \"x\"}]}}", "[allowlist]\npaths = ['^a/']",
		"secret:\n  ignored_matches:\n  - match: FAKEsecret99\n", "matches-ignore: [a, {match: b}]\n", "matches-ignore: FAKEsecret99\n", "secret: FAKEsecret99\n", "^a/.*$\n(b)\n", "\x00", strings.Repeat("a:", 1000)} {
		f.Add([]byte(seed))
	}
	names := append(Names(), "report.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range names {
			entries, problems, err := Read(name, data)
			if err != nil && (entries != nil || strings.Contains(err.Error(), "FAKEsecret99")) {
				t.Errorf("%s: entries with an error, or a value in it: %v", name, err)
			}
			for _, p := range problems {
				if strings.Contains(p.Why, "FAKEsecret99") && !strings.Contains(name, "trufflehog") && !strings.HasSuffix(name, ".toml") && !strings.Contains(p.Why, "detector") {
					t.Errorf("%s: %q tells a value", name, p.Why)
				}
			}
		}
	})
}
