package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What GitHub takes at most.
const (
	maxAnnotations = 50 // in one request
	maxText        = 65535
	maxTitle       = 255
	maxActions     = 3
)

// A Check is a check run of the App.
type Check struct {
	ID                     int64
	Name, SHA              string
	Status, Conclusion     string
	ExternalID, DetailsURL string
	Title, Summary, Text   string
	Annotations            []Annotation
	Actions                []Action
	Updates                int // how often it was changed after it was made
	StartedAt, CompletedAt string
}

// An Annotation is a remark on lines of a file.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn int    `json:"start_column"` // 0 if not given
	EndColumn   int    `json:"end_column"`
	Level       string `json:"annotation_level"`
	Title       string `json:"title"`
	Message     string `json:"message"`
	RawDetails  string `json:"raw_details"`
}

// An Action is a button on a check run.
type Action struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

type check struct {
	Check
	suite     int64
	hasOutput bool
}

// checkInput is what a request says of a check run; nil is what it leaves alone.
type checkInput struct {
	Name        *string  `json:"name"`
	HeadSHA     string   `json:"head_sha"`
	Status      *string  `json:"status"`
	Conclusion  *string  `json:"conclusion"`
	ExternalID  *string  `json:"external_id"`
	DetailsURL  *string  `json:"details_url"`
	StartedAt   *string  `json:"started_at"`
	CompletedAt *string  `json:"completed_at"`
	Actions     []Action `json:"actions"`
	Output      *struct {
		Title       *string      `json:"title"`
		Summary     *string      `json:"summary"`
		Text        *string      `json:"text"`
		Annotations []Annotation `json:"annotations"`
	} `json:"output"`
}

// wrong returns the field that breaks a rule, and the rule.
func (in *checkInput) wrong() (field, rule string) {
	if len(in.Actions) > maxActions {
		return "actions", fmt.Sprintf("No more than %d items are allowed; %d were supplied.", maxActions, len(in.Actions))
	}
	for _, a := range in.Actions {
		if tooLong(a.Label, 20) || tooLong(a.Identifier, 20) || tooLong(a.Description, 40) || a.Label == "" || a.Identifier == "" || a.Description == "" {
			return "actions", "label and identifier take 20 characters, description 40"
		}
	}
	o := in.Output
	switch {
	case o == nil:
		return "", ""
	case o.Summary == nil:
		return "output", "summary wasn't supplied"
	case o.Title != nil && tooLong(*o.Title, maxTitle):
		return "title", fmt.Sprintf("is too long (maximum is %d characters)", maxTitle)
	case tooLong(*o.Summary, maxText) || o.Text != nil && tooLong(*o.Text, maxText):
		return "summary", fmt.Sprintf("Only %d characters are allowed", maxText)
	case len(o.Annotations) > maxAnnotations:
		return "annotations", fmt.Sprintf("No more than %d items are allowed; %d were supplied.", maxAnnotations, len(o.Annotations))
	}
	for _, a := range o.Annotations {
		if rule := a.wrong(); rule != "" {
			return "annotations", rule
		}
	}
	return "", ""
}

func (a *Annotation) wrong() string {
	switch {
	case a.Path == "" || a.Message == "" || a.StartLine < 1 || a.EndLine < a.StartLine:
		return "path, message, start_line and end_line are required"
	case !slices.Contains([]string{"notice", "warning", "failure"}, a.Level):
		return "annotation_level is not included in the list"
	case a.StartLine != a.EndLine && (a.StartColumn != 0 || a.EndColumn != 0):
		return "columns can only be used if start_line and end_line are the same"
	case a.EndColumn != 0 && a.EndColumn < a.StartColumn:
		return "end_column must not be less than start_column"
	case tooLong(a.Title, maxTitle) || len(a.Message) > 64<<10 || len(a.RawDetails) > 64<<10:
		return "is too long"
	}
	return ""
}

func tooLong(text string, most int) bool { return utf8.RuneCountInString(text) > most }

