package jobs

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v62/github"
	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

// signed reports whether a text is the one that came with a signed delivery.
func (r *Runner) signed(e *webhook.Event, text string) bool {
	return slices.ContainsFunc(r.Keeper.Peppers.CommentKeys(), func(key []byte) bool {
		return hmac.Equal([]byte(e.TextMAC), []byte(webhook.TextMAC(key, text)))
	})
}

// errUnsigned ends a job that acts for people and has no right MAC: it is forged, or the
// release before queued it. The job is cancelled, so that a redelivery counts.
var errUnsigned = river.JobCancel(errors.New("the event has no right MAC: redeliver it on GitHub"))

// authentic reports whether an event is one that a signed delivery brought. What people did
// counts only then: who can write to the database could put it into the queue.
func (r *Runner) authentic(e *webhook.Event) bool {
	return slices.ContainsFunc(r.Keeper.Peppers.CommentKeys(), e.SignedWith)
}

// commands does what a comment on the issue of a key asks for. Only the text that GitHub
// signed counts: one that is edited could say now what its author may not have said.
func (r *Runner) commands(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event, in writing, log *slog.Logger) error {
	if e.Name != "issue_comment" || e.Action != "created" || e.Bot || e.IsPull {
		return nil
	}
	rot, err := r.ourIssue(ctx, c, repo, e)
	if err != nil || rot == nil {
		return err
	}
	list := life.Commands(in.text)
	if !r.authentic(e) {
		log.Warn("command ignored: the event is not one that GitHub sent", "number", e.Number)
		return errUnsigned
	}
	if in.edited || !r.signed(e, in.text) {
		return r.edited(ctx, c, repo, e, len(list) > 0)
	}
	role, err := r.role(ctx, repo, senderOf(e))
	if err != nil {
		return err
	}
	if repo.Public && !life.MayWrite(role) { // anybody may comment there, and nobody would read the answers
		return nil
	}
	if rot.Kind == store.IssueSub && !seesTo(list) { // said of a part, it is said of the key
		if role, err = r.roleAbove(ctx, rot, senderOf(e)); err != nil {
			return err
		}
	}
	by := actor(e, role)
	if len(list) == 0 { // who answers has seen it
		if err := r.once(ctx, rot, life.Event{Kind: life.Ack, Actor: by}, store.Source{Kind: store.FromAnswer, ID: strconv.FormatInt(e.Comment, 10)}); err != nil {
			return err
		}
		return r.tellSoon(ctx, e.Installation)
	}
	if by.Approver, err = r.approver(ctx, c, repo, e.SenderLogin, role); err != nil {
		return err
	}
	var answers []string
	refused := false
	for _, cmd := range list {
		answer, ok, err := r.command(ctx, &asked{c, repo, rot, e.Comment, cmd, by})
		if err != nil {
			return err
		}
		refused = refused || !ok
		answers = append(answers, fmt.Sprintf("- %s: %s", report.Code("/"+cmd.Name), answer))
	}
	log.Info("commands", "key", rot.Fingerprint[:12], "number", e.Number, "commands", len(list), "refused", refused)
	return errors.Join(r.answer(ctx, c, repo, e, answers, refused), r.tellSoon(ctx, e.Installation))
}

// edited answers a comment whose text is not the one that GitHub signed: somebody changed it
// before it was read, and whoever wrote it may not have meant what it says now.
func (r *Runner) edited(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event, commands bool) error {
	if !commands || repo.Public { // nobody waits for an answer
		return nil
	}
	return r.say(ctx, c, repo, e.Number, "commands", fmt.Sprint(e.Comment), "The comment was edited after it was posted. No command was run: post it as a new comment.\n")
}

// seesTo reports whether commands say no more than that somebody sees to a key: whoever may
// write to a repository that has it may say so.
func seesTo(list []life.Command) bool {
	return !slices.ContainsFunc(list, func(c life.Command) bool { return c.Name != string(life.Ack) })
}

