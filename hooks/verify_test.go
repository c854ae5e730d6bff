package hooks_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/hooks"
	"github.com/keyward/keyward/scanner/verify/verifytest"
)

// TestVerify checks keys against a local server that plays their provider: one is alive,
// one dead. Without being asked to, and with --dry-run, nothing is sent.
func TestVerify(t *testing.T) {
	t.Parallel()
	living := "dop_v1_" + strings.Repeat("fa4e0abe", 8)
	dead := "dop_v1_" + strings.Repeat("fa4e0bad", 8)
	hidden := base64.StdEncoding.EncodeToString([]byte("TOKEN=dop_v1_" + strings.Repeat("beef0fa4", 8)))
	p, err := verifytest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Issue(living)
	before := 0
	asked := func() int { return len(p.Asked()) - before }

	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("a.env", "TOKEN="+living+"\n")
	put("b.env", "TOKEN="+dead+"\n")
	put("c.env", "config: "+hidden+"\n")
	run := func(args ...string) (string, int) {
		t.Helper()
		before = len(p.Asked())
		var out bytes.Buffer
		code := hooks.Main(context.Background(), hooks.Env{Args: args, Dir: dir, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Transport: p.Transport(),
			Getenv: func(string) string { return "" }})
		for _, key := range []string{living, dead, hidden} {
			if strings.Contains(out.String(), key) {
				t.Errorf("%v: a key is told:\n%s", args, out.String())
			}
		}
		return out.String(), code
	}
	for _, args := range [][]string{{"scan"}, {"verify", "--dry-run"}} {
		out, _ := run(args...)
		if asked() != 0 || !strings.Contains(out, "digitalocean-pat") {
			t.Errorf("%v: %d requests\n%s", args, asked(), out)
		}
	}
	out, code := run("verify")
	if code != 1 || !strings.Contains(out, "ACTIVE    DigitalOcean") || !strings.Contains(out, "INACTIVE  ") || !strings.Contains(out, "1 active, 1 unknown, 1 inactive") ||
		!strings.Contains(out, "owner     user@example.com") || !strings.Contains(out, "cannot be read again") || asked() != 3 {
		t.Errorf("exit %d, %d requests\n%s", code, asked(), out)
	}
	fingerprint := strings.Fields(out[strings.Index(out, "INACTIVE"):])
	for i, word := range fingerprint {
		if word == "fingerprint" {
			out, code := run("verify", "--fingerprint", fingerprint[i+1], "--format", "json")
			if code != 0 || strings.Count(out, `"verdict": "inactive"`) != 1 || asked() != 2 {
				t.Errorf("exit %d, %d requests\n%s", code, asked(), out)
			}
			break
		}
	}
	for _, args := range [][]string{{"verify", "--fingerprint", "00000000"}, {"verify", "--fingerprint", "xyz"}, {"verify", "--format", "sarif"}} {
		if out, code := run(args...); code != 2 || asked() != 0 {
			t.Errorf("%v: exit %d, %d requests\n%s", args, code, asked(), out)
		}
	}
}
