package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/app/github"
	"github.com/keyward/keyward/app/jobs"
	"github.com/keyward/keyward/app/rotation"
	"github.com/keyward/keyward/app/scan"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
	"github.com/keyward/keyward/scanner/rules"
	"github.com/keyward/keyward/scanner/verify"
)

func newServe(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use: "serve", Short: "Answer webhooks and work on them, until it is told to stop", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := env.load(c.Context(), true)
			if err != nil {
				return err
			}
			return env.serve(c.Context(), cfg)
		},
	}
	c.Long = `Serve answers webhooks at /webhook, health checks at /healthz and /readyz, and Prometheus at
/metrics of another address. It migrates the database first, and does not start if a newer
release has changed the database so that this one cannot work with it. On SIGTERM /readyz
fails, the running jobs finish, and the rest is left to the next process.

Settings come from the environment and from the configuration file; the environment wins.
Names without the prefix KEYWARD_ work for one more release.

` + settingsHelp()
	return c
}

// writeBurst is how many writes of an installation to GitHub may come at once after a
// pause. In the long run they are a second apart.
// https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#pause-between-mutative-requests
const writeBurst = 5

// Issues and comments have a pace of their own, as GitHub takes 80 a minute and 500 an hour
// of them: 40 at once, then one for eight writes' time, which is 490 in any hour.
const (
	contentPause = 8
	contentBurst = 40
)

// serve runs the server until ctx ends.
func (env *Env) serve(ctx context.Context, cfg *Config) (err error) {
	log := newLog(env, cfg.level)
	if len(cfg.renamed) > 0 {
		log.Warn(cfg.renames())
	}
	if now := time.Now(); cfg.observing.At(now) {
		log.Warn("observe-only: checks that would fail end neutral", "setting", "KEYWARD_OBSERVE", "until", cfg.Observe)
	} else if cfg.observing.On {
		log.Info("the observe-only trial is over: checks fail", "setting", "KEYWARD_OBSERVE", "until", cfg.Observe)
	}
	alone, unlock, err := cfg.alone()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := cfg.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := env.migrate(ctx, s); err != nil {
		return err
	}
	m := newMetrics(s)
	app, err := cfg.app(&github.Pace{
		Write: func(ctx context.Context, installation int64, most time.Duration) (time.Duration, error) {
			return s.WriteSlot(ctx, installation, time.Now(), cfg.pause, writeBurst, most)
		},
		Content: func(ctx context.Context, installation int64) (time.Duration, error) {
			return s.ContentSlot(ctx, installation, time.Now(), contentPause*cfg.pause, contentBurst)
		},
	}, m.request)
	if err != nil {
		return err
	}
	runner, err := env.runner(cfg, s, app, log, m, alone)
	if err != nil {
		return err
	}
	hook := &webhook.Handler{Secrets: cfg.WebhookSecrets, Queue: runner, Guard: env.guard, Key: cfg.allPeppers.CommentKeys()[0], Log: log, Observe: m.delivery}
	ready, err := newReadiness(cfg, s, log)
	if err != nil {
		return err
	}
	return cfg.run(ctx, runner, hook, ready, m, log)
}

// runner wires what works on events.
func (env *Env) runner(cfg *Config, s *store.Store, app *github.App, log *slog.Logger, m *metrics, alone bool) (*jobs.Runner, error) {
	const mb = 1 << 20
	cache := &scan.Cache{Dir: filepath.Join(cfg.DataDir, "repositories"), MaxRepo: cfg.MaxRepository * mb, MaxAll: cfg.Cache * mb}
	workers := cfg.Workers
	if workers == 0 {
		workers = max(4, runtime.GOMAXPROCS(0))
	}
	engine, err := scan.New(cache, cfg.allPeppers, cfg.MaxFile*mb, workers)
	if err != nil {
		return nil, err
	}
	byID, err := rules.ByID()
	if err != nil {
		return nil, err
	}
	keeper := &rotation.Keeper{Store: s, Web: app.Web(), Peppers: cfg.allPeppers, Guard: env.guard, Rules: byID, Tracker: cfg.Tracker, Public: cfg.PublicIssues, Log: log, Now: env.Now}
	verifier, err := env.verifier(cfg)
	if err != nil {
		return nil, err
	}
	revoking := jobs.Revoking{Verifier: verifier, Allowed: cfg.Revoke}
	if revoking.Ways, err = verify.BuiltinRevocations(); err != nil {
		return nil, err
	}
	if cfg.api.Host != cloud { // its tokens are not GitHub's to revoke
		revoking.Ways = maps.Clone(revoking.Ways)
		maps.DeleteFunc(revoking.Ways, func(_ string, list []*verify.Revocation) bool { return list[0].Host() == cloud })
	}
	if verifier == nil { // nobody is asked, but who may be told
		revoking.Verifier = &verify.Verifier{Transport: env.Transport, Pause: cfg.asking, Version: version(), Now: env.Now}
	}
	return jobs.New(jobs.Config{Store: s, GitHub: app, Engine: engine, Keeper: keeper, Guard: env.guard, Log: log, Process: processName(), Workers: workers, First: cfg.FirstIssues, Alone: alone, Beat: cfg.beat, Timeout: cfg.timeout, Retention: cfg.retention, Verifier: verifier, Revoking: revoking, Watch: cfg.watch, ObserveOnly: cfg.observing, Observe: m.job})
}

