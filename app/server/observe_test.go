package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

// TestObservePolicy: under a policy that observes, checks that would fail are neutral and
// say so, until the date; issues are opened as ever.
func TestObservePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_MAX_FILE_MB"] = "1"
	w.start()
	c := w.clone("widgets")
	keys := w.variants("gitlab-pat", 6)
	n := 0
	push := func(policy, conclusion, title string) githubtest.Check {
		t.Helper()
		file := fmt.Sprintf("k%d.env", n)
		check := w.pushed(c, "widgets", "Key", ".keyward.toml", policy, file, "T="+keys[n]+"\n")
		n++
		expect(t, check, conclusion, title, file+":1")
		if !strings.HasPrefix(check.Title, title) {
			t.Errorf("the title is %q", check.Title)
		}
		return check
	}
	observe := "[app]\nobserve = true\nobserve-until = 2999-12-31\n"
	check := push(observe, "neutral", "observe-only: would fail: 1 key found")
	if !strings.Contains(check.Summary, "**Observe-only:** this check would fail.") {
		t.Errorf("the summary says\n%s", check.Summary)
	}
	w.issues("rotation", 1)
	push("[app]\nobserve = true\n", "neutral", "observe-only: would fail: 1 key found")
	push("[app]\nobserve = true\nobserve-until = \"2020-02-29\"\n", "failure", "1 key found") // over
	push("[app]\nobserve = true\nobserve-until = \"2999-02-31\"\n", "failure", "1 key found") // broken
	push("[app]\nobserve = false\n", "failure", "1 key found")
	expect(t, w.pushed(c, "widgets", "Large", ".keyward.toml", observe, "large.txt", strings.Repeat("text\n", 400_000)), "neutral", "observe-only: would fail: Not everything could be scanned")
	expect(t, w.pushed(c, "widgets", "Clean", "clean.txt", "x\n"), "success", "No keys found")
	w.issues("rotation", 5)
	w.idle()
}

// TestObserveDoesNotSpread: a pull request into a branch that observes does not let one
// pass into a branch that enforces, though both have the same last commit.
func TestObserveDoesNotSpread(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.start()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n", ".keyward.toml", "[app]\nissues = \"none\"\n")
	c.commit("observe", ".keyward.toml", "[app]\nissues = \"none\"\nobserve = true\n")
	c.push("HEAD:refs/heads/lenient")
	sha := c.commit("key", "k.env", "T="+w.key("gitlab-pat")+"\n")
	c.push("HEAD:refs/heads/topic")
	last := func(title string) {
		t.Helper()
		w.eventually(60*time.Second, title, func() string {
			var last githubtest.Check
			for _, check := range w.gh.Checks("acme", "widgets") {
				if check.Name == "Keyward" && check.SHA == sha && check.ID > last.ID {
					last = check
				}
			}
			if strings.HasPrefix(last.Title, title) && (last.Conclusion == "neutral") == strings.HasPrefix(title, "observe-only") {
				return ""
			}
			return fmt.Sprintf("%s %q", last.Conclusion, last.Title)
		})
	}
	open := func(base string) int {
		t.Helper()
		n, err := w.gh.OpenPull("acme", "widgets", githubtest.Pull{Title: "To " + base, Base: base, Head: "topic"})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	sly := open("lenient")
	last("observe-only: would fail: 1 key found")
	first := open("main")
	last("1 key found")
	if err := w.gh.ClosePull("acme", "widgets", sly); err != nil {
		t.Fatal(err)
	}
	open("lenient")
	last(fmt.Sprintf("Fails for pull request #%d", first))
}

// TestObserveApp: KEYWARD_OBSERVE holds for all repositories, until its date; also where a
// scan could not be made.
func TestObserveApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_MAX_REPOSITORY_MB"] = "2"
	key := func(c *clone, file, conclusion, title string) {
		t.Helper()
		expect(t, w.pushed(c, "widgets", file, file, "T="+w.variants("gitlab-pat", 3)[len(w.apps)-1]+"\n"), conclusion, title, file+":1")
	}
	c := w.clone("widgets")
	for i, tt := range []struct{ value, conclusion, title string }{
		{"true", "neutral", "observe-only: would fail: 1 key found"},
		{"2999-12-31", "neutral", "observe-only: would fail: 1 key found"},
		{"2020-12-31", "failure", "1 key found"},
	} {
		w.env["KEYWARD_OBSERVE"] = tt.value
		a := w.start()
		key(c, fmt.Sprintf("k%d.env", i), tt.conclusion, tt.title)
		if i == 0 {
			w.repo("large", githubtest.Repo{})
			expect(t, w.pushed(w.clone("large"), "large", "Large", "large.bin", noise(6<<20, 0)), "neutral", "observe-only: would fail: Not scanned")
		}
		w.idle()
		if code := a.stop(); code != 0 {
			t.Fatalf("exit %d", code)
		}
	}
	w.issues("rotation", 3)
	w.env["KEYWARD_OBSERVE"] = "until spring"
	if _, errs, code := run(t, w.environment(&app{address: "127.0.0.1:0"}), "serve"); code != 2 || !strings.Contains(errs, `KEYWARD_OBSERVE: invalid value "until spring": expected true, false, or a date such as 2027-01-31`) {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestObserveUnscanned: the policy holds where a scan could not be made, too.
func TestObserveUnscanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_MAX_REPOSITORY_MB"] = "2"
	w.start()
	c := w.clone("widgets")
	expect(t, w.pushed(c, "widgets", "Large", ".keyward.toml", "[app]\nobserve = true\n", "large.bin", noise(6<<20, 0)), "neutral", "observe-only: would fail: Not scanned")
	w.idle()
}

// TestObserveFile: the configuration file takes a boolean and a date.
func TestObserveFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]string{
		"observe = true": "", "observe = false": "", "observe = 2999-12-31": "", "observe = \"2999-12-31\"": "", "observe = \"true\"": "",
		"observe = 3": `KEYWARD_OBSERVE: invalid value "3"`, "observe = \"soon\"": `KEYWARD_OBSERVE: invalid value "soon"`,
	} {
		if err := os.WriteFile(filepath.Join(dir, "keyward-app.toml"), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := run(t, map[string]string{"KEYWARD_DATA": dir}, "migrate")
		if (code == 0) != (want == "") || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d: %s", text, code, errs)
		}
	}
}
