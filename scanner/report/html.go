package report

import (
	_ "embed"
	"html/template"
	"io"
	"strings"

	"github.com/keyward/keyward/scanner"
)

//go:embed report.html
var htmlSource string

var htmlTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"since": since, "short": short, "power": func(t scanner.Tier) string { return t.Power() },
	"gap": func(g scanner.Gap) string { return g.Error() },
}).Parse(htmlSource))

// writeHTML writes one page that needs no network and runs no script.
func writeHTML(w io.Writer, r *Report) error {
	counts := map[scanner.Severity]int{}
	for _, k := range r.Keys {
		counts[k.Severity]++
	}
	return htmlTemplate.Execute(w, map[string]any{"R": r, "Counts": counts, "Levels": scanner.Severities(),
		"Sentence": capital(r.Coverage.Sentence(r.Mode)), "Complete": r.Coverage.Complete(), "Places": places(r.Keys)})
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
