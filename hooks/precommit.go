package hooks

import (
	"context"
	"io"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
	"github.com/keyward/keyward/scanner/rules"
)

// preCommit is the hook before a commit: it scans what the commit would record.
func (env *Env) preCommit(ctx context.Context, names []string) error {
	if env.Getenv("PRE_COMMIT_LOCAL_BRANCH") != "" && env.Getenv("PRE_COMMIT_FROM_REF") == "" {
		return env.prePush(ctx, nil) // the framework's push of what has no commit before it
	}
	o := &scanOptions{}
	switch s := env.preCommitScope(names); {
	case s.commits != "":
		o.commits, o.emptyRange = s.commits, true
		return env.stopOn(ctx, o, report.Stopped{What: "check", Committed: true, List: "keyward scan --range " + s.commits}, (*job).commitRange)
	case s.everything:
		o.gitignore = true
		return env.stopOn(ctx, o, report.Stopped{What: "check", List: "keyward scan --gitignore"}, (*job).stagedAndTree)
	case len(s.files) > 0:
		return env.stopOn(ctx, o, report.Stopped{What: "check"}, func(j *job, ctx context.Context) error { return j.stagedAndFiles(ctx, s.files) })
	}
	if env.stagedIsClean(ctx) {
		return nil
	}
	o.staged = true
	return env.stopOn(ctx, o, commit, (*job).staged)
}

// stagedIsClean reports whether it is certain that a scan of what is staged would
// find nothing and leave nothing out. Most commits are clean, and a developer
// waits for each: this needs two git processes and neither the policy's exceptions,
// nor fingerprints, nor the repository's description. False only means that the
// whole scan has to say.
func (env *Env) stagedIsClean(ctx context.Context) bool {
	dir, err := env.directory(".")
	if err != nil {
		return false
	}
	if p, err := policy.Find(dir); err != nil || len(p.Rules) > 0 {
		return false
	}
	var s *scanner.Scanner
	var group errgroup.Group
	group.Go(func() error { // while git compares the trees
		list, err := rules.Lazy()
		if err == nil {
			s, err = scanner.New(list, scanner.Options{})
		}
		return err
	})
	repo, changes, ok := git.StagedQuickly(ctx, dir, git.Options{Getenv: env.Getenv})
	if group.Wait() != nil || !ok {
		return false
	}
	elsewhere := func(string) (io.ReadCloser, error) { return nil, fs.ErrNotExist } // a gap: the whole scan knows where LFS keeps its objects
	opt := files.Options{LFS: elsewhere}
	each := func(path string) string { return path } // every blob at every path of it
	for range s.Run(ctx, repo.Blobs(ctx, git.ListOf(changes), each, opt)) {
		return false // a finding, or a gap
	}
	return ctx.Err() == nil && len(repo.Warnings()) == 0
}

// stagedAndFiles scans what is staged, and the named files as they are on disk. Of a
// file that is staged only what is new counts.
func (j *job) stagedAndFiles(ctx context.Context, names []string) error {
	changes, err := j.scanStaged(ctx)
	if err != nil {
		return err
	}
	isStaged := map[string]bool{}
	for _, c := range changes {
		isStaged[c.Path] = true
	}
	return j.scanOnDisk(ctx, names, func(path string) bool { return isStaged[path] })
}

// stagedAndTree scans what is staged, and every file on disk that git does not ignore.
func (j *job) stagedAndTree(ctx context.Context) error {
	if err := j.staged(ctx); err != nil {
		return err
	}
	j.args, j.dir = []string{j.repo.Dir}, j.repo.Dir
	return j.tree(ctx)
}
