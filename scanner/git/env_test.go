package git

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestEnvironment keeps the user's environment for the command, and nothing but what is
// given for a server.
func TestEnvironment(t *testing.T) {
	t.Setenv("MY_CREDENTIAL_HELPER", "fake-1")
	t.Setenv("KEYWARD_PEPPER", "fake-2")
	t.Setenv("GIT_DIR", "/of/a/hook")
	t.Setenv("HOME", "/home/dana")
	own := []string{"LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_LITERAL_PATHSPECS=1"}

	user := environment(Options{Getenv: os.Getenv})
	for _, want := range append(own, "MY_CREDENTIAL_HELPER=fake-1", "GIT_DIR=/of/a/hook", "HOME=/home/dana", "PATH="+os.Getenv("PATH")) {
		if !slices.Contains(user, want) {
			t.Errorf("the command's git lacks %s", want)
		}
	}
	if strings.Contains(strings.Join(user, "\n"), "fake-2") {
		t.Error("the command's git gets the pepper")
	}
	for _, given := range [][]string{{}, {"PATH=/bin", "HOME=/empty"}} {
		got := environment(Options{Env: given, Getenv: os.Getenv})
		if want := slices.Concat(given, own); !slices.Equal(got, want) {
			t.Errorf("with Env %q: %q, want %q", given, got, want)
		}
	}
}
