package scan_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gogit "github.com/go-git/go-git/v5"
	gogitconfig "github.com/go-git/go-git/v5/config"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/github/githubtest"
	"github.com/keyward/keyward/app/scan"
)

// BenchmarkPush scans a push of one commit that changes three files, in a repository of
// 2,000 files and 500 commits: by a fetch into a copy that is there, by one into none,
// by REST (the commit, and each file whole), and by a fetch with go-git. Requests counts
// those that GitHub counts against the installation's limit.
//
//	go test ./app/scan -run xxx -bench Push
func BenchmarkPush(b *testing.B) {
	w := newWorld(b)
	job := w.job
	engine := func(dir string) *scan.Engine {
		e, err := scan.New(&scan.Cache{Dir: dir}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	run := func(name string, each func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			before := len(w.gh.Requests())
			for range b.N {
				each(b)
			}
			b.ReportMetric(float64(len(w.gh.Requests())-before)/float64(b.N), "requests/op")
		})
	}
	// The copy knows all but the last commit, anew each time.
	run("git into a copy", func(b *testing.B) {
		b.StopTimer()
		dir := b.TempDir()
		e := engine(dir)
		before := *job
		before.Base, before.Head = w.commits[len(w.commits)-3], w.commits[len(w.commits)-2]
		if _, err := e.Range(context.Background(), &before); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		w.found(b, e, job)
	})
	run("git into none", func(b *testing.B) { w.found(b, engine(b.TempDir()), job) })
	run("REST", func(b *testing.B) { w.rest(b) })
	run("go-git into none", func(b *testing.B) {
		repo, err := gogit.PlainInit(b.TempDir(), true)
		if err != nil {
			b.Fatal(err)
		}
		remote, err := repo.CreateRemote(&gogitconfig.RemoteConfig{Name: "origin", URLs: []string{job.URL}})
		if err != nil {
			b.Fatal(err)
		}
		token, err := job.Token(context.Background(), false)
		if err != nil {
			b.Fatal(err)
		}
		if err := remote.Fetch(&gogit.FetchOptions{RefSpecs: []gogitconfig.RefSpec{"refs/heads/main:refs/heads/main"}, Depth: 2, Auth: &githttp.BasicAuth{Username: "x-access-token", Password: token}}); err != nil {
			b.Fatal(err)
		}
	})
}

// world is a repository on a stand-in for GitHub.
type world struct {
	gh      *githubtest.Server
	client  *github.Client
	job     *scan.Job
	commits []string
}

func newWorld(t testing.TB) *world {
	gh, err := githubtest.New(githubtest.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gh.Close)
	w := &world{gh: gh}
	install := gh.AddOrg("acme")
	id, err := gh.AddRepo("acme", "widgets", githubtest.Repo{})
	if err != nil {
		t.Fatal(err)
	}
	var in strings.Builder
	for i := range 500 {
		fmt.Fprintf(&in, "commit refs/heads/main\nmark :%d\ncommitter Dana <dana@users.example> %d +0000\ndata 1\nm\n", i+1, 1_700_000_000+i)
		if i > 0 {
			fmt.Fprintf(&in, "from :%d\n", i)
		}
		files := 3
		if i == 0 {
			files = 2000
		}
		for f := range files {
			text := strings.Repeat(fmt.Sprintf("a line of file %d in commit %d\n", f, i), 60)
			fmt.Fprintf(&in, "M 100644 inline d%d/f%d.go\ndata %d\n%s\n", f%40, f, len(text), text)
		}
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = gh.RepoDir("acme", "widgets"), strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	list := exec.Command("git", "rev-list", "--reverse", "main")
	list.Dir = cmd.Dir
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	w.commits = strings.Fields(string(out))
	web, _ := url.Parse(gh.URL)
	api, _ := url.Parse(gh.URL + "/api/v3/")
	app, err := github.New(github.Config{AppID: gh.AppID(), Key: gh.AppKeyPEM(), API: api, Web: web})
	if err != nil {
		t.Fatal(err)
	}
	w.client = app.Installation(install)
	w.job = &scan.Job{Repository: id, URL: app.CloneURL("acme", "widgets"), Base: w.commits[len(w.commits)-2], Head: w.commits[len(w.commits)-1], Default: "main", IsDefault: true,
		Token: w.client.GitToken}
	return w
}

func (w *world) found(t testing.TB, e *scan.Engine, job *scan.Job) {
	res, err := e.Range(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	if res.Coverage.Commits != 1 || res.Coverage.Blobs != 3 || !res.Coverage.Complete() {
		t.Fatalf("scanned %+v", res.Coverage)
	}
}

// rest reads the commit, and the files that it changes.
func (w *world) rest(t testing.TB) {
	ctx := context.Background()
	commit, _, err := w.client.Repositories.GetCommit(ctx, "acme", "widgets", w.job.Head, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range commit.Files {
		if _, _, err := w.client.Git.GetBlobRaw(ctx, "acme", "widgets", f.GetSHA()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCache holds the copies to their bound, and makes half a copy anew that a killed
// process left.
func TestCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	e, err := scan.New(&scan.Cache{Dir: dir, MaxAll: 1}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.found(t, e, w.job)
	if left, _ := filepath.Glob(filepath.Join(dir, "*.git")); len(left) != 0 {
		t.Errorf("%v are left though nothing fits", left)
	}
	e, err = scan.New(&scan.Cache{Dir: dir}, [][]byte{[]byte("fake-pepper-of-the-tests")}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.found(t, e, w.job)
	copies, _ := filepath.Glob(filepath.Join(dir, "*.git"))
	if len(copies) != 1 {
		t.Fatalf("%v", copies)
	}
	for _, damage := range []func() error{
		func() error { return os.Remove(filepath.Join(copies[0], "keyward-url")) },
		func() error { return os.Remove(filepath.Join(copies[0], "HEAD")) },
		func() error { return os.RemoveAll(filepath.Join(copies[0], "objects")) },
		func() error { return os.WriteFile(filepath.Join(copies[0], "shallow.lock"), nil, 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		w.found(t, e, w.job)
	}
	config, err := os.ReadFile(filepath.Join(copies[0], "config"))
	if err != nil || strings.Contains(string(config), "ghs_") || strings.Contains(strings.ToLower(string(config)), "extraheader") {
		t.Errorf("the copy's configuration has a credential: %v", err)
	}
	if err := e.Remove(context.Background(), w.job.Repository); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(copies[0]); err == nil {
		t.Error("the copy is still there")
	}
}
