package hooks_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/keyward/keyward/hooks"
	"github.com/keyward/keyward/scanner/report"
)

// The planted keys are fake, and in pieces so that no scanner takes this file
// for a leak.
const (
	swarmPrefix = "SWMTKN-1-"
	swarmKey    = swarmPrefix + "fake0keyward1not2real3fake4keyward5not6real7fake8k" + "-" + "9fake8keyward7not6real5fa"
	awsID       = "AKIA" + "FAKEKEYWARDNOT7A"
	awsSecret   = "fakeKEYward/7qZ2xV9bK3pR5" + "+tW8mL1nD4sG6hJ"
	urlPassword = "FAKEq7Rz2Kx9" + "Vb4Nm8Wp3Ls6"
	password    = "fakeT5vB8nM2" + "kL7pQ4xZ"
	bearer      = "FAKEw3Hc9Jd5" + "Ue1Gy7To4Ai6Xk2Sv8"
	tailscale   = "tskey-auth-" + "kFAKEkeyward11CNTRL-FAKEkeywardNOTREALfakeKEYWARD7"
	gitlab      = "glpat-" + "FAKEkeywardNOTREAL7x"
	orgPepper   = "fake-pepper-" + "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	otherPepper = "fake-pepper-" + "f0e1d2c3b4a5968778695a4b3c2d1e0f"
)

// githubKey is a classic token of GitHub with its CRC-32 in base 62.
func githubKey() string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body, sum := "FAKEkeywardNOTREALfakeKEYWARD7", ""
	for n := crc32.ChecksumIEEE([]byte(body)); len(sum) < 6; n /= 62 {
		sum = string(digits[n%62]) + sum
	}
	return "ghp_" + body + sum
}

// jwtKey is a JSON Web Token with a made-up signature.
func jwtKey() string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc([]byte(`{"iss":"keyward-fake","sub":"nobody","aud":"tests-of-keyward"}`)) +
		"." + enc([]byte("a made-up signature: 32 bytes long"))
}

// pemKey is a real private key, made for this run and used for nothing.
func pemKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE" + " KEY", Bytes: der}))
}

// shifted is another key of the same form: its letters are n further on.
func shifted(key, prefix string, n rune) string {
	return prefix + strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z':
			return 'a' + (c-'a'+n)%26
		case 'A' <= c && c <= 'Z':
			return 'A' + (c-'A'+n)%26
		}
		return c
	}, strings.TrimPrefix(key, prefix))
}

// A secret is what may not be written, but for the prefix that is public: what
// all keys of its kind begin with, or an id that the issuer's listings show.
type secret struct{ name, value, public string }

const piece = 12

// leaks returns which secrets have a piece in the text.
func leaks(text string, secrets []secret) []string {
	var out []string
	for _, s := range secrets {
		for i := 0; i+piece <= len(s.value); i++ {
			if p := s.value[i : i+piece]; !strings.Contains(s.public, p) && strings.Contains(text, p) {
				at := strings.Index(text, p)
				line := text[strings.LastIndexByte(text[:at], '\n')+1:]
				line, _, _ = strings.Cut(line, "\n")
				out = append(out, fmt.Sprintf("%s in %.160q", s.name, line))
				break
			}
		}
	}
	return out
}

