package githubtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	maxCompareCommits = 250
	maxContents       = 1 << 20
	maxCommitFiles    = 3000
)

func getRepo(c *call) (int, any) {
	o := c.repoJSON(c.repo)
	o["network_count"], o["subscribers_count"] = 0, 0
	return http.StatusOK, o
}

// noCommit is the answer to a name that is no commit.
func (c *call) noCommit(name string) (int, any) {
	if len(c.refs(c.repo)) == 0 {
		return problem(http.StatusConflict, "Git Repository is empty.")
	}
	return problem(http.StatusUnprocessableEntity, "No commit found for SHA: %s", name)
}

func getCommit(c *call) (int, any) {
	sha := c.commit(c.repo, c.params["ref"])
	if sha == "" {
		return c.noCommit(c.params["ref"])
	}
	info := c.readCommits(c.repo, []string{sha})[0]
	parent := emptyTree
	if len(info.parents) > 0 {
		parent = info.parents[0]
	}
	files := c.fileChanges(c.repo, parent, sha)
	plus, minus := 0, 0
	for _, f := range files {
		plus, minus = plus+f["additions"].(int), minus+f["deletions"].(int)
	}
	files = files[:min(len(files), maxCommitFiles)]
	o := c.commitJSON(c.repo, info)
	o["stats"] = object{"total": plus + minus, "additions": plus, "deletions": minus}
	if len(files) > 300 || c.query("per_page") != "" || c.query("page") != "" {
		files = page(c, files)
	}
	o["files"] = files
	return http.StatusOK, o
}

// compare shows what a branch has over another: the commits in pages, the files all on
// the first page and cut off.
func compare(c *call) (int, any) {
	from, to, ok := strings.Cut(c.params["basehead"], "...")
	base, head := c.commit(c.repo, afterColon(from)), c.commit(c.repo, afterColon(to))
	if !ok || base == "" || head == "" {
		return c.notFound()
	}
	out, err := c.git(c.repo, "merge-base", base, head)
	if err != nil {
		return problem(http.StatusNotFound, "No common ancestor between %s and %s.", from, to)
	}
	merged := strings.Fields(out)[0]
	ahead, behind := c.list(c.repo, []string{"^" + base, head}), c.list(c.repo, []string{"^" + head, base})
	status := "diverged"
	switch {
	case base == head:
		status = "identical"
	case len(behind) == 0:
		status = "ahead"
	case len(ahead) == 0:
		status = "behind"
	}
	shown := ahead
	if c.query("per_page") != "" || c.query("page") != "" || c.opt.PageSize > 0 {
		shown = page(c, ahead)
	}
	commits := []object{}
	for _, info := range c.readCommits(c.repo, shown[:min(len(shown), maxCompareCommits)]) {
		commits = append(commits, c.commitJSON(c.repo, info))
	}
	files := []object{}
	if at := c.query("page"); at == "" || at == "1" {
		files = c.fileChanges(c.repo, merged, head)
		files = files[:min(len(files), c.CompareFiles)]
	}
	bases := c.readCommits(c.repo, []string{base, merged})
	url, web := c.api("/repos/%s/compare/%s", c.repo.full(), c.params["basehead"]), c.URL+"/"+c.repo.full()+"/compare/"+c.params["basehead"]
	return http.StatusOK, object{"url": url, "html_url": web, "permalink_url": web, "diff_url": web + ".diff", "patch_url": web + ".patch",
		"base_commit": c.commitJSON(c.repo, bases[0]), "merge_base_commit": c.commitJSON(c.repo, bases[1]), "status": status,
		"ahead_by": len(ahead), "behind_by": len(behind), "total_commits": len(ahead), "commits": commits, "files": files}
}

// afterColon leaves out the owner of a branch.
func afterColon(name string) string { return name[strings.LastIndex(name, ":")+1:] }

// An entry is one line of a tree.
type entry struct {
	mode, kind, sha, name string
	size                  int
}

// entries lists a tree, or returns nil if there is none.
func (c *call) entries(tree string, args ...string) []entry {
	out, err := c.git(c.repo, append([]string{"ls-tree", "-z", "-l", "--full-tree"}, append(args, tree)...)...)
	if err != nil {
		return nil
	}
	list := []entry{}
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		meta, name, ok := strings.Cut(line, "\t")
		if f := strings.Fields(meta); ok && len(f) == 4 {
			size, _ := strconv.Atoi(f[3]) // "-" for a tree
			list = append(list, entry{mode: f[0], kind: f[1], sha: f[2], name: name, size: size})
		}
	}
	return list
}

// wantsRaw reports whether the request asks for the bytes and not for JSON.
func (c *call) wantsRaw() bool {
	return strings.Contains(c.r.Header.Get("Accept"), ".raw")
}

