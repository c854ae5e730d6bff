package jobs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
	"golang.org/x/crypto/ssh"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/verify"
)

// The facts by which an SSH key is known as a deploy key of a repository.
// https://docs.github.com/rest/deploy-keys/deploy-keys
const (
	readsSSH       = scanner.Facts("ssh-public")
	sshFingerprint = "ssh_fingerprint" // of the public key; the scanner reads it
	deployKeyFact  = "deploy_key"      // repository and id; GitHub told it
	deployAccess   = "deploy_key_access"
)

// What is noted of a key that is in no list, when it is searched for again, and how many
// lists are read.
const (
	noDeployKey = "none found on "
	searchAgain = 7 * 24 * time.Hour
	maxKeyLists = 100
)

// factOf returns a fact of a key, "" if it is not known.
func factOf(c *store.Credential, name string) string {
	if i := slices.IndexFunc(c.Facts, func(f scanner.Fact) bool { return f.Name == name }); i >= 0 {
		return c.Facts[i].Value
	}
	return ""
}

// listed looks for a private SSH key in GitHub's own lists of deploy keys. A key that is
// listed works; one that was listed and is gone does not exist any more. The key itself is
// sent nowhere: its public fingerprint tells. ok is false if the lists say nothing; there may
// be facts all the same. That it was listed is believed of the sealed life only, with the
// fingerprint under which it was.
func (r *Runner) listed(ctx context.Context, cred *store.Credential, l *life.Life) (e life.Event, facts []scanner.Fact, ok bool, err error) {
	print := factOf(cred, sshFingerprint)
	if rule := r.Keeper.Rules[cred.Rule]; print == "" || rule == nil || !slices.Contains(rule.Facts, readsSSH) {
		return e, nil, false, nil
	}
	e.Actor = life.Actor{System: true}
	known := factOf(cred, deployKeyFact)
	day, none := strings.CutPrefix(known, noDeployKey)
	if !none {
		known = listedAs(cred, l)
	}
	if at, err := time.Parse(time.DateOnly, day); none && err == nil && r.Keeper.Time().Sub(at) < searchAgain {
		return e, nil, false, nil
	}
	repos, err := r.keyLists(ctx, cred)
	if err != nil {
		return e, nil, false, err
	}
	was, _, _ := strings.Cut(known, " ")
	seen := none || known == "" // every list that it was in could be read
	for _, repo := range repos {
		k, may, err := findDeployKey(ctx, r.GitHub.Installation(cred.Installation), repo.Owner, repo.Name, print)
		if err != nil {
			return e, nil, false, err
		}
		if k != nil {
			return seenListed(e, repo.FullName(), print, k)
		}
		seen = seen || may && repo.FullName() == was
	}
	switch {
	case none || known == "":
		return e, []scanner.Fact{{Name: deployKeyFact, Value: noDeployKey + r.Keeper.Time().UTC().Format(time.DateOnly)}}, false, nil
	case !seen:
		return e, nil, false, nil
	}
	e.Kind, e.Verdict = life.Check, life.Inactive // one list is evidence: a second has to say so, too
	if l.Order != nil && l.Order.Second != "" {   // it was ordered to be deleted: that is the second
		e.Kind = life.Remove
	}
	e.Text = "GitHub does not list it among the deploy keys of " + was + " any more, nor of another repository"
	return e, nil, true, nil
}

func seenListed(e life.Event, repo, print string, k *gh.Key) (life.Event, []scanner.Fact, bool, error) {
	access := "read and write"
	if k.GetReadOnly() {
		access = "read only"
	}
	e.Kind, e.Verdict = life.Check, life.Active
	e.Text = fmt.Sprintf("GitHub lists it as deploy key %d of %s, %s", k.GetID(), repo, access)
	known := repo + " " + strconv.FormatInt(k.GetID(), 10)
	e.Listed = known + " " + print
	return e, []scanner.Fact{{Name: deployKeyFact, Value: known}, {Name: deployAccess, Value: access}}, true, nil
}

// keyLists are the repositories that may have the key as a deploy key: first the one that
// had it, and those that it stands in.
func (r *Runner) keyLists(ctx context.Context, cred *store.Credential) ([]*store.Repository, error) {
	all, err := r.Store.Repositories(ctx, cred.Installation)
	if err != nil {
		return nil, err
	}
	was, _, _ := strings.Cut(factOf(cred, deployKeyFact), " ")
	has := func(repo *store.Repository) bool {
		return repo.FullName() == was || slices.ContainsFunc(cred.Places, func(p store.Place) bool { return p.Repository == repo.ID })
	}
	slices.SortStableFunc(all, func(a, b *store.Repository) int {
		switch {
		case has(a) == has(b):
			return 0
		case has(a):
			return -1
		}
		return 1
	})
	return all[:min(len(all), maxKeyLists)], nil
}

// findDeployKey returns the deploy key of a repository that has a fingerprint, nil if there
// is none, and whether the App may know.
func findDeployKey(ctx context.Context, c *github.Client, owner, repo, print string) (k *gh.Key, may bool, err error) {
	opt := &gh.ListOptions{PerPage: 100}
	for {
		list, res, err := c.Repositories.ListKeys(ctx, owner, repo, opt)
		if silent(err) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("list the deploy keys of %s/%s: %w", owner, repo, err)
		}
		for _, k := range list {
			if pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.GetKey())); err == nil && ssh.FingerprintSHA256(pub) == print {
				return k, true, nil
			}
		}
		if res.NextPage == 0 {
			return nil, true, nil
		}
		opt.Page = res.NextPage
	}
}

// listedAs is the deploy key that GitHub listed a key as, its repository and id: "" if the
// sealed life does not say so of this key.
func listedAs(cred *store.Credential, l *life.Life) string {
	known := factOf(cred, deployKeyFact)
	if known == "" || l.Listed != known+" "+factOf(cred, sshFingerprint) {
		return ""
	}
	return known
}

// deployKeyWay is how the deploy key that a key is is ended: GitHub deletes it for the App.
// Only one is deleted of which the sealed life says that it is this key.
func (r *Runner) deployKeyWay(ctx context.Context, cred *store.Credential) (*way, error) {
	l, err := r.Keeper.Life(ctx, cred.Installation, cred.Fingerprint)
	if err != nil {
		return nil, err
	}
	name, id, known := strings.Cut(listedAs(cred, &l), " ")
	owner, repo, _ := strings.Cut(name, "/")
	number, err := strconv.ParseInt(id, 10, 64)
	if !known || err != nil {
		return nil, nil
	}
	request := fmt.Sprintf("DELETE /repos/%s/keys/%d", name, number)
	return &way{request: request, kinds: []string{"deploy-key"}, ends: life.Remove, send: func(ctx context.Context, _ *verify.Credential) (verify.Revoked, error) {
		_, err := r.GitHub.Installation(cred.Installation).Repositories.DeleteKey(ctx, owner, repo, number)
		return answered(request, "administration", err)
	}}, nil
}
