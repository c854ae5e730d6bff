package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/verify"
)

// verifyOptions are the flags of keyward verify, beside those that say what is scanned.
type verifyOptions struct {
	scanOptions
	fingerprints     []string
	cloud, dry, mint bool
}

func newVerify(env *Env) *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify [PATH...]",
		Short: "Ask the providers of the credentials found whether they still work",
		Long: `Verify scans as "keyward scan" does and sends each credential that it finds to its
provider, with a request that changes nothing. No other command sends one.
--dry-run shows the requests and sends nothing.

A credential is inactive only if the provider gives the answer that it documents for
an invalid credential, and gives a random look-alike the same. Every other answer
leaves it unknown.

Exit codes: 0 every credential is inactive; 1 some are active or unknown; 2 something
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
	f.BoolVar(&o.cloud, "cloud", false, "credentials belong to the providers' own hosts, not to a self-hosted one: what these refuse is inactive")
	f.BoolVar(&o.mint, "mint", false, "also send checks that mint a token or leave a sign-in event (AWS, Google Cloud, Entra, IBM, Docker Hub)")
	f.BoolVar(&o.dry, "dry-run", false, "show the requests, send nothing")
	f.StringVarP(&o.format, "format", "f", "text", "text or json")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress on standard error")
	return c
}

// names reports whether a fingerprint is one of those that were asked for.
func (o *verifyOptions) names(fingerprint string) bool {
	return slices.ContainsFunc(o.fingerprints, func(prefix string) bool { return strings.HasPrefix(fingerprint, prefix) })
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
	Revocation  []string       `json:"revocation,omitempty"` // with --dry-run: the requests that would revoke it
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
	v := &verify.Verifier{Checks: checks, Transport: env.Transport, Cloud: o.cloud, Mint: o.mint, Version: Version(), Now: env.Now}
	var all []checked
	r, _, err := env.runJob(ctx, &o.scanOptions, args, func(j *job, ctx context.Context) error {
		if err := j.do(ctx); err != nil {
			return err
		}
		for _, k := range j.keys.Sorted() {
			if len(o.fingerprints) == 0 || slices.ContainsFunc(k.Fingerprints(), o.names) {
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

// verified checks one credential.
func (j *job) verified(ctx context.Context, v *verify.Verifier, k *scanner.Key, dry bool) checked {
	c := checked{Rule: k.Rule.ID, Title: k.Rule.Title, Fingerprint: k.Fingerprint, Redacted: k.Redacted, Verdict: verify.Unknown}
	if v.Checks.For(k.Rule.ID, nil) == nil && !dry {
		c.Why = "no check is known for this kind"
		return c
	}
	cred := j.credential(ctx, k)
	if cred == nil {
		c.Why = "not asked: the value cannot be read again from where it was found"
		return c
	}
	defer clear(cred.Value)
	if dry {
		c.dryRun(v, k, cred)
		return c
	}
	res := v.Verify(ctx, k.Rule, cred)
	c.Verdict, c.Why, c.Request, c.Facts = res.Verdict, res.Why, res.Request, res.Facts
	c.At = res.At.UTC().Format("2006-01-02T15:04:05Z")
	return c
}

// dryRun says what would be sent, to check the credential and to revoke it.
func (c *checked) dryRun(v *verify.Verifier, k *scanner.Key, cred *verify.Credential) {
	c.Why = v.Refusal(k.Rule, cred)
	if check := v.Checks.For(k.Rule.ID, cred); check != nil {
		c.Request = check.Request()
		switch {
		case c.Why == "" && check.Mint:
			c.Why = "would be asked (--mint): this mints a token or leaves a sign-in event"
		case c.Why == "":
			c.Why = "would be asked"
		}
	}
	if all, err := verify.BuiltinRevocations(); err == nil {
		if r := all.For(k.Rule.ID, cred); r != nil {
			c.Revocation = r.Requests()
		}
	}
}

// credential reads the text of a key again, from a place where it stands as it is. It is in
// memory only.
func (j *job) credential(ctx context.Context, k *scanner.Key) *verify.Credential {
	for i := range k.Places {
		p := k.Places[i]
		data := j.content(ctx, &p)
		if data == nil {
			continue
		}
		found, _ := j.scanner.Scan(nil, scanner.Blob{Path: k.Places[i].Path, Data: data}) // a gap does not matter: is the key there?
		for i := range found {
			f := &found[i]
			if f.Fingerprint == k.Fingerprint && f.Decoded == "" && f.Start < f.End && int(f.End) <= len(data) {
				return verify.NewCredential(f, bytes.Clone(data[f.Start:f.End]))
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
	for i := range all {
		c := &all[i]
		verdict := strings.ToUpper(string(c.Verdict))
		if dry {
			verdict = "-"
		}
		fmt.Fprintf(&buf, "%-9s %s  %s\n", verdict, c.Title, c.Rule)
		fmt.Fprintf(&buf, "  Value     %s fingerprint %.12s\n", c.Redacted, c.Fingerprint)
		if c.Request != "" {
			fmt.Fprintf(&buf, "  Request   %s\n", c.Request)
		}
		fmt.Fprintf(&buf, "  Answer    %s\n", c.Why)
		for _, r := range c.Revocation {
			fmt.Fprintf(&buf, "  Revoke    %s\n", r)
		}
		for _, f := range c.Facts {
			fmt.Fprintf(&buf, "  %-9s %s\n", f.Name, f.Value)
		}
		buf.WriteString("\n")
	}
	buf.WriteString(totals(all, dry))
	_, err := env.Stdout.Write(buf.Bytes())
	return err
}

// totals is the last line: how many credentials have which verdict, or would be sent.
func totals(all []checked, dry bool) string {
	if len(all) == 0 {
		return "no credentials found\n"
	}
	if dry {
		asked, revoked := 0, 0
		for i := range all {
			if strings.HasPrefix(all[i].Why, "would be asked") {
				asked++
			}
			if len(all[i].Revocation) > 0 {
				revoked++
			}
		}
		return fmt.Sprintf("%d of %d would be checked, %d could be revoked by a request; nothing was sent\n", asked, len(all), revoked)
	}
	var parts []string
	for _, verdict := range []verify.Verdict{verify.Active, verify.Failed, verify.Unknown, verify.Inactive} {
		n := 0
		for i := range all {
			if all[i].Verdict == verdict {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, verdict))
		}
	}
	return strings.Join(parts, ", ") + "\n"
}
