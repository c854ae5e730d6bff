package githubtest

import (
	"strconv"
	"strings"
)

// maxPatch is the size of a file's patch from which on GitHub leaves it out.
const maxPatch = 500 << 10

// fileChanges returns the files that differ between two trees, as the API shows them.
func (s *Server) fileChanges(r *repo, from, to string) []object {
	args := []string{"-M", "--no-color", "--no-ext-diff", "--src-prefix=a/", "--dst-prefix=b/", from, to}
	raw, err := s.git(r, append([]string{"diff", "--raw", "--no-abbrev", "-z"}, args...)...)
	if err != nil {
		return nil
	}
	counts, _ := s.git(r, append([]string{"diff", "--numstat", "-z"}, args...)...)
	text, _ := s.git(r, append([]string{"diff", "-p"}, args...)...)
	numbers, patches := numstat(counts), splitPatches(text)
	list := []object{}
	for fields := strings.Split(raw, "\x00"); len(fields) > 1; {
		head := strings.Fields(strings.TrimPrefix(fields[0], ":"))
		name, previous := fields[1], ""
		fields = fields[2:]
		if head[4][0] == 'R' || head[4][0] == 'C' {
			name, previous, fields = fields[0], name, fields[1:]
		}
		blob := head[3]
		if strings.Trim(blob, "0") == "" {
			blob = head[2]
		}
		n := numbers[name]
		o := object{"sha": blob, "filename": name, "status": statusWord(head[4][0]), "additions": n[0], "deletions": n[1], "changes": n[0] + n[1],
			"blob_url": s.URL + "/" + r.full() + "/blob/" + to + "/" + name, "raw_url": s.URL + "/" + r.full() + "/raw/" + to + "/" + name,
			"contents_url": s.api("/repos/%s/contents/%s?ref=%s", r.full(), name, to)}
		if previous != "" {
			o["previous_filename"] = previous
		}
		if head[4][0] == 'T' && len(patches) > 1 { // shown as a deletion and an addition
			patches = patches[1:]
		}
		if len(patches) > 0 {
			if p := patches[0]; p != "" && len(p) <= maxPatch {
				o["patch"] = p
			}
			patches = patches[1:]
		}
		list = append(list, o)
	}
	return list
}

func statusWord(letter byte) string {
	switch letter {
	case 'A':
		return "added"
	case 'D':
		return "removed"
	case 'R':
		return "renamed"
	case 'C':
		return "copied"
	case 'T':
		return "changed"
	}
	return "modified"
}

// numstat returns the added and removed lines of each file.
func numstat(out string) map[string][2]int {
	numbers := map[string][2]int{}
	for fields := strings.Split(out, "\x00"); len(fields) > 1; fields = fields[1:] {
		part := strings.SplitN(fields[0], "\t", 3)
		if len(part) < 3 {
			break
		}
		if part[2] == "" && len(fields) > 2 { // renamed: both names follow
			part[2], fields = fields[2], fields[2:]
		}
		plus, _ := strconv.Atoi(part[0]) // "-" for a binary file
		minus, _ := strconv.Atoi(part[1])
		numbers[part[2]] = [2]int{plus, minus}
	}
	return numbers
}

// splitPatches cuts the output of Git into the patches of the files, each from its first
// hunk on; "" for a file without one.
func splitPatches(text string) []string {
	var patches []string
	parts := strings.Split("\n"+text, "\ndiff --git ")
	for _, part := range parts[1:] {
		_, hunks, ok := strings.Cut(part, "\n@@ ")
		if ok {
			hunks = strings.TrimSuffix("@@ "+hunks, "\n")
		}
		patches = append(patches, hunks)
	}
	return patches
}
