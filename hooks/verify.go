package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/verify"
)

// verifyOptions are the flags of keyward verify, beside those that say what is scanned.
type verifyOptions struct {
	scanOptions
	fingerprints []string
	cloud, dry   bool
}

func newVerify(env *Env) *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify [PATH...]",
		Short: "Ask the providers of the keys that are found whether they are alive",
		Long: `Verify scans as "keyward scan" does, and sends each key that it finds to its provider,
with a request that changes nothing: is it alive? Nothing else of Keyward does so.
--dry-run says what would be asked, and sends nothing.

Exit codes: 0 no key is known to be alive or left unknown; 1 some are; 2 something
could not be scanned, or wrong usage.`,
		Example: `  keyward verify --dry-run
  keyward verify --history --fingerprint 3f2a9c51
  keyward verify --format json`,
		RunE: func(c *cobra.Command, args []string) error { return env.verify(c.Context(), &o, args) },
	}
	o.modeFlags(c)
	o.setupFlags(c)
	o.failOn = "low"
	f := c.Flags()
	f.StringSliceVar(&o.fingerprints, "fingerprint", nil, "only keys whose fingerprint begins with this (8 digits at least)")
	f.BoolVar(&o.cloud, "cloud", false, "keys are of the providers' own hosts, not of a company's: what these do not know is dead")
	f.BoolVar(&o.dry, "dry-run", false, "say what would be asked, send nothing")
	f.StringVarP(&o.format, "format", "f", "text", "text or json")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress on standard error")
	return c
}

// A checked key is what verify prints of one.
type checked struct {
	Rule        string         `json:"rule"`
	Title       string         `json:"title"`
	Fingerprint string         `json:"fingerprint"`
	Redacted    string         `json:"redacted"`
	Verdict     verify.Verdict `json:"verdict"`
	Why         string         `json:"why"`
	Request     string         `json:"request,omitempty"`
	At          string         `json:"at,omitempty"`
	Facts       []scanner.Fact `json:"facts,omitempty"`
}

