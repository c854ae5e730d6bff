package scan_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/app/scan"
)

// TestGitEnvironment plants secrets in the environment and in the user's git
// configuration, and looks at what each git process of a scan gets.
func TestGitEnvironment(t *testing.T) {
	w := newWorld(t) // its own git runs without the stand-in
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\n{ echo \"== $*\"; cat /proc/$$/environ | tr '\\0' '\\n'; } >>'%s'\nexec '%s' \"$@\"\n", log, git)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "user")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("this is no git configuration\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"PATH": dir + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME": home, "XDG_CONFIG_HOME": home, "TZ": "UTC", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1", "LANG": "xx_XX",
		"GIT_DIR": "/nowhere", "GIT_CONFIG_PARAMETERS": "'user.name=fake-planted'", "GITHUB_APP_PRIVATE_KEY": "fake-planted-1", "KEYWARD_GITHUB_APP_PRIVATE_KEY": "fake-planted-2",
		"KEYWARD_GITHUB_WEBHOOK_SECRET": "fake-planted-3", "KEYWARD_PEPPER": "fake-planted-4", "DATABASE_URL": "postgres://u:fake-planted-5@h/d", "AWS_SECRET_ACCESS_KEY": "fake-planted-6",
	} {
		t.Setenv(name, value)
	}
	cache := t.TempDir()
	e, err := scan.New(&scan.Cache{Dir: cache}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.found(t, e, w.job)
	if _, err := e.History(context.Background(), w.job); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	own := []string{"HOME", "LANG", "LC_ALL", "PATH", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
		"GIT_CONFIG_NOSYSTEM", "GIT_TERMINAL_PROMPT", "GIT_NO_LAZY_FETCH", "GIT_OPTIONAL_LOCKS", "GIT_NO_REPLACE_OBJECTS", "GIT_LITERAL_PATHSPECS", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}
	processes := 0
	args := ""
	seen := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "== ") {
			processes, args = processes+1, line
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		seen[name] = value
		if strings.Contains(value, "fake-planted") || !slices.Contains(own, name) {
			t.Errorf("%.80s has %s", args, name)
		}
	}
	for name, want := range map[string]string{"HOME": filepath.Join(cache, "home"), "LC_ALL": "C", "LANG": "C", "TZ": "UTC", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"} {
		if seen[name] != want {
			t.Errorf("%s=%s, want %s", name, seen[name], want)
		}
	}
	if processes < 5 || !strings.Contains(string(data), "== init") || !strings.Contains(string(data), " fetch ") {
		t.Errorf("only %d git processes were seen", processes)
	}
	if left, err := os.ReadDir(filepath.Join(cache, "home")); err != nil || len(left) != 0 {
		t.Errorf("HOME is not empty: %v %v", left, err)
	}
}
