package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
)

// Blobs yields the blobs of the changes, each once, with the first path and
// commit that have it; a blob that stands at paths which profile tells apart is
// yielded once for each profile. A nil profile tells none apart. Versions of one
// file mostly follow each other.
func (r *Repo) Blobs(ctx context.Context, changes *List, profile func(path string) string, opt files.Options) scanner.Source {
	if changes.bad != nil {
		return func(yield func(scanner.Blob, error) bool) { yield(scanner.Blob{}, changes.bad) }
	}
	all := changes.unique(profile)
	if opt.LFS == nil {
		opt.LFS = r.OpenLFS
	}
	if r.bin == "" {
		return r.blobsLibrary(ctx, all, opt)
	}
	return func(yield func(scanner.Blob, error) bool) {
		want, err := r.present(ctx, all, yield)
		if err != nil {
			yield(scanner.Blob{}, err)
			return
		}
		if want.len() == 0 {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		packs, parts := r.parts(want)
		defer packs.Close()
		out := make(chan item, 1)
		var wg sync.WaitGroup
		var next atomic.Int32
		for range min(runtime.GOMAXPROCS(0), 4, len(parts)) {
			wg.Go(func() { // whoever is done first takes the next part: some are much larger than others
				in := packs.NewReader()
				defer in.Close()
				for i := next.Add(1) - 1; int(i) < len(parts) && ctx.Err() == nil; i = next.Add(1) - 1 {
					r.read(ctx, parts[i], in, &opt, out)
				}
			})
		}
		go func() { wg.Wait(); close(out) }()
		stopped := false
		for it := range out {
			if !stopped && !yield(it.blob, it.err) {
				stopped = true
				cancel()
			}
		}
	}
}

// present leaves out what a partial clone lacks and yields a gap for each: git
// would try to fetch it, and end when it is not let.
func (r *Repo) present(ctx context.Context, all wanted, yield func(scanner.Blob, error) bool) (wanted, error) {
	if !r.Partial {
		return all, nil
	}
	out, err := r.output(ctx, "rev-list", "--objects", "--no-object-names", "--missing=print", "--all", "--indexed-objects")
	if err != nil {
		return wanted{}, err
	}
	missing := map[string]bool{}
	for line := range bytes.Lines(out) {
		if id, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("?")); ok {
			missing[string(id)] = true
		}
	}
	if len(missing) == 0 {
		return all, nil
	}
	have := wanted{List: all.List}
	for i, n := range all.at {
		c := all.get(i)
		if !missing[c.ID] {
			have.at = append(have.at, n)
			continue
		}
		if !yield(scanner.Blob{}, absent(&c, "missing")) {
			return wanted{}, nil
		}
	}
	return have, nil
}

// absent is the gap of an object that is not in the repository.
func absent(c *Change, how string) error {
	return &scanner.Gap{Path: c.Path, Commit: c.Commit, Reason: "object " + c.ID[:12] + " is " + how +
		": a partial clone lacks it (git fetch --refetch --filter= fetches all), or the repository is damaged"}
}

// File returns the content of a file at a revision, or nil if there is none or
// if it is no regular file. Files over limit are an error.
func (r *Repo) File(ctx context.Context, rev, path string, limit int64) ([]byte, error) {
	id, err := r.Resolve(ctx, rev)
	if err != nil || id == "" {
		return nil, err
	}
	_, data, err := r.FirstFile(ctx, id, []string{path}, limit)
	return data, err
}

// FirstFile returns the first of some files that is there at a revision, as File does. A
// revision that is not there is an error.
func (r *Repo) FirstFile(ctx context.Context, rev string, paths []string, limit int64) (path string, data []byte, err error) {
	tree, err := r.TreeAt(ctx, rev, paths...)
	if err != nil {
		return "", nil, err
	}
	for _, path := range paths {
		i := slices.IndexFunc(tree, func(c Change) bool { return c.Path == path })
		if i < 0 {
			continue
		}
		data := []byte{} // an empty file is there
		for b, err := range r.Blobs(ctx, ListOf(tree[i:i+1]), nil, files.Options{MaxSize: limit}) {
			if err != nil {
				return path, nil, fmt.Errorf("read %s at %s: %w", path, rev, err)
			}
			data = append(data, b.Data...)
		}
		return path, data, nil
	}
	return "", nil, nil
}