// plant makes a repository with every planted key and returns what is secret in it.
func plant(t *testing.T) (string, []secret) {
	t.Helper()
	dir := t.TempDir()
	key := pemKey(t)
	b64 := base64.StdEncoding.EncodeToString([]byte(swarmKey))
	author := shifted(swarmKey, swarmPrefix, 1)
	message := shifted(swarmKey, swarmPrefix, 2)
	branch := shifted(swarmKey, swarmPrefix, 3)
	remote := shifted(gitlab, "glpat-", 4)
	secrets := []secret{{"GitHub token", githubKey(), "ghp_"}, {"AWS secret", awsSecret, ""}, {"JWT", jwtKey(), ""},
		{"password in a URL", urlPassword, ""}, {"password", password, ""}, {"bearer token", bearer, ""},
		{"swarm token", swarmKey, swarmPrefix}, {"base64 of a token", b64, base64.StdEncoding.EncodeToString([]byte(swarmPrefix))},
		{"hex of a token", hex.EncodeToString([]byte(gitlab)), hex.EncodeToString([]byte("glpat-"))}, {"GitLab token", gitlab, "glpat-"},
		{"Tailscale key in UTF-16", tailscale, "tskey-auth-" + "kFAKEkeyward11CNTRL-"}, {"key in an author", author, swarmPrefix},
		{"key in a commit message", message, swarmPrefix}, {"key in a branch name", branch, swarmPrefix},
		{"token in the remote's URL", remote, "glpat-"}, {"pepper", orgPepper, "fake-pepper-"}}
	for line := range strings.Lines(key) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
			secrets = append(secrets, secret{"private key", line, ""})
		}
	}
	put(t, dir, "ci.env", "GITHUB_TOKEN="+githubKey()+"\n")
	put(t, dir, "aws.ini", "[default]\naws_access_key_id = "+awsID+"\naws_secret_access_key = "+awsSecret+"\n")
	put(t, dir, "tls/server.key", key)
	put(t, dir, "service.json", `{"private_key": "`+strings.ReplaceAll(key, "\n", `\n`)+`"}`+"\n")
	put(t, dir, "session.txt", "session: "+jwtKey()+"\n")
	git(t, dir, "init", "-q", "-b", "main")
	git(t, dir, "remote", "add", "origin", "https://bot:"+remote+"@git.example.com/acme/widgets.git")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "first")
	put(t, dir, "app.env", "DATABASE_URL=postgres://app:"+urlPassword+"@db.internal:5432/app\nDB_PASSWORD=\""+password+"\"\n")
	put(t, dir, "call.sh", "curl -H 'Authorization: Bearer "+bearer+"' https://api.internal/v1/users\n")
	put(t, dir, "secret.yaml", "data:\n  token: "+b64+"\n  other: "+hex.EncodeToString([]byte(gitlab))+"\n")
	put(t, dir, "utf16.txt", utf16LE("authKey: "+tailscale+"\r\n"))
	put(t, dir, "allowed.env", "DB_PASSWORD=\""+strings.ToUpper(password)+"\" # keyward:allow generic-password reason: rotated, tracked elsewhere\n")
	secrets = append(secrets, secret{"allowed password", strings.ToUpper(password), ""})
	git(t, dir, "checkout", "-q", "-b", "topic/"+branch)
	git(t, dir, "add", "-A")
	git(t, dir, "-c", "user.name="+author, "commit", "-q", "-m", "use "+message)
	put(t, dir, "staged.sh", "docker swarm join --token "+swarmKey+" 10.0.0.5:2377\n")
	put(t, dir, "keys.zip", zipped(t, "inner.env", "GITLAB_TOKEN="+gitlab+"\n"))
	git(t, dir, "add", "-A")
	put(t, dir, "untracked.sh", "export TOKEN="+gitlab+"\nexport PASSWORD="+password+"\n")
	return dir, secrets
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Dana Dev", "-c", "user.email=dana@example.com", "-c", "commit.gpgSign=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", args, err, out)
	}
}

