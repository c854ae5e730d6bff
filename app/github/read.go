package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// File returns the content of a file on the default branch of a repository, nil if there
// is none that can be used: it is not there, is a directory, or has more than limit
// bytes.
func (c *Client) File(ctx context.Context, owner, name, path string, limit int) ([]byte, error) {
	content, _, _, err := c.Repositories.GetContents(ctx, owner, name, path, nil)
	if Status(err) == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %s/%s: %w", path, owner, name, err)
	}
	if content == nil || content.GetSize() > limit || content.GetEncoding() == "none" { // GitHub sends no content over 1 MB
		return nil, nil
	}
	text, err := content.GetContent()
	if err != nil {
		return nil, fmt.Errorf("read %s of %s/%s: %w", path, owner, name, err)
	}
	return []byte(text), nil
}

// Said reports whether a program has written a comment on an issue that begins with a
// mark: a comment whose answer was lost is not written twice. A nil since means ever.
func (c *Client) Said(ctx context.Context, owner, name string, number int, mark string, since *time.Time) (bool, error) {
	body, err := c.comment(ctx, owner, name, number, mark, since)
	return body != "", err
}

// Comment returns the text of the comment of a program that begins with a mark, "" if
// there is none.
func (c *Client) Comment(ctx context.Context, owner, name string, number int, mark string) (string, error) {
	return c.comment(ctx, owner, name, number, mark, nil)
}

func (c *Client) comment(ctx context.Context, owner, name string, number int, mark string, since *time.Time) (string, error) {
	opt := &gh.IssueListCommentsOptions{Since: since, ListOptions: gh.ListOptions{PerPage: 100}}
	for {
		list, res, err := c.Issues.ListComments(ctx, owner, name, number, opt)
		if err != nil {
			return "", fmt.Errorf("read the comments of %s/%s#%d: %w", owner, name, number, err)
		}
		for _, comment := range list {
			if comment.GetUser().GetType() == "Bot" && strings.HasPrefix(comment.GetBody(), mark) {
				return comment.GetBody(), nil
			}
		}
		if res.NextPage == 0 {
			return "", nil
		}
		opt.Page = res.NextPage
	}
}
