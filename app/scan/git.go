package scan

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// passed are the variables that git's processes get from the server. All others stay out
// of them: the App's private key, the webhook's secret, the pepper and the database's
// password are in the environment of the server, and git reads repositories of strangers.
var passed = []string{
	"PATH", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
	"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
}

// Environment returns the whole environment of a git process of the App. home is an empty
// directory, so that no configuration of a user counts.
func Environment(home string) []string {
	env := []string{"HOME=" + home, "LANG=C", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0"}
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// home is the empty directory of git's processes, as an absolute path: they run in other
// directories.
func (c *Cache) home() string {
	dir := filepath.Join(c.Dir, "home")
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// git is a git command that runs in a copy.
func (m *mirror) git(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = m.dir, Environment(m.cache.home())
	return cmd
}
