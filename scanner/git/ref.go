package git

import "strings"

// ValidRef reports whether a name such as refs/heads/main may be a ref, by the rules of git
// check-ref-format. Such a name is never taken for a revision's syntax or a refspec's.
func ValidRef(name string) bool {
	if !strings.Contains(name, "/") || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(" ~^:?*[\\", r) })
}
