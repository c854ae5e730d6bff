package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyward/keyward/scanner/git"
)

// A mirror is one copy, held by one job until it is released.
type mirror struct {
	*git.Repo
	cache  *Cache
	dir    string
	token  func(context.Context, bool) (string, error)
	seen   map[string]bool // commits that are here
	fresh  bool            // it was made just now
	unlock func()
}

// settings of every copy. Redirects are not followed: the token would go with them.
// Hooks, helpers and housekeeping do not run.
var settings = [][2]string{
	{"http.followRedirects", "false"}, {"http.lowSpeedLimit", "1000"}, {"http.lowSpeedTime", "60"}, {"gc.auto", "0"}, {"maintenance.auto", "false"},
	{"fetch.unpackLimit", "1"}, {"transfer.unpackLimit", "1"}, {"fetch.recurseSubmodules", "false"}, {"core.hooksPath", os.DevNull},
	{"pack.threads", "1"}, {"core.packedGitWindowSize", "8m"}, {"core.packedGitLimit", "64m"}, {"core.bigFileThreshold", "8m"}, {"credential.helper", ""},
}

// prepare makes the copy if it is not there. A killed process may have left half of
// one: what has no mark at its end is made anew.
func (m *mirror) prepare(ctx context.Context, url string) error {
	mark := filepath.Join(m.dir, "keyward-url")
	have, err := os.ReadFile(mark)
	if err != nil || string(have) != url {
		if err != nil {
			if err := os.RemoveAll(m.dir); err != nil {
				return err
			}
			m.fresh = true
			cmd := m.git(ctx, "init", "--quiet", "--bare", "--template=", m.dir)
			cmd.Dir = "" // it is not there yet
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("git init: %w: %s", err, strings.TrimSpace(string(out)))
			}
		}
		var text strings.Builder
		text.WriteString("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
		for _, kv := range append([][2]string{{"remote.origin.url", url}}, settings...) {
			i := strings.LastIndexByte(kv[0], '.')
			section := kv[0][:i]
			if a, b, ok := strings.Cut(section, "."); ok {
				section = a + ` "` + b + `"`
			}
			fmt.Fprintf(&text, "[%s]\n\t%s = %q\n", section, kv[0][i+1:], kv[1])
		}
		if err := os.WriteFile(filepath.Join(m.dir, "config"), []byte(text.String()), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(mark, []byte(url), 0o600); err != nil {
			return err
		}
	}
	for _, left := range []string{"shallow.lock", "packed-refs.lock", "config.lock", "FETCH_HEAD.lock"} { // of a process that was killed
		_ = os.Remove(filepath.Join(m.dir, left)) // mostly there is none
	}
	now := m.cache.now()
	if err := os.Chtimes(m.dir, now, now); err != nil {
		return err
	}
	m.Repo, err = git.Open(ctx, m.dir, git.Options{Named: true, Nice: 10, Env: Environment(m.cache.home())})
	if err == nil && m.GitDir != m.dir && !m.Bare {
		err = git.ErrNotRepository // it found one further up
	}
	if err != nil && !m.fresh && ctx.Err() == nil {
		if err := os.Remove(mark); err != nil {
			return err
		}
		return m.prepare(ctx, url)
	}
	return err
}

// broken reports whether git finds fault with what the copy has.
func (m *mirror) broken(ctx context.Context) bool {
	return m.git(ctx, "fsck", "--connectivity-only", "--no-dangling", "--no-progress").Run() != nil && ctx.Err() == nil
}

// maxPacks is how many packs a copy has before they are made one: each fetch brings
// one more, and git looks into all.
const maxPacks = 64

// release gives the copy back, and makes room if there is need.
func (m *mirror) release(ctx context.Context) {
	if packs, err := filepath.Glob(filepath.Join(m.dir, "objects", "pack", "*.pack")); err == nil && len(packs) > maxPacks {
		_ = m.git(ctx, "-c", "pack.windowMemory=32m", "-c", "pack.deltaCacheSize=32m", "repack", "-a", "-d", "-q").Run() // a copy that stays as it is does as well
	}
	m.unlock()
	m.cache.evict(m.cache.now())
}

// fetch fetches into the copy. A token that is refused is replaced once.
func (m *mirror) fetch(ctx context.Context, args ...string) error {
	err := m.fetchWith(ctx, false, args)
	if ctx.Err() == nil && git.FaultOf(err) == git.Unauthorized {
		err = m.fetchWith(ctx, true, args)
	}
	switch fault := git.FaultOf(err); {
	case ctx.Err() != nil:
	case fault == git.Unauthorized:
		return ErrTokenRefused
	case fault == git.Incomplete && !m.fresh && m.broken(ctx): // it is the copy that lacks something
		return &git.Error{Command: "fetch", Fault: git.Damaged, Said: "the copy is damaged", Err: err}
	}
	return err
}

// ErrTokenRefused says that GitHub refused a new token for a fetch.
var ErrTokenRefused = errors.New("GitHub refused the token for git: the App needs contents: read, and the repository has to be among those of the installation (keyward-app doctor)")

// fetchWith fetches, and stops when the copy grows too large.
func (m *mirror) fetchWith(ctx context.Context, fresh bool, args []string) error {
	token, err := m.token(ctx, fresh)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if m.cache.MaxRepo > 0 && diskUse(m.dir) > m.cache.MaxRepo {
					stop(ErrTooLarge)
					return
				}
			}
		}
	}()
	err = m.Fetch(ctx, token, args...)
	close(done)
	<-watched
	if err == nil && m.cache.MaxRepo > 0 && diskUse(m.dir) > m.cache.MaxRepo {
		stop(ErrTooLarge)
	}
	if errors.Is(context.Cause(ctx), ErrTooLarge) {
		_ = os.RemoveAll(m.dir) // what is left is removed with the next copy
		return ErrTooLarge
	}
	return err
}