func getContents(c *call) (int, any) {
	ref := c.query("ref")
	if ref == "" {
		ref = defaultBranch
	}
	sha := c.commit(c.repo, ref)
	if sha == "" {
		return problem(http.StatusNotFound, "No commit found for the ref %s", ref)
	}
	file := strings.Trim(c.params["path"], "/")
	if file == "" {
		return c.directory(sha, "", ref)
	}
	found := c.entries(sha+":"+strings.TrimPrefix(path.Dir(file)+"/", "./"), "--")
	at := slices.IndexFunc(found, func(e entry) bool { return e.name == path.Base(file) })
	if at < 0 {
		return c.notFound()
	}
	e := found[at]
	if e.kind == "tree" {
		return c.directory(sha, file, ref)
	}
	data, err := c.git(c.repo, "cat-file", "blob", e.sha)
	if err != nil {
		return c.notFound()
	}
	if c.wantsRaw() {
		return http.StatusOK, []byte(data)
	}
	o := c.fileJSON(e, file, ref)
	o["encoding"], o["content"] = "base64", wrapped(data)
	if len(data) > maxContents {
		o["encoding"], o["content"] = "none", ""
	}
	return http.StatusOK, o
}

func (c *call) directory(sha, dir, ref string) (int, any) {
	list := []object{}
	for _, e := range c.entries(sha + ":" + dir) {
		list = append(list, c.fileJSON(e, path.Join(dir, e.name), ref))
	}
	return http.StatusOK, list
}

func (c *call) fileJSON(e entry, file, ref string) object {
	kind := map[string]string{"tree": "dir", "blob": "file", "commit": "submodule"}[e.kind]
	if e.mode == "120000" {
		kind = "symlink"
	}
	url, web := c.api("/repos/%s/contents/%s?ref=%s", c.repo.full(), file, ref), c.URL+"/"+c.repo.full()+"/blob/"+ref+"/"+file
	blob := c.api("/repos/%s/git/%ss/%s", c.repo.full(), e.kind, e.sha)
	return object{"type": kind, "size": e.size, "name": path.Base(file), "path": file, "sha": e.sha, "url": url, "git_url": blob, "html_url": web,
		"download_url": c.URL + "/" + c.repo.full() + "/raw/" + ref + "/" + file, "_links": object{"self": url, "git": blob, "html": web}}
}

// wrapped is base64 in lines, as GitHub writes it.
func wrapped(data string) string {
	var b strings.Builder
	for text := base64.StdEncoding.EncodeToString([]byte(data)); text != ""; {
		n := min(60, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return b.String()
}

func getTree(c *call) (int, any) {
	name := c.params["tree_sha"]
	if sha := c.commit(c.repo, name); sha != "" {
		name = sha
	}
	out, err := c.git(c.repo, "rev-parse", "--verify", "-q", strings.TrimLeft(name, "-")+"^{tree}")
	if err != nil {
		return c.notFound()
	}
	sha := strings.TrimSpace(out)
	var args []string
	if c.query("recursive") != "" {
		args = []string{"-r", "-t"}
	}
	list := []object{}
	found := c.entries(sha, args...)
	for _, e := range found[:min(len(found), c.TreeEntries)] {
		o := object{"path": e.name, "mode": e.mode, "type": e.kind, "sha": e.sha, "url": c.api("/repos/%s/git/%ss/%s", c.repo.full(), e.kind, e.sha)}
		if e.kind == "blob" {
			o["size"] = e.size
		}
		list = append(list, o)
	}
	return http.StatusOK, object{"sha": sha, "url": c.api("/repos/%s/git/trees/%s", c.repo.full(), sha), "tree": list, "truncated": len(found) > c.TreeEntries}
}

func getBlob(c *call) (int, any) {
	sha := c.params["file_sha"]
	data, err := c.git(c.repo, "cat-file", "blob", strings.TrimLeft(sha, "-"))
	if err != nil {
		return c.notFound()
	}
	if c.wantsRaw() {
		return http.StatusOK, []byte(data)
	}
	return http.StatusOK, object{"sha": sha, "node_id": "B_" + sha, "size": len(data), "url": c.api("/repos/%s/git/blobs/%s", c.repo.full(), sha),
		"content": wrapped(data), "encoding": "base64"}
}

func getBranch(c *call) (int, any) {
	name := c.params["branch"]
	sha, ok := c.refs(c.repo)["refs/heads/"+name]
	if !ok {
		return problem(http.StatusNotFound, "Branch not found")
	}
	url := c.api("/repos/%s/branches/%s", c.repo.full(), name)
	return http.StatusOK, object{"name": name, "commit": c.commitJSON(c.repo, c.readCommits(c.repo, []string{sha})[0]), "protected": false,
		"protection": object{"enabled": false}, "protection_url": url + "/protection",
		"_links": object{"self": url, "html": fmt.Sprintf("%s/%s/tree/%s", c.URL, c.repo.full(), name)}}
}
