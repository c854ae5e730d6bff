// Package git yields the blobs of a repository: those staged, those that a
// range of commits brought, those of a tree, those of the whole history.
//
// # Which git
//
// The git binary is used where there is one, go-git where there is none: both
// give the same changes and blobs. Measured with BenchmarkSources on 2 cores, a
// history of 18,000 blobs: git 0.20 s, go-git 1.31 s; one staged file in a
// repository of 10,000: git 8 ms, go-git 31 ms. On hashicorp/terraform (97,000
// commits, 170,000 blobs of 4.2 GB in all) rev-list and two diff-trees say in 3 s which
// commit brought which blob, and two cat-files, asked in the order of the paths,
// read them in 3 s. Besides, only git knows SHA-256 repositories, partial clones
// and safe.directory. Without git, SHA-256 repositories are refused.
//
// # Hostile repositories
//
// A repository's own configuration, attributes and hooks never start a program
// or a connection: only plumbing commands run, which read no pager, alias or
// log settings, with fsmonitor, hooks, external diffs and all transports off, and
// no command that would run a clean or smudge filter. Replacement refs are not
// honoured: they can hide what a commit really holds.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	gogit "github.com/go-git/go-git/v5"

	"github.com/keyward/keyward/scanner"
)

// A Repo is an open repository. It is safe for concurrent use.
type Repo struct {
	Dir     string // top of the work tree, or the git directory of a bare repository
	GitDir  string
	Bare    bool
	Shallow bool
	Partial bool           // objects may be missing on purpose
	Budget  scanner.Budget // of each listing; not to be changed while one runs

	bin  string // the git binary, or "" to use go-git
	nice int
	lib  *gogit.Repository // set if bin is ""
	env  []string

	mu       sync.Mutex
	warnings []string
}

// Warnings returns what git complained of although it went on: something that
// was to be read may be missing.
func (r *Repo) Warnings() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.warnings)
}

// warn keeps what git printed on its standard error.
func (r *Repo) warn(stderr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "warning: "))
		harmless := line == "" || strings.HasPrefix(line, "hint:") || strings.Contains(line, "rename detection") || strings.Contains(line, "renameLimit")
		if !harmless && len(r.warnings) < 100 && !slices.Contains(r.warnings, line) {
			r.warnings = append(r.warnings, line[:min(len(line), 500)])
		}
	}
}

// ErrNotRepository says that a directory is in no repository.
var ErrNotRepository = errors.New("not a git repository")

// Options say how a repository is opened.
type Options struct {
	Getenv func(string) string // the environment; nil means none of git's variables count
	// Named says that the user named the directory. Then git's variables count
	// only if they speak of the repository that the directory is in: inside a hook they
	// name the hook's.
	Named bool
	NoGit bool // do not use the git binary
	// Budget bounds what the listings of the repository may hold. Its defaults stand for
	// the fields that are 0.
	Budget scanner.Budget
	// Env, if not nil, is the whole environment of git's processes, besides the variables
	// that this package sets itself. A server passes what git needs and none of its own
	// secrets. The command leaves it nil: the user's git configuration and credential
	// helpers count.
	Env []string
	// Nice is how far below other processes the git binary runs, 0 to 19. A server that
	// has to answer while it scans answers sooner for it.
	Nice int
}

// inherited are git's variables that a hook is run with and that say where the
// repository, its index and the objects in quarantine are.
var inherited = []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
	"GIT_QUARANTINE_PATH", "GIT_COMMON_DIR", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES"}

