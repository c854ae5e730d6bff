package git

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fetching are the options of the one command that talks to a remote: it is run
// only where that is asked for, in a workflow whose checkout is too shallow, and
// only over transports that run no command of the repository's choice.
var fetching = []string{
	"--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.sshCommand=ssh", "-c", "gc.auto=0",
	"-c", "protocol.allow=never", "-c", "protocol.https.allow=always", "-c", "protocol.http.allow=always", "-c", "protocol.ssh.allow=always",
	"-c", "protocol.file.allow=always", "-c", "fetch.recurseSubmodules=false", "-c", "maintenance.auto=false",
}

// Fetch fetches from origin. token, if there is one, is sent to it over HTTP unless
// the checkout has credentials of its own; it stands in no argument.
func (r *Repo) Fetch(ctx context.Context, token string, args ...string) error {
	if r.bin == "" {
		return errors.New("git fetch: git is not installed")
	}
	cmd := r.git(ctx, slices.Concat(fetching, []string{"fetch", "--no-tags", "--quiet", "origin"}, args))
	if token != "" && strings.HasPrefix(r.originURL(ctx), "http") && !r.hasHeader(ctx) {
		basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))
		cmd.Env = append(slices.Clip(cmd.Env), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraheader", "GIT_CONFIG_VALUE_0=AUTHORIZATION: basic "+basic)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return gitError("fetch", err, stderr.String())
	}
	return r.lookAgain()
}

func (r *Repo) originURL(ctx context.Context) string {
	out, err := r.output(ctx, "config", "--get", "remote.origin.url")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// hasHeader reports whether the checkout brought its own credentials: GitHub
// refuses two.
func (r *Repo) hasHeader(ctx context.Context) bool {
	out, err := r.output(ctx, "config", "--name-only", "--get-regexp", `^http\..*extraheader$`)
	return err == nil && len(bytes.TrimSpace(out)) > 0
}

// lookAgain sees whether the clone is still shallow.
func (r *Repo) lookAgain() error {
	_, err := os.Stat(filepath.Join(r.commonDir(), "shallow"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	r.Shallow = err == nil
	return nil
}

// Has reports whether a commit is here.
func (r *Repo) Has(ctx context.Context, id string) bool {
	got, err := r.Resolve(ctx, id)
	return err == nil && got != ""
}

// Deepen makes sure that the commits which head reaches and base does not are
// here, and fetches what is missing: base and head first, then more and more of
// their history. An empty base means all of head's history.
func (r *Repo) Deepen(ctx context.Context, token, base, head string) error {
	for _, id := range []string{base, head} {
		if id != "" && !r.Has(ctx, id) {
			if err := r.Fetch(ctx, token, "--depth=50", id); err != nil {
				return fmt.Errorf("commit %.12s is not in the checkout: %w", id, err)
			}
		}
	}
	for _, step := range []string{"--deepen=200", "--deepen=2000", "--unshallow"} {
		whole, err := r.Whole(ctx, base, head)
		if err != nil || whole {
			return err
		}
		ids := []string{head}
		if base != "" {
			ids = append(ids, base)
		}
		if err := r.Fetch(ctx, token, append([]string{step}, ids...)...); err != nil {
			return fmt.Errorf("the checkout is shallow: %w", err)
		}
	}
	whole, err := r.Whole(ctx, base, head)
	if err == nil && !whole {
		err = errors.New("the checkout is shallow, and fetching did not help")
	}
	return err
}

// Whole reports whether no commit between base and head has lost its parents.
func (r *Repo) Whole(ctx context.Context, base, head string) (bool, error) {
	if !r.Shallow {
		return true, nil
	}
	cut, err := os.ReadFile(filepath.Join(r.commonDir(), "shallow"))
	if err != nil {
		return false, fmt.Errorf("read the boundary of the shallow clone: %w", err)
	}
	args := []string{"rev-list", head}
	if base != "" {
		args = append(args, "^"+base)
	}
	list, err := r.output(ctx, append(args, "--")...)
	if err != nil {
		return false, err
	}
	inside := map[string]bool{}
	for _, id := range strings.Fields(string(list)) {
		inside[id] = true
	}
	for _, id := range strings.Fields(string(cut)) {
		if inside[id] {
			return false, nil
		}
	}
	return true, nil
}
