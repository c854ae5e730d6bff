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

// Said reports whether a program has written a comment on an issue that begins with one of
// several marks: a comment whose answer was lost is not written twice. A nil since means
// ever.
func (c *Client) Said(ctx context.Context, owner, name string, number int, marks []string, since *time.Time) (bool, error) {
	_, said, err := c.comment(ctx, owner, name, number, marks, since)
	return said, err
}

// Comment returns what follows the mark in the comment of a program that begins with one of
// several marks, "" if there is none.
func (c *Client) Comment(ctx context.Context, owner, name string, number int, marks []string) (string, error) {
	rest, _, err := c.comment(ctx, owner, name, number, marks, nil)
	return rest, err
}

func (c *Client) comment(ctx context.Context, owner, name string, number int, marks []string, since *time.Time) (rest string, ok bool, err error) {
	opt := &gh.IssueListCommentsOptions{Since: since, ListOptions: gh.ListOptions{PerPage: 100}}
	for {
		list, res, err := c.Issues.ListComments(ctx, owner, name, number, opt)
		if err != nil {
			return "", false, fmt.Errorf("read the comments of %s/%s#%d: %w", owner, name, number, err)
		}
		for _, comment := range list {
			if comment.GetUser().GetType() != "Bot" {
				continue
			}
			for _, mark := range marks {
				if rest, ok := strings.CutPrefix(comment.GetBody(), mark); ok {
					return rest, true, nil
				}
			}
		}
		if res.NextPage == 0 {
			return "", false, nil
		}
		opt.Page = res.NextPage
	}
}
