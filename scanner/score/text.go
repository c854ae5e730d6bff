package score

import (
	"bytes"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Prose reports whether v is words of some language: letters of any script without a digit,
// perhaps with spaces, hyphens and the signs of sentences between. foreign says whether
// letters beyond ASCII are among them.
func Prose(v []byte) (prose, foreign bool) {
	letters, others, digits := 0, 0, 0
	for i := 0; i < len(v); {
		if n := escapedLetter(v[i:]); n > 0 { // \u00e4
			i, letters, foreign = i+n, letters+1, true
			continue
		}
		r, n := utf8.DecodeRune(v[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			return false, foreign
		case unicode.IsLetter(r) || unicode.Is(unicode.M, r):
			letters++
			if r >= 0x80 {
				foreign = true
				others++
			}
		case '0' <= r && r <= '9':
			digits++
		case r >= 0x80 || strings.IndexByte(" -_.,:;!?'()/\\&\"", byte(r)) >= 0:
		default:
			return false, foreign
		}
		i += n
	}
	return letters >= 2 && (digits == 0 || digits <= 3 && 2*others > letters), foreign // at least 8 characters, in Chinese
}

// escapedLetter returns the length of a \u escape of a letter at the beginning of v, else 0.
func escapedLetter(v []byte) int {
	if len(v) < 6 || v[0] != '\\' || v[1] != 'u' {
		return 0
	}
	var b [2]byte
	if _, err := hex.Decode(b[:], v[2:6]); err != nil {
		return 0
	}
	if r := rune(b[0])<<8 | rune(b[1]); r >= 0x80 && (unicode.IsLetter(r) || unicode.Is(unicode.M, r)) {
		return 6
	}
	return 0
}

// Asks reports whether v ends as a question or an unfinished sentence does.
func Asks(v []byte) bool {
	return len(v) > 3 && WordLikeness(v) > 5 && (v[len(v)-1] == '?' || bytes.HasSuffix(v, []byte("…")) || v[len(v)-1] == ':' || v[len(v)-1] == '!') && bytes.IndexByte(v, ' ') > 0
}

var (
	translationWords = Set("locale locales lang langs language languages i18n l10n intl nls translation translations translate messages lproj localization localizations localisation resourcebundle resx xliff")
	translationExts  = Set(".po .pot .resx .strings .stringsdict .xlf .xliff .arb .mo .ftl .lang")
	languages        = Set("aa af am ar as az ba be bg bn bo br bs ca co cs cy da de dv el en eo es et eu fa fi fil fo fr fy ga gd gl gu ha haw he hi hr ht hu hy ia id ig is it iu ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no ny oc or pa pl ps pt qu rm ro ru rw sa sd si sk sl sm sn so sq sr st su sv sw ta te tg th ti tk tl tr tt ug uk ur uz vi wo xh yi yo zh zu pt-br zh-cn zh-tw zh-hans zh-hant")
)

// Translation reports whether the file at a path holds the texts of a program in one of many
// languages.
func Translation(p string) bool {
	var buf [maxPath]byte
	return translation(lowerPath(buf[:0], p))
}

// maxPath is how much of a path is looked at, from its end.
const maxPath = 240

func lowerPath(buf []byte, p string) []byte {
	for i := max(0, len(p)-maxPath); i < len(p); i++ {
		c := p[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf = append(buf, c)
	}
	return buf
}

// split returns the last element of a path in lower case, its extension, and what stands
// before the element.
func split(p []byte) (dirs, base, ext []byte) {
	i := bytes.LastIndexByte(p, '/') + 1
	dirs, base = p[:i], p[i:]
	if j := bytes.LastIndexByte(base, '.'); j >= 0 {
		base, ext = base[:j], base[j:]
	}
	return dirs, base, ext
}

func translation(p []byte) bool {
	dirs, base, ext := split(p)
	if translationExts[string(ext)] {
		return true
	}
	if string(ext) == ".env" || bytes.HasPrefix(base, []byte(".env")) {
		return false
	}
	for len(dirs) > 0 {
		dir, rest, _ := bytes.Cut(dirs, []byte("/"))
		dirs = rest
		if translationWords[string(dir)] || bytes.HasPrefix(dir, []byte("values-")) && string(ext) == ".xml" || bytes.HasSuffix(dir, []byte(".lproj")) || translationWord(dir) {
			return true
		}
	}
	switch {
	case string(base) == "strings", language(base) && translated[string(ext)]:
		return true
	case translationWords[string(base)] && string(base) != "language" && string(base) != "lang", translationWord(base):
		return true
	}
	// messages_fi, messages.pt-BR: one of the last two words is a language
	for range 2 {
		i := bytes.LastIndexAny(base, "-_.")
		if i <= 0 {
			break
		}
		if word := base[i+1:]; len(word) == 2 && language(word) && translated[string(ext)] && texts[string(firstWord(base))] {
			return true
		}
		base = base[:i]
	}
	return false
}

// texts are what files of translations are called before the language.
var texts = Set("messages message strings translation translations labels label resources resource resx text texts lang language locale i18n l10n errors common ui devise validation validators captions localizable client server app main default global site core admin frontend web")

// firstWord is a name up to its first sign.
func firstWord(name []byte) []byte {
	if i := bytes.IndexAny(name, "-_."); i >= 0 {
		return name[:i]
	}
	return name
}

// Wordy reports whether the letters of v stand beside each other as those of words do, in
// one case but for the first of each.
func Wordy(v []byte) bool {
	changes := 0
	for i := 1; i < len(v); i++ {
		if classOf(v[i-1]) == 'a' && classOf(v[i]) == 'A' {
			changes++
		}
	}
	return changes*5 <= len(v) && WordLikeness(v) >= 4.8
}

// language reports whether a word is the code of a language: fi, pt-br.
func language(word []byte) bool {
	if len(word) == 5 && (word[2] == '-' || word[2] == '_') {
		return languages[string(word[:2])]
	}
	return languages[string(word)]
}

// translationWord reports whether a name has a word in it that says so by itself.
func translationWord(name []byte) bool {
	for len(name) > 0 {
		i := bytes.IndexAny(name, "-_.")
		word := name
		if i >= 0 {
			word, name = name[:i], name[i+1:]
		} else {
			name = nil
		}
		switch string(word) {
		case "messages", "language", "lang", "languages":
			continue
		}
		if translationWords[string(word)] {
			return true
		}
	}
	return false
}

// translated are the extensions of files that are translated under names with a language.
var translated = Set(".properties .json .yml .yaml .xml .js .ts .php .rb .toml .ini .csv .txt .html .md .dart .py .lua")

var (
	configExts   = Set(".json .yml .yaml .toml .ini .cfg .conf .config .properties .env .xml .plist .tfvars .tfstate .cnf .props .json5 .jsonc .csv .tsv")
	documentExts = Set(".md .rst .adoc .txt .html .htm .markdown .mdx .textile .tex .org")
	scriptExts   = Set(".sh .bash .zsh .fish .bat .cmd .ps1 .mk .dockerfile")
)

// FileKindOf returns the kind of the file at a path; code says that it is source code.
func FileKindOf(p string, code bool) FileKind {
	var buf [maxPath]byte
	low := lowerPath(buf[:0], p)
	_, _, ext := split(low)
	switch {
	case translation(low):
		return TranslationFile
	case documentExts[string(ext)]:
		return DocumentFile
	case code:
		return CodeFile
	case configExts[string(ext)]:
		return ConfigFile
	case scriptExts[string(ext)]:
		return ScriptFile
	}
	return OtherFile
}
