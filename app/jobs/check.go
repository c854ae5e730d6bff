package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gh "github.com/google/go-github/v62/github"
	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/report"
)

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
	if github.Status(err) >= 500 { // it is shown when the scan is done
		r.Log.Warn("no check run in progress", "repository", repo.ID, "status", github.Status(err))
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

// titleIncomplete is the title of a check that found nothing in what it could read.
const titleIncomplete = "Not everything could be scanned"

// maxSummary is what GitHub takes as the summary of a check run, with room to spare.
const maxSummary = 65_000

// result makes what the check of a scan says.
func (r *Runner) result(s *store.Scan, repo *store.Repository, res *scan.Result) (*store.Result, error) {
	out := &store.Result{Head: res.Head, Conclusion: conclusion(res, res.Keys), Rest: conclusion(res, nil), Title: title(res), Silent: s.Tag && len(res.Keys) == 0 && res.Coverage.Complete() && res.Broken == "",
		Observed: res.Policy.App.Observe.At(r.Store.Now())}
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
		md.WriteString("\n**No key?** Who may write here presses *Not a key* above (two people, if it is critical or high), or writes `keyward:allow` with a reason on its line.\n")
	}
	out.Summary = r.Guard.String(md.String())
	out.Summary = cut(out.Summary, maxSummary)
	for _, k := range res.Keys {
		out.Keys = append(out.Keys, k.Fingerprint)
	}
	out.Annotations = r.annotations(res)
	return out, nil
}

// cut bounds a text, and shows that it was longer.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const mark = "\n\n…\n"
	return strings.ToValidUTF8(s[:most-len(mark)], "") + mark
}

// conclusion is success, neutral or failure. What was not scanned is no success.
func conclusion(res *scan.Result, keys []*scanner.Key) string {
	least := res.Policy.App.FailOn
	if least == "" {
		least = "low"
	}
	for _, k := range keys {
		if least != "none" && k.Severity.AtLeast(scanner.Severity(least)) {
			return "failure"
		}
	}
	lfs := func(g scanner.Gap) bool { return g.Reason == files.LFSReason }
	switch {
	case slices.ContainsFunc(res.Coverage.Gaps, func(g scanner.Gap) bool { return !lfs(g) }):
		return "failure"
	case res.Broken != "": // whoever breaks a policy must not get less than it asks for
		return "failure"
	case !res.Coverage.Complete(): // what lies in Git LFS is never here: that must not stop every push
		return "neutral"
	case len(keys) > 0:
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
		return titleIncomplete
	case res.Broken != "":
		return "No keys found, but the policy is broken"
	}
	if n := len(res.Policy.Disable); n > 0 {
		return fmt.Sprintf("No keys found (%d rules are off)", n)
	}
	return "No keys found"
}

// maxAnnotations bounds what is shown beside lines; the summary counts all.
const maxAnnotations = 500

// maxTitle is what GitHub takes as the title of an annotation.
// https://docs.github.com/rest/checks/runs#create-a-check-run
const maxTitle = 255

// annotations are the keys beside the lines where they stand at the head. What a later
// commit took out again is in the summary only: there is no line to show it at.
func (r *Runner) annotations(res *scan.Result) (out []store.Annotation) {
	seen := map[string]bool{}
	for _, k := range res.Keys {
		level := map[scanner.Severity]string{scanner.Critical: "failure", scanner.High: "failure", scanner.Medium: "warning"}[k.Severity]
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
			out = append(out, store.Annotation{Path: p.Path, Line: p.Line, EndLine: max(p.Line, p.EndLine), Level: level, Title: cut(r.Guard.String(k.Rule.Title), maxTitle), Message: r.Guard.String(message)})
		}
	}
	for i := range out {
		out[i].Path = r.Guard.String(out[i].Path) // GitHub takes any path; one that holds a key must not be repeated
	}
	return out
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
	if s.Source == "push" || s.Result.Conclusion == "failure" && !s.Result.Observed {
		return nil
	}
	all, err := r.Store.ScansOf(ctx, s.Repository, s.Head, 0)
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Source == "pull" && o.Pull != s.Pull && o.Result != nil && o.Result.Conclusion == "failure" && !o.Result.Observed {
			pull, _, err := c.PullRequests.Get(ctx, repo.Owner, repo.Name, o.Pull)
			if err == nil && pull.GetState() == "closed" || github.Status(err) == http.StatusNotFound {
				continue
			}
			if err != nil && github.Status(err) != http.StatusForbidden {
				return fmt.Errorf("look up pull request %d: %w", o.Pull, err)
			}
			s.Result.Conclusion, s.Result.Title, s.Result.Observed = "failure", fmt.Sprintf("Fails for pull request #%d", o.Pull), false
			s.Result.Note = fmt.Sprintf("> Pull request #%d has the same last commit, and fails: a commit has one check, for all.", o.Pull)
			return nil
		}
	}
	return nil
}

