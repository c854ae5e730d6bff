package store_test

import (
	"testing"

	"github.com/keyward/keyward/app/store"
)

func TestUnmention(t *testing.T) {
	for text, want := range map[string]string{
		"@dana":                              "@(erased)",
		"by @Dana (comment 7), then @DANA":   "by @(erased) (comment 7), then @(erased)",
		"not a key, says dana":               "not a key, says (erased)",
		"> `dana` says that this is no key.": "> `(erased)` says that this is no key.",
		"@dana @dana":                        "@(erased) @(erased)",
		"@dana-two and @dana_corp":           "@dana-two and @dana_corp",
		"dana is a word here":                "dana is a word here",
		"mail@danatown.example":              "mail@danatown.example",
	} {
		if got := store.Unmention(text, "dana"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestEraseJSON(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		`{"State":"open","Big":12345678901234567890,"W":{"By":"Open","Reason":"open <now>, says open"}}`: `{"Big":12345678901234567890,"State":"open","W":{"By":"(erased)","Reason":"open <now>, says (erased)"}}`,
		`{"State" : "open", "By": "sam", "Fact": "<open>"}`:                                              `{"State" : "open", "By": "sam", "Fact": "<open>"}`, // as it was
		`{"Approvers":["sam","OPEN"],"By":null}`:                                                         `{"Approvers":["sam","(erased)"],"By":null}`,
	} {
		got, err := store.EraseJSON(text, "open", []string{"By", "Approvers"})
		if err != nil || got != want {
			t.Errorf("%s: got %s (%v), want %s", text, got, err, want)
		}
	}
	if _, err := store.EraseJSON("{", "open", nil); err == nil {
		t.Error("invalid JSON is no error")
	}
}
