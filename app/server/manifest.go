package server

import (
	"maps"

	"github.com/keyward/keyward/app/webhook"
)

// A manifest is what GitHub makes an App from.
// https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
type manifest struct {
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	Hook        map[string]any    `json:"hook_attributes"`
	RedirectURL string            `json:"redirect_url"`
	Description string            `json:"description"`
	Public      bool              `json:"public"`
	Permissions map[string]string `json:"default_permissions"`
	Events      []string          `json:"default_events"`
}

// kinds are the three Apps that can be made, each with the rights of the one before.
// https://docs.github.com/rest/authentication/permissions-required-for-github-apps
var kinds = []struct {
	Name, Title, What string
	add               map[string]string
}{
	{"scan", "Scan", "Checks every push and pull request, and opens rotation issues. Reads code, writes checks and issues.", map[string]string{
		"metadata": "read", "contents": "read", "checks": "write", "pull_requests": "read", "issues": "write", "merge_queues": "read", "members": "read",
	}},
	{"inventory", "Inventory", "Besides, lists the deploy keys, tokens, secrets' names, runners and webhooks there are. Reads only.", map[string]string{
		"administration": "read", "actions": "read", "secrets": "read", "environments": "read", "actions_variables": "read", "dependabot_secrets": "read", "repository_hooks": "read",
		"secret_scanning_alerts": "read", "organization_secrets": "read", "organization_dependabot_secrets": "read", "organization_hooks": "read", "organization_administration": "read",
		"organization_personal_access_tokens": "read", "organization_personal_access_token_requests": "read", "organization_self_hosted_runners": "read",
	}},
	{"enforce", "Enforce", "Besides, may revoke: deletes deploy keys, revokes tokens' access, answers their requests, resolves alerts.", map[string]string{
		"administration": "write", "secret_scanning_alerts": "write", "organization_personal_access_tokens": "write", "organization_personal_access_token_requests": "write",
	}},
}

// permissions are those of a kind, and nil if there is none of that name.
func permissions(kind string) map[string]string {
	out := map[string]string{}
	for _, k := range kinds {
		maps.Copy(out, k.add)
		if k.Name == kind {
			return out
		}
	}
	return nil
}

func newManifest(kind, name, hook, redirect string) *manifest {
	p := permissions(kind)
	if p == nil {
		return nil
	}
	return &manifest{Name: name, URL: "https://github.com/keyward/keyward", Hook: map[string]any{"url": hook, "active": true}, RedirectURL: redirect,
		Description: "Finds keys that were pushed, and gets them rotated.", Permissions: p, Events: webhook.Events()}
}
