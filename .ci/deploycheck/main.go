// Deploycheck validates the deployment artefacts of a checkout without a container engine
// and without network: the Dockerfiles, the compose file, the Kubernetes example, and the
// names in the alert rules and in docs/operations.md. It prints one line for each problem and exits 1 if there is any.
//
// It is a module of its own, so that its dependencies stay out of what users install.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	root := "../.."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	problems, err := checkAll(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "deploycheck: error:", err)
		os.Exit(2)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Println("Dockerfiles, compose file, Kubernetes example, alert rules and operations.md: no problem found")
}

// checkAll checks every artefact below root.
func checkAll(root string) ([]string, error) {
	settings, err := readSettings(root)
	if err != nil {
		return nil, err
	}
	metrics, err := readMetrics(root)
	if err != nil {
		return nil, err
	}
	rules, err := os.ReadFile(filepath.Join(root, "app/deploy/prometheus-rules.yaml"))
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, c := range []struct {
		name  string
		check func(text []byte) []string
	}{
		{"Dockerfile", func(b []byte) []string { return checkDockerfile(b, settings) }},
		{"app/Dockerfile", func(b []byte) []string { return checkDockerfile(b, settings) }},
		{"app/deploy/compose.yaml", func(b []byte) []string { return checkCompose(b, settings) }},
		{"app/deploy/kubernetes.yaml", func(b []byte) []string { return checkKubernetes(b, settings) }},
		{"app/deploy/prometheus-rules.yaml", func(b []byte) []string { return checkRules(b, metrics) }},
		{"docs/operations.md", func(b []byte) []string { return checkOperations(b, rules, settings) }},
	} {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(c.name)))
		if err != nil {
			return nil, err
		}
		found := c.check(text)
		if with := withOptions(text); string(with) != string(text) {
			found = append(found, prefixed("with options: ", c.check(with))...)
		}
		problems = append(problems, prefixed(c.name+": ", found)...)
	}
	return problems, nil
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = prefix + s
	}
	return out
}

var optionMark = regexp.MustCompile(`(?m)^(\s*)#\|`)

// withOptions enables the options of an example: lines that start with "#|".
func withOptions(text []byte) []byte { return optionMark.ReplaceAll(text, []byte("$1")) }

var settingLine = regexp.MustCompile(`(?m)^\s+([A-Z][A-Z_]+)\s`)

// readSettings returns the environment variables that "keyward-app serve --help" lists, and
// those that Go and git read themselves.
func readSettings(root string) (map[string]bool, error) {
	cmd := exec.Command("go", "run", ".", "serve", "--help")
	cmd.Dir = filepath.Join(root, "app")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	help, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the settings of the App: %w", err)
	}
	known := map[string]bool{
		"SSL_CERT_FILE": true, "SSL_CERT_DIR": true, "HTTPS_PROXY": true, "HTTP_PROXY": true, "NO_PROXY": true,
		"GOMEMLIMIT": true, "GOMAXPROCS": true, "GIT_SSL_CAINFO": true,
	}
	for _, m := range settingLine.FindAllSubmatch(help, -1) {
		known[string(m[1])] = true
	}
	if !known["KEYWARD_DATABASE_URL"] || !known["KEYWARD_METRICS_LISTEN"] {
		return nil, fmt.Errorf("list the settings of the App: not found in the help text")
	}
	return known, nil
}

// loopback reports whether an address such as 127.0.0.1:9090 is closed to other hosts.
func loopback(address string) bool {
	return address == "none" || strings.HasPrefix(address, "127.0.0.1:") || strings.HasPrefix(address, "localhost:") || strings.HasPrefix(address, "[::1]:")
}

var (
	exactTag = regexp.MustCompile(`^[0-9]+\.[0-9]+(\.[0-9]+)*(-[a-z0-9.]+)?$`)
	majorTag = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*(-[a-z0-9.]+)?$`)
)

// tagOf returns the tag of an image's name, "" if it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	i := strings.LastIndexByte(image, ':')
	if i < strings.LastIndexByte(image, '/') || i < 0 {
		return ""
	}
	return image[i+1:]
}
