package githubtest

// table lists the operations. Of several that match a path the first is taken.
func (s *Server) table() []route {
	needs := func(perms ...string) []string { return perms }
	routes := []route{
		{method: "GET", pattern: "/app", as: "app", do: getApp},
		{method: "GET", pattern: "/app/installations", as: "app", do: listInstallations},
		{method: "GET", pattern: "/app/installations/{installation_id}", as: "app", do: getInstallation},
		{method: "POST", pattern: "/app/installations/{installation_id}/access_tokens", as: "app", do: createToken},
		{method: "GET", pattern: "/app/hook/config", as: "app", do: hookConfig},
		{method: "PATCH", pattern: "/app/hook/config", as: "app", do: hookConfig},
		{method: "GET", pattern: "/app/hook/deliveries", as: "app", do: listDeliveries},
		{method: "GET", pattern: "/app/hook/deliveries/{delivery_id}", as: "app", do: getDelivery},
		{method: "POST", pattern: "/app/hook/deliveries/{delivery_id}/attempts", as: "app", do: redeliver},
		{method: "POST", pattern: "/app-manifests/{code}/conversions", do: convertManifest},
		{method: "GET", pattern: "/installation/repositories", as: "installation", do: listInstallationRepos},
		{method: "POST", pattern: "/graphql", as: "installation", do: graphQL},
		{method: "GET", pattern: "/rate_limit", do: getRateLimit},
		{method: "GET", pattern: "/meta", do: getMeta},
		{method: "GET", pattern: "/users/{username}", do: getUser},
		{method: "GET", pattern: "/user/{account_id}", do: getUserByID},
		{method: "GET", pattern: "/orgs/{org}", do: getOrg},
		{method: "GET", pattern: "/orgs/{org}/members/{username}", perms: needs("members:read"), do: getMember},
		{method: "GET", pattern: "/orgs/{org}/personal-access-tokens", perms: needs("organization_personal_access_tokens:read"), do: listGrants},
		{method: "POST", pattern: "/orgs/{org}/personal-access-tokens/{pat_id}", perms: needs("organization_personal_access_tokens:write"), do: revokeGrant},
	}
	in := func(method, pattern string, perms []string, do func(*call) (int, any)) {
		routes = append(routes, route{method: method, pattern: "/repos/{owner}/{repo}" + pattern, perms: perms, do: do})
	}
	in("GET", "", needs("metadata:read"), getRepo)
	in("GET", "/assignees/{assignee}", needs("metadata:read", "issues:read"), getAssignee)
	in("GET", "/collaborators/{username}/permission", needs("metadata:read"), getPermission)
	in("POST", "/check-runs", needs("checks:write"), createCheck)
	in("GET", "/check-runs/{check_run_id}", needs("checks:read"), getCheck)
	in("PATCH", "/check-runs/{check_run_id}", needs("checks:write"), updateCheck)
	in("GET", "/check-runs/{check_run_id}/annotations", needs("checks:read"), listAnnotations)
	in("GET", "/commits/{ref...}/check-runs", needs("checks:read"), listChecks)
	in("GET", "/commits/{ref...}", needs("contents:read"), getCommit)
	in("GET", "/compare/{basehead...}", needs("contents:read"), compare)
	in("GET", "/contents/{path...}", needs("contents:read"), getContents)
	in("GET", "/git/trees/{tree_sha...}", needs("contents:read"), getTree)
	in("GET", "/git/blobs/{file_sha}", needs("contents:read"), getBlob)
	in("GET", "/branches/{branch...}", needs("contents:read"), getBranch)
	in("GET", "/secret-scanning/alerts", needs("secret_scanning_alerts:read"), listAlerts)
	in("PATCH", "/secret-scanning/alerts/{alert_number}", needs("secret_scanning_alerts:write"), updateAlert)
	in("GET", "/keys", needs("administration:read"), listDeployKeys)
	in("DELETE", "/keys/{key_id}", needs("administration:write"), deleteDeployKey)
	in("GET", "/pulls", needs("pull_requests:read"), listPulls)
	in("GET", "/pulls/{pull_number}", needs("pull_requests:read"), getPull)
	read, write := needs("issues:read", "pull_requests:read"), needs("issues:write", "pull_requests:write")
	in("GET", "/pulls/comments/{comment_id}", needs("pull_requests:read"), getWriting("pull_request_review_comment", "comment_id"))
	in("GET", "/pulls/{pull_number}/reviews/{review_id}", needs("pull_requests:read"), getWriting("pull_request_review", "review_id"))
	in("GET", "/comments/{comment_id}", needs("contents:read"), getWriting("commit_comment", "comment_id"))
	in("GET", "/releases/{release_id}", needs("contents:read"), getWriting("release", "release_id"))
	in("GET", "/issues", needs("issues:read"), listIssues)
	in("POST", "/issues", needs("issues:write"), createIssue)
	in("GET", "/issues/comments/{comment_id}", read, getComment)
	in("PATCH", "/issues/comments/{comment_id}", write, updateComment)
	in("POST", "/issues/comments/{comment_id}/reactions", write, react)
	in("GET", "/issues/{issue_number}", read, getIssue)
	in("PATCH", "/issues/{issue_number}", write, updateIssue)
	in("GET", "/issues/{issue_number}/comments", read, listComments)
	in("POST", "/issues/{issue_number}/comments", write, createComment)
	in("GET", "/issues/{issue_number}/sub_issues", read, listSubIssues)
	in("POST", "/issues/{issue_number}/sub_issues", needs("issues:write"), addSubIssue)
	in("GET", "/issues/{issue_number}/labels", read, listLabels)
	in("POST", "/issues/{issue_number}/labels", write, addLabels)
	in("DELETE", "/issues/{issue_number}/labels/{name}", write, removeLabel)
	for i := range routes {
		routes[i] = routes[i].compile()
	}
	return routes
}
