package jobs

import (
	"testing"

	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
)

// TestOrigin tells the texts of events apart, and those that the release before stored by
// what it called them.
func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		event webhook.Event
		want  store.Origin
	}{
		{webhook.Event{Name: "issues", Number: 4}, store.Origin{Kind: store.TextIssue, Number: 4}},
		{webhook.Event{Name: "pull_request", Number: 5, Comment: 9}, store.Origin{Kind: store.TextIssue, Number: 5}},
		{webhook.Event{Name: "issue_comment", Number: 4, Comment: 9}, store.Origin{Kind: store.TextComment, Item: "9", Number: 4}},
		{webhook.Event{Name: "pull_request_review", Number: 5, Comment: 9}, store.Origin{Kind: store.TextReview, Item: "9", Number: 5}},
		{webhook.Event{Name: "commit_comment", Comment: 9}, store.Origin{Kind: store.TextCommitComment, Item: "9"}},
		{webhook.Event{Name: "discussion_comment", Number: 6, Comment: 9, Node: "DC_kw"}, store.Origin{Kind: store.TextDiscussionComment, Item: "DC_kw", Number: 6}},
		{webhook.Event{Name: "release", Comment: 9}, store.Origin{Kind: store.TextRelease, Item: "9"}},
	} {
		got := originOf(&tt.event)
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.event.Name, got, tt.want)
		}
		if readers[got.Kind] == nil {
			t.Errorf("%s: nothing reads texts of kind %q", tt.event.Name, got.Kind)
		}
	}
	for path, want := range map[string]store.Origin{
		"comment 12 on #3": {Kind: store.TextComment, Item: "12", Number: 3},
		"text of #3":       {Kind: store.TextIssue, Number: 3},
		"src/main.go":      {},
	} {
		if got := formerOrigin(&store.Place{Path: path, URL: "https://github.com/acme/app/issues/3"}); got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
		if got := formerOrigin(&store.Place{Path: path}); got != (store.Origin{}) {
			t.Errorf("file %s: got %+v, want a file", path, got)
		}
	}
}
