package scanner_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/keyward/keyward/scanner"
)

func scanText(t testing.TB, s *scanner.Scanner, path, text string) []scanner.Finding {
	t.Helper()
	found, err := s.Scan(nil, scanner.Blob{Path: path, Data: []byte(text)})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return found
}

// wantOne fails unless a text has one finding.
func wantOne(t *testing.T, s *scanner.Scanner, path, text string) {
	t.Helper()
	if found := scanText(t, s, path, text); len(found) != 1 {
		t.Errorf("%s: %s: %d findings, want 1: %v", path, text, len(found), found)
		for _, d := range s.Explain(scanner.Blob{Path: path, Data: []byte(text)}) {
			t.Logf("  %s %s: %s (%.2f)", d.Rule.ID, d.Redacted, d.Why, d.Confidence)
		}
	}
}

const fakeValue = "F4KEkw7Rd2QzVn0tR3al9Xb" // visibly fake, of the shape of a random token

// TestShapes holds the shapes in which a credential stands other than directly after its
// name, through the whole scanner.
func TestShapes(t *testing.T) {
	s := builtin(t)
	for _, c := range []struct{ path, text string }{
		{"a.json", `[{"name": "API_TOKEN", "value": "«V»"}]`},
		{"a.yaml", "api_token: |\n  «V»\n"},
		{"a.tf", "variable \"api_token\" {\n  default = \"«V»\"\n}\n"},
		{"a.ts", "const apiToken = process.env.API_TOKEN ?? \"«V»\";"},
		{"a.sh", "curl -u admin:«V» https://x.internal/"},
		{"a.sh", "vault login «V»\n"},
		{"a.go", "req.SetBasicAuth(\"svc\", \"«V»\")"},
		{"A.java", "ks.load(in, \"«V»\".toCharArray());"},
		{"a.csv", "user,password\ndana,«V»\n"},
		{"a.md", "| Env | Token |\n|---|---|\n| prod | «V» |\n"},
		{"slapd.conf", "rootpw «V»\n"},
		{"a.yaml", "kind: Secret\nstringData:\n  other: «V»\n"},
		{"a.yaml", "kind: Secret\ndata:\n  other: " + base64.StdEncoding.EncodeToString([]byte(fakeValue)) + "\n"},
		{"terraform.tfstate", "{\"type\": \"random_password\", \"instances\": [{\"attributes\": {\"result\": \"«V»\"}}]}"},
		{"terraform.tfstate", "{\"outputs\": {\"x\": {\"value\": \"«V»\", \"type\": \"string\", \"sensitive\": true}}}"},
		{"a.json", `{"kty":"oct","k":"«V»"}`},
		{"a.env", "FLEET_ENROLLMENT=«V»\n"},
		{"a.env", "AZURE_DEVOPS_PAT=«V»\n"},
		{"a.env", "GATEWAY_BEARER=«V»\n"},
		{".pgpass", "db:5432:orders:app:«V»\n"},
		{"a.go", "var aesKey = []byte{0xce, 0x5d, 0xa7, 0xd2, 0x7c, 0x4e, 0x0c, 0x35, 0x66, 0xd0, 0x97, 0x2b, 0x8c, 0x92, 0xa1, 0x49}"},
		{"a.properties", "aes.key=7714417066408265\n"},
		{"a.env", "API_KEY=key_«V»\n"},
	} {
		wantOne(t, s, c.path, strings.ReplaceAll(c.text, "«V»", fakeValue))
	}
}

