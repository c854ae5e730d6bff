package rules

import (
	"reflect"
	"testing"
)

// A rule that is loaded late is the rule that is loaded at once, and what is known
// of it before is the same as after.
func TestLazy(t *testing.T) {
	want, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Lazy()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("Lazy gives %d rules, Builtin %d", len(got), len(want))
	}
	for i, r := range got {
		whole := r
		if r.Load != nil {
			if whole, err = r.Load(); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(whole, want[i]) {
			t.Errorf("rule %d loads as %s, want %s", i, whole.ID, want[i].ID)
		}
		if r.ID != want[i].ID || !reflect.DeepEqual(r.Keywords, want[i].Keywords) || !reflect.DeepEqual(r.Paths, want[i].Paths) {
			t.Errorf("stub of %s differs from the rule: %v %v", want[i].ID, r.Keywords, r.Paths)
		}
	}
}

func BenchmarkBuiltin(b *testing.B) {
	for name, load := range map[string]func() error{
		"whole": func() error { _, err := Builtin(); return err },
		"lazy":  func() error { _, err := Lazy(); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := load(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
