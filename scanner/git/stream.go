package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/keyward/keyward/scanner"
)

// stream runs a git command and hands its output to read as git prints it. An error of
// read ends git. The memory of git is limited to what so many commits need, where the
// system can do that.
func (r *Repo) stream(ctx context.Context, commits int64, args []string, stdin io.Reader, read func(io.Reader) error) error {
	cmd := r.command(ctx, args...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	widen(out)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("git %s: %w", args[0], err)
	}
	memory := r.mostMemory(commits)
	limitMemory(cmd.Process.Pid, memory)
	readErr := read(out)
	if readErr != nil {
		_ = cmd.Process.Kill() // it may have ended already
	}
	err = cmd.Wait()
	var over *scanner.BudgetError
	switch {
	case errors.As(readErr, &over):
		return readErr
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && readErr == nil || ended(err):
		return failed(args[0], err, stderr.String(), memory)
	}
	r.warn(stderr.String())
	return readErr
}

// Bytes of memory that git needs: for any command, for each change of one commit, and for
// each commit of a list. Measured with git 2.39: diff-tree takes 290 bytes for each change
// with a short path, and keeps the commits with their messages.
const (
	baseMemory   = 128 << 20
	changeMemory = 400
	pathsMemory  = 128 << 20 // for paths longer than usual
	commitMemory = 4 << 10
)

// mostMemory is how many bytes of memory a git process that lists may take: more than any
// within the budget needs.
func (r *Repo) mostMemory(commits int64) int64 {
	const most = 1 << 40
	return min(baseMemory+changeMemory*min(r.Budget.OneCommit, most/changeMemory)+2*min(r.Budget.PathBytes, pathsMemory)+commitMemory*min(commits, most/commitMemory), most)
}

// errMemory says that git used up what memory, or stack, it may take.
var errMemory = errors.New("git ran out of memory")

// ended reports whether a crash ended a process: it ran out of its stack or its memory.
func ended(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == -1 && (strings.Contains(exit.String(), "segmentation") || strings.Contains(exit.String(), "abort"))
}

// failed is the error of a git command that failed: that of the budget if it ran out of
// its memory.
func failed(command string, err error, stderr string, memory int64) error {
	out := gitError(command, err, stderr)
	if ended(err) || strings.Contains(strings.ToLower(stderr), "out of memory") {
		return fmt.Errorf("%w: %w (%w)", errMemory, &scanner.BudgetError{What: "bytes of memory", Count: memory, Limit: memory}, out)
	}
	return out
}

// lines calls each with the lines of a reader, until the next call, without their ends.
// A line longer than 64 KiB is given in part, with long set.
func lines(r io.Reader, each func(line []byte, long bool) error) error {
	br := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := br.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 {
			if err := each(bytes.TrimSuffix(line, []byte("\n")), long); err != nil {
				return err
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = br.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
