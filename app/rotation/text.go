package rotation

import (
	"slices"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
)

// The labels besides those of the state, the severity and the kind.
const (
	labelPublic     = "kw/public"
	labelOverdue    = "kw/overdue"
	labelRegression = "kw/regression"
)

// marks are the labels that come and go.
var marks = []string{labelPublic, labelOverdue, labelRegression}

// text makes the text of the issue, with what the key's life says.
func (t *telling) text(mention string) *report.Issue {
	l := t.l
	i := t.k.issue(t.cred, t.r, t.repos, mention)
	i.State, i.Commands, i.Usage = string(l.State), life.Forms(), l.Silence()
	i.Revoked = !l.State.Works() && !l.State.Waived() && l.State != life.Unproved
	if !l.Looked.IsZero() {
		i.Validity = string(l.Validity)
		if l.Answer != "" {
			i.Validity += " (" + l.Answer + ")"
		}
	}
	if !l.State.Done() {
		i.Missing = l.Missing(t.k.Time())
	}
	if !t.cred.PublicSince.IsZero() {
		i.Labelled = append(i.Labelled, labelPublic)
	}
	if l.Regressions > 0 {
		i.Labelled = append(i.Labelled, labelRegression)
	}
	if l.Reminded >= 100 && !l.State.Done() {
		i.Labelled = append(i.Labelled, labelOverdue)
	}
	for _, r := range t.ledger {
		i.Evidence = append(i.Evidence, report.Evidence{At: r.At, State: r.To, By: r.Actor, Why: r.Detail})
	}
	return i
}

// issue makes the text of a key's issue.
func (k *Keeper) issue(cred *store.Credential, r *store.Rotation, repos map[int64]*store.Repository, owner string) *report.Issue {
	rule := k.Rules[cred.Rule]
	if rule == nil { // of a policy that has changed since
		rule = &scanner.Rule{ID: cred.Rule, Title: "Key of rule " + cred.Rule, Tier: scanner.T2}
	}
	key := &scanner.Key{Rule: rule, Fingerprint: cred.Fingerprint, Redacted: cred.Redacted, Severity: cred.Severity, Confidence: cred.Confidence, Facts: cred.Facts, Expires: cred.Expires}
	if cred.FirstCommit != "" {
		key.First = &scanner.Commit{ID: cred.FirstCommit, Date: cred.FirstAt}
	}
	i := &report.Issue{Key: key, Mac: k.mac(cred.Installation, cred.Fingerprint), Owner: owner, Due: r.Due, Exposure: exposure(cred, repos)}
	for _, p := range cred.Places {
		repo := repos[p.Repository]
		if repo == nil {
			continue
		}
		n := slices.IndexFunc(i.Spots, func(s report.Spot) bool { return s.Repository == repo.FullName() })
		if n < 0 {
			n = len(i.Spots)
			i.Spots = append(i.Spots, report.Spot{Repository: repo.FullName(), Link: k.link(cred, repo)})
		}
		place := scanner.Place{Path: p.Path, Line: p.Line, Decoded: p.Decoded, InTest: p.InTest}
		if p.Commit != "" {
			place.Commit = &scanner.Commit{ID: p.Commit}
		}
		i.Spots[n].Places = append(i.Spots[n].Places, place)
		key.Places = append(key.Places, place)
	}
	if len(i.Spots) > 0 {
		i.Repository = i.Spots[0].Repository
	}
	return i
}

// link leads to the places of a key in a repository: into files, or to the comments.
func (k *Keeper) link(cred *store.Credential, repo *store.Repository) report.Link {
	file := report.GitHubLink(k.Web+"/"+repo.FullName(), "")
	return func(commit, path string, line int) string {
		for _, p := range cred.Places {
			if p.URL != "" && p.Repository == repo.ID && p.Path == path {
				return p.URL
			}
		}
		return file(commit, path, line)
	}
}

// exposure says who could read the key, and since when.
func exposure(cred *store.Credential, repos map[int64]*store.Repository) string {
	since := "found on " + cred.Detected.Format(time.DateOnly)
	if !cred.FirstAt.IsZero() {
		since = "committed on " + cred.FirstAt.UTC().Format(time.DateOnly) + ", " + since
	}
	if !cred.PublicSince.IsZero() {
		return "public: everybody can read it (" + since + "; known to be public on " + cred.PublicSince.Format(time.DateOnly) + ")"
	}
	return "private: whoever can read the repository (" + since + ")"
}