func utf16LE(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func zipped(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// keyward runs the command and returns all that it wrote and its exit code.
func keyward(dir, stdin string, env map[string]string, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = hooks.Main(context.Background(), hooks.Env{Args: args, Dir: dir, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string {
			if v, ok := env[name]; ok || name == "KEYWARD_PEPPER" {
				return v
			}
			return os.Getenv(name)
		}})
	return out.String(), errs.String(), code
}

// TestNoSecretIsWritten plants keys and searches everything that the command
// writes, in every mode and format, for a piece of one.
func TestNoSecretIsWritten(t *testing.T) {
	t.Parallel()
	dir, secrets := plant(t)
	env := map[string]string{"KEYWARD_PEPPER": orgPepper}
	modes := [][]string{{"--archives"}, {"--staged"}, {"--uncommitted"}, {"--range", "main..HEAD"}, {"--history", "--unreachable", "--archives"}, {"--stdin"}, {"--history", "--no-git"}}
	stdin, err := os.ReadFile(filepath.Join(dir, "app.env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range modes {
		for _, format := range report.Formats() {
			t.Run(strings.Join(mode, " ")+" "+format, func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "report")
				args := append([]string{"scan", "--format", format, "--advice"}, mode...)
				stdout, stderr, code := keyward(dir, string(stdin), env, args...)
				if code != 1 {
					t.Errorf("got exit %d and %q, want 1: the planted keys are found", code, stderr)
				}
				_, more, _ := keyward(dir, string(stdin), env, append(args, "--output", file)...)
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for what, text := range map[string]string{"stdout": stdout, "stderr": stderr + more, "file": string(data)} {
					for _, l := range leaks(text, secrets) {
						t.Errorf("%s: %s", what, l)
					}
				}
			})
		}
	}
}

// TestPlantedKeysAreFound holds the test above worth something: what is not
// found cannot leak.
func TestPlantedKeysAreFound(t *testing.T) {
	t.Parallel()
	dir, _ := plant(t)
	stdout, stderr, _ := keyward(dir, "", nil, "scan", "--format", "jsonl", "--archives")
	got := map[string]bool{}
	for line := range strings.Lines(stdout) {
		var l struct{ Path string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		got[l.Path] = true
	}
	for _, path := range []string{"ci.env", "aws.ini", "tls/server.key", "service.json", "session.txt", "app.env", "call.sh", "secret.yaml", "utf16.txt", "staged.sh", "untracked.sh"} {
		if !got[path] {
			t.Errorf("got no key in %s, want one; found in %v; %s", path, slices.Sorted(maps.Keys(got)), stderr)
		}
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(p string) bool { return strings.HasPrefix(p, "keys.zip") }) {
		t.Errorf("got no key in keys.zip, want one")
	}
}

func TestOtherCommandsAreSilent(t *testing.T) {
	t.Parallel()
	dir, secrets := plant(t)
	env := map[string]string{"KEYWARD_PEPPER": orgPepper}
	commands := [][]string{{"rules", "test"}, {"rules", "list"}, {"rules", "show", "docker-swarm-join-token"}, {"baseline", "--archives", "--reason", "there before"},
		{"baseline", "--history", "--reason", "there before", "--file", "b2.toml"}, {"scan", "--baseline", ".keyward-baseline.toml", "--format", "html"},
		{"scan", "--baseline", ".keyward-baseline.toml", "--format", "sarif"}}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p) // p lies in dir
			commands = append(commands, []string{"explain", rel})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range commands {
		stdout, stderr, code := keyward(dir, "", env, args...)
		if code == 2 {
			t.Errorf("%v: got exit 2: %s", args, stderr)
		}
		for _, l := range leaks(stdout+stderr, secrets) {
			t.Errorf("%v: %s", args, l)
		}
	}
	for _, name := range []string{".keyward-baseline.toml", "b2.toml"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(data), "[[key]]"); n < 8 {
			t.Errorf("%s: got %d keys, want 8 or more", name, n)
		}
		for _, l := range leaks(string(data), secrets) {
			t.Errorf("%s: %s", name, l)
		}
	}
}

