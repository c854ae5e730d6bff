package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/keyward/keyward/app/store"
)

// givenUp says what becomes of a job that has failed for good with its process. It must not
// look as if it were still under way: its check fails, or its history is marked.
func (r *Runner) givenUp(ctx context.Context, job *store.Rescued) error {
	why := fmt.Sprintf("the process that ran it ended %d times", job.Deaths)
	r.Log.Error("job failed for good", "job", job.ID, "kind", job.Kind, "deaths", job.Deaths, "why", why)
	switch job.Kind {
	case ScanArgs{}.Kind():
		var args ScanArgs
		if err := json.Unmarshal([]byte(job.Args), &args); err != nil {
			return fmt.Errorf("read the arguments of job %d: %w", job.ID, err)
		}
		s, err := r.Store.Scan(ctx, scanID(&args.Event))
		if errors.Is(err, store.ErrGone) || err == nil && s.Result != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.Store.FinishScan(ctx, s, r.notScanned(s, why)); err != nil {
			return err
		}
		return r.tellSoon(ctx, s.Installation)
	case BackfillArgs{}.Kind():
		var args BackfillArgs
		if err := json.Unmarshal([]byte(job.Args), &args); err != nil {
			return fmt.Errorf("read the arguments of job %d: %w", job.ID, err)
		}
		repo, err := r.Store.Repository(ctx, args.Repository)
		if errors.Is(err, store.ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		// The other histories' keys have waited for this one.
		return errors.Join(r.Store.SetBackfill(ctx, args.Repository, "failed", why), r.triageSoon(ctx, repo.Installation))
	}
	return nil
}
