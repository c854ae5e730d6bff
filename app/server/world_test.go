package server_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/keyward/keyward/app/github/githubtest"
	"github.com/keyward/keyward/app/server"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/store/storetest"
	"github.com/keyward/keyward/scanner/rules"
	"github.com/keyward/keyward/scanner/verify/verifytest"
)

const (
	webhookSecret = "fake-webhook-secret-of-the-tests"
	pepper        = "fake-pepper-of-the-tests"
)

// postgres is the address of a real PostgreSQL that the tests may make databases in, ""
// if there is none.
var postgres string

// binary is the program, built once for the tests that kill it.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p != nil && p.Value.String() == p.DefValue {
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0))) // the tests mostly wait
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "keyward-server-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "keyward-app")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/keyward/keyward/app").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	if postgres = os.Getenv(storetest.Address); postgres == "" {
		var err error
		if ownPostgres, err = storetest.Start(dir); err != nil {
			fmt.Fprintf(os.Stderr, "PostgreSQL did not start: %v\n", err)
			return 1
		}
		if ownPostgres != nil {
			defer ownPostgres.Stop()
			postgres = ownPostgres.URL
		}
	}
	return m.Run()
}

// ownPostgres is the PostgreSQL that these tests started, nil if there is none.
var ownPostgres *storetest.Postgres

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// databases are what the suite runs on.
func databases(t *testing.T, test func(t *testing.T, database string)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, "") })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, newDatabase(t)) })
}

// newDatabase makes an empty PostgreSQL database.
func newDatabase(t testing.TB) string { return storetest.NewDatabase(t, postgres) }

// A world is the stand-in for GitHub, the App beside it, and people who push.
type world struct {
	t        testing.TB
	gh       *githubtest.Server
	dir      string
	database string // "" for SQLite
	env      map[string]string
	install  int64
	planted  []string // keys that must not be seen anywhere
	apps     []*app
	provider *verifytest.Provider // of all keys; nil: nobody is to be asked
	clock    *clock               // by which keys live; nil: the machine's
	schema   *store.Schema        // of the next App that is started here; nil: that of this release
}

// a clock goes on when it is told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// live has keys live by a clock of their own, and their providers asked, which are played
// here.
func (w *world) live() {
	w.t.Helper()
	var err error
	if w.provider, err = verifytest.New(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.provider.Close)
	w.clock = &clock{t: time.Now().UTC().Truncate(time.Second)}
	for k, v := range map[string]string{"KEYWARD_VERIFY": "true", "KEYWARD_VERIFY_CLOUD": "true", "KEYWARD_VERIFY_PAUSE": "1ms", "KEYWARD_WATCH": "20ms"} {
		w.env[k] = v
	}
}

// an app is one process of the App, or a part of this one.
type app struct {
	address string
	stop    func() int // gently; returns the exit code
	kill    func()
	log     *locked
	pid     int // of a process of its own
}

// locked is a buffer that may be read while it is written.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB, database string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), database: database}
	if err := os.Mkdir(filepath.Join(w.dir, "github"), 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.gh, err = githubtest.New(githubtest.Options{Dir: filepath.Join(w.dir, "github"), OpenAPI: githubtest.Descriptions(), PageSize: 2}); err != nil {
		t.Fatal(err)
	}
	w.install = w.gh.AddOrg("acme")
	for _, login := range []string{"dana", "sam"} {
		w.gh.AddUser(login)
		w.gh.AddMember("acme", login)
	}
	for _, name := range []string{"widgets", "rotation"} {
		w.repo(name, githubtest.Repo{})
	}
	if database == "" {
		database = filepath.Join(w.dir, "app", "keyward.db")
		w.database = ""
	}
	w.env = map[string]string{
		"KEYWARD_GITHUB_URL": w.gh.URL, "KEYWARD_GITHUB_APP_ID": fmt.Sprint(w.gh.AppID()), "KEYWARD_GITHUB_APP_PRIVATE_KEY": string(w.gh.AppKeyPEM()), "KEYWARD_GITHUB_WEBHOOK_SECRET": webhookSecret,
		"KEYWARD_PEPPER": pepper, "KEYWARD_DATA": filepath.Join(w.dir, "app"), "KEYWARD_DATABASE_URL": database, "KEYWARD_TRACKER": "rotation", "KEYWARD_METRICS_LISTEN": "none", "KEYWARD_DRAIN": "10s", "KEYWARD_LOG_LEVEL": "debug",
	}
	t.Cleanup(w.end)
	return w
}

// end stops everything, and looks at all that was written.
func (w *world) end() {
	for _, a := range w.apps {
		if code := a.stop(); code != 0 {
			w.t.Errorf("the App ended with %d\n%s", code, a.log)
		}
	}
	w.gh.Close()
	if bad := w.gh.Invalid(); len(bad) > 0 {
		w.t.Errorf("requests that GitHub would not understand: %s", strings.Join(bad[:min(5, len(bad))], "\n"))
	}
	w.searchAll()
	if w.t.Failed() {
		for i, a := range w.apps {
			w.t.Logf("log of App %d:\n%s", i, a.log)
		}
	}
}