// roleAbove is the role that somebody has where the issue of the whole key is. What is said
// on a part holds for the key in all repositories.
func (r *Runner) roleAbove(ctx context.Context, rot *store.Rotation, who life.Person) (string, error) {
	whole, err := r.Store.Rotation(ctx, rot.Installation, rot.Fingerprint)
	if err != nil {
		return "", err
	}
	owner, name, _ := strings.Cut(whole.Repository, "/")
	return r.role(ctx, &store.Repository{Installation: rot.Installation, Owner: owner, Name: name}, who)
}

// approver reports whether somebody may accept risks: who the organisation's policy names;
// if it names nobody, the admins of the repository of the issues, of whom its own policy
// may name some.
func (r *Runner) approver(ctx context.Context, c *github.Client, repo *store.Repository, login, role string) (bool, error) {
	name, text, err := r.organisationPolicy(ctx, c, repo)
	if err != nil {
		return false, err
	}
	var named []string
	p, err := policy.Parse(name, text)
	if err != nil { // it may name some
		return false, nil
	}
	named = p.App.Approvers
	is := func(n string) bool { return strings.EqualFold(n, login) }
	if len(named) > 0 {
		return slices.ContainsFunc(named, is), nil
	}
	if role != "admin" { // whoever may write there may change its policy
		return false, nil
	}
	own, broken, err := r.ownSettings(ctx, c, repo) // one that is broken may name some
	return err == nil && !broken && (len(own.Approvers) == 0 || slices.ContainsFunc(own.Approvers, is)), err
}

// asked is a command that somebody gave in a comment on the issue of a key.
type asked struct {
	c       *github.Client
	repo    *store.Repository
	rot     *store.Rotation
	comment int64
	cmd     life.Command
	by      life.Actor
}

// command does what one command asks for, once: where it is in the ledger already it was
// done before, and its answer is there.
func (r *Runner) command(ctx context.Context, a *asked) (answer string, ok bool, err error) {
	if r.Guard.String(a.cmd.Rest) != a.cmd.Rest { // the text is kept in the ledger
		return "there is a key in it, which has leaked now, too: nothing was done. Take the comment out, and say it without", false, nil
	}
	if do := map[string]func(context.Context, *asked) (string, error){
		"timeline": r.timeline, "verify": r.verifyNow, "assign": r.assign, "close-evidence": r.missing, "revoke": r.revoke,
	}[a.cmd.Name]; do != nil {
		answer, err := do(ctx, a)
		var refusal life.Refusal
		if errors.As(err, &refusal) {
			return report.Code(refusal.Error()), false, nil
		}
		return answer, err == nil, err
	}
	source := store.CommentLine(a.comment, a.cmd.Line)
	done, err := r.happened(ctx, a.rot, source)
	if err != nil || done != "" {
		return report.Code(done), true, err
	}
	e, err := a.cmd.Event(a.by, r.Keeper.Time())
	var steps []life.Step
	if err == nil {
		_, steps, err = r.Keeper.Happen(ctx, a.rot.Installation, a.rot.Fingerprint, e, source)
	}
	if errors.Is(err, store.ErrHappened) { // another process was quicker
		done, err := r.happened(ctx, a.rot, source)
		return report.Code(done), err == nil, err
	}
	var refusal life.Refusal
	if errors.As(err, &refusal) {
		return report.Code(refusal.Error()), false, nil
	}
	if err != nil {
		return "", false, err
	}
	if e.Kind == life.Claim {
		if err := r.lookSoon(ctx, a.rot.Installation); err != nil { // it is due now
			return "", false, err
		}
	}
	return report.Code(life.Answer(steps)), true, nil
}

// writer refuses those who may not write to the repository.
func (a *asked) writer() error {
	if life.MayWrite(a.by.Role) {
		return nil
	}
	return life.Refusal("@" + a.by.Login + " needs to be able to write to this repository for that")
}

