package githubtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func asJSON(body []byte) any {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return string(body)
	}
	return v
}

func (s *Server) accountJSON(a *account) object {
	url := s.api("/users/%s", a.login)
	o := object{"login": a.login, "id": a.id, "node_id": fmt.Sprintf("U_%d", a.id), "avatar_url": s.URL + "/avatars/" + a.login,
		"gravatar_id": "", "url": url, "html_url": s.URL + "/" + a.login, "type": a.kind, "site_admin": false}
	if a.kind == "Bot" {
		o["html_url"] = s.URL + "/apps/" + appSlug
	}
	for _, name := range []string{"followers", "subscriptions", "repos", "received_events"} {
		o[name+"_url"] = url + "/" + name
	}
	o["organizations_url"] = url + "/orgs"
	o["following_url"], o["gists_url"] = url+"/following{/other_user}", url+"/gists{/gist_id}"
	o["starred_url"], o["events_url"] = url+"/starred{/owner}{/repo}", url+"/events{/privacy}"
	return o
}

func (s *Server) orgJSON(a *account) object {
	url := s.api("/orgs/%s", a.login)
	return object{"login": a.login, "id": a.id, "node_id": fmt.Sprintf("O_%d", a.id), "url": url, "repos_url": url + "/repos",
		"events_url": url + "/events", "hooks_url": url + "/hooks", "issues_url": url + "/issues", "members_url": url + "/members{/member}",
		"public_members_url": url + "/public_members{/member}", "avatar_url": s.URL + "/avatars/" + a.login, "description": nil}
}

// templates are the addresses below a repository's.
var templates = map[string]string{
	"forks": "forks", "keys": "keys{/key_id}", "collaborators": "collaborators{/collaborator}", "teams": "teams", "hooks": "hooks",
	"issue_events": "issues/events{/number}", "events": "events", "assignees": "assignees{/user}", "branches": "branches{/branch}",
	"tags": "tags", "blobs": "git/blobs{/sha}", "git_tags": "git/tags{/sha}", "git_refs": "git/refs{/sha}", "trees": "git/trees{/sha}",
	"statuses": "statuses/{sha}", "languages": "languages", "stargazers": "stargazers", "contributors": "contributors",
	"subscribers": "subscribers", "subscription": "subscription", "commits": "commits{/sha}", "git_commits": "git/commits{/sha}",
	"comments": "comments{/number}", "issue_comment": "issues/comments{/number}", "contents": "contents/{+path}",
	"compare": "compare/{base}...{head}", "merges": "merges", "archive": "{archive_format}{/ref}", "downloads": "downloads",
	"issues": "issues{/number}", "pulls": "pulls{/number}", "milestones": "milestones{/number}",
	"notifications": "notifications{?since,all,participating}", "labels": "labels{/name}", "releases": "releases{/id}",
	"deployments": "deployments",
}

func (r *repo) visibility() string {
	if r.public {
		return "public"
	}
	return "private"
}

func (s *Server) repoJSON(r *repo) object {
	url, web := s.api("/repos/%s", r.full()), s.URL+"/"+r.full()
	open := 0
	for _, i := range r.issues {
		if i.state == "open" {
			open++
		}
	}
	o := object{"id": r.id, "node_id": fmt.Sprintf("R_%d", r.id), "name": r.name, "full_name": r.full(), "private": !r.public,
		"owner": s.accountJSON(r.owner), "html_url": web, "description": nil, "fork": false, "url": url,
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "pushed_at": stamp(r.pushed),
		"git_url": "git" + strings.TrimPrefix(web, "http") + ".git", "ssh_url": "git@" + strings.TrimPrefix(s.URL, "http://") + ":" + r.full() + ".git",
		"clone_url": web + ".git", "svn_url": web, "homepage": nil, "size": 1, "stargazers_count": 0, "watchers_count": 0, "language": nil,
		"has_issues": !r.noIssues, "has_projects": false, "has_downloads": false, "has_wiki": false, "has_pages": false, "has_discussions": false,
		"forks_count": 0, "mirror_url": nil, "archived": r.archived, "disabled": false, "open_issues_count": open, "license": nil,
		"allow_forking": true, "is_template": false, "web_commit_signoff_required": false, "topics": []string{}, "visibility": r.visibility(),
		"forks": 0, "open_issues": open, "watchers": 0, "default_branch": defaultBranch, "custom_properties": object{}}
	for name, path := range templates {
		o[name+"_url"] = url + "/" + path
	}
	return o
}

// repoShort is a repository as the webhooks about an installation list it.
func repoShort(r *repo) object {
	return object{"id": r.id, "node_id": fmt.Sprintf("R_%d", r.id), "name": r.name, "full_name": r.full(), "private": !r.public}
}

var appEvents = []string{"check_run", "check_suite", "commit_comment", "discussion", "discussion_comment", "gollum", "issue_comment", "issues", "merge_group",
	"pull_request", "pull_request_review", "pull_request_review_comment", "push", "release", "repository"}

func (s *Server) appJSON() object {
	owner := object{"login": appSlug, "id": 1, "node_id": "O_1", "type": "Organization", "site_admin": false, "html_url": s.URL + "/" + appSlug,
		"url": s.api("/users/%s", appSlug), "avatar_url": s.URL + "/avatars/" + appSlug}
	return object{"id": appID, "slug": appSlug, "node_id": "A_4711", "client_id": "Iv1.fake0000client0id", "owner": owner, "name": "Keyward",
		"description": "", "external_url": "https://keyward.example", "html_url": s.URL + "/apps/" + appSlug, "created_at": "2024-01-01T00:00:00Z",
		"updated_at": "2024-01-01T00:00:00Z", "permissions": maps.Clone(s.state.grants), "events": appEvents, "installations_count": len(s.state.installs)}
}