// TestHooksAndFixAreSilent: neither a stopped commit or push nor a fix writes a piece
// of a key, and after a fix no key stands where it did not stand before.
func TestHooksAndFixAreSilent(t *testing.T) {
	t.Parallel()
	dir, secrets := plant(t)
	put(t, dir, ".env", "# was "+gitlab+"\nTOKEN="+swarmKey+"\nDB_PASSWORD=\""+password+"\"\n")
	put(t, dir, "both.py", "A = \""+strings.ToUpper(password)+"\" # keyward:allow rule=generic-password rotated long ago\nPASSWORD = \""+strings.ToUpper(password)+"\" # keyward:allow rotated long ago\nT = \""+gitlab+" "+tailscale+"\"\n")
	put(t, dir, "docker-compose.yml", "services:\n  a:\n    environment:\n      A: "+gitlab+" "+swarmKey+"\n      B: "+tailscale+"\n")
	git(t, dir, "add", "-A")
	message := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(message, []byte("use "+gitlab+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KEYWARD_PEPPER": orgPepper}
	before := holders(t, dir, secrets)
	head := revision(t, dir)
	for _, run := range []struct {
		stdin string
		args  []string
	}{
		{"", []string{"hook", "pre-commit"}}, {"", []string{"hook", "commit-msg", message}},
		{"refs/heads/x " + head + " refs/heads/x " + zeros + "\n", []string{"hook", "pre-push"}},
		{zeros + " " + head + " refs/heads/new\n", []string{"hook", "pre-receive"}},
		{"", []string{"fix"}}, {"", []string{"fix", "--apply"}}, {"", []string{"fix"}},
	} {
		stdout, stderr, _ := keyward(dir, run.stdin, env, run.args...)
		if stdout+stderr == "" && run.args[1] != "pre-receive" { // all of it is in the repository already
			t.Errorf("%v says nothing", run.args)
		}
		for _, l := range leaks(stdout+stderr, secrets) {
			t.Errorf("%v: %s", run.args, l)
		}
	}
	for at := range holders(t, dir, secrets) {
		if !before[at] {
			t.Errorf("after the fix there is %s", at)
		}
	}
	if text := slurp(filepath.Join(dir, "docker-compose.yml")); strings.Contains(text, gitlab) || !strings.Contains(text, "${") {
		t.Errorf("docker-compose.yml was not mended:\n%s", text)
	}
}

// holders returns which secret stands in which file.
func holders(t *testing.T, dir string, secrets []secret) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		for _, s := range secrets {
			if len(leaks(slurp(p), []secret{s})) > 0 {
				out[s.name+" in "+d.Name()] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func revision(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("git", "rev-parse", "HEAD")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestMalformedFilesAreNotQuoted: an error about a file that holds a key says
// where it is wrong, and not what stands there.
func TestMalformedFilesAreNotQuoted(t *testing.T) {
	t.Parallel()
	policies := map[string]string{
		"unterminated": "repository = \"KEY\n", "bare": "KEY\n", "unknown key": "KEY = 1\n", "unquoted": "repository = KEY\n", "table": "[KEY]\nx = 1\n",
		"quoted key twice": "\"KEY\" = 1\n\"KEY\" = 2\n", "expires": "[[allow]]\nrules = [\"x\"]\nreason = \"why not\"\nexpires = \"KEY\"\n",
		"fingerprint": "[[allow]]\nreason = \"why not\"\nfingerprints = [\"KEY\"]\n", "paths": "[[allow]]\nreason = \"why not\"\npaths = [\"KEY[\"]\n",
		"everything": "[[allow]]\nreason = \"why not\"\npaths = [\"**\", \"KEY\"]\n", "rules outside": "rules = [\"../KEY\"]\n", "rules missing": "rules = [\"KEY.toml\"]\n",
		"disable": "[[disable]]\nrule = \"KEY\"\nreason = \"why not\"\n", "number": "repository = 1.5KEY\n", "type": "rules = \"KEY\"\n",
		"escape": "repository = \"\\KEY\"\n", "date": "[[allow]]\nexpires = 2027-13-45KEY\n", "lapsed": "[[allow]]\nrules = [\"x\"]\nreason = \"KEY\"\nexpires = \"2020-01-01\"\n",
		"lapsed, disabled": "[[disable]]\nrule = \"jwt\"\nreason = \"KEY\"\n",
	}
	rules := map[string]string{
		"unterminated": "[[rule]]\nid = \"KEY\n", "bare": "KEY\n", "unknown key": "KEY = 1\n[[rule]]\nid = \"x\"\n", "id": "[[rule]]\nid = \"KEY\"\n",
		"id with space": "[[rule]]\nid = \"a KEY\"\npattern = \"x\"\n", "pattern": "[[rule]]\nid = \"x\"\npattern = \"(KEY\"\n", "class": "[[rule]]\nid = \"x\"\npattern = \"x\"\nclass = \"KEY\"\n",
		"tier": "[[rule]]\nid = \"x\"\npattern = \"x\"\ntier = \"KEY\"\n", "checksum": "[[rule]]\nid = \"x\"\npattern = \"x\"\nchecksum = \"KEY\"\n",
		"finder": "[[rule]]\nid = \"x\"\nfinder = \"KEY\"\n", "facts": "[[rule]]\nid = \"x\"\npattern = \"x\"\nfacts = [\"KEY\"]\n", "match": "[[rule]]\nid = \"x\"\npattern = \"x\"\nmatch = [\"KEY\"]\n",
		"entropy": "[[rule]]\nid = \"x\"\nentropy = \"KEY\"\n", "near": "[[rule]]\nid = \"x\"\npattern = \"x\"\nnear = [{name = \"KEY\", pattern = \"\"}]\n",
		"gitleaks regex": "[[rules]]\nid = \"x\"\nregex = \"(KEY\"\n", "gitleaks unknown": "[[rules]]\nid = \"x\"\nregex = \"x\"\nKEY = 1\n", "gitleaks path": "[extend]\npath = \"KEY\"\n",
		"gitleaks allowlist": "[[rules]]\nid = \"x\"\nregex = \"x\"\n[[allowlists]]\nregexes = [\"(KEY\"]\n", "gitleaks condition": "[[rules]]\nid = \"x\"\nregex = \"x\"\n[[allowlists]]\ncondition = \"KEY\"\nregexTarget = \"KEY\"\n",
		"example that fails": "[[rule]]\nid = \"x\"\npattern = \"nothing like it\"\nmatch = [[\"KEY\"]]\n",
	}
	baselines := map[string]string{
		"unterminated": "pepper = \"KEY\n", "bare": "KEY\n", "unknown key": "KEY = 1\n", "fingerprint": "[[key]]\nfingerprint = \"KEY\"\n",
		"expires": "[[key]]\nfingerprint = \"" + strings.Repeat("0a", 32) + "\"\nexpires = \"KEY\"\n", "pepper": "pepper = \"KEY\"\n", "type": "key = \"KEY\"\n",
	}
	secrets := []secret{{"swarm token", swarmKey, swarmPrefix}}
	for kind, list := range map[string]map[string]string{".keyward.toml": policies, "rules.toml": rules, "baseline.toml": baselines} {
		for name, text := range list {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				put(t, dir, "src/a.txt", "nothing here\n")
				put(t, dir, kind, strings.ReplaceAll(text, "KEY", swarmKey))
				commands := map[string][][]string{
					".keyward.toml": {{"scan", "src", "--config", kind}, {"explain", "src/a.txt", "--config", kind}, {"baseline", "src", "--config", kind, "--reason", "why not"}},
					"rules.toml":    {{"scan", "src", "--rules", kind}, {"rules", "list", "--rules", kind}, {"rules", "test", kind}, {"rules", "show", "x", "--rules", kind}},
					"baseline.toml": {{"scan", "src", "--baseline", kind}, {"baseline", "src", "--file", kind, "--reason", "why not"}},
				}[kind]
				for _, args := range commands {
					stdout, stderr, _ := keyward(dir, "", nil, args...)
					if name == "id" && args[0] == "rules" && args[1] == "list" {
						continue // a rule's own id is shown by what lists rules
					}
					for _, l := range leaks(stdout+stderr, secrets) {
						t.Errorf("%v: %s", args, l)
					}
				}
			})
		}
	}
}

// TestProcessIsSilent runs the command as a process of its own: what a library
// writes past Env, to the process's standard error, is seen there as well.
func TestProcessIsSilent(t *testing.T) {
	const marker = "KEYWARD_TEST_PROCESS"
	if args := os.Getenv(marker); args != "" {
		os.Exit(hooks.Main(context.Background(), hooks.Env{Args: strings.Fields(args), Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}))
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"pattern": "[[rule]]\nid = \"x\"\nkeywords = [\"x\"]\npattern = \"(KEY\"\n", "gitleaks": "[[rules]]\nid = \"x\"\nregex = \"(KEY\"\n",
		"near": "[[rule]]\nid = \"x\"\nkeywords = [\"x\"]\npattern = \"x\"\nnear = [{name = \"n\", pattern = \"(KEY\", lines = 1}]\n",
	} {
		dir := t.TempDir()
		put(t, dir, "a.txt", "nothing here\n")
		put(t, dir, "rules.toml", strings.ReplaceAll(text, "KEY", swarmKey))
		cmd := exec.Command(self, "-test.run=^TestProcessIsSilent$")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), marker+"=scan a.txt --rules rules.toml")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "keyward: error:") {
			t.Errorf("%s: got %v and %q, want an error", name, err, out)
		}
		for _, l := range leaks(string(out), []secret{{"swarm token", swarmKey, swarmPrefix}}) {
			t.Errorf("%s: %s", name, l)
		}
		if strings.Contains(string(out), "re2.cc") {
			t.Errorf("%s: got the library's own log %q, want one message in our words", name, out)
		}
	}
}