// batch is how many annotations GitHub takes at once.
// https://docs.github.com/rest/checks/runs#update-a-check-run
const batch = 50

// finish keeps the result of a scan until it is published, with a MAC: what the database says
// of it is no proof.
func (r *Runner) finish(ctx context.Context, s *store.Scan, result *store.Result) error {
	result.Version = store.ResultVersion
	macs, err := r.resultMACs(s, result)
	if err != nil {
		return err
	}
	result.MAC = macs[0]
	return r.Store.FinishScan(ctx, s, result)
}

// resultMACs are the MACs of a result of a scan under all peppers, the present one first.
func (r *Runner) resultMACs(s *store.Scan, result *store.Result) ([]string, error) {
	text, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	var bare store.Result // as it is read again: a path that is not UTF-8 changes
	if err := json.Unmarshal(text, &bare); err != nil {
		return nil, err
	}
	bare.MAC, bare.Version = "", 0 // the release before has no version to authenticate
	if text, err = json.Marshal(&bare); err != nil {
		return nil, err
	}
	return r.Keeper.Peppers.Macs("result", s.Repository, fmt.Sprintf("%s %s", s.ID, text)), nil
}

// proved reports whether the App wrote the result of a scan.
func (r *Runner) proved(s *store.Scan) (bool, error) {
	macs, err := r.resultMACs(s, s.Result)
	return slices.Contains(macs, s.Result.MAC), err
}

// unproved replaces a result that the App did not write.
func (r *Runner) unproved(ctx context.Context, s *store.Scan) error {
	r.Log.Warn("the stored result of a scan is not what Keyward wrote: the commit is scanned again", "scan", s.ID, "repository", s.Repository)
	result := r.notScanned(s, "the stored result was changed outside Keyward, or is of another release. Keyward scans the commit again")
	result.Head, result.Silent = s.Head, false
	return r.finish(ctx, s, result)
}

// onceMore has a commit scanned again whose result was replaced.
func (r *Runner) onceMore(ctx context.Context, s *store.Scan) error {
	repo, err := r.Store.Repository(ctx, s.Repository)
	if err != nil {
		return err
	}
	e := webhook.Event{Delivery: fmt.Sprintf("unproved %s %d", s.ID, s.Round), Name: "check_suite", Action: "rerequested", Installation: s.Installation, Head: s.Head,
		Repo: &webhook.Repo{ID: repo.ID, Owner: repo.Owner, Name: repo.Name, Public: repo.Public, Default: repo.DefaultBranch}}
	return r.insert(ctx, AgainArgs{e}, &river.InsertOpts{Queue: queueScan, Priority: 2, UniqueOpts: river.UniqueOpts{ByArgs: true}})
}

// publish writes the result of a scan into its check run. A result that the App did not write
// is not published: the check fails, and the commit is scanned again. The release before wrote
// results without a MAC: these are made again, too.
func (r *Runner) publish(ctx context.Context, c *github.Client, s *store.Scan, attempt int) error {
	if s.Result == nil {
		return r.Store.Published(ctx, s)
	}
	ok, err := r.proved(s)
	if err != nil {
		return err
	}
	if !ok {
		if err := r.unproved(ctx, s); err != nil {
			return err
		}
	}
	if err := r.publishResult(ctx, c, s, attempt); err != nil || ok {
		return err
	}
	return r.onceMore(ctx, s)
}

// publishResult writes the result of a scan into its check run: the annotations in batches,
// which GitHub adds to those that are there, and the conclusion with the last of them.
func (r *Runner) publishResult(ctx context.Context, c *github.Client, s *store.Scan, attempt int) error {
	if s.Result.Silent {
		return r.Store.Published(ctx, s)
	}
	repo, err := r.Store.Repository(ctx, s.Repository)
	if err != nil {
		return err
	}
	if err := r.worst(ctx, c, s, repo); err != nil {
		return err
	}
	if err := r.observe(ctx, c, s, repo); err != nil {
		return err
	}
	there := 0
	if s.CheckRun == 0 {
		id, err := r.findCheck(ctx, c, s, repo, s.Result.Head)
		if err != nil {
			return err
		}
		if id == 0 {
			if id, err = r.createCheck(ctx, c, s, repo); err != nil || id == 0 {
				if err == nil {
					err = r.Store.Published(ctx, s) // it may not be written, which was logged
				}
				return err
			}
			there = min(batch, len(s.Result.Annotations))
		}
		if err := r.Store.SetCheckRun(ctx, s, id); err != nil {
			return err
		}
		if there > 0 && there == len(s.Result.Annotations) {
			return r.Store.Published(ctx, s)
		}
	}
	if there == 0 && (attempt > 1 || len(s.Result.Annotations) > 0) { // an answer may have been lost
		run, _, err := c.Checks.GetCheckRun(ctx, repo.Owner, repo.Name, s.CheckRun)
		if github.Status(err) == http.StatusNotFound { // of the commit, or for a moment
			return r.lostCheck(ctx, c, s, repo, err)
		}
		if err != nil {
			return fmt.Errorf("read the check run: %w", err)
		}
		there = run.GetOutput().GetAnnotationsCount()
	}
	if err := r.updateCheck(ctx, c, s, repo, there); err != nil {
		return err
	}
	return r.Store.Published(ctx, s)
}

