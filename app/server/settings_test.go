package server_test

import (
	"bytes"
	"cmp"
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyward/keyward/app/server"
)

// TestOldNames reads the settings under the names of the release before.
func TestOldNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := filepath.Join(dir, "the.db")
	for name, tt := range map[string]struct {
		env    map[string]string
		code   int
		notice string // "" for none
		errs   string
	}{
		"old":       {map[string]string{"DATABASE_URL": db, "KEYWARD_BEAT": "2s"}, 0, "DATABASE_URL -> KEYWARD_DATABASE_URL, KEYWARD_BEAT -> KEYWARD_HEARTBEAT", ""},
		"new":       {map[string]string{"KEYWARD_DATABASE_URL": db}, 0, "", ""},
		"both":      {map[string]string{"DATABASE_URL": db, "KEYWARD_DATABASE_URL": db}, 0, "", ""},
		"differ":    {map[string]string{"DATABASE_URL": "postgres://u:fake-password-1@h/a", "KEYWARD_DATABASE_URL": db}, 2, "", "KEYWARD_DATABASE_URL and its old name DATABASE_URL have different values: unset DATABASE_URL"},
		"old wrong": {map[string]string{"DATABASE_URL": db, "DRAIN": "soon"}, 2, "DRAIN -> KEYWARD_DRAIN", `KEYWARD_DRAIN: invalid value "soon"`},
	} {
		tt.env["KEYWARD_DATA"] = dir
		out, errs, code := run(t, tt.env, "migrate")
		if code != tt.code || !strings.Contains(errs, tt.errs) || strings.Contains(errs, "fake-password") {
			t.Errorf("%s: exit %d, want %d and %q\n%s", name, code, tt.code, tt.errs, errs)
		}
		if n := strings.Count(errs, "new names"); tt.notice == "" && n != 0 || tt.notice != "" && (n != 1 || !strings.Contains(errs, tt.notice)) {
			t.Errorf("%s: want the notice %q once\n%s", name, tt.notice, errs)
		}
		if code == 0 && !strings.HasPrefix(out, db) {
			t.Errorf("%s: the database is %s, want %s", name, out, db)
		}
	}
}

// TestOldNamesInFileAndLog reads an old key of the file; serve logs the notice as JSON.
func TestOldNamesInFileAndLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	data := w.env["KEYWARD_DATA"]
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "keyward-app.toml"), []byte("beat = \"1s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	delete(w.env, "KEYWARD_DRAIN")
	w.env["DRAIN"] = "10s"
	a := w.start()
	first, _, _ := strings.Cut(a.log.String(), "\n")
	if !strings.Contains(first, `"level":"WARN"`) || !strings.Contains(first, "beat -> heartbeat") || !strings.Contains(first, "DRAIN -> KEYWARD_DRAIN") {
		t.Errorf("the log begins with %s", first)
	}
}

// TestUnknownSettings reports misspelt settings together with all other errors.
func TestUnknownSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "keyward-app.toml"), []byte("trackr = \"rotation\"\nnonsense-of-a-key = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"KEYWARD_DATA": dir, "KEYWARD_DATABSE_URL": "fake-value-1", "KEYWARD_APP_ID": "1", "KEYWARD_PORT": "8080", "KEYWARD_EMPTY": "", "KEYWARD_WORKERS": "many",
		"KEYWARD_REVOKE": "everything,gitlab-patt, gitlab-pat,scim-user,deploy-key,token-grant",
		// of Kubernetes, for a service keyward-app
		"KEYWARD_APP_SERVICE_HOST": "10.0.0.1", "KEYWARD_APP_SERVICE_PORT": "80", "KEYWARD_APP_SERVICE_PORT_HTTP": "80", "KEYWARD_APP_PORT": "tcp://10.0.0.1:80",
		"KEYWARD_APP_PORT_80_TCP": "tcp://10.0.0.1:80", "KEYWARD_APP_PORT_80_TCP_PROTO": "tcp", "KEYWARD_APP_PORT_80_TCP_PORT": "80", "KEYWARD_APP_PORT_80_TCP_ADDR": "10.0.0.1",
	}
	_, errs, code := run(t, env, "migrate")
	if code != 2 {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{
		`line 1: unknown key "trackr", did you mean tracker?`, `line 2: unknown key "nonsense-of-a-key"` + "\n",
		"KEYWARD_DATABSE_URL: unknown variable, did you mean KEYWARD_DATABASE_URL?", "KEYWARD_APP_ID: unknown variable, did you mean KEYWARD_GITHUB_APP_ID?", "KEYWARD_PORT: unknown variable\n",
		`KEYWARD_REVOKE: unknown value "everything"`, `unknown value "gitlab-patt": expected a rule id, a class, deploy-key, token-grant or all, did you mean gitlab-pat?`, "KEYWARD_WORKERS: invalid value: expected a whole number",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("want %q:\n%s", want, errs)
		}
	}
	if strings.Count(errs, "\n  - ") != 8 || strings.Contains(errs, "fake-value-1") {
		t.Errorf("want 8 errors, and no value of an unknown variable:\n%s", errs)
	}
	env = map[string]string{"KEYWARD_DATA": t.TempDir(), "KEYWARD_REVOKE": "all"}
	if _, errs, code := run(t, env, "migrate"); code != 0 {
		t.Errorf("all: exit %d %s", code, errs)
	}
}

