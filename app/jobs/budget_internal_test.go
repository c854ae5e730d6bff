package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner"
)

// fails is the error of a scan that exceeds its budget, as package scan returns it.
type fails struct{ error }

func (fails) Is(target error) bool { return target == scan.ErrTooLarge }

func (f fails) Unwrap() error { return f.error }

// TestOverBudget: a scan that exceeds its budget fails its check with the count at the first
// attempt, and its job is cancelled.
func TestOverBudget(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRunner(t)
	repo := repositoryOf(&webhook.Repo{ID: 8, Owner: "acme", Name: "widgets"}, 7)
	if err := errors.Join(r.Store.PutInstallation(ctx, &store.Installation{ID: 7, Account: "acme", AccountID: 1}), r.Store.PutRepository(ctx, repo)); err != nil {
		t.Fatal(err)
	}
	s, err := r.Store.BeginScan(ctx, &store.Scan{ID: "0123", Installation: 7, Repository: 8, Source: "push", Head: strings.Repeat("a", 40)})
	if err != nil {
		t.Fatal(err)
	}
	cause := fails{fmt.Errorf("list: %w", &scanner.BudgetError{What: "changed files", Count: 10_000_000, Limit: 500_000})}
	err = r.unscanned(ctx, s, repo, 1, cause)
	var cancelled *river.JobCancelError
	if !errors.As(err, &cancelled) {
		t.Errorf("got %v, want a cancelled job", err)
	}
	if s, err = r.Store.Scan(ctx, "0123"); err != nil || s.Result == nil {
		t.Fatal(s, err)
	}
	if s.Result.Conclusion != "failure" || s.Result.Title != "Not scanned: at least 10,000,000 changed files, more than the limit of 500,000 for one scan" || strings.Contains(s.Result.Summary, "retries for") {
		t.Errorf("the check says %q\n%s", s.Result.Title, s.Result.Summary)
	}
}
