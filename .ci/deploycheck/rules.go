package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

var (
	metricName   = regexp.MustCompile(`\bkeyward_[a-z_]+`)
	quotedMetric = regexp.MustCompile(`"(keyward_[a-z_]+)"`)
	suffix       = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// readMetrics returns the names of the metrics that the App's source defines.
func readMetrics(root string) (map[string]bool, error) {
	known := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "app"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("prometheus.")) {
			return err
		}
		for _, m := range quotedMetric.FindAllSubmatch(text, -1) {
			known[string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the metrics of the App: %w", err)
	}
	return known, nil
}

// ruleFile is a file of Prometheus rules. promtool checks the rest of it.
type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

// checkRules reports alerts on metrics that the App does not have, which would never fire,
// and alerts that do not say what to do.
func checkRules(text []byte, metrics map[string]bool) (problems []string) {
	var f ruleFile
	if err := yaml.Unmarshal(text, &f); err != nil {
		return []string{err.Error()}
	}
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			for _, name := range metricName.FindAllString(r.Expr, -1) {
				if !metrics[name] && !metrics[suffix.ReplaceAllString(name, "")] {
					problems = append(problems, fmt.Sprintf("alert %s: the App has no metric %s", r.Alert, name))
				}
			}
			if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
				problems = append(problems, "alert "+r.Alert+": expected severity critical or warning")
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				problems = append(problems, "alert "+r.Alert+": expected a summary and a description")
			}
		}
	}
	return problems
}
