package hooks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/git"
	"github.com/keyward/keyward/scanner/report"
)

func newAction(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "action",
		Short: "What the GitHub Action runs: scan what a workflow's event brought",
		Long: `Action reads the event of a GitHub workflow and its own inputs from the environment,
scans what the event brought, and reports as a workflow can show it. It is called
by action.yml.`,
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE:   func(c *cobra.Command, _ []string) error { return env.action(c.Context()) },
	}
}

// inputs are the inputs of action.yml, which arrive as KEYWARD_ACTION_ and the
// name in upper case: never as text in a script.
type inputs struct {
	path, base, head, scan, config, baseline, failOn, format, sarifFile string
	annotations, summary, comment                                       bool
	openIssues, issueRepository, token, args                            string
}

func (env *Env) inputs() (*inputs, error) {
	var bad []string
	get := func(name, usual string) string {
		return cmp.Or(strings.TrimSpace(env.Getenv("KEYWARD_ACTION_"+strings.ReplaceAll(strings.ToUpper(name), "-", "_"))), usual)
	}
	yes := func(name, usual string) bool {
		switch v := strings.ToLower(get(name, usual)); v {
		case "true", "yes", "1":
			return true
		case "false", "no", "0":
		default:
			bad = append(bad, fmt.Sprintf("%s: %q is neither true nor false", name, v))
		}
		return false
	}
	one := func(name, usual string, of ...string) string {
		v := strings.ToLower(get(name, usual))
		if !slices.Contains(of, v) {
			bad = append(bad, fmt.Sprintf("%s: %q is not one of %s", name, v, strings.Join(of, ", ")))
		}
		return v
	}
	in := &inputs{
		path: get("path", "."), base: get("base", ""), head: get("head", ""), scan: one("scan", "auto", "auto", "diff", "history", "tree"),
		config: get("config", ""), baseline: get("baseline", ""), failOn: one("fail-on", "low", "critical", "high", "medium", "low", "none"),
		format: one("format", "json", report.Formats()...), sarifFile: get("sarif-file", ""),
		annotations: yes("annotations", "true"), summary: yes("summary", "true"), comment: yes("comment", "false"),
		openIssues: one("open-issues", "false", "true", "false", "public"), issueRepository: get("issue-repository", ""),
		token: env.Getenv("KEYWARD_ACTION_TOKEN"), args: get("args", ""),
	}
	for _, p := range []string{in.path, in.config, in.baseline, in.sarifFile} {
		if p != "" && !filepath.IsLocal(filepath.FromSlash(p)) {
			bad = append(bad, fmt.Sprintf("%q: not a path below the workspace", p))
		}
	}
	if len(bad) > 0 {
		return nil, hint(fmt.Errorf("inputs of the action: %s", strings.Join(bad, "; ")), "nothing was scanned: mend the workflow's with:")
	}
	return in, nil
}

// action is what a workflow runs.
func (env *Env) action(ctx context.Context) error {
	in, err := env.inputs()
	if err != nil {
		return env.actionEnds(nil, nil, err)
	}
	ev, err := env.readEvent()
	if err != nil {
		return env.actionEnds(in, nil, err)
	}
	o := hookOptions(&scanOptions{})
	if err := parseArgs(o, in.args); err != nil {
		return env.actionEnds(in, nil, err)
	}
	o.config, o.baseline, o.failOn = cmp.Or(in.config, o.config), cmp.Or(in.baseline, o.baseline), in.failOn
	if env.Dir == "" {
		env.Dir = env.Getenv("GITHUB_WORKSPACE")
	}
	p, err := env.plan(ctx, in, ev)
	if err != nil {
		return env.actionEnds(in, nil, err)
	}
	if p.trusted != "" {
		o.trusted, o.noComments = p.trusted, true
		p.notes = append(p.notes, fmt.Sprintf("the policy and the allow comments of commit %.12s count: exceptions that this change adds count once they are merged", p.trusted))
	}
	r, _, err := env.runJob(ctx, o, []string{"."}, func(j *job, ctx context.Context) error { return j.event(ctx, p, in) })
	if err != nil {
		return env.actionEnds(in, nil, err)
	}
	r.Mode = p.mode
	r.Notes = append(p.notes, r.Notes...)
	if err := env.publish(ctx, in, ev, p, r); err != nil {
		return env.actionEnds(in, r, err)
	}
	return env.actionEnds(in, r, verdict(r, o))
}

