package hooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/hooks"
)

// A workflow is a workspace, its remote, and the environment of a step.
type workflow struct {
	t      *testing.T
	dir    string // the workspace
	remote string // a bare repository that, as GitHub does, serves any commit by its id
	env    map[string]string
}

func newWorkflow(t *testing.T) *workflow {
	t.Helper()
	top := t.TempDir()
	w := &workflow{t: t, dir: filepath.Join(top, "work"), remote: filepath.Join(top, "remote.git")}
	config := filepath.Join(top, "gitconfig")
	put(t, "", config, "[user]\nname = Dana Dev\nemail = dana@example.com\n[init]\ndefaultBranch = main\n[commit]\ngpgSign = false\n")
	w.env = map[string]string{"GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_NOSYSTEM": "1"}
	w.git("", "init", "-q", "--bare", w.remote)
	w.git("", "-C", w.remote, "config", "uploadpack.allowAnySHA1InWant", "true")
	w.git("", "clone", "-q", w.remote, w.dir)
	return w
}

func (w *workflow) git(dir string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-02-03T10:00:00Z", "GIT_COMMITTER_DATE=2026-02-03T10:00:00Z")
	for k, v := range w.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits files, given as name and content in turn, and returns the id.
func (w *workflow) commit(files ...string) string {
	w.t.Helper()
	for i := 0; i+1 < len(files); i += 2 {
		if files[i+1] == "" {
			w.git(w.dir, "rm", "-q", files[i])
			continue
		}
		put(w.t, w.dir, files[i], files[i+1])
		w.git(w.dir, "add", files[i])
	}
	w.git(w.dir, "commit", "-q", "--allow-empty", "-m", "commit")
	return w.git(w.dir, "rev-parse", "HEAD")
}

// checkout makes the workspace what actions/checkout makes by default: one commit.
func (w *workflow) checkout(ref string) {
	w.t.Helper()
	if err := os.RemoveAll(w.dir); err != nil {
		w.t.Fatal(err)
	}
	w.git("", "init", "-q", w.dir)
	w.git(w.dir, "remote", "add", "origin", "file://"+w.remote)
	w.git(w.dir, "-c", "protocol.version=2", "fetch", "-q", "--no-tags", "--depth=1", "origin", "+"+ref+":refs/remotes/pull/1/merge")
	w.git(w.dir, "checkout", "-q", "--force", "refs/remotes/pull/1/merge")
}

// A run is what a step left behind.
type run struct {
	code            int
	log, summary    string
	outputs         map[string]string
	everything      string // all that was written anywhere
	report, tempDir string
}

// run runs the action for an event.
func (w *workflow) run(name string, payload any, inputs map[string]string) *run {
	w.t.Helper()
	temp := w.t.TempDir()
	text, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(temp, name) }
	put(w.t, temp, "event.json", string(text))
	env := map[string]string{
		"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": file("event.json"), "GITHUB_WORKSPACE": w.dir, "GITHUB_REPOSITORY": "acme/widgets",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_OUTPUT": file("output"), "GITHUB_STEP_SUMMARY": file("summary"), "RUNNER_TEMP": file("runner"),
		"GITHUB_SHA": w.git(w.dir, "rev-parse", "HEAD"),
	}
	maps.Copy(env, w.env)
	for k, v := range inputs {
		if !strings.HasPrefix(k, "GITHUB_") {
			k = "KEYWARD_ACTION_" + strings.ReplaceAll(strings.ToUpper(k), "-", "_")
		}
		env[k] = v
	}
	var stdout, stderr bytes.Buffer
	r := &run{outputs: map[string]string{}, tempDir: temp}
	r.code = hooks.Main(context.Background(), hooks.Env{Args: []string{"action"}, Stdout: &stdout, Stderr: &stderr,
		Getenv: func(k string) string { return env[k] }})
	r.log = stdout.String() + stderr.String()
	for line := range strings.Lines(slurp(file("output"))) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		r.outputs[k] = v
	}
	r.summary = slurp(file("summary"))
	r.report = slurp(r.outputs["report"])
	r.everything = r.log + slurp(file("output")) + r.summary + r.report
	if s := r.outputs["sarif-file"]; s != "" {
		r.everything += slurp(filepath.Join(w.dir, s))
	}
	for _, key := range []string{swarmKey, gitlab, tailscale} {
		if strings.Contains(r.everything, key) || strings.Contains(r.everything, key[len(key)-12:]) {
			w.t.Errorf("something that was written holds a key:\n%s", r.everything)
		}
	}
	if got := r.outputs["exit-code"]; got != fmt.Sprint(r.code) {
		w.t.Errorf("output exit-code is %q, the code %d", got, r.code)
	}
	return r
}

