package hooks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/keyward/keyward/scanner/git"
)

// An event is what of a workflow's event matters here.
// https://docs.github.com/webhooks/webhook-events-and-payloads
type event struct {
	name    string
	Before  string `json:"before"`
	After   string `json:"after"`
	Ref     string `json:"ref"`
	Deleted bool   `json:"deleted"`

	Repository struct {
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
	PullRequest *struct {
		Number int    `json:"number"`
		Base   branch `json:"base"`
		Head   branch `json:"head"`
	} `json:"pull_request"`
	MergeGroup *struct {
		BaseSHA string `json:"base_sha"`
		HeadSHA string `json:"head_sha"`
	} `json:"merge_group"`
}

type branch struct {
	SHA string `json:"sha"`
}

// maxEvent is the largest event that is read: GitHub's are at most 25 MB.
const maxEvent = 32 << 20

func (env *Env) readEvent() (*event, error) {
	ev := &event{name: env.Getenv("GITHUB_EVENT_NAME")}
	file := env.Getenv("GITHUB_EVENT_PATH")
	if ev.name == "" || file == "" {
		return nil, hint(errors.New("GITHUB_EVENT_NAME and GITHUB_EVENT_PATH are not set"), "nothing was scanned: this command is for GitHub workflows; elsewhere use keyward scan")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEvent))
	if err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, ev); errors.As(err, &syntax) {
		return nil, fmt.Errorf("read the event %s: not JSON at byte %d", ev.name, syntax.Offset)
	} else if err != nil {
		return nil, fmt.Errorf("read the event %s: a field is not of the kind that GitHub documents", ev.name)
	}
	return ev, nil
}

// A plan is what an event makes us scan.
type plan struct {
	mode    string // range, history, tree or nothing
	commits git.Range
	objects []git.Change // what the event brought beside commits
	head    string       // the newest commit, for links
	trusted string       // revision whose policy and allow comments count, "" for those of the checkout
	based   bool         // the event names the commit to compare with: without it nothing is scanned
	pull    int          // number of the pull request, or 0
	notes   []string
}

