package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	gh "github.com/google/go-github/v62/github"
	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/report"
)

// text scans what somebody wrote. A key pasted there has leaked too. The text is read from
// GitHub, and kept nowhere.
func (r *Runner) text(ctx context.Context, job *river.Job[TextArgs], log *slog.Logger) error {
	return r.scanText(ctx, &job.Args.Event, log)
}

func (r *Runner) writing(ctx context.Context, job *river.Job[WritingArgs], log *slog.Logger) error {
	return r.scanText(ctx, &job.Args.Event, log)
}

func (r *Runner) scanText(ctx context.Context, e *webhook.Event, log *slog.Logger) error {
	repo, err := r.see(ctx, e)
	if err != nil {
		return err
	}
	c := r.GitHub.Installation(e.Installation)
	in, err := read(ctx, c, repo, originOf(e))
	switch github.Status(err) {
	case http.StatusNotFound, http.StatusGone:
		return nil // deleted in the meantime
	case http.StatusForbidden:
		log.Warn("text not scanned: GitHub does not let the App read it; keyward-app doctor checks its permissions", "repository", repo.ID, "text", e.Name, "number", e.Number)
		return nil
	}
	if err != nil {
		return err
	}
	keys, err := r.Engine.Text(in.name, []byte(r.Keeper.Foreign(e.Installation, in.text)))
	if err == nil {
		err = r.recognise(ctx, e.Installation, keys)
	}
	if err == nil && len(keys) > 0 {
		err = r.pasted(ctx, c, repo, e, in, keys, log)
	}
	return errors.Join(err, r.commands(ctx, c, repo, e, in, log))
}

// pasted keeps the keys that a text has in it, and tells who wrote it.
func (r *Runner) pasted(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event, in writing, keys []*scanner.Key, log *slog.Logger) error {
	changes, err := r.record(ctx, c, repo, e, keys, func(p *store.Place) { p.URL, p.Origin = in.url, in.origin })
	if err != nil {
		return err
	}
	log.Info("keys in a text", "repository", repo.ID, "text", in.origin.Kind, "number", e.Number, "keys", len(changes))
	return r.reply(ctx, c, repo, e, in.name, keys, changes)
}

// record keeps keys that stand in texts. locate completes each place.
func (r *Runner) record(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event, keys []*scanner.Key, locate func(*store.Place)) ([]store.Change, error) {
	settings, err := r.settings(ctx, c, repo)
	if err != nil {
		return nil, err
	}
	state, err := r.heard(ctx, repo, e)
	if err != nil {
		return nil, err
	}
	list := r.credentials(keys, settings, state)
	for i := range list {
		for j := range list[i].Places {
			locate(&list[i].Places[j])
		}
	}
	if state == store.StateQuiet { // anybody may write there
		if list, err = r.fromOutside(ctx, repo, list); err != nil {
			return nil, err
		}
	}
	changes, err := r.Store.Record(ctx, repo.ID, list)
	if err != nil {
		return nil, err
	}
	return changes, r.tellSoon(ctx, e.Installation)
}

// fromOutside returns the credentials of a text or a fork that are kept: those that are known,
// and of the others as many as outsiders may add to a repository in a day.
func (r *Runner) fromOutside(ctx context.Context, repo *store.Repository, list []store.Credential) ([]store.Credential, error) {
	prints := make([]string, len(list))
	for i := range list {
		prints[i] = list[i].Fingerprint
	}
	known, err := r.Store.Recognised(ctx, repo.Installation, prints)
	if err != nil {
		return nil, err
	}
	fresh := 0
	for _, fp := range prints {
		if !known[fp] {
			fresh++
		}
	}
	left, err := r.Store.AllowOutsider(ctx, repo.Installation, repo.ID, r.Store.Now(), fresh, outsiderFindings)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(c store.Credential) bool {
		if known[c.Fingerprint] {
			return false
		}
		left--
		return left < 0
	}), nil
}

// heard says what becomes of a key in a text. Where everybody may write comments, only
// what those say who may write to the repository opens issues.
func (r *Runner) heard(ctx context.Context, repo *store.Repository, e *webhook.Event) (store.State, error) {
	if !repo.Public {
		return store.StateOpen, nil
	}
	role, err := r.role(ctx, repo, senderOf(e))
	if err == nil && life.MayWrite(role) {
		return store.StateOpen, nil
	}
	return store.StateQuiet, err
}

// answerable reports whether an event is about a text below which an issue comment can be
// written.
func answerable(e *webhook.Event) bool {
	switch store.TextKind(e.Name) {
	case store.TextCommitComment, store.TextDiscussion, store.TextDiscussionComment, store.TextRelease:
		return false
	}
	return true
}

// reply tells who wrote the text, once. It names the kind of the key and never quotes
// it. In a public repository it says nothing: it would point everybody at the key.
func (r *Runner) reply(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event, name string, keys []*scanner.Key, changes []store.Change) error {
	if repo.Public || !answerable(e) {
		return nil
	}
	dismissed := map[string]bool{}
	for _, change := range changes {
		dismissed[change.Fingerprint] = change.State == store.StateDismissed || change.State == store.StateQuiet
	}
	var kinds, prints []string
	for _, k := range keys {
		if !dismissed[k.Fingerprint] {
			kinds = append(kinds, fmt.Sprintf("- %s, %s", report.Code(k.Rule.Title), report.Alias(k.Fingerprint)))
			prints = append(prints, k.Fingerprint)
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	return r.say(ctx, c, repo, e.Number, "text", name+" "+strings.Join(prints, " "), fmt.Sprintf("The %s has what looks like a key in it:\n\n%s\n\nIt has leaked: who can read this, and its mails, can use it. "+
		"Rotate it, and take it out of the text; its old version stays in the edit history until it is deleted there.\n", textName(e), strings.Join(kinds, "\n")))
}

// textName is what a reply calls the text of an event.
func textName(e *webhook.Event) string {
	switch store.TextKind(e.Name) {
	case store.TextComment:
		return "comment"
	case store.TextReview:
		return "review"
	case store.TextReviewComment:
		return "review comment"
	}
	return "text"
}

// say comments on an issue or a pull request, once: a comment whose answer was lost is
// recognised by its marker, which is of a kind of text and of what it answers. Where the
// App may not, nothing is said.
func (r *Runner) say(ctx context.Context, c *github.Client, repo *store.Repository, number int, kind, to, text string) error {
	marks := r.Keeper.Marks(kind, repo.ID, to, func(mac string) string { return "<!-- keyward v1 " + kind + " mac=" + mac + " -->" })
	if said, err := c.Said(ctx, repo.Owner, repo.Name, number, marks, nil); err != nil || said {
		return err
	}
	body := r.Guard.String(marks[0] + "\n" + text)
	_, _, err := c.Issues.CreateComment(ctx, repo.Owner, repo.Name, number, &gh.IssueComment{Body: &body})
	if silent(err) {
		r.Log.Warn("no reply", "to", kind, "repository", repo.ID, "number", number, "status", github.Status(err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("reply on #%d: %w", number, err)
	}
	return nil
}

// silent reports whether an error means that there is nobody to answer any more.
func silent(err error) bool {
	s := github.Status(err)
	return s == http.StatusForbidden || s == http.StatusGone || s == http.StatusNotFound
}
