package server_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/rules"
)

// TestRegister asks for the keys, as a table, one of them, as CSV and as JSON, and for
// the ledger, before and after somebody has changed it.
func TestRegister(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	env := map[string]string{"KEYWARD_DATA": dir, "KEYWARD_PEPPER": "a pepper of the tests, long enough"}
	database := filepath.Join(dir, "register.db")
	env["KEYWARD_DATABASE_URL"] = database
	if _, errs, code := run(t, env, "keys", "list"); code != 2 || !strings.Contains(errs, "register.db: no such file") {
		t.Fatalf("no register: exit %d\n%s", code, errs)
	}
	if _, errs, code := run(t, env, "migrate"); code != 0 {
		t.Fatal(errs)
	}
	if out, errs, code := run(t, env, "ledger", "verify"); code != 0 || !strings.Contains(out, "no records") {
		t.Errorf("an empty ledger: exit %d\n%s%s", code, out, errs)
	}
	if _, errs, code := run(t, env, "keys", "list", "--state", "gone"); code != 2 || !strings.Contains(errs, "accepted-risk") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	for _, args := range [][]string{{"sevre"}, {"keys", "lst"}} {
		if _, errs, code := run(t, env, args...); code != 2 || !strings.Contains(errs, "unknown command") {
			t.Errorf("%q: exit %d\n%s", args, code, errs)
		}
	}
	wrong := map[string]string{"KEYWARD_DATA": dir, "KEYWARD_DATABASE_URL": "postgresq://u:a-password@db/keyward"}
	if _, errs, code := run(t, wrong, "migrate"); code != 2 || !strings.Contains(errs, `unknown scheme "postgresq"`) || strings.Contains(errs, "a-password") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if out, errs, code := run(t, env, "keys", "list"); code != 0 || out != "no keys\n" {
		t.Fatalf("an empty register: exit %d\n%s%s", code, out, errs)
	}

	s, err := store.Open(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	byID, err := rules.ByID()
	if err != nil {
		t.Fatal(err)
	}
	keeper := &rotation.Keeper{Store: s, Peppers: rotation.Peppers{[]byte(env["KEYWARD_PEPPER"])}, Rules: byID, Log: slog.New(slog.DiscardHandler)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.PutInstallation(ctx, &store.Installation{ID: 1, Account: "acme", AccountID: 7}))
	must(s.PutRepository(ctx, &store.Repository{ID: 2, Installation: 1, Owner: "acme", Name: "widgets"}))
	first, second := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	_, err = s.Record(ctx, 2, []store.Credential{
		{Fingerprint: first, Rule: "gitlab-pat", Severity: "critical", Redacted: "glpat-…(26)", Confidence: 1, State: store.StateOpen, Places: []store.Place{{Path: "=cmd|' /C calc'!A0", Line: 3, Commit: "c1"}}},
		{Fingerprint: second, Rule: "of-a-policy", Severity: "low", Redacted: "…(10)", Confidence: 1, State: store.StateHeld, Places: []store.Place{{Path: "b.env", Line: 1}}},
	})
	must(err)
	cred, err := s.Credential(ctx, 1, first)
	must(err)
	for range 2 { // the second changes nothing
		_, err = keeper.Begin(ctx, cred)
		must(err)
	}
	must(s.AddFacts(ctx, cred, []scanner.Fact{{Name: "scopes", Value: "api"}, {Name: "expires", Value: "2027-03-04"}}))
	must(s.SetState(ctx, 1, second, store.StateDismissed, "=1+1"))
	must(s.Close())

	out, errs, code := run(t, env, "keys", "list")
	if code != 0 || !strings.Contains(out, "KW-UGQ2DI  critical  open") || !strings.Contains(out, "false-positive") || strings.Index(out, "critical") > strings.Index(out, "low") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for line := range strings.Lines(out) {
		if len(line) > 81 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
	if out, _, _ := run(t, env, "keys", "list", "--state", "open"); !strings.Contains(out, "\n1 key;") {
		t.Errorf("--state open:\n%s", out)
	}
	for _, name := range []string{"kw-ugq2di", first[:8], first} {
		out, _, code := run(t, env, "keys", "show", name)
		if code != 0 || !strings.Contains(out, "GitLab") || !strings.Contains(out, "acme/widgets =cmd") || strings.Count(out, "Ledger ") != 1 || !strings.Contains(out, "found by keyward: open; glpat-") ||
			!strings.Contains(out, "Fact         scopes: api\n") || !strings.Contains(out, "Expires      2027-03-04 00:00\n") {
			t.Errorf("show %s: exit %d\n%s", name, code, out)
		}
	}
	if _, errs, code := run(t, env, "keys", "show", "a1a1"); code != 2 || !strings.Contains(errs, "at least 6 digits") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	out, _, _ = run(t, env, "keys", "export", "--format", "json")
	var all []map[string]any
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 || all[0]["tier"] != "T0" || all[0]["due"] == nil || all[0]["validity"] != "unknown" {
		t.Errorf("JSON: %v\n%s", err, out)
	}
	out, _, _ = run(t, env, "keys", "export")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][1] != first || rows[2][19] != "'=1+1" || strings.Contains(out, ",=") {
		t.Errorf("CSV: %v\n%s", err, out)
	}
	if _, errs, code := run(t, env, "keys", "export", "-f", "xml"); code != 2 || !strings.Contains(errs, "use csv or json") {
		t.Errorf("exit %d\n%s", code, errs)
	}

	if out, errs, code := run(t, env, "ledger", "verify"); code != 0 || out != "1 records, each as it was written\n" {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	out, errs, code = run(t, env, "ledger", "verify", "--heads")
	head, _, _ := strings.Cut(out, "\n")
	if code != 0 || !strings.HasPrefix(head, "1:1:") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if out, errs, code := run(t, env, "ledger", "verify", "--expect", head); code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if out, errs, code := run(t, env, "ledger", "verify", "--expect", "1:2:"+head[4:]); code != 2 || !strings.Contains(out, "record 2: it was there") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if _, errs, code := run(t, env, "ledger", "verify", "--expect", "1:x"); code != 2 || !strings.Contains(errs, "--heads prints it") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	env["KEYWARD_PEPPER"] = "another pepper of the tests, as long"
	if out, errs, code := run(t, env, "ledger", "verify"); code != 2 || !strings.Contains(out, "record 1") || !strings.Contains(errs, "pepper") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if _, err := os.Stat(database); err != nil {
		t.Error(err)
	}
}
