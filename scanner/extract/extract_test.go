package extract

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// secret marks the value that is expected in a text of a test: «…».
func split(t *testing.T, marked string) (text []byte, want []string) {
	t.Helper()
	for {
		before, rest, ok := strings.Cut(marked, "«")
		text = append(text, before...)
		if !ok {
			return text, want
		}
		value, after, ok := strings.Cut(rest, "»")
		if !ok {
			t.Fatalf("no » in %q", marked)
		}
		text, want, marked = append(text, value...), append(want, value), after
	}
}

func spanOf(t *testing.T, text []byte, word string) Span {
	t.Helper()
	i := bytes.Index(text, []byte(word))
	if i < 0 {
		t.Fatalf("no %q in %q", word, text)
	}
	return Span{i, i + len(word)}
}

func check(t *testing.T, text []byte, got []Span, want []string) {
	t.Helper()
	var values []string
	for _, s := range got {
		values = append(values, string(text[s.Start:s.End]))
	}
	if fmt.Sprint(values) != fmt.Sprint(want) {
		t.Errorf("%q: got %q, want %q", text, values, want)
	}
}

func spans(values []Value) (out []Span) {
	for _, v := range values {
		out = append(out, v.Span)
	}
	return out
}

// TestAssigned holds what a document gives to a name other than directly after it.
func TestAssigned(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		// objects, blocks and elements that the name opens
		{"deploy_token", `{"deploy_token": {"value": "«v1»"}}`},
		{"deploy_token", `{"deploy_token": {"type": "string", "Value": "«v1»"}}`},
		{"db_password", "variable \"db_password\" {\n  type = string\n  default = \"«v1»\"\n}\n"},
		{"db_password", "variable \"db_password\" {\n  type = string\n}\nvariable \"x\" {\n  default = \"v1\"\n}\n"},
		{"DbPassword", "Parameters:\n  DbPassword:\n    Type: String\n    Default: «v1»\n"},
		{"DbPassword", "Parameters:\n  DbPassword:\n    Type: String\n  Other:\n    Default: v1\n"},
		{"api-token", "inputs:\n  api-token:\n    required: false\n    default: '«v1»'\n"},
		{"Password", "<Password><Value>«v1»</Value><PlainText>true</PlainText></Password>"},
		// values on a following line
		{"password", "password: >-\n  «v1»\nport: 1\n"},
		{"password", "password: |\n  «v1»\n"},
		{"password", "password: |\r\n  «v1»\r\n"},
		{"password", "password: |\n  v1\n  v2\n"},
		{"password", "password: >-\n  a text of several words\n"},
		{"password", "password:\n  «v1»\n"},
		{"password", "password:\n  user: v1\n"},
		{"password", "password:\n- v1\n"},
		{"api_token", "{\n  \"api_token\":\n    \"«v1»\",\n}"},
		{"api_token", "{\n  \"api_token\":\n    \"next\": 1\n}"},
		{"api_key", "api_key = <<EOT\n«v1»\nEOT\n"},
		{"api_key", "api_key = <<-'EOT'\n  «v1»\n  EOT\n"},
		{"api_key", "api_key = <<EOT\nv1\nv2\nEOT\n"},
		{"API_TOKEN", "export API_TOKEN=\\\n«v1»\nexec x\n"},
		{"API_SECRET", "String API_SECRET =\n    \"«v1»\";\n"},
		{"apiToken", "const apiToken = \"\" +\n\t\"«v1»\"\n"},
		{"apiToken", "apiToken = (\n    \"«v1»\"\n)\n"},
		{"password", "<server>\n  <password>\n    «v1»\n  </password>\n</server>"},
		{"Password", "expect \"Password:\"\nsend \"«v1»\\r\"\n"},
		// defaults
		{"apiToken", `const apiToken = process.env.X ?? "«v1»";`},
		{"apiToken", `apiToken = ENV["X"] || '«v1»'`},
		{"token", `token = os.environ.get("X") or "«v1»"`},
		{"token", `token = os.environ["X"] if PROD else "«v1»"`},
		{"token", `val token = System.getenv("X") ?: "«v1»"`},
		{"token", `token = coalesce(var.token, "«v1»")`},
		{"token", `let token = env::var("X").unwrap_or("«v1»".into());`},
		{"token", `let token = env::var("X").unwrap_or_else(|_| "«v1»".into());`},
		{"token", `token = prod ? vault.read() : "«v1»";`},
		{"token", `token: {{ .Values.x | default "«v1»" | quote }}`},
		{"token", `token: {{ x | default('«v1»', true) }}`},
		{"token", `token = ENV.fetch("X") { "«v1»" }`},
		{"token", `var token = cmp.Or(a.B(), "«v1»")`},
		{"token", `token="${X:-«v1»}"`},
		{"token", `token: ${x.y:«v1»}`},
		{"token", `token: ${X:?it is not set}`},
		{"token", `parser.add("--token", default="«v1»")`},
		{"token", `token = read("kv/path/name")`},
		{"token", `token = x ?? throw new Exception("not-set")`},
		{"token", `token = getpass("Password:")`},
	} {
		text, want := split(t, c.text)
		check(t, text, spans(Assigned(nil, text, spanOf(t, text, c.name))), want)
	}
}