// TestGitErrorsAreNotQuoted: git repeats values of a broken configuration.
func TestGitErrorsAreNotQuoted(t *testing.T) {
	t.Parallel()
	for _, config := range []string{"[core]\n\tbare = KEY\n", "[KEY\n", "[core]\n\trepositoryformatversion = KEY\n", "[extensions]\n\tobjectFormat = KEY\n[core]\n\trepositoryformatversion = 1\n"} {
		dir := t.TempDir()
		git(t, dir, "init", "-q")
		put(t, dir, "a.txt", "nothing here\n")
		put(t, dir, ".git/config", strings.ReplaceAll(config, "KEY", swarmKey))
		for _, args := range [][]string{{"scan"}, {"scan", "--staged"}, {"scan", "--history"}, {"explain", "a.txt"}} {
			stdout, stderr, _ := keyward(dir, "", nil, args...)
			for _, l := range leaks(stdout+stderr, []secret{{"swarm token", swarmKey, swarmPrefix}}) {
				t.Errorf("%v with %q: %s", args, config, l)
			}
		}
	}
}

// TestWrongUsageIsNotQuoted: a key that was pasted in the wrong place does not
// go on into the log.
func TestWrongUsageIsNotQuoted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	put(t, dir, "a.txt", "nothing here\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "first")
	for _, args := range [][]string{
		{"KEY"}, {"--KEY"}, {"scan", "KEY"}, {"scan", "--KEY"}, {"scan", "--format", "KEY"}, {"scan", "--fail-on", "KEY"}, {"scan", "--range", "KEY"},
		{"scan", "--range", "KEY..HEAD"}, {"scan", "--range", "HEAD..KEY"}, {"scan", "--max-size", "KEY"}, {"scan", "--min-confidence", "KEY"}, {"scan", "--quiet=KEY"},
		{"scan", "--config", "KEY"}, {"scan", "--rules", "KEY"}, {"scan", "--baseline", "KEY"}, {"scan", "--output", "KEY/report", "."}, {"scan", "--staged", "a", "KEY"},
		{"explain", "KEY"}, {"explain", "KEY:7"}, {"explain", "a", "KEY"}, {"rules", "KEY"}, {"rules", "show", "KEY"}, {"rules", "test", "KEY"}, {"rules", "list", "KEY"},
		{"baseline", "--reason", "why not", "--expires", "KEY"}, {"baseline", "--reason", "why not", "--file", "KEY/b.toml"}, {"baseline", "KEY", "--reason", "why not"}, {"man", "KEY", "KEY"},
	} {
		used := make([]string, len(args))
		for i, a := range args {
			used[i] = strings.ReplaceAll(a, "KEY", swarmKey)
		}
		stdout, stderr, code := keyward(dir, "", nil, used...)
		if code != 2 {
			t.Errorf("%v: got exit %d, want 2", args, code)
		}
		for _, l := range leaks(stdout+stderr, []secret{{"swarm token", swarmKey, swarmPrefix}}) {
			t.Errorf("%v: %s", args, l)
		}
	}
	_, stderr, code := keyward(dir, "", map[string]string{"KEYWARD_PEPPER": "fake-pepper-15c"}, "scan")
	if code != 2 || strings.Contains(stderr, "fake-pepper") {
		t.Errorf("short pepper: got exit %d and %q, want 2 and the pepper unsaid", code, stderr)
	}
}

