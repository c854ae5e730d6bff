package score

import (
	"bytes"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Prose reports whether v is words of some language: letters of any script without a digit,
// perhaps with spaces, hyphens and the signs of sentences between. foreign says whether
// letters beyond ASCII are among them.
func Prose(v []byte) (prose, foreign bool) {
	letters := 0
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
			foreign = foreign || r >= 0x80
		case r >= 0x80 || strings.IndexByte(" -_.,:;!?'()/\\&\"", byte(r)) >= 0:
		default:
			return false, foreign
		}
		i += n
	}
	return letters >= 2, foreign
}

// escapedLetter returns the length of a \u escape of a letter at the beginning of v, else 0.
func escapedLetter(v []byte) int {
	if len(v) < 6 || v[0] != '\\' || v[1] != 'u' {
		return 0
	}
	r := rune(0)
	for _, c := range v[2:6] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0
		}
	}
	if r >= 0x80 && (unicode.IsLetter(r) || unicode.Is(unicode.M, r)) {
		return 6
	}
	return 0
}

// Asks reports whether v ends as a question or an unfinished sentence does.
func Asks(v []byte) bool {
	return len(v) > 3 && (v[len(v)-1] == '?' || bytes.HasSuffix(v, []byte("…")) || v[len(v)-1] == ':' || v[len(v)-1] == '!') && bytes.IndexByte(v, ' ') > 0
}

var (
	translationWords = Set("locale locales lang langs language languages i18n l10n intl nls translation translations translate messages lproj localization localizations localisation resourcebundle resx xliff")
	translationExts  = Set(".po .pot .resx .strings .stringsdict .xlf .xliff .arb .mo .ftl .lang")
	languages        = Set("aa af am ar as az ba be bg bn bo br bs ca co cs cy da de dv el en eo es et eu fa fi fil fo fr fy ga gd gl gu ha haw he hi hr ht hu hy ia id ig is it iu ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no ny oc or pa pl ps pt qu rm ro ru rw sa sd si sk sl sm sn so sq sr st su sv sw ta te tg th ti tk tl tr tt ug uk ur uz vi wo xh yi yo zh zu pt-br zh-cn zh-tw zh-hans zh-hant")
)

// Translation reports whether the file at a path holds the texts of a program in one of many
// languages.
func Translation(p string) bool {
	p = strings.ToLower(p)
	if translationExts[path.Ext(p)] {
		return true
	}
	dirs, name := path.Split(p)
	for dir := range strings.SplitSeq(dirs, "/") {
		if translationWords[dir] || strings.HasPrefix(dir, "values-") || strings.HasSuffix(dir, ".lproj") {
			return true
		}
		for w := range strings.FieldsFuncSeq(dir, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
			if translationWords[w] && w != "messages" && w != "language" && w != "lang" {
				return true
			}
		}
	}
	base := strings.TrimSuffix(name, path.Ext(name))
	if base == "strings" || languages[strings.ReplaceAll(base, "_", "-")] && translated[path.Ext(name)] || translationWords[base] && base != "language" && base != "lang" {
		return true
	}
	words := strings.FieldsFunc(base, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	for i, w := range words {
		if translationWords[w] && w != "messages" && w != "lang" {
			return true
		}
		if i > 0 && i >= len(words)-2 && len(w) == 2 && languages[w] && translated[path.Ext(name)] {
			return true
		}
	}
	return false
}

// translated are the extensions of files that are translated under names with a language.
var translated = Set(".properties .json .yml .yaml .xml .js .ts .php .rb .toml .ini .csv .txt .html .md .dart .py .lua")
