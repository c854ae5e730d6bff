package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/report"
)

// resolutions are what GitHub's own secret scanning calls the ends of a key's life.
// https://docs.github.com/rest/secret-scanning/secret-scanning#update-a-secret-scanning-alert
var resolutions = map[life.State]string{life.Closed: "revoked", life.FalsePositive: "false_positive", life.AcceptedRisk: "wont_fix"}

// reopened is what an alert was brought to that is open again.
const reopened = "open"

// alertsOf brings GitHub's own alerts of a key to where its life is, if the App may. They
// are joined by the key itself, which is read from GitHub and kept nowhere.
func (r *Runner) alertsOf(ctx context.Context, c *github.Client, installation int64, fingerprint string) error {
	rot, err := r.Store.Rotation(ctx, installation, fingerprint)
	if errors.Is(err, store.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	l, err := r.Keeper.Life(ctx, installation, fingerprint)
	if errors.Is(err, store.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	want := resolutions[l.State]
	switch {
	case want == "" && (rot.Alerted == "" || rot.Alerted == reopened), want == rot.Alerted, l.State == life.Unproved:
		return nil // an alert that is open needs nothing
	case want == "":
		want = reopened
	}
	cred, err := r.Store.Credential(ctx, installation, fingerprint)
	if err != nil {
		return err
	}
	done, all := map[int64]bool{}, true
	for _, p := range cred.Places {
		if done[p.Repository] {
			continue
		}
		done[p.Repository] = true
		repo, err := r.Store.Repository(ctx, p.Repository)
		if errors.Is(err, store.ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		may, err := r.alertsIn(ctx, c, repo, cred, &l, want, rot.Alerted)
		if err != nil {
			return err
		}
		all = all && may
	}
	if !all { // it may be let one day
		return nil
	}
	return r.Store.SetAlerted(ctx, rot, want)
}

// alertsIn does so in one repository, and reports whether the App may.
func (r *Runner) alertsIn(ctx context.Context, c *github.Client, repo *store.Repository, cred *store.Credential, l *life.Life, want string, before string) (may bool, err error) {
	opt := &gh.SecretScanningAlertListOptions{ListOptions: gh.ListOptions{PerPage: 100}}
	if before == "" { // none of them was touched yet
		opt.State = "open"
	}
	var mine []int // which leave the list when they are resolved: first it is read to its end
	for more := true; more; {
		list, res, err := c.SecretScanning.ListAlertsForRepo(ctx, repo.Owner, repo.Name, opt)
		if silent(err) {
			return false, nil // the App may not, or there is no secret scanning
		}
		if err != nil {
			return false, fmt.Errorf("list the alerts of repository %d: %w", repo.ID, err)
		}
		for _, a := range list {
			if r.isOf(a, cred) && (a.GetState() != "open" || want != reopened) && a.GetResolution() != want {
				mine = append(mine, a.GetNumber())
			}
		}
		opt.ListOptions.Page, more = res.NextPage, res.NextPage != 0
	}
	may = true
	for _, number := range mine {
		done, err := r.resolve(ctx, c, repo, number, cred, l, want)
		if err != nil {
			return false, err
		}
		may = may && done
	}
	return may, nil
}

// isOf reports whether an alert is of a key, and forgets the secret that it has in it.
func (r *Runner) isOf(a *gh.SecretScanningAlert, cred *store.Credential) bool {
	text := []byte(a.GetSecret())
	a.Secret = nil
	key := r.Engine.Read("alert", text, cred.Fingerprint)
	defer clear(text)
	if key == nil {
		return false
	}
	clear(key.Value)
	return true
}

// resolve brings one alert to where the key is, with what is known of its validity, and
// reports whether the App may.
func (r *Runner) resolve(ctx context.Context, c *github.Client, repo *store.Repository, number int, cred *store.Credential, l *life.Life, want string) (done bool, err error) {
	body := map[string]any{"state": "open"}
	if want != reopened {
		body = map[string]any{"state": "resolved", "resolution": want, "resolution_comment": fmt.Sprintf("Keyward %s: %s", report.Alias(cred.Fingerprint), l.State)}
	}
	switch l.Validity {
	case life.Active:
		body["validity"] = "active"
	case life.Inactive:
		body["validity"] = "inactive"
	}
	send := func() error {
		req, err := c.NewRequest(http.MethodPatch, fmt.Sprintf("repos/%s/%s/secret-scanning/alerts/%d", repo.Owner, repo.Name, number), body)
		if err != nil {
			return err
		}
		_, err = c.Do(ctx, req, nil)
		return err
	}
	err = send()
	if github.Status(err) == http.StatusUnprocessableEntity && body["validity"] != nil { // an older server
		delete(body, "validity")
		err = send()
	}
	if silent(err) || github.Status(err) == http.StatusUnprocessableEntity {
		r.Log.Warn("alert not brought up to date", "repository", repo.ID, "alert", number, "status", github.Status(err))
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("bring alert %d of repository %d up to date: %w", number, repo.ID, err)
	}
	return true, nil
}