func slurp(name string) string {
	data, _ := os.ReadFile(name) // what is not there is empty
	return string(data)
}

// expect checks the code, the keys and the commits, and that a text was said.
func (r *run) expect(t *testing.T, code int, keys, commits string, said ...string) {
	t.Helper()
	if r.code != code || r.outputs["keys"] != keys || commits != "*" && r.outputs["scanned-commits"] != commits {
		t.Errorf("exit %d, %s keys, %s commits; want %d, %s, %s\n%s", r.code, r.outputs["keys"], r.outputs["scanned-commits"], code, keys, commits, r.log)
	}
	for _, s := range said {
		if !strings.Contains(r.log+r.summary, s) {
			t.Errorf("%q is not said\n%s\n%s", s, r.log, r.summary)
		}
	}
}

const zeros = "0000000000000000000000000000000000000000"

type object = map[string]any

func pushed(before, after, ref string) object {
	return object{"before": before, "after": after, "ref": ref, "deleted": after == zeros, "repository": object{"full_name": "acme/widgets", "default_branch": "main"}}
}

func pulled(base, head string) object {
	return object{"number": 1, "pull_request": object{"number": 1, "base": object{"sha": base, "ref": "main"}, "head": object{"sha": head, "ref": "topic"}},
		"repository": object{"full_name": "acme/widgets", "default_branch": "main"}}
}

func TestActionPush(t *testing.T) {
	w := newWorkflow(t)
	one := w.commit("a", "clean\n", "old.env", "TOKEN="+gitlab+"\n")
	two := w.commit("b.env", "TOKEN="+swarmKey+"\n")
	three := w.commit("b.env", "")
	four := w.commit("c", "clean\n")
	w.git(w.dir, "push", "-q", "origin", "main")

	w.run("push", pushed(one, three, "refs/heads/main"), map[string]string{"sarif-file": "out/keys.sarif"}).expect(t, 1, "1", "2",
		"::error file=b.env,line=1,", "no longer at HEAD", "[`b.env:1`](https://github.com/acme/widgets/blob/"+two+"/b.env#L1)", "SWMTKN-1-…")
	if s := slurp(filepath.Join(w.dir, "out/keys.sarif")); !strings.Contains(s, `"uri": "b.env"`) && !strings.Contains(s, `"uri":"b.env"`) {
		t.Errorf("SARIF does not name the file\n%s", s)
	}
	w.run("push", pushed(three, four, "refs/heads/main"), nil).expect(t, 0, "0", "1", "no keys found", "Keyward found no keys")
	w.run("push", pushed(four, zeros, "refs/heads/gone"), nil).expect(t, 0, "0", "0", "a ref was deleted")
	w.run("push", pushed(zeros, four, "refs/heads/main"), nil).expect(t, 1, "2", "4", "nothing to compare with")

	// A new branch brings what the default branch has not.
	w.git(w.dir, "checkout", "-q", "-b", "topic", one)
	topic := w.commit("d.env", "KEY="+tailscale+"\n")
	w.git(w.dir, "push", "-q", "origin", "topic")
	w.run("push", pushed(zeros, topic, "refs/heads/topic"), nil).expect(t, 1, "1", "1", "d.env:1")
	w.run("push", pushed(zeros, one, "refs/heads/same"), nil).expect(t, 0, "0", "0", "there was nothing to scan")

	// Forced: what was replaced is fetched if it is still there, else the branch is new.
	w.run("push", pushed(topic, four, "refs/heads/topic"), nil).expect(t, 1, "1", "3", "b.env:1")
	w.run("push", pushed(strings.Repeat("12", 20), topic, "refs/heads/topic"), nil).expect(t, 1, "1", "1", "is gone", "d.env:1")

	// A tag: all that it names.
	w.git(w.dir, "tag", "v1", one)
	w.git(w.dir, "push", "-q", "origin", "v1")
	w.run("push", pushed(zeros, one, "refs/tags/v1"), nil).expect(t, 1, "1", "0", "old.env:1", "a tag")

	// An annotated tag: also what is written in it.
	w.git(w.dir, "tag", "-a", "-m", "T="+swarmKey, "v2", one)
	w.git(w.dir, "push", "-q", "origin", "v2")
	w.run("push", pushed(zeros, w.git(w.dir, "rev-parse", "v2"), "refs/tags/v2"), nil).expect(t, 1, "2", "0", "tag message", "a tag")

	// The shallow checkout is deepened as far as needed; if it can't be, nothing passes.
	w.checkout(topic)
	w.run("push", pushed(one, four, "refs/heads/main"), nil).expect(t, 1, "1", "3", "b.env:1")
	w.checkout(topic)
	w.git(w.dir, "remote", "set-url", "origin", "file:///nowhere")
	r := w.run("push", pushed(one, topic, "refs/heads/topic"), nil)
	r.expect(t, 2, "0", "0", "fetch-depth: 0", "::error title=Keyward did not scan", "### Keyward did not scan")
}

