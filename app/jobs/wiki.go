package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
)

// wiki scans the pages of a wiki as they are now. A wiki is a repository of its own, which
// the installation's token for contents reads where GitHub lets it. Where it does not, the
// log and the metrics say that the wiki was not scanned.
// https://docs.github.com/webhooks/webhook-events-and-payloads#gollum
func (r *Runner) wiki(ctx context.Context, job *river.Job[WikiArgs], log *slog.Logger) error {
	e := &job.Args.Event
	repo, err := r.see(ctx, e)
	if err != nil {
		return err
	}
	c := r.GitHub.Installation(e.Installation)
	res, err := r.Engine.Wiki(ctx, r.wikiJob(c, repo))
	if err != nil {
		err = fmt.Errorf("scan the wiki of repository %d: %w", repo.ID, err)
		if job.Attempt < tries || ctx.Err() != nil {
			return err
		}
		log.Error("wiki not scanned", "repository", repo.ID, "why", r.Guard.String(err.Error()))
		return river.JobCancel(err)
	}
	if n := len(res.Coverage.Gaps); n > 0 {
		log.Warn("wiki not scanned in full", "repository", repo.ID, "not_scanned", n, "why", r.Guard.String(res.Coverage.Gaps[0].Reason))
	}
	if len(res.Keys) == 0 {
		return nil
	}
	if err := r.recognise(ctx, e.Installation, res.Keys); err != nil {
		return err
	}
	changes, err := r.record(ctx, c, repo, e, res.Keys, func(p *store.Place) {
		page := p.Path
		name := strings.TrimSuffix(page[strings.LastIndexByte(page, '/')+1:], ".md")
		p.Path, p.Commit, p.Blob = "wiki page "+page, "", "" // they are not of the repository
		p.URL = fmt.Sprintf("%s/%s/%s/wiki/%s", r.GitHub.Web(), url.PathEscape(repo.Owner), url.PathEscape(repo.Name), url.PathEscape(name))
		p.Origin = store.Origin{Kind: store.TextWiki, Item: page}
	})
	if err == nil {
		log.Info("keys in a wiki", "repository", repo.ID, "keys", len(changes))
	}
	return err
}

// wikiJob is what reads the wiki of a repository.
func (r *Runner) wikiJob(c *github.Client, repo *store.Repository) *scan.Job {
	job := r.scanJob(c, &store.Scan{Source: "push"}, repo)
	job.URL = r.GitHub.CloneURL(repo.Owner, repo.Name+".wiki")
	return job
}
