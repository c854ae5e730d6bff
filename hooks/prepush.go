package hooks

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/report"
)

// commitMessage is the hook that checks a message.
func (env *Env) commitMessage(ctx context.Context, name string) error {
	data, err := policy.ReadRegular(env.path(name), maxExplained)
	if err != nil {
		return hint(fmt.Errorf("commit message %s: %w", name, err), "nothing was scanned")
	}
	data = withoutComments(data)
	return env.stopOn(ctx, &scanOptions{}, report.Stopped{What: "commit", Message: true, Bypass: "git commit --no-verify"},
		func(j *job, ctx context.Context) error {
			if len(data) == 0 {
				return nil // git refuses an empty message itself
			}
			return j.message(ctx, data)
		})
}

// message scans the message of a commit.
func (j *job) message(ctx context.Context, data []byte) error {
	found, err := j.collect(ctx, files.Reader(scanner.CommitMessage, bytes.NewReader(data), j.fileOptions()), 0)
	j.add(found, nil)
	return err
}

// cutLine is the line below which git puts a diff that is no part of the message.
// https://git-scm.com/docs/git-commit#Documentation/git-commit.txt-scissors
var cutLine = regexp.MustCompile(`(?m)^\S -{24} >8 -{24}\r?$`)

// diffLine is a line of a diff, as git commit -v appends one.
var diffLine = regexp.MustCompile(`^(?:[-+ @\\]|diff --|index |new file |deleted file |old mode |new mode |similarity |dissimilarity |rename |copy |Binary |GIT binary )`)

// withoutComments leaves the diff out of a message that git commit -v appends below the
// scissors: it is no part of the message, and its lines are scanned as files. Everything else
// below them stays, as git may commit it: it cuts there only in some modes of clean-up. Lines
// that git would take for comments stay, too: what the comment character is, only git knows.
func withoutComments(data []byte) []byte {
	text := string(data)
	m := cutLine.FindStringIndex(text)
	if m == nil {
		return []byte(strings.TrimSpace(text))
	}
	var out strings.Builder
	out.WriteString(text[:m[0]])
	diff := false
	for line := range strings.Lines(text[m[1]:]) {
		if diff = diff || strings.HasPrefix(line, "diff --"); !diff || !diffLine.MatchString(line) {
			out.WriteString(line)
		}
	}
	return []byte(strings.TrimSpace(out.String()))
}

// prePush is the hook before a push: it scans the commits that leave for a remote. Git gives
// its name, or its address if it has none; then nothing is known of what it has.
func (env *Env) prePush(ctx context.Context, args []string) error {
	updates, err := env.leaving()
	if err != nil || len(updates) == 0 {
		return err
	}
	what := report.Stopped{What: "push", Committed: true, Bypass: "git push --no-verify"}
	return env.stopOn(ctx, &scanOptions{}, what, func(j *job, ctx context.Context) error {
		remote := env.Getenv("PRE_COMMIT_REMOTE_NAME")
		if len(args) > 0 {
			remote = args[0]
		}
		if remote == "" {
			return j.arrivals(ctx, updates, git.NotRemotes, below(ofRemotes))
		}
		if strings.ContainsAny(remote, ":*?[\\ ") || strings.HasPrefix(remote, "/") || strings.HasPrefix(remote, ".") {
			return j.arrivals(ctx, updates, git.NotNone, nil)
		}
		return j.arrivals(ctx, updates, git.NotRemote(remote), below(ofRemotes+"/"+remote))
	})
}

// leaving returns what is pushed: git says it on standard input. The pre-commit
// framework has read that, and says what it found there in the environment; run by
// hand it says nothing, and all that has not left yet is meant.
func (env *Env) leaving() ([]git.Update, error) {
	ref, from, to := env.Getenv("PRE_COMMIT_LOCAL_BRANCH"), env.Getenv("PRE_COMMIT_FROM_REF"), env.Getenv("PRE_COMMIT_TO_REF")
	switch {
	case ref != "" || to != "":
		return []git.Update{{Ref: ref, Old: from, New: cmp.Or(to, ref)}}, nil
	case env.Getenv("PRE_COMMIT") != "":
		return []git.Update{{Ref: "HEAD", New: "HEAD"}}, nil
	}
	return readUpdates(env.input(), false)
}

// maxUpdates bounds what is read from standard input: a push of a million refs.
const maxUpdates = 1 << 20

// readUpdates reads the lines that git gives to a hook on standard input: "local
// ref, local object, remote ref, remote object" before a push, "old object, new
// object, ref" on the receiving side.
// https://git-scm.com/docs/githooks#_pre_push
// https://git-scm.com/docs/githooks#pre-receive
func readUpdates(r io.Reader, received bool) ([]git.Update, error) {
	var out []git.Update
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		var u git.Update
		switch {
		case len(f) == 0:
			continue
		case received && len(f) == 3:
			u = git.Update{Ref: f[2], Old: f[0], New: f[1]}
		case !received && len(f) == 4:
			u = git.Update{Ref: f[0], Old: f[3], New: f[1]}
		default:
			return nil, hint(fmt.Errorf("standard input: %d words on a line, want what git gives to this hook", len(f)), "nothing was scanned: call it from a git hook")
		}
		if out = append(out, u); len(out) > maxUpdates {
			return nil, errors.New("standard input: more refs than can be pushed at once")
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the refs that are pushed: %w", err)
	}
	return out, nil
}

// arrivals scans what the commits brought that the updates of a push add. What the refs below
// published have is listed and does not count; nil means that none is compared with.
func (j *job) arrivals(ctx context.Context, updates []git.Update, notIn git.Refs, published func(context.Context) string) error {
	j.published = published
	listing, cancel := ctx, func() {}
	if !j.stopAt.IsZero() {
		listing, cancel = context.WithDeadline(ctx, j.stopAt)
	}
	defer cancel()
	changes, commits, err := j.repo.Arrivals(listing, updates, notIn)
	if err != nil && ctx.Err() == nil && listing.Err() != nil {
		j.late = true
		j.cov.Gaps = append(j.cov.Gaps, scanner.Gap{Reason: fmt.Sprintf("the time budget ended while git listed the commits of %d refs: none of them was scanned", len(updates))})
		return nil
	}
	if err != nil {
		return err
	}
	j.cov.Commits = commits
	_, err = j.scanNew(ctx, changes)
	return err
}
