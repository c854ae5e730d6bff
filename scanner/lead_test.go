package scanner

import (
	"regexp/syntax"
	"strings"
	"testing"
)

// TestLead derives what matches begin with, and no more than that.
func TestLead(t *testing.T) {
	for _, tt := range []struct {
		expr, keyword string
		fits, not     string // texts, the keyword in them marked by | before it
	}{
		{`st\.[0-9a-f]{24}\.[0-9a-f]{32}`, "st.", "|st." + strings.Repeat("a1", 12) + ".f", "re|st.ic is a program"},
		{`\bAKIA[A-Z0-9]{16}`, "akia", "x |AKIA" + strings.Repeat("A7", 8), "an |akiaXY of words and"},
		{`(?i:machine)\s{1,9}\S`, "machine", "|MACHINE x", "the |machinery"},
		{`(?P<secret>xoxb-[0-9]+-x)`, "xoxb", "|xoxb-1", "|xoxb_1"},
		{`ab?c{2}key=[0-9]`, "key=", "", ""},     // the keyword's place is not known
		{`(?:one|two)key=[0-9]`, "key=", "", ""}, // nor here
		{`prefix`, "prefix", "", ""},             // nothing beyond the keyword
		{`(?i:sk)-[0-9]{4}`, "sk-", "", ""},      // other signs fold to s and k
		{`é key-[0-9]`, "key-", "", ""},
	} {
		re, err := syntax.Parse(tt.expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		l := leadOf(re, tt.keyword)
		if (l == nil) != (tt.fits == "") {
			t.Errorf("%s: lead %v", tt.expr, l)
		}
		if l == nil {
			continue
		}
		for text, want := range map[string]bool{tt.fits: true, tt.not: false} {
			pos := strings.IndexByte(text, '|')
			if got := l.fits([]byte(text[:pos]+text[pos+1:]), pos); got != want {
				t.Errorf("%s: %q fits: %v, want %v", tt.expr, text, got, want)
			}
		}
	}
}
