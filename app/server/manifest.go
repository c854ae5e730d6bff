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

// kinds are the three Apps that setup can create, each with the permissions of the one
// before. None asks for a permission that no code uses: TestPermissions names the call or
// the event that needs each.
// https://docs.github.com/rest/authentication/permissions-required-for-github-apps
var kinds = []struct {
	Name, Title, What string
	add               map[string]string
}{
	{"scan", "Scan", "Scans every push, pull request, review, discussion and release and opens rotation issues. Reads code, pull requests, discussions, merge queues and members; writes checks and issues.", map[string]string{
		"metadata": "read", "contents": "read", "checks": "write", "pull_requests": "read", "issues": "write", "merge_queues": "read", "members": "read", "discussions": "read",
	}},
	{"inventory", "Scan and look up deploy keys", "Also looks up whether a leaked SSH key is a deploy key of a repository. Reads the administration settings of repositories; changes none.", map[string]string{
		"administration": "read",
	}},
	{"enforce", "Scan and revoke", "Also carries out /revoke by two people: deletes deploy keys, and revokes the access of fine-grained tokens to the organisation. Resolves and reopens GitHub's secret scanning alerts together with the rotation issue.", map[string]string{
		"administration": "write", "secret_scanning_alerts": "write", "organization_personal_access_tokens": "write",
	}},
}

// permissions returns those of a kind, nil if there is no kind of that name.
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
		Description: "Finds leaked credentials and tracks their rotation.", Permissions: p, Events: webhook.Events()}
}