// verify is the command keyward verify.
func (env *Env) verify(ctx context.Context, o *verifyOptions, args []string) error {
	if o.format != "text" && o.format != "json" {
		return hint(fmt.Errorf("unknown format %q", o.format), "use text or json")
	}
	format := o.format
	o.format = "text"
	if err := o.check(args); err != nil {
		return err
	}
	for _, fp := range o.fingerprints {
		if len(fp) < 8 || strings.Trim(fp, "0123456789abcdef") != "" {
			return hint(fmt.Errorf("--fingerprint %q: want at least 8 hexadecimal digits", fp), "keyward scan prints them")
		}
	}
	checks, err := verify.Builtin()
	if err != nil {
		return err
	}
	v := &verify.Verifier{Checks: checks, Transport: env.Transport, Cloud: o.cloud, Agent: Version()}
	var all []checked
	r, _, err := env.runJob(ctx, &o.scanOptions, args, func(j *job, ctx context.Context) error {
		if err := j.do(ctx); err != nil {
			return err
		}
		for _, k := range j.keys.Sorted() {
			if len(o.fingerprints) == 0 || slices.ContainsFunc(o.fingerprints, func(fp string) bool { return strings.HasPrefix(k.Fingerprint, fp) }) {
				all = append(all, j.verified(ctx, v, k, o.dry))
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if len(o.fingerprints) > 0 && len(all) == 0 {
		return hint(errors.New("no key with this fingerprint was found"), "fingerprints differ from repository to repository, unless they share a pepper")
	}
	if err := env.writeChecked(all, format, o.dry); err != nil {
		return err
	}
	switch alive := slices.ContainsFunc(all, func(c checked) bool { return c.Verdict != verify.Inactive }); {
	case o.dry:
		return nil
	case alive:
		return errFound // or may be alive
	case !r.Coverage.Complete():
		return errUnscanned
	}
	return nil
}

// verified checks one key.
func (j *job) verified(ctx context.Context, v *verify.Verifier, k *scanner.Key, dry bool) checked {
	c := checked{Rule: k.Rule.ID, Title: k.Rule.Title, Fingerprint: k.Fingerprint, Redacted: k.Redacted, Verdict: verify.Unknown}
	check := v.Checks[k.Rule.ID]
	switch {
	case check == nil:
		c.Why = "no check is known for this kind"
		return c
	case dry:
		c.Request, c.Why = check.Request(), "not asked (--dry-run)"
		return c
	}
	key := j.secret(ctx, k)
	if key == nil {
		c.Request, c.Why = check.Request(), "its text can not be read again from where it was found"
		return c
	}
	res := v.Verify(ctx, k.Rule, key)
	clear(key)
	c.Verdict, c.Why, c.Request, c.Facts = res.Verdict, res.Why, res.Request, res.Facts
	c.At = res.At.UTC().Format("2006-01-02T15:04:05Z")
	return c
}

// secret reads the text of a key again, from a place where it stands as it is. It is in
// memory only.
func (j *job) secret(ctx context.Context, k *scanner.Key) []byte {
	for i := range k.Places {
		p := k.Places[i]
		if p.Blob == "" {
			p.Path = j.prefix() + p.Path
		}
		data := j.content(ctx, &p)
		if data == nil {
			continue
		}
		found, _ := j.scanner.Scan(nil, scanner.Blob{Path: k.Places[i].Path, Data: data}) // a gap does not matter: is the key there?
		for i := range found {
			f := &found[i]
			if f.Fingerprint == k.Fingerprint && f.Decoded == "" && f.Start < f.End && int(f.End) <= len(data) {
				return bytes.Clone(data[f.Start:f.End])
			}
		}
	}
	return nil
}

// writeChecked prints what was found out, the worst first.
func (env *Env) writeChecked(all []checked, format string, dry bool) error {
	rank := map[verify.Verdict]int{verify.Active: 0, verify.Failed: 1, verify.Unknown: 2, verify.Inactive: 3}
	slices.SortStableFunc(all, func(a, b checked) int { return rank[a.Verdict] - rank[b.Verdict] })
	var buf bytes.Buffer
	if format == "json" {
		e := json.NewEncoder(&buf)
		e.SetIndent("", "  ")
		if all == nil {
			all = []checked{}
		}
		if err := e.Encode(all); err != nil {
			return err
		}
		_, err := env.Stdout.Write(buf.Bytes())
		return err
	}
	count := map[verify.Verdict]int{}
	for i := range all {
		c := &all[i]
		count[c.Verdict]++
		verdict := strings.ToUpper(string(c.Verdict))
		if dry {
			verdict = "-"
		}
		fmt.Fprintf(&buf, "%-9s %s  %s\n", verdict, c.Title, c.Rule)
		fmt.Fprintf(&buf, "  Value     %s fingerprint %.12s\n", c.Redacted, c.Fingerprint)
		if c.Request != "" {
			fmt.Fprintf(&buf, "  Asked     %s\n", c.Request)
		}
		fmt.Fprintf(&buf, "  Answer    %s\n", c.Why)
		for _, f := range c.Facts {
			fmt.Fprintf(&buf, "  %-9s %s\n", f.Name, f.Value)
		}
		buf.WriteString("\n")
	}
	if len(all) == 0 {
		buf.WriteString("no keys found\n")
	} else if !dry {
		var parts []string
		for _, verdict := range slices.SortedFunc(maps.Keys(count), func(a, b verify.Verdict) int { return rank[a] - rank[b] }) {
			parts = append(parts, fmt.Sprintf("%d %s", count[verdict], verdict))
		}
		fmt.Fprintf(&buf, "%s\n", strings.Join(parts, ", "))
	}
	_, err := env.Stdout.Write(buf.Bytes())
	return err
}