func (s *Server) installationJSON(i *installation) object {
	o := object{"id": i.id, "node_id": fmt.Sprintf("I_%d", i.id), "account": s.accountJSON(i.owner), "repository_selection": "all",
		"access_tokens_url": s.api("/app/installations/%d/access_tokens", i.id), "repositories_url": s.api("/installation/repositories"),
		"html_url": fmt.Sprintf("%s/organizations/%s/settings/installations/%d", s.URL, i.owner.login, i.id), "app_id": appID, "app_slug": appSlug,
		"client_id": "Iv1.fake0000client0id", "target_id": i.owner.id, "target_type": i.owner.kind, "permissions": maps.Clone(s.state.grants),
		"events": appEvents, "created_at": stamp(i.created), "updated_at": stamp(i.created), "single_file_name": nil,
		"has_multiple_single_files": false, "single_file_paths": []string{}, "suspended_by": nil, "suspended_at": nil}
	if i.chosen != nil {
		o["repository_selection"] = "selected"
	}
	if i.suspended != nil {
		o["suspended_at"], o["suspended_by"] = stamp(*i.suspended), s.accountJSON(s.state.sender(""))
	}
	return o
}

// emit queues a webhook about a repository, if the App is installed there and not
// suspended. The payload lacks only what all webhooks have.
func (s *Server) emit(r *repo, event, action string, sender *account, payload object) {
	i := r.owner.install
	if !i.covers(r) || i.suspended != nil {
		return
	}
	if payload["repository"] == nil {
		payload["repository"] = s.repoJSON(r)
	}
	payload["installation"] = object{"id": i.id, "node_id": fmt.Sprintf("I_%d", i.id)}
	s.send(i, r.id, event, action, sender, payload)
}

// emitInstallation queues a webhook about an installation itself.
func (s *Server) emitInstallation(i *installation, event, action string, payload object) {
	payload["installation"] = s.installationJSON(i)
	s.send(i, 0, event, action, s.state.sender(""), payload)
}

func (s *Server) send(i *installation, repo int64, event, action string, sender *account, payload object) {
	if action != "" {
		payload["action"] = action
	}
	payload["sender"] = s.accountJSON(sender)
	if i.owner.kind == "Organization" {
		payload["organization"] = s.orgJSON(i.owner)
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return // payloads are made of what can be encoded
	}
	s.out.add(Delivery{GUID: newGUID(), Event: event, Action: action, InstallationID: i.id, RepositoryID: repo, Payload: body})
}

func getUser(c *call) (int, any) {
	a := c.state.accounts[strings.ToLower(c.params["username"])]
	if a == nil {
		return c.notFound()
	}
	return 200, c.accountJSON(a)
}

func getUserByID(c *call) (int, any) {
	for _, a := range c.state.accounts {
		if fmt.Sprint(a.id) == c.params["account_id"] {
			return 200, c.accountJSON(a)
		}
	}
	return c.notFound()
}

func getOrg(c *call) (int, any) {
	a := c.state.accounts[strings.ToLower(c.params["org"])]
	if a == nil || a.kind != "Organization" {
		return c.notFound()
	}
	o := c.orgJSON(a)
	o["type"], o["name"], o["html_url"], o["created_at"], o["updated_at"] = a.kind, a.login, c.URL+"/"+a.login, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"
	return 200, o
}

func getMember(c *call) (int, any) {
	a := c.state.accounts[strings.ToLower(c.params["org"])]
	if a == nil || !a.members[strings.ToLower(c.params["username"])] {
		return c.notFound()
	}
	return 204, nil
}

func getAssignee(c *call) (int, any) {
	if !c.assignable(c.params["assignee"]) {
		return c.notFound()
	}
	return 204, nil
}

// assignable reports whether a person can be assigned to issues of the repository.
func (c *call) assignable(login string) bool {
	a := c.state.accounts[strings.ToLower(login)]
	return a != nil && a.kind == "User" && c.repo.roles[strings.ToLower(login)] != "none"
}

func getPermission(c *call) (int, any) {
	a := c.state.accounts[strings.ToLower(c.params["username"])]
	if a == nil || a.kind == "Organization" {
		return c.notFound()
	}
	role := c.repo.roles[strings.ToLower(a.login)]
	if role == "" {
		role = "none"
	}
	permission := role
	switch role {
	case "maintain":
		permission = "write"
	case "triage":
		permission = "read"
	}
	user := c.accountJSON(a)
	level := slices.Index([]string{"none", "read", "triage", "write", "maintain", "admin"}, role)
	user["role_name"], user["permissions"] = role, object{"pull": level >= 1, "triage": level >= 2, "push": level >= 3, "maintain": level >= 4, "admin": level >= 5}
	return 200, object{"permission": permission, "role_name": role, "user": user}
}

func getRateLimit(c *call) (int, any) {
	l := c.limit()
	core := object{"limit": hourly, "remaining": l.remaining, "used": l.used, "reset": l.reset.Unix()}
	return 200, object{"resources": object{"core": core, "search": object{"limit": 30, "remaining": 30, "used": 0, "reset": l.reset.Unix()}}, "rate": core}
}

func getMeta(*call) (int, any) {
	return 200, object{"verifiable_password_authentication": false, "hooks": []string{"127.0.0.1/32"}, "web": []string{"127.0.0.1/32"},
		"api": []string{"127.0.0.1/32"}, "git": []string{"127.0.0.1/32"}}
}
