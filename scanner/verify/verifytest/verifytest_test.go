package verifytest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/scanner/rules"
	"github.com/keyward/keyward/scanner/verify"
	"github.com/keyward/keyward/scanner/verify/verifytest"
)

// TestProvider has every check believe the stand-in: a key that was issued is alive, one
// that was revoked is dead.
func TestProvider(t *testing.T) {
	t.Parallel()
	p, err := verifytest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	checks, err := verify.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	list, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	v := &verify.Verifier{Checks: checks, Transport: p.Transport(), Pause: time.Microsecond, Cloud: true}
	n := 0
	for i := range list {
		r := &list[i]
		if checks[r.ID] == nil {
			continue
		}
		n++
		word := ""
		if len(r.Keywords) > 0 {
			word = r.Keywords[0]
		}
		key := word + "FAKEkeyward0not0real" + r.ID
		for _, want := range []verify.Verdict{verify.Inactive, verify.Active, verify.Inactive} {
			if got := v.Verify(context.Background(), r, []byte(key)); got.Verdict != want {
				t.Errorf("%s: %s (%s), want %s", r.ID, got.Verdict, got.Why, want)
			}
			if want == verify.Inactive {
				p.Issue(key)
			} else {
				p.Revoke(key)
			}
		}
	}
	if n < 40 || len(p.Asked()) != 4*n {
		t.Errorf("%d checks, %d requests", n, len(p.Asked()))
	}
}

// TestRevocations ends a key of every kind that can be ended by itself, once.
func TestRevocations(t *testing.T) {
	t.Parallel()
	p, err := verifytest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ends, err := verify.Revocations()
	if err != nil {
		t.Fatal(err)
	}
	list, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for i := range list {
		known[list[i].ID] = true
	}
	v := &verify.Verifier{Transport: p.Transport(), Pause: time.Microsecond}
	for id, r := range ends {
		if !known[id] {
			t.Errorf("there is no rule %s", id)
		}
		key := []byte("FAKEkeyward0not0real" + id)
		if len(r.Prefixes) > 0 {
			key = append([]byte(r.Prefixes[0]), key...)
		}
		p.Issue(string(key))
		if why, err := v.Revoke(context.Background(), r, key); err != nil || strings.Contains(why, string(key)) {
			t.Errorf("%s: %q %v", id, why, err)
		}
		if why, err := v.Revoke(context.Background(), r, key); err == nil || strings.Contains(err.Error(), string(key)) {
			t.Errorf("%s, which is dead: %q %v", id, why, err)
		}
	}
	before := len(p.Asked())
	for _, key := range []string{"", "canary0FAKEkeyward", "two words"} {
		if _, err := v.Revoke(context.Background(), ends["gitlab-pat"], []byte(key)); err == nil || len(p.Asked()) != before {
			t.Errorf("%q was sent: %v", key, err)
		}
	}
	p.Answer(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
	})
	if _, err := v.Revoke(context.Background(), ends["gitlab-pat"], []byte("FAKEkeyward")); err == nil || len(p.Asked()) != before+1 {
		t.Errorf("a redirect was followed: %v, %q", err, p.Asked())
	}
}
