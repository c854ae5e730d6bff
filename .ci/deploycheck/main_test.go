package main

import (
	"os"
	"strings"
	"testing"
)

// TestRepository checks the artefacts of this repository.
func TestRepository(t *testing.T) {
	problems, err := checkAll("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

var known = map[string]bool{"KEYWARD_METRICS_LISTEN": true, "KEYWARD_DATA": true, "KEYWARD_CACHE_MB": true, "HTTPS_PROXY": true, "NO_PROXY": true, "SSL_CERT_FILE": true, "GIT_SSL_CAINFO": true}

// A change breaks an artefact: old becomes new, and the check has to report want.
type change struct{ name, old, new, want string }

func (c change) check(t *testing.T, file string, check func([]byte) []string) {
	t.Run(c.name, func(t *testing.T) {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), c.old) {
			t.Fatalf("%s does not contain %q", file, c.old)
		}
		broken := strings.Replace(string(text), c.old, c.new, 1)
		if got := strings.Join(check(withOptions([]byte(broken))), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	})
}

func TestDockerfileProblems(t *testing.T) {
	for _, c := range []change{
		{"unknown instruction", "WORKDIR /src", "WORKDIRS /src", "unknown instruction: WORKDIRS"},
		{"base image of any version", "FROM alpine:3.22", "FROM alpine", "base image alpine: expected a version"},
		{"base image of a major version", "FROM alpine:3.22", "FROM alpine:3", "base image alpine:3: expected a version"},
		{"root", "USER 10001\n", "", "runs as root"},
		{"named user", "USER 10001", "USER keyward", "expected a number"},
		{"open metrics", "ENV KEYWARD_DATA=/data", "ENV KEYWARD_DATA=/data KEYWARD_METRICS_LISTEN=:9090", "opens the metrics port"},
		{"unknown setting", "ENV KEYWARD_DATA=/data", "ENV KEYWARD_DATADIR=/data", "KEYWARD_DATADIR: the App has no such setting"},
		{"unknown stage", "--from=build", "--from=builder", "COPY --from=builder: no such stage"},
		{"lint", "FROM golang:1.26 AS build", "FROM golang:1.26 as build", "FromAsCasing"},
		{"no entrypoint", `ENTRYPOINT ["keyward-app"]`, "", "no ENTRYPOINT"},
	} {
		c.check(t, "app/Dockerfile", func(b []byte) []string { return checkDockerfile(b, known) })
	}
}

func TestComposeProblems(t *testing.T) {
	for _, c := range []change{
		{"unknown key", "read_only: true", "read_onli: true", "read_onli"},
		{"wrong type", "cap_drop: [ALL]", "cap_drop: ALL", "cap_drop"},
		{"unknown volume", "data:/data", "date:/data", "undefined volume date"},
		{"unknown service", "depends_on: {db:", "depends_on: {dbs:", `undefined service "dbs"`},
		{"unknown setting", "SSL_CERT_FILE:", "SSL_CERT:", "SSL_CERT: the App has no such setting"},
		{"writable", "    read_only: true\n", "", "expected read_only"},
		{"capabilities", "    cap_drop: [ALL]\n", "", "expected cap_drop"},
		{"short grace period", "stop_grace_period: 60s", "stop_grace_period: 30s", "shorter than a drain"},
		{"published to all", "127.0.0.1:8080:8080", "8080:8080", "without TLS on all addresses"},
		{"metrics published", "127.0.0.1:8080:8080", "127.0.0.1:9090:9090", "port 9090 is published"},
		{"image without version", "postgres:15", "postgres", "expected a version"},
		{"no limit", "    mem_limit: 1g\n", "", "service db: no memory limit"},
	} {
		c.check(t, "app/deploy/compose.yaml", func(b []byte) []string { return checkCompose(b, known) })
	}
}

func TestKubernetesProblems(t *testing.T) {
	for _, c := range []change{
		{"unknown field", "replicas: 2", "replica: 2", `unknown field "replica"`},
		{"duplicate field", "replicas: 2", "replicas: 2\n  replicas: 3", "already set"},
		{"wrong type", "replicas: 2", "replicas: two", "cannot unmarshal"},
		{"unknown kind", "kind: PodDisruptionBudget", "kind: PodDisruption", "unknown kind"},
		{"bad name", "metadata: {name: keyward-app-metrics", "metadata: {name: keyward_app_metrics", "keyward_app_metrics"},
		{"same name", "metadata: {name: keyward-app-metrics", "metadata: {name: keyward-app", "occurs twice"},
		{"selector", "metadata: {labels: {app: keyward-app}}", "metadata: {labels: {app: keyward}}", "selector does not match"},
		{"service port", "targetPort: http", "targetPort: web", "target port web"},
		{"probe port", "path: /readyz, port: http", "path: /readyz, port: web", "readiness probe"},
		{"writable", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem"},
		{"no limit", "limits: {memory: 2Gi, ", "limits: {", "resources: memory"},
		{"limit below request", "limits: {memory: 2Gi", "limits: {memory: 200Mi", "resources: memory"},
		{"short grace period", "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 30", "shorter than a drain"},
		{"unknown setting", "name: KEYWARD_CACHE_MB", "name: CACHE_GB", "CACHE_GB: the App has no such setting"},
		{"unknown volume", "- name: ca\n", "- name: certs\n", "volume ca: no such volume"},
		{"metrics for everyone", "      from:\n        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}\n          podSelector: {matchLabels: {app.kubernetes.io/name: prometheus}}\n", "", "opens the metrics port to everyone"},
		{"policy of another app", "podSelector: {matchLabels: {app: keyward-app}}", "podSelector: {matchLabels: {app: other}}", "NetworkPolicy keyward-app selects no pod"},
		{"image without version", "keyward-app:1.0.0", "keyward-app", "expected a version"},
	} {
		c.check(t, "app/deploy/kubernetes.yaml", func(b []byte) []string { return checkKubernetes(b, known) })
	}
}

func TestRuleProblems(t *testing.T) {
	rules := "groups:\n- rules:\n  - alert: A\n    expr: keyward_jobs + keyward_job_seconds_count + keyward_job_second_count\n    labels: {severity: page}\n"
	got := strings.Join(checkRules([]byte(rules), map[string]bool{"keyward_jobs": true, "keyward_job_seconds": true}), "\n")
	want := "alert A: the App has no metric keyward_job_second_count\nalert A: expected severity critical or warning\nalert A: expected a summary and a description"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOperationsProblems(t *testing.T) {
	rules := "groups:\n- rules:\n  - {alert: KeywardA, labels: {severity: critical}}\n  - {alert: KeywardB, labels: {severity: warning}}\n"
	docs := "Set `KEYWARD_METRICS_LISTEN=none` or `KEYWARD_METRICS_LISTENS`.\n\n| `KeywardA` | warning | x |\n| `KeywardB` | warning | x |\n| `KeywardC` | warning | x |\n"
	got := strings.Join(checkOperations([]byte(docs), []byte(rules), known), "\n")
	want := "environment variable KEYWARD_METRICS_LISTENS: the App has no such setting\nalert KeywardA of severity critical is not documented as such\nalert KeywardC does not exist"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