func TestActionPullRequest(t *testing.T) {
	w := newWorkflow(t)
	allowed := "TOKEN=" + gitlab + " # keyward:allow revoked in SEC-12\n"
	base := w.commit("a", "clean\n", "allowed.env", allowed)
	w.git(w.dir, "push", "-q", "origin", "main")
	w.git(w.dir, "checkout", "-q", "-b", "topic")
	w.commit("b.env", "TOKEN="+swarmKey+" # keyward:allow I say so myself\n",
		".keyward.toml", "[[allow]]\npaths = [\"b.env\"]\nreason = \"my own key\"\n", "known.toml", "pepper = \"x\"\n")
	head := w.commit("b.env", "", "sub/c", "clean\n")
	w.git(w.dir, "push", "-q", "origin", "topic", "topic:refs/pull/1/head")
	w.git(w.dir, "checkout", "-q", "main")
	w.commit("e", "clean\n")
	w.git(w.dir, "merge", "-q", "--no-ff", "-m", "merge", "topic")
	w.git(w.dir, "push", "-q", "origin", "HEAD:refs/pull/1/merge")

	// Every commit counts, not the net difference, and who brings a key cannot allow it.
	for _, from := range []string{"shallow", "deep"} {
		if from == "shallow" {
			w.checkout("refs/pull/1/merge")
		}
		w.run("pull_request", pulled(base, head), nil).expect(t, 1, "1", "2", "b.env:1", "no longer at HEAD")
	}
	// What the base allows is allowed, also where it moved to in its file.
	w.git(w.dir, "fetch", "-q", "--unshallow", "origin", "main")
	w.git(w.dir, "checkout", "-q", "-b", "other", base)
	moved := w.commit("allowed.env", "MODE=x\n"+allowed)
	w.run("pull_request", pulled(base, moved), nil).expect(t, 0, "0", "1")
	w.run("pull_request", pulled(base, moved), map[string]string{"scan": "tree"}).expect(t, 0, "0", "0", "1 known")
	// A policy of the base holds, that of the pull request is not read, not even to fail.
	base2 := w.commit(".keyward.toml", "[[allow]]\npaths = [\"fixtures/**\"]\nreason = \"fixtures of the tests\"\n")
	head2 := w.commit("fixtures/k.env", "TOKEN="+swarmKey+"\n", ".keyward.toml", "not TOML at all [")
	w.run("pull_request", pulled(base2, head2), nil).expect(t, 0, "0", "1", "1 known")
	w.run("pull_request", pulled(base, head2), nil).expect(t, 1, "1", "3", "fixtures/k.env:1")
	// The configuration is named: the base's, and it has to be there.
	w.run("pull_request", pulled(base, head2), map[string]string{"config": ".keyward.toml"}).expect(t, 2, "0", "0", "there is none at")
	w.run("pull_request", pulled(base, head), map[string]string{"baseline": "known.toml"}).expect(t, 2, "0", "0", "there is none at")
	// Rules can switch others off: those of the base count.
	w.git(w.dir, "checkout", "-q", "-b", "rules", base)
	weak := w.commit("r.toml", "[[rules]]\nid = \"none\"\nregex = \"nothing-at-all\"\n", "b.env", "TOKEN="+swarmKey+"\n")
	w.run("pull_request", pulled(base, weak), map[string]string{"args": "--rules r.toml"}).expect(t, 2, "0", "0", "no such file at")
	w.git(w.dir, "checkout", "-q", head)
	// Only below a directory.
	w.run("pull_request", pulled(base, head), map[string]string{"path": "sub"}).expect(t, 0, "0", "2")
	w.run("pull_request", pulled(base, head), map[string]string{"path": "sbu"}).expect(t, 2, "0", "*", `no "sbu" in the repository`)
	// A head that the workflow names does not take the pull request's place.
	w.run("pull_request", pulled(base, head), map[string]string{"head": base}).expect(t, 1, "1", "2", "b.env:1")
	// An event that anybody may cause is judged by the default branch.
	outside := object{"repository": object{"full_name": "acme/widgets", "default_branch": "main"}}
	for _, event := range []string{"workflow_run", "issue_comment"} {
		w.run(event, outside, nil).expect(t, 1, "1", "*", "b.env:1", "1 known")
	}
	w.run("issue_comment", object{}, nil).expect(t, 2, "0", "0", "whose policy holds")
	// pull_request_target: the base checked out is safe, the head is not.
	w.git(w.dir, "checkout", "-q", base)
	w.run("pull_request_target", pulled(base, head), nil).expect(t, 1, "1", "2", "b.env:1")
	w.git(w.dir, "checkout", "-q", head)
	w.run("pull_request_target", pulled(base, head), nil).expect(t, 2, "0", "0", "pull_request_target with a checkout of what the pull request brings", "on: pull_request")
	// A merge group.
	w.run("merge_group", object{"merge_group": object{"base_sha": base, "head_sha": head}}, nil).expect(t, 1, "1", "2", "b.env:1")
}

