package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

// tries is how often a scan is tried before its check says that it could not be made.
// It goes on being tried, and the check then says what came of it.
const tries = 6

// scan scans what an event brought, keeps what it found, and leaves it to be told.
func (r *Runner) scan(ctx context.Context, job *river.Job[ScanArgs], log *slog.Logger) error {
	e := &job.Args.Event
	repo, err := r.see(ctx, e)
	if err != nil {
		return err
	}
	s, err := r.Store.BeginScan(ctx, &store.Scan{ID: scanID(e), Installation: e.Installation, Repository: repo.ID, Source: source(e), Head: e.Head, Base: e.Base, Pull: e.Number, Sender: e.Sender})
	if err != nil {
		return err
	}
	switch {
	case s.Result != nil && s.Result.Unscanned:
	case s.State == store.ScanPublished:
		if again, err := r.overtaken(ctx, s); err != nil || !again {
			return err // another delivery told of the same commits
		}
		if err := r.Store.AgainScan(ctx, s.ID); err != nil {
			return err
		}
		if s, err = r.Store.Scan(ctx, s.ID); err != nil {
			return err
		}
	case s.State == store.ScanDone:
		return r.tellSoon(ctx, e.Installation)
	}
	return r.rescan(ctx, s, repo, e, job.Attempt, log)
}

// overtaken reports whether another check of the same name was made for the commit: of
// another pull request, or of this one while it had another base. What GitHub shows is
// the last that was made, which has to be that of the newest event.
func (r *Runner) overtaken(ctx context.Context, s *store.Scan) (bool, error) {
	all, err := r.Store.ScansOf(ctx, s.Repository, s.Head, 0)
	return slices.ContainsFunc(all, func(o *store.Scan) bool { return o.ID != s.ID && checkName(o) == checkName(s) }), err
}

// worst makes a check fail whose commit fails for another pull request: there is one
// check of a name for a commit, and it may be what both require. Else a pull request
// into a branch that has the key already would let the other one pass.
func (r *Runner) worst(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository) error {
	if s.Source == "push" || s.Result.Conclusion == "failure" {
		return nil
	}
	all, err := r.Store.ScansOf(ctx, s.Repository, s.Head, 0)
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Source == "pull" && o.Pull != s.Pull && o.Result != nil && o.Result.Conclusion == "failure" {
			pull, _, err := c.PullRequests.Get(ctx, repo.Owner, repo.Name, o.Pull)
			if err == nil && pull.GetState() == "closed" || github.Status(err) == http.StatusNotFound {
				continue
			}
			if err != nil && github.Status(err) != http.StatusForbidden {
				return fmt.Errorf("look up pull request %d: %w", o.Pull, err)
			}
			s.Result.Conclusion, s.Result.Title = "failure", fmt.Sprintf("Fails for pull request #%d", o.Pull)
			s.Result.Summary = fmt.Sprintf("> Pull request #%d has the same last commit, and fails: a commit has one check, for all.\n\n", o.Pull) + s.Result.Summary
			return nil
		}
	}
	return nil
}

// rescan does a scan that was begun.
func (r *Runner) rescan(ctx context.Context, s *store.Scan, repo *store.Repository, e *webhook.Event, attempt int, log *slog.Logger) error {
	c := r.GitHub.Installation(s.Installation)
	if repo.Name == ".github" {
		r.policies.Remove(s.Installation)
	}
	if s.CheckRun == 0 && !e.Tag {
		if err := r.progress(ctx, c, s, repo, attempt > 1); err != nil {
			return err
		}
	}
	if err := r.heavy.Acquire(ctx, 1); err != nil {
		return err
	}
	res, err := r.look(ctx, c, s, repo, e)
	r.heavy.Release(1)
	if err != nil {
		return r.unscanned(ctx, s, repo, attempt, err)
	}
	result, err := r.keep(ctx, s, repo, e, res)
	if err != nil {
		return err
	}
	if err := r.Store.FinishScan(ctx, s, result); err != nil {
		return err
	}
	log.Info("scanned", "repository", repo.ID, "head", s.Head, "commits", res.Coverage.Commits, "blobs", res.Coverage.Blobs, "bytes", res.Coverage.Bytes,
		"keys", len(result.Keys), "not_scanned", len(res.Coverage.Gaps), "conclusion", result.Conclusion, "took", res.Coverage.Took.String())
	return r.tellSoon(ctx, s.Installation)
}

