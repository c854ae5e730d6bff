package jobs

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/keyward/keyward/app/store"
)

// rescued says what became of a job whose process is gone. One that has failed for good must
// not look as if it were still under way: its check fails, or its history is marked.
func (r *Runner) rescued(ctx context.Context, job *store.Rescued) error {
	log := r.Log.With("job", job.ID, "kind", job.Kind, "deaths", job.Deaths)
	if !job.Failed {
		log.Warn("job taken over from a process that is gone")
		return nil
	}
	why := fmt.Sprintf("the process that ran it ended %d times", job.Deaths)
	log.Error("job failed for good", "why", why)
	switch job.Kind {
	case ScanArgs{}.Kind():
		var args ScanArgs
		if err := json.Unmarshal([]byte(job.Args), &args); err != nil {
			return fmt.Errorf("read the arguments of job %d: %w", job.ID, err)
		}
		s, err := r.Store.Scan(ctx, scanID(&args.Event))
		if err != nil || s.Result != nil {
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
		return r.Store.SetBackfill(ctx, args.Repository, "failed", why)
	}
	return nil
}