func TestActionHistory(t *testing.T) {
	w := newWorkflow(t)
	w.commit("b.env", "TOKEN="+swarmKey+"\n")
	w.commit("b.env", "")
	w.commit("c", "clean\n")
	w.git(w.dir, "checkout", "-q", "-b", "side")
	w.commit("d.env", "TOKEN="+gitlab+"\n")
	w.git(w.dir, "push", "-q", "origin", "main", "side")
	for _, event := range []string{"schedule", "workflow_dispatch", "repository_dispatch"} {
		w.checkout("main")
		w.run(event, object{"schedule": "0 3 * * *"}, nil).expect(t, 1, "2", "4", "b.env:1", "d.env:1", "its whole history was fetched")
	}
	w.checkout("main")
	w.run("schedule", object{}, map[string]string{"scan": "tree"}).expect(t, 0, "0", "0")
	w.run("schedule", object{}, map[string]string{"scan": "diff"}).expect(t, 2, "0", "0", "give the inputs base and head")
	w.run("schedule", object{}, map[string]string{"fail-on": "none"}).expect(t, 0, "2", "4")
	w.run("schedule", object{}, map[string]string{"base": "main", "head": "side"}).expect(t, 1, "1", "1", "d.env:1")
	w.run("schedule", object{}, map[string]string{"base": "nowhere"}).expect(t, 2, "0", "0", `no commit "nowhere"`)
	w.run("schedule", object{}, map[string]string{"args": "--min-confidence 0.99"}).expect(t, 1, "1", "4")
	w.run("schedule", object{}, map[string]string{"args": "--history"}).expect(t, 2, "0", "0", "input args")
	w.checkout("main")
	w.git(w.dir, "remote", "set-url", "origin", "file:///nowhere")
	w.run("schedule", object{}, nil).expect(t, 2, "0", "0", "fetch-depth: 0")

	// Mistakes in a workflow are all told at once; nothing is scanned.
	w.run("schedule", object{}, map[string]string{"scan": "all", "fail-on": "some", "comment": "maybe", "path": "../other"}).expect(t, 2, "0", "0",
		`scan: "all"`, `fail-on: "some"`, `comment: "maybe"`, `"../other": not a path below the workspace`)
	w.run("push", "no object", nil).expect(t, 2, "0", "0", "read the event")
	w.run("schedule", object{}, map[string]string{"GITHUB_EVENT_PATH": ""}).expect(t, 2, "0", "0", "this command is for GitHub workflows")
}

// The payloads that GitHub documents are understood, each with the commits of a
// repository in it that brings a key. npm: @octokit/webhooks-examples.
func TestActionExamples(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(os.Getenv("KEYWARD_NPM"), "@octokit/webhooks-examples/api.github.com/index.json"))
	if err != nil {
		t.Skip("KEYWARD_NPM names no directory with @octokit/webhooks-examples")
	}
	var all []struct {
		Name     string
		Examples []object
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	w := newWorkflow(t)
	base := w.commit("a", "clean\n")
	head := w.commit("b.env", "TOKEN="+swarmKey+"\n")
	w.git(w.dir, "push", "-q", "origin", base+":refs/heads/main", "main:topic", "main:refs/pull/1/head")
	n := 0
	for _, event := range all {
		for i, e := range event.Examples {
			keys := "1"
			switch event.Name {
			case "push":
				if e["deleted"] == true {
					keys = "0"
					break
				}
				if e["created"] != true {
					e["before"] = base
				}
				e["after"] = head
				e["repository"].(object)["default_branch"] = "main"
			case "pull_request":
				pr := e["pull_request"].(object)
				pr["number"] = 1
				pr["base"].(object)["sha"], pr["head"].(object)["sha"] = base, head
			case "merge_group":
				g := e["merge_group"].(object)
				g["base_sha"], g["head_sha"] = base, head
			case "workflow_dispatch", "repository_dispatch":
			default:
				continue
			}
			n++
			t.Run(fmt.Sprintf("%s-%d", event.Name, i), func(t *testing.T) {
				w.t = t
				r := w.run(event.Name, e, nil)
				r.expect(t, map[string]int{"0": 0, "1": 1}[keys], keys, "*")
			})
		}
	}
	if n < 30 {
		t.Errorf("%d examples of the events, want at least 30", n)
	}
}
