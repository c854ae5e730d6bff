package hooks_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// archive is a release's archive with a program that says who it is.
func archive(t *testing.T) []byte {
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	program := "#!/bin/sh\necho the released one\n"
	if err := tw.WriteHeader(&tar.Header{Name: "keyward", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(tw, program)
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestActionGets runs the script that gets the program: the release of the action's
// own ref, if its checksum is right; a build of the action's source if there is none.
func TestActionGets(t *testing.T) {
	for _, program := range []string{"bash", "curl", "tar"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	data, name := archive(t), fmt.Sprintf("keyward_%s_%s.tar.gz", runtime.GOOS, runtime.GOARCH)
	sums := map[string]string{
		"v1.0.0": fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name),
		"v6.6.6": fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte("another")), name),
		"v7.7.7": "nothing of the kind\n",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // acme/keyward/releases/download/TAG/FILE
		switch {
		case len(f) != 6 || f[0] != "acme" || sums[f[4]] == "":
			http.NotFound(w, r)
		case f[5] == "checksums.txt":
			fmt.Fprint(w, sums[f[4]])
		case f[5] == name:
			if _, err := w.Write(data); err != nil {
				t.Error(err)
			}
		}
	}))
	defer server.Close()
	for _, test := range []struct {
		name, version, ref, want string
		fails, build             bool
	}{
		{name: "own ref", ref: "v1.0.0", want: "the released one"},
		{name: "version", version: "v1.0.0", ref: "main", want: "the released one"},
		{name: "wrong checksum", ref: "v6.6.6", want: "is not the one in checksums.txt", fails: true},
		{name: "no checksum", ref: "v7.7.7", want: "is not the one in checksums.txt", fails: true},
		{name: "no such version", version: "v9.9.9", want: "there is no release v9.9.9", fails: true},
		{name: "no release", ref: "v9.9.9", want: "keyward ", build: true},
		{name: "a branch", ref: "main", want: "keyward ", build: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.build && testing.Short() {
				t.Skip("it builds the program")
			}
			temp := t.TempDir()
			source, err := filepath.Abs("..")
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("bash", "action.sh")
			cmd.Env = append(os.Environ(), "RUNNER_TEMP="+temp, "GITHUB_OUTPUT="+filepath.Join(temp, "output"), "GITHUB_SERVER_URL="+server.URL,
				"KEYWARD_REPOSITORY=acme/keyward", "KEYWARD_VERSION="+test.version, "KEYWARD_REF="+test.ref, "KEYWARD_SOURCE="+source, "KEYWARD_TOKEN=fake-token")
			out, err := cmd.CombinedOutput()
			if (err != nil) != test.fails {
				t.Fatalf("%v\n%s", err, out)
			}
			if test.fails {
				if !strings.Contains(string(out), "::error") || !strings.Contains(string(out), test.want) {
					t.Errorf("it says %s\nwant %s", out, test.want)
				}
				return
			}
			program := strings.TrimSpace(strings.TrimPrefix(slurp(filepath.Join(temp, "output")), "keyward="))
			said, err := exec.Command(program, "--version").CombinedOutput()
			if err != nil || !strings.Contains(string(said), test.want) {
				t.Errorf("%s: %v: %s, want %s", program, err, said, test.want)
			}
			err = filepath.WalkDir(temp, func(p string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && d.Name() != "keyward" && strings.Contains(slurp(p), "fake-token") {
					t.Errorf("%s holds the token", p)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
