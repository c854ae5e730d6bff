package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/keyward/keyward/scanner/guard"
)

// An Event is the part of a delivery that Keyward stores: identities, hashes and flags. It
// has no text that people wrote, such as a branch name, a commit message or a comment,
// because such text can contain a credential. The one exception is Repo.Default.
// https://docs.github.com/webhooks/webhook-events-and-payloads
type Event struct {
	Delivery     string `json:"delivery" river:"unique"` // GitHub's GUID; a redelivery keeps it
	Name         string `json:"name"`
	Action       string `json:"action,omitempty"`
	Installation int64  `json:"installation"`
	Account      string `json:"account,omitempty"` // login of the organisation or user
	AccountID    int64  `json:"account_id,omitempty"`
	Sender       int64  `json:"sender,omitempty"`
	SenderLogin  string `json:"sender_login,omitempty"`
	Bot          bool   `json:"bot,omitempty"` // the sender is a program
	Repo         *Repo  `json:"repo,omitempty"`
	From         string `json:"from,omitempty"` // name of the repository before it was renamed

	Head    string `json:"head,omitempty"` // commit
	Base    string `json:"base,omitempty"` // commit; zeros or "" for none
	Tag     bool   `json:"tag,omitempty"`
	Default bool   `json:"default,omitempty"` // the ref is the default branch
	Deleted bool   `json:"deleted,omitempty"`
	Forced  bool   `json:"forced,omitempty"`

	Number   int    `json:"number,omitempty"`   // of the pull request or issue
	Fork     bool   `json:"fork,omitempty"`     // the pull request comes from another repository
	Rebased  bool   `json:"rebased,omitempty"`  // an edit changed the base
	IsPull   bool   `json:"is_pull,omitempty"`  // the issue is a pull request
	Comment  int64  `json:"comment,omitempty"`  // id of the comment, the review or the release
	Node     string `json:"node,omitempty"`     // global id of the discussion or the comment in it, which only GraphQL reads
	TextMAC  string `json:"text_mac,omitempty"` // of the comment's text as GitHub signed it, see TextMAC
	CheckRun int64  `json:"check_run,omitempty"`
	Button   string `json:"button,omitempty"`
	Member   string `json:"member,omitempty"` // login of who left
	AllRepos bool   `json:"all_repos,omitempty"`
	MAC      string `json:"mac,omitempty"` // see Sign

	comment string // its text, which is kept nowhere
	Added   []Repo `json:"Added,omitempty"`
	Gone    []Repo `json:"Gone,omitempty"`
}

// A Repo is a repository as an event names it.
type Repo struct {
	ID       int64  `json:"id"`
	Owner    string `json:"owner"`
	Name     string `json:"name"`
	Public   bool   `json:"public,omitempty"`
	Archived bool   `json:"archived,omitempty"`
	Default  string `json:"default,omitempty"` // name of the default branch, "" if it is not stored: see BranchName
}

// Sign notes that the event came in a delivery that GitHub signed. The MAC is over what says
// who did what to what; a release that adds a field leaves it as it is.
func (e *Event) Sign(key []byte) { e.MAC = e.mac(key) }

// SignedWith reports whether the event is as it was signed with a key.
func (e *Event) SignedWith(key []byte) bool {
	return hmac.Equal([]byte(e.MAC), []byte(e.mac(key)))
}

