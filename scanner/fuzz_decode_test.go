package scanner_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/keyward/keyward/scanner"
)

// fake is a key in pieces, and the rule that knows it.
var (
	fake      = "SWMTKN-1-" + "fake0keyward0not0real0fake0keyward0not0real0fake0k" + "-" + "fake0keyward0not0real0fak"
	fuzzRules = []scanner.Rule{
		{ID: "swarm", Title: "Swarm token", Class: "node-join", Tier: scanner.T0, Keywords: []string{"swmtkn-1-"}, Pattern: `SWMTKN-1-[a-z0-9]{50}-[a-z0-9]{25}`},
		{ID: "jwt", Title: "JWT", Class: "generic", Tier: scanner.T2, Keywords: []string{"eyj"}, Pattern: `eyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]{5,}`, Facts: []scanner.Facts{"jwt"}},
		{ID: "key", Title: "Key", Class: "generic", Tier: scanner.T2, Finder: "key"},
		{ID: "password", Title: "Password", Class: "generic", Tier: scanner.T2, Finder: "password"},
		{ID: "url", Title: "URL", Class: "generic", Tier: scanner.T2, Finder: "url"},
		{ID: "header", Title: "Header", Class: "generic", Tier: scanner.T2, Finder: "header"},
	}
)

// FuzzScan: any bytes give findings that lie where they say, and show nothing.
func FuzzScan(f *testing.F) {
	f.Add([]byte("token = \"q7Rz2Kx9Vb4Nm8Wp3Ls6\"\npostgres://a:q7Rz2Kx9@h\n"))
	f.Add([]byte(base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("x " + fake))))))
	f.Add([]byte("\xff\xfek\x00e\x00y\x00=\x00"))
	f.Add([]byte("password: |\n  a\x00b\npwd=\\\"x\\u0041%41%zz\\x41"))
	f.Add([]byte("- name: API_TOKEN\n  value:"))
	s, err := scanner.New(fuzzRules, scanner.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		found, _ := s.Scan(nil, scanner.Blob{Path: "a.conf", Data: data})
		if !bytes.Equal(before, data) {
			t.Fatal("the blob was changed")
		}
		for _, fd := range found {
			if fd.Decoded != "" {
				continue // its place is that of the encoded text
			}
			if fd.Start < 0 || fd.Start >= fd.End || fd.End > int64(len(data)) {
				t.Fatalf("%q: bytes %d to %d of %d", data, fd.Start, fd.End, len(data))
			}
			if want := 1 + bytes.Count(data[:fd.Start], []byte("\n")); fd.Line != want {
				t.Errorf("%q: got line %d, want %d", data, fd.Line, want)
			}
			v := strings.Trim(string(data[fd.Start:fd.End]), " \t\r\n\"'`")
			if len(v) >= 12 && strings.Contains(fd.Redacted, v[len(v)-len(v)/2:]) {
				t.Errorf("%q: shows half of the value: %q", data, fd.Redacted)
			}
		}
		s.Explain(scanner.Blob{Path: "a.go", Data: data})
	})
}

// FuzzEncodings: a key is the same key inside every encoding and any text.
func FuzzEncodings(f *testing.F) {
	f.Add("x: ", " # end\n")
	f.Add("", "")
	f.Add("{\"a\":\"", "\"}")
	f.Add("0", "70") // a line that could be the last of wrapped hexadecimal
	s, err := scanner.New(fuzzRules[:1], scanner.Options{})
	if err != nil {
		f.Fatal(err)
	}
	clear, _ := s.Scan(nil, scanner.Blob{Data: []byte(fake)})
	f.Fuzz(func(t *testing.T, before, after string) {
		// What stands directly beside must end the run of the encoding.
		before, after = before+"\n\"", "\"\n"+after
		if len(before)+len(after) > 2000 || strings.ContainsAny(before+after, "\x00%\\") {
			return
		}
		for name, enc := range map[string]string{
			"base64":     base64.StdEncoding.EncodeToString([]byte("a " + fake + " b")),
			"base64 url": base64.RawURLEncoding.EncodeToString([]byte("a?" + fake + "?>b")),
			"hex":        hex.EncodeToString([]byte(fake)),
			"percent":    strings.ReplaceAll(fake, "-", "%2D"),
			"unicode":    strings.ReplaceAll(fake, "-", `\u002d`),
		} {
			found, _ := s.Scan(nil, scanner.Blob{Data: []byte(before + enc + after)})
			if !has(found, clear[0].Fingerprint) {
				t.Errorf("%s between %q and %q: not found", name, before, after)
			}
		}
		if ascii(before + after) {
			var wide []byte
			for _, u := range utf16.Encode([]rune("\ufeff" + before + fake + after)) {
				wide = append(wide, byte(u), byte(u>>8))
			}
			found, _ := s.Scan(nil, scanner.Blob{Data: wide})
			if !has(found, clear[0].Fingerprint) {
				t.Errorf("UTF-16 between %q and %q: not found", before, after)
			}
		}
	})
}

func has(found []scanner.Finding, print string) bool {
	for _, f := range found {
		if f.Fingerprint == print {
			return true
		}
	}
	return false
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
