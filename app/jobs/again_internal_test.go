package jobs

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/keyward/keyward/app/store"
)

// TestAgainTooEarly: who asks for a scan again while its result is being published is served
// later, and never dropped without a word.
func TestAgainTooEarly(t *testing.T) {
	r := newRunner(t)
	for _, c := range []struct {
		name   string
		asked  time.Time
		snooze bool
	}{
		{"just asked", r.Store.Now(), true},
		{"unpublished for hours", r.Store.Now().Add(-2 * time.Hour), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := &river.Job[AgainArgs]{JobRow: &rivertype.JobRow{CreatedAt: c.asked}}
			err := r.scanAgain(t.Context(), job, &store.Scan{ID: "x", State: store.ScanDone}, nil, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("the request was dropped without a word")
			}
			var snooze *river.JobSnoozeError
			if errors.As(err, &snooze) != c.snooze {
				t.Errorf("got %v, want a snooze: %t", err, c.snooze)
			}
		})
	}
}