// see makes sure that the store knows the repository that an event speaks of: the event
// that told of it may have been lost.
func (r *Runner) see(ctx context.Context, e *webhook.Event) (*store.Repository, error) {
	if err := r.Store.SeeInstallation(ctx, &store.Installation{ID: e.Installation, Account: e.Account, AccountID: e.AccountID}); err != nil {
		return nil, err
	}
	inst, err := r.Store.Installation(ctx, e.Installation)
	if err != nil {
		return nil, err
	}
	if inst.Suspended {
		return nil, github.ErrSuspended
	}
	old, err := r.Store.Repository(ctx, e.Repo.ID)
	if err == nil && old.Installation == e.Installation {
		return old, nil // its name is kept up to date by its own events, which may be newer
	}
	if err != nil && !errors.Is(err, store.ErrGone) {
		return nil, err
	}
	if err := r.Store.PutRepository(ctx, repositoryOf(e.Repo, e.Installation)); err != nil {
		return nil, err
	}
	return r.Store.Repository(ctx, e.Repo.ID)
}

func repositoryOf(p *webhook.Repo, installation int64) *store.Repository {
	return &store.Repository{ID: p.ID, Installation: installation, Owner: p.Owner, Name: p.Name, Public: p.Public, Archived: p.Archived, DefaultBranch: p.Default}
}

func source(e *webhook.Event) string {
	switch e.Name {
	case "pull_request":
		return "pull"
	case "merge_group":
		return "merge"
	}
	return "push"
}

// scanID names the commits that are compared: two deliveries that tell of the same are
// one scan.
func scanID(e *webhook.Event) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %s %d %s %s %v", e.Repo.ID, source(e), e.Number, e.Base, e.Head, e.Tag))
	return hex.EncodeToString(h[:12])
}

// checkName is what people choose as a required check. That of a push has another name:
// it says nothing of the rest of a pull request.
func checkName(s *store.Scan) string {
	if s.Source == "push" {
		return "Keyward (push)"
	}
	return "Keyward"
}

// progress shows that a scan is under way. It is left out if writing has to wait: then
// the check appears when it is done. again says that an earlier try may have shown it.
func (r *Runner) progress(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository, again bool) error {
	if again {
		id, err := r.findCheck(ctx, c, s, repo, s.Head)
		if err != nil {
			return err
		}
		if id != 0 {
			return r.Store.SetCheckRun(ctx, s, id)
		}
	}
	run, _, err := c.Checks.CreateCheckRun(github.Impatient(ctx), repo.Owner, repo.Name, gh.CreateCheckRunOptions{
		Name: checkName(s), HeadSHA: s.Head, Status: gh.String("in_progress"), ExternalID: gh.String(s.ExternalID()),
	})
	var limit *github.LimitError
	if errors.As(err, &limit) {
		return nil
	}
	if err != nil {
		return r.checkError(ctx, repo, err)
	}
	return r.Store.SetCheckRun(ctx, s, run.GetID())
}

// checkError says what it means that a check could not be written. Without the
// permission, and for a commit that is not there any more, the scan goes on.
func (r *Runner) checkError(ctx context.Context, repo *store.Repository, err error) error {
	switch github.Status(err) {
	case http.StatusForbidden, http.StatusUnprocessableEntity:
		r.Log.Warn("no check run", "repository", repo.ID, "status", github.Status(err), "hint", "the App needs the permission checks: write")
		return nil
	case http.StatusNotFound:
		return r.gone(ctx, repo, err)
	}
	return fmt.Errorf("write the check run: %w", err)
}

// gone looks whether a repository that GitHub does not find is gone, and forgets it then.
func (r *Runner) gone(ctx context.Context, repo *store.Repository, cause error) error {
	_, res, err := r.GitHub.Installation(repo.Installation).Repositories.GetByID(ctx, repo.ID)
	if err != nil && res != nil && res.StatusCode == http.StatusNotFound {
		if err := r.forgetRepository(ctx, repo.ID); err != nil {
			return err
		}
		return fmt.Errorf("repository %d: %w", repo.ID, store.ErrGone)
	}
	return cause
}