// TestNoise holds look-alikes of each kind that are no credentials.
func TestNoise(t *testing.T) {
	s := builtin(t)
	for _, c := range []struct{ path, text string }{
		{"a.ts", "authorId: '13293550fdbcd557c3edf4d217375268'"},
		{"a.py", "cacheKey = \"B1CQ8VowV9y8fwNCMYpWslSF\""},
		{"a.html", "<a href=\"/list?pageToken=RJGDVJ6zaHgeOTQaFnr4ielZ\">"},
		{"i18n/fi.json", `"TITLE_FORGOT_PASSWORD": "Unohditko salasanan?"`},
		{"messages_da.properties", "LABEL_PASSWORD=Adgangskode\n"},
		{"a.properties", "login.password=Зашифрованный\n"},
		{"a.ini", "admin_password = sha1$Rb437An8$e023ccbacceb7a72073dbc33b77dfa8155fd2943\n"},
		{"build.gradle", "implementation 'io.jsonwebtoken:jjwt-api:0.11.2'"},
		{"a.py", "user, token, access_token = find_grant(\"c32dc3cc-6bf9-4131-b541-8e0ac49708dd\")"},
		{"log.json", `{"userIdentity":{"accessKeyId":"ASIADNL7MWTTPQK7S55Y"}}`},
		{"log.json", `{"userIdentity":{"accessKeyId":"AKIA` + `7HARMLESSWARDQZX"},"eventSource":"s3.amazonaws.com"}`},
		{"log.json", `{"auth":{"client_token":"hmac-sha256:0f07c521c64ec4d3867e2b0365ffd8092bca673927e4402f45b2fb24065d076e"}}`},
		{"a.md", "https://docs.google.com/document/d/1cDYkOcZ8tAYgaXiKZ4/edit?resourcekey=0-yoNVQuzzypM7nXwnq3yWpX"},
		{"a.json", `{"kty":"EC","crv":"P-256","x":"Bejddh8s9jPTVorertpCjdHE4WByLcHM-XaHaesIsQU"}`},
		{"a.c", "uint8_t aes_key[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };"},
		{"a.sh", "docker run -p 8080:80 -u 1000:1000 orders:Build2024Q3Rc17\n"},
		{"a.yaml", "kind: Secret\ndata:\n  username: c3ZjLW9yZGVycw==\n"},
	} {
		if found := scanText(t, s, c.path, c.text); len(found) != 0 {
			t.Errorf("%s: %s: got %v, want no finding", c.path, c.text, found)
		}
	}
}

// A fingerprint is what several writings of one key have in common.
type fingerprint struct {
	t    *testing.T
	want string // that of the first
}

// same checks that a writing gives one finding, with the fingerprint of the others.
func (f *fingerprint) same(writing string, found []scanner.Finding) {
	f.t.Helper()
	if len(found) != 1 {
		f.t.Errorf("%s: %d findings, want 1: %v", writing, len(found), found)
		return
	}
	if f.want == "" {
		f.want = found[0].Fingerprint
	}
	if found[0].Fingerprint != f.want {
		f.t.Errorf("%s: another fingerprint", writing)
	}
}

// fakePEM is no key, and has the form of one.
const fakePEM = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEfakekeywardnotreal0123FAKEkeywardNOTREAL4567fakeKEYWARDnotRe89\nabFAKEkeywardNOTREALcdefghFakeKeywardNotReal0KLMfakekeywardnotr1=\n-----END RSA PRIVATE " + "KEY-----"

// TestOneKeyManyWritings holds that a private key has one fingerprint in all its writings.
func TestOneKeyManyWritings(t *testing.T) {
	s := builtin(t)
	lines := strings.Split(fakePEM, "\n")
	join := func(sep string) string { return strings.Join(lines, sep) }
	prefixed := func(p string) string { return p + strings.Join(lines, "\n"+p) + "\n" }
	f := fingerprint{t: t}
	for name, text := range map[string]string{
		"LF": fakePEM + "\n", "CRLF": join("\r\n"), `\n`: `"` + join(`\n`) + `"`, `\\n`: `"` + join(`\\n`) + `"`, `\r\n`: `"` + join(`\r\n`) + `"`,
		`\u000a`: `"` + join(`\u000a`) + `"`, `\x0a`: `"` + join(`\x0a`) + `"`, "spaces": join(" "), "<br>": join("<br>"), "<br />": join("<br />\n"), "entity": join("&#10;"),
		"//": prefixed("// "), "#": prefixed("# "), "*": prefixed(" * "), "patch": prefixed("+"), "mail": prefixed("> "), "indented": prefixed("    "),
		"joined": `"` + join("\\n\" +\n  \"") + `"`, "base64": base64.StdEncoding.EncodeToString([]byte(fakePEM + "\n")),
	} {
		f.same(name, scanText(t, s, "a.txt", text))
	}
}

// TestOneTokenManyWritings holds that the scheme before a value is no part of it.
func TestOneTokenManyWritings(t *testing.T) {
	s := builtin(t)
	f := fingerprint{t: t}
	for _, text := range []string{"API_TOKEN=" + fakeValue, "API_TOKEN=\"Bearer " + fakeValue + "\"", "Authorization: Bearer " + fakeValue, "APP_KEY=base64:" + fakeValue} {
		f.same(text, scanText(t, s, ".env", text+"\n"))
	}
}