func (e *Event) mac(key []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "keyward event %q %q %q %d %d %q %t %q %d %t %d %q %d %q %q", e.Delivery, e.Name, e.Action, e.Installation, e.Sender, e.SenderLogin, e.Bot,
		e.Head, e.Number, e.IsPull, e.Comment, e.TextMAC, e.CheckRun, e.Button, e.Member)
	if e.Repo != nil {
		fmt.Fprintf(h, " %d", e.Repo.ID)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TextMAC is what is kept of a comment's text: whether the text that is read later is the
// one that GitHub signed can be told by it, and nothing else, as a secret may be in it.
func TextMAC(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("keyward comment "))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

type account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

type repository struct {
	ID            int64   `json:"id"`
	FullName      string  `json:"full_name"`
	Private       bool    `json:"private"`
	Visibility    string  `json:"visibility"`
	Archived      bool    `json:"archived"`
	DefaultBranch string  `json:"default_branch"`
	Owner         account `json:"owner"`
}

type end struct {
	SHA  string      `json:"sha"`
	Repo *repository `json:"repo"`
}

// payload is what of all payloads is looked at.
type payload struct {
	Action       string `json:"action"`
	Installation *struct {
		ID                  int64   `json:"id"`
		Account             account `json:"account"`
		RepositorySelection string  `json:"repository_selection"`
	} `json:"installation"`
	Repository   *repository     `json:"repository"`
	Organization *account        `json:"organization"`
	Sender       account         `json:"sender"`
	Ref          json.RawMessage `json:"ref"`
	Before       string          `json:"before"`
	After        string          `json:"after"`
	Deleted      bool            `json:"deleted"`
	Forced       bool            `json:"forced"`
	Number       int             `json:"number"`
	PullRequest  *struct {
		Number int `json:"number"`
		Base   end `json:"base"`
		Head   end `json:"head"`
	} `json:"pull_request"`
	MergeGroup *struct {
		HeadSHA string `json:"head_sha"`
		BaseSHA string `json:"base_sha"`
	} `json:"merge_group"`
	CheckRun *struct {
		ID      int64  `json:"id"`
		HeadSHA string `json:"head_sha"`
	} `json:"check_run"`
	CheckSuite *struct {
		HeadSHA string `json:"head_sha"`
	} `json:"check_suite"`
	RequestedAction *struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`
	Issue *struct {
		Number      int             `json:"number"`
		PullRequest json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	Comment *struct {
		ID   int64  `json:"id"`
		Node string `json:"node_id"`
		Body string `json:"body"`
	} `json:"comment"`
	Review *struct {
		ID int64 `json:"id"`
	} `json:"review"`
	Discussion *struct {
		Number int    `json:"number"`
		Node   string `json:"node_id"`
	} `json:"discussion"`
	Release *struct {
		ID int64 `json:"id"`
	} `json:"release"`
	Changes struct {
		Base       json.RawMessage `json:"base"`
		Repository json.RawMessage `json:"repository"`
	} `json:"changes"`
	Member     *account `json:"member"`
	Membership *struct {
		User account `json:"user"`
	} `json:"membership"`
	Repositories        []repository `json:"repositories"`
	RepositoriesAdded   []repository `json:"repositories_added"`
	RepositoriesRemoved []repository `json:"repositories_removed"`
}

var (
	objectID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	ownerRE  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	nameRE   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	loginRE  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$`)
	wordRE   = regexp.MustCompile(`^[a-z_-]{0,40}$`)
	nodeRE   = regexp.MustCompile(`^[A-Za-z0-9_=-]{1,100}$`) // https://docs.github.com/graphql/guides/using-global-node-ids
)

// Decode reads a payload. Values that GitHub never sends are errors. The guard keeps
// credentials out of the event.
func Decode(g *guard.Guard, delivery, name string, body []byte) (*Event, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("payload of event %s: not JSON at byte %d", name, syntax.Offset)
		}
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, fmt.Errorf("payload of event %s: field %s is not of the kind that GitHub documents", name, kind.Field)
		}
		return nil, fmt.Errorf("payload of event %s: not JSON", name)
	}
	e := &Event{Delivery: delivery, Name: name, Action: p.Action, Sender: p.Sender.ID, Bot: p.Sender.Type == "Bot", Number: p.Number}
	if loginRE.MatchString(p.Sender.Login) {
		e.SenderLogin = p.Sender.Login
	}
	if !wordRE.MatchString(p.Action) {
		return nil, fmt.Errorf("payload of event %s: the action is none of GitHub's", name)
	}
	if err := e.where(g, &p); err != nil {
		return nil, fmt.Errorf("payload of event %s: %w", name, err)
	}
	if err := e.what(&p); err != nil {
		return nil, fmt.Errorf("payload of event %s: %w", name, err)
	}
	return e, nil
}

// where reads the installation, account and repositories.
func (e *Event) where(g *guard.Guard, p *payload) (err error) {
	if p.Installation != nil {
		e.Installation = p.Installation.ID
		e.Account, e.AccountID = p.Installation.Account.Login, p.Installation.Account.ID
		e.AllRepos = p.Installation.RepositorySelection == "all"
	}
	if p.Repository != nil {
		if e.Repo, err = p.Repository.repo(g); err != nil {
			return err
		}
		e.From = p.renamed(e)
		if e.Account == "" {
			e.Account, e.AccountID = p.Repository.Owner.Login, p.Repository.Owner.ID
		}
	}
	if e.Account == "" && p.Organization != nil {
		e.Account, e.AccountID = p.Organization.Login, p.Organization.ID
	}
	if e.Account != "" && !ownerRE.MatchString(e.Account) {
		return errors.New("the account's login has characters that no login has")
	}
	for _, list := range []struct {
		from []repository
		to   *[]Repo
	}{{p.Repositories, &e.Added}, {p.RepositoriesAdded, &e.Added}, {p.RepositoriesRemoved, &e.Gone}} {
		for i := range list.from {
			r, err := list.from[i].repo(g)
			if err != nil {
				return err
			}
			*list.to = append(*list.to, *r)
		}
	}
	return nil
}