// verdict is how a scan ends that was reported.
func verdict(r *report.Report, o *scanOptions) error {
	if r.Coverage.Refused { // a policy must be fixed whatever was found
		return errUnscanned
	}
	for _, k := range r.Keys {
		if o.failOn != "none" && k.Severity.AtLeast(scanner.Severity(o.failOn)) {
			return errFound
		}
	}
	if !r.Coverage.Complete() && !o.allowIncomplete {
		return errUnscanned
	}
	return nil
}

// parseArgs reads the input args: further flags of keyward scan.
func parseArgs(o *scanOptions, args string) error {
	f := pflag.NewFlagSet("args", pflag.ContinueOnError)
	c := &cobra.Command{}
	o.modeFlags(c)
	o.setupFlags(c)
	f.AddFlagSet(c.Flags())
	f.BoolVar(&o.allowIncomplete, "allow-incomplete", false, "")
	if err := f.Parse(strings.Fields(args)); err != nil {
		return hint(fmt.Errorf("input args: %w", err), "nothing was scanned: it takes flags of keyward scan")
	}
	if len(o.modes()) > 0 || f.NArg() > 0 {
		return hint(errors.New("input args: what is scanned is said by the inputs scan, base, head and path"), "nothing was scanned")
	}
	return nil
}

// event scans what a plan says.
func (j *job) event(ctx context.Context, p *plan, in *inputs) error {
	if j.o.noComments {
		defer func() { j.noteUnless("allow comments of the base", j.trustComments(ctx, p.trusted)) }()
	}
	switch p.mode {
	case "nothing":
		return nil
	case "tree":
		j.args, j.dir = []string{in.path}, filepath.Join(j.dir, filepath.FromSlash(in.path))
		return j.tree(ctx)
	case "history":
		return j.history(ctx)
	}
	changes, commits, err := j.repo.Changes(ctx, p.commits)
	if err != nil {
		return err
	}
	j.cov.Commits = commits
	changes = append(changes, p.objects...)
	if sub := path.Clean(filepath.ToSlash(in.path)); sub != "." {
		if err := j.hasPath(ctx, p, sub, changes); err != nil {
			return err
		}
		changes = slices.DeleteFunc(changes, func(c git.Change) bool { return c.Path != sub && !strings.HasPrefix(c.Path, sub+"/") })
	}
	if commits == 0 && len(p.objects) == 0 {
		j.notes = append(j.notes, "the event brought no commits: there was nothing to scan")
	}
	found, err := j.scanNew(ctx, changes)
	if err == nil {
		j.noteUnless("keys at HEAD", j.headPresence(ctx, changes, found))
	}
	return err
}

// hasPath makes sure that a directory is there, before or after: a misspelt one would
// pass for ever.
func (j *job) hasPath(ctx context.Context, p *plan, sub string, changes []git.Change) error {
	below := func(c git.Change) bool { return c.Path == sub || strings.HasPrefix(c.Path, sub+"/") }
	if slices.ContainsFunc(changes, below) {
		return nil
	}
	for _, rev := range slices.Concat(p.commits.Include, p.commits.Exclude) {
		tree, err := j.repo.Tree(ctx, rev)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(tree, below) {
			return nil
		}
	}
	return hint(fmt.Errorf("input path: there is no %q in the repository", sub), "nothing was scanned")
}

// trustComments notes the keys that an allow comment in a trusted revision speaks
// for.
func (j *job) trustComments(ctx context.Context, rev string) (err error) {
	j.trusted, err = j.reader().Trusted(ctx, &j.keys, rev)
	return err
}

