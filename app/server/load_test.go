package server_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github/githubtest"
)

var (
	loadFor  = flag.Duration("load", 3*time.Second, "how long the load test sends deliveries")
	loadRate = flag.Int("rate", 200, "how many deliveries a second it sends")
	loadOrgs = flag.Int("orgs", 50, "over how many organisations they are spread")
)

// TestLoad sends deliveries at a fixed rate, whatever the answers take, and waits until
// all are scanned. The full one, whose figures stand in the README:
//
//	go test ./app/server -run TestLoad -v -load 60s -orgs 400 -timeout 60m
func TestLoad(t *testing.T) {
	for name, database := range map[string]func() string{"sqlite": func() string { return "" }, "postgres": func() string { return newDatabase(t) }} {
		t.Run(name, func(t *testing.T) { load(t, newWorld(t, database())) })
	}
}

func load(t *testing.T, w *world) {
	a := w.spawn()
	total := int(loadFor.Seconds() * float64(*loadRate))
	pushes := w.history(t, total)
	t.Logf("%d pushes are prepared", total)
	memory := watch(a)
	took := send(t, a, pushes)
	slices.Sort(took)
	p := func(q float64) time.Duration { return took[min(len(took)-1, int(q*float64(len(took))))] }
	t.Logf("%d deliveries at %d a second: acknowledged in %s (median), %s (95th), %s (99th percentile), %s (slowest)", total, *loadRate, p(.5), p(.95), p(.99), took[len(took)-1])
	if limit := 50 * time.Millisecond; w.database != "" && p(.99) > limit && *loadFor >= 30*time.Second {
		t.Errorf("99th percentile %s, want under %s", p(.99), limit)
	}
	start := time.Now()
	done := 0
	w.eventually(40*time.Minute, "all are scanned", func() string {
		time.Sleep(200 * time.Millisecond)
		done = strings.Count(a.log.String(), `"msg":"scanned"`)
		if done < total {
			return fmt.Sprintf("%d of %d", done, total)
		}
		return ""
	})
	t.Logf("all scanned %s after the last delivery; memory of the process %s", time.Since(start).Round(time.Second), memory())
}

// A delivery is a push as GitHub would tell of it.
type delivery struct {
	guid, body, signature string
}

// history makes organisations with a repository each, whose commits lie there already,
// and returns a delivery for each of them.
func (w *world) history(t *testing.T, n int) (out []delivery) {
	t.Helper()
	zero := strings.Repeat("0", 40)
	for o := range *loadOrgs {
		org := fmt.Sprintf("org%d", o)
		install := w.gh.AddOrg(org)
		id, err := w.gh.AddRepo(org, "r", githubtest.Repo{})
		if err != nil {
			t.Fatal(err)
		}
		dir := w.gh.RepoDir(org, "r")
		mine := n / *loadOrgs
		if o < n%*loadOrgs {
			mine++
		}
		var in bytes.Buffer
		for i := range mine {
			message, text := fmt.Sprintf("change %d", i), fmt.Sprintf("line %d of %s\n", i, org)
			fmt.Fprintf(&in, "commit refs/heads/main\nmark :%d\ncommitter Dana <dana@users.example> %d +0000\ndata %d\n%s\n", i+1, 1_700_000_000+i, len(message), message)
			if i > 0 {
				fmt.Fprintf(&in, "from :%d\n", i)
			}
			fmt.Fprintf(&in, "M 100644 inline f%d.txt\ndata %d\n%s\n", i%20, len(text), text)
		}
		w.fastImport(dir, &in)
		ids := strings.Fields(w.git(dir, "rev-list", "--reverse", "main"))
		for i, head := range ids {
			base := zero
			if i > 0 {
				base = ids[i-1]
			}
			body, err := json.Marshal(map[string]any{"ref": "refs/heads/main", "before": base, "after": head, "installation": map[string]any{"id": install},
				"repository": map[string]any{"id": id, "full_name": org + "/r", "private": true, "default_branch": "main", "owner": map[string]any{"id": 100 + o, "login": org}}})
			if err != nil {
				t.Fatal(err)
			}
			m := hmac.New(sha256.New, []byte(webhookSecret))
			m.Write(body)
			out = append(out, delivery{fmt.Sprintf("load-%05d-%05d", o, i), string(body), "sha256=" + hex.EncodeToString(m.Sum(nil))})
		}
	}
	// Spread as they would come: one of each organisation in turn.
	slices.SortStableFunc(out, func(a, b delivery) int { return strings.Compare(a.guid[11:], b.guid[11:]) })
	return out
}