// cloud is where GitHub's API is, but for those who have an Enterprise Server.
const cloud = "api.github.com"

// verifier is what asks the providers of keys, nil unless that is switched on.
func (env *Env) verifier(cfg *Config) (*verify.Verifier, error) {
	if !cfg.Verify {
		return nil, nil
	}
	checks, err := verify.Builtin()
	if cfg.api.Host != cloud { // an Enterprise Server's tokens go to it, and never to GitHub
		checks = verify.Moved(checks, cloud, cfg.api)
	}
	return &verify.Verifier{Checks: checks, Transport: env.Transport, Cloud: cfg.VerifyCloud, Mint: cfg.VerifyMint, Pause: cfg.asking, Version: version(), Now: env.Now}, err
}

// processName is a name that no other process has.
func processName() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	host, err := os.Hostname()
	if err != nil || len(host) > 60 {
		host = "host"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}

// alone makes sure that a SQLite database has one process only.
func (c *Config) alone() (bool, func(), error) {
	if store.Postgres(c.Database) {
		return false, func() {}, nil
	}
	if err := os.MkdirAll(filepath.Dir(c.Database), 0o700); err != nil {
		return false, nil, fmt.Errorf("make the directory of the database: %w", err)
	}
	f, err := os.OpenFile(c.Database+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, nil, fmt.Errorf("lock the database: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the other error says more
		return false, nil, hint(fmt.Errorf("database %s is used by another process", c.Database), "several processes need PostgreSQL: KEYWARD_DATABASE_URL=postgres://…")
	}
	return true, func() {
		// Closing the file is not enough: a child that was just forked has it until its exec.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		_ = f.Close()
	}, nil
}

// newMux answers webhooks and questions of how the server is.
func newMux(hook, ready http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/webhook", hook)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.Handle("GET /readyz", ready)
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the other side has gone
}

// lastAnswers is how long answers under way may take once the jobs have stopped.
const lastAnswers = 5 * time.Second

// run serves until ctx ends, then drains: it starts no more jobs and gives the running ones
// their time. Meanwhile /readyz fails, and deliveries that still arrive are stored for the
// next process. Then it stops answering.
func (c *Config) run(ctx context.Context, runner *jobs.Runner, hook *webhook.Handler, ready *readiness, m *metrics, log *slog.Logger) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return hint(fmt.Errorf("listen for webhooks: %w", err), "KEYWARD_LISTEN sets another address")
	}
	l := webhook.Limit(listener, webhook.MaxConnections)
	m.intake(hook, l)
	web, err := c.webServer(l, newMux(hook, ready), log)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	group, gctx := errgroup.WithContext(context.WithoutCancel(ctx))
	group.Go(func() error {
		if web.TLSConfig != nil {
			return closed(web.ServeTLS(l, "", ""))
		}
		return closed(web.Serve(l))
	})
	numbers := &http.Server{Handler: m.handler(), ReadHeaderTimeout: 10 * time.Second}
	stop := func() error { return errors.Join(web.Close(), numbers.Close(), group.Wait()) }
	if c.MetricsListen != "none" {
		ml, err := net.Listen("tcp", c.MetricsListen)
		if err != nil {
			return errors.Join(hint(fmt.Errorf("listen for metrics: %w", err), "KEYWARD_METRICS_LISTEN sets another address, or none"), stop())
		}
		group.Go(func() error { return closed(numbers.Serve(ml)) })
	}
	if err := runner.Start(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(err, stop())
	}
	log.Info("serving", "address", l.Addr().String(), "database", c.databaseName(), "github", c.GitHubURL, "version", version(), "release", store.Release)
	select {
	case <-ctx.Done():
	case <-gctx.Done():
	}
	ready.draining.Store(true)
	log.Info("draining", "for", c.drain.String())
	err = errors.Join(c.finish(ctx, runner, web), numbers.Close(), group.Wait())
	log.Info("stopped")
	return err
}

// webServer returns the server of webhooks, not started. It has no HTTP/2, which GitHub does
// not need, because a connection with many requests would undermine the limits.
func (c *Config) webServer(l *webhook.Listener, mux http.Handler, log *slog.Logger) (*http.Server, error) {
	web := &http.Server{Handler: l.Handler(mux), ConnContext: l.Context, Protocols: &http.Protocols{}, MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	web.Protocols.SetHTTP1(true)
	if c.TLSCert != "" {
		cert, err := newCertificate(c.TLSCert, c.TLSKey, log)
		if err != nil {
			return nil, err
		}
		web.TLSConfig = &tls.Config{GetCertificate: cert.get, MinVersion: tls.VersionTLS12}
	}
	return web, nil
}

// finish stops the jobs, then the answers to webhooks, each within its time.
func (c *Config) finish(ctx context.Context, runner *jobs.Runner, web *http.Server) error {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.drain)
	defer cancel()
	err := runner.Stop(end)
	last, cancelLast := context.WithTimeout(context.WithoutCancel(ctx), lastAnswers)
	defer cancelLast()
	return errors.Join(err, web.Shutdown(last))
}

func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
