package jobs

import (
	"context"
	"fmt"
	"strconv"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
)

// A writing is a text on GitHub as it is now.
type writing struct {
	origin          store.Origin
	name, url, text string // what to call it, and its address
	edited          bool   // it is not what was written first
}

// originOf returns the text that an event speaks of.
func originOf(e *webhook.Event) store.Origin {
	o := store.Origin{Kind: store.TextKind(e.Name), Item: strconv.FormatInt(e.Comment, 10), Number: e.Number}
	switch o.Kind {
	case "issues", "pull_request":
		return store.Origin{Kind: store.TextIssue, Number: e.Number}
	case store.TextDiscussion, store.TextDiscussionComment:
		o.Item = e.Node
	}
	return o
}

// formerOrigin reads the origin of a text that the release before this one found: it wrote
// it only into what the place is called.
func formerOrigin(p *store.Place) store.Origin {
	var comment int64
	var number int
	if p.URL == "" {
		return store.Origin{}
	}
	if n, _ := fmt.Sscanf(p.Path, "comment %d on #%d", &comment, &number); n == 2 {
		return store.Origin{Kind: store.TextComment, Item: strconv.FormatInt(comment, 10), Number: number}
	}
	if n, _ := fmt.Sscanf(p.Path, "text of #%d", &number); n == 1 {
		return store.Origin{Kind: store.TextIssue, Number: number}
	}
	return store.Origin{}
}

// read reads a text. Its error has GitHub's status, such as 404 for a text that was deleted.
func read(ctx context.Context, c *github.Client, repo *store.Repository, o store.Origin) (writing, error) {
	reader, ok := readers[o.Kind]
	if !ok {
		return writing{}, fmt.Errorf("read a text: unknown kind %q", o.Kind)
	}
	var id int64
	if o.Kind != store.TextIssue && o.Kind != store.TextDiscussion && o.Kind != store.TextDiscussionComment {
		var err error
		if id, err = strconv.ParseInt(o.Item, 10, 64); err != nil {
			return writing{}, fmt.Errorf("read a text: invalid id of kind %s: %w", o.Kind, err)
		}
	}
	in, err := reader(ctx, c, repo, o, id)
	if err != nil {
		return writing{}, fmt.Errorf("read %s %s of #%d: %w", o.Kind, o.Item, o.Number, err)
	}
	in.origin = o
	return in, nil
}

// readers read the texts of each kind. id is the origin's item as a number.
var readers = map[store.TextKind]func(ctx context.Context, c *github.Client, repo *store.Repository, o store.Origin, id int64) (writing, error){
	store.TextIssue: func(ctx context.Context, c *github.Client, repo *store.Repository, o store.Origin, _ int64) (writing, error) {
		got, _, err := c.Issues.Get(ctx, repo.Owner, repo.Name, o.Number) // pull requests are issues, too
		return writing{name: fmt.Sprintf("text of #%d", o.Number), url: got.GetHTMLURL(), text: got.GetTitle() + "\n\n" + got.GetBody()}, err
	},
	store.TextComment: func(ctx context.Context, c *github.Client, repo *store.Repository, o store.Origin, id int64) (writing, error) {
		got, _, err := c.Issues.GetComment(ctx, repo.Owner, repo.Name, id)
		return writing{name: fmt.Sprintf("comment %d on #%d", id, o.Number), url: got.GetHTMLURL(), text: got.GetBody(), edited: !got.GetUpdatedAt().Equal(got.GetCreatedAt())}, err
	},
	store.TextReviewComment: func(ctx context.Context, c *github.Client, repo *store.Repository, o store.Origin, id int64) (writing, error) {
		got, _, err := c.PullRequests.GetComment(ctx, repo.Owner, repo.Name, id)
		return writing{name: fmt.Sprintf("review comment %d on #%d", id, o.Number), url: got.GetHTMLURL(), text: got.GetBody()}, err
	},
	store.TextReview: func(ctx context.Context, c *github.Client, repo *store.Repository, o store.Origin, id int64) (writing, error) {
		got, _, err := c.PullRequests.GetReview(ctx, repo.Owner, repo.Name, o.Number, id)
		return writing{name: fmt.Sprintf("review %d of #%d", id, o.Number), url: got.GetHTMLURL(), text: got.GetBody()}, err
	},
	store.TextCommitComment: func(ctx context.Context, c *github.Client, repo *store.Repository, _ store.Origin, id int64) (writing, error) {
		got, _, err := c.Repositories.GetComment(ctx, repo.Owner, repo.Name, id)
		return writing{name: fmt.Sprintf("comment %d on commit %.12s", id, got.GetCommitID()), url: got.GetHTMLURL(), text: got.GetBody()}, err
	},
	store.TextRelease: func(ctx context.Context, c *github.Client, repo *store.Repository, _ store.Origin, id int64) (writing, error) {
		got, _, err := c.Repositories.GetRelease(ctx, repo.Owner, repo.Name, id)
		return writing{name: fmt.Sprintf("notes of release %d", id), url: got.GetHTMLURL(), text: got.GetName() + "\n\n" + got.GetBody()}, err
	},
	store.TextDiscussion:        discussion,
	store.TextDiscussionComment: discussion,
}

func discussion(ctx context.Context, c *github.Client, _ *store.Repository, o store.Origin, _ int64) (writing, error) {
	got, err := c.Discussion(ctx, o.Item)
	if err != nil {
		return writing{}, err
	}
	name := "text"
	if o.Kind == store.TextDiscussionComment {
		name = "comment " + o.Item
	}
	return writing{name: fmt.Sprintf("%s of discussion #%d", name, o.Number), url: got.URL, text: got.Title + "\n\n" + got.Body}, nil
}