// TestKnownVariables knows every variable that any file of the repository names.
func TestKnownVariables(t *testing.T) {
	t.Parallel()
	names := map[string]string{"KEYWARD_DATA": t.TempDir()}
	word := regexp.MustCompile(`\bKEYWARD_[A-Z0-9_]*[A-Z0-9]\b`)
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == ".git" {
			return cmp.Or(err, fs.SkipDir)
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata") {
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > 1<<20 {
			return err
		}
		data, err := os.ReadFile(name)
		for _, m := range word.FindAll(data, -1) {
			if _, ok := names[string(m)]; !ok {
				names[string(m)] = "tcp://named"
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(names, "KEYWARD_CONFIG")
	delete(names, "KEYWARD_ACTION") // a prefix
	if _, errs, _ := run(t, names, "migrate"); len(names) < 40 || strings.Contains(errs, "unknown variable") {
		t.Errorf("%d names:\n%s", len(names), errs)
	}
}

// TestSecretSources reads the pepper in each way: the public key of receipts is made of it.
func TestSecretSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := file("the pepper", pepper+"\n", 0o600)
	fails := file("fails.sh", "#!/bin/sh\necho fake-secret-on-stderr >&2\necho fake-secret-on-stdout\nexit 3\n", 0o700)
	want, _, code := run(t, map[string]string{"KEYWARD_PEPPER": pepper}, "receipt", "key")
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		errs string // "" if it works
	}{
		"file":           {map[string]string{"KEYWARD_PEPPER_FILE": good}, ""},
		"command":        {map[string]string{"KEYWARD_PEPPER_COMMAND": "cat '" + good + "'"}, ""},
		"quotes":         {map[string]string{"KEYWARD_PEPPER_COMMAND": `cat "` + dir + `"/the\ pepper`}, ""},
		"two":            {map[string]string{"KEYWARD_PEPPER_FILE": good, "KEYWARD_PEPPER": pepper}, "KEYWARD_PEPPER and KEYWARD_PEPPER_FILE: set only one of them"},
		"two others":     {map[string]string{"KEYWARD_PEPPER_FILE": good, "KEYWARD_PEPPER_COMMAND": "cat x"}, "KEYWARD_PEPPER_FILE and KEYWARD_PEPPER_COMMAND: set only one of them"},
		"none":           {nil, "KEYWARD_PEPPER is missing"},
		"world":          {map[string]string{"KEYWARD_PEPPER_FILE": file("world", pepper, 0o604)}, "run chmod 600 " + dir + "/world"},
		"group writes":   {map[string]string{"KEYWARD_PEPPER_FILE": file("writes", pepper, 0o620)}, "(mode 0620): run chmod 600"},
		"no file":        {map[string]string{"KEYWARD_PEPPER_FILE": dir + "/nothing"}, "KEYWARD_PEPPER_FILE: open " + dir + "/nothing: no such file"},
		"empty":          {map[string]string{"KEYWARD_PEPPER_FILE": file("empty", " \n", 0o600)}, "KEYWARD_PEPPER_FILE: the secret is empty"},
		"large":          {map[string]string{"KEYWARD_PEPPER_FILE": file("large", strings.Repeat("a", 64<<10+1), 0o600)}, "is larger than 65536 bytes"},
		"fails":          {map[string]string{"KEYWARD_PEPPER_COMMAND": fails}, "failed (exit status 3)"},
		"no program":     {map[string]string{"KEYWARD_PEPPER_COMMAND": "keyward-no-such-program x"}, "KEYWARD_PEPPER_COMMAND: run keyward-no-such-program"},
		"silent":         {map[string]string{"KEYWARD_PEPPER_COMMAND": "true"}, "KEYWARD_PEPPER_COMMAND: the secret is empty"},
		"without an end": {map[string]string{"KEYWARD_PEPPER_COMMAND": "yes"}, "yes printed more than 65536 bytes"},
		"variable":       {map[string]string{"KEYWARD_PEPPER_COMMAND": "echo $HOME"}, "runs without a shell"},
		"substitution":   {map[string]string{"KEYWARD_PEPPER_COMMAND": "echo `id`"}, "runs without a shell"},
		"quoted":         {map[string]string{"KEYWARD_PEPPER_COMMAND": `echo "$(id)"`}, "runs without a shell"},
		"pipe":           {map[string]string{"KEYWARD_PEPPER_COMMAND": "cat x | tr a b"}, "runs without a shell"},
		"open quote":     {map[string]string{"KEYWARD_PEPPER_COMMAND": "cat 'x"}, "runs without a shell"},
	} {
		env := map[string]string{"KEYWARD_DATA": filepath.Join(dir, "data")}
		maps.Copy(env, tt.env)
		out, errs, code := run(t, env, "receipt", "key")
		if tt.errs == "" && (code != 0 || out != want) || tt.errs != "" && (code != 2 || !strings.Contains(errs, tt.errs)) {
			t.Errorf("%s: exit %d, want %q\n%s%s", name, code, tt.errs, out, errs)
		}
		if strings.Contains(errs, "fake-secret") {
			t.Errorf("%s: the command's output is shown:\n%s", name, errs)
		}
	}

	// Kubernetes mounts a Secret as root's, readable by the pod's group.
	group := file("group", pepper, 0o440)
	if os.Getuid() == 0 {
		if out, errs, code := run(t, map[string]string{"KEYWARD_PEPPER_FILE": group}, "receipt", "key"); code != 0 || out != want {
			t.Errorf("root's, readable by a group: exit %d %s", code, errs)
		}
		if err := os.Chown(group, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs, code := run(t, map[string]string{"KEYWARD_PEPPER_FILE": group}, "receipt", "key"); code != 2 || !strings.Contains(errs, "(mode 0440)") {
		t.Errorf("readable by a group: exit %d %s", code, errs)
	}

	// The environment wins over the file; a path in the file is relative to it.
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for text, env := range map[string]map[string]string{
		"pepper = \"another-fake-pepper-of-the-tests\"\n":               {"KEYWARD_PEPPER_FILE": good},
		"pepper-command = \"false\"\n":                                  {"KEYWARD_PEPPER": pepper},
		"pepper-file = \"../the pepper\"\n":                             {},
		"pepper-command = \"cat '" + good + "'\"\nheartbeat = \"1s\"\n": {},
	} {
		if err := os.WriteFile(filepath.Join(data, "keyward-app.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		env["KEYWARD_DATA"] = data
		if out, errs, code := run(t, env, "receipt", "key"); code != 0 || out != want {
			t.Errorf("%s: exit %d %s", text, code, errs)
		}
	}
}

// TestSecretCommandEnds ends the command, and what it has started, with Keyward.
func TestSecretCommandEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script, pid := filepath.Join(dir, "hangs.sh"), filepath.Join(dir, "pid")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 600 &\necho $! >'"+pid+".new'\nmv '"+pid+".new' '"+pid+"'\nwait\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	env := map[string]string{"KEYWARD_DATA": dir, "KEYWARD_PEPPER_COMMAND": script}
	var out, errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- server.Main(ctx, server.Env{Args: []string{"receipt", "key"}, Stdout: &out, Stderr: &errs, Getenv: getenv(env)})
	}()
	var child int
	for child == 0 {
		if data, err := os.ReadFile(pid); err == nil {
			child, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if code := <-ended; code != 2 || !strings.Contains(errs.String(), "was interrupted") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	for dead := false; !dead; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat")
		dead = err != nil || strings.Contains(string(stat), ") Z ") || syscall.Kill(child, 0) != nil
	}
}

// TestPrivateKeyCommand signs in with a key that a command prints.
func TestPrivateKeyCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	file := filepath.Join(w.dir, "the key.pem")
	if err := os.WriteFile(file, w.gh.AppKeyPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	delete(w.env, "KEYWARD_GITHUB_APP_PRIVATE_KEY")
	for name, value := range map[string]string{"KEYWARD_GITHUB_APP_PRIVATE_KEY_COMMAND": "cat '" + file + "'", "KEYWARD_GITHUB_APP_PRIVATE_KEY_FILE": file} {
		env := maps.Clone(w.env)
		env[name] = value
		if out, errs, _ := run(t, env, "doctor"); !strings.Contains(out, "signed in as keyward") {
			t.Errorf("%s: %s%s", name, out, errs)
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	w.env["KEYWARD_GITHUB_APP_PRIVATE_KEY_FILE"] = file
	if _, errs, code := run(t, w.env, "doctor"); code != 2 || !strings.Contains(errs, "chmod 600 "+file) {
		t.Errorf("readable by all: exit %d %s", code, errs)
	}
}
