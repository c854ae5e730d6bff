package githubtest

import "strings"

// userDomain marks the mail addresses that belong to an account.
const userDomain = "@users.example"

type ident struct{ name, email, date string }

// commitInfo is what a commit says of itself.
type commitInfo struct {
	sha, tree, message, committed string
	parents                       []string
	author, committer             ident
}

// readCommits returns commits in the order asked for.
func (s *Server) readCommits(r *repo, shas []string) []commitInfo {
	if len(shas) == 0 {
		return nil
	}
	format := "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00%x01"
	out, err := s.gitInput(r, strings.Join(shas, "\n")+"\n", "log", "--no-walk=unsorted", "--stdin", "--encoding=UTF-8", format)
	if err != nil {
		return nil
	}
	known := map[string]commitInfo{}
	for record := range strings.SplitSeq(out, "\x00\x01") {
		f := strings.Split(strings.TrimPrefix(record, "\n"), "\x00")
		if len(f) != 10 {
			continue
		}
		known[f[0]] = commitInfo{sha: f[0], tree: f[1], parents: strings.Fields(f[2]), author: ident{f[3], f[4], f[5]},
			committer: ident{f[6], f[7], f[8]}, committed: f[8], message: strings.TrimRight(f[9], "\n")}
	}
	var list []commitInfo
	for _, sha := range shas {
		if c, ok := known[sha]; ok {
			list = append(list, c)
		}
	}
	return list
}

// commitJSON is a commit as the API shows it, without its files.
func (s *Server) commitJSON(r *repo, c commitInfo) object {
	parents := []object{}
	for _, p := range c.parents {
		parents = append(parents, object{"sha": p, "url": s.api("/repos/%s/commits/%s", r.full(), p), "html_url": s.URL + "/" + r.full() + "/commit/" + p})
	}
	git := func(p ident) object { return object{"name": p.name, "email": p.email, "date": p.date} }
	return object{
		"sha": c.sha, "node_id": "C_" + c.sha, "url": s.api("/repos/%s/commits/%s", r.full(), c.sha),
		"html_url": s.URL + "/" + r.full() + "/commit/" + c.sha, "comments_url": s.api("/repos/%s/commits/%s/comments", r.full(), c.sha),
		"commit": object{"author": git(c.author), "committer": git(c.committer), "message": c.message, "comment_count": 0,
			"tree":         object{"sha": c.tree, "url": s.api("/repos/%s/git/trees/%s", r.full(), c.tree)},
			"url":          s.api("/repos/%s/git/commits/%s", r.full(), c.sha),
			"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil}},
		"author": s.author(c.author), "committer": s.author(c.committer), "parents": parents,
	}
}

// author returns the account behind a mail address, or nil.
func (s *Server) author(p ident) any {
	if login, ok := strings.CutSuffix(p.email, userDomain); ok && login != "" {
		return s.accountJSON(s.state.account(login, "User"))
	}
	return nil
}