// searchAll looks for planted keys and tokens in everything that the App wrote: its
// logs, its files, its database and its requests.
func (w *world) searchAll() {
	secrets := append(slices.Clone(w.planted), webhookSecret, pepper, "ghs_")
	look := func(where string, data []byte) {
		for _, s := range secrets {
			if s != "ghs_" && len(s) > 16 {
				s = s[len(s)-16:]
			}
			if i := bytes.Index(data, []byte(s)); i >= 0 {
				w.t.Errorf("%s holds a secret: …%q", where, data[max(0, i-60):i])
			}
		}
	}
	for i, a := range w.apps {
		look(fmt.Sprintf("the log of App %d", i), []byte(a.log.String()))
	}
	for _, r := range w.gh.Requests() {
		look("a request: "+r.Method+" "+r.Path, append([]byte(r.Path+" "+r.Query+" "), r.Body...))
	}
	for _, file := range []string{"keyward.db", "keyward.db-wal"} {
		if data, err := os.ReadFile(filepath.Join(w.dir, "app", file)); err == nil {
			look(file, data)
		}
	}
	if w.database != "" {
		look("the database", dump(w.t, w.database))
	}
	configs, _ := filepath.Glob(filepath.Join(w.dir, "app", "repositories", "*.git", "*"))
	for _, file := range configs {
		if data, err := os.ReadFile(file); err == nil {
			look(file, data)
		}
	}
}

// dump returns all text in a PostgreSQL database.
func dump(t testing.TB, url string) []byte {
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables []string
	rows, err := db.Query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, name := range tables {
		var text sql.NullString
		if err := db.QueryRow("SELECT string_agg(t::text, chr(10)) FROM " + name + " t").Scan(&text); err != nil {
			t.Fatal(err)
		}
		out.WriteString(text.String)
	}
	return out.Bytes()
}

