package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"unknown key":        {"x = 1\n", `line 1: unknown key "x"`},
		"unknown in allow":   {"[[allow]]\nreason = \"because\"\npath = [\"a\"]\n", `line 3: unknown key "allow.path"`},
		"broken":             {"[[allow\n", "line 1"},
		"no reason":          {"[[allow]]\npaths = [\"a\"]\n", "line 1: [[allow]]: needs a reason"},
		"nothing said":       {"\n[[allow]]\nreason = \"because\"\n", "line 2: [[allow]]: needs rules, paths or fingerprints"},
		"everything":         {"[[allow]]\nreason = \"because\"\npaths = [\"**\"]\n", "an exception for everything is refused"},
		"everything by two":  {"[[allow]]\nreason = \"because\"\npaths = [\"*\", \"**/*\"]\n", "an exception for everything is refused"},
		"everything braced":  {"[[allow]]\nreason = \"because\"\npaths = [\"{**/*,*}\"]\n", "an exception for everything is refused"},
		"everything classed": {"[[allow]]\nreason = \"because\"\npaths = [\"[!_]*/**\"]\n", "names no part of a path"},
		"many alternatives":  {"[[allow]]\nreason = \"because\"\npaths = [\"{a,b,c,d,e}{a,b,c,d}{a,b,c,d}q\"]\n", "can be read in 80 ways"},
		"bad glob":           {"[[allow]]\nreason = \"because\"\npaths = [\"a[\"]\n", "is malformed"},
		"bad date":           {"[[allow]]\nreason = \"because\"\npaths = [\"a\"]\nexpires = \"soon\"\n", "is no date"},
		"short fingerprint":  {"[[allow]]\nreason = \"because\"\nfingerprints = [\"abc\"]\n", "at least 12"},
		"rules outside":      {"rules = [\"../x.toml\"]\n", "outside the repository"},
		"rules absolute":     {"rules = [\"/x.toml\"]\n", "outside the repository"},
		"app":                {"[app]\nfail-on = \"bad\"\ntracker = \"x\"\ndefault-assignee = \"a b\"\nrisk-approvers = [\"@dana\", \"a b\"]\nteam = \"a b\"\nsecurity-contact = \"@acme/security\"\norganisation-owners = \"<img>\"\ndue = {critical = \"1s\", soon = \"1h\"}\n", `[app]: default-assignee = "a b" is no login; due.critical = "1s": want a time of an hour or more, such as 72h; due.soon: want one of critical, high, medium, low; fail-on = "bad" is not one of critical, high, medium, low, none; organisation-owners = "<img>" is neither a login nor owner/team; risk-approvers: "a b" is no login, or there are more than 50; team = "a b" is neither a login nor owner/team; tracker = "x" is not of the form owner/name`},
		"observe":            {"[app]\nobserve = true\nobserve-until = \"soon\"\n", `observe-until = "soon" is no date: write 2027-01-31`},
		"observe no day":     {"[app]\nobserve = true\nobserve-until = true\n", `observe-until = "true" is no date`},
		"observe a time":     {"[app]\nobserve = true\nobserve-until = 2027-01-31T12:00:00Z\n", "is no date"},
		"observe not":        {"[app]\nobserve-until = 2027-01-31\n", "observe-until needs observe = true"},
		"observe yes":        {"[app]\nobserve = \"yes\"\n", "Observe of type bool"},
		"disable":            {"[[disable]]\nrule = \"x\"\n", "needs rule and reason"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := policy.Parse("p.toml", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	at := func(day string) time.Time {
		d, err := time.Parse(time.DateTime, day)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for text, want := range map[string][2]bool{ // at the end of January 31, and a second later
		"":                {false, false},
		"observe = true":  {true, true},
		"observe = false": {false, false},
		"observe = true\nobserve-until = 2027-01-31":     {true, false},
		"observe = true\nobserve-until = \"2027-01-31\"": {true, false},
		"observe = true\nobserve-until = 2027-01-30":     {false, false},
	} {
		p, err := policy.Parse("p.toml", []byte("[app]\n"+text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		o := p.App.Observe
		if got := [2]bool{o.At(at("2027-01-31 23:59:59")), o.At(at("2027-02-01 00:00:00"))}; got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	p, err := policy.Parse("p.toml", []byte(`
[[allow]]
paths = ["test/**", "*.golden"]
rules = ["generic-password"]
reason = "fixtures"
expires = 2026-06-01

[[allow]]
fingerprints = ["0123456789ab"]
reason = "revoked in SEC-12"
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key  *scanner.Key
		now  time.Time
		want string
	}{
		"path and rule":         {keyAt("generic-password", "ff", "test/a/b.go"), day, "p.toml:2"},
		"bare name anywhere":    {keyAt("generic-password", "ff", "x/y/z.golden"), day, "p.toml:2"},
		"another rule":          {keyAt("generic-key", "ff", "test/a.go"), day, ""},
		"another path":          {keyAt("generic-password", "ff", "src/a.go"), day, ""},
		"one place uncovered":   {keyAt("generic-password", "ff", "test/a.go", "src/a.go"), day, ""},
		"every place covered":   {keyAt("generic-password", "ff", "test/a.go", "b.golden"), day, "p.toml:2"},
		"on the last day":       {keyAt("generic-password", "ff", "test/a.go"), day.Add(23 * time.Hour), "p.toml:2"},
		"the day after":         {keyAt("generic-password", "ff", "test/a.go"), day.AddDate(0, 0, 1), ""},
		"fingerprint by prefix": {keyAt("generic-key", fp, "src/a.go"), day, "p.toml:8"},
	} {
		got := ""
		if k := p.Known(tt.key, tt.now); k != nil {
			got = k.Where
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
	if got := p.Lapsed(day.AddDate(0, 0, 1)); len(got) != 1 {
		t.Errorf("got %q, want one note on the exception that expired", got)
	}
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	other := strings.Repeat("f", 64)
	b := &policy.Baseline{Print: "abc"}
	if n := b.Add([]*scanner.Key{keyAt("x", other, "a"), keyAt("x", fp, "b")}, "old", day, day); n != 2 {
		t.Errorf("added %d, want 2", n)
	}
	if n := b.Add([]*scanner.Key{keyAt("x", fp, "elsewhere")}, "again", day, day); n != 0 || b.Keys[0].Reason != "old" {
		t.Errorf("added %d with reason %q, want none and the first reason", n, b.Keys[0].Reason)
	}
	data, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := policy.ParseBaseline("b.toml", data)
	if err != nil {
		t.Fatal(err)
	}
	if again.Keys[0].Fingerprint != fp {
		t.Error("the entries are not sorted: branches would conflict")
	}
	for name, tt := range map[string]struct {
		print string
		now   time.Time
		want  bool
	}{"known": {fp, day, true}, "other": {strings.Repeat("e", 64), day, false}, "expired": {fp, day.AddDate(0, 0, 1), false}} {
		if got := again.Known(keyAt("x", tt.print, "moved"), tt.now) != nil; got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	again.Keys[0], again.Keys[1] = again.Keys[1], again.Keys[0] // edited by hand
	if again.Known(keyAt("x", fp, "a"), day) == nil {
		t.Error("an entry out of order is not known")
	}
}
