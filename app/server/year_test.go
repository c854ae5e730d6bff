package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/github/githubtest"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/guard"
	"github.com/keyward/keyward/scanner/policy"
	"github.com/keyward/keyward/scanner/rules"
)

// A year is 400 days of an organisation in simulated time: keys are found, people act on
// them in their ways, providers are asked. It counts for itself what the report has to say.
type year struct {
	t       *testing.T
	ctx     context.Context
	rnd     *rand.Rand
	gh      *githubtest.Server
	store   *store.Store
	keeper  *rotation.Keeper
	client  *github.Client
	inst    *store.Installation
	clock   clock
	start   time.Time
	repos   []int64
	keys    []*yearKey
	byPrint map[string]*yearKey
	writes  []time.Time // to issues
	acts    map[int64][]func()
	busy    int // how often GitHub's limits made it wait

	found, acked, revoked, proved, unproved, denied, accepted, regressions, reminders, met, missed int
}

// a yearKey is a key as the simulation knows it.
type yearKey struct {
	print  string
	dead   bool
	atHead bool
	over   bool // revoked as far as is known
	begun  time.Time
	allow  time.Duration
}

// TestYear runs 1,000 keys over 50 repositories for 400 days, and holds the report equal
// to what it has counted itself. With the race detector there are fewer keys.
func TestYear(t *testing.T) {
	t.Parallel()
	n := 1000
	if raceDetector || testing.Short() {
		n = 100
	}
	y := newYear(t, 50)
	for i := range n {
		at := y.start.Add(time.Duration(y.rnd.IntN(340*24)) * time.Hour)
		if i%5 == 0 { // somebody pushes a dump of all
			at = y.start.AddDate(0, 0, 100)
		}
		y.plan(i, at)
	}
	end := y.start.AddDate(0, 0, 400)
	for at := y.start; !at.After(end); at = at.Add(time.Hour) {
		y.hour(at)
	}
	y.once(n)
	y.limits()
	y.compare(end)
}

func newYear(t *testing.T, repos int) *year {
	t.Helper()
	dir := t.TempDir()
	y := &year{t: t, ctx: context.Background(), rnd: rand.New(rand.NewPCG(400, 1000)), start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), acts: map[int64][]func(){}, byPrint: map[string]*yearKey{}}
	y.clock.t = y.start
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	y.gh, err = githubtest.New(githubtest.Options{Dir: dir})
	check()
	t.Cleanup(y.gh.Close)
	y.inst = &store.Installation{ID: y.gh.AddOrg("acme"), Account: "acme", AccountID: 1}
	for _, login := range []string{"dana", "ravi"} {
		y.gh.AddUser(login)
		y.gh.AddMember("acme", login)
	}
	y.store, err = store.Open(y.ctx, filepath.Join(dir, "keyward.db"))
	check()
	_, err = y.store.Migrate(y.ctx)
	check()
	_, err = y.store.DB.Exec("PRAGMA synchronous = OFF") // no power is cut here
	check()
	err = y.store.PutInstallation(y.ctx, y.inst)
	check()
	for i := range repos {
		name := fmt.Sprintf("repo-%d", i)
		id, err2 := y.gh.AddRepo("acme", name, githubtest.Repo{})
		err = errors.Join(err2, y.store.PutRepository(y.ctx, &store.Repository{ID: id, Installation: y.inst.ID, Owner: "acme", Name: name, DefaultBranch: "main"}))
		check()
		y.repos = append(y.repos, id)
	}
	_, err = y.gh.AddRepo("acme", "rotation", githubtest.Repo{})
	check()
	byID, err := rules.ByID()
	check()
	log := slog.New(slog.DiscardHandler)
	y.keeper = &rotation.Keeper{Store: y.store, Web: y.gh.URL, Peppers: rotation.Peppers{[]byte(pepper)}, Guard: &guard.Guard{}, Rules: byID, Tracker: "rotation", Log: log, Now: y.clock.now}
	api, err := url.Parse(y.gh.URL + "/api/v3/")
	check()
	web, err := url.Parse(y.gh.URL)
	check()
	app, err := github.New(github.Config{AppID: y.gh.AppID(), Key: y.gh.AppKeyPEM(), API: api, Web: web, Transport: y, Pace: &github.Pace{
		Write: func(ctx context.Context, id int64, most time.Duration) (time.Duration, error) {
			wait, err := y.store.WriteSlot(ctx, id, y.clock.now(), time.Second, 5, most)
			y.clock.pass(wait)
			return 0, err
		},
		Content: func(ctx context.Context, id int64) (time.Duration, error) {
			return y.store.ContentSlot(ctx, id, y.clock.now(), 8*time.Second, 40)
		},
	}})
	check()
	y.client = app.Installation(y.inst.ID)
	return y
}

