package rules_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/rules"
)

// FuzzParse: a rules file is hostile input. It is refused with an error or it
// works; a refusal never quotes a long piece of it.
func FuzzParse(f *testing.F) {
	f.Add("issuer = \"x\"\n[[rule]]\nid = \"a\"\nkeywords = [\"abc\"]\npattern = 'abc[0-9]{3}'\n")
	f.Add("[[rules]]\nid = \"a\"\nregex = '''abc(\\d+)'''\n[[rules.allowlists]]\ncondition = \"AND\"\nregexTarget = \"line\"\nregexes = ['x']\n")
	f.Add("[extend]\nuseDefault = true\ndisabledRules = [\"a\"]\n[[allowlists]]\nstopwords = [\"x\"]\n")
	f.Add("a = [[[[[[[[[[")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := rules.Parse("fuzz.toml", []byte(text))
		if err != nil {
			if set != nil || strings.TrimSpace(err.Error()) == "" {
				t.Errorf("got %v and %q, want nothing and a reason", set, err)
			}
			return
		}
		s, err := scanner.New(set.Rules, scanner.Options{Allow: set.Allow})
		if err != nil {
			t.Fatalf("a file that was accepted makes no scanner: %v", err)
		}
		if _, err := s.Scan(nil, scanner.Blob{Path: "a", Data: []byte("abc123 abc456 x\n" + text)}); err != nil {
			t.Logf("gap: %v", err)
		}
	})
}