// apply sets what a request says.
func (k *check) apply(in *checkInput) {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&k.Name, in.Name)
	set(&k.Status, in.Status)
	set(&k.Conclusion, in.Conclusion)
	set(&k.ExternalID, in.ExternalID)
	set(&k.DetailsURL, in.DetailsURL)
	set(&k.StartedAt, in.StartedAt)
	set(&k.CompletedAt, in.CompletedAt)
	switch {
	case in.Conclusion != nil:
		k.Status = "completed"
	case in.Status != nil && *in.Status != "completed":
		k.Conclusion, k.CompletedAt = "", ""
	}
	if k.Status == "completed" && k.CompletedAt == "" {
		k.CompletedAt = stamp(time.Now())
	}
	if in.Actions != nil {
		k.Actions = in.Actions
	}
	if o := in.Output; o != nil {
		k.hasOutput = true
		set(&k.Title, o.Title)
		set(&k.Summary, o.Summary)
		set(&k.Text, o.Text)
		k.Annotations = append(k.Annotations, o.Annotations...)
	}
}

func createCheck(c *call) (int, any) {
	var in checkInput
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	if in.Name == nil || *in.Name == "" || in.HeadSHA == "" {
		return unfit("CheckRun", "name", "missing_field", "name and head_sha are required")
	}
	if len(in.HeadSHA) != 40 || c.commit(c.repo, in.HeadSHA) != in.HeadSHA {
		return problem(http.StatusUnprocessableEntity, "No commit found for SHA: %s", in.HeadSHA)
	}
	if in.Status != nil && *in.Status == "completed" && in.Conclusion == nil {
		return unfit("CheckRun", "conclusion", "missing_field", "a completed check run has a conclusion")
	}
	if field, rule := in.wrong(); rule != "" {
		return problem(http.StatusUnprocessableEntity, "Invalid request.\n\n%s: %s", field, rule)
	}
	k := &check{Check: Check{ID: c.state.next(), SHA: in.HeadSHA, Status: "queued", StartedAt: stamp(time.Now())}, suite: c.suite(c.repo, in.HeadSHA)}
	k.apply(&in)
	c.repo.checks = append(c.repo.checks, k)
	c.emitCheck(k, "created")
	if k.Status == "completed" {
		c.emitCheck(k, "completed")
	}
	return http.StatusCreated, c.checkJSON(c.repo, k)
}

func (c *call) emitCheck(k *check, action string) {
	c.emit(c.repo, "check_run", action, c.state.bot(), object{"check_run": c.checkJSON(c.repo, k)})
}

// suite returns the number of the suite of a commit.
func (s *Server) suite(r *repo, sha string) int64 {
	if r.suites[sha] == 0 {
		r.suites[sha] = s.state.next()
	}
	return r.suites[sha]
}

func (r *repo) check(id int64) *check {
	for _, k := range r.checks {
		if k.ID == id {
			return k
		}
	}
	return nil
}

func updateCheck(c *call) (int, any) {
	k := c.repo.check(c.id("check_run_id"))
	if k == nil {
		return c.notFound()
	}
	var in checkInput
	if status, body := c.decode(&in); status != 0 {
		return status, body
	}
	if in.Status != nil && *in.Status == "completed" && in.Conclusion == nil && k.Conclusion == "" {
		return unfit("CheckRun", "conclusion", "missing_field", "a completed check run has a conclusion")
	}
	if field, rule := in.wrong(); rule != "" {
		return problem(http.StatusUnprocessableEntity, "Invalid request.\n\n%s: %s", field, rule)
	}
	was := k.Status
	k.apply(&in)
	k.Updates++
	if was != "completed" && k.Status == "completed" {
		c.emitCheck(k, "completed")
	}
	return http.StatusOK, c.checkJSON(c.repo, k)
}

func getCheck(c *call) (int, any) {
	k := c.repo.check(c.id("check_run_id"))
	if k == nil {
		return c.notFound()
	}
	return http.StatusOK, c.checkJSON(c.repo, k)
}

