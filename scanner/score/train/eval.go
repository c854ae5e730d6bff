package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// The groups of the labels' categories, as ../shared/eval's scorer has them.
var (
	groups       = []string{"structured keys", "private keys", "generic key/token/secret", "generic password", "URL/Basic/Bearer", "identifiers"}
	privateNames = names("PEM Private Key|BASE64 Private Key|BASE64 encoded PEM Private Key|JWK")
	passwords    = names("Password|SQL Password|CMD Password|CMD ConvertTo-SecureString|CMD Secret")
	weakNames    = names("Dropbox App secret|OTP / 2FA Secret")
	genericNames = names("Key|Token|Secret|API|Auth|Credential|Nonce|Salt|CMD Token|Other")
	authNames    = names("URL Credentials|Basic Authorization|Bearer Authorization|Digest Authorization|NTLM Token|CURL User Password")
	identNames   = names("UUID|AWS S3 Bucket|Firebase Domain|Tencent WeChat API App ID")
)

func names(list string) map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Split(list, "|") {
		m[n] = true
	}
	return m
}

// group returns the group of a category, which is a list of names with colons between.
func group(category string) string {
	var structured, auth, private, ident, rest, password bool
	ident, password = true, true
	for _, n := range strings.Split(category, ":") {
		private = private || privateNames[n]
		auth = auth || authNames[n]
		structured = structured || !passwords[n] && !genericNames[n] && !authNames[n] && !identNames[n] && !weakNames[n]
		ident = ident && identNames[n]
		if !identNames[n] && !weakNames[n] {
			rest = true
			password = password && passwords[n]
		}
	}
	switch {
	case private:
		return "private keys"
	case structured:
		return "structured keys"
	case auth:
		return "URL/Basic/Bearer"
	case ident:
		return "identifiers"
	case !rest:
		return "structured keys"
	case password:
		return "generic password"
	}
	return "generic key/token/secret"
}

// A figure counts what was found of one group.
type figure struct{ truth, found, wrong, unlabelled int }

func (f figure) precision() float64 { return ratio(f.found, f.found+f.wrong) }
func (f figure) strict() float64    { return ratio(f.found, f.found+f.wrong+f.unlabelled) }
func (f figure) recall() float64    { return ratio(f.found, f.truth) }
func (f figure) f1() float64        { return ratio(2*f.found, f.found+f.wrong+f.truth) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

type unit struct {
	file        *file
	line, start int
}

// evaluate counts findings as the scorer does: a key is found if a finding's lines
// overlap its lines; what overlaps no key is wrong, or unlabelled.
func evaluate(files []*file, found []place) map[string]figure {
	type truth struct {
		end  int
		cats map[string]bool
	}
	truths := map[*file]map[unit]*truth{}
	for _, f := range files {
		m := map[unit]*truth{}
		for _, l := range f.labels {
			if l.Truth != "T" {
				continue
			}
			u := unit{f, l.Line, l.Start}
			if m[u] == nil {
				m[u] = &truth{cats: map[string]bool{}}
			}
			m[u].end = max(m[u].end, l.EndLine, l.Line)
			m[u].cats[l.Category] = true
		}
		truths[f] = m
	}
	out := map[string]figure{}
	got := map[unit]bool{}
	seen := map[place]bool{}
	for _, p := range found {
		p.end = max(p.end, p.line)
		if seen[p] {
			continue
		}
		seen[p] = true
		hit := false
		for u, t := range truths[p.file] {
			if u.line <= p.end && p.line <= t.end {
				got[u], hit = true, true
			}
		}
		if hit {
			continue
		}
		i := slices.IndexFunc(p.file.labels, func(l label) bool { return l.Truth != "T" && l.Line <= p.end && p.line <= max(l.EndLine, l.Line) })
		g := "ALL but identifiers"
		if i >= 0 {
			g = group(p.file.labels[i].Category)
		}
		f := out[g]
		if i >= 0 {
			f.wrong++
		} else {
			f.unlabelled++
		}
		out[g] = f
	}
	for _, m := range truths {
		for u, t := range m {
			var cats []string
			for c := range t.cats {
				cats = append(cats, strings.Split(c, ":")...)
			}
			slices.Sort(cats)
			g := group(strings.Join(slices.Compact(cats), ":"))
			f := out[g]
			f.truth++
			if got[u] {
				f.found++
			}
			out[g] = f
		}
	}
	keys, all := figure{}, out["ALL but identifiers"]
	for i, g := range groups[:5] {
		f := out[g]
		for _, to := range []*figure{&keys, &all} {
			if to == &keys && i >= 3 {
				continue
			}
			to.truth, to.found, to.wrong = to.truth+f.truth, to.found+f.found, to.wrong+f.wrong
		}
	}
	out["KEYS"], out["ALL but identifiers"] = keys, all
	return out
}

func table(w io.Writer, figures map[string]figure) {
	fmt.Fprintf(w, "%-26s%6s%7s%7s%7s%8s%8s%8s%7s\n", "", "T", "found", "wrong", "unlab", "prec", "strict", "recall", "F1")
	for _, g := range append(slices.Clone(groups), "KEYS", "ALL but identifiers") {
		f := figures[g]
		fmt.Fprintf(w, "%-26s%6d%7d%7d%7d%8.3f%8.3f%8.3f%7.3f\n", g, f.truth, f.found, f.wrong, f.unlabelled, f.precision(), f.strict(), f.recall(), f.f1())
	}
}
