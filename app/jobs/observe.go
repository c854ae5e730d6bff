package jobs

import (
	"context"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/store"
)

// observeTitle is what the title of a check begins with that does not block.
const observeTitle = "observe-only: would fail: "

// observe lets a check end neutral that would fail, if the App or the policy observes only.
// What is stored stays a failure: the check of another pull request must know.
func (r *Runner) observe(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository) error {
	if s.Result.Conclusion != "failure" {
		return nil
	}
	observed := s.Result.Observed || r.ObserveOnly.At(r.Store.Now())
	if !observed && s.Result.Unscanned { // then its policy was not read either
		app, err := r.settings(ctx, c, repo)
		if err != nil {
			return err
		}
		observed = app.Observe.At(r.Store.Now())
	}
	if !observed {
		return nil
	}
	s.Result.Conclusion, s.Result.Title = "neutral", observeTitle+s.Result.Title
	note := "> **Observe-only:** this check would fail. It does not block, and rotation issues are opened as usual."
	if s.Result.Note != "" {
		note += "\n\n" + s.Result.Note
	}
	s.Result.Note = note
	return nil
}