// publish writes the report wherever the workflow wants it.
func (env *Env) publish(ctx context.Context, in *inputs, ev *event, p *plan, r *report.Report) error {
	var out bytes.Buffer
	if err := report.Write(&out, "text", r, report.Options{}); err != nil {
		return err
	}
	if in.annotations {
		if err := report.Write(&out, "github", r, report.Options{}); err != nil {
			return err
		}
	}
	if _, err := env.Stdout.Write(out.Bytes()); err != nil {
		return err
	}
	link := report.GitHubLink(strings.TrimSuffix(env.Getenv("GITHUB_SERVER_URL"), "/")+"/"+env.Getenv("GITHUB_REPOSITORY"), p.head)
	if name := env.Getenv("GITHUB_STEP_SUMMARY"); in.summary && name != "" {
		var md bytes.Buffer
		if err := report.WriteSummary(&md, r, link); err != nil {
			return err
		}
		if err := env.appendFile(name, md.Bytes()); err != nil {
			return fmt.Errorf("write the job's summary: %w", err)
		}
	}
	file := filepath.Join(cmp.Or(env.Getenv("RUNNER_TEMP"), os.TempDir()), "keyward-report."+in.format)
	if err := env.writeReport(r, in.format, file); err != nil {
		return err
	}
	sarif := ""
	if in.sarifFile != "" {
		sarif = in.sarifFile
		if err := env.writeReport(r, "sarif", env.path(sarif)); err != nil {
			return err
		}
	}
	env.output("report", file)
	env.output("sarif-file", sarif)
	return env.tellGitHub(ctx, in, ev, p, r, link)
}

func (env *Env) writeReport(r *report.Report, format, file string) error {
	var buf bytes.Buffer
	if err := report.Write(&buf, format, r, report.Options{}); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := replaceFile(file, env.guard.Clean(buf.Bytes())); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// output sets an output of the step. A value has no line ends here: names of files
// and numbers.
func (env *Env) output(name, value string) {
	if file := env.Getenv("GITHUB_OUTPUT"); file != "" {
		if err := env.appendFile(file, []byte(name+"="+strings.Map(oneLine, value)+"\n")); err != nil {
			env.say(fmt.Errorf("write output %s: %w", name, err))
		}
	}
}

func oneLine(r rune) rune {
	if r == '\n' || r == '\r' {
		return -1
	}
	return r
}

// appendFile adds to a file that the runner keeps.
func (env *Env) appendFile(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(env.guard.Clean(data))
	return errors.Join(err, f.Close())
}

// actionEnds sets the outputs that every end has, and shows an error in the summary:
// a job that did not scan must not look like one that did.
func (env *Env) actionEnds(in *inputs, r *report.Report, err error) error {
	code, findings, keys, commits := exitClean, 0, 0, 0
	if r != nil {
		keys, commits = len(r.Keys), r.Coverage.Commits
		for _, k := range r.Keys {
			findings += len(k.Places)
		}
	}
	switch {
	case errors.Is(err, errFound):
		code = exitFound
	case err != nil:
		code = exitUnscanned
	}
	env.output("findings", fmt.Sprint(findings))
	env.output("keys", fmt.Sprint(keys))
	env.output("scanned-commits", fmt.Sprint(commits))
	env.output("exit-code", fmt.Sprint(code))
	if err != nil && !errors.Is(err, errFound) && !errors.Is(err, errUnscanned) {
		text := strings.NewReplacer("%", "%25", "\r", " ", "\n", "%0A").Replace(err.Error())
		_, _ = io.WriteString(env.Stdout, "::error title=Keyward did not scan::"+text+"\n") // the log says it besides
		if name := env.Getenv("GITHUB_STEP_SUMMARY"); name != "" && (in == nil || in.summary) {
			_ = env.appendFile(name, []byte("### Keyward did not scan\n\n"+report.Code(err.Error())+"\n")) // the same
		}
	}
	return err
}