// Open opens the repository that dir is in.
func Open(ctx context.Context, dir string, opt Options) (*Repo, error) {
	r := &Repo{Dir: dir, Budget: opt.Budget.Or(scanner.Budget{}), env: environment(opt)}
	if !opt.NoGit {
		r.bin, _ = exec.LookPath("git")
	}
	if _, err := exec.LookPath("nice"); err == nil {
		r.nice = opt.Nice
	}
	if r.bin == "" {
		return r, r.openLibrary()
	}
	if opt.Named && opt.Getenv != nil && opt.Env == nil {
		r.dropForeign(ctx, opt.Getenv)
	}
	out, err := r.output(ctx, "rev-parse", "--absolute-git-dir", "--is-bare-repository", "--is-shallow-repository", "--git-common-dir")
	if err != nil {
		if FaultOf(err) == NoRepository {
			return nil, fmt.Errorf("%s: %w", dir, ErrNotRepository)
		}
		return nil, fmt.Errorf("open repository %s: %w", dir, err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != 4 {
		return nil, fmt.Errorf("open repository %s: git rev-parse answered %q", dir, out)
	}
	r.GitDir, r.Bare, r.Shallow = lines[0], lines[1] == "true", lines[2] == "true"
	common := lines[3]
	if !filepath.IsAbs(common) {
		common = filepath.Join(dir, common)
	}
	promisors, _ := filepath.Glob(filepath.Join(common, "objects", "pack", "*.promisor"))
	r.Partial = len(promisors) > 0
	if r.Bare && !inside(dir, r.GitDir) { // core.bare lies: there is a work tree around
		r.Bare, r.Dir = false, dir
		if filepath.Base(r.GitDir) == ".git" {
			r.Dir = filepath.Dir(r.GitDir)
		}
		return r, nil
	}
	if r.Bare {
		r.Dir = r.GitDir
		return r, nil
	}
	top, err := r.output(ctx, "rev-parse", "--show-toplevel")
	if err == nil {
		r.Dir = strings.TrimRight(string(top), "\n")
	} else { // called from inside .git, as some hooks are
		r.Dir = r.GitDir
	}
	return r, nil
}

// Parallel reports whether several calls may be made at once: not without the git binary.
func (r *Repo) Parallel() bool { return r.bin != "" }

// inside reports whether dir is base or lies in it, links resolved.
func inside(dir, base string) bool {
	d, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	b, err := filepath.EvalSymlinks(base)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(b, d)
	return err == nil && filepath.IsLocal(rel)
}

// dropForeign drops git's variables from the environment unless they lead to
// the repository that r.Dir is in without them.
func (r *Repo) dropForeign(ctx context.Context, getenv func(string) string) {
	set := slices.ContainsFunc(inherited, func(name string) bool { return !strings.HasPrefix(name, "GIT_CON") && getenv(name) != "" })
	if !set {
		return
	}
	bare := &Repo{Dir: r.Dir, bin: r.bin, env: environment(Options{Getenv: func(name string) string {
		if strings.HasPrefix(name, "GIT_CONFIG") || name == "GIT_CEILING_DIRECTORIES" {
			return getenv(name)
		}
		return ""
	}})}
	here := &Repo{bin: r.bin, env: r.env} // the working directory, as the hook sees it
	a, errA := bare.output(ctx, "rev-parse", "--absolute-git-dir")
	b, errB := here.output(ctx, "rev-parse", "--absolute-git-dir")
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		r.env = bare.env
	}
}

// environment returns the environment for git commands.
func environment(opt Options) []string {
	env := slices.Clone(opt.Env)
	if opt.Env == nil {
		env = inherit(opt.Getenv)
	}
	return slices.Clip(append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_LITERAL_PATHSPECS=1")) // Fetch appends to it
}

// inherit returns the user's environment, of git's variables only those that getenv knows.
func inherit(getenv func(string) string) (env []string) {
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GIT_") && !strings.HasPrefix(kv, "LC_") && !strings.HasPrefix(kv, "LANG") && !strings.HasPrefix(kv, "KEYWARD_") {
			env = append(env, kv)
		}
	}
	if getenv != nil {
		for _, name := range inherited {
			if v := getenv(name); v != "" {
				env = append(env, name+"="+v)
			}
		}
	}
	return env
}

// hardened are the options of every git command: nothing that the repository
// configures may run.
var hardened = []string{
	"--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "protocol.allow=never",
	"-c", "core.sshCommand=false", "-c", "core.alternateRefsCommand=false", "-c", "diff.external=", "-c", "credential.helper=",
	"-c", "core.attributesFile=" + os.DevNull, "-c", "core.quotePath=false", "-c", "gc.auto=0", "-c", "diff.renameLimit=1000",
	"-c", "core.packedGitWindowSize=1m", "-c", "core.packedGitLimit=16m", "-c", "core.deltaBaseCacheLimit=48m", // half the memory, 2 % slower
}

func (r *Repo) command(ctx context.Context, args ...string) *exec.Cmd {
	return r.git(ctx, append(slices.Clone(hardened), args...))
}

// git is a git command with all its arguments.
func (r *Repo) git(ctx context.Context, args []string) *exec.Cmd {
	bin := r.bin
	if r.nice > 0 {
		bin, args = "nice", append([]string{"-n", strconv.Itoa(r.nice), r.bin}, args...)
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir, cmd.Env = r.Dir, r.env
	return cmd
}

// output runs a git command and returns what it printed. What it says on its
// standard error and yet succeeds is kept as a warning.
func (r *Repo) output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := r.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, gitError(args[0], err, stderr.String())
	}
	r.warn(stderr.String())
	return out, nil
}

