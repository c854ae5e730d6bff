package scanner

import (
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/scanner/score"
)

// TestHostileText scans texts that were made to cost much: four times as much text may not
// take more than about four times as long. Each is measured against itself, with a wide
// margin.
func TestHostileText(t *testing.T) {
	finders := []Rule{{ID: "generic-key", Finder: "key"}, {ID: "generic-password", Finder: "password"}, {ID: "material", Finder: "material"}}
	s, err := New(finders, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"headers":      strings.Repeat("password,", 60) + "password\n",
		"html":         "<tr><th>password</th>",
		"secrets":      "kind: Secret\n",
		"json secrets": `"kind":"Secret",`,
		"wrapped":      "VGhpcyBpcyB0ZXh0VGhpcyBpcyB0ZXh0VGhpcyBpcyB0ZXh0VGhpcyBpcyB0ZXh0\n",
		"half wrapped": "VGhpcyBpcyB0ZXh0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		"keys":         `kty:"RSA" `,
		"commands":     "curl ",
		"siblings":     `"name":"token",`,
		"names":        "token ",
		"fallbacks":    "token=a ?? ",
		"nested":       "token:{",
		"states":       `type":"random_password",`,
		"calls":        "basicauth(",
		"quotes":       `token="`,
	} {
		took := func(n int) time.Duration {
			b := Blob{Path: "a.txt", Data: []byte(strings.Repeat(line, n/len(line)))}
			best := time.Hour
			for range 2 {
				start := time.Now()
				_, _ = s.Scan(nil, b) // a gap is as good
				best = min(best, time.Since(start))
			}
			return best
		}
		small := max(took(16<<10), 2*time.Millisecond)
		large := took(64 << 10)
		if large > 16*small {
			t.Errorf("%s: %v for 16 kB and %v for 64 kB", name, small, large)
		}
	}
	_ = score.Default // the model is read before
}
