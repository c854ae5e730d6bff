package pack

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// crafted is a Set of one pack that has the given bytes behind its header.
func crafted(t *testing.T, body []byte) *Set {
	t.Helper()
	name := filepath.Join(t.TempDir(), "crafted.pack")
	data := append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), body...)
	if err := os.WriteFile(name, append(data, make([]byte, 20)...), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &Set{packs: []*packed{{pack: f, end: int64(len(data))}}, width: 20}
	t.Cleanup(s.Close)
	return s
}

// TestEndless: a pack of nothing but differences to what stands two bytes before is not
// followed to its beginning.
func TestEndless(t *testing.T) {
	body := bytes.Repeat([]byte{0x61, 0x02}, 1<<20)
	s := crafted(t, body)
	r := s.NewReader()
	last := placeAt(0, int64(12+len(body)-2))
	nodes, _ := r.forest([]Place{last})
	if most := 4 + maxChain + 2; len(nodes) > most {
		t.Errorf("%d objects are looked at for one, want %d at most", len(nodes), most)
	}
	if order, _ := r.Order([]Place{last}); len(order) != 1 {
		t.Errorf("%d objects in the order of one", len(order))
	}
	if _, err := r.Read(last); err == nil {
		t.Error("it can be read")
	}
}

// TestRefused: what hangs on an object that is too large is refused without being
// followed down to it again and again.
func TestRefused(t *testing.T) {
	const n = 3000
	body := []byte{0xb0 | 15, 0xff, 0xff, 0x7f} // a blob of 32 MB
	var places []Place
	for range n {
		back := byte(2)
		if len(places) == 0 {
			back = 4
		}
		places = append(places, placeAt(0, int64(12+len(body))))
		body = append(body, 0x61, back)
	}
	r := crafted(t, body).NewReader()
	for i := len(places) - 1; i >= 0; i-- {
		if _, err := r.Read(places[i]); err == nil {
			t.Fatalf("object %d can be read", i)
		}
		if len(r.refused) < n {
			t.Fatalf("%d places are refused after the first, want %d", len(r.refused), n)
		}
	}
}