// prints scans files as they stand in a new directory and returns the
// fingerprints of the keys in each.
func prints(t *testing.T, env map[string]string, files map[string]string) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, dir, name, text)
	}
	return printsIn(t, env, dir)
}

func printsIn(t *testing.T, env map[string]string, dir string, args ...string) map[string][]string {
	t.Helper()
	stdout, stderr, code := keyward(dir, "", env, append([]string{"scan", "--format", "jsonl"}, args...)...)
	if code != 1 {
		t.Fatalf("got exit %d: %s", code, stderr)
	}
	out := map[string][]string{}
	for line := range strings.Lines(stdout) {
		var l struct{ Path, Fingerprint string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		out[l.Path] = append(out[l.Path], l.Fingerprint)
	}
	return out
}

// TestFingerprint: one value has one fingerprint, wherever it stands, however
// it is written and whichever rule sees it; another pepper gives another.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	env := map[string]string{"KEYWARD_PEPPER": orgPepper}
	key := pemKey(t)
	escaped := func(s string) string {
		var b strings.Builder
		for _, c := range s {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
		return b.String()
	}
	percent := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
		return b.String()
	}
	b64 := base64.StdEncoding.EncodeToString
	tests := map[string]map[string]string{
		"path and rule": {
			"a.env": "API_KEY=" + bearer + "\n", "deep/er/b.yaml": "password: \"" + bearer + "\"\n", "c.sh": "curl -H 'Authorization: Bearer " + bearer + "' https://x.internal/\n",
			"d.txt": "\n\n  see https://user:" + bearer + "@git.internal/x.git\n",
		},
		"encoding": {
			"plain.sh": "docker swarm join --token " + swarmKey + " 10.0.0.5\n", "base64.yaml": "token: " + b64([]byte(swarmKey)) + "\n", "line.yaml": "data: " + b64([]byte("TOKEN="+swarmKey+"\n")) + "\n",
			"twice.yaml": "data: " + b64([]byte(b64([]byte(swarmKey)))) + "\n", "hex.txt": "token: " + hex.EncodeToString([]byte(swarmKey)) + "\n",
			"percent.txt": "https://x.internal/?token=" + percent(swarmKey) + "\n", "unicode.json": `{"token": "` + escaped(swarmKey) + `"}` + "\n", "utf16.txt": utf16LE("token: " + swarmKey + "\r\n"),
			"quoted.json": `{"token": "` + swarmKey + `"}` + "\n",
		},
		"PEM": {
			"server.key": key, "crlf.key": strings.ReplaceAll(key, "\n", "\r\n"), "one-line.json": `{"private_key": "` + strings.ReplaceAll(key, "\n", `\n`) + `"}` + "\n",
			"one-line.env": `PRIVATE_KEY="` + strings.ReplaceAll(key, "\n", `\n`) + `"` + "\n", "indented.yaml": "key: |\n  " + strings.ReplaceAll(strings.TrimSpace(key), "\n", "\n  ") + "\n",
			"base64.yaml": "tls.key: " + b64([]byte(key)) + "\n",
		},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := prints(t, env, files)
			var want []string
			for _, path := range slices.Sorted(maps.Keys(got)) {
				if want = got[path]; len(want) == 1 {
					break
				}
			}
			for path := range files {
				if !slices.Equal(got[path], want) {
					t.Errorf("%s: got fingerprints %q, want %q", path, got[path], want)
				}
			}
		})
	}
}

