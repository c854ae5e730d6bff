package scanner

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// swarm is a fake key without a checksum: visibly fake, and in pieces.
const swarm = "SWMTKN-1-" + "fake0keyward0not0real0fake0keyward0not0real0fake0k" + "-" + "fake0keyward0not0real0fak"

var testRules = []Rule{
	{ID: "swarm", Title: "Swarm token", Class: "node-join", Tier: T0, Keywords: []string{"swmtkn-1-"}, Pattern: `SWMTKN-1-[a-z0-9]{50}-[a-z0-9]{25}`},
	{ID: "meraki", Title: "Meraki key", Class: "device-enrolment", Tier: T0, Keywords: []string{"meraki"}, Name: `meraki[\w.-]{0,24}key`, Value: `[0-9a-f]{40}`},
	{ID: "pem", Title: "Private key", Class: "generic", Tier: T1, Keywords: []string{"private key-----"},
		Pattern: `-----BEGIN PRIVATE KEY-----[\s\\A-Za-z0-9+/=]{20,}?-----END PRIVATE KEY-----`, Check: Check{Reach: 4000}},
	{ID: "key", Title: "Key", Class: "generic", Tier: T2, Finder: "key"},
	{ID: "password", Title: "Password", Class: "generic", Tier: T2, Finder: "password"},
	{ID: "url", Title: "URL", Class: "generic", Tier: T2, Finder: "url"},
	{ID: "header", Title: "Header", Class: "generic", Tier: T2, Finder: "header"},
}

