package policy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/keyward/keyward/scanner"
)

// A Baseline lists the keys that were there when a team began, by fingerprint:
// a new key on the line of a known one is found, a known one that moved is not
// told again.
type Baseline struct {
	Path       string `toml:"-"`
	Print      string `toml:"pepper" comment:"tells under which pepper the fingerprints were made"`
	Repository string `toml:"repository,omitempty" comment:"the repository that they were derived from, for forks and other clones; absent with KEYWARD_PEPPER"`
	Keys       []Old  `toml:"key"`
}

// Old is one known key.
type Old struct {
	Fingerprint string `toml:"fingerprint"`
	Rule        string `toml:"rule"`
	Redacted    string `toml:"redacted"`
	Place       string `toml:"place" comment:"where it stood when it was written down; it may move"`
	Reason      string `toml:"reason"`
	Added       string `toml:"added"`
	Expires     string `toml:"expires,omitempty" comment:"the last day on which it is known"`
	until       time.Time
}

// BaselineName is the baseline that counts where no other is named, at the top of a
// repository.
const BaselineName = ".keyward-baseline.toml"

// MaxBaseline is the largest baseline that is read.
const MaxBaseline = 16 << 20

// LoadBaseline reads a baseline.
func LoadBaseline(file string) (*Baseline, error) {
	data, err := ReadRegular(file, MaxBaseline)
	if err != nil {
		return nil, fmt.Errorf("baseline %s: %w", file, err)
	}
	return ParseBaseline(file, data)
}

// ParseBaseline reads the text of a baseline.
func ParseBaseline(name string, data []byte) (*Baseline, error) {
	b := &Baseline{Path: name}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(b); err != nil {
		return nil, fmt.Errorf("baseline %s: %w", name, tomlError(err))
	}
	for i := range b.Keys {
		k := &b.Keys[i]
		if len(k.Fingerprint) != 64 {
			return nil, fmt.Errorf("baseline %s: key number %d: fingerprint %q: want 64 hexadecimal digits", name, i+1, k.Fingerprint)
		}
		if k.Expires != "" {
			var err error
			if k.until, err = time.Parse(time.DateOnly, k.Expires); err != nil {
				return nil, fmt.Errorf("baseline %s: key %s: expires = %q is no date: write 2027-01-31", name, k.Fingerprint[:12], k.Expires)
			}
		}
	}
	return b, nil
}

// Known returns why a key is known to the baseline, or nil.
func (b *Baseline) Known(k *scanner.Key, now time.Time) *scanner.Known {
	o := b.find(k)
	if o == nil {
		return nil
	}
	if !o.until.IsZero() && !now.Before(o.until.AddDate(0, 0, 1)) {
		return nil
	}
	return &scanner.Known{By: "baseline", Where: b.Path, Reason: o.Reason, Expires: o.until}
}

// Has reports whether the baseline has a key, even if what it says of it holds no longer.
func (b *Baseline) Has(k *scanner.Key) bool { return b.find(k) != nil }

// find returns what the baseline has of a key, nil if it has nothing.
func (b *Baseline) find(k *scanner.Key) *Old {
	for _, fingerprint := range k.Fingerprints() {
		i, ok := slices.BinarySearchFunc(b.Keys, fingerprint, func(o Old, fp string) int { return strings.Compare(o.Fingerprint, fp) })
		if !ok {
			i = slices.IndexFunc(b.Keys, func(o Old) bool { return o.Fingerprint == fingerprint }) // edited by hand, out of order
		}
		if i >= 0 {
			return &b.Keys[i]
		}
	}
	return nil
}

// Missing returns what the baseline lists and keys has not.
func (b *Baseline) Missing(keys []*scanner.Key) []Old {
	there := map[*Old]bool{}
	for _, k := range keys {
		there[b.find(k)] = true
	}
	var out []Old
	for i := range b.Keys {
		if !there[&b.Keys[i]] {
			out = append(out, b.Keys[i])
		}
	}
	return out
}

// Add writes keys down that the baseline has not. Those it has stay as they are; one that is
// written under a former pepper gets its present fingerprint.
func (b *Baseline) Add(keys []*scanner.Key, reason string, now, expires time.Time) (added int) {
	for _, k := range keys {
		if o := b.find(k); o != nil {
			o.Fingerprint = k.Fingerprint
			continue
		}
		o := Old{Fingerprint: k.Fingerprint, Rule: k.Rule.ID, Redacted: k.Redacted, Reason: reason, Added: now.Format(time.DateOnly),
			Place: fmt.Sprintf("%s:%d", k.Places[0].Path, k.Places[0].Line)}
		if !expires.IsZero() {
			o.Expires = expires.Format(time.DateOnly)
		}
		b.Keys = append(b.Keys, o)
		added++
	}
	slices.SortFunc(b.Keys, func(x, y Old) int { return strings.Compare(x.Fingerprint, y.Fingerprint) })
	return added
}

// Marshal writes the baseline, sorted, so that two branches seldom conflict.
func (b *Baseline) Marshal() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("# Keys that Keyward knows and does not report again. They still need to be rotated.\n")
	enc := toml.NewEncoder(&out)
	enc.SetArraysMultiline(true)
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("write baseline: %w", err)
	}
	return out.Bytes(), nil
}
