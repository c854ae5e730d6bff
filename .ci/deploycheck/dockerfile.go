package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// checkDockerfile parses a Dockerfile as BuildKit does and reports its warnings, base images
// without a version, a last stage that runs as root, and an open metrics port.
func checkDockerfile(text []byte, settings map[string]bool) (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	ast, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return []string{err.Error()}
	}
	for _, w := range ast.Warnings {
		say("%s", w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) {
		line := 0
		if len(at) > 0 {
			line = at[0].Start.Line
		}
		say("line %d: %s: %s", line, rule, message)
	}})
	stages, _, err := instructions.Parse(ast.AST, lint)
	if err != nil {
		return append(problems, err.Error())
	}
	var names []string
	for _, stage := range stages {
		if tag := tagOf(stage.BaseName); stage.BaseName != "scratch" && !slices.Contains(names, stage.BaseName) && !exactTag.MatchString(tag) {
			say("base image %s: expected a version with major and minor number", stage.BaseName)
		}
		names = append(names, stage.Name)
		problems = append(problems, checkCopies(&stage, names)...)
	}
	if len(stages) > 0 {
		problems = append(problems, checkLastStage(&stages[len(stages)-1], settings)...)
	}
	return problems
}

// checkCopies reports copies from stages that do not exist.
func checkCopies(stage *instructions.Stage, names []string) (problems []string) {
	for _, c := range stage.Commands {
		if c, ok := c.(*instructions.CopyCommand); ok && c.From != "" && !slices.Contains(names, c.From) {
			problems = append(problems, "COPY --from="+c.From+": no such stage")
		}
	}
	return problems
}

// checkLastStage checks the stage that becomes the image.
func checkLastStage(stage *instructions.Stage, settings map[string]bool) (problems []string) {
	user, entry := "", false
	for _, c := range stage.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user, _, _ = strings.Cut(c.User, ":")
		case *instructions.EntrypointCommand:
			entry = true
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				problems = append(problems, checkVariable(kv.Key, settings)...)
				if kv.Key == "KEYWARD_METRICS_LISTEN" && !loopback(kv.Value) {
					problems = append(problems, "KEYWARD_METRICS_LISTEN="+kv.Value+" opens the metrics port to everyone")
				}
			}
		}
	}
	if user == "" || user == "0" || user == "root" {
		problems = append(problems, "the image runs as root: expected a USER")
	} else if strings.Trim(user, "0123456789") != "" {
		problems = append(problems, "USER "+user+": expected a number, which Kubernetes can verify")
	}
	if !entry {
		problems = append(problems, "no ENTRYPOINT")
	}
	return problems
}

// checkVariable reports an environment variable that nothing reads.
func checkVariable(name string, settings map[string]bool) []string {
	if settings[name] {
		return nil
	}
	return []string{"environment variable " + name + ": the App has no such setting"}
}