// empty reports whether nothing was ever fetched.
func (m *mirror) empty() bool {
	packs, err := filepath.Glob(filepath.Join(m.dir, "objects", "pack", "*.pack"))
	return err == nil && len(packs) == 0
}

// tip is the ref under which a commit is kept, so that the next fetch can say what is
// there. There are few: a new one takes the place of an old one. What heads are
// compared with has names of its own, so that a fetch can ask for both.
func tip(id string) string { return "refs/keyward/tips/" + id[:2] }

func baseTip(id string) string { return "refs/keyward/bases/" + id[:2] }

// fetchTip fetches a ref, of its history the newest commits only unless the copy has all.
func (m *mirror) fetchTip(ctx context.Context, ref string) error {
	if m.Shallow || m.empty() {
		return m.fetch(ctx, "--depth=50", ref)
	}
	return m.fetch(ctx, ref)
}

// get makes sure that a commit is here, if not its history.
func (m *mirror) get(ctx context.Context, id string) error {
	if m.seen[id] || m.Has(ctx, id) {
		m.seen[id] = true
		return nil
	}
	if err := m.fetchTip(ctx, "+"+id+":"+tip(id)); err != nil {
		return fmt.Errorf("fetch %.12s: %w", id, err)
	}
	m.seen[id] = m.Has(ctx, id)
	return nil
}

// bring makes sure that the commits are here which head reaches and base does not, all
// that it reaches if base is "".
func (m *mirror) bring(ctx context.Context, base, head string) error {
	for _, id := range []string{base, head} {
		if id == "" {
			continue
		}
		if err := m.get(ctx, id); err != nil {
			return err
		}
	}
	for _, step := range []string{"--deepen=200", "--deepen=5000", "--unshallow", ""} {
		there, err := m.Whole(ctx, base, head)
		if err != nil || there {
			return err
		}
		if step == "" {
			break
		}
		args := []string{step, "+" + head + ":" + tip(head)}
		if base != "" {
			args = append(args, "+"+base+":"+baseTip(base))
		}
		if err := m.fetch(ctx, args...); err != nil {
			return fmt.Errorf("fetch the history of %.12s: %w", head, err)
		}
	}
	return fmt.Errorf("the history of %.12s is not whole, and fetching did not help", head)
}

// kind returns what an object is, "" if it is not here.
func (m *mirror) kind(ctx context.Context, id string) string {
	out, err := m.git(ctx, "cat-file", "-t", id).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// refused reports whether the other side answered that it has no such object or ref,
// which asking again does not change.
func refused(err error) bool {
	fault := git.FaultOf(err)
	return fault == git.NotThere || fault == git.Incomplete
}

// all makes sure that the whole repository is here.
func (m *mirror) all(ctx context.Context) error {
	args := []string{"--prune", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}
	if m.Shallow {
		args = append([]string{"--unshallow"}, args...)
	}
	return m.fetch(ctx, args...)
}