func listAnnotations(c *call) (int, any) {
	k := c.repo.check(c.id("check_run_id"))
	if k == nil {
		return c.notFound()
	}
	list := []object{}
	for _, a := range page(c, k.Annotations) {
		list = append(list, object{"path": a.Path, "blob_href": c.URL + "/" + c.repo.full() + "/blob/" + k.SHA + "/" + a.Path, "start_line": a.StartLine,
			"end_line": a.EndLine, "start_column": orNil(a.StartColumn), "end_column": orNil(a.EndColumn), "annotation_level": a.Level,
			"title": orNil(a.Title), "message": a.Message, "raw_details": orNil(a.RawDetails)})
	}
	return http.StatusOK, list
}

// orNil is null for what was not given.
func orNil[T comparable](v T) any {
	if v == *new(T) {
		return nil
	}
	return v
}

func listChecks(c *call) (int, any) {
	sha := c.commit(c.repo, c.params["ref"])
	if sha == "" {
		return problem(http.StatusUnprocessableEntity, "No commit found for SHA: %s", c.params["ref"])
	}
	var found []*check
	seen := map[string]bool{}
	for _, k := range slices.Backward(c.repo.checks) {
		if k.SHA != sha || c.query("check_name") != "" && k.Name != c.query("check_name") || c.query("status") != "" && k.Status != c.query("status") ||
			c.query("app_id") != "" && c.query("app_id") != strconv.Itoa(appID) || seen[k.Name] && c.query("filter") != "all" {
			continue
		}
		seen[k.Name] = true
		found = append(found, k)
	}
	list := []object{}
	for _, k := range page(c, found) {
		list = append(list, c.checkJSON(c.repo, k))
	}
	return http.StatusOK, object{"total_count": len(found), "check_runs": list}
}

func (s *Server) checkJSON(r *repo, k *check) object {
	url := s.api("/repos/%s/check-runs/%d", r.full(), k.ID)
	actions := k.Actions
	if actions == nil {
		actions = []Action{}
	}
	output := object{"title": orNil(k.Title), "summary": nil, "text": orNil(k.Text), "annotations_count": len(k.Annotations), "annotations_url": url + "/annotations"}
	if k.hasOutput {
		output["summary"] = k.Summary
	}
	return object{"id": k.ID, "node_id": fmt.Sprintf("CR_%d", k.ID), "name": k.Name, "head_sha": k.SHA, "external_id": k.ExternalID,
		"url": url, "html_url": fmt.Sprintf("%s/%s/runs/%d", s.URL, r.full(), k.ID), "details_url": orNil(k.DetailsURL), "status": k.Status,
		"conclusion": orNil(k.Conclusion), "started_at": orNil(k.StartedAt), "completed_at": orNil(k.CompletedAt), "output": output,
		"check_suite": s.suiteJSON(r, k.SHA), "app": s.appJSON(), "pull_requests": []object{}, "actions": actions}
}

func (s *Server) suiteJSON(r *repo, sha string) object {
	id := s.suite(r, sha)
	return object{"id": id, "node_id": fmt.Sprintf("CS_%d", id), "head_branch": s.branchOf(r, sha), "head_sha": sha, "status": "queued", "conclusion": nil,
		"url": s.api("/repos/%s/check-suites/%d", r.full(), id), "before": nil, "after": sha, "pull_requests": []object{}, "app": s.appJSON(),
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "latest_check_runs_count": len(r.checks),
		"check_runs_url": s.api("/repos/%s/check-suites/%d/check-runs", r.full(), id)}
}

// branchOf returns the name of a branch that ends at a commit, or nil.
func (s *Server) branchOf(r *repo, sha string) any {
	out, err := s.git(r, "for-each-ref", "--points-at="+sha, "--format=%(refname:strip=2)", "refs/heads")
	if err != nil {
		return nil
	}
	name, _, _ := strings.Cut(out, "\n")
	return orNil(name)
}
