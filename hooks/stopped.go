package hooks

import (
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/fix"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/report"
)

// commit is what the pre-commit hook stops.
var commit = report.Stopped{What: "commit", List: "keyward scan --staged", Bypass: "git commit --no-verify"}

// remedies works out how each key is replaced where it stands first.
func (j *job) remedies(ctx context.Context, keys []*scanner.Key) map[string]report.Remedy {
	out := map[string]report.Remedy{}
	var names fix.Names
	for _, k := range keys[:min(len(keys), 3)] { // the screen shows no more
		p := k.Places[0]
		remedy := report.Remedy{}
		if c := commentOf(p.Path); c != "" {
			remedy.Comment = c + " keyward:allow rule=" + k.Rule.ID
		}
		if c := p.Commit; c != nil {
			remedy.Rebase = "git rebase -i " + c.ID[:12] + "^"
			if parent, err := j.repo.Resolve(ctx, c.ID+"^"); err == nil && parent == "" {
				remedy.Rebase = "git rebase -i --root"
			}
		}
		if j.gone(k, &p) {
			remedy.Staged = "git add " + quoteArg(j.shown(p.Path))
		}
		if data := j.content(ctx, &p); data != nil && p.End <= int64(len(data)) {
			others, _ := j.scanner.Scan(nil, scanner.Blob{Path: p.Path, Data: data}) // a gap only hides others
			name := names.Of(&scanner.Finding{Rule: k.Rule, Path: p.Path, Start: p.Start, Fingerprint: k.Fingerprint}, data, others)
			r, err := fix.File(workTree(j.root), p.Path, data, []fix.Place{{Start: int(p.Start), End: int(p.End), Name: name}})
			if err == nil && len(r.Moved) > 0 {
				remedy.File, remedy.Reference, remedy.Untrack = quoteArg(j.shown(p.Path)), r.Moved[0].Reference, r.Untrack
			}
		}
		out[k.Fingerprint] = remedy
	}
	return out
}

// shown is a path of the repository as the user would name it: git calls hooks at
// the top of the work tree, and says from where it was called itself.
// https://git-scm.com/docs/git#Documentation/git.txt-codeGITPREFIXcode
func (j *job) shown(name string) string {
	prefix := j.env.Getenv("GIT_PREFIX")
	if prefix == "" {
		return name
	}
	rel, err := filepath.Rel(filepath.FromSlash(prefix), filepath.FromSlash(name))
	if err != nil {
		return name
	}
	return rel
}

// gone reports whether what is staged has a key that the file has no more.
func (j *job) gone(k *scanner.Key, p *scanner.Place) bool {
	if p.Blob == "" || p.Commit != nil {
		return false
	}
	data := workTree(j.root).File(p.Path)
	if data == nil {
		return false
	}
	found, err := j.scanner.Scan(nil, scanner.Blob{Path: p.Path, Data: data})
	return err == nil && !slices.ContainsFunc(found, func(f scanner.Finding) bool { return f.Fingerprint == k.Fingerprint })
}

// content is the blob, or the file, that a key stands in; nil if it is not to be had.
func (j *job) content(ctx context.Context, p *scanner.Place) []byte {
	if p.Blob == "" || j.repo == nil {
		return workTree(j.top()).File(p.Path)
	}
	var data []byte
	for b, err := range j.repo.Blobs(ctx, git.ListOf([]git.Change{{ID: p.Blob, Path: p.Path}}), nil, files.Options{MaxSize: fix.MaxFile}) {
		if err != nil {
			return nil
		}
		data = append(data, b.Data...)
	}
	return data
}

// commentOf is what begins a comment in a file, "" if it is not known.
func commentOf(name string) string {
	base := strings.ToLower(path.Base(name))
	switch path.Ext(base) {
	case ".go", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".swift", ".c", ".h", ".cc", ".cpp", ".cs", ".rs", ".scala", ".php", ".dart", ".groovy", ".gradle":
		return "//"
	case ".py", ".rb", ".sh", ".bash", ".yml", ".yaml", ".toml", ".tf", ".tfvars", ".hcl", ".env", ".properties", ".conf", ".cfg", ".pl", ".r", ".ps1":
		return "#"
	case ".sql", ".lua", ".hs":
		return "--"
	}
	if strings.HasPrefix(base, ".env") || strings.HasPrefix(base, "dockerfile") || base == ".npmrc" || base == "makefile" {
		return "#"
	}
	return ""
}
