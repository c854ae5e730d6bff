package githubtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ManifestCode returns a code that can once be exchanged for the App's credentials.
func (s *Server) ManifestCode() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := "fake-manifest-code-" + newGUID()
	s.state.codes[code] = true
	return code
}

func convertManifest(c *call) (int, any) {
	if !c.state.codes[c.params["code"]] {
		return c.notFound()
	}
	c.state.codes[c.params["code"]] = false
	c.out.mu.Lock()
	if c.out.secret == "" {
		c.out.secret = "fake-webhook-secret-" + newGUID()
	}
	secret := c.out.secret
	c.out.mu.Unlock()
	app := c.appJSON()
	app["client_id"], app["client_secret"] = "Iv1.fake0000client0id", "fake-client-secret"
	app["webhook_secret"], app["pem"] = secret, string(c.AppKeyPEM())
	return http.StatusCreated, app
}

func getApp(c *call) (int, any) { return http.StatusOK, c.appJSON() }

func listInstallations(c *call) (int, any) {
	list := []object{}
	for _, id := range slices.Sorted(maps.Keys(c.state.installs)) {
		list = append(list, c.installationJSON(c.state.installs[id]))
	}
	return http.StatusOK, page(c, list)
}

func getInstallation(c *call) (int, any) {
	i := c.state.installs[c.id("installation_id")]
	if i == nil {
		return c.notFound()
	}
	return http.StatusOK, c.installationJSON(i)
}

// createToken makes an installation token, narrowed as the body says.
func createToken(c *call) (int, any) {
	i := c.state.installs[c.id("installation_id")]
	if i == nil {
		return c.notFound()
	}
	if i.suspended != nil {
		return problem(http.StatusForbidden, "This installation has been suspended")
	}
	var in struct {
		Repositories  []string          `json:"repositories"`
		RepositoryIDs []int64           `json:"repository_ids"`
		Permissions   map[string]string `json:"permissions"`
	}
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	for name, level := range in.Permissions {
		if rank(level) < 1 || rank(level) > rank(c.state.grants[name]) {
			return problem(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
		}
	}
	for _, name := range in.Repositories {
		r := c.state.repo(i.owner.login, name)
		if r == nil {
			r = &repo{}
		}
		in.RepositoryIDs = append(in.RepositoryIDs, r.id)
	}
	var chosen map[int64]bool
	for _, id := range in.RepositoryIDs {
		if r := c.state.byID[id]; r == nil || !i.covers(r) {
			return problem(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
		}
		if chosen == nil {
			chosen = map[int64]bool{}
		}
		chosen[id] = true
	}
	return http.StatusCreated, c.tokenJSON(c.newToken(i, in.Permissions, chosen))
}

func (c *call) tokenJSON(t *token) object {
	perms := t.perms
	if perms == nil {
		perms = maps.Clone(c.state.grants)
	}
	o := object{"token": t.text, "expires_at": stamp(t.expires), "permissions": perms, "repository_selection": "all"}
	if t.repos != nil || t.install.chosen != nil {
		o["repository_selection"] = "selected"
	}
	if t.repos != nil {
		list := []object{}
		for _, id := range slices.Sorted(maps.Keys(t.repos)) {
			list = append(list, c.repoJSON(c.state.byID[id]))
		}
		o["repositories"] = list
	}
	return o
}

func listInstallationRepos(c *call) (int, any) {
	list := []object{}
	for _, id := range slices.Sorted(maps.Keys(c.state.byID)) {
		if r := c.state.byID[id]; c.tok.reaches(r) {
			list = append(list, c.repoJSON(r))
		}
	}
	selection := "all"
	if c.tok.install.chosen != nil {
		selection = "selected"
	}
	return http.StatusOK, object{"total_count": len(list), "repository_selection": selection, "repositories": page(c, list)}
}

// hookConfig shows where deliveries go, and changes it if asked to.
func hookConfig(c *call) (int, any) {
	var in struct {
		URL, Secret *string
	}
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if in.URL != nil {
		c.out.url = *in.URL
	}
	if in.Secret != nil {
		c.out.secret = *in.Secret
	}
	o := object{"content_type": "json", "insecure_ssl": "0", "url": c.out.url}
	if c.out.secret != "" {
		o["secret"] = "********"
	}
	return http.StatusOK, o
}

func deliveryJSON(d Delivery) object {
	o := object{"id": d.ID, "guid": d.GUID, "delivered_at": d.DeliveredAt.Format(time.RFC3339Nano), "redelivery": d.Redelivery,
		"duration": d.Duration.Seconds(), "status": d.Status, "status_code": d.StatusCode, "event": d.Event, "action": nil,
		"installation_id": nil, "repository_id": nil, "throttled_at": nil}
	if d.Action != "" {
		o["action"] = d.Action
	}
	if d.InstallationID != 0 {
		o["installation_id"] = d.InstallationID
	}
	if d.RepositoryID != 0 {
		o["repository_id"] = d.RepositoryID
	}
	return o
}

// listDeliveries shows attempts, newest first. A cursor names the last one seen.
func listDeliveries(c *call) (int, any) {
	all := c.Deliveries()
	before := int64(1) << 62
	if cursor := c.query("cursor"); cursor != "" {
		n, err := strconv.ParseInt(strings.TrimPrefix(cursor, "v1_"), 10, 64)
		if err != nil {
			return problem(http.StatusBadRequest, "Invalid cursor")
		}
		before = n
	}
	list, size := []object{}, c.perPage(30)
	for _, d := range slices.Backward(all) {
		if d.ID >= before || c.query("redelivery") != "" && c.query("redelivery") != strconv.FormatBool(d.Redelivery) ||
			c.query("status") == "failure" && d.StatusCode/100 == 2 || c.query("status") == "success" && d.StatusCode/100 != 2 {
			continue
		}
		if len(list) == size {
			c.header.Set("Link", c.link("next", "cursor", "v1_"+strconv.FormatInt(list[size-1]["id"].(int64), 10)))
			break
		}
		list = append(list, deliveryJSON(d))
	}
	return http.StatusOK, list
}

func (c *call) delivery() *Delivery {
	for _, d := range c.Deliveries() {
		if d.ID == c.id("delivery_id") {
			return &d
		}
	}
	return nil
}

func getDelivery(c *call) (int, any) {
	d := c.delivery()
	if d == nil {
		return c.notFound()
	}
	flat := func(h http.Header) object {
		o := object{}
		for k := range h {
			o[k] = h.Get(k)
		}
		return o
	}
	o := deliveryJSON(*d)
	o["url"] = d.url
	o["request"] = object{"headers": flat(d.request), "payload": asJSON(d.Payload)}
	o["response"] = object{"headers": flat(d.response), "payload": d.answer}
	return http.StatusOK, o
}

func redeliver(c *call) (int, any) {
	d := c.delivery()
	if d == nil {
		return c.notFound()
	}
	c.again(*d)
	return http.StatusAccepted, object{}
}
