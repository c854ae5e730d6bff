package server

import (
	"context"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/app/webhook"
)

// metrics are what Prometheus is told. No label holds a name that people chose.
type metrics struct {
	registry   *prometheus.Registry
	deliveries *prometheus.HistogramVec
	jobs       *prometheus.HistogramVec
	requests   *prometheus.HistogramVec
}

func newMetrics(s *store.Store) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "keyward_delivery_seconds", Help: "Time to answer a webhook delivery.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 10}}, []string{"event", "status"}),
		jobs: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "keyward_job_seconds", Help: "Time that a job took, by how it ended.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 30, 120, 600}}, []string{"kind", "outcome"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "keyward_github_request_seconds", Help: "Time that GitHub's API took to answer.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 30}}, []string{"method", "status"}),
	}
	m.registry.MustRegister(m.deliveries, m.jobs, m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &queued{s: s,
		desc: prometheus.NewDesc("keyward_jobs", "Jobs in the queue, by kind and state; those discarded and cancelled are dead.", []string{"kind", "state"}, nil)})
	return m
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

func (m *metrics) delivery(a webhook.Answer) {
	m.deliveries.WithLabelValues(a.Event, strconv.Itoa(a.Status())).Observe(a.Took.Seconds())
}

func (m *metrics) job(kind, outcome string, took time.Duration) {
	m.jobs.WithLabelValues(kind, outcome).Observe(took.Seconds())
}

func (m *metrics) request(method string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, strconv.Itoa(status)).Observe(took.Seconds())
}

// queued counts the jobs when it is asked.
type queued struct {
	s    *store.Store
	desc *prometheus.Desc
}

func (q *queued) Describe(ch chan<- *prometheus.Desc) { ch <- q.desc }

func (q *queued) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	states, err := q.s.JobStates(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(q.desc, err)
		return
	}
	for k, n := range states {
		ch <- prometheus.MustNewConstMetric(q.desc, prometheus.GaugeValue, float64(n), k[0], k[1])
	}
}

// version is that of the module or of the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "devel"
}