// repo makes a repository of acme.
func (w *world) repo(name string, opt githubtest.Repo) int64 {
	w.t.Helper()
	id, err := w.gh.AddRepo("acme", name, opt)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// start starts the App inside this process, and lets deliveries go to it.
func (w *world) start() *app {
	w.t.Helper()
	a := w.prepare()
	env := w.environment(a)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	e := server.Env{Args: []string{"serve"}, Stdout: io.Discard, Stderr: a.log, Getenv: getenv(env), Environ: environ(env), Schema: w.schema}
	if w.provider != nil {
		e.Transport, e.Now = w.provider.Transport(), w.clock.now
	}
	go func() { ended <- server.Main(ctx, e) }()
	a.stop = sync.OnceValue(func() int { cancel(); return <-ended })
	a.kill = func() { a.stop() }
	w.ready(a)
	return a
}

// getenv and environ make an environment of a map.
func getenv(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func environ(env map[string]string) func() []string {
	return func() (list []string) {
		for k, v := range env {
			list = append(list, k+"="+v)
		}
		return list
	}
}

// spawn starts the App as a process of its own, which can be killed.
func (w *world) spawn() *app {
	w.t.Helper()
	a := w.prepare()
	cmd := exec.Command(binary, "serve")
	cmd.Env = environ(w.environment(a))() // a workflow sets GITHUB_API_URL, which is an old name of a setting
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		cmd.Env = append(cmd.Env, name+"="+os.Getenv(name))
	}
	cmd.Stdout, cmd.Stderr = a.log, a.log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	a.pid = cmd.Process.Pid
	ended := make(chan int, 1)
	var killed sync.Once
	go func() {
		_ = cmd.Wait() // the code says it
		ended <- cmd.ProcessState.ExitCode()
	}()
	gone := false
	a.stop = sync.OnceValue(func() int {
		if gone {
			return 0
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		return <-ended
	})
	a.kill = func() {
		killed.Do(func() {
			gone = true
			_ = cmd.Process.Kill()
			<-ended
		})
	}
	w.ready(a)
	return a
}

func (w *world) prepare() *app {
	port, err := freePort()
	if err != nil {
		w.t.Fatal(err)
	}
	a := &app{address: fmt.Sprintf("127.0.0.1:%d", port), log: &locked{}}
	w.apps = append(w.apps, a)
	return a
}

func (w *world) environment(a *app) map[string]string {
	env := map[string]string{"KEYWARD_LISTEN": a.address}
	for k, v := range w.env {
		env[k] = v
	}
	return env
}

func (w *world) ready(a *app) {
	w.t.Helper()
	w.eventually(30*time.Second, "the App starts", func() string {
		res, err := http.Get("http://" + a.address + "/readyz")
		if err != nil {
			return err.Error() + "\n" + a.log.String()
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return res.Status
		}
		return ""
	})
	w.gh.Webhook("http://"+a.address+"/webhook", webhookSecret)
}

// eventually waits until look returns "", and fails with what it said last. It waits
// three times as long as it should take: a machine may be slow.
func (w *world) eventually(within time.Duration, what string, look func() string) {
	w.t.Helper()
	within *= 3
	end := time.Now().Add(within)
	for {
		said := look()
		if said == "" {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s: not within %s: %s", what, within, said)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// key returns a fake key, made for the tests of a rule, that is looked for at the end.
func (w *world) key(rule string) string {
	w.t.Helper()
	list, err := rules.Builtin()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range list {
		if r.ID == rule {
			words := strings.FieldsFunc(r.Match[0], func(c rune) bool { return strings.ContainsRune(" =\"'\n", c) })
			key := slices.MaxFunc(words, func(a, b string) int { return len(a) - len(b) })
			w.planted = append(w.planted, key)
			return key
		}
	}
	w.t.Fatalf("there is no rule %s", rule)
	return ""
}

// clone is a working copy.
type clone struct {
	w   *world
	dir string
}

func (w *world) clone(repo string) *clone {
	w.t.Helper()
	c := &clone{w, filepath.Join(w.t.TempDir(), "c")}
	w.git(w.dir, "clone", "-q", w.gh.CloneURL("acme", repo), c.dir)
	return c
}

func (w *world) git(dir string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Dana Dev", "-c", "user.email=dana@users.example", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// fastImport adds commits to a repository.
func (w *world) fastImport(dir string, in io.Reader) {
	w.t.Helper()
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = dir, in
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
}

// commit writes files, commits them, and returns the commit. An empty text removes.
func (c *clone) commit(message string, files ...string) string {
	c.w.t.Helper()
	for i := 0; i+1 < len(files); i += 2 {
		name := filepath.Join(c.dir, files[i])
		if files[i+1] == "" {
			c.w.git(c.dir, "rm", "-q", "--", files[i])
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			c.w.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o600); err != nil {
			c.w.t.Fatal(err)
		}
	}
	c.w.git(c.dir, "add", "-A")
	c.w.git(c.dir, "commit", "-q", "--allow-empty", "-m", message)
	return c.w.git(c.dir, "rev-parse", "HEAD")
}

func (c *clone) push(args ...string) {
	c.w.t.Helper()
	if len(args) == 0 {
		args = []string{"HEAD:refs/heads/main"}
	}
	c.w.git(c.dir, append([]string{"push", "-q", "origin"}, args...)...)
}

// check waits for the finished check run of a commit, by name.
func (w *world) check(repo, name, sha string) githubtest.Check {
	w.t.Helper()
	var found githubtest.Check
	w.eventually(30*time.Second, "check "+name+" of "+sha, func() string {
		said := "there is none"
		for _, c := range w.gh.Checks("acme", repo) {
			if c.Name == name && c.SHA == sha {
				found, said = c, "it is "+c.Status
				if c.Status == "completed" {
					return ""
				}
			}
		}
		return said
	})
	return found
}

// pushed commits files to main of a repository and waits for the check.
func (w *world) pushed(c *clone, repo, message string, files ...string) githubtest.Check {
	w.t.Helper()
	sha := c.commit(message, files...)
	c.push()
	return w.check(repo, "Keyward (push)", sha)
}

// issues waits until a repository has so many issues, and some time longer that no more
// come.
// But for dashboards.
func (w *world) issues(repo string, n int) (found []githubtest.Issue) {
	w.t.Helper()
	w.eventually(30*time.Second, fmt.Sprintf("%d issues in %s", n, repo), func() string {
		found = slices.DeleteFunc(w.gh.Issues("acme", repo), func(i githubtest.Issue) bool { return slices.Contains(i.Labels, "kw/dashboard") })
		if len(found) != n {
			return fmt.Sprintf("there are %d", len(found))
		}
		return ""
	})
	return found
}

// idle waits until the App has nothing to do any more.
func (w *world) idle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.gh.Flush(ctx); err != nil {
		w.t.Fatal(err)
	}
	quiet := 0
	last := -1
	jobs := w.jobs()
	w.eventually(60*time.Second, "the App is idle", func() string {
		n := len(w.gh.Requests()) + len(w.gh.GitRequests())
		if jobs() > 0 {
			quiet = 0
		}
		if n == last {
			quiet++
		} else {
			quiet, last = 0, n
		}
		time.Sleep(50 * time.Millisecond)
		if quiet < 20 {
			return "it still asks GitHub for things"
		}
		return ""
	})
}

// jobs returns a count of the jobs that run or are due. A machine under load does nothing
// for a while, and is not done.
func (w *world) jobs() func() (n int) {
	driver, address := "sqlite", "file:"+filepath.Join(w.dir, "app", "keyward.db")+"?mode=ro&_pragma=busy_timeout(5000)"
	if w.database != "" {
		driver, address = "pgx", w.database
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close() })
	return func() (n int) {
		if db.QueryRow("SELECT count(*) FROM river_job WHERE state IN ('available', 'running') AND kind <> 'sweep'").Scan(&n) != nil {
			return 0 // no database yet, or not one of its own
		}
		return n
	}
}
