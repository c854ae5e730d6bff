package jobs

import (
	"testing"

	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/scanner/verify"
)

// TestCompare: a refusal counts only with the values beside the credential that it was
// active with, also after the pepper was replaced.
func TestCompare(t *testing.T) {
	former := rotation.Peppers{[]byte("a fake former pepper")}
	now := append(former, []byte("a fake present pepper"))
	with := func(values string) string { return former.Macs("companions", 7, values)[0] }
	for _, tt := range []struct {
		name       string
		activeWith string
		got        verify.Result
		want       verify.Verdict
	}{
		{"refused with the same values", with("a"), verify.Result{Verdict: verify.Inactive, With: "a"}, verify.Inactive},
		{"refused with other values", with("a"), verify.Result{Verdict: verify.Inactive, With: "b"}, verify.Unknown},
		{"refused, never active", "", verify.Result{Verdict: verify.Inactive, With: "a"}, verify.Inactive},
		{"not known at a host where it was active", with("a"), verify.Result{Verdict: verify.Unknown, Elsewhere: true, With: "a"}, verify.Inactive},
		{"not known at another host", with("a"), verify.Result{Verdict: verify.Unknown, Elsewhere: true, With: "b"}, verify.Unknown},
		{"not known at a host, never active", "", verify.Result{Verdict: verify.Unknown, Elsewhere: true, With: "a"}, verify.Unknown},
		{"not asked", with("a"), verify.Result{Verdict: verify.Unknown}, verify.Unknown},
		{"active with other values", with("a"), verify.Result{Verdict: verify.Active, With: "b"}, verify.Active},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Runner{Config: Config{Keeper: &rotation.Keeper{Peppers: now}}}
			got := r.compare(7, &life.Life{ActiveWith: tt.activeWith, Validity: life.Active}, &tt.got)
			if tt.got.Verdict != tt.want {
				t.Errorf("got %s (%s), want %s", tt.got.Verdict, tt.got.Why, tt.want)
			}
			if tt.got.With != "" && got != now.Macs("companions", 7, tt.got.With)[0] {
				t.Errorf("stored %q: not under the present pepper", got)
			}
		})
	}
}
