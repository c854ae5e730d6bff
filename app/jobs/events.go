package jobs

import (
	"slices"

	"github.com/riverqueue/river"

	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner/git"
)

// The jobs that an event makes carry the event. They are unique by its delivery.
type (
	// ScanArgs scans what a push, a pull request or a merge group brought.
	ScanArgs struct{ webhook.Event }
	// TextArgs scans what somebody wrote: an issue, a pull request, a review, a discussion, a
	// comment or the notes of a release.
	TextArgs struct{ webhook.Event }
	// WritingArgs scans the same of texts that the release before does not know: it must not
	// take them for others.
	WritingArgs struct{ webhook.Event }
	// WikiArgs scans the pages of a wiki that somebody changed.
	WikiArgs struct{ webhook.Event }
	// AgainArgs scans a commit again whose check somebody asked for again.
	AgainArgs struct{ webhook.Event }
	// ButtonArgs does what a button of a check says.
	ButtonArgs struct{ webhook.Event }
	// IssueArgs takes note of what was done to an issue by hand.
	IssueArgs struct{ webhook.Event }
	// InstallationArgs takes note of where the App is installed.
	InstallationArgs struct{ webhook.Event }
	// RepositoryArgs takes note of what became of a repository.
	RepositoryArgs struct{ webhook.Event }
	// MemberArgs takes note of who left.
	MemberArgs struct{ webhook.Event }
)

func (ScanArgs) Kind() string         { return "scan" }
func (TextArgs) Kind() string         { return "text" }
func (WritingArgs) Kind() string      { return "writing" }
func (WikiArgs) Kind() string         { return "wiki" }
func (AgainArgs) Kind() string        { return "again" }
func (ButtonArgs) Kind() string       { return "button" }
func (IssueArgs) Kind() string        { return "issue" }
func (InstallationArgs) Kind() string { return "installation" }
func (RepositoryArgs) Kind() string   { return "repository" }
func (MemberArgs) Kind() string       { return "member" }

func (a ScanArgs) delivery() string         { return a.Delivery }
func (a TextArgs) delivery() string         { return a.Delivery }
func (a WritingArgs) delivery() string      { return a.Delivery }
func (a WikiArgs) delivery() string         { return a.Delivery }
func (a AgainArgs) delivery() string        { return a.Delivery }
func (a ButtonArgs) delivery() string       { return a.Delivery }
func (a IssueArgs) delivery() string        { return a.Delivery }
func (a InstallationArgs) delivery() string { return a.Delivery }
func (a RepositoryArgs) delivery() string   { return a.Delivery }
func (a MemberArgs) delivery() string       { return a.Delivery }

func (a ScanArgs) installation() int64         { return a.Installation }
func (a TextArgs) installation() int64         { return a.Installation }
func (a WritingArgs) installation() int64      { return a.Installation }
func (a WikiArgs) installation() int64         { return a.Installation }
func (a AgainArgs) installation() int64        { return a.Installation }
func (a ButtonArgs) installation() int64       { return a.Installation }
func (a IssueArgs) installation() int64        { return a.Installation }
func (a InstallationArgs) installation() int64 { return a.Installation }
func (a RepositoryArgs) installation() int64   { return a.Installation }
func (a MemberArgs) installation() int64       { return a.Installation }
func (a TellArgs) installation() int64         { return a.Installation }
func (a LookArgs) installation() int64         { return a.Installation }
func (a TriageArgs) installation() int64       { return a.Installation }
func (a RevokeArgs) installation() int64       { return a.Installation }

// jobsOf returns the jobs that an event asks for. fair is the priority of a scan.
func jobsOf(e *webhook.Event, fair func() int) (out []river.InsertManyParams) {
	add := func(args river.JobArgs, queue string, priority int) {
		out = append(out, river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{Queue: queue, Priority: priority, UniqueOpts: river.UniqueOpts{ByArgs: true}}})
	}
	action := func(names ...string) bool { return slices.Contains(names, e.Action) }
	switch e.Name {
	case "installation":
		if action("created", "deleted", "suspend", "unsuspend", "new_permissions_accepted") {
			add(InstallationArgs{*e}, queueAdmin, 1)
		}
		return out
	case "installation_repositories":
		add(InstallationArgs{*e}, queueAdmin, 1)
		return out
	case "member", "organization":
		if action("removed", "member_removed") && e.Member != "" && e.Installation != 0 {
			add(MemberArgs{*e}, queueAdmin, 3)
		}
		return out
	}
	if e.Repo == nil || e.Installation == 0 {
		return nil
	}
	switch e.Name {
	case "push":
		if !e.Deleted && !git.None(e.Head) {
			add(ScanArgs{*e}, queueScan, fair())
		}
	case "pull_request":
		if action("opened", "reopened", "synchronize", "ready_for_review") || action("edited") && e.Rebased {
			add(ScanArgs{*e}, queueScan, fair())
		}
		if action("opened", "edited") && !e.Bot {
			add(TextArgs{*e}, queueScan, max(2, fair()))
		}
	case "merge_group":
		if action("checks_requested") {
			add(ScanArgs{*e}, queueScan, fair())
		}
	case "check_run", "check_suite":
		switch {
		case action("rerequested"):
			add(AgainArgs{*e}, queueScan, fair())
		case action("requested_action") && e.Button != "":
			add(ButtonArgs{*e}, queueScan, 1)
		}
	case "issues":
		if action("opened", "edited") && !e.Bot {
			add(TextArgs{*e}, queueScan, max(2, fair()))
		}
		if action("closed", "reopened", "assigned") && !e.Bot && !e.IsPull {
			add(IssueArgs{*e}, queueScan, max(2, fair()))
		}
	case "issue_comment":
		if action("created", "edited") && !e.Bot {
			add(TextArgs{*e}, queueScan, max(2, fair()))
		}
	case "pull_request_review", "pull_request_review_comment", "commit_comment", "discussion", "discussion_comment", "release":
		byProgram := e.Bot && e.Name != "release" // programs publish releases, Keyward does not
		if action("created", "edited", "submitted", "published") && !byProgram && (e.Comment != 0 || e.Node != "") {
			add(WritingArgs{*e}, queueScan, max(2, fair()))
		}
	case "gollum":
		add(WikiArgs{*e}, queueScan, max(2, fair()))
	case "repository":
		add(RepositoryArgs{*e}, queueAdmin, 2)
	}
	return out
}