// lostCheck decides what becomes of a result whose check run GitHub does not find. If the
// repository is there and the commit's checks can be listed without it, another is made.
func (r *Runner) lostCheck(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository, cause error) error {
	if err := r.gone(ctx, repo, nil); err != nil {
		return err
	}
	id, err := r.findCheck(ctx, c, s, repo, s.Result.Head)
	if err != nil {
		return err
	}
	if id == 0 {
		if err := r.Store.SetCheckRun(ctx, s, 0); err != nil {
			return err
		}
	}
	return fmt.Errorf("read the check run: %w", cause) // it is tried again, with what is known now
}

// buttons are shown beside a check that found something. GitHub takes three at most,
// with labels of 20 characters.
func buttons(s *store.Scan) []*gh.CheckRunAction {
	if len(s.Result.Keys) == 0 {
		return nil
	}
	return []*gh.CheckRunAction{
		{Label: "Not a key", Description: "What was found here is none", Identifier: buttonNotKey},
		{Label: "I see to it", Description: "Say in their issues that you do", Identifier: buttonAck},
		{Label: "Open rotation", Description: "Open the rotation issues now", Identifier: buttonRotate},
	}
}

func output(s *store.Scan, from int) *gh.CheckRunOutput {
	summary := s.Result.Summary
	if s.Result.Note != "" {
		summary = cut(s.Result.Note+"\n\n"+summary, maxSummary)
	}
	out := &gh.CheckRunOutput{Title: &s.Result.Title, Summary: &summary}
	for _, a := range s.Result.Annotations[min(from, len(s.Result.Annotations)):min(from+batch, len(s.Result.Annotations))] {
		out.Annotations = append(out.Annotations, &gh.CheckRunAnnotation{Path: &a.Path, StartLine: &a.Line, EndLine: &a.EndLine, AnnotationLevel: &a.Level, Title: &a.Title, Message: &a.Message})
	}
	return out
}

// createCheck creates the check run of a scan that has none, complete if one request
// can say all. It returns 0 if it may not be.
func (r *Runner) createCheck(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository) (int64, error) {
	opt := gh.CreateCheckRunOptions{Name: checkName(s), HeadSHA: s.Result.Head, ExternalID: gh.String(s.ExternalID()), Status: gh.String("in_progress"), Output: output(s, 0)}
	if len(s.Result.Annotations) <= batch {
		opt.Status, opt.Conclusion, opt.Actions = gh.String("completed"), &s.Result.Conclusion, buttons(s)
	}
	run, _, err := c.Checks.CreateCheckRun(ctx, repo.Owner, repo.Name, opt)
	if github.Status(err) == http.StatusUnprocessableEntity {
		opt.Output, opt.Status, opt.Conclusion, opt.Actions = plain(s), gh.String("completed"), &s.Result.Conclusion, buttons(s)
		run, _, err = c.Checks.CreateCheckRun(ctx, repo.Owner, repo.Name, opt)
	}
	if err != nil {
		return 0, r.checkError(ctx, repo, err)
	}
	return run.GetID(), nil
}

// plain is what a check says if GitHub refuses what it should say: it must not stay in
// progress for the name of a file that GitHub does not like.
func plain(s *store.Scan) *gh.CheckRunOutput {
	return &gh.CheckRunOutput{Title: &s.Result.Title, Summary: gh.String("GitHub did not take the whole report. `keyward scan` shows it in a clone, and each key has its rotation issue.")}
}

// updateCheck writes what the check run does not say yet: the annotations from a number
// on, and the conclusion.
func (r *Runner) updateCheck(ctx context.Context, c *github.Client, s *store.Scan, repo *store.Repository, there int) error {
	for {
		last := there+batch >= len(s.Result.Annotations)
		opt := gh.UpdateCheckRunOptions{Name: checkName(s), Output: output(s, there)}
		if last {
			opt.Status, opt.Conclusion, opt.Actions = gh.String("completed"), &s.Result.Conclusion, buttons(s)
		}
		_, _, err := c.Checks.UpdateCheckRun(ctx, repo.Owner, repo.Name, s.CheckRun, opt)
		if github.Status(err) == http.StatusUnprocessableEntity {
			opt.Output, opt.Status, opt.Conclusion, opt.Actions = plain(s), gh.String("completed"), &s.Result.Conclusion, buttons(s)
			_, _, err = c.Checks.UpdateCheckRun(ctx, repo.Owner, repo.Name, s.CheckRun, opt)
			last = true
		}
		if err != nil {
			return r.checkError(ctx, repo, err)
		}
		if last {
			return nil
		}
		there += batch
	}
}
