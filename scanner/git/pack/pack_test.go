package pack

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// git runs git in a repository and returns what it prints.
func git(t *testing.T, dir, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Dana", "-c", "user.email=dana@users.example", "-c", "init.defaultBranch=main",
		"-c", "commit.gpgsign=false", "-c", "gc.auto=0", "-c", "core.autocrlf=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// repository returns a repository whose files have many versions: lines that come, go and
// move, bytes that can not be packed, one larger than a Reader reads, an empty one.
func repository(t *testing.T, format string) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "--object-format="+format)
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("large", noise(MaxObject+1))
	write("stored", noise(100_000))
	write("empty", nil)
	write("zeros", make([]byte, 300_000))
	many := noise(900_000) // its versions are more than a Reader keeps
	var lines []string
	for n := range 30 {
		for range 40 {
			at := r.IntN(len(lines) + 1)
			lines = slices.Insert(lines, at, fmt.Sprintf("line %d of %d: %x\n", at, n, noise(r.IntN(30))))
		}
		if n%5 == 4 {
			lines = append(lines[len(lines)/2:], lines[:len(lines)/2]...)
		}
		write("text", []byte(strings.Join(lines, "")))
		write("short", []byte(lines[0]))
		if n < 15 {
			copy(many[r.IntN(len(many)):], "a change")
			write("many", many)
		}
		git(t, dir, "", "add", ".")
		git(t, dir, "", "commit", "-qm", fmt.Sprint("Version ", n))
	}
	git(t, dir, "", "tag", "-am", "A tag", "v1")
	return dir
}

// objects returns the ids, kinds and contents of all objects of a repository.
func objects(t *testing.T, dir string) (ids [][]byte, want map[string]string) {
	t.Helper()
	want = map[string]string{}
	rest := git(t, dir, "", "cat-file", "--batch-all-objects", "--batch")
	for rest != "" {
		head, body, _ := strings.Cut(rest, "\n")
		var id, kind string
		var size int
		if _, err := fmt.Sscan(head, &id, &kind, &size); err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, raw)
		want[string(raw)] = kind + " " + body[:size]
		rest = body[size+1:]
	}
	return ids, want
}

var names = map[Kind]string{Commit: "commit", Tree: "tree", Blob: "blob", Tag: "tag"}

// TestRead holds what is read equal to what git reads, for packs of every make, in the
// order of ids, which has no regard for what is a difference to what.
func TestRead(t *testing.T) {
	made := map[string]string{"sha1": repository(t, "sha1"), "sha256": repository(t, "sha256")}
	for _, test := range []struct {
		name, format string
		pack         func(t *testing.T, dir string)
		least        int // per cent of the objects that have to be read
	}{
		{"one pack", "sha1", func(t *testing.T, dir string) { git(t, dir, "", "repack", "-adfq", "--depth=50", "--window=20") }, 90},
		{"SHA-256", "sha256", func(t *testing.T, dir string) { git(t, dir, "", "repack", "-adfq") }, 90},
		{"no deltas", "sha1", func(t *testing.T, dir string) { git(t, dir, "", "repack", "-adfq", "--window=0") }, 90},
		{"not packed", "sha1", func(t *testing.T, dir string) {}, 0},
		{"bases told by id", "sha1", func(t *testing.T, dir string) {
			git(t, dir, "", "-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq")
		}, 30},
		{"two packs", "sha1", func(t *testing.T, dir string) {
			git(t, dir, "", "repack", "-dq")
			if err := os.WriteFile(filepath.Join(dir, "more"), []byte("more\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			git(t, dir, "", "add", ".")
			git(t, dir, "", "commit", "-qm", "More")
			git(t, dir, "", "repack", "-dq")
		}, 90},
		{"level 0", "sha1", func(t *testing.T, dir string) {
			git(t, dir, "", "-c", "pack.compression=0", "repack", "-adfFq")
		}, 90},
		{"large offsets", "sha1", func(t *testing.T, dir string) { index(t, dir, "2,0x100") }, 90},
		{"an index of version 1", "sha1", func(t *testing.T, dir string) { index(t, dir, "1") }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(made[test.format])); err != nil {
				t.Fatal(err)
			}
			test.pack(t, dir)
			ids, want := objects(t, dir)
			set, err := Open(filepath.Join(dir, ".git", "objects"), len(ids[0]))
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			ids = append(ids, bytes.Repeat([]byte{0}, len(ids[0])), bytes.Repeat([]byte{0xff}, len(ids[0]))) // which are nowhere
			places, err := set.Find(len(ids), func(i int) []byte { return ids[i] })
			if err != nil {
				t.Fatal(err)
			}
			in := set.NewReader()
			defer in.Close()
			read := 0
			check := func(i int) {
				o, err := in.Read(places[i])
				if err != nil {
					return
				}
				if got := names[o.Kind] + " " + string(o.Data); got != want[string(ids[i])] {
					t.Fatalf("%x: %d bytes %.60q, want %d bytes %.60q", ids[i], len(got), got, len(want[string(ids[i])]), want[string(ids[i])])
				}
				o.Release()
				read++
			}
			var found []int
			for i, at := range places {
				if at != 0 {
					found = append(found, i)
					check(i)
				}
			}
			if n := len(ids) - 2; read*100 < n*test.least || test.least == 0 && read > 0 {
				t.Errorf("%d of %d objects were read", read, n)
			}
			inOrder(t, set, places, found, check)
		})
	}
}