// RoundTrip notes the writes to issues on their way to GitHub.
func (y *year) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/issues") {
		y.writes = append(y.writes, y.clock.now())
	}
	return http.DefaultTransport.RoundTrip(r)
}

// at has something done in the hour of a time.
func (y *year) at(t time.Time, do func()) {
	hour := t.Sub(y.start) / time.Hour
	y.acts[int64(hour)] = append(y.acts[int64(hour)], do)
}

// happen lets an event happen, which has to be accepted.
func (y *year) happen(k *yearKey, e life.Event) (steps []life.Step) {
	y.t.Helper()
	_, steps, err := y.keeper.Happen(y.ctx, y.inst.ID, k.print, e, store.Source{})
	if err != nil {
		y.t.Fatalf("%s of %.12s: %v", e.Kind, k.print, err)
	}
	for _, s := range steps {
		y.closed(k, s)
	}
	return steps
}

func (y *year) closed(_ *yearKey, s life.Step) {
	if s.From != s.To && s.To == life.Closed {
		y.proved++
	}
}

var (
	dana = life.Actor{ID: 1, Login: "dana", Role: "write"}
	ravi = life.Actor{ID: 2, Login: "ravi", Role: "admin", Approver: true}
	self = life.Actor{System: true}
)

// find has a key found, in one to three repositories.
func (y *year) find(k *yearKey, rule string, severity scanner.Severity, settings policy.App) {
	for i := range 1 + y.rnd.IntN(3) {
		repo := y.repos[(y.rnd.IntN(len(y.repos))+i)%len(y.repos)]
		cred := store.Credential{Fingerprint: k.print, Rule: rule, Severity: severity, Redacted: "fake…", Confidence: 1, State: store.StateOpen, Settings: settings,
			Places: []store.Place{{Repository: repo, Path: fmt.Sprintf("f%d.env", i), Line: 1, Col: 1}}}
		if _, err := y.store.Record(y.ctx, repo, []store.Credential{cred}); err != nil {
			y.t.Fatal(err)
		}
	}
}

// plan decides what becomes of a key that is found at a time.
func (y *year) plan(i int, at time.Time) {
	k := &yearKey{print: fmt.Sprintf("%064x", i+1), atHead: true}
	y.keys, y.byPrint[k.print] = append(y.keys, k), k
	kind := []struct {
		rule     string
		severity scanner.Severity
		settings policy.App
		allow    time.Duration
	}{
		{"gitlab-pat", "critical", policy.App{}, 24 * time.Hour},
		{"stripe-secret-key", "high", policy.App{Due: map[scanner.Severity]time.Duration{"high": 48 * time.Hour}}, 48 * time.Hour},
		{"datadog-api-key", "medium", policy.App{}, 72 * time.Hour},
	}[i%3]
	k.allow = kind.allow
	y.at(at, func() {
		y.found++
		k.begun = y.clock.now()
		y.find(k, kind.rule, kind.severity, kind.settings)
		y.tell()
	})
	some := func(most int) time.Duration { return time.Duration(1+y.rnd.IntN(most)) * time.Hour }
	switch way := y.rnd.IntN(100); {
	case way < 10: // two people say that it is none
		y.at(at.Add(some(20)), func() {
			if steps := y.happen(k, life.Event{Kind: life.Deny, Actor: dana, Text: "an example"}); steps[0].To != life.FalsePositive {
				y.happen(k, life.Event{Kind: life.Confirm, Actor: ravi})
			}
			y.denied++
		})
	case way < 20: // the risk is accepted, and the key goes after that
		until := at.Add(some(20)).AddDate(0, 0, 10+y.rnd.IntN(50))
		y.at(at.Add(3*time.Hour), func() {
			y.accepted++
			y.happen(k, life.Event{Kind: life.Accept, Actor: ravi, Text: "moves next month", Until: until})
		})
		y.rotate(k, until.Add(2*time.Hour), some)
	case way < 28: // closed by hand, twice
		for _, after := range []time.Duration{5, 9} {
			y.at(at.Add(after*time.Hour), func() {
				n := y.number(k)
				if err := y.gh.CloseIssue("acme", "rotation", n, "completed", "dana"); err != nil {
					y.t.Fatal(err)
				}
				for _, s := range y.happen(k, life.Event{Kind: life.Close, Actor: dana}) {
					if s.To == life.Unproved {
						y.unproved++
					}
				}
			})
		}
	case way < 32: // nobody does anything
	case way < 42: // rotated, and pushed again
		back := y.rotate(k, at, some).AddDate(0, 0, 20)
		y.at(back, func() {
			k.begun, k.over, k.atHead = y.clock.now(), false, true
			k.allow /= 2
			y.regressions++
			y.happen(k, life.Event{Kind: life.Again, Actor: self})
		})
		y.at(back.Add(4*time.Hour), func() { k.atHead = false })
	default:
		y.rotate(k, at, some)
	}
}

