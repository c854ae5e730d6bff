package store

import (
	"fmt"
	"strings"
)

// An IssueKind is what an issue of ours is for.
type IssueKind string

// The kinds of issues. Their values are stored.
const (
	IssueCredential IssueKind = "credential" // follows a credential
	IssueSub        IssueKind = "sub-issue"  // the same credential in one more repository
	IssueOverflow   IssueKind = "overflow"   // has the sub-issues for which the one before has no room
	IssueDashboard  IssueKind = "dashboard"
)

// An IssueID names an issue of an installation before it has a number on GitHub.
type IssueID struct {
	Kind       IssueKind
	Credential string // fingerprint; "" for a dashboard
	name       string
}

// CredentialIssue is the issue that follows a credential.
func CredentialIssue(fingerprint string) IssueID {
	return IssueID{IssueCredential, fingerprint, fingerprint}
}

// SubIssue is the issue of a credential in one more repository.
func SubIssue(fingerprint string, repository int64) IssueID {
	return IssueID{IssueSub, fingerprint, fmt.Sprintf("part %s %d", fingerprint, repository)}
}

// OverflowIssue is the n-th issue that has further sub-issues of a credential.
func OverflowIssue(fingerprint string, n int) IssueID {
	return IssueID{IssueOverflow, fingerprint, fmt.Sprintf("more %s %d", fingerprint, n)}
}

// Dashboard is the dashboard in a repository, owner/name.
func Dashboard(repository string) IssueID {
	return IssueID{IssueDashboard, "", "dashboard " + repository}
}

// Name is unique among the issues of an installation. It is in the marker of the issue, which
// a MAC authenticates.
func (id IssueID) Name() string { return id.name }

// ParseIssueName returns the issue that has a name: that of a marker, or of a row that the
// release before this one wrote.
func ParseIssueName(name string) IssueID {
	word, rest, _ := strings.Cut(name, " ")
	fingerprint, _, _ := strings.Cut(rest, " ")
	switch word {
	case "part":
		return IssueID{IssueSub, fingerprint, name}
	case "more":
		return IssueID{IssueOverflow, fingerprint, name}
	case "dashboard":
		return IssueID{IssueDashboard, "", name}
	}
	return IssueID{IssueCredential, name, name}
}
