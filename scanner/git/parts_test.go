package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/keyward/keyward/scanner"
	"github.com/keyward/keyward/scanner/files"
)

// read returns the contents of what the history has, by id, and how many could not be
// read.
func read(t *testing.T, dir string) (contents map[string]string, gaps int, err error) {
	t.Helper()
	ctx := context.Background()
	r := open(t, dir, false)
	changes, _, err := r.History(ctx)
	if err != nil {
		t.Fatal(err)
	}
	contents = map[string]string{}
	for b, err := range r.Blobs(ctx, changes, nil, files.Options{}) {
		var gap *scanner.Gap
		switch {
		case errors.As(err, &gap):
			gaps++
			continue
		case err != nil:
			return contents, gaps, err
		}
		contents[b.ID] += string(b.Data)
		if b.Done != nil {
			b.Done(true)
		}
	}
	return contents, gaps, nil
}

// TestElsewhere: where the repository's directory is not known, what lies in the working
// directory is no pack of it: a commit may have put it there.
func TestElsewhere(t *testing.T) {
	dir := makeRepo(t, 150, 3, 4)
	run(t, dir, nil, "repack", "-adfq")
	r := open(t, dir, false)
	changes, _, err := r.History(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := changes.unique(nil)
	t.Chdir(filepath.Join(dir, ".git"))
	inPacks := func(r *Repo) (n int) {
		packs, parts := r.parts(want)
		defer packs.Close()
		for _, p := range parts {
			n += len(p.places)
		}
		return n
	}
	if n := inPacks(r); n != want.len() {
		t.Errorf("%d of %d objects are in the packs", n, want.len())
	}
	if n := inPacks(&Repo{Dir: "."}); n != 0 {
		t.Errorf("%d objects are taken from packs in the working directory", n)
	}
}

// TestPacks: objects that this process reads out of packs are those that git reads, which
// is asked for what lies beside the packs. A pack that is broken is told, not passed over.
func TestPacks(t *testing.T) {
	dir := makeRepo(t, 150, 3, 4)
	run(t, dir, nil, "repack", "-adfq")
	packed, _, err := read(t, dir)
	if err != nil || len(packed) < fewObjects {
		t.Fatalf("%d objects, %v: want more than are left to git", len(packed), err)
	}
	all, err := filepath.Glob(filepath.Join(dir, ".git", "objects", "pack", "*.pack"))
	if err != nil || len(all) != 1 {
		t.Fatalf("%q, %v", all, err)
	}
	pack := all[0]
	whole, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}

	list := run(t, dir, nil, "verify-pack", "-v", pack)

	// The same objects, each in a file of its own.
	away := filepath.Join(t.TempDir(), "pack")
	for _, ext := range []string{".pack", ".idx"} {
		if err := os.Rename(strings.TrimSuffix(pack, ".pack")+ext, strings.TrimSuffix(away, ".pack")+ext); err != nil {
			t.Fatal(err)
		}
	}
	in, err := os.Open(away + ".pack")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	run(t, dir, in, "unpack-objects", "-q")
	loose, _, err := read(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	same := func(what string, got map[string]string) {
		t.Helper()
		if len(got) != len(loose) {
			t.Errorf("%s: %d objects, want %d", what, len(got), len(loose))
		}
		for id, text := range loose {
			if got[id] != text {
				t.Errorf("%s: %s has %d bytes, want %d", what, id, len(got[id]), len(text))
			}
		}
	}
	same("packed", packed)

	// A pack with some of them, and the index of one that is not there.
	if err := os.Rename(away+".idx", strings.TrimSuffix(pack, ".pack")+".idx"); err != nil {
		t.Fatal(err)
	}
	got, _, err := read(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	same("an index without its pack", got)

	// Broken where the objects are, and nowhere else to be had.
	dirs, err := filepath.Glob(filepath.Join(dir, ".git", "objects", "[0-9a-f][0-9a-f]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(list) { // id, kind, size, size in the pack, offset
		if f := strings.Fields(line); len(f) >= 5 && f[1] == "blob" {
			at, err := strconv.Atoi(f[4])
			if err != nil {
				t.Fatal(err)
			}
			whole[at+12] ^= 0x55
			break
		}
	}
	if err := os.WriteFile(pack, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	got, gaps, err := read(t, dir)
	if err == nil || !strings.Contains(err.Error(), "inflate") {
		t.Errorf("a broken pack: %d objects, %d gaps, error %v; want what git says of it", len(got), gaps, err)
	}
}
