package scanner

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// memoRules look at what stands on one line, on many, beside other lines, and in an encoding.
var memoRules = []Rule{
	{ID: "swarm", Title: "Swarm token", Class: "node-join", Tier: T0, Keywords: []string{"swmtkn-1-"}, Pattern: `SWMTKN-1-[a-z0-9]{50}-[a-z0-9]{25}`},
	{ID: "pair", Title: "Pair", Class: "generic", Tier: T2, Keywords: []string{"pair_"}, Pattern: `pair_[a-z0-9]{12}`, Near: []Near{{Name: "id", Pattern: `id_(?P<secret>[0-9]{6})`, Lines: 20, Required: true}}},
	{ID: "block", Title: "Block", Class: "generic", Tier: T2, Keywords: []string{"<<block"}, Pattern: `<<block\s(?P<secret>[a-z0-9\n]{20,900})>>`, Check: Check{Reach: 1000}},
	{ID: "key", Title: "Key", Class: "generic", Tier: T2, Finder: "key"},
	{ID: "password", Title: "Password", Class: "generic", Tier: T2, Finder: "password"},
	{ID: "url", Title: "URL", Class: "generic", Tier: T2, Finder: "url"},
	{ID: "header", Title: "Header", Class: "generic", Tier: T2, Finder: "header"},
}

func memoLines() []string {
	swarm := "SWMTKN-1-" + strings.Repeat("fake0keyward0not0real0fak", 2) + "-" + "fake0keyward0not0real0fak"
	lines := []string{
		"", "}", "\tif err != nil {", "\t\treturn err", "// the key of the map is the token's name", "token := next()", `password = ""`,
		`api_token = "q7Rz2Kx9Vb4Nm8Wp3Ls6"`, "- name: API_TOKEN", `  value: "q7Rz2Kx9Vb4Nm8Wp3Lt7"`, "postgres://a:f4keWard7Q2z@db/x",
		"Authorization: Bearer q7Rz2Kx9Vb4Nm8Wp3Lu8", swarm, "x " + base64.StdEncoding.EncodeToString([]byte("export T="+swarm)),
		"pair_fakefakefake", "id_123456", "<<block fakefakefakefakefake", "fakefakefakefakefake", ">>", "%73%65%63%72%65%74 = 1",
	}
	for i := range 60 {
		lines = append(lines, fmt.Sprintf("a line of the file that says nothing of any interest to anybody, %d", i*i*7919))
	}
	return append(lines, strings.Repeat("a long line with a key, ", 300)+swarm)
}

// TestMemo: the versions of a file give with a memo what they give without.
func TestMemo(t *testing.T) {
	t.Parallel()
	s, err := New(memoRules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	pool := memoLines()
	known, found := 0, 0
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		m := newMemo()
		lines := make([]string, 50+rnd.IntN(400))
		for i := range lines {
			lines[i] = pool[20+rnd.IntN(60)]
		}
		for version := range 30 {
			for range rnd.IntN(3) {
				lines[rnd.IntN(len(lines))] = pool[rnd.IntN(len(pool))]
			}
			b := Blob{Commit: "c", Path: [...]string{"a.conf", "a.go", "go.sum"}[seed%3], Data: []byte(strings.Join(lines, "\n"))}
			want, wantErr := s.scan(nil, b, nil)
			w := newWork(s)
			w.memo, w.blob = m, b
			w.remember(b.Data, "")
			for _, p := range w.pieces {
				known += btoi(p.known)
			}
			got, gotErr := s.scan(nil, b, m)
			if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotErr, wantErr) {
				t.Fatalf("seed %d, version %d: got %d findings and %v with a memo, want %d and %v", seed, version, len(got), gotErr, len(want), wantErr)
			}
			found += len(want)
		}
	}
	if found < 1000 || known < 1000 {
		t.Errorf("%d findings, %d known pieces: the test proves nothing", found, known)
	}
}

