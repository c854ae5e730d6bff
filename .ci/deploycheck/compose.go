package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// drainTime is how long a process may take to stop: KEYWARD_DRAIN is 30 seconds by default, then
// the jobs still running are cancelled, which may take 15 more.
const drainTime = 45 * time.Second

// checkCompose loads a compose file as Docker Compose does, schema and cross references
// included, and checks the service "app".
func checkCompose(text []byte, settings map[string]bool) (problems []string) {
	project, err := loadCompose(text)
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		s := project.Services[name]
		if s.Build == nil && !majorTag.MatchString(tagOf(s.Image)) {
			problems = append(problems, fmt.Sprintf("service %s: image %s: expected a version", name, s.Image))
		}
		if s.MemLimit == 0 {
			problems = append(problems, "service "+name+": no memory limit")
		}
		if s.HealthCheck == nil || s.Restart == "" {
			problems = append(problems, "service "+name+": expected a health check and a restart policy")
		}
	}
	app, ok := project.Services["app"]
	if !ok {
		return append(problems, "no service app")
	}
	return append(problems, prefixed("service app: ", checkComposeApp(&app, settings))...)
}

// loadCompose loads the file from a directory with the files that it expects beside it.
func loadCompose(text []byte) (*types.Project, error) {
	dir, err := os.MkdirTemp("", "deploycheck")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory may stay
	for _, name := range []string{"keyward.env", "db-password"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			return nil, err
		}
	}
	details := types.ConfigDetails{WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: text}}, Environment: types.Mapping{}}
	return loader.LoadWithContext(context.Background(), details, func(o *loader.Options) { o.SetProjectName("keyward", true) })
}

func checkComposeApp(s *types.ServiceConfig, settings map[string]bool) (problems []string) {
	say := func(text string) { problems = append(problems, text) }
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		problems = append(problems, checkVariable(name, settings)...)
	}
	if !s.ReadOnly {
		say("the root file system can be written: expected read_only")
	}
	if !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		say("expected cap_drop: [ALL] and no-new-privileges")
	}
	if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < drainTime {
		say("stop_grace_period is shorter than a drain takes, " + drainTime.String())
	}
	for _, p := range s.Ports {
		if p.HostIP != "127.0.0.1" {
			say(fmt.Sprintf("port %s is published without TLS on all addresses", p.Published))
		}
		if p.Target != 8080 {
			say(fmt.Sprintf("port %d is published: expected 8080 only", p.Target))
		}
	}
	return problems
}