func newTest(t testing.TB, opt Options) *Scanner {
	t.Helper()
	if opt.Pepper == nil {
		opt.Pepper = []byte("pepper of the tests")
	}
	s, err := New(testRules, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func scanText(t testing.TB, s *Scanner, path, text string) []Finding {
	t.Helper()
	found, err := s.Scan(nil, Blob{Path: path, Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestGeneric(t *testing.T) {
	s := newTest(t, Options{})
	tests := []struct {
		name, path, text string
		want             string // rule, or ""
	}{
		{"go string", "a.go", `apiKey := "q7Rz2Kx9Vb4Nm8Wp3Ls6"`, "key"},
		{"go call", "a.go", `client.SetAuthToken("q7Rz2Kx9Vb4Nm8Wp3Ls6")`, "key"},
		{"go variable", "a.go", `apiKey := loadApiKeyFromEnvironment`, ""},
		{"go wrapped", "a.go", `Key: String("q7Rz2Kx9Vb4Nm8Wp3Ls6"),`, "key"},
		{"go several", "a.go", `Tokens: []string{"q7Rz2Kx9Vb4Nm8Wp3Ls6"},`, "key"},
		{"java wrapped", "a.java", `m.setCipherKey(Base64.decode("q7Rz2Kx9Vb4Nm8Wp3Ls6Aw=="));`, "key"},
		{"go function of it", "a.go", `token := hash(token)`, ""},
		{"python environ", "a.py", `token = os.environ["TOKEN"]`, ""},
		{"typed", "a.ts", `const secret: string = 'q7Rz2Kx9Vb4Nm8Wp3Ls6';`, "key"},
		{"yaml", "a.yaml", `api_token: q7Rz2Kx9Vb4Nm8Wp3Ls6`, "key"},
		{"yaml reference", "a.yaml", `api_token: ${{ secrets.API_TOKEN }}`, ""},
		{"yaml name", "a.yaml", `secretName: my-app-credentials`, ""},
		{"kubernetes pair", "a.yaml", "- name: API_TOKEN\n  value: q7Rz2Kx9Vb4Nm8Wp3Ls6", "key"},
		{"xml attribute", "a.config", `<add key="ApiToken" value="q7Rz2Kx9Vb4Nm8Wp3Ls6"/>`, "key"},
		{"xml element", "a.xml", `<password>q7Rz2Kx!Vb4N</password>`, "password"},
		{"ini", "a.ini", `db_password = q7Rz2Kx!Vb4N`, "password"},
		{"flag", "a.sh", `tool --api-key q7Rz2Kx9Vb4Nm8Wp3Ls6`, "key"},
		{"json", "a.json", `{"clientSecret":"q7Rz2Kx9Vb4Nm8Wp3Ls6"}`, "key"},
		{"json escaped", "a.txt", `"{\"clientSecret\":\"q7Rz2Kx9Vb4Nm8Wp3Ls6\"}"`, "key"},
		{"url", "a.txt", `postgres://app:q7Rz2Kx9Vb@db/app`, "url"},
		{"url without password", "a.txt", `https://host:8443/a@b`, ""},
		{"bearer", "a.txt", `Authorization: Bearer q7Rz2Kx9Vb4Nm8Wp3Ls6tY`, "header"},
		{"basic", "a.txt", `Authorization: Basic ` + base64.StdEncoding.EncodeToString([]byte("fake:q7Rz2Kx9Vb")), "header"},
		{"basic prose", "a.md", `Basic authentication is used.`, ""},
		{"bcrypt", "a.yml", `password: $2a$10$3GXzp3J5GhHThGisbpvpZuftbmzPivDMo94XPnkTnDe7254x7sJ3O`, ""},
		{"sops", "a.yaml", `password: ENC[AES256_GCM,data:q7Rz2Kx9Vb4Nm8Wp3Ls6,iv:abc,tag:def,type:str]`, ""},
		{"keyboard", "a.json", `{"keyboardLayout": "us-international"}`, ""},
		{"public key", "a.json", `{"publicKeyToken": "b77a5c561934e089"}`, ""},
		{"counted", "a.env", `SECRET=12345678901234567890`, ""},
		{"repeated", "a.env", `SECRET=abababababababababab`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, f := range scanText(t, s, tt.path, tt.text) {
				got += f.Rule.ID
			}
			if got != tt.want {
				t.Errorf("%q: got %q, want %q\n%v", tt.text, got, tt.want, s.Explain(Blob{Path: tt.path, Data: []byte(tt.text)}))
			}
		})
	}
}

func TestBoundaries(t *testing.T) {
	s := newTest(t, Options{NoDecode: true})
	for text, want := range map[string]int{
		swarm: 1, "x" + swarm: 0, swarm + "x": 0, swarm + "-x": 0, `\n` + swarm: 1, "%3D" + swarm: 1, `\u003d` + swarm: 1,
		"(" + swarm + ")": 1, "é" + swarm: 1, swarm + "é": 1, "\xe9" + swarm + "\xe9": 1,
		swarm + " " + strings.Replace(swarm, "fake0", "real0", 1): 2,
	} {
		if got := len(scanText(t, s, "a.txt", text)); got != want {
			t.Errorf("%q: got %d findings, want %d", text, got, want)
		}
	}
}

// TestOneKey holds the promise that a value is one key wherever it stands.
func TestOneKey(t *testing.T) {
	s := newTest(t, Options{})
	pem := "-----BEGIN PRIVATE KEY-----\nMIGHfakekeywardnotreal0123FAKE\nkeywardNOTREAL4567fakeKEYWARD==\n-----END PRIVATE KEY-----"
	groups := map[string][]string{
		"token": {
			swarm, `"` + swarm + `"`, "token = '" + swarm + "'", base64.StdEncoding.EncodeToString([]byte("join " + swarm + " now")),
			fmt.Sprintf("%x", swarm), strings.ReplaceAll(swarm, "-", "%2D"), strings.ReplaceAll(swarm, "-", `\u002d`),
			base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("twice " + swarm)))),
		},
		"pem": {pem, strings.ReplaceAll(pem, "\n", `\n`), "  key: |\n    " + strings.ReplaceAll(pem, "\n", "\n    "), strings.ReplaceAll(pem, "\n", "\r\n")},
	}
	for name, texts := range groups {
		want := ""
		for _, text := range texts {
			found := scanText(t, s, "a.txt", text)
			if len(found) != 1 {
				t.Errorf("%s: %q: got %d findings, want 1", name, text, len(found))
				continue
			}
			if want == "" {
				want = found[0].Fingerprint
			}
			if found[0].Fingerprint != want {
				t.Errorf("%s: %q: got fingerprint %s, want %s", name, text, found[0].Fingerprint, want)
			}
		}
	}
}

func TestPlace(t *testing.T) {
	s := newTest(t, Options{})
	f := scanText(t, s, "a.txt", "one\ntwo\n  x "+swarm+"\n")[0]
	if f.Line != 3 || f.Col != 5 || f.Start != 12 || f.End != int64(12+len(swarm)) {
		t.Errorf("got line %d, column %d, bytes %d to %d; want 3, 5, 12 to %d", f.Line, f.Col, f.Start, f.End, 12+len(swarm))
	}
}

func TestAllowComment(t *testing.T) {
	s := newTest(t, Options{Now: parseDay(t, "2026-06-01")})
	for text, want := range map[string]string{
		swarm + " # keyward:allow the cluster of the tests":                             "ok",
		"# keyward:allow the cluster of the tests\n" + swarm:                            "ok",
		swarm + " # keyward:allow rule=swarm until=2026-06-01 the cluster of the tests": "ok",
		swarm + " # keyward:allow rule=other the cluster of the tests":                  "void",
		swarm + " # keyward:allow until=2026-05-30 the cluster of the tests":            "void",
		swarm + " # keyward:allow revoked until=2020-01-01":                             "void",
		swarm + " # keyward:allow until=2020-1-1 revoked":                               "void",
		swarm + " # keyward:allow":                                                      "void",
		"x = 1 # keyward:allow for another line\n" + swarm:                              "none",
		swarm + "\n# keyward:allow the line before":                                     "none",
	} {
		a := scanText(t, s, "a.sh", text)[0].Allow
		got := "none"
		if a != nil {
			got = "ok"
			if a.Void != "" {
				got = "void"
			}
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// TestNoAllocs guards the hot path: a clean blob costs no allocation.
func TestNoAllocs(t *testing.T) {
	s := newTest(t, Options{})
	text := []byte(strings.Repeat("func main() { fmt.Printf(\"hello, %s %d%%\\n\", w, n) } // token of the monkey\n", 400))
	b := Blob{Path: "main.go", Data: text}
	if found, _ := s.Scan(nil, b); len(found) > 0 {
		t.Fatalf("got %d findings in clean text", len(found))
	}
	got := testing.AllocsPerRun(20, func() { _, _ = s.Scan(nil, b) })
	if got > 0 && !raceEnabled {
		t.Errorf("got %.1f allocations on a clean blob, want 0", got)
	}
}

// slowScan is the plain way: every rule's expression over every whole line, or
// over everything where it spans lines.
func slowScan(s *Scanner, b Blob) []Finding {
	slow := &Scanner{rules: s.rules, index: newKeywordIndex(nil, nil), finders: s.finders, opt: s.opt}
	for n, c := range s.rules {
		if c.Finder == "" {
			slow.always = append(slow.always, int32(n))
		}
	}
	out, _ := newWork(slow).scan(nil, b, nil)
	return out
}

// FuzzFastEqualsSlow holds the keyword pass and its windows equal to running
// each expression over everything.
func FuzzFastEqualsSlow(f *testing.F) {
	f.Add("x "+swarm+"\nmeraki_key = 0123456789abcdef0123456789abcdef01234567\n", 3, 5)
	f.Add("\n\n-----BEGIN PRIVATE KEY-----\nabcdefghijklmnopqrstuvwxyz\n-----END PRIVATE KEY-----", 1, 9)
	f.Add("SWMTKN-1-SWMTKN-1-", 0, 0)
	s, err := New(testRules[:3], Options{NoDecode: true})
	if err != nil {
		f.Fatal(err)
	}
	pieces := []string{swarm, "merakiApiKey=0123456789abcdef0123456789abcdef01234567", "meraki", "SWMTKN-1-", "\n", "\"", " ", strings.Repeat("ab ", 400)}
	f.Fuzz(func(t *testing.T, text string, i, j int) {
		for _, n := range []int{i, j} { // put known pieces somewhere into the text
			p := pieces[(n%len(pieces)+len(pieces))%len(pieces)]
			at := (n%(len(text)+1) + len(text) + 1) % (len(text) + 1)
			text = text[:at] + p + text[at:]
		}
		if len(text) > 1<<16 {
			return
		}
		b := Blob{Path: "a.txt", Data: []byte(text)}
		fast, _ := s.Scan(nil, b)
		slow := slowScan(s, b)
		if !slices.EqualFunc(fast, slow, func(a, b Finding) bool {
			return a.Rule == b.Rule && a.Start == b.Start && a.End == b.End && a.Fingerprint == b.Fingerprint && a.Line == b.Line
		}) {
			t.Errorf("%q:\nfast %v\nslow %v", text, fast, slow)
		}
	})
}

func TestRunStopsEarly(t *testing.T) {
	s := newTest(t, Options{})
	sent := 0
	src := func(yield func(Blob, error) bool) {
		for range 10_000 {
			sent++
			if !yield(Blob{Path: "a", Data: []byte(swarm)}, nil) {
				return
			}
		}
	}
	for range s.Run(context.Background(), src) {
		break
	}
	if sent == 10_000 {
		t.Error("the source ran to its end although the caller stopped")
	}
}

func TestRunYieldsGaps(t *testing.T) {
	s := newTest(t, Options{})
	src := func(yield func(Blob, error) bool) {
		_ = yield(Blob{}, &Gap{Path: "gone", Reason: "not there"}) && yield(Blob{Path: "a", Data: []byte(swarm)}, nil)
	}
	gaps, found := 0, 0
	for _, err := range s.Run(context.Background(), src) {
		if err != nil {
			gaps++
		} else {
			found++
		}
	}
	if gaps != 1 || found != 1 {
		t.Errorf("got %d gaps and %d findings, want 1 and 1", gaps, found)
	}
}

func TestRunCancelled(t *testing.T) {
	s := newTest(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	src := func(yield func(Blob, error) bool) {
		for yield(Blob{Path: "a", Data: []byte("nothing")}, nil) {
		}
	}
	var last error
	for _, err := range s.Run(ctx, src) {
		last = err
	}
	if last == nil {
		t.Error("a cancelled scan ended without an error: it would pass for clean")
	}
}

func BenchmarkScan(b *testing.B) {
	s := newTest(b, Options{})
	line := "\tif err := client.Send(ctx, &request{Name: name, Token: token, Timeout: 5 * time.Second}); err != nil {\n\t\treturn fmt.Errorf(\"send %s: %w\", name, err)\n\t}\n"
	data := []byte(strings.Repeat(line, 4000))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Scan(nil, Blob{Path: "main.go", Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}

func parseDay(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestShortKeywords has rules whose keywords are too short for the index: they are
// looked for all the same, everywhere in a text.
func TestShortKeywords(t *testing.T) {
	for _, k := range []string{"z", "zq", "zqx", "zqxj"} {
		s, err := New([]Rule{{ID: "short", Keywords: []string{k}, Pattern: `zqxj-[0-9]{6}`}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"zqxj-123456", "a ZQXJ zqxj-123456 and more text after it\n", strings.Repeat("line\n", 1000) + "zqxj-123456\n"} {
			if found := scanText(t, s, "a", text); len(found) != 1 {
				t.Errorf("keyword %q in %.20q: %d found", k, text, len(found))
			}
		}
	}
}