// TestSibling holds the settings that are described by several fields.
func TestSibling(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"API_TOKEN", `{"name": "API_TOKEN", "value": "«v1»"}`},
		{"API_TOKEN", `{"value": "«v1»", "name": "API_TOKEN"}`},
		{"API_TOKEN", `[{"name":"A","value":"a"},{"name":"API_TOKEN","value":"«v1»"},{"name":"B","value":"b"}]`},
		{"API_TOKEN", `[{"name":"API_TOKEN"},{"name":"B","value":"b"}]`},
		{"API_TOKEN", `{"name": "API_TOKEN", "enabled": true, "meta": {"value": "x"}, "value": "«v1»"}`},
		{"API_TOKEN", `{\"name\":\"API_TOKEN\",\"value\":\"«v1»\"}`},
		{"DbPassword", `ParameterKey=DbPassword,ParameterValue=«v1»`},
		{"DbPassword", "- ParameterKey: DbPassword\n  ParameterValue: «v1»\n"},
		{"DB_PASSWORD", "env:\n- name: DB_PASSWORD\n  value: \"«v1»\"\n- name: X\n  value: x\n"},
		{"DB_PASSWORD", "env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: x\n- name: X\n  value: x\n"},
		{"auth.password", "set {\n  name  = \"auth.password\"\n  value = \"«v1»\"\n}\n"},
		{"secret.key", "<property>\n  <name>secret.key</name>\n  <value>«v1»</value>\n</property>"},
		{"secret.key", "<property>\n  <name>secret.key</name>\n  <description>x</description>\n  <value>«v1»</value>\n</property>"},
		{"secret.key", "<property><name>secret.key</name></property><property><value>x</value></property>"},
		{"api_secret", "<key>api_secret</key>\n<string>«v1»</string>"},
		{"apiKey", `<Environment name="apiKey" type="String" value="«v1»" override="false"/>`},
		{"password", "<property name=\"password\">\n  <value>«v1»</value>\n</property>"},
		{"password", `{"name": "password", "in": "body", "description": "v1"}`},
	} {
		text, want := split(t, c.text)
		var got []Span
		if v, ok := Sibling(text, spanOf(t, text, c.name)); ok {
			got = append(got, v.Span)
		}
		check(t, text, got, want)
	}
}

// TestColumn holds tables.
func TestColumn(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"password", "user,password,age\ndana,«v1»,3\nravi,«v2»,4\n"},
		{"password", "user;password\ndana;«v1»\n"},
		{"password", "user\tpassword\ndana\t«v1»\n"},
		{"password", "password,user\n\"«v,1»\",dana\n"},
		{"password", "user,password\r\ndana,«v1»\r\n"},
		{"password", "user,password\ndana,a text of words\n"},
		{"password", "user,password\ndana\n"},
		{"Password", "| Env | Password | x |\n|---|---|---|\n| prod | `«v1»` | y |\n"},
		{"password", "f(user, password) {\n a, b\n"},
		{"smtp_password", "INSERT INTO s (name, smtp_password) VALUES ('a', '«v1»'), ('b', '«v2»');"},
		{"Password", "<table><tr><th>User</th><th>Password</th></tr><tr><td>dana</td><td><code>«v1»</code></td></tr></table>"},
	} {
		text, want := split(t, c.text)
		var got []Span
		values, _ := Column(nil, text, spanOf(t, text, c.name))
		for _, v := range values {
			if s := string(text[v.Start:v.End]); s != "---" {
				got = append(got, v.Span)
			}
		}
		check(t, text, got, want)
	}
}

