package githubtest

import (
	"net/http"
	"slices"
	"time"
)

// An alert is one of GitHub's own secret scanning.
type alert struct {
	number                                       int
	secret, state, resolution, comment, validity string
	created                                      time.Time
}

// An Alert is what is to be seen of one.
type Alert struct {
	Number                               int
	State, Resolution, Comment, Validity string
}

// AddAlert adds an open alert of GitHub's own secret scanning, for a key.
func (s *Server) AddAlert(owner, name, secret string) (number int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.state.find(owner, name)
	if err != nil {
		return 0, err
	}
	a := &alert{number: len(r.alerts) + 1, secret: secret, state: "open", validity: "unknown", created: now()}
	r.alerts = append(r.alerts, a)
	return a.number, nil
}

// Alerts returns the alerts of a repository, oldest first.
func (s *Server) Alerts(owner, name string) (out []Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.state.repo(owner, name); r != nil {
		for _, a := range r.alerts {
			out = append(out, Alert{a.number, a.state, a.resolution, a.comment, a.validity})
		}
	}
	return out
}

func (c *call) alertJSON(a *alert) object {
	o := object{"number": a.number, "created_at": a.created, "state": a.state, "secret": a.secret, "secret_type": "of_the_stand_in", "validity": a.validity, "resolution": nil}
	if a.resolution != "" {
		o["resolution"] = a.resolution
	}
	return o
}

func listAlerts(c *call) (int, any) {
	list := []object{}
	wanted := slices.DeleteFunc(slices.Clone(c.repo.alerts), func(a *alert) bool {
		state := c.query("state")
		return state != "" && a.state != state
	})
	for _, a := range page(c, wanted) {
		list = append(list, c.alertJSON(a))
	}
	return http.StatusOK, list
}

func updateAlert(c *call) (int, any) {
	n := c.number("alert_number")
	if n < 1 || n > len(c.repo.alerts) {
		return c.notFound()
	}
	a := c.repo.alerts[n-1]
	var in struct {
		State      *string `json:"state"`
		Resolution *string `json:"resolution"`
		Comment    *string `json:"resolution_comment"`
		Validity   *string `json:"validity"`
	}
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	if in.State != nil && *in.State == "resolved" && (in.Resolution == nil || !slices.Contains([]string{"false_positive", "wont_fix", "revoked", "used_in_tests"}, *in.Resolution)) {
		return unfit("SecretScanningAlert", "resolution", "invalid", "a resolved alert needs a resolution")
	}
	if in.State != nil {
		a.state, a.resolution, a.comment = *in.State, "", ""
	}
	for _, f := range []struct{ from, to *string }{{in.Resolution, &a.resolution}, {in.Comment, &a.comment}, {in.Validity, &a.validity}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return http.StatusOK, c.alertJSON(a)
}