func (r *Runner) forgetRepository(ctx context.Context, id int64) error {
	if err := r.Store.ForgetRepository(ctx, id); err != nil {
		return err
	}
	return r.Engine.Remove(ctx, id)
}

// findCheck returns the check run of a scan that was created and whose answer was lost.
func (r *Runner) findCheck(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository, head string) (int64, error) {
	opt := &gh.ListCheckRunsOptions{CheckName: gh.String(checkName(s)), Filter: gh.String("all"), ListOptions: gh.ListOptions{PerPage: 100}}
	for {
		list, res, err := c.Checks.ListCheckRunsForRef(ctx, repo.Owner, repo.Name, head, opt)
		if s := github.Status(err); s == http.StatusNotFound || s == http.StatusForbidden || s == http.StatusUnprocessableEntity {
			return 0, nil // creating one will say why
		}
		if err != nil {
			return 0, fmt.Errorf("look for the check run of %.12s: %w", head, err)
		}
		for _, run := range list.CheckRuns {
			if run.GetExternalID() == s.ExternalID() {
				return run.GetID(), nil
			}
		}
		if res.NextPage == 0 {
			return 0, nil
		}
		opt.Page = res.NextPage
	}
}

// look scans.
func (r *Runner) look(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository, e *webhook.Event) (*scan.Result, error) {
	return r.Engine.Range(ctx, r.scanJob(c, s, repo, e))
}

func (r *Runner) scanJob(c *github.Client, s *store.Scan, repo *store.Repository, e *webhook.Event) *scan.Job {
	return &scan.Job{
		Repository: repo.ID, URL: r.GitHub.CloneURL(repo.Owner, repo.Name), Base: s.Base, Head: s.Head, Pull: s.Pull, Default: repo.DefaultBranch,
		IsDefault: e.Default, FromBase: s.Source != "push",
		Token:    c.GitToken,
		Fallback: func(ctx context.Context) (string, []byte, error) { return r.organisationPolicy(ctx, c, repo) },
	}
}

// policyFor is how long the policy of an organisation is not asked for again: most
// repositories have none of their own, and each push would cost two requests.
const policyFor = time.Minute

// an orgPolicy is what the account's .github repository said at a time.
type orgPolicy struct {
	name string
	text []byte
	at   time.Time
}

// organisationPolicy returns the policy of the account's .github repository.
func (r *Runner) organisationPolicy(ctx context.Context, c *github.Client, repo *store.Repository) (string, []byte, error) {
	if repo.Name == ".github" {
		return "", nil, nil
	}
	if p, ok := r.policies.Get(repo.Installation); ok && time.Since(p.at) < policyFor {
		return p.name, p.text, nil
	}
	p := orgPolicy{at: time.Now()}
	for _, name := range policy.Names() {
		content, _, _, err := c.Repositories.GetContents(ctx, repo.Owner, ".github", name, nil)
		if s := github.Status(err); s == http.StatusNotFound || s == http.StatusForbidden {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("read the organisation's policy: %w", err)
		}
		if content == nil || content.GetSize() > policy.MaxFile {
			continue
		}
		text, err := content.GetContent()
		if err != nil {
			return "", nil, fmt.Errorf("read the organisation's policy: %w", err)
		}
		p.name, p.text = repo.Owner+"/.github/"+name, []byte(text)
		break
	}
	r.policies.Add(repo.Installation, p)
	return p.name, p.text, nil
}

// unscanned decides what becomes of a scan that could not be made. After a few tries
// its check says so: it must not stay in progress for ever, and never pass.
func (r *Runner) unscanned(ctx context.Context, s *store.Scan, repo *store.Repository, attempt int, cause error) error {
	if _, wait := github.Wait(cause); wait || ctx.Err() != nil || errors.Is(cause, github.ErrSuspended) || errors.Is(cause, github.ErrUninstalled) {
		return cause
	}
	if said := cause.Error(); strings.Contains(said, "not found") || strings.Contains(said, "404") || strings.Contains(said, "403") || strings.Contains(said, "301") || strings.Contains(said, "redirect") {
		if err := r.gone(ctx, repo, cause); errors.Is(err, store.ErrGone) {
			return err
		}
		if err := r.renamed(ctx, repo); err != nil {
			return err
		}
	}
	large := errors.Is(cause, scan.ErrTooLarge)
	if attempt < tries && !large {
		return cause
	}
	if s.Result == nil || !s.Result.Unscanned {
		why := r.Guard.String(cause.Error())
		result := &store.Result{Conclusion: "failure", Title: "Not scanned", Head: s.Head, Unscanned: true,
			Summary: "### Keyward could not scan this\n\n" + report.Code(why) + "\n\nThis is no pass. It is tried again for some hours; re-run the check when the reason is gone.\n"}
		if err := r.Store.FinishScan(ctx, s, result); err != nil {
			return err
		}
		if err := r.tellSoon(ctx, s.Installation); err != nil {
			return err
		}
	}
	if large {
		return river.JobCancel(cause)
	}
	return cause
}

