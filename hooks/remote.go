package hooks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
)

// The refs that show what a remote has: where commits leave, and where they arrive.
const (
	ofRemotes  = "refs/remotes"
	ofBranches = "refs/heads"
)

// below names a prefix that is known.
func below(refs string) func(context.Context) string {
	return func(context.Context) string { return refs }
}

// ofPushRemote names what the remote has that the current branch is pushed to.
func (j *job) ofPushRemote(ctx context.Context) string {
	return ofRemotes + "/" + j.repo.PushRemote(ctx)
}

// mostTips is how many branches of remotes are read for a finding: those with the newest
// commits.
const mostTips = 20

// mostComparing is how long the branches of a remote may be read: a developer waits.
const mostComparing = 5 * time.Second

// markPublished notes on keys that a remote has them, and returns those: merging, picking or
// copying what everybody can fetch tells nobody anything new, and stops nobody. It has a key
// if one of its branches has it at each path at which the key was found.
func (j *job) markPublished(ctx context.Context, keys []*scanner.Key) (marked []*scanner.Key, err error) {
	if j.published == nil || len(keys) == 0 {
		return nil, nil
	}
	paths := map[string]bool{}
	for _, k := range keys {
		for _, p := range k.Places {
			paths[p.Path] = true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, mostComparing)
	defer cancel()
	tips, err := j.repo.Tips(ctx, j.published(ctx), mostTips)
	if err != nil {
		return nil, err
	}
	for _, tip := range tips {
		have, err := j.reader().PrintsAt(ctx, tip.ID, slices.Sorted(maps.Keys(paths)))
		if err != nil {
			return marked, err
		}
		for _, k := range keys {
			missing := func(p scanner.Place) bool { return !have[p.Path][k.Fingerprint] }
			if k.Known == nil && !slices.ContainsFunc(k.Places, missing) {
				where := strings.TrimPrefix(strings.TrimPrefix(tip.Ref, "refs/remotes/"), "refs/heads/")
				k.Known = &scanner.Known{By: "remote", Where: where, Reason: "already in " + where + ": rotate it"}
				marked = append(marked, k)
			}
		}
	}
	return marked, nil
}

// publishedNote says which keys do not stop a hook because a remote has them.
func publishedNote(known []*scanner.Key) []string {
	var where []string
	n := 0
	for _, k := range known {
		if k.Known.By == "remote" {
			n++
			where = append(where, k.Known.Where)
		}
	}
	if n == 0 {
		return nil
	}
	slices.Sort(where)
	return []string{fmt.Sprintf("%s already in %s: rotate it there. A hook stops only what is new to the remote",
		report.Count(n, "finding"), strings.Join(slices.Compact(where), ", "))}
}