// renamed is the name that a repository had before.
func (p *payload) renamed(e *Event) string {
	var was struct {
		Name struct {
			From string `json:"from"`
		} `json:"name"`
	}
	if e.Name != "repository" || e.Action != "renamed" || json.Unmarshal(p.Changes.Repository, &was) != nil || !nameRE.MatchString(was.Name.From) {
		return ""
	}
	return was.Name.From
}

func (r *repository) repo(g *guard.Guard) (*Repo, error) {
	owner, name, _ := strings.Cut(r.FullName, "/")
	if r.ID == 0 || !ownerRE.MatchString(owner) || !nameRE.MatchString(name) || name == "." || name == ".." {
		return nil, errors.New("the repository's name has characters that no name has")
	}
	return &Repo{ID: r.ID, Owner: owner, Name: name, Public: !r.Private && r.Visibility != "internal", Archived: r.Archived, Default: BranchName(g, r.DefaultBranch)}, nil
}

// what reads what happened.
func (e *Event) what(p *payload) error {
	switch {
	case e.Name == "push":
		var ref string
		if err := json.Unmarshal(p.Ref, &ref); err != nil {
			return errors.New("ref is no text")
		}
		e.Base, e.Head, e.Deleted, e.Forced = p.Before, p.After, p.Deleted, p.Forced
		e.Tag = strings.HasPrefix(ref, "refs/tags/")
		e.Default = p.Repository != nil && ref == "refs/heads/"+p.Repository.DefaultBranch
	case e.written(p):
	case e.Name == "pull_request" && p.PullRequest != nil:
		pr := p.PullRequest
		e.Base, e.Head, e.Number, e.Rebased = pr.Base.SHA, pr.Head.SHA, pr.Number, len(p.Changes.Base) > 0
		e.Fork = pr.Head.Repo == nil || pr.Base.Repo != nil && pr.Head.Repo.ID != pr.Base.Repo.ID
	case e.Name == "merge_group" && p.MergeGroup != nil:
		e.Base, e.Head = p.MergeGroup.BaseSHA, p.MergeGroup.HeadSHA
	case e.Name == "check_run" && p.CheckRun != nil:
		e.CheckRun, e.Head = p.CheckRun.ID, p.CheckRun.HeadSHA
		if p.RequestedAction != nil && wordRE.MatchString(p.RequestedAction.Identifier) {
			e.Button = p.RequestedAction.Identifier
		}
	case e.Name == "check_suite" && p.CheckSuite != nil:
		e.Head = p.CheckSuite.HeadSHA
	case p.Issue != nil:
		e.Number = p.Issue.Number
		e.IsPull = len(p.Issue.PullRequest) > 0 && string(p.Issue.PullRequest) != "null"
		if p.Comment != nil {
			e.Comment, e.comment = p.Comment.ID, p.Comment.Body
		}
	case e.Name == "member" && p.Member != nil:
		e.Member = p.Member.Login
	case e.Name == "organization" && p.Membership != nil:
		e.Member = p.Membership.User.Login
	}
	if e.Member != "" && !loginRE.MatchString(e.Member) {
		return errors.New("the member's login has characters that no login has")
	}
	if e.Node != "" && !nodeRE.MatchString(e.Node) {
		return errors.New("the global id has characters that no id has")
	}
	for _, id := range []string{e.Base, e.Head} {
		if id != "" && !objectID.MatchString(id) {
			return errors.New("a commit's id is none")
		}
	}
	return nil
}

// written reads which text was written, if the event is about one that belongs to no issue. It
// reports whether it is.
func (e *Event) written(p *payload) bool {
	switch {
	case e.Name == "pull_request_review_comment" && p.Comment != nil && p.PullRequest != nil:
		e.Number, e.IsPull, e.Comment = p.PullRequest.Number, true, p.Comment.ID
	case e.Name == "pull_request_review" && p.Review != nil && p.PullRequest != nil:
		e.Number, e.IsPull, e.Comment = p.PullRequest.Number, true, p.Review.ID
	case e.Name == "commit_comment" && p.Comment != nil:
		e.Comment = p.Comment.ID
	case e.Name == "discussion" && p.Discussion != nil:
		e.Number, e.Node = p.Discussion.Number, p.Discussion.Node
	case e.Name == "discussion_comment" && p.Discussion != nil && p.Comment != nil:
		e.Number, e.Comment, e.Node = p.Discussion.Number, p.Comment.ID, p.Comment.Node
	case e.Name == "release" && p.Release != nil:
		e.Comment = p.Release.ID
	default:
		return false
	}
	return true
}