// HooksDir returns the directory in which git looks for the repository's hooks,
// and the scope of the setting that says so (local, worktree, global, system), ""
// if it is git's default.
func (r *Repo) HooksDir(ctx context.Context) (dir, scope string, err error) {
	if r.bin == "" {
		return "", "", errors.New("where the hooks are can be told only with git installed")
	}
	ask := func(args ...string) (string, error) { // not hardened: that would set core.hooksPath
		cmd := exec.CommandContext(ctx, r.bin, args...)
		cmd.Dir, cmd.Env = r.Dir, r.env
		out, err := cmd.Output()
		if err != nil {
			return "", gitError(args[0], err, stderrOf(err))
		}
		return strings.TrimRight(string(out), "\r\n"), nil
	}
	if dir, err = ask("rev-parse", "--git-path", "hooks"); err != nil {
		return "", "", err
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.Dir, dir)
	}
	if set, err := ask("config", "--show-scope", "--get", "core.hooksPath"); err == nil {
		scope, _, _ = strings.Cut(set, "\t")
	}
	return dir, scope, nil
}

// OwnHooks is the directory of the repository's own hooks, whatever core.hooksPath says.
func (r *Repo) OwnHooks() string { return filepath.Join(r.commonDir(), "hooks") }

// Tracked reports whether a file is in the index. If that cannot be found out, it is not.
func (r *Repo) Tracked(ctx context.Context, path string) bool {
	tracked, err := r.IsTracked(ctx, path)
	return err == nil && tracked
}

// IsTracked reports whether a file is in the index, which needs git to be installed.
func (r *Repo) IsTracked(ctx context.Context, path string) (bool, error) {
	list, err := r.list(ctx, "--literal-pathspecs", "ls-files", "-z", "--", path)
	return len(list) > 0, err
}

// Untrack takes a file out of the index and leaves it on disk. A file that is not
// tracked is left alone.
func (r *Repo) Untrack(ctx context.Context, path string) error {
	if r.bin == "" {
		return errors.New("a file can be untracked only with git installed")
	}
	_, err := r.output(ctx, "update-index", "--force-remove", "--", path)
	return err
}

// FirstCommit returns the id of a commit without parents that HEAD reaches, ""
// if there is none or if the clone is shallow.
func (r *Repo) FirstCommit(ctx context.Context) string {
	if r.Shallow {
		return ""
	}
	head, err := r.Head(ctx)
	if err != nil || head == "" {
		return ""
	}
	if r.bin == "" {
		return r.firstLibrary(ctx, head)
	}
	out, err := r.output(ctx, "rev-list", "--max-parents=0", head)
	if err != nil {
		return ""
	}
	return slices.Min(append(strings.Fields(string(out)), "~"))
}

// Origin returns the identity of a repository for fingerprints without a pepper:
// the host and path of its origin, else "".
func (r *Repo) Origin(ctx context.Context) string {
	url := ""
	if r.bin != "" {
		url = r.originURL(ctx)
	} else if remote, err := r.lib.Remote("origin"); err == nil && len(remote.Config().URLs) > 0 {
		url = remote.Config().URLs[0]
	}
	return normaliseURL(url)
}

// normaliseURL turns every usual form of a remote's address into host/path.
func normaliseURL(u string) string {
	if _, rest, ok := strings.Cut(u, "://"); ok {
		u = rest
		if i := strings.IndexByte(u, '/'); i > 0 {
			if at := strings.LastIndexByte(u[:i], '@'); at >= 0 { // user, perhaps a token
				u = u[at+1:]
			}
		}
		if host, p, ok := strings.Cut(u, "/"); ok {
			h, _, _ := strings.Cut(host, ":") // port
			u = h + "/" + p
		}
	} else if host, p, ok := strings.Cut(u, ":"); ok && !strings.ContainsAny(host, `/\`) { // user@host:path
		u = host[strings.LastIndexByte(host, '@')+1:] + "/" + strings.TrimPrefix(p, "/")
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimRight(u, "/"), ".git"))
}

// Head returns the commit at HEAD, or "" in a repository without commits.
func (r *Repo) Head(ctx context.Context) (string, error) {
	return r.Resolve(ctx, "HEAD")
}

// Resolve returns the commit that a revision names, "" if there is none.
func (r *Repo) Resolve(ctx context.Context, rev string) (string, error) {
	if strings.HasPrefix(rev, "-") {
		return "", fmt.Errorf("%q is no revision", rev)
	}
	if r.bin == "" {
		return r.resolveLibrary(rev)
	}
	out, err := r.output(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if err != nil {
		return "", nil
	}
	return strings.TrimSpace(string(out)), nil
}