// TestCommand holds command lines.
func TestCommand(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"curl", "curl -s -u admin:«v1» https://x"},
		{"curl", "curl --user \"admin:«v1»\" https://x"},
		{"curl", "curl -u \"$USER:$PASS\" https://x"},
		{"curl", "curl \\\n  -u admin:«v1» \\\n  https://x"},
		{"curl", `["curl", "-u", "admin:«v1»", "https://x"]`},
		{"mysql", "mysql -h db -u root -p«v1» orders"},
		{"mysql", "mysql -u root -p orders"},
		{"mysqladmin", "mysqladmin -u root password '«v1»'"},
		{"docker", "docker login -u ci -p «v1» registry"},
		{"docker", "docker run -p 8080:80 -u 1000:1000 image"},
		{"docker", "echo \"«v1»\" | docker login -u ci --password-stdin"},
		{"docker", "docker login --password-stdin <<< «v1»"},
		{"chpasswd", "echo 'root:«v1»' | chpasswd\n"},
		{"openssl", "openssl enc -aes-256-cbc -pass pass:«v1» -in x"},
		{"openssl", "openssl enc -aes-256-cbc -pass env:PASS -in x"},
		{"htpasswd", "htpasswd -bc .htpasswd admin «v1»"},
		{"htpasswd", "htpasswd -c .htpasswd admin"},
		{"vault", "vault login «v1»"},
		{"vault", "vault status -x y"},
		{"consul", "consul kv get -token=«v1» a/b"},
		{"lftp", "lftp -u deploy,«v1» sftp://x"},
		{"smbclient", "smbclient //files/x -U svc%«v1»"},
		{"skopeo", "skopeo copy --dest-creds ci:«v1» a b"},
		{"heroku", "heroku config:set API_KEY=«v1»"},
		{"7z", "7z x -p«v1» a.7z"},
	} {
		text, want := split(t, c.text)
		name := spanOf(t, text, c.name)
		var got []Span
		for _, a := range Command(nil, text, name.Start, len(c.name)) {
			if text[a.Start] != '$' && !strings.HasPrefix(string(text[a.Start:a.End]), "8080") {
				got = append(got, a.Span)
			}
		}
		check(t, text, got, want)
	}
}

// TestCall holds calls of functions.
func TestCall(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"BasicAuth(", `req.SetBasicAuth("svc", "«v1»")`},
		{"BasicAuth(", `req.SetBasicAuth(cfg.User, cfg.Password)`},
		{"auth=(", `requests.get(url, auth=("svc", "«v1»"))`},
		{"jwt.sign(", `jwt.sign(payload, "«v1»", { expiresIn: "1h" })`},
		{"jwt.sign(", `jwt.sign(payload, process.env["JWT_SECRET"])`},
		{"getConnection(", `DriverManager.getConnection("jdbc:x", "app", "«v1»")`},
		{"getConnection(", `DriverManager.getConnection(url, user, props.getProperty("db.password"))`},
		{"b64encode(", `h = {'Authorization': 'Basic ' + base64.b64encode(b'svc:«v1»').decode()}`},
		{"Buffer.from(", `const id = Buffer.from('orders:v1').toString('base64')`},
		{"SecretKeySpec(", `new SecretKeySpec("«v1»".getBytes(), "AES")`},
		{"CookieStore(", `sessions.NewCookieStore([]byte("«v1»"))`},
		{"mysqli(", "new mysqli(\n  'db1',\n  'root',\n  '«v1»')"},
	} {
		text, want := split(t, c.text)
		name := spanOf(t, text, c.name)
		var got []Span
		for _, a := range Call(nil, text, name.Start, len(c.name)) {
			got = append(got, a.Span)
		}
		check(t, text, got, want)
	}
}

