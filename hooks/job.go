package hooks

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/changes"
	"github.com/keyward/keyward/scanner/files"
	"github.com/keyward/keyward/scanner/report"
)

// A job is one scan: it brings sources, scanner and repository together.
type job struct {
	*session
	o       *scanOptions
	args    []string
	dir     string
	started time.Time
	cov     report.Coverage
	keys    scanner.Keys

	found   []scanner.Finding // of a tree
	trusted map[string]bool   // findings whose allow comments count although their authors may not allow
	changes *changes.Reader
	listed  *listing  // of a history, begun before the rules are read; nil for all else
	stopAt  time.Time // when reading has to end; zero means never
	late    bool      // it ended before all was read
	// published names the prefix of the refs whose findings are not new to the remote, when
	// there is a finding; nil compares with none.
	published func(context.Context) string
}

// run does the work of a job and adds what git warned of.
func (j *job) run(ctx context.Context, work func(*job, context.Context) error) error {
	err := work(j, ctx)
	var over *scanner.BudgetError
	if errors.As(err, &over) { // what was found before that is reported
		j.gap(&scanner.Gap{Reason: over.Error() + ": the rest was not scanned"})
		err = nil
	}
	if err == nil {
		err = ctx.Err()
	}
	if j.changes != nil {
		j.gap(j.changes.Gap())
	}
	if j.repo != nil {
		for _, w := range j.repo.Warnings() {
			j.cov.Gaps = append(j.cov.Gaps, scanner.Gap{Reason: "git: " + w})
		}
	}
	return err
}

// do is the work of keyward scan: what its flags name.
func (j *job) do(ctx context.Context) error {
	if m := j.o.mode(); m != "tree" && m != "stdin" && j.repo == nil {
		return hint(fmt.Errorf("--%s: %s: not a git repository", m, j.args[0]), "nothing was scanned: run it in a repository, or scan the files without --"+m)
	}
	switch j.o.mode() {
	case "staged":
		return j.staged(ctx)
	case "uncommitted":
		return j.uncommitted(ctx)
	case "range":
		return j.commitRange(ctx)
	case "history":
		return j.history(ctx)
	case "stdin":
		return j.stdin(ctx)
	}
	return j.tree(ctx)
}

// reader compares what changes brought with what was there.
func (j *job) reader() *changes.Reader {
	if j.changes == nil {
		j.changes = &changes.Reader{Repo: j.repo, Scanner: j.scanner, Files: j.fileOptions()}
	}
	return j.changes
}

// fileOptions says how files and blobs are read.
func (j *job) fileOptions() files.Options {
	return files.Options{MaxSize: j.o.maxSize, Archives: j.o.archives, Skipped: func(_, why string) { j.cov.Skipped[why]++ }}
}

// collect scans a source, counts what it covers and returns the findings. What
// could not be read is counted; any other error ends the scan.
func (j *job) collect(ctx context.Context, src scanner.Source, total int) ([]scanner.Finding, error) {
	bar := j.progress(total)
	defer func() { _ = bar.Finish() }() // only a display
	counted := func(yield func(scanner.Blob, error) bool) {
		read := 0
		for b, err := range src {
			if !j.stopAt.IsZero() && time.Now().After(j.stopAt) {
				j.late = true
				j.cov.Gaps = append(j.cov.Gaps, scanner.Gap{Path: b.Path, Reason: fmt.Sprintf("the time budget ended here: of %d files the last %d were not scanned", total, max(1, total-read))})
				return
			}
			if err == nil {
				if b.Offset == 0 {
					read++
					_ = bar.Add(1) // only a display
				}
				if !b.IsMessage() {
					j.cov.Bytes += int64(len(b.Data))
				}
				if b.Offset == 0 && !b.IsMessage() {
					j.cov.Blobs++
				}
			}
			if !yield(b, err) {
				return
			}
		}
	}
	kept := j.budget().Collect()
	for f, err := range j.scanner.Run(ctx, counted) {
		var gap *scanner.Gap
		switch {
		case errors.As(err, &gap):
			j.cov.Gaps = append(j.cov.Gaps, *gap)
		case err != nil:
			return nil, err
		default:
			kept.Add(f)
		}
	}
	j.gap(kept.Gap())
	slices.SortFunc(j.cov.Gaps, func(a, b scanner.Gap) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Reason, b.Reason))
	})
	return kept.Findings, nil
}

// budget bounds the scan.
func (j *job) budget() scanner.Budget {
	if j.repo != nil {
		return j.repo.Budget
	}
	return scanner.Budget{}.Or(scanner.Budget{})
}

// gap adds a gap, if there is one.
func (j *job) gap(g *scanner.Gap) {
	if g != nil {
		j.cov.Gaps = append(j.cov.Gaps, *g)
	}
}

// progress shows a bar on a terminal for what takes longer than a moment.
func (j *job) progress(total int) *progressbar.ProgressBar {
	visible := !j.o.quiet && j.env.isTerminal(j.env.rawErr)
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(j.env.Stderr), progressbar.OptionSetVisibility(visible),
		progressbar.OptionSetDescription("scanning"), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true))
}

// noteUnless turns the failure to find out something about keys that were found
// into a note: the keys are reported all the same.
func (j *job) noteUnless(what string, err error) {
	if err != nil {
		j.notes = append(j.notes, fmt.Sprintf("%s are not told: %v", what, err))
	}
}

func (j *job) add(found []scanner.Finding, commit *scanner.Commit) {
	slices.SortFunc(found, func(a, b scanner.Finding) int { return scanner.ByPlace(&a, &b) })
	for i := range found {
		j.keys.Add(&found[i], commit)
	}
}

func (j *job) stdin(ctx context.Context) error {
	in := bufio.NewReaderSize(j.env.input(), 1<<16)
	head, _ := in.Peek(4096) // the scan reports a read error
	if !j.o.plain && files.IsDiff(head) {
		return j.diff(ctx, files.NewDiff(in))
	}
	found, err := j.collect(ctx, files.Reader("stdin", in, j.fileOptions()), 0)
	if err != nil {
		return err
	}
	if j.cov.Bytes == 0 {
		return hint(errors.New("standard input is empty"), "nothing was scanned, and that is not a pass")
	}
	j.add(found, nil)
	return nil
}

// diff scans what a diff on standard input adds. The lines around it are read, too, so that
// a key is seen whole, but a key that stood there before is not reported.
func (j *job) diff(ctx context.Context, d *files.Diff) error {
	found, err := j.collect(ctx, d.Blobs, 0)
	if err != nil {
		return err
	}
	j.notes = append(j.notes, "standard input is a diff: only the lines that it adds were looked at (--plain reads it as any text)")
	j.add(slices.DeleteFunc(found, func(f scanner.Finding) bool { return !d.Added(f.Path, f.Line, f.EndLine) }), nil)
	return nil
}