// TestCompanions holds that a secret gets the id of its own pair.
func TestCompanions(t *testing.T) {
	s := builtin(t)
	const id1, id2, id3 = "AKIA" + "FAKEKEYWARDNTREA", "AKIA" + "3CIMENBOGUSVKWHT", "AKIA" + "7HARMLESSWARDQZX"
	const s1, s2, s3 = "FAKEkeywardN0tReal" + "/sVkWh1teCrowpLmY5Harm", "ummyQzJx7Sp3cimenb" + "ogusVkWh1teCrowpLmY5Ha", "nertKxRb6paperTige" + "rJf3FAKEkeyward+N0tRea"
	for name, c := range map[string]struct {
		text string
		want map[string]string // secret to id; "" if both may be
	}{
		"profiles": {"[a]\naws_access_key_id = " + id1 + "\naws_secret_access_key = " + s1 + "\n\n[b]\naws_access_key_id = " + id2 + "\naws_secret_access_key = " + s2 +
			"\n[c]\naws_access_key_id = " + id3 + "\naws_secret_access_key = " + s3 + "\n", map[string]string{s1: id1, s2: id2, s3: id3}},
		"env pairs": {"DEV_AWS_ACCESS_KEY_ID=" + id1 + "\nDEV_AWS_SECRET_ACCESS_KEY=" + s1 + "\nPROD_AWS_ACCESS_KEY_ID=" + id2 + "\nPROD_AWS_SECRET_ACCESS_KEY=" + s2 + "\n",
			map[string]string{s1: id1, s2: id2}},
		"numbers": {"AWS_ACCESS_KEY_ID_0=" + id1 + "\nAWS_ACCESS_KEY_ID_1=" + id2 + "\nAWS_SECRET_ACCESS_KEY_0=" + s1 + "\nAWS_SECRET_ACCESS_KEY_1=" + s2 + "\n",
			map[string]string{s1: id1, s2: id2}},
		"secret first": {"secret_access_key: " + s1 + "\naccess_key_id: " + id1 + "\nsecret_access_key: " + s2 + "\naccess_key_id: " + id2 + "\n", map[string]string{s1: id1, s2: id2}},
		"items":        {"- secret_access_key: " + s1 + "\n  access_key_id: " + id1 + "\n- secret_access_key: " + s2 + "\n  access_key_id: " + id2 + "\n", map[string]string{s1: id1, s2: id2}},
		"objects":      {`[{"accessKeyId":"` + id1 + `","secretAccessKey":"` + s1 + `"},{"accessKeyId":"` + id2 + `","secretAccessKey":"` + s2 + `"}]`, map[string]string{s1: id1, s2: id2}},
		"blocks": {"provider \"aws\" {\n  access_key = \"" + id1 + "\"\n  secret_key = \"" + s1 + "\"\n}\nprovider \"aws\" {\n  access_key = \"" + id2 + "\"\n  secret_key = \"" + s2 + "\"\n}\n",
			map[string]string{s1: id1, s2: id2}},
		"calls":       {"a = boto3.Session(\"" + id1 + "\", \"" + s1 + "\")\nb = boto3.Session(\"" + id2 + "\", \"" + s2 + "\")\n", map[string]string{s1: id1, s2: id2}},
		"csv":         {"Access key ID,Secret access key\n" + id1 + "," + s1 + "\n" + id2 + "," + s2 + "\n", map[string]string{s1: id1, s2: id2}},
		"placeholder": {"aws_access_key_id = AKIA" + "XXXXXXXXXXXXXXXX\naws_secret_access_key = " + s1 + "\n# " + id1 + "\n", map[string]string{s1: id1}},
	} {
		found := scanText(t, s, "conf.txt", c.text)
		told := map[string]string{}
		for _, f := range found {
			id := ""
			for _, fact := range f.Facts {
				if fact.Name == "access_key_id" {
					id = fact.Value
				}
			}
			told[c.text[f.Start:f.End]] = id
		}
		for secret, id := range c.want {
			if told[secret] != id {
				t.Errorf("%s: secret %.6s…: got id %q, want %q", name, secret, told[secret], id)
			}
		}
		if len(told) != len(c.want) {
			t.Errorf("%s: %d findings, want %d: %v", name, len(found), len(c.want), told)
		}
	}
}