// send sends the deliveries, each at its time, and returns how long each took.
func send(t *testing.T, a *app, pushes []delivery) []time.Duration {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	took := make([]time.Duration, len(pushes))
	start := time.Now()
	var wg sync.WaitGroup
	for i, d := range pushes {
		at := start.Add(time.Duration(i) * time.Second / time.Duration(*loadRate))
		time.Sleep(time.Until(at))
		wg.Go(func() {
			r, err := http.NewRequest(http.MethodPost, "http://"+a.address+"/webhook", strings.NewReader(d.body))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("X-GitHub-Event", "push")
			r.Header.Set("X-GitHub-Delivery", d.guid)
			r.Header.Set("X-Hub-Signature-256", d.signature)
			res, err := client.Do(r)
			took[i] = time.Since(at)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			_, _ = io.Copy(io.Discard, res.Body)
			if res.StatusCode != http.StatusAccepted {
				t.Errorf("delivery %s was answered %d", d.guid, res.StatusCode)
			}
		})
	}
	wg.Wait()
	return took
}

// watch follows the resident memory of the App's process. The returned function says
// how it went: after the first tenth, in the middle, at the end, and the highest.
func watch(a *app) func() string {
	ctx, stop := context.WithCancel(context.Background())
	var mu sync.Mutex
	var seen []int
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(200 * time.Millisecond):
				if kb := resident(a); kb > 0 {
					mu.Lock()
					seen = append(seen, kb)
					mu.Unlock()
				}
			}
		}
	}()
	return func() string {
		stop()
		<-done
		if len(seen) == 0 {
			return "unknown"
		}
		return fmt.Sprintf("%d MB early, %d MB in the middle, %d MB at the end, %d MB at most", seen[len(seen)/10]/1024, seen[len(seen)/2]/1024, seen[len(seen)-1]/1024, slices.Max(seen)/1024)
	}
}

// resident is the memory of the App's process in kB, 0 if that is not known.
func resident(a *app) int {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(a.pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, _ := strconv.Atoi(f[1])
			return kb
		}
	}
	return 0
}

// TestLargePush pushes 5,000 commits at once, of which the first has a key that the
// second takes out.
func TestLargePush(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	a := w.spawn()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	key := w.key("gitlab-pat")
	var in bytes.Buffer
	from := w.git(c.dir, "rev-parse", "HEAD")
	for i := range 5000 {
		text := fmt.Sprintf("line %d\n", i)
		if i == 0 {
			text = "T=" + key + "\n"
		}
		fmt.Fprintf(&in, "commit refs/heads/large\nmark :%d\ncommitter Dana <dana@users.example> %d +0000\ndata 1\nm\nfrom %s\nM 100644 inline f%d.env\ndata %d\n%s\n", i+1, 1_700_000_000+i, from, i%50, len(text), text)
		from = fmt.Sprintf(":%d", i+1)
	}
	w.fastImport(c.dir, &in)
	memory := watch(a)
	start := time.Now()
	c.push("large:refs/heads/large")
	check := w.check("widgets", "Keyward (push)", w.git(c.dir, "rev-parse", "large"))
	t.Logf("5,000 commits: %s from the push to the check; memory of the process %s", time.Since(start).Round(time.Millisecond), memory())
	expect(t, check, "failure", "1 key found")
	if !strings.Contains(check.Summary, "5,000 commits") {
		t.Errorf("the summary says\n%s", check.Summary)
	}
	w.issues("rotation", 1)
}