// renamed brings the name of a repository up to date.
func (r *Runner) renamed(ctx context.Context, repo *store.Repository) error {
	now, _, err := r.GitHub.Installation(repo.Installation).Repositories.GetByID(ctx, repo.ID)
	if err != nil || now.GetFullName() == repo.FullName() {
		return nil // the scan's own error says more
	}
	owner, name, _ := strings.Cut(now.GetFullName(), "/")
	return r.Store.PutRepository(ctx, &store.Repository{ID: repo.ID, Installation: repo.Installation, Owner: owner, Name: name, Public: !now.GetPrivate(), Archived: now.GetArchived(), DefaultBranch: now.GetDefaultBranch()})
}

// keep records the keys that a scan found, and makes what the check says.
func (r *Runner) keep(ctx context.Context, s *store.Scan, repo *store.Repository, e *webhook.Event, res *scan.Result) (*store.Result, error) {
	state := store.StateOpen
	if e.Fork { // anybody can open one: it must not make us open issues
		state = store.StateQuiet
	}
	nameless(res)
	list := r.credentials(res.Keys, res.Policy.App, state)
	changes, err := r.Store.Record(ctx, repo.ID, list)
	if err != nil {
		return nil, err
	}
	dismissed := map[string]bool{}
	for _, change := range changes {
		dismissed[change.Fingerprint] = change.State == store.StateDismissed
	}
	var keys []*scanner.Key
	for _, k := range res.Keys {
		if dismissed[k.Fingerprint] {
			k.Known = &scanner.Known{By: "policy", Where: "the App", Reason: "people said that it is no key"}
			res.Known = append(res.Known, k)
			continue
		}
		keys = append(keys, k)
	}
	res.Keys = keys
	return r.result(s, repo, e, res)
}

// nameless takes the names of people out of a result: the commit says who it was to
// those who may see it, and the database keeps no names.
func nameless(res *scan.Result) {
	for _, k := range slices.Concat(res.Keys, res.Known) {
		if k.First != nil {
			k.First = &scanner.Commit{ID: k.First.ID, Date: k.First.Date}
		}
	}
}

// credentials are keys as the store keeps them. Paths are cleaned: a key may stand in one.
func (r *Runner) credentials(keys []*scanner.Key, settings policy.App, state string) (out []store.Credential) {
	const maxPlaces = 200
	for _, k := range keys {
		c := store.Credential{Fingerprint: k.Fingerprint, Rule: k.Rule.ID, Severity: k.Severity, Redacted: k.Redacted, Confidence: k.Confidence, Expires: k.Expires, Settings: settings, State: state}
		for _, f := range k.Facts {
			c.Facts = append(c.Facts, scanner.Fact{Name: f.Name, Value: r.Guard.String(f.Value)})
		}
		if least := settings.Issues; state == store.StateOpen && least != "" && (least == "none" || !scanner.AtLeast(k.Severity, least)) {
			c.State = store.StateQuiet
		}
		if k.First != nil {
			c.FirstCommit, c.FirstAt = k.First.ID, k.First.Date
		}
		for i, p := range k.Places {
			if i == maxPlaces {
				break
			}
			place := store.Place{Path: r.Guard.String(p.Path), Line: p.Line, Col: p.Col, Blob: p.Blob, Decoded: p.Decoded, InTest: p.InTest}
			if p.Commit != nil {
				place.Commit = p.Commit.ID
			}
			c.Places = append(c.Places, place)
		}
		out = append(out, c)
	}
	return out
}

// maxSummary is what GitHub takes as the summary of a check run, with room to spare.
const maxSummary = 65_000

