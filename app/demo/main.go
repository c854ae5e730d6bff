// Demo shows the whole App with no GitHub at all: a stand-in for GitHub with a sample
// organisation, one for the provider of a key, the App beside them, real pushes by git,
// and a clock that goes on as told. A key is leaked, rotated, proved dead, and comes back.
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
	"sync"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
	"github.com/keyward/keyward/app/server"
	"github.com/keyward/keyward/scanner/rules"
	"github.com/keyward/keyward/scanner/verify/verifytest"
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

// a demo is the stand-ins, the App, and somebody who pushes.
type demo struct {
	ctx      context.Context
	out      io.Writer
	gh       *githubtest.Server
	provider *verifytest.Provider
	dir      string
	env      map[string]string // of the App
	seen     map[string]bool

	mu  sync.Mutex
	now time.Time // by which keys live
}

// time is the time of the demo.
func (d *demo) time() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func run(ctx context.Context, out io.Writer, issue, logs bool) (err error) {
	dir, err := os.MkdirTemp("", "keyward-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{ctx: ctx, out: out, dir: dir, seen: map[string]bool{}, now: time.Now().UTC().Truncate(time.Minute)}
	if err := os.Mkdir(filepath.Join(dir, "github"), 0o700); err != nil {
		return err
	}
	if d.gh, err = githubtest.New(githubtest.Options{Dir: filepath.Join(dir, "github")}); err != nil {
		return err
	}
	defer d.gh.Close()
	if d.provider, err = verifytest.New(); err != nil {
		return err
	}
	defer d.provider.Close()
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
	d.gh.SetPermission("acme", "rotation", "dana", "write")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	const secret = "fake-webhook-secret-of-the-demo"
	d.env = map[string]string{
		"KEYWARD_GITHUB_URL": d.gh.URL, "KEYWARD_GITHUB_APP_ID": fmt.Sprint(d.gh.AppID()), "KEYWARD_GITHUB_APP_PRIVATE_KEY": string(d.gh.AppKeyPEM()), "KEYWARD_GITHUB_WEBHOOK_SECRET": secret,
		"KEYWARD_PEPPER": "fake-pepper-of-the-demo", "KEYWARD_DATA": filepath.Join(d.dir, "app"), "KEYWARD_TRACKER": "rotation", "KEYWARD_LISTEN": address, "KEYWARD_METRICS_LISTEN": "none",
		"KEYWARD_VERIFY": "true", "KEYWARD_VERIFY_PAUSE": "1ms", "KEYWARD_WATCH": "20ms", "KEYWARD_WRITE_PAUSE": "1ms",
	}
	var log bytes.Buffer
	to := io.Writer(&log)
	if logs {
		to = os.Stderr
	}
	ctx, cancel := context.WithCancel(d.ctx)
	ended := make(chan int, 1)
	go func() {
		ended <- server.Main(ctx, server.Env{Args: []string{"serve"}, Stdout: io.Discard, Stderr: to, Getenv: d.getenv, Transport: d.provider.Transport(), Now: d.time})
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

func (d *demo) getenv(name string) string { return d.env[name] }

// fake returns a key that is made for the tests of a rule.
func fake(rule string) (string, error) {
	list, err := rules.Builtin()
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if r.ID == rule {
			return strings.TrimSpace(r.Match[0][strings.LastIndexAny(r.Match[0], " =\"'")+1:]), nil
		}
	}
	return "", fmt.Errorf("there is no rule %s", rule)
}

// story is what happens.
func (d *demo) story() error {
	key, err := fake("tailscale-scim-key")
	if err != nil {
		return err
	}
	d.provider.Issue(key)
	fmt.Fprintln(d.out, "A stand-in for GitHub with the organisation acme, one for the provider of a key,\nand keyward-app beside them. The clock is simulated, the seconds are real.")
	clean := "services:\n  sync:\n    environment:\n      SCIM: from-the-vault\n"
	leak := strings.Replace(clean, "from-the-vault", key, 1)
	for _, act := range []struct {
		do   func() error
		want []string // words of what GitHub shows then
	}{
		{d.pushes("widgets", "Start", "README.md", "# Widgets\n"), []string{"Keyward (push): success"}},
		{d.pushes("widgets", "Provision users", "compose.yml", leak), []string{"Keyward (push): failure", "failure at compose.yml", "issue #1, for", "Power:", "Alive: active"}},
		{d.pushes("gadgets", "The same", "deploy/.env", "SCIM="+key+"\n"), []string{"Keyward (push): failure", "in another place"}},
		{d.says("/ack"), []string{"open -> acknowledged"}},
		{d.says("/rotating scim-2"), []string{"acknowledged -> rotating"}},
		{d.waits(13 * time.Hour), []string{"Reminder"}},
		{d.says("/revoked"), []string{"/revoked:"}},
		{d.closes, []string{"is not proved dead", "comment: - two checks", "issue #1 is open"}},
		{d.pushes("widgets", "Read it from the vault", "compose.yml", clean), []string{"Keyward (push): success"}},
		{d.pushes("gadgets", "Read it from the vault", "deploy/.env", "SCIM=from-the-vault\n"), []string{"Keyward (push): success"}},
		{d.revokes(key), nil},
		{d.waits(time.Hour), []string{"rotating → revoked", "Alive: inactive"}},
		{d.waits(2 * time.Hour), []string{"revoked → verified-dead", "verified-dead → closed", "issue #1 is closed"}},
		{d.command("receipt", "verify"), nil},
		{d.waits(24 * time.Hour), nil},
		{d.pushes("widgets", "Revert", "compose.yml", leak), []string{"Keyward (push): failure", "closed → open", "issue #1 is open", "open → revoked"}},
		{d.command("keys", "list"), nil},
		{d.command("ledger", "verify"), nil},
	} {
		from := time.Now()
		if err := act.do(); err != nil {
			return err
		}
		if err := d.until(act.want, from); err != nil {
			return err
		}
	}
	fmt.Fprintln(d.out, "\nOne key, one issue, until it is proved dead. -issue prints the issue's text.")
	return nil
}

// pushes commits a file and pushes it, with real git.
func (d *demo) pushes(repo, message, name, text string) func() error {
	return func() error {
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
		return d.git(dir, "push", "-q", "origin", "HEAD:main")
	}
}

// says has dana comment on the issue.
func (d *demo) says(text string) func() error {
	return func() error {
		fmt.Fprintf(d.out, "\ndana comments: %s\n", text)
		d.gh.Comment("acme", "rotation", 1, text, "dana")
		return nil
	}
}

// closes has dana close the issue by hand.
func (d *demo) closes() error {
	fmt.Fprint(d.out, "\ndana closes the issue\n")
	return d.gh.CloseIssue("acme", "rotation", 1, "completed", "dana")
}

// waits lets time go by.
func (d *demo) waits(span time.Duration) func() error {
	return func() error {
		fmt.Fprintf(d.out, "\n%.0f h later\n", span.Hours())
		d.mu.Lock()
		defer d.mu.Unlock()
		d.now = d.now.Add(span)
		return nil
	}
}

// revokes has the key revoked at its provider.
func (d *demo) revokes(key string) func() error {
	return func() error {
		fmt.Fprint(d.out, "\ndana revokes the old key at its provider\n")
		d.provider.Revoke(key)
		return nil
	}
}

// command runs a command of keyward-app beside the server.
func (d *demo) command(args ...string) func() error {
	return func() error {
		fmt.Fprintf(d.out, "\n$ keyward-app %s\n", strings.Join(args, " "))
		var out, errs bytes.Buffer
		env := server.Env{Args: args, Stdin: strings.NewReader(d.receipt()), Stdout: &out, Stderr: &errs, Getenv: d.getenv}
		if code := server.Main(d.ctx, env); code != 0 {
			return fmt.Errorf("keyward-app %s: exit %d: %s", args[0], code, errs.String())
		}
		for text := range strings.Lines(out.String()) {
			fmt.Fprint(d.out, strings.TrimRight(text, " \n")+"\n")
		}
		return nil
	}
}

// receipt is the last receipt in the issue's comments.
func (d *demo) receipt() (last string) {
	for _, i := range d.gh.Issues("acme", "rotation") {
		for _, c := range i.Comments {
			if _, text, ok := strings.Cut(c.Body, "```json\n"); ok {
				last, _, _ = strings.Cut(text, "\n```")
			}
		}
	}
	return last
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

// until waits for lines to appear on GitHub that hold certain words, and prints each with
// the time since the act.
func (d *demo) until(want []string, from time.Time) error {
	end := time.Now().Add(30 * time.Second)
	for _, words := range want {
		for {
			if l, ok := d.find(words); ok {
				d.seen[l.id+l.text] = true
				d.print(fmt.Sprintf("%4.2f s  %s", time.Since(from).Seconds(), l.text), 10)
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("%q does not appear: -log shows what the App says", words)
			}
			select {
			case <-d.ctx.Done():
				return d.ctx.Err()
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return nil
}

// a line is one that people see on GitHub.
type line struct{ id, text string }

// find returns a line with certain words that was not shown yet.
func (d *demo) find(words string) (line, bool) {
	for _, l := range d.lines() {
		if strings.Contains(l.text, words) && !d.seen[l.id+l.text] {
			return l, true
		}
	}
	return line{}, false
}

// lines are what people see on GitHub: the checks, the issue and what is said in it.
func (d *demo) lines() (out []line) {
	add := func(id, text string) { out = append(out, line{id, text}) }
	for _, repo := range []string{"widgets", "gadgets"} {
		for _, c := range d.gh.Checks("acme", repo) {
			if c.Status != "completed" {
				continue
			}
			id := fmt.Sprint("check ", c.ID)
			add(id, fmt.Sprintf("%s: %s. %s", c.Name, c.Conclusion, c.Title))
			for _, a := range c.Annotations {
				add(id, fmt.Sprintf("%s at %s:%d", a.Level, a.Path, a.StartLine))
			}
		}
	}
	for _, i := range d.gh.Issues("acme", "rotation") {
		id := fmt.Sprint("issue ", i.Number)
		add(id, fmt.Sprintf("issue #%d, for %s: %s", i.Number, strings.Join(i.Assignees, ", "), i.Title))
		add(fmt.Sprint(id, len(i.Comments)), fmt.Sprintf("issue #%d is %s, %s", i.Number, i.State, i.StateReason))
		for text := range strings.Lines(i.Body) {
			add(id, "issue: "+plain(strings.Trim(text, "|\n ")))
		}
		for _, c := range i.Comments {
			for text := range strings.Lines(c.Body) {
				add(fmt.Sprint("comment ", c.ID), "comment: "+plain(strings.TrimSpace(text)))
			}
		}
	}
	return out
}

// plain is Markdown without its marks.
func plain(s string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("**", "", "`", "", " | ", ": ", "\\", "", "\u200b", "", "&gt;", ">").Replace(s)), " ")
}

// print writes a line, in several of 80 columns if it is longer.
func (d *demo) print(text string, indent int) {
	const width = 78
	row := ""
	for _, word := range strings.SplitAfter(text, " ") {
		if len([]rune(row+strings.TrimRight(word, " "))) > width {
			fmt.Fprintf(d.out, "  %s\n", strings.TrimRight(row, " "))
			row = strings.Repeat(" ", indent-2)
		}
		row += word
	}
	fmt.Fprintf(d.out, "  %s\n", strings.TrimRight(row, " "))
}
