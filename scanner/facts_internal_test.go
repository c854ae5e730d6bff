package scanner

import (
	"strings"
	"testing"
)

// TestUnescapePEM: however a key is written, its text is the same. A plus at the end of a
// line is a digit of the key, unless it joins strings.
func TestUnescapePEM(t *testing.T) {
	const want = "-----BEGIN KEY-----\n+FAKEkeyward+\nN0tReal+x+\n-----END KEY-----\n"
	for _, v := range []string{
		want,
		`-----BEGIN KEY-----\n+FAKEkeyward+\nN0tReal+x+\n-----END KEY-----`,
		"-----BEGIN KEY-----\r\n  +FAKEkeyward+\r\n  N0tReal+x+\r\n  -----END KEY-----",
		"-----BEGIN KEY-----\n\" +\n  \"+FAKEkeyward+\\n\" +\n  \"N0tReal+x+\\n\" +\n  \"-----END KEY-----",
		"-----BEGIN KEY-----\"\n + \"+FAKEkeyward+\"\n + \"N0tReal+x+\"\n + \"-----END KEY-----",
		"-----BEGIN KEY-----\n++FAKEkeyward+\n+N0tReal+x+\n+-----END KEY-----",
	} {
		got := ""
		for _, line := range strings.Split(string(unescapePEM([]byte(v))), "\n") {
			if line != "" {
				got += line + "\n"
			}
		}
		if got != want {
			t.Errorf("%q is read as %q", v, got)
		}
	}
}
