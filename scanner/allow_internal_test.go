package scanner

import (
	"strings"
	"testing"
)

// TestForeignAllow reads the allow comments of other scanners, and nothing that only looks
// like one.
func TestForeignAllow(t *testing.T) {
	for text, want := range map[string]string{
		"key = KEY # gitleaks:allow":                              "gitleaks:allow",
		"key = KEY // betterleaks:allow because":                  "betterleaks:allow",
		"key = KEY  # trufflehog:ignore":                          "trufflehog:ignore",
		"key = KEY # kingfisher:ignore":                           "kingfisher:ignore",
		"key = KEY # ggignore":                                    "ggignore",
		"key = KEY # pragma: allowlist secret":                    "pragma: allowlist secret",
		"key = KEY <!-- pragma: whitelist secret -->":             "pragma: whitelist secret",
		"# pragma: allowlist nextline secret\nkey = KEY":          "pragma: allowlist nextline secret",
		"key := KEY //nosec G101":                                 "nosec",
		"key = KEY  # nosec":                                      "nosec",
		"key = KEY  # noqa: S105":                                 "noqa: s105",
		"key = KEY // nosemgrep: generic.secrets":                 "nosemgrep",
		"# gitleaks:allow\nkey = KEY":                             "", // it speaks of its own line
		"key = KEY\n# gitleaks:allow":                             "",
		"key = KEY # this is nosecret":                            "",
		"key = KEY # noqa: E501":                                  "",
		"nosec = KEY":                                             "",
		"key = KEY # gitleaks:allow" + strings.Repeat(" ", 5_000): "", // no comment of a person
	} {
		at := strings.Index(text, "KEY")
		for _, holds := range []bool{false, true} {
			o := Options{ForeignComments: holds}
			a := o.allowFor([]byte(text), span{at, at + 3}, "any")
			if (a == nil) != (want == "") || a != nil && (a.Mark != want || (a.Void == "") != holds) {
				t.Errorf("%.60q, holds %v: %+v, want %q", text, holds, a, want)
			}
		}
	}
}

// FuzzMayMark holds the quick look at a line to the expressions that it spares.
func FuzzMayMark(f *testing.F) {
	for _, s := range []string{"x # gitleaks:allow", "// nosec", "# nosemgrep", "# noqa: S105", "ggignore", "pragma: whitelist secret", "PRAGMA: allowlist nextline secret", "trufflehog:IGNORE", "kingfisher:ignore"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if !mayMark(line) && (foreignMark.Match(line) || foreignNext.Match(line)) {
			t.Errorf("%q has a mark", line)
		}
	})
}