func TestFingerprintPepper(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.sh": "docker swarm join --token " + swarmKey + " 10.0.0.5\n"}
	of := func(pepper string) string {
		return prints(t, map[string]string{"KEYWARD_PEPPER": pepper}, files)["a.sh"][0]
	}
	first, again, other, none := of(orgPepper), of(orgPepper), of(otherPepper), of("")
	if first != again {
		t.Errorf("got %s and %s under one pepper, want them equal", first, again)
	}
	if first == other || first == none || other == none {
		t.Errorf("got %s, %s and %s under two peppers and none, want three", first, other, none)
	}
}

func TestFingerprintCommits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	put(t, dir, "a.sh", "docker swarm join --token "+swarmKey+" 10.0.0.5\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "first")
	git(t, dir, "mv", "a.sh", "b.sh")
	put(t, dir, "b.sh", "# moved\n\ndocker swarm join --token "+swarmKey+" 10.0.0.9\n")
	git(t, dir, "commit", "-q", "-a", "-m", "second")
	got := printsIn(t, map[string]string{"KEYWARD_PEPPER": orgPepper}, dir, "--history")
	if len(got["a.sh"]) != 1 || !slices.Equal(got["a.sh"], got["b.sh"]) {
		t.Errorf("got %v in two commits, want one fingerprint at both paths", got)
	}
	// Without a pepper the fingerprint belongs to the repository, by its origin.
	before := printsIn(t, nil, dir)["b.sh"][0]
	git(t, dir, "remote", "add", "origin", "https://git.example.com/acme/widgets.git")
	origin := printsIn(t, nil, dir)["b.sh"][0]
	if before == origin {
		t.Errorf("got %s with and without an origin, want two fingerprints", before)
	}
}
