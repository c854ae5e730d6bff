package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestForgedRows changes what the database says of a credential beside its state: its rule,
// its places, the number of its issue. None of it makes the App call the credential dead,
// send it to another provider, or write into another issue.
func TestForgedRows(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		w := newWorld(t, database)
		w.live()
		w.repo("gadgets", githubtest.Repo{})
		w.start()
		w.gh.SetPermission("acme", "rotation", "dana", "write")
		key, other := w.key("tailscale-scim-key"), w.key("gitlab-pat")
		w.provider.Issue(key)
		w.provider.Issue(other)
		c, g := w.clone("widgets"), w.clone("gadgets")
		w.pushed(c, "widgets", "SCIM", "a.env", "TAILSCALE_SCIM="+key+"\n")
		n := w.issues("rotation", 1)[0].Number
		w.pushed(g, "gadgets", "SCIM", "b.env", "TAILSCALE_SCIM="+key+"\n")
		w.rotating(n, "| **Alive** | active (POST https\\:", "gadgets", "found in the files of 1 more repository")
		w.pushed(c, "widgets", "PAT", "c.env", "T="+other+"\n")
		m := w.issues("rotation", 2)[1].Number
		w.rotating(m, "| **Alive** | active")
		fingerprint := rotationMAC.FindStringSubmatch(w.rotating(n).Body)[1]
		second := rotationMAC.FindStringSubmatch(w.rotating(m).Body)[1]
		gadgets := w.repositoryID("gadgets")
		w.idle()

		// Another rule: it would be sent to another provider, which does not know it.
		w.exec(fmt.Sprintf("UPDATE credential SET rule = 'npm-access-token' WHERE fingerprint = '%s'", fingerprint))
		asked := len(w.provider.Asked())
		w.clock.pass(7 * time.Hour)
		w.idle()
		w.idle()
		for _, r := range w.provider.Asked()[asked:] {
			if strings.Contains(r, "npm") {
				t.Errorf("the credential was sent: %s", r)
			}
		}
		w.rotating(n, "is open", "kw/state:open")
		w.exec(fmt.Sprintf("UPDATE credential SET rule = 'tailscale-scim-key' WHERE fingerprint = '%s'", fingerprint))

		// The numbers of two issues changed for each other.
		number := func(fingerprint string, n int) {
			w.exec(fmt.Sprintf("UPDATE rotation SET number = %d WHERE fingerprint = '%s'", n, fingerprint))
		}
		number(fingerprint, m)
		number(second, n)
		before := w.rotating(n).Body
		w.gh.Comment("acme", "rotation", n, "/ack", "dana")
		w.clock.pass(2 * time.Hour)
		w.idle()
		if body := w.rotating(n, "is open", "kw/state:open").Body; body != before {
			t.Errorf("the issue of another credential was written:\n%s", body)
		}
		number(fingerprint, n)
		number(second, m)

		// The key is revoked, and taken out of one repository of two. The other is gone from
		// the database, or its place is another.
		w.provider.Revoke(key)
		w.pushed(c, "widgets", "Without", "a.env", "")
		w.exec(fmt.Sprintf("UPDATE place SET path = 'README.md', blob = '', commit_id = '' WHERE repository = %d", gadgets))
		for range 3 {
			w.clock.pass(8 * time.Hour)
			w.idle()
		}
		w.rotating(n, "is open", "kw/state:revoked")
		w.exec(fmt.Sprintf("DELETE FROM place WHERE repository = %d", gadgets))
		for range 3 {
			w.clock.pass(8 * time.Hour)
			w.idle()
		}
		w.rotating(n, "is open", "kw/state:revoked")
	})
}

// repositoryID is the id of a repository of acme, by the database.
func (w *world) repositoryID(name string) (id int64) {
	w.t.Helper()
	s := w.openDatabase()
	defer s.Close()
	if err := s.DB.QueryRow("SELECT id FROM repository WHERE name = '" + name + "'").Scan(&id); err != nil {
		w.t.Fatal(err)
	}
	return id
}
