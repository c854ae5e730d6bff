package scanner

import (
	"regexp/syntax"
	"strings"
	"testing"
)

func TestNeed(t *testing.T) {
	for _, tt := range []struct {
		expr, has, lacks string
	}{
		{`ltai[A-Z]{12,20}|ltai[0-9]{16}`, "LTAI 0123456789ABCDEF", "ltai 0123456789A"},
		{`(?i:key)\s{0,3}=\s{0,3}(?P<secret>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4})`, "key = 01234567-89ab-cdef", "key = 01234567 89ab-cdef keykeykeykey"},
		{`(?i)kkkkkkkksk`, "kkkKKKKKSk", "kkkkkkkk s"},
		{`(?:ab){6}`, "abababababab", "abababab ab"},
		{`x[^ ]{10}`, "x\xff\xfe\xfd12345678", "x1 2 3 4 5 6 7 8 9"},
	} {
		re, err := syntax.Parse(tt.expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		n := needOf(re)
		if n == nil || !n.in([]byte(tt.has)) || n.in([]byte(tt.lacks)) {
			t.Errorf("%s: %+v, want it in %q and not in %q", tt.expr, n, tt.has, tt.lacks)
		}
	}
	for _, expr := range []string{`key=\w*`, `(?:[0-9a-f]{32})?x`, `[a-z]{40}|.`} {
		re, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if n := needOf(re); n != nil {
			t.Errorf("%s: needs %d bytes, want none", expr, n.n)
		}
	}
}

// FuzzNeed holds the runs that matches need to what matches.
func FuzzNeed(f *testing.F) {
	f.Add(`(?i:api|k)[0-9a-f]{8,}(?:x|yy){3}`, "xxapi0123456789xyyxzz")
	f.Add(`(?P<secret>[^\s]{9})|.{8}é`, "abcdefghié")
	f.Fuzz(func(t *testing.T, expr, text string) {
		parsed, err := parseRE(expr)
		if err != nil || parsed == nil || len(expr) > 200 || strings.Contains(expr, `\C`) {
			return
		}
		n := needOf(parsed)
		if n == nil {
			return
		}
		re, err := compileParsed(expr)
		if err != nil {
			return
		}
		if m := re.FindString(text); m != "" && !n.in([]byte(m)) {
			t.Errorf("%q matches %q, which lacks a run of %d", expr, m, n.n)
		}
	})
}
