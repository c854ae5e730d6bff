package verifytest_test

import (
	"context"
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
