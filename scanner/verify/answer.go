package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// An Answer is one documented answer of a provider: which it is, and what it means.
type Answer struct {
	Step     string   `toml:"step"`     // of a revocation: "first" for the answer to its first request
	Status   []int    `toml:"status"`   // HTTP statuses
	Field    string   `toml:"field"`    // a place in the JSON or XML body; dots lead into objects, digits into lists
	Is       []string `toml:"is"`       // the text at Field is one of these,
	Begins   []string `toml:"begins"`   // or begins with one,
	Contains []string `toml:"contains"` // or contains one; without Field the whole body contains it
	Means    Verdict  `toml:"means"`
	// NeverIssued says that the provider gives this answer to a credential that was never
	// issued. It is so for inactive answers unless they say otherwise.
	NeverIssued *bool  `toml:"never-issued"`
	Why         string `toml:"why"`    // what it means, in words
	Source      string `toml:"source"` // where it is documented or shown
	Body        string `toml:"body"`   // an example, "" if none is documented
}

// neverIssued reports whether the answer is that to a credential which was never issued.
func (a *Answer) neverIssued() bool {
	if a.NeverIssued != nil {
		return *a.NeverIssued
	}
	return a.Means == Inactive
}

// valid returns what is wrong with an answer, whose own example has to match it.
func (a *Answer) valid(meanings ...Verdict) error {
	conditions := len(a.Is) + len(a.Begins) + len(a.Contains)
	switch {
	case len(a.Status) == 0 || a.Why == "" || !strings.HasPrefix(a.Source, "https://") || strings.ContainsAny(a.Source, " \t"):
		return errors.New("status, why and source, an address, are needed")
	case !slices.Contains(meanings, a.Means):
		return fmt.Errorf("means = %q is not one of %v", a.Means, meanings)
	case a.Field != "" && conditions == 0, a.Field == "" && len(a.Is)+len(a.Begins) > 0:
		return errors.New("field belongs together with is, begins or contains")
	case conditions > 0 && a.Body == "":
		return errors.New("an example body is needed where the body decides")
	case !a.matches(a.Status[0], []byte(a.Body)):
		return errors.New("its own example does not match it")
	}
	return nil
}

// matches reports whether this is the answer.
func (a *Answer) matches(status int, body []byte) bool {
	if !slices.Contains(a.Status, status) {
		return false
	}
	if len(a.Is)+len(a.Begins)+len(a.Contains) == 0 {
		return true
	}
	got := string(body)
	if a.Field != "" {
		var ok bool
		if got, ok = valueAt(body, a.Field); !ok {
			return false
		}
	}
	return slices.Contains(a.Is, got) || slices.ContainsFunc(a.Begins, func(s string) bool { return strings.HasPrefix(got, s) }) ||
		slices.ContainsFunc(a.Contains, func(s string) bool { return strings.Contains(got, s) })
}

// said describes the answer without quoting the provider.
func (a *Answer) said(status int) string {
	text := fmt.Sprintf("answered %d", status)
	if a.Field != "" && len(a.Is) == 1 && len(a.Is[0]) <= 40 {
		text += " " + a.Is[0]
	}
	return text + ": " + a.Why
}

// find returns the answer that the provider gave, or nil.
func find(answers []Answer, step string, status int, body []byte) *Answer {
	for i := range answers {
		if a := &answers[i]; a.Step == step && a.matches(status, body) {
			return a
		}
	}
	return nil
}

// undocumented describes an answer that proves nothing.
func undocumented(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "answered 429: too many requests, which proves nothing"
	case status >= 300 && status < 400:
		return fmt.Sprintf("answered %d: a redirect, which is not followed and proves nothing", status)
	case status >= 500:
		return fmt.Sprintf("answered %d: a fault of the provider, which proves nothing", status)
	}
	return fmt.Sprintf("answered %d, with a body that is not documented to prove anything", status)
}

// valueAt returns the text at a place in a JSON body, or in an XML body the text of the
// first element with the place's last name.
func valueAt(body []byte, place string) (string, bool) {
	if text := strings.TrimSpace(string(body)); strings.HasPrefix(text, "<") {
		name := place[strings.LastIndexByte(place, '.')+1:]
		_, rest, opened := strings.Cut(text, "<"+name+">")
		value, _, closed := strings.Cut(rest, "</"+name+">")
		return value, opened && closed
	}
	var v any
	if json.Unmarshal(body, &v) != nil {
		return "", false
	}
	for name := range strings.SplitSeq(place, ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[name]
			if !ok {
				return "", false
			}
			v = next
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(at) {
				return "", false
			}
			v = at[n]
		default:
			return "", false
		}
	}
	return textOf(v)
}

// textOf returns a JSON value as text: of a list the strings in it.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case []any:
		var list []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
		return strings.Join(list, " "), len(list) > 0
	}
	return "", false
}
