package githubtest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// receive takes a push, and sends a webhook for each ref that it changed before the
// client hears of its success.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, repository *repo, login string) {
	repository.pushing.Lock()
	defer repository.pushing.Unlock()
	before := s.refs(repository)
	rec := newRecorder()
	s.backend(rec, r, repository, "git-receive-pack", login)
	after := s.refs(repository)
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != after[name] {
			s.pushed(repository, name, before, after[name], login)
		}
	}
	rec.send(w)
}

// pushed sends the webhook of one ref, and moves the pull requests of a branch.
func (s *Server) pushed(r *repo, ref string, old map[string]string, after, login string) {
	before := old[ref]
	payload := object{"ref": ref, "before": orZeros(before), "after": orZeros(after), "created": before == "", "deleted": after == "",
		"forced": s.forced(r, ref, before, after), "base_ref": nil, "commits": []object{}, "head_commit": nil}
	if before == "" {
		for _, name := range slices.Sorted(maps.Keys(old)) {
			if old[name] == s.commit(r, after) && strings.HasPrefix(name, "refs/heads/") {
				payload["base_ref"] = name
			}
		}
	}
	compare := short(before) + "..." + short(after)
	if before == "" || after == "" {
		compare = short(before + after)
	}
	if after != "" {
		commits, head := s.pushedCommits(r, ref, old, after)
		payload["commits"], payload["head_commit"] = commits, head
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.pushed = now()
	sender := s.state.sender(login)
	payload["compare"] = s.URL + "/" + r.full() + "/compare/" + compare
	payload["pusher"] = object{"name": sender.login, "email": sender.login + userDomain}
	repository := s.repoJSON(r)
	repository["created_at"], repository["pushed_at"] = r.created.Unix(), r.pushed.Unix()
	repository["owner"].(object)["name"], repository["owner"].(object)["email"] = r.owner.login, nil
	repository["stargazers"], repository["master_branch"] = 0, defaultBranch
	payload["repository"] = repository
	s.emit(r, "push", "", sender, payload)
	if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok && before != "" && after != "" {
		s.followPush(r, branch, after, sender)
	}
}

func orZeros(sha string) string {
	if sha == "" {
		return zeros
	}
	return sha
}

func short(sha string) string { return sha[:min(12, len(sha))] }

// forced reports whether a branch lost commits.
func (s *Server) forced(r *repo, ref, before, after string) bool {
	if before == "" || after == "" {
		return false
	}
	if _, err := s.git(r, "merge-base", "--is-ancestor", before, after); err != nil || !strings.HasPrefix(ref, "refs/heads/") {
		return true
	}
	return false
}

// pushedCommits returns the commits that a push brought to a ref, oldest first, and the
// one that the ref names now.
func (s *Server) pushedCommits(r *repo, ref string, old map[string]string, after string) ([]object, object) {
	tip := s.commit(r, after)
	if tip == "" {
		return []object{}, nil
	}
	var known []string
	for _, sha := range old {
		known = append(known, "^"+sha)
	}
	fresh := map[string]bool{}
	for _, sha := range s.list(r, append(known, tip)) {
		fresh[sha] = true
	}
	var span []string
	switch {
	case !strings.HasPrefix(ref, "refs/heads/"):
	case old[ref] != "":
		span = s.list(r, []string{"^" + old[ref], tip})
	default:
		span = s.list(r, append(known, tip))
	}
	span = span[max(0, len(span)-s.CommitCap):]
	all := s.describeCommits(r, append(slices.Clone(span), tip), fresh)
	return all[:len(all)-1], all[len(all)-1]
}

// list returns commits, oldest first.
func (s *Server) list(r *repo, revs []string) []string {
	out, err := s.gitInput(r, strings.Join(revs, "\n")+"\n", "rev-list", "--topo-order", "--reverse", "--stdin")
	if err != nil {
		return nil
	}
	return strings.Fields(out)
}

// describeCommits returns commits as a push webhook shows them.
func (s *Server) describeCommits(r *repo, shas []string, fresh map[string]bool) []object {
	type changes struct{ added, removed, modified []string }
	files := map[string]*changes{}
	out, _ := s.gitInput(r, strings.Join(shas, "\n")+"\n", "diff-tree", "--stdin", "-r", "--root", "-z", "--name-status", "--no-renames")
	var current *changes
	for tokens := strings.Split(out, "\x00"); len(tokens) > 1; tokens = tokens[1:] {
		if len(tokens[0]) >= 40 {
			current = &changes{added: []string{}, removed: []string{}, modified: []string{}}
			files[tokens[0]] = current
			continue
		}
		switch tokens[0] {
		case "A":
			current.added = append(current.added, tokens[1])
		case "D":
			current.removed = append(current.removed, tokens[1])
		default:
			current.modified = append(current.modified, tokens[1])
		}
		tokens = tokens[1:]
	}
	list := []object{}
	for _, c := range s.readCommits(r, shas) {
		touched := files[c.sha]
		if touched == nil { // a merge
			touched = &changes{added: []string{}, removed: []string{}, modified: []string{}}
		}
		list = append(list, object{"id": c.sha, "tree_id": c.tree, "distinct": fresh[c.sha], "message": c.message,
			"timestamp": c.committed, "url": s.URL + "/" + r.full() + "/commit/" + c.sha, "author": person(c.author), "committer": person(c.committer),
			"added": touched.added, "removed": touched.removed, "modified": touched.modified})
	}
	return list
}

// person is an author as a push webhook shows one.
func person(p ident) object {
	o := object{"name": p.name, "email": p.email}
	if login, ok := strings.CutSuffix(p.email, userDomain); ok {
		o["username"] = login
	}
	return o
}
