// Demo shows the whole App with no GitHub at all: a stand-in for GitHub with a sample
// organisation, the App beside it, real pushes by git, and the checks and rotation
// issues that come of them.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
	"github.com/keyward/keyward/app/server"
	"github.com/keyward/keyward/scanner/rules"
)

func main() {
	issue := flag.Bool("issue", false, "print the text of the rotation issue, in Markdown")
	logs := flag.Bool("log", false, "show the App's log")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *issue, *logs)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: error: %v\n", err)
		os.Exit(2)
	}
}

// a demo is the stand-in, the App, and somebody who pushes.
type demo struct {
	ctx  context.Context
	out  io.Writer
	gh   *githubtest.Server
	dir  string
	from time.Time // of the last act
	seen map[string]bool
}

func run(ctx context.Context, out io.Writer, issue, logs bool) (err error) {
	dir, err := os.MkdirTemp("", "keyward-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{ctx: ctx, out: out, dir: dir, seen: map[string]bool{}}
	if err := os.Mkdir(filepath.Join(dir, "github"), 0o700); err != nil {
		return err
	}
	if d.gh, err = githubtest.New(githubtest.Options{Dir: filepath.Join(dir, "github")}); err != nil {
		return err
	}
	defer d.gh.Close()
	stop, err := d.startApp(logs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := d.story(); err != nil {
		return err
	}
	if issue {
		for _, i := range d.gh.Issues("acme", "rotation") {
			fmt.Fprintf(out, "\n# %s\n\n%s", i.Title, i.Body)
		}
	}
	return nil
}

// startApp makes the organisation, and starts the App beside it.
func (d *demo) startApp(logs bool) (stop func() error, err error) {
	d.gh.AddOrg("acme")
	d.gh.AddUser("dana")
	for _, name := range []string{"widgets", "gadgets", "rotation"} {
		if _, err := d.gh.AddRepo("acme", name, githubtest.Repo{}); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	const secret = "fake-webhook-secret-of-the-demo"
	env := map[string]string{
		"GITHUB_URL": d.gh.URL, "GITHUB_APP_ID": fmt.Sprint(d.gh.AppID()), "GITHUB_APP_PRIVATE_KEY": string(d.gh.AppKeyPEM()), "GITHUB_WEBHOOK_SECRET": secret,
		"KEYWARD_PEPPER": "fake-pepper-of-the-demo", "KEYWARD_DATA": filepath.Join(d.dir, "app"), "KEYWARD_TRACKER": "rotation", "LISTEN": address, "METRICS_LISTEN": "none",
	}
	var log bytes.Buffer
	to := io.Writer(&log)
	if logs {
		to = os.Stderr
	}
	ctx, cancel := context.WithCancel(d.ctx)
	ended := make(chan int, 1)
	go func() {
		ended <- server.Main(ctx, server.Env{Args: []string{"serve"}, Stdout: io.Discard, Stderr: to, Getenv: func(k string) string { return env[k] }})
	}()
	for {
		res, err := http.Get("http://" + address + "/readyz")
		if err == nil {
			_ = res.Body.Close() // its status says all
			break
		}
		select {
		case <-ended:
			cancel()
			return nil, fmt.Errorf("the App did not start: %s", log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	d.gh.Webhook("http://"+address+"/webhook", secret)
	return func() error {
		cancel()
		if code := <-ended; code != 0 {
			return fmt.Errorf("the App ended with %d: %s", code, log.String())
		}
		return nil
	}, nil
}

// fake returns a key that is made for the tests of a rule.
func fake(rule string) (string, error) {
	list, err := rules.Builtin()
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if r.ID == rule {
			return r.Match[0], nil
		}
	}
	return "", fmt.Errorf("there is no rule %s", rule)
}

// story is what happens.
func (d *demo) story() error {
	mesh, err := fake("tailscale-auth-key")
	if err != nil {
		return err
	}
	mesh = strings.TrimSpace(mesh[strings.LastIndexAny(mesh, " =\"'")+1:])
	fmt.Fprintln(d.out, "A stand-in for GitHub with the organisation acme, and keyward-app beside it.")

	if err := d.push("widgets", "Start", "README.md", "# Widgets\n"); err != nil {
		return err
	}
	if err := d.until(1, 0); err != nil {
		return err
	}
	if err := d.push("widgets", "Join the mesh", "docker-compose.yml", "services:\n  mesh:\n    environment:\n      TS_AUTHKEY: "+mesh+"\n"); err != nil {
		return err
	}
	if err := d.until(2, 1); err != nil {
		return err
	}
	if err := d.push("gadgets", "Same mesh", "deploy/.env", "TS_AUTHKEY="+mesh+"\n"); err != nil {
		return err
	}
	if err := d.until(3, 1); err != nil {
		return err
	}
	fmt.Fprintln(d.out, "\nOne key, one issue: go run ./app/demo -issue prints its text.")
	return nil
}

// push commits a file and pushes it, with real git.
func (d *demo) push(repo, message, name, text string) error {
	dir := filepath.Join(d.dir, repo)
	if _, err := os.Stat(dir); err != nil {
		if err := d.git(d.dir, "clone", "-q", d.gh.CloneURL("acme", repo), repo); err != nil {
			return err
		}
	}
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if err := d.git(dir, "add", "."); err != nil {
		return err
	}
	if err := d.git(dir, "-c", "user.name=Dana Dev", "-c", "user.email=dana@users.example", "commit", "-qm", message); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\n$ git commit -m '%s' && git push    # acme/%s\n", message, repo)
	d.from = time.Now()
	return d.git(dir, "push", "-q", "origin", "HEAD:main")
}

func (d *demo) git(dir string, args ...string) error {
	cmd := exec.CommandContext(d.ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// until shows what appears on GitHub until there are so many finished checks and issues,
// and what was said in them.
func (d *demo) until(checks, issues int) error {
	end := time.Now().Add(20 * time.Second)
	for time.Now().Before(end) {
		done := d.showChecks()
		told := d.showIssues()
		if done == checks && told >= issues && (checks < 3 || d.seen["comment 1"]) {
			return nil
		}
		select {
		case <-d.ctx.Done():
			return d.ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return errors.New("nothing more appears: -log shows what the App says")
}

// show prints something once, with the time since the push.
func (d *demo) show(name, format string, args ...any) {
	if d.seen[name] {
		return
	}
	d.seen[name] = true
	fmt.Fprintf(d.out, "  %4.2f s  %s\n", time.Since(d.from).Seconds(), fmt.Sprintf(format, args...))
}

// more prints what belongs to the line before, once.
func (d *demo) more(name, text string) {
	if text != "" && !d.seen[name] {
		d.seen[name] = true
		if r := []rune(text); len(r) > 70 {
			text = string(r[:69]) + "…"
		}
		fmt.Fprintf(d.out, "          %s\n", text)
	}
}

func (d *demo) showChecks() (done int) {
	for _, repo := range []string{"widgets", "gadgets"} {
		for _, c := range d.gh.Checks("acme", repo) {
			name := fmt.Sprint("check ", c.ID)
			d.show(name, "%s: in progress, on %.7s", c.Name, c.SHA)
			if c.Status != "completed" {
				continue
			}
			done++
			d.show(name+" done", "%s: %s", c.Name, c.Conclusion)
			d.more(name+" title", c.Title)
			for _, a := range c.Annotations {
				d.more(fmt.Sprint(name, a.Path, a.StartLine), fmt.Sprintf("%s at %s:%d", a.Level, a.Path, a.StartLine))
			}
		}
	}
	return done
}

func (d *demo) showIssues() int {
	list := d.gh.Issues("acme", "rotation")
	for _, i := range list {
		name := fmt.Sprint("issue ", i.Number)
		d.show(name, "issue acme/rotation#%d, assigned to %s", i.Number, strings.Join(i.Assignees, ", "))
		d.more(name+" title", i.Title)
		for n, c := range i.Comments {
			_, text, _ := strings.Cut(c.Body, "\n")
			first, rest, _ := strings.Cut(text, ". ")
			d.show(fmt.Sprint("comment ", n+1), "comment on acme/rotation#%d", i.Number)
			d.more(fmt.Sprint("text ", n+1), first+".")
			d.more(fmt.Sprint("rest ", n+1), rest)
		}
	}
	return len(list)
}