// plan works out what to scan, and fetches what of it is not in the checkout.
func (env *Env) plan(ctx context.Context, in *inputs, ev *event) (*plan, error) {
	repo, err := git.Open(ctx, env.path("."), git.Options{Getenv: env.Getenv})
	if err != nil {
		return nil, hint(fmt.Errorf("the workspace %s: %w", env.path("."), err), "nothing was scanned: is there a step actions/checkout before this one?")
	}
	p := &plan{head: env.Getenv("GITHUB_SHA")}
	base, head, err := p.ends(ctx, repo, in, ev)
	if err != nil {
		return nil, err
	}
	if in.base != "" || in.head != "" {
		if base, head, err = named(ctx, repo, in, base, head); err != nil {
			return nil, err
		}
		p.mode = "range"
	}
	switch in.scan {
	case "history", "tree":
		p.mode = in.scan
	case "diff":
		if p.mode != "range" && p.mode != "nothing" {
			return nil, hint(fmt.Errorf("scan: diff: the event %s has no range of commits", ev.name), "nothing was scanned: give the inputs base and head, or scan: history")
		}
	}
	if p.trusted != "" {
		if err := repo.Deepen(ctx, in.token, p.trusted, p.trusted); err != nil {
			return nil, shallow(err)
		}
	}
	switch p.mode {
	case "history":
		if repo.Shallow {
			if err := repo.Fetch(ctx, in.token, "--unshallow", "--tags", "+refs/heads/*:refs/remotes/origin/*"); err != nil {
				return nil, shallow(fmt.Errorf("the checkout is shallow: %w", err))
			}
			p.notes = append(p.notes, "the checkout was shallow: its whole history was fetched")
		}
	case "range":
		if err := p.fetch(ctx, repo, in, ev, base, head); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func shallow(err error) error {
	return hint(err, "nothing was scanned: let the checkout fetch all of it: actions/checkout with fetch-depth: 0")
}

// ends returns the first commit that is not scanned any more, "" if there is none,
// and the newest one, by event.
func (p *plan) ends(ctx context.Context, repo *git.Repo, in *inputs, ev *event) (base, head string, err error) {
	p.mode = "range"
	switch {
	case ev.name == "push" && (ev.Deleted || git.None(ev.After)):
		p.mode = "nothing"
		p.notes = append(p.notes, "a ref was deleted: that brings nothing to scan")
		return "", "", nil
	case ev.name == "push" && ev.After != "":
		p.head = ev.After
		if name := ev.Repository.DefaultBranch; name != "" && ev.Ref != "refs/heads/"+name {
			if p.trusted = p.defaultBranch(ctx, repo, in, ev, ""); p.trusted == "" {
				return "", "", shallow(fmt.Errorf("fetch %s: a push to another branch is scanned with the policy of the default branch", name))
			}
		}
		if git.None(ev.Before) {
			return "", ev.After, nil
		}
		return ev.Before, ev.After, nil
	case ev.name == "merge_group" && ev.MergeGroup != nil:
		p.head, p.trusted, p.based = ev.MergeGroup.HeadSHA, ev.MergeGroup.BaseSHA, true
		return ev.MergeGroup.BaseSHA, ev.MergeGroup.HeadSHA, nil
	case strings.HasPrefix(ev.name, "pull_request") && ev.PullRequest != nil:
		pr := ev.PullRequest
		p.head, p.trusted, p.pull, p.based = pr.Head.SHA, pr.Base.SHA, pr.Number, true
		if ev.name == "pull_request_target" {
			if err := safeTarget(ctx, repo, pr.Base.SHA); err != nil {
				return "", "", err
			}
		}
		return pr.Base.SHA, pr.Head.SHA, nil
	}
	p.mode = "history"
	if !ofTheRepository[ev.name] { // somebody from outside may have caused it, and what is checked out may be theirs
		if p.trusted = p.defaultBranch(ctx, repo, in, ev, ""); p.trusted == "" {
			return "", "", shallow(fmt.Errorf("event %s: the default branch, whose policy holds, is not to be had", ev.name))
		}
	}
	return "", p.head, nil
}

// ofTheRepository are events that only who may write to the repository causes.
var ofTheRepository = map[string]bool{"schedule": true, "workflow_dispatch": true, "repository_dispatch": true, "push": true, "create": true, "release": true, "merge_group": true, "deployment": true}

// safeTarget refuses a workflow on pull_request_target that has checked out what the
// pull request brings: it runs with the secrets and the token of the repository,
// and somebody else's code lies where the next step may run it.
// https://securitylab.github.com/resources/github-actions-preventing-pwn-requests/
func safeTarget(ctx context.Context, repo *git.Repo, base string) error {
	head, err := repo.Head(ctx)
	if err != nil {
		return err
	}
	if head == base || head != "" && repo.Reaches(ctx, base, head) {
		return nil
	}
	return hint(errors.New("pull_request_target with a checkout of what the pull request brings: such a workflow has the repository's secrets, and the contributor's code beside them"),
		"nothing was scanned: use on: pull_request, which needs no secret here, also for forks",
		"or check out the base (actions/checkout without ref): the commits of the pull request are fetched and only read")
}

// named returns the ends that the inputs base and head name, those of the event
// where they do not.
func named(ctx context.Context, repo *git.Repo, in *inputs, base, head string) (string, string, error) {
	for _, end := range []struct {
		name, rev string
		to        *string
	}{{"base", in.base, &base}, {"head", in.head, &head}} {
		if end.rev == "" {
			continue
		}
		for _, rev := range []string{end.rev, "refs/remotes/origin/" + end.rev} {
			id, err := repo.Resolve(ctx, rev)
			if err != nil {
				return "", "", err
			}
			if *end.to = id; id != "" {
				break
			}
		}
		if *end.to == "" {
			if len(end.rev) < 40 || strings.Trim(end.rev, "0123456789abcdef") != "" {
				return "", "", shallow(fmt.Errorf("input %s: there is no commit %q in the checkout", end.name, end.rev))
			}
			*end.to = end.rev // it is fetched
		}
	}
	return base, cmp.Or(head, "HEAD"), nil
}

// fetch makes sure that the commits of a range are here, and settles it.
func (p *plan) fetch(ctx context.Context, repo *git.Repo, in *inputs, ev *event, base, head string) error {
	if !repo.Has(ctx, head) {
		if err := repo.Fetch(ctx, in.token, "--depth=50", cmp.Or(pullRef(p, head), head)); err != nil {
			return shallow(fmt.Errorf("commit %.12s is not in the checkout: %w", head, err))
		}
	}
	if base != "" && !repo.Has(ctx, base) {
		if err := repo.Fetch(ctx, in.token, "--depth=50", base); err != nil {
			if p.based || in.base != "" {
				return shallow(fmt.Errorf("commit %.12s is not in the checkout: %w", base, err))
			}
			p.notes = append(p.notes, fmt.Sprintf("commit %.12s, which the push took the place of, is gone: everything that is not on the default branch was scanned", base))
			base = ""
		}
	}
	if base == "" {
		if base = p.defaultBranch(ctx, repo, in, ev, head); base == "" {
			p.notes = append(p.notes, "there is nothing to compare with: the whole history of the ref was scanned")
		}
	}
	if err := repo.Deepen(ctx, in.token, base, head); err != nil {
		return shallow(err)
	}
	p.commits = git.Range{Include: []string{head}, Renames: true}
	if p.pull > 0 && in.head != "" { // a branch of a fork may be called as one of ours
		if err := repo.Fetch(ctx, in.token, "--depth=50", pullRef(p, p.head)); err != nil && !repo.Has(ctx, p.head) {
			return shallow(fmt.Errorf("commit %.12s is not in the checkout: %w", p.head, err))
		}
		if err := repo.Deepen(ctx, in.token, base, p.head); err != nil {
			return shallow(err)
		}
		p.commits.Include = append(p.commits.Include, p.head)
	}
	if base != "" {
		p.commits.Exclude = []string{base}
	}
	if tag, ok := strings.CutPrefix(ev.Ref, "refs/tags/"); ok && ev.name == "push" && in.base == "" {
		tree, err := repo.Tree(ctx, head)
		if err != nil {
			return fmt.Errorf("read the tree of the tag %s: %w", tag, err)
		}
		messages, err := repo.TagMessages(ctx, head)
		if err != nil {
			return fmt.Errorf("read the message of the tag %s: %w", tag, err)
		}
		p.objects = append(tree, messages...)
		p.notes = append(p.notes, "a tag: all files that it names were scanned, and the commits that are not on the default branch")
	}
	return nil
}

// pullRef is the ref that GitHub keeps for a pull request: the commits of a fork are
// in the base repository under it.
func pullRef(p *plan, head string) string {
	if p.pull == 0 || head != p.head {
		return ""
	}
	return fmt.Sprintf("+refs/pull/%d/head:refs/keyward/pull", p.pull)
}

// defaultBranch returns the tip of the default branch, fetched if need be, for what
// is new and has no commit before it; "" if there is none, or if it is what was pushed.
func (p *plan) defaultBranch(ctx context.Context, repo *git.Repo, in *inputs, ev *event, head string) string {
	name := ev.Repository.DefaultBranch
	if name == "" || ev.Ref == "refs/heads/"+name {
		return ""
	}
	remote := "refs/remotes/origin/" + name
	if err := repo.Fetch(ctx, in.token, "--depth=50", "+refs/heads/"+name+":"+remote); err != nil && !repo.Has(ctx, remote) {
		return ""
	}
	id, err := repo.Resolve(ctx, remote)
	if err != nil {
		return ""
	}
	return id
}