// TestDirective holds words of configuration files.
func TestDirective(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"rootpw", "rootpw «v1»\n"},
		{"rootpw", "rootpw --plaintext «v1»\n"},
		{"secret", "enable secret 0 «v1»\n"},
		{"secret", "the secret of this is that it is a long sentence\n"},
		{"community", "snmp-server community «v1» RW\n"},
		{"password", "username admin password 0 «v1»\n"},
		{"auth_pass", "  auth_pass «v1»\n"},
	} {
		text, want := split(t, c.text)
		name := spanOf(t, text, c.name)
		var got []Span
		for _, a := range Directive(nil, text, name.Start, name.End) {
			got = append(got, a.Span)
		}
		check(t, text, got, want)
	}
}

// TestKubeSecret holds Secrets of Kubernetes.
func TestKubeSecret(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"Secret", "kind: Secret\ndata:\n  foo: «djE=»\n  bar: |\n    «djI=»\nstringData:\n  x: «v3»\n"},
		{"Secret", "---\ndata:\n  foo: «djE=»\nkind: Secret\n---\ndata:\n  foo: bar\n"},
		{"Secret", `{"kind":"Secret","data":{"a":"«djE=»","b":"«djI=»"}}`},
		{"Secret", "kind: SecretList\ndata:\n  foo: djE=\n"},
	} {
		text, want := split(t, c.text)
		var got []Span
		settings, _ := KubeSecret(nil, text, spanOf(t, text, c.name))
		for _, s := range settings {
			got = append(got, s.Value.Span)
		}
		check(t, text, got, want)
	}
}

// TestBytes holds keys that are written as numbers.
func TestBytes(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
	}{
		{"key = []byte{0xce, 0x5d, 0xa7, 0xd2, 0x7c, 0x4e, 0x0c, 0x35, 0x66, 0xd0, 0x97, 0x2b}", 12},
		{"key = {\n (byte) 0x2F, (byte) 0xD4, 0x08, 0x45, -1, -128, 127, 3, 9,\n 11, 12, 13, 200 }", 13},
		{"key[16] = { 108, 147, 175, 253, 138, 181, 131, 182, 216, 56, 231, 136, 200, 153, 54, 140 };", 16},
		{`key = b"\xce\x5d\xa7\xd2\x7c\x4e\x0c\x35\x66\xd0\x97\x2b"`, 12},
		{"key: [u8; 12] = [1u8, 2u8, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];", 12},
		{"key = {1, 2, 3}", 0},
		{"key = {300, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}", 0},
		{"key = f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, x)", 0},
	} {
		key, _, ok := Bytes(nil, []byte(c.text), len("key"))
		if ok != (c.n > 0) || ok && len(key) != c.n {
			t.Errorf("%s: got %d bytes, %t; want %d", c.text, len(key), ok, c.n)
		}
	}
}

// TestJWK holds private members of JSON Web Keys.
func TestJWK(t *testing.T) {
	for _, text := range []string{
		`{"kty":"EC","x":"ab","d":"«F4keKeywardNotReal0123456»"}`,
		`{d: '«F4keKeywardNotReal0123456»', kty: 'RSA'}`,
		`{\"kty\":\"oct\",\"k\":\"«F4keKeywardNotReal0123456»\"}`,
		`{"kty":"EC","x":"F4keKeywardNotReal0123456","kid":"F4keKeywardNotReal0123456"}`,
		`[{"kty":"oct"},{"k":"F4keKeywardNotReal0123456"}]`,
	} {
		text, want := split(t, text)
		var got []Span
		kty := spanOf(t, text, "kty")
		if v, ok := JWK(text, kty.Start, kty.End); ok {
			got = append(got, v.Span)
		}
		check(t, text, got, want)
	}
}

// TestListing holds files that are known by their name.
func TestListing(t *testing.T) {
	for _, c := range []struct{ file, text string }{
		{"etc/userlist.txt", "\"app\" \"«v1»\"\n# x\n\"b\" \"«v2»\"\n"},
		{".pgpass", "db1:5432:orders:app:«v1»\n"},
		{"ppp/chap-secrets", "dana * «v1» *\n"},
		{"sasl_passwd", "[smtp.x]:587 dana:«v1»\n"},
		{"other.txt", "dana * v1 *\n"},
	} {
		text, want := split(t, c.text)
		check(t, text, spans(Listing(nil, text, c.file)), want)
	}
}