// inOrder reads every second of the objects that were found, and some twice, in the order
// that is best: each comes as often as it is asked for, behind what it is a difference to.
func inOrder(t *testing.T, set *Set, places []Place, found []int, check func(i int)) {
	t.Helper()
	var asked []int
	for n, i := range found {
		for range []int{0, 1, 0, 2}[n%4] {
			asked = append(asked, i)
		}
	}
	of := make([]Place, len(asked))
	times := map[Place]int{}
	for n, i := range asked {
		of[n] = places[i]
		times[places[i]]++
	}
	r := set.NewReader()
	order, families := r.Order(of)
	if len(order) != len(of) || len(of) > 0 && (len(families) == 0 || families[0] != 0) || !slices.IsSorted(families) {
		t.Fatalf("%d of %d objects in the order, families begin at %d", len(order), len(of), families)
	}
	seen := map[Place]bool{}
	for n, i := range order {
		at := of[i]
		check(asked[i])
		times[at]--
		seen[at] = true
		_, begins := slices.BinarySearch(families, int32(n))
		for base := r.baseOf(at); base != 0; base = r.baseOf(base) {
			if times[base] > 0 && !seen[base] {
				t.Fatalf("an object at %d comes before its base at %d", at, base)
			}
			if begins && seen[base] {
				t.Fatalf("an object at %d begins a family, and is of that of %d", at, base)
			}
		}
	}
	for _, i := range order {
		if o, err := r.Read(of[i]); err == nil {
			o.Release()
		}
	}
	needed, _ := r.forest(of)
	if r.unpacked > len(needed)*11/10 {
		t.Errorf("%d objects were unpacked %d times in the best order", len(needed), r.unpacked)
	}
	for at, n := range times {
		if n != 0 {
			t.Errorf("an object at %d is missing %d times", at, n)
		}
	}
}

// index packs all objects and makes an index of the given version.
func index(t *testing.T, dir, version string) {
	t.Helper()
	git(t, dir, "", "repack", "-adfq")
	packs, err := filepath.Glob(filepath.Join(dir, ".git", "objects", "pack", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("%q, %v", packs, err)
	}
	idx := strings.TrimSuffix(packs[0], ".pack") + ".idx"
	if err := os.Remove(idx); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "", "index-pack", "--index-version="+version, "-o", idx, packs[0])
}

// TestBroken reads packs and indexes of which a byte is another: whatever comes, it ends,
// and bytes of an object that stands in full are its own or none.
func TestBroken(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "", "init", "-q")
	for n := range 4 {
		text := strings.Repeat("the same line\n", 40) + strings.Repeat(fmt.Sprintf("another line %d\n", n), n)
		if err := os.WriteFile(filepath.Join(dir, "text"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "", "add", ".")
		git(t, dir, "", "commit", "-qm", "A version")
	}
	git(t, dir, "", "repack", "-adfq")
	ids, want := objects(t, dir)
	known := map[string]bool{}
	for _, text := range want {
		_, text, _ := strings.Cut(text, " ")
		known[text] = true
	}
	store := filepath.Join(dir, ".git", "objects")
	deltas := strings.Count(git(t, dir, "", "cat-file", "--batch-all-objects", "--batch-check=%(deltabase)"), "\n") -
		strings.Count(git(t, dir, "", "cat-file", "--batch-all-objects", "--batch-check=%(deltabase)"), strings.Repeat("0", 40))
	if deltas == 0 {
		t.Fatal("there is no delta in the pack")
	}
	for _, pattern := range []string{"*.pack", "*.idx"} {
		files, err := filepath.Glob(filepath.Join(store, "pack", pattern))
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v", files, err)
		}
		whole, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(files[0], 0o644); err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for i := range whole {
			broken := bytes.Clone(whole)
			broken[i] ^= 1 << (i % 8)
			if i%3 == 0 {
				broken = broken[:i]
			}
			if err := os.WriteFile(files[0], broken, 0o644); err != nil {
				t.Fatal(err)
			}
			wrong += readAll(t, store, ids, known)
		}
		if err := os.WriteFile(files[0], whole, 0o644); err != nil {
			t.Fatal(err)
		}
		// A difference names its base by a distance that nothing checks: git would be
		// deceived by it as well.
		if wrong > len(whole)/100 {
			t.Errorf("%s: %d contents of %d bytes changed were taken for right and were not", pattern, wrong, len(whole))
		}
	}
	if wrong := readAll(t, store, ids, known); wrong != 0 {
		t.Errorf("%d contents are wrong though nothing is broken", wrong)
	}
}

// readAll reads the objects and returns how many contents are none of the known.
func readAll(t *testing.T, store string, ids [][]byte, known map[string]bool) (wrong int) {
	t.Helper()
	set, err := Open(store, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	places, err := set.Find(len(ids), func(i int) []byte { return ids[i] })
	if err != nil {
		return 0
	}
	in := set.NewReader()
	defer in.Close()
	for _, at := range places {
		if at == 0 {
			continue
		}
		if o, err := in.Read(at); err == nil {
			if !known[string(o.Data)] {
				wrong++
			}
			o.Release()
		}
	}
	return wrong
}