// verifyNow has the key looked at.
func (r *Runner) verifyNow(ctx context.Context, a *asked) (string, error) {
	if err := a.writer(); err != nil {
		return "", err
	}
	cred, err := r.Store.Credential(ctx, a.rot.Installation, a.rot.Fingerprint)
	if err != nil {
		return "", err
	}
	if err := r.lookNow(ctx, a.rot.Installation, a.rot.Fingerprint); err != nil {
		return "", err
	}
	switch {
	case r.Verifier == nil:
		return "the default branches are searched now. Its provider is not asked: checks are switched off (KEYWARD_VERIFY)", nil
	case !r.asks(cred):
		return "the default branches are searched now. No check is known for this kind", nil
	}
	return "its provider is asked now; the issue says what it answers", nil
}

// assign gives the issue to somebody.
func (r *Runner) assign(ctx context.Context, a *asked) (string, error) {
	if err := a.writer(); err != nil {
		return "", err
	}
	login := strings.TrimPrefix(a.cmd.Rest, "@")
	if !loginRE.MatchString(login) {
		return "", a.cmd.Wrong()
	}
	ok, _, err := a.c.Issues.IsAssignee(ctx, a.repo.Owner, a.repo.Name, login)
	if err != nil {
		return "", fmt.Errorf("ask whether %s can be assigned: %w", login, err)
	}
	if !ok {
		return "", life.Refusal("issues here can not be assigned to " + login)
	}
	if _, _, err := a.c.Issues.Edit(ctx, a.repo.Owner, a.repo.Name, a.rot.Number, &gh.IssueRequest{Assignees: &[]string{login}}); err != nil {
		return "", fmt.Errorf("assign #%d: %w", a.rot.Number, err)
	}
	if err := r.Store.SetOwner(ctx, a.rot, login); err != nil {
		return "", err
	}
	return report.Code("it is " + login + "'s now"), nil
}

var loginRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// missing says what is not proved yet.
func (r *Runner) missing(ctx context.Context, a *asked) (string, error) {
	if err := a.writer(); err != nil {
		return "", err
	}
	l, err := r.Keeper.Life(ctx, a.rot.Installation, a.rot.Fingerprint)
	if err != nil {
		return "", err
	}
	if l.State == life.Closed {
		return "the key is closed with evidence: see the receipt", nil
	}
	list := l.Missing(r.Keeper.Time())
	if len(list) == 0 {
		return "nothing is missing: it closes with the next look", nil
	}
	return "it closes by itself when this is proved\n  - " + strings.Join(list, "\n  - "), nil
}

// maxTimeline is how many records a comment shows.
const maxTimeline = 50

// timeline is what has happened to a key, the last first to be left out.
func (r *Runner) timeline(ctx context.Context, a *asked) (string, error) {
	if err := a.writer(); err != nil {
		return "", err
	}
	rot := a.rot
	var lines []string
	err := r.Store.Ledger(ctx, rot.Installation, rot.Fingerprint, func(rec store.Record) error {
		lines = append(lines, fmt.Sprintf("  - %s %s by %s: %s, %s", rec.At.UTC().Format("2006-01-02 15:04"), rec.Event, report.Code(rec.Actor), rec.To, report.Code(rec.Detail)))
		return nil
	})
	if n := len(lines) - maxTimeline; n > 0 {
		lines = append([]string{fmt.Sprintf("  - %d earlier ones are in the ledger", n)}, lines[n:]...)
	}
	return "what happened so far\n" + strings.Join(lines, "\n"), err
}

// answer replies to a comment and reacts to it, once. The reply comes first: where a reaction
// is refused there is an answer all the same.
func (r *Runner) answer(ctx context.Context, c *github.Client, repo *store.Repository, e *webhook.Event, answers []string, refused bool) error {
	if err := r.say(ctx, c, repo, e.Number, "commands", fmt.Sprint(e.Comment), cut(strings.Join(answers, "\n")+"\n", maxSummary)); err != nil {
		return err
	}
	reaction := "+1"
	if refused {
		reaction = "confused"
	}
	_, _, err := c.Reactions.CreateIssueCommentReaction(ctx, repo.Owner, repo.Name, e.Comment, reaction) // a second one is the same
	if err != nil && !silent(err) && github.Status(err) != http.StatusUnprocessableEntity {
		return fmt.Errorf("react to comment %d: %w", e.Comment, err)
	}
	return nil
}