// result makes what the check of a scan says.
func (r *Runner) result(s *store.Scan, repo *store.Repository, e *webhook.Event, res *scan.Result) (*store.Result, error) {
	out := &store.Result{Head: res.Head, Conclusion: conclusion(res), Title: title(res), Silent: e.Tag && len(res.Keys) == 0 && res.Coverage.Complete() && res.Broken == ""}
	if out.Head == "" {
		out.Head, out.Silent = s.Head, true // a tag at a blob: there is no commit to hang a check on
	}
	var md bytes.Buffer
	if res.Broken != "" {
		fmt.Fprintf(&md, "> **The policy is broken, so the defaults hold:** %s\n\n", report.Code(res.Broken))
	}
	link := report.GitHubLink(r.GitHub.Web()+"/"+repo.FullName(), out.Head)
	rep := &report.Report{Mode: "range", Keys: res.Keys, Known: res.Known, Notes: res.Notes, Coverage: res.Coverage}
	if err := report.WriteSummary(&md, rep, link); err != nil {
		return nil, err
	}
	if len(res.Keys) > 0 {
		md.WriteString("\n**No key?** Who may write here presses *Not a key* above (another person than the author, if it is critical or high), or writes `keyward:allow` with a reason on its line.\n")
	}
	out.Summary = r.Guard.String(md.String())
	if len(out.Summary) > maxSummary {
		out.Summary = strings.ToValidUTF8(out.Summary[:maxSummary], "") + "\n\n…\n"
	}
	for _, k := range res.Keys {
		out.Keys = append(out.Keys, k.Fingerprint)
	}
	out.Annotations = r.annotations(res)
	return out, nil
}

// conclusion is success, neutral or failure. What was not scanned is no success.
func conclusion(res *scan.Result) string {
	least := res.Policy.App.FailOn
	if least == "" {
		least = "low"
	}
	for _, k := range res.Keys {
		if least != "none" && scanner.AtLeast(k.Severity, least) {
			return "failure"
		}
	}
	switch {
	case !res.Coverage.Complete():
		return "failure"
	case len(res.Keys) > 0 || res.Broken != "":
		return "neutral"
	}
	return "success"
}

func title(res *scan.Result) string {
	n := len(res.Keys)
	switch {
	case n == 1:
		return "1 key found: " + res.Keys[0].Rule.Title
	case n > 1:
		return fmt.Sprintf("%d keys found", n)
	case !res.Coverage.Complete():
		return "Not everything could be scanned"
	case res.Broken != "":
		return "No keys found, but the policy is broken"
	}
	return "No keys found"
}

// maxAnnotations bounds what is shown beside lines; the summary counts all.
const maxAnnotations = 500

// annotations are the keys beside the lines where they stand at the head. What a later
// commit took out again is in the summary only: there is no line to show it at.
func (r *Runner) annotations(res *scan.Result) (out []store.Annotation) {
	seen := map[string]bool{}
	for _, k := range res.Keys {
		level := map[string]string{"critical": "failure", "high": "failure", "medium": "warning"}[k.Severity]
		if level == "" {
			level = "notice"
		}
		holder := k.Rule.About.Holder
		if holder == "" {
			holder = k.Rule.Tier.Power()
		}
		message := fmt.Sprintf("%s, %s. Its holder can: %s\nIt has leaked with the push: rotate it, then take it out (keyward fix).", k.Redacted, k.Severity, holder)
		if len(k.Rule.About.Rotate) > 0 {
			message += "\nFirst: " + k.Rule.About.Rotate[0]
		}
		for _, p := range k.Places {
			at := fmt.Sprintf("%s:%d:%s", p.Path, p.Line, k.Fingerprint)
			if len(out) == maxAnnotations || seen[at] || strings.Contains(p.Path, "!") || res.AtHead[p.Path] == "" || res.AtHead[p.Path] != p.Blob {
				continue
			}
			seen[at] = true
			out = append(out, store.Annotation{Path: p.Path, Line: p.Line, EndLine: max(p.Line, p.EndLine), Level: level, Title: r.Guard.String(k.Rule.Title), Message: r.Guard.String(message)})
		}
	}
	for i := range out {
		out[i].Path = r.Guard.String(out[i].Path) // GitHub takes any path; one that holds a key must not be repeated
	}
	return out
}
