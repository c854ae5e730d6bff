package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// rotationMAC is the MAC in the marker of a rotation issue.
var rotationMAC = regexp.MustCompile(`key=([0-9a-f]{64}) mac=([0-9a-f]{24})`)

// TestPepper replaces the pepper while issues are open: credentials keep their identity and
// their issues, which get markers under the new pepper; the ledger, old receipts and commands
// stay valid; a state under the former pepper counts no more.
func TestPepper(t *testing.T) {
	t.Parallel()
	databases(t, func(t *testing.T, database string) {
		const next = "fake-second-pepper-of-the-tests"
		w := newWorld(t, database)
		w.live()
		a := w.start()
		w.planted = append(w.planted, next)
		w.gh.SetPermission("acme", "rotation", "dana", "write")
		dead, open := w.key("tailscale-scim-key"), w.key("gitlab-pat")
		c := w.clone("widgets")
		w.pushed(c, "widgets", "SCIM", "a.env", "TAILSCALE_SCIM="+dead+"\n")
		closed := w.issues("rotation", 1)[0].Number
		w.rotating(closed, "kw/state:revoked")
		w.pushed(c, "widgets", "Without", "a.env", "")
		w.clock.pass(2 * time.Hour)
		receipt := w.receiptOf(w.rotating(closed, "is closed completed", "<summary>Receipt</summary>").Number)
		w.provider.Issue(open)
		w.pushed(c, "widgets", "Two", "b.env", "T="+open+"\n")
		n := w.issues("rotation", 2)[1].Number
		before := rotationMAC.FindStringSubmatch(w.rotating(n, "kw/state:open").Body)
		w.idle()
		if _, errs, code := run(t, w.environment(a), "pepper", "rotate"); code != 2 || !strings.Contains(errs, "KEYWARD_OLD_PEPPERS is not set") {
			t.Errorf("without a former pepper: exit %d, %s", code, errs)
		}
		if code := a.stop(); code != 0 {
			t.Errorf("the App ended with %d", code)
		}
		state := w.stateOf(before[1])

		w.env["KEYWARD_PEPPER"], w.env["KEYWARD_OLD_PEPPERS"] = next, pepper+"\n"
		a = w.start()
		for _, want := range []string{"2 states sealed with the new pepper", "already on this pepper"} {
			out, errs, code := run(t, w.environment(a), "pepper", "rotate")
			if code != 0 || !strings.Contains(out, want) || !strings.Contains(out, "Keep the former ones in KEYWARD_OLD_PEPPERS") {
				t.Fatalf("exit %d, want %q\n%s%s", code, want, out, errs)
			}
		}
		// Anything wakes the telling.
		w.pushed(c, "widgets", "Again", "c.env", "T="+open+"\n")
		w.eventually(20*time.Second, "the marker has a new MAC", func() string {
			after := rotationMAC.FindStringSubmatch(w.rotating(n, "is open").Body)
			if after[1] != before[1] || after[2] == before[2] {
				return after[0]
			}
			return ""
		})
		w.rotating(n, "The key was found in another place", "c.env")
		w.gh.Comment("acme", "rotation", n, "/ack", "dana")
		w.rotating(n, "kw/state:acknowledged")
		w.issues("rotation", 2)

		// A new credential is known under the new pepper only.
		w.pushed(c, "widgets", "Three", "d.env", "N="+w.key("npm-access-token")+"\n")
		w.issues("rotation", 3)
		w.idle()
		if out, errs, code := run(t, w.environment(a), "ledger", "verify"); code != 0 {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
		file := filepath.Join(t.TempDir(), "receipt.json")
		if err := os.WriteFile(file, []byte(receipt), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, errs, code := run(t, w.environment(a), "receipt", "verify", file); code != 0 || !strings.Contains(out, "signature: good") {
			t.Errorf("the receipt from before: exit %d\n%s%s", code, out, errs)
		}

		// Who has the former pepper can write neither states nor records with it.
		w.putState(before[1], state)
		out, _, code := run(t, w.environment(a), "ledger", "verify")
		if code != 2 || !strings.Contains(out, "is the last of key "+before[1][:12]) {
			t.Errorf("a state under the former pepper: exit %d\n%s", code, out)
		}
		w.gh.Comment("acme", "rotation", n, "/rotating", "dana")
		w.idle()
		w.rotating(n, "kw/state:acknowledged")

		// A process with the former pepper alone changes nothing.
		if code := a.stop(); code != 0 {
			t.Errorf("the App ended with %d", code)
		}
		w.env["KEYWARD_PEPPER"] = pepper
		delete(w.env, "KEYWARD_OLD_PEPPERS")
		out, _, code = run(t, w.environment(a), "ledger", "verify")
		if code != 2 || !strings.Contains(out, "written under a pepper that is not known here") {
			t.Errorf("with the former pepper alone: exit %d\n%s", code, out)
		}
	})
}

// receiptOf is the receipt in the last comment of an issue.
func (w *world) receiptOf(number int) string {
	w.t.Helper()
	i := w.rotating(number)
	_, text, ok := strings.Cut(i.Comments[len(i.Comments)-1].Body, "```json\n")
	text, _, end := strings.Cut(text, "\n```")
	if !ok || !end {
		w.t.Fatalf("issue %d has no receipt", number)
	}
	return text
}

// A sealedState is the row of a state.
type sealedState struct {
	State, Life, KeyID, Mac string
	Due, Seq                int64
}

// stateOf reads the state of a credential from the database.
func (w *world) stateOf(fingerprint string) (s sealedState) {
	w.t.Helper()
	db := w.openDatabase()
	defer db.Close()
	row := db.DB.QueryRow("SELECT state, life, key_id, mac, due, seq FROM life WHERE fingerprint = '" + fingerprint + "'")
	if err := row.Scan(&s.State, &s.Life, &s.KeyID, &s.Mac, &s.Due, &s.Seq); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// putState writes a state into the database.
func (w *world) putState(fingerprint string, s sealedState) {
	w.t.Helper()
	w.exec(fmt.Sprintf("UPDATE life SET state = '%s', life = '%s', key_id = '%s', mac = '%s', due = %d, seq = %d WHERE fingerprint = '%s'",
		s.State, strings.ReplaceAll(s.Life, "'", "''"), s.KeyID, s.Mac, s.Due, s.Seq, fingerprint))
}
