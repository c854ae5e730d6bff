package hooks

import (
	"context"
	"path/filepath"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/policy"
)

// everywhere scans the message of a commit that was stopped, what is staged, the files and the
// history, one after the other, and hands each step's findings to enough, excepted ones
// too, until that returns true. It reports whether all was scanned that had to be.
func (env *Env) everywhere(ctx context.Context, enough func(*job, []*scanner.Key) bool) (complete bool, err error) {
	complete = true
	for _, step := range []struct {
		o    scanOptions
		work func(*job, context.Context) error
	}{
		{scanOptions{}, (*job).stoppedMessage},
		{scanOptions{staged: true}, (*job).staged},
		{scanOptions{}, (*job).tree},
		{scanOptions{history: true}, (*job).history},
	} {
		o := step.o
		o.minConfidence, o.maxSize = anyConfidence, files.DefaultMaxSize
		var j *job
		r, _, err := env.runJob(ctx, hookOptions(&o), nil, func(it *job, ctx context.Context) error {
			j = it
			if j.repo == nil && j.o.mode() != "tree" || j.repo != nil && j.repo.Bare && !j.o.history {
				return nil // there is nothing of that kind
			}
			return step.work(j, ctx)
		})
		if err != nil {
			return false, err
		}
		complete = complete && r.Coverage.Complete()
		if enough(j, append(r.Keys, r.Known...)) {
			return complete, nil
		}
	}
	return complete, nil
}

// stoppedMessage scans the message of the last commit that git asked for: a hook may just
// have stopped it.
func (j *job) stoppedMessage(ctx context.Context) error {
	if j.repo == nil {
		return nil
	}
	data, err := policy.ReadRegular(filepath.Join(j.repo.GitDir, "COMMIT_EDITMSG"), maxExplained)
	if err != nil {
		return nil // no commit yet
	}
	return j.message(ctx, data)
}
