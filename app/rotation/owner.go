package rotation

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	gh "github.com/google/go-github/v62/github"
	"github.com/hmarr/codeowners"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
)

var (
	user = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	team = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`)
)

// owner returns who has to rotate a key: the login of somebody who can be assigned in
// the tracker owner/name, and a mention if that is a team. The last rule of CODEOWNERS
// that fits the file says so, else the committer, else the policy's default. Who left
// can not be assigned, and is passed over.
func (k *Keeper) owner(ctx context.Context, c *github.Client, cred *store.Credential, repos map[int64]*store.Repository, owner, name string) (login, mention string, err error) {
	for _, p := range cred.Places {
		repo := repos[p.Repository]
		if repo == nil || p.URL != "" {
			continue
		}
		owners, err := k.codeowners(ctx, c, repo, p.Commit, p.Path)
		if err != nil {
			return "", "", err
		}
		for _, o := range owners {
			if team.MatchString(o) {
				if mention == "" {
					mention = "@" + o
				}
				continue
			}
			if ok, err := assignable(ctx, c, owner, name, o); err != nil || ok {
				return o, "", err
			}
		}
		if mention != "" {
			return "", mention, nil
		}
		break // the first file speaks for all
	}
	for _, p := range cred.Places {
		repo := repos[p.Repository]
		if repo == nil || p.Commit == "" {
			continue
		}
		commit, _, err := c.Repositories.GetCommit(ctx, repo.Owner, repo.Name, p.Commit, &gh.ListOptions{PerPage: 1})
		if s := github.Status(err); s == http.StatusNotFound || s == http.StatusUnprocessableEntity || s == http.StatusForbidden {
			break
		}
		if err != nil {
			return "", "", fmt.Errorf("look up the committer of %.12s: %w", p.Commit, err)
		}
		if a := commit.GetAuthor(); a.GetType() == "User" && user.MatchString(a.GetLogin()) {
			if ok, err := assignable(ctx, c, owner, name, a.GetLogin()); err != nil || ok {
				return a.GetLogin(), "", err
			}
		}
		break
	}
	if d := cred.Settings.Default; d != "" {
		if ok, err := assignable(ctx, c, owner, name, d); err != nil || ok {
			return d, "", err
		}
	}
	return "", "", nil
}

// assignable reports whether issues of a repository can be assigned to somebody.
func assignable(ctx context.Context, c *github.Client, owner, name, login string) (bool, error) {
	ok, _, err := c.Issues.IsAssignee(ctx, owner, name, login)
	if err != nil {
		return false, fmt.Errorf("ask whether %s can be assigned in %s/%s: %w", login, owner, name, err)
	}
	return ok, nil
}

// maxCodeowners is GitHub's own limit.
// https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
const maxCodeowners = 3 << 20

// codeowners returns the owners of a file, without the @ before them.
func (k *Keeper) codeowners(ctx context.Context, c *github.Client, repo *store.Repository, commit, path string) ([]string, error) {
	text, err := k.ownersFile(ctx, c, repo, commit)
	if err != nil || text == "" {
		return nil, err
	}
	return match(text, path), nil
}

// ownersFile returns the text of CODEOWNERS, "" if there is none. However many keys a commit
// brought, it is read once for it.
func (k *Keeper) ownersFile(ctx context.Context, c *github.Client, repo *store.Repository, commit string) (string, error) {
	name := fmt.Sprint(repo.ID, " ", commit)
	if text, ok := k.owners.get(name); ok && commit != "" {
		return text, nil
	}
	for _, file := range []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"} {
		text, err := c.File(ctx, repo.Owner, repo.Name, file, maxCodeowners)
		if err != nil {
			return "", err
		}
		if text != nil {
			k.owners.put(name, string(text))
			return string(text), nil
		}
	}
	k.owners.put(name, "")
	return "", nil
}

// maxOwners is of how many commits CODEOWNERS is remembered.
const maxOwners = 100

// ownersFiles remembers the CODEOWNERS of commits. It is safe for concurrent use.
type ownersFiles struct {
	mu    sync.Mutex
	texts map[string]string
}

func (o *ownersFiles) get(name string) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text, ok := o.texts[name]
	return text, ok
}

func (o *ownersFiles) put(name, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.texts == nil || len(o.texts) >= maxOwners {
		o.texts = map[string]string{}
	}
	o.texts[name] = text
}

// match returns the owners of the last rule that fits a path. A line that can not be
// read is passed over, as GitHub does.
func match(text, path string) (owners []string) {
	path, _, _ = strings.Cut(path, "!")
	for line := range strings.Lines(text) {
		rules, err := codeowners.ParseFile(strings.NewReader(line))
		if err != nil || len(rules) != 1 {
			continue
		}
		if ok, err := rules[0].Match(path); err != nil || !ok {
			continue
		}
		owners = nil
		for _, o := range rules[0].Owners {
			if user.MatchString(o.Value) || team.MatchString(o.Value) {
				owners = append(owners, o.Value)
			}
		}
	}
	return owners
}
