package github

import (
	"context"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v62/github"
)

// A Text is what somebody wrote, and its address.
type Text struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	URL   string `json:"url"`
}

// discussionQuery reads a discussion or a comment in one. REST has no operation for them.
// https://docs.github.com/graphql/guides/using-the-graphql-api-for-discussions
const discussionQuery = `query($id: ID!) { node(id: $id) { ... on Discussion { title body url } ... on DiscussionComment { body url } } }`

// Discussion reads a discussion, or a comment in one, by its global id. It returns an error
// with the status 404 if it was deleted, and 403 if the App may not read it.
func (c *Client) Discussion(ctx context.Context, id string) (*Text, error) {
	query := map[string]any{"query": discussionQuery, "variables": map[string]string{"id": id}}
	// Relative to https://api.github.com/ and to https://HOST/api/v3/ of a server.
	req, err := c.NewRequest(http.MethodPost, "../graphql", query)
	if err != nil {
		return nil, fmt.Errorf("read a discussion: %w", err)
	}
	var answer struct {
		Data struct {
			Node *Text `json:"node"`
		} `json:"data"`
		Errors []struct {
			Type string `json:"type"`
		} `json:"errors"`
	}
	res, err := c.Do(withQuery(ctx), req, &answer)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read a discussion: %w", err)
	case len(answer.Errors) > 0 && answer.Errors[0].Type == "FORBIDDEN":
		res.Response.StatusCode = http.StatusForbidden
		return nil, fmt.Errorf("read a discussion: %w", &gh.ErrorResponse{Response: res.Response, Message: "the App may not read it"})
	case len(answer.Errors) > 0 && answer.Errors[0].Type != "NOT_FOUND":
		return nil, fmt.Errorf("read a discussion: GitHub's GraphQL API answered %.40q", answer.Errors[0].Type)
	case answer.Data.Node == nil || answer.Data.Node.URL == "":
		res.Response.StatusCode = http.StatusNotFound
		return nil, fmt.Errorf("read a discussion: %w", &gh.ErrorResponse{Response: res.Response, Message: "not found"})
	}
	return answer.Data.Node, nil
}

// A reading context marks a POST that changes nothing: it is not paced as a write.
type reading struct{}

func withQuery(ctx context.Context) context.Context { return context.WithValue(ctx, reading{}, true) }
