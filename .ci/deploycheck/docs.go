package main

import (
	"maps"
	"regexp"
	"slices"

	"sigs.k8s.io/yaml"
)

var (
	// quotedVariable is what looks like an environment variable in a document: several
	// words in capitals, in backticks, perhaps with a value.
	quotedVariable = regexp.MustCompile("`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`")
	quotedAlert    = regexp.MustCompile("(?m)^\\| `(Keyward[A-Za-z]+)` \\| ([a-z]+) ")
	// elsewhere are variables that the documents name, but not as settings of a process.
	elsewhere = map[string]bool{"KEYWARD_NPM": true}
)

// checkOperations compares docs/operations.md with the settings of the App and with the
// alert rules: it has to name no setting that does not exist, and every alert.
func checkOperations(text, rules []byte, settings map[string]bool) (problems []string) {
	for _, m := range quotedVariable.FindAllSubmatch(text, -1) {
		if name := string(m[1]); !elsewhere[name] {
			problems = append(problems, checkVariable(name, settings)...)
		}
	}
	documented := map[string]string{}
	for _, m := range quotedAlert.FindAllSubmatch(text, -1) {
		documented[string(m[1])] = string(m[2])
	}
	var f ruleFile
	if err := yaml.Unmarshal(rules, &f); err != nil {
		return append(problems, err.Error())
	}
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if documented[r.Alert] != r.Labels["severity"] {
				problems = append(problems, "alert "+r.Alert+" of severity "+r.Labels["severity"]+" is not documented as such")
			}
			delete(documented, r.Alert)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		problems = append(problems, "alert "+name+" does not exist")
	}
	return problems
}