// TestLargeRepository has a repository of 200 MB that can not be compressed.
func TestLargeRepository(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("200 MB")
	}
	w := newWorld(t, "")
	w.repo("large", githubtest.Repo{})
	dir := w.gh.RepoDir("acme", "large")
	key := w.key("gitlab-pat")
	var in bytes.Buffer
	noise := make([]byte, 4<<20)
	x := uint64(88172645463325252)
	for i := range 50 {
		for j := range noise {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			noise[j] = byte(x)
		}
		fmt.Fprintf(&in, "commit refs/heads/main\nmark :%d\ncommitter Dana <dana@users.example> %d +0000\ndata 1\nm\n", i+1, 1_700_000_000+i)
		if i > 0 {
			fmt.Fprintf(&in, "from :%d\n", i)
		}
		fmt.Fprintf(&in, "M 100644 inline n%d.bin\ndata %d\n", i, len(noise))
		in.Write(noise)
		in.WriteString("\n")
	}
	fmt.Fprintf(&in, "commit refs/heads/main\nmark :99\ncommitter Dana <dana@users.example> 1700000999 +0000\ndata 1\nm\nfrom :50\nM 100644 inline k.env\ndata %d\nT=%s\n\n", len(key)+3, key)
	w.fastImport(dir, &in)
	in = bytes.Buffer{}
	a := w.spawn()
	memory := watch(a)
	start := time.Now()
	w.gh.Install("acme")
	w.issues("rotation", 1)
	cache := size(filepath.Join(w.dir, "app", "repositories"))
	t.Logf("history of 200 MB: %s to the issue; memory of the process %s; cache %d MB", time.Since(start).Round(time.Millisecond), memory(), cache>>20)
	if cache > 10<<20 { // a whole history is not kept
		t.Errorf("%d MB are left on disk", cache>>20)
	}
	w.idle()
}

// TestTooLarge has a repository that is larger than allowed: it is said, and the disk
// is given back.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.env["KEYWARD_MAX_REPOSITORY_MB"] = "2"
	w.start()
	c := w.clone("widgets")
	check := w.pushed(c, "widgets", "Large", "large.bin", noise(6<<20, 0))
	expect(t, check, "failure", "Not scanned")
	if !strings.Contains(check.Summary, "KEYWARD_MAX_REPOSITORY_MB") {
		t.Errorf("the summary says\n%s", check.Summary)
	}
	w.idle()
	if n := size(filepath.Join(w.dir, "app", "repositories")); n > 3<<20 {
		t.Errorf("%d bytes are left on disk", n)
	}
}

// noise is what can not be compressed: n bytes, others for each seed.
func noise(n, seed int) string {
	out := make([]byte, n)
	x := uint64(seed)<<32 + 1
	for i := range out {
		x = x*6364136223846793005 + 1442695040888963407
		out[i] = byte(x >> 33)
	}
	return string(out)
}

// size is how many bytes the files below a directory have.
func size(dir string) (n int64) {
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}

// TestLoadManyFindings has one push bring 20,000 findings, on SQLite, while deliveries of
// another installation arrive: each has to be acknowledged within a second. The figures are
// in docs/operations.md.
func TestLoadManyFindings(t *testing.T) {
	const findings = 20_000
	w := newWorld(t, "")
	a := w.spawn()
	c := w.clone("widgets")
	w.pushed(c, "widgets", "Start", "README.md", "# Widgets\n")
	key := w.key("gitlab-pat")
	var files []string
	var text strings.Builder
	for i := range findings {
		n := fmt.Sprintf("%04d", i%10_000)
		v := key[:len(key)-5] + string("ABCDEFGHJK"[i/10_000]) + n
		fmt.Fprintf(&text, "T%d=%s\n", i, v)
		if (i+1)%1000 == 0 {
			files = append(files, fmt.Sprintf("k%d.env", i/1000), text.String())
			text.Reset()
		}
	}
	sha := c.commit("keys", files...)
	w.deliverSigned(t, a, 5) // rules and caches are loaded
	start := time.Now()
	c.push()
	took, peak := w.deliverSigned(t, a, 300)
	check := w.check("widgets", "Keyward (push)", sha)
	slices.Sort(took)
	t.Logf("%d findings in one push, check after at most %s; memory %d MB; deliveries acknowledged in %s (median), %s (99th percentile), %s (slowest)", findings, time.Since(start).Round(time.Second), peak/1024,
		took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if slowest := took[len(took)-1]; slowest >= time.Second {
		t.Errorf("a delivery was acknowledged after %s", slowest)
	}
	if check.Conclusion != "failure" || !strings.Contains(check.Summary, "more findings not stored") {
		t.Errorf("%s %s\n%s", check.Conclusion, check.Title, check.Summary[:min(len(check.Summary), 500)])
	}
	var stored int
	s := w.openDatabase()
	defer s.Close()
	if err := s.DB.QueryRow("SELECT count(*) FROM credential").Scan(&stored); err != nil || stored != 1000 {
		t.Errorf("%d findings stored (%v), want 1,000", stored, err)
	}
}
