package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v62/github"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/rotation"
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
	course, err := r.Store.Course(ctx, installation, fingerprint)
	if errors.Is(err, store.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	l, err := rotation.Life(course)
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
	done := map[int64]bool{}
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
		if err := r.alertsIn(ctx, c, repo, cred, &l, want); err != nil {
			return err
		}
	}
	return r.Store.SetAlerted(ctx, rot, want)
}

// alertsIn does so in one repository.
func (r *Runner) alertsIn(ctx context.Context, c *github.Client, repo *store.Repository, cred *store.Credential, l *life.Life, want string) error {
	opt := &gh.SecretScanningAlertListOptions{ListOptions: gh.ListOptions{PerPage: 100}}
	for {
		list, res, err := c.SecretScanning.ListAlertsForRepo(ctx, repo.Owner, repo.Name, opt)
		if silent(err) {
			return nil // the App may not, or there is no secret scanning
		}
		if err != nil {
			return fmt.Errorf("list the alerts of repository %d: %w", repo.ID, err)
		}
		for _, a := range list {
			text := []byte(a.GetSecret())
			a.Secret = nil
			key := r.Engine.Read("alert", text, cred.Fingerprint)
			same := key != nil
			clear(key)
			clear(text)
			if !same || a.GetState() == "open" && want == reopened || a.GetResolution() == want {
				continue
			}
			if err := r.resolve(ctx, c, repo, a.GetNumber(), cred, l, want); err != nil {
				return err
			}
		}
		if res.NextPage == 0 {
			return nil
		}
		opt.ListOptions.Page = res.NextPage
	}
}

// resolve brings one alert to where the key is, with what is known of its validity.
func (r *Runner) resolve(ctx context.Context, c *github.Client, repo *store.Repository, number int, cred *store.Credential, l *life.Life, want string) error {
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
	err := send()
	if github.Status(err) == http.StatusUnprocessableEntity && body["validity"] != nil { // an older server
		delete(body, "validity")
		err = send()
	}
	if silent(err) || github.Status(err) == http.StatusUnprocessableEntity {
		r.Log.Warn("alert not brought up to date", "repository", repo.ID, "alert", number, "status", github.Status(err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("bring alert %d of repository %d up to date: %w", number, repo.ID, err)
	}
	return nil
}