// TestMemoFar: what one piece says of a far one is not forgotten with it.
func TestMemoFar(t *testing.T) {
	t.Parallel()
	s, err := New(memoRules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	filler := strings.Join(memoLines()[20:60], "\n") + "\n"
	var letters strings.Builder
	for i := range 80 {
		fmt.Fprintf(&letters, "fake%06x\n", i*7919)
	}
	long := strings.Repeat("q7Rz2Kx9Vb4Nm8Wp3Lt7", 12)
	for name, versions := range map[string][2]string{
		"block":     {"<<block " + letters.String() + "!!", "<<block " + letters.String() + ">>"},
		"near":      {"pair_fakefakefake\n" + filler[:900] + "\nid_none", "pair_fakefakefake\n" + filler[:900] + "\nid_123456"},
		"next line": {"- name: API0_TOKEN\n  value: \"" + long + " is\n", "- name: API0_TOKEN\n  value: \"" + long + "\"\n"},
	} {
		for before := range 800 { // so that a piece ends wherever it can
			m := &memo{seed: maphash.MakeSeed(), size: 1 << 10}
			for i, text := range versions {
				b := Blob{Commit: "c", Path: "a.conf", Data: []byte(filler[before:] + strings.Replace(text, "I0_", fmt.Sprintf("I%d_", before%100), 1) + filler)}
				want, _ := s.scan(nil, b, nil)
				if len(want) != i {
					t.Fatalf("%s: %d findings in version %d", name, len(want), i)
				}
				if got, _ := s.scan(nil, b, m); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s: got %d findings with a memo in version %d, want %d", name, len(got), i, len(want))
				}
			}
		}
	}
}

// TestMemoSaves: a second look at a text without keys asks nothing.
func TestMemoSaves(t *testing.T) {
	t.Parallel()
	s, err := New(memoRules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := newMemo()
	b := Blob{Commit: "c", Path: "a.go", Data: []byte(strings.Repeat("\tkey := table[token] // the secret of speed\n", 500))}
	for range 2 {
		if _, err := s.scan(nil, b, m); err != nil {
			t.Fatal(err)
		}
	}
	w := newWork(s)
	w.memo, w.blob, w.text = m, b, b.Data
	w.remember(b.Data, "")
	for _, p := range w.pieces {
		if !p.known {
			t.Errorf("bytes %d to %d are not known after a look", p.start, p.end)
		}
	}
	w.blob.Path = "a.conf" // where other values count
	w.remember(b.Data, "")
	for _, p := range w.pieces {
		if p.known {
			t.Errorf("bytes %d to %d are known at another kind of path", p.start, p.end)
		}
	}
}

// FuzzMemo: two texts, the second made of parts of the first, give with a memo what they
// give without.
func FuzzMemo(f *testing.F) {
	text := []byte(strings.Join(memoLines()[:50], "\n"))
	f.Add(text, []byte(`token = "q7Rz2Kx9Vb4Nm8Wp3Ls6"`), uint16(700))
	f.Add(text, []byte("pair_fakefakefake\n"), uint16(1200))
	s, err := New(memoRules, Options{})
	if err != nil {
		f.Fatal(err)
	}
	seed := maphash.MakeSeed() // one for all: the fuzzer wants what it repeats to be the same
	f.Fuzz(func(t *testing.T, a, put []byte, at uint16) {
		m := &memo{seed: seed, size: 1 << 10}
		i := min(int(at), len(a))
		edited := bytes.Join([][]byte{a[:i], put, a[i:]}, nil)
		for _, data := range [][]byte{a, edited, a} {
			b := Blob{Commit: "c", Path: "a.conf", Data: data}
			want, _ := s.scan(nil, b, nil)
			if got, _ := s.scan(nil, b, m); !reflect.DeepEqual(got, want) {
				t.Fatalf("%q: got %v with a memo, want %v", data, got, want)
			}
		}
	})
}