// rotate has people rotate a key, and returns when it is dead.
func (y *year) rotate(k *yearKey, at time.Time, some func(int) time.Duration) time.Time {
	at = at.Add(some(30))
	y.at(at, func() {
		y.acked++
		y.happen(k, life.Event{Kind: life.Ack, Actor: dana})
	})
	at = at.Add(some(10))
	y.at(at, func() { y.happen(k, life.Event{Kind: life.Rotate, Actor: dana, Text: "new"}) })
	at = at.Add(some(60))
	y.at(at, func() {
		k.dead = true
		if y.rnd.IntN(2) == 0 {
			y.happen(k, life.Event{Kind: life.Claim, Actor: dana})
		}
	})
	y.at(at.Add(some(40)), func() { k.atHead = false })
	return at
}

// number is the number of a key's issue.
func (y *year) number(k *yearKey) int {
	y.tell()
	r, err := y.store.Rotation(y.ctx, y.inst.ID, k.print)
	if err != nil || r.Number == 0 {
		y.t.Fatalf("issue of %.12s: %v %+v", k.print, err, r)
	}
	return r.Number
}

// hour lets an hour pass: people act, time changes things, keys are looked at, and GitHub
// is told.
func (y *year) hour(at time.Time) {
	if d := at.Sub(y.clock.now()); d > 0 {
		y.clock.pass(d)
	}
	y.gh.RateLimit(y.inst.ID, 5000, time.Now().Add(time.Hour)) // of an hour here
	i := int64(at.Sub(y.start) / time.Hour)
	for _, do := range y.acts[i] {
		do()
	}
	if _, err := y.keeper.Wake(y.ctx); err != nil {
		y.t.Fatal(err)
	}
	for {
		due, err := y.store.Looking(y.ctx, y.inst.ID, y.clock.now(), 100)
		if err != nil {
			y.t.Fatal(err)
		}
		for i := range due {
			y.look(y.byPrint[due[i].Fingerprint], &due[i])
		}
		if len(due) == 0 {
			break
		}
	}
	y.tell()
}

// look plays the look at a key.
func (y *year) look(k *yearKey, c *store.Course) {
	l, err := rotation.Life(c)
	if err != nil {
		y.t.Fatal(err)
	}
	if l.AtHead == nil || *l.AtHead != k.atHead || !l.Asks(y.clock.now()) {
		y.happen(k, life.Event{Kind: life.Head, Actor: self, Yes: k.atHead})
	}
	if !l.Asks(y.clock.now()) {
		return
	}
	verdict := life.Active
	if k.dead {
		verdict = life.Inactive
	}
	y.happen(k, life.Event{Kind: life.Check, Actor: self, Verdict: verdict, Text: "played"})
	if verdict != life.Inactive || k.over || l.State == life.AcceptedRisk {
		return
	}
	k.over = true
	y.revoked++
	if begun := later(k.begun, l.Start); y.clock.now().After(begun.Add(k.allow)) {
		y.missed++
	} else {
		y.met++
	}
}

// later is when the clock of a key began: a waiver that ended begins it anew.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// tell brings all issues up to date, and waits where GitHub's limits want it to.
func (y *year) tell() {
	for tries := 0; ; tries++ {
		y.gh.RateLimit(y.inst.ID, 5000, time.Now().Add(time.Hour)) // the stand-in counts real hours
		if tries > 5000 {                                          // at most one for each write, which is waited for
			y.t.Fatal("there is always something to tell")
		}
		stale, err := y.store.Stale(y.ctx, y.inst.ID, 100)
		if err != nil {
			y.t.Fatal(err)
		}
		if len(stale) == 0 {
			return
		}
		for _, fp := range stale {
			err := y.keeper.Tell(y.ctx, y.client, y.inst, fp, "simulation")
			if until, wait := github.Wait(err); wait {
				y.busy++
				y.clock.pass(time.Until(until) + time.Second)
				break
			}
			if err != nil {
				y.t.Fatal(err)
			}
		}
	}
}

