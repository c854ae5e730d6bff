package scanner

import (
	"fmt"
	"slices"
	"strings"
)

// A Rule describes one kind of key: how to recognise it, and what people need
// to know to end it. Rules are data; package rules loads them from TOML.
//
// A rule has either a Pattern, or a Name and a Value for keys whose format
// alone says nothing (32 hexadecimal digits): then the value has to be assigned
// to something of that name.
type Rule struct {
	ID     string // unique, kebab case
	Issuer string // who issues the key
	Title  string // what to call it in a sentence to a developer
	Class  Class
	Tier   Tier
	// Provisioning says that the key sets things up by itself: users, devices,
	// nodes, runners, infrastructure or other keys.
	Provisioning bool

	Keywords []string // every match contains one of them, ASCII case ignored
	Pattern  string   // RE2; the group named "secret" is the secret, else the first that took part, else the match
	Name     string   // RE2, case ignored: what the value is assigned to
	Value    string   // RE2: the secret assigned to Name
	Paths    []string // RE2: if any, the path must match one of them
	// Finder names the hand-made matcher of a generic rule, which has no
	// expression: key, password, provisioning, url or header.
	Finder string

	Check Check
	Near  []Near  // what must or may stand close by
	Facts []Facts // what to read from the value before it is forgotten

	Match, NoMatch []string // the rule's own tests
	About          About

	// Load returns the whole of a rule of which only ID, Keywords and Paths are
	// here; nil if all of it is. It is called when the first candidate appears.
	Load func() (Rule, error) `json:"-"`

	// Loose is set for rules that came from another scanner's file: their
	// patterns bring their own boundaries and may span lines.
	Loose bool
	// Allow holds a rule's own exceptions, in the shape gitleaks gave them.
	Allow []Allowlist

	// Untrusted is set for rules that a repository's policy adds. What such a rule
	// matches never takes the place of a finding of another rule, unless that is a
	// generic one of the same value and no more severe.
	Untrusted bool
}

// Check is what a match of a rule has to pass beyond its pattern.
type Check struct {
	Entropy  float64 // bits per byte that the secret must reach; 0 means no check
	Checksum string  // name of the format's checksum, see checksums
	Reach    int     // bytes a match may span across lines; 0 means one line
	Yields   bool    // another rule that saw the same value names it better
	Ends     string  // bytes, besides [A-Za-z0-9_-], that may not follow the secret
	Group    int     // number of the group that is the secret, if none is named
}

// Near is a companion of a key: the AWS access key id beside the secret key.
// With a name, what it matches is kept in clear as a fact and must not be secret.
type Near struct {
	Name     string
	Pattern  string // RE2
	Lines    int    // how many lines before and after the key to look at
	Required bool   // without it the match is no key
	Absent   bool   // a match of Near means that the value is not a key
}

// About is what a person needs to know about a kind of key.
type About struct {
	Holder   string   // what somebody who has the key can do
	Lifetime string   // how long it lives by default
	Maximum  string   // how long it may live at most
	Scope    string   // how to give it less power
	Rotate   []string // steps, in order
	Revoke   string   // how to kill the old one
	Verify   string   // the provider's endpoint that says if it is alive
	List     string   // the provider's endpoint that lists such keys
	Delete   string   // the provider's endpoint that revokes one
	Log      string   // the log that records its use
	Store    string   // where it should live instead
	Docs     []string // documentation, the best first
	Evidence string   // documented, peers or recalled: how sure the format is
}

// Class is what kind of thing a key is for.
type Class string

// Classes are the classes a rule may have.
var classes = []Class{
	"scim-user", "device-enrolment", "node-join", "mesh-vpn", "ci-runner", "agent-enrolment", "cloud-account",
	"iac-platform", "secrets-manager", "key-issuing-admin", "registry-publish", "idp-admin", "db-admin",
	"messaging-payment-admin", "generic",
}

// Classes returns the classes a rule may have, the generic one last.
func Classes() []Class { return slices.Clone(classes) }

// Tier is how much power a key gives.
type Tier string

// The tiers, strongest first.
const (
	T0 Tier = "T0" // can create identities or credentials
	T1 Tier = "T1" // writes production
	T2 Tier = "T2" // limited write, or not production
	T3 Tier = "T3" // reads
)

// Power says what a tier means, for people.
func (t Tier) Power() string {
	switch t {
	case T0:
		return "can create identities or credentials"
	case T1:
		return "can change production"
	case T2:
		return "limited write access"
	case T3:
		return "read access or low harm"
	}
	return "power not known"
}

// Indexed reports whether the keyword pass finds the rule's candidates. A rule that is not
// indexed is tried on every byte of every blob.
func (r *Rule) Indexed() bool {
	if r.Finder != "" {
		return true
	}
	return len(r.Keywords) > 0 && !slices.ContainsFunc(r.Keywords, func(k string) bool { return len(k) < leastKeyword })
}

// Validate returns what is wrong with the rule apart from its expressions,
// which are compiled when they are first needed.
func (r *Rule) Validate() error {
	switch {
	case r.ID == "":
		return fmt.Errorf("rule without id")
	case strings.ContainsAny(r.ID, " \t\r\n,"):
		return fmt.Errorf("rule %q: id contains white space or a comma", r.ID)
	case r.Load != nil:
		return nil // whoever loads it validates it
	case r.Finder != "":
		if _, ok := finderOf(r.Finder); !ok {
			return fmt.Errorf("rule %s: unknown finder %q", r.ID, r.Finder)
		}
	case r.Pattern == "" && (r.Name == "" || r.Value == ""):
		return fmt.Errorf("rule %s: needs pattern, or name and value", r.ID)
	case r.Pattern != "" && (r.Name != "" || r.Value != ""):
		return fmt.Errorf("rule %s: has pattern and name or value: use one form", r.ID)
	case r.Class != "" && !slices.Contains(classes, r.Class):
		return fmt.Errorf("rule %s: unknown class %q", r.ID, r.Class)
	case r.Tier != "" && !slices.Contains([]Tier{T0, T1, T2, T3}, r.Tier):
		return fmt.Errorf("rule %s: unknown tier %q", r.ID, r.Tier)
	case r.Check.Checksum != "" && checksums[r.Check.Checksum] == nil:
		return fmt.Errorf("rule %s: unknown checksum %q", r.ID, r.Check.Checksum)
	case r.Check.Reach < 0 || r.Check.Reach > maxReach:
		return fmt.Errorf("rule %s: reach %d is not between 0 and %d", r.ID, r.Check.Reach, maxReach)
	}
	for _, f := range r.Facts {
		if factReaders[f] == nil {
			return fmt.Errorf("rule %s: unknown facts %q", r.ID, f)
		}
	}
	for _, k := range r.Keywords {
		if k == "" {
			return fmt.Errorf("rule %s: empty keyword", r.ID)
		}
	}
	for _, n := range r.Near {
		if n.Pattern == "" || n.Lines < 0 || n.Lines > maxNearLines {
			return fmt.Errorf("rule %s: near %q needs a pattern and 0 to %d lines", r.ID, n.Name, maxNearLines)
		}
	}
	return nil
}