// cat reads blobs from one cat-file process and sends them.
func (r *Repo) cat(ctx context.Context, want wanted, opt *files.Options, send func(scanner.Blob, error) bool) {
	cmd := r.command(ctx, "cat-file", "--batch", "--buffer")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		send(scanner.Blob{}, err)
		return
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		send(scanner.Blob{}, err)
		return
	}
	widen(pipe)
	if err := cmd.Start(); err != nil {
		send(scanner.Blob{}, fmt.Errorf("git cat-file: %w", err))
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		w := bufio.NewWriter(in)
		var line []byte
		for i := range want.len() {
			line = append(want.appendID(line[:0], i), '\n')
			if _, err := w.Write(line); err != nil {
				break
			}
		}
		_ = w.Flush() // if git has gone, reading says so
		_ = in.Close()
	})
	err = readBatch(bufio.NewReaderSize(pipe, 1<<16), want, opt, send)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	_, _ = io.Copy(io.Discard, pipe)
	wg.Wait()
	waitErr := cmd.Wait()
	if ctx.Err() != nil || errors.Is(err, errStopped) {
		return
	}
	if said := stderr.String(); waitErr != nil && (err == nil || said != "") {
		err = errors.Join(gitError("cat-file", waitErr, said), err)
	}
	r.warn(stderr.String())
	if err != nil {
		send(scanner.Blob{}, err)
	}
}

var errStopped = errors.New("stopped")

// readBatch reads the answers of cat-file --batch, which come in the order of
// the questions. https://git-scm.com/docs/git-cat-file#_batch_output
func readBatch(br *bufio.Reader, want wanted, opt *files.Options, send func(scanner.Blob, error) bool) error {
	for i := range want.len() {
		c := want.get(i)
		head, err := br.ReadString('\n')
		if err != nil {
			return fmt.Errorf("git cat-file ended early at %s: %w", c.ID, err)
		}
		b := scanner.Blob{Path: c.Path, Commit: c.Commit, ID: c.ID}
		f := strings.Fields(head)
		if len(f) == 2 {
			if !send(scanner.Blob{}, absent(&c, f[1])) {
				return errStopped
			}
			continue
		}
		if len(f) != 3 {
			return fmt.Errorf("git cat-file printed %q", head)
		}
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return fmt.Errorf("git cat-file printed %q", head)
		}
		body := &io.LimitedReader{R: br, N: size}
		switch f[1] {
		case "blob":
			if !opt.Content(b, body, size, send) {
				return errStopped
			}
		case "commit", "tag":
			object, err := io.ReadAll(io.LimitReader(body, maxMessage))
			if err != nil {
				return fmt.Errorf("git cat-file ended early at %s: %w", c.ID, err)
			}
			b.Data, b.Whole = message(object), size <= maxMessage
			if !send(b, nil) {
				return errStopped
			}
			if size > maxMessage && !send(scanner.Blob{}, &scanner.Gap{Path: b.Path, Commit: b.Commit, Reason: fmt.Sprintf("a message of more than %d bytes: the rest was not scanned", maxMessage)}) {
				return errStopped
			}
		default:
			if !send(scanner.Blob{}, noFile(&b)) {
				return errStopped
			}
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return fmt.Errorf("git cat-file ended early at %s: %w", c.ID, err)
		}
		if _, err := br.Discard(1); err != nil {
			return fmt.Errorf("git cat-file ended early at %s: %w", c.ID, err)
		}
	}
	return nil
}

// maxMessage is how much of a commit's object is read.
const maxMessage = 4 << 20

// message returns the message in the object of a commit or tag: what follows its headers.
func message(object []byte) []byte {
	_, text, _ := bytes.Cut(object, []byte("\n\n"))
	return text
}

// OpenLFS opens an object of the repository's LFS store.
// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
func (r *Repo) OpenLFS(oid string) (io.ReadCloser, error) {
	name := filepath.Join(r.commonDir(), "lfs", "objects", oid[:2], oid[2:4], oid)
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	return os.Open(name)
}

// commonDir is the git directory that a work tree shares with the others.
func (r *Repo) commonDir() string {
	name := filepath.Join(r.GitDir, "commondir")
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() || info.Size() > 1<<16 {
		return r.GitDir
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return r.GitDir
	}
	dir := strings.TrimSpace(string(text))
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.GitDir, dir)
	}
	return dir
}
