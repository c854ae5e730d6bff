package scanner

import (
	"path"
	"strings"

	"github.com/keyward/keyward/scanner/score"
)

// codeExtensions are the files in which an unquoted value is an expression.
var codeExtensions = score.Set(".go .py .pyi .js .jsx .ts .tsx .mjs .cjs .java .kt .kts .scala .cs .vb .rb .erb .php .rs .swift .c .h .cc .cpp .hpp .m .mm .lua .pl .pm .dart .groovy .gradle .ex .exs .erl .hs .clj .r .jl .sql .proto .graphql .vue .svelte .zig .nim .ps1 .psm1 .tf .hcl .bicep .css .scss .html .htm .cshtml .jsp .elm .fs .coffee .sol")

func isCode(p string) bool { return codeExtensions[strings.ToLower(path.Ext(p))] }

// testWords in a path say that its keys are for tests or for show.
var testWords = score.Set("test tests testing testdata spec specs fixture fixtures mock mocks example examples sample samples demo demos doc docs documentation tutorial tutorials e2e stub stubs fake fakes cassettes vcr")

// inTest reports whether a path is a test, an example or documentation.
func inTest(p string) bool {
	var buf [32]byte
	word := buf[:0]
	long := false
	for i := 0; i <= len(p); i++ {
		if i < len(p) && strings.IndexByte("/.-_", p[i]) < 0 {
			if long = long || len(word) == cap(word); !long {
				word = append(word, p[i]|(0x20&-byte(btoi('A' <= p[i] && p[i] <= 'Z'))))
			}
			continue
		}
		if !long && (testWords[string(word)] || i == len(p) && documentWords[string(word)]) {
			return true
		}
		word, long = buf[:0], false
	}
	return false
}

// documentWords are the extensions of documentation.
var documentWords = score.Set("md rst adoc")
