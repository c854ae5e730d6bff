package policy_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
)

var day = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// keyAt is a key of a rule that stands at paths.
func keyAt(rule, print string, paths ...string) *scanner.Key {
	k := &scanner.Key{Rule: &scanner.Rule{ID: rule}, Fingerprint: print}
	for _, p := range paths {
		k.Places = append(k.Places, scanner.Place{Path: p, Line: 1})
	}
	return k
}

// FuzzPolicy: a policy is hostile input. One that is accepted never makes a key
// known that stands where its paths do not reach.
func FuzzPolicy(f *testing.F) {
	f.Add("[[allow]]\npaths = [\"a/**\"]\nreason = \"fixtures\"\nexpires = 2027-01-31\n")
	f.Add("[[disable]]\nrule = \"x\"\nreason = \"never\"\n")
	f.Add("[[allow]]\nfingerprints = [\"0123456789ab\"]\nreason = \"known\"\n")
	f.Add("rules = [\"../x\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policy.Parse("fuzz.toml", []byte(text))
		if err != nil {
			return
		}
		for _, e := range p.Allow {
			if len(e.Reason) < 3 || len(e.Rules)+len(e.Paths)+len(e.Fingerprints) == 0 {
				t.Errorf("%q: accepted an exception without reason or bound", text)
			}
		}
		p.Known(keyAt("generic-key", "ffff", "src/main.go"), day)
		p.Lapsed(day)
	})
}

func FuzzBaseline(f *testing.F) {
	f.Add("pepper = \"abc\"\n[[key]]\nfingerprint = \"" + fp + "\"\nrule = \"x\"\nreason = \"old\"\nadded = \"2026-01-01\"\n")
	f.Add("[[key]]\nfingerprint = \"short\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := policy.ParseBaseline("fuzz.toml", []byte(text))
		if err != nil {
			return
		}
		b.Known(keyAt("x", fp, "a"), day)
		data, err := b.Marshal()
		if err != nil {
			t.Fatalf("an accepted baseline can not be written: %v", err)
		}
		again, err := policy.ParseBaseline("again.toml", data)
		if err != nil || len(again.Keys) != len(b.Keys) {
			t.Errorf("%q: written and read again: %v", text, err)
		}
	})
}

const fp = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
