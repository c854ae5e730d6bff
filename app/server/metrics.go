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

// metrics are what Prometheus reads. No label has a value that people choose.
type metrics struct {
	registry   *prometheus.Registry
	deliveries *prometheus.HistogramVec
	refused    *prometheus.CounterVec
	last       *prometheus.GaugeVec
	jobs       *prometheus.HistogramVec
	requests   *prometheus.HistogramVec
}

func newMetrics(s *store.Store) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "keyward_delivery_seconds", Help: "Time to answer a webhook delivery.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 10}}, []string{"event", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyward_deliveries_refused_total", Help: "Requests that were not accepted as deliveries."}, []string{"reason"}),
		// Without labels, a vector still has no value before the first delivery. A zero would
		// look like one in 1970.
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "keyward_last_delivery_timestamp_seconds", Help: "Unix time of the last accepted delivery."}, nil),
		jobs: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "keyward_job_seconds", Help: "Time that a job took, by how it ended.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 30, 120, 600}}, []string{"kind", "outcome"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "keyward_github_request_seconds", Help: "Time that GitHub's API took to answer.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 30}}, []string{"method", "status"}),
	}
	for _, r := range webhook.Refusals() {
		m.refused.WithLabelValues(r.Reason) // a counter that begins with 1 has no increase
	}
	m.registry.MustRegister(m.deliveries, m.refused, m.last, m.jobs, m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &stored{s: s,
		up:            prometheus.NewDesc("keyward_database_up", "1 if the database answers, 0 if not: then what is read from it is missing.", nil, nil),
		jobs:          prometheus.NewDesc("keyward_jobs", "Jobs in the queue, by kind and state; those discarded and cancelled are dead.", []string{"kind", "state"}, nil),
		oldest:        prometheus.NewDesc("keyward_queue_oldest_seconds", "For how long the oldest job has been due that no worker has taken; 0 if there is none.", nil, nil),
		installations: prometheus.NewDesc("keyward_installations", "Installations of the App, by whether they are suspended.", []string{"suspended"}, nil)})
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "keyward_build_info", Help: "Always 1; the label is the version of the program.", ConstLabels: prometheus.Labels{"version": version()}}, func() float64 { return 1 }))
	return m
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

func (m *metrics) delivery(a webhook.Answer) {
	m.deliveries.WithLabelValues(a.Event, strconv.Itoa(a.Status())).Observe(a.Took.Seconds())
	if a.Refusal != nil {
		m.refused.WithLabelValues(a.Refusal.Reason).Inc()
		return
	}
	m.last.WithLabelValues().SetToCurrentTime()
}

// intake adds what the handler of deliveries and its listener hold at the moment.
func (m *metrics) intake(h *webhook.Handler, l *webhook.Listener) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("keyward_bodies_reading", "Bodies of webhook requests that are being read or stored.", func() float64 { n, _ := h.Reading(); return float64(n) })
	gauge("keyward_body_bytes", "Memory reserved for these bodies.", func() float64 { _, n := h.Reading(); return float64(n) })
	gauge("keyward_connections", "Open connections of webhooks and health checks.", func() float64 { return float64(l.Open()) })
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "keyward_connections_evicted_total", Help: "Unfinished connections that were closed for new ones."},
		func() float64 { return float64(l.Evicted()) }))
}

func (m *metrics) job(kind, outcome string, took time.Duration) {
	m.jobs.WithLabelValues(kind, outcome).Observe(took.Seconds())
}

func (m *metrics) request(method string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, strconv.Itoa(status)).Observe(took.Seconds())
}

// stored reads the database when it is asked. While that does not answer, it says only this:
// the text of an error would name the host and the user of the database to everybody who may
// read metrics.
type stored struct {
	s                               *store.Store
	up, jobs, oldest, installations *prometheus.Desc
}

// Describe sends the descriptions of all metrics.
func (q *stored) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{q.up, q.jobs, q.oldest, q.installations} {
		ch <- d
	}
}

// Collect sends the metrics.
func (q *stored) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	states, err := q.s.JobStates(ctx)
	oldest, err2 := q.s.OldestDue(ctx)
	all, err3 := q.s.Installations(ctx)
	if err != nil || err2 != nil || err3 != nil {
		gauge(q.up, 0)
		return
	}
	gauge(q.up, 1)
	for k, n := range states {
		gauge(q.jobs, float64(n), k[0], k[1])
	}
	gauge(q.oldest, oldest.Seconds())
	suspended := 0
	for i := range all {
		if all[i].Suspended {
			suspended++
		}
	}
	gauge(q.installations, float64(suspended), "true")
	gauge(q.installations, float64(len(all)-suspended), "false")
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