// TestTables reads each line of the tables: a line that says nothing helps nobody.
func TestTables(t *testing.T) {
	lines := 0
	for name, usages := range commands() {
		if strings.ContainsAny(name, " :") {
			t.Errorf("command %q: bad name", name)
		}
		for _, u := range usages {
			for _, a := range u.args {
				if a.option == "" && a.place == 0 && !a.stdin {
					t.Errorf("command %s: an argument that is nowhere: %+v", name, a)
				}
			}
			lines++
		}
	}
	if len(commands()) < 80 {
		t.Errorf("%d commands, want at least 80", len(commands()))
	}
	for name, params := range calls() {
		for _, p := range params {
			if p.place < 1 || p.place > 6 {
				t.Errorf("function %s: place %d", name, p.place)
			}
		}
		if strings.ToLower(name) != name || !strings.HasSuffix(name, "(") && !strings.HasSuffix(name, " ") {
			t.Errorf("function %q: bad name", name)
		}
	}
	if len(calls()) < 60 {
		t.Errorf("%d functions, want at least 60", len(calls()))
	}
	for word, known := range directives() {
		for _, d := range known {
			if d.place < 1 {
				t.Errorf("directive %s: place %d", word, d.place)
			}
		}
	}
	t.Logf("%d commands in %d usages, %d functions, %d first words of directives", len(commands()), lines, len(calls()), len(directives()))
}

// FuzzExtract holds that no extractor panics on any text, and that what it returns lies in
// the text.
func FuzzExtract(f *testing.F) {
	for _, s := range []string{
		`{"name": "token", "value": "x"}`, "token:\n  x\n", "token = a ?? \"b\"", "curl -u a:b", "jwt.sign(a, \"b\")", "user,token\na,b\n",
		"rootpw x\n", "kind: Secret\ndata:\n  token: eA==\n", "token = {1, 2, 3}", `{"kty":"oct","k":"x"}`, "<name>token</name><value>x</value>",
		"token+  \n \n", "token ?? \n  \n", "key:\n\r\n \r\n", "token = a ||\r\n \\\n",
	} {
		f.Add([]byte(s), 3, 5)
	}
	f.Fuzz(func(t *testing.T, text []byte, at, n int) {
		if at < 0 || n < 1 || at > len(text) || n > len(text)-at {
			return
		}
		name := Span{at, at + n}
		var got []Span
		got = append(got, spans(Assigned(nil, text, name))...)
		columns, _ := Column(nil, text, name)
		got = append(got, spans(columns)...)
		got = append(got, spans(StateSecret(nil, text, name))...)
		got = append(got, spans(Users(nil, text, name))...)
		for _, file := range []string{".pgpass", "chap-secrets", "userlist.txt", "psk.txt", "sasl_passwd"} {
			got = append(got, spans(Listing(nil, text, file))...)
		}
		for _, one := range []func() (Value, bool){
			func() (Value, bool) { return Sibling(text, name) }, func() (Value, bool) { return Row(text, name) },
			func() (Value, bool) { return JWK(text, name.Start, name.End) },
			func() (Value, bool) { _, v, ok := Sensitive(text, name.End); return v, ok },
		} {
			if v, ok := one(); ok {
				got = append(got, v.Span)
			}
		}
		var args []Arg
		for command := range commands() {
			if len(command) == n {
				copied := append(append(append([]byte{}, text[:at]...), command...), text[at+n:]...)
				args = Command(args, copied, at, n)
			}
		}
		args = Directive(Call(CharArray(args, text, at), text, at, n), text, at, at+n)
		for _, a := range args {
			got = append(got, a.Span, a.Name)
		}
		settings, _ := KubeSecret(nil, text, name)
		for _, s := range settings {
			got = append(got, s.Value.Span, s.Name)
		}
		if _, where, ok := Bytes(nil, text, name.End); ok {
			got = append(got, where)
		}
		for _, s := range got {
			if s.Start < 0 || s.End < s.Start || s.End > len(text) {
				t.Fatalf("span %v in a text of %d bytes", s, len(text))
			}
		}
	})
}