var marked = regexp.MustCompile(`key=([0-9a-f]{64}) mac=`)

// once looks for keys with several issues, and comments that were made twice.
func (y *year) once(n int) {
	issues := map[string]int{}
	for _, i := range y.gh.Issues("acme", "rotation") {
		if m := marked.FindStringSubmatch(i.Body); m != nil {
			issues[m[1]]++
		}
		said := map[string]bool{}
		for _, c := range i.Comments {
			mark, _, _ := strings.Cut(c.Body, "\n")
			if said[mark] {
				y.t.Errorf("#%d: said twice: %s", i.Number, mark)
			}
			said[mark] = true
			y.reminders += strings.Count(c.Body, "**Reminder**")
		}
	}
	if len(issues) != n || slices.Max(slices.Collect(maps.Values(issues))) != 1 {
		y.t.Errorf("%d keys have issues, of %d; the most of one is %d", len(issues), n, slices.Max(slices.Collect(maps.Values(issues))))
	}
}

// limits holds the writes to GitHub's documented limits: 80 a minute, 500 an hour.
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
func (y *year) limits() {
	for _, limit := range []struct {
		span time.Duration
		most int
	}{{time.Minute, 80}, {time.Hour, 500}} {
		first, most := 0, 0
		for i, at := range y.writes {
			for at.Sub(y.writes[first]) >= limit.span {
				first++
			}
			most = max(most, i-first+1)
		}
		y.t.Logf("writes to issues: %d, at most %d in %s, %d times made to wait", len(y.writes), most, limit.span, y.busy)
		if most > limit.most || y.busy == 0 && len(y.keys) >= 1000 {
			y.t.Errorf("%d writes in %s, at most %d are allowed; %d times it had to wait", most, limit.span, limit.most, y.busy)
		}
	}
}

// compare holds the report of the command equal to what was counted here.
func (y *year) compare(end time.Time) {
	for _, k := range y.keys {
		c, err := y.store.Course(y.ctx, y.keeper.Peppers.Seal(), y.inst.ID, k.print)
		if err != nil {
			y.t.Fatal(err)
		}
		if working := []string{"open", "acknowledged", "rotating", "rotated"}; slices.Contains(working, c.State) && k.begun.Add(k.allow).Before(end) {
			y.missed++
		}
	}
	forged, err := func() ([]store.Forgery, error) {
		_, forged, err := y.store.VerifyLedger(y.ctx, y.keeper.Peppers.Seal())
		return forged, err
	}()
	if err != nil || len(forged) > 0 {
		y.t.Errorf("the ledger: %v %v", forged, err)
	}
	if err := y.store.Close(); err != nil {
		y.t.Fatal(err)
	}
	env := map[string]string{"KEYWARD_PEPPER": pepper, "KEYWARD_DATABASE_URL": filepath.Join(filepath.Dir(filepath.Dir(y.gh.RepoDir("acme", "rotation"))), "keyward.db")}
	out, errs, code := run(y.t, env, "report", "rotation", "--format", "json", "--to", end.AddDate(0, 0, 1).Format(time.DateOnly))
	var f rotation.Figures
	if err := json.Unmarshal([]byte(out), &f); code != 0 || err != nil {
		y.t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	got := []int{f.Found, f.Acknowledged, f.Revoked, f.Proved, f.Unproved, f.Denied, f.Accepted, f.Regressions, f.Reminders, f.Met, f.Missed}
	want := []int{y.found, y.acked, y.revoked, y.proved, y.unproved, y.denied, y.accepted, y.regressions, y.reminders, y.met, y.missed}
	if !slices.Equal(got, want) {
		y.t.Errorf("found, acknowledged, revoked, proved, unproved, denied, accepted, regressions, reminders, met, missed:\n got %v\nwant %v", got, want)
	}
	text, _, _ := run(y.t, env, "report", "rotation", "--to", end.AddDate(0, 0, 1).Format(time.DateOnly))
	y.t.Logf("\n%s", text)
}
