package scanner_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/keyward/keyward/scanner"
)

// TestNoValues scans texts that look like credentials: nothing may be found in them.
func TestNoValues(t *testing.T) {
	s := builtin(t)
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, c := range []struct{ path, text string }{
		// texts that people read
		{"conf/locale/locale_nl-NL.ini", "new_password=Nieuwsgierig wachtwoord\n"},
		{"config/locales/devise/devise.et.yml", "    change_password: Muudatused parooliks\n"},
		{"config/locales/hu.yml", "  enter_password_again: Ugyanazt megint\n"},
		{"web/locale/eu/viewer.ftl", "pdfjs-password-cancel-button = Utziketa\n"},
		{"l10n/hu_HU.js", `    "Error configuring OAuth1" : "Hiba az OAuth1 beállításakor",` + "\n"},
		{"lang/pl.json", `{"New password" : "Nowezgloszenie"}` + "\n"},
		{"settings.yml", "password: Wprowadzenie tajnego znaku\n"},
		{"localization/cs_CZ.inc", "$labels['key2048'] = '2048 bitů - výchozí';\n"},
		{"localization/zh_TW.inc", "$labels['key2048'] = '2048 位元 - 預設';\n"},
		{"localization/ja_JP.inc", "$messages['passwordnoseq'] = 'パスワードは123456やQWERTYの様な連続にしてはなりません。';\n"},
		// what programs and formats are written with
		{"password.php", "} elseif ($chk != $pwd || preg_match('/[\\x00-\\x1F\\x7F]/', $newpwd)) {\n"},
		{"a.yml", "token.jwt.secret.encryption-method: 'A128CBC-HS256'\n"},
		{"a_test.java", "when(revocableTokenProvisioning.retrieve(\"8b14f193-8212-4af2-9927-e3ae903f94a6\", zone))\n"},
		{"acl.go", "var ValidAuthToken = regexp.MustCompile(\"^[a-zA-Z0-9-]{1,128}$\")\n"},
		{"mode.js", "var keywordToken = '(?![$\\\\w])';\n"},
		{"edit.tmpl", `<label for="bind_password">{{.i18n.Tr "auth.pw"}}</label>` + "\n"},
		{"pdf.mjs", "const SEED = 0xc3d2e1f0;\n"},
		{"user.go", "	Password *uint16\n"},
		{"schema.sql", "  password varchar(256),\n"},
		{"config.go", "	Key: KafkaSASLMechanism,\n"},
		{"usm.json", `{"authProtocol": "HMAC384SHA512", "passwordEncryption": "PKCS12"}` + "\n"},
		{"common.go", `const KeyExchangeSecret = "mlkem768x25519-sha256"` + "\n"},
		{"nginx.conf", "    proxy_pass nifi0:8081;\n"},
		{"compose.sh", "docker run --name reg -e TRUSTSTORE_TYPE=PKCS13x9 -e PORT=19090x image\n"},
		{"deploy.sh", "docker build --build-arg JAR_FILE=target/app-9x7.jar .\n"},
		{"rabbit.sh", "rabbitmqctl set_permissions -p myvhost7x myuser '.*' '.*' '.*'\n"},
		// places and things
		{"CHANGELOG.md", "see [auth token](//github.com/etcd-io/etcd/pull/14322x9)\n"},
		{"docker_test.go", `	m.containsKey("6aa3691a73805f608e5fce69fb6bc89a/layer9x.tar")` + "\n"},
		{"terraform.tfvars", `ssh_keys = "7b:4c:19:a2:3e:55:61:f0:0d:9a:bc:12:34:de:77:8e"` + "\n"},
		{"vendor.conf", "github.com/docker/oauth-token 04547d1e1f9a5bb1bbd8f60d7d9fb1cc3cca1f16\n"},
		{"state.json", `{"deposed_key": "0fcb640a"}` + "\n"},
		{"swagger.yaml", "        SecretID: \"fpjqlhnwb19zds35k8wn80lq9\"\n        SecretName: \"app-key\"\n"},
		{"parser_test.go", "	generateCredential(key(t, \"Z7IXGOO6BZ0REAN1Q26I\", day))\n"},
		// public keys, signatures, salts, what is good for one request
		{"Dockerfile", "RUN minisign -Vm server -P \"public key RWTx5Zr1tiHQLwG9keNT0c45A3AGeHD6x9E7vqRyQX0FAKEpublic2b3\"\n"},
		{"policy_test.go", `	{"X-Amz-Credential", "keyward7FAKEkeyid/20130524/us-east-1/s3/aws4_request", token},` + "\n"},
		{"object.json", `{"X-Minio-Internal-Server-Side-Encryption-Sealed-Key": "IAAfAFAKEq8ekkKw7Rd2QzVn0tR3al9Xb7pLmY5="}` + "\n"},
		{"form.html", `<input type="hidden" name="authenticity_token" value="J7CBxfHalt49OSHp27hblqK20c9PgwJ108nDHX" />` + "\n"},
		{"webhook.json", `{"signature": {"token": "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0", "timestamp": "1529006854", "signature": "d2271d12299f6592d9d44cd9d250f0704e4674c30d79d07c47a66f95ce71cf55"}}` + "\n"},
		{"config.php", "  'passwordsalt' => 'd3c944a9af095aa08f7Kw7Rd2Qz',\n"},
		{"Test.java", `  String ARGON2_SALT_STRING = "QXJnb24yU2FsdFN0cmluZ1Jk";` + "\n"},
		{"oidc_test.go", `	ClientNonce: "fpSPuaodKevKfDU3IeXb7w",` + "\n"},
		// encodings of something else
		{"route.yml", "  tls.key: " + encoded("-----BEGIN CERTIFICATE-----") + "\n"},
		{"route.yml", "  tls.key: " + encoded("TESTKEY1") + "\n"},
		{"basic_test.go", `	"Authorization": []string{"Basic ` + encoded("username") + `"},` + "\n"},
		{"mail_test.php", `  $auth = 'Basic ` + encoded("api:ACCESS_KEY") + `';` + "\n"},
		{"room.py", `    "auth_data": "` + encoded("this should really be encrypted text") + `",` + "\n"},
		{"secret.yml", "kind: Secret\ndata:\n  password: " + encoded("user_password") + "\n"},
		{"testdata/secret.yml", "kind: Secret\ndata:\n  password: " + encoded("user_password2") + "\n"},
		{"oauth.md", "Authorization: Basic " + encoded("example:example") + "\n"},
		{"ingress.yml", "  auth: " + encoded("user:{SHA}FAKEhMmSPz8GgiULbPgzG37mj9g=") + "\n"},
		// hashes of passwords, names of things
		{"compose.yml", `  - "traefik.http.middlewares.auth.basicauth.users=test:$$apr1$$FAKEkkkW$$IgXLP6ewTrSuBkTrqE8wj/"` + "\n"},
		{"compose.yml", "  app.digestauth.users: test:realm:a2688e031edb4be6a3797f3882655c05\n"},
		{"Version1.php", "    $this->renameIndex('oauth2_access_tokens', 'idx_368a4209a76ed395', 'user_id');\n"},
		{"composer.json", `  "acme/oauth-token": "dev-master#dc8ff343363cf794d30eb1a123610d186a43f162",` + "\n"},
		{"ip_test.go", `	passIPs: []string{"2a03:4000:6:d080::42"},` + "\n"},
		{"a_test.py", `TEST_TOKEN_START = '\x1b[04m\x1b[91m'` + "\n"},
		{"shell.c", "	password = pwbuf1;\n"},
		{"chunk_test.rb", `# unique_id.unpack('N*').map{|n| n.to_s(16)}.join => "52fde6425d7406bdb19b936e1a1ba98c"` + "\n"},
		{"calendar.js", `  BYMONTHDAY:i.bind(this,"BYMONTHDAY7x",-31,31),` + "\n"},
		{"kv.go", `	exists(ctx, path.Join(p.RootKey, "qmslkjdfmqlskdjfmqlksjaz"), nil)` + "\n"},
		{"gen.sh", "openssl genrsa -out client.key -passout pass:password 2048\n"},
		{"jwt.md", "One of `signingSecret`, `publicKey`, `jwksFile` or `jwksUrl` must be set.\n"},
		{"mw.go", "	// that needs authentication, with a secret.\n	// Default: traefik.\n"},
		{"operator.conf", "operator = \"" + natsToken("operator") + "\"\n"},
		{"dex.yaml", "  secret: " + encoded("oauth2-proxy-client-secret\n") + "\n"},
		{"config.json", `{"ssl-ciphers-key": "ECDHE-RSA-AES256:!aNULL:!eNULL:!EXPORT:!DES:!RC4:!MD5:!PSK"}` + "\n"},
		{"yarn.js", `O6={appId:"OFCNCOG2CU",apiKey:"6fe4476ee5a1832882e326b506d14126",indexName:"npm-search"}` + "\n"},
		{"a_test.java", `String jsonWebKey = "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"kid\":\"key-1\",\"alg\":\"RS256\",\"n\":\"u_A1S-WoVAnHlNQ_1HJmOPBVxIdy1uSNsp5JUF5N4KtOjir9EgG9HhCFRwz48ykEukrgaK4ofyy\"}";` + "\n"},
		{"a.groovy", "  secret: '" + encoded("pleaseChangeThisSecretForANewOne") + "'\n"},
		{"README.md", "[![c](https://codecov.io/gh/acme/app/graph/badge.svg?token=OWTdxAIsPI)](https://codecov.io/gh/acme/app)\n"},
		{"server.py", "GRANT_EXPIRES = {\n    'password': 864000,\n}\n"},
		{"PublicKeyTest.php", "  $newKeyFingerprintClean = '23C6C30E241324C90A44A719A86A7EA3739797F5';\n"},
		{"OpenPGP/BackendTest.php", "  $gnupg->deleteKey('67BFFCB7B74AF4C85E81AB26508850525CD78BAA');\n"},
		{"go.yml", "  MINIO_KMS_MASTER_KEY: minio:6368616e676520746869732070617373776f726420746f206120736563726574\n"},
		{"main.html", `<script data-cf-beacon='{"token": "e44a95720257486eab94698a6b4c6ca6"}'></script>` + "\n"},
		{"git_test.go", `	"verified signature of commit 'shasum' with key '5982D0279C227FFD'"` + "\n"},
		{"reject.json", `{"X-Mandrill-Signature": "8ExrBIUlnVaanrjQrvL8Sh/M9pg="}` + "\n"},
		// the name is that of another value
		{"a_test.java", "  @SpringBootTest({\"APP-CLIENT-SECRET=my-client-secret\",\n      \"YAHOO-CLIENT-ID=my-yahoo-client-id7\"})\n"},
		{"manifest.json", "{\"imports\": [\n \"_AuthenticationCardLogo.b7a1c0d2.js\",\n \"_Checkbox.8f0e1d2c.js\"]}\n"},
		{"guide.md", "| Name | Description |\n|---|---|\n| Keystore Password | Password for the keystore |\n| Keystore Type | Type, such as `PKCS99x7` |\n"},
		{"view_test.go", "	\"Authentication: unauthenticated\",\n	\"h1:wlbEC0Zx7d9cAzq0qqqpX1u2LJa0gBo4pOYmZ8aKk2I=\",\n"},
	} {
		for _, f := range scanText(t, s, c.path, c.text) {
			t.Errorf("%s: %sfound %s %s (%.2f)", c.path, c.text, f.Rule.ID, f.Redacted, f.Confidence)
		}
	}
}

// TestStillValues scans credentials in the same surroundings: the checks behind TestNoValues
// must not hide them.
func TestStillValues(t *testing.T) {
	s := builtin(t)
	for _, c := range []struct{ path, text string }{
		{"config/locales/nl.yml", "  api_token: «V»\n"},
		{"settings.yml", "password: «V» # of the test server\n"},
		{"run.sh", "PGPASSWORD=«V» psql -h localhost\n"},
		{"compose.sh", "docker run -e DB_PASSWORD=«V» image\n"},
		{"deploy.sh", "docker build --build-arg NPM_TOKEN=«V» .\n"},
		{"client.go", "	SetToken(\"token\",\n		\"«V»\")\n"},
		{"mail.php", "  $auth = 'Basic " + base64.StdEncoding.EncodeToString([]byte("svc:"+fakeValue)) + "';\n"},
		{"oauth.js", "  token: '«V»', timestamp: 1529006854, nonce: 'x', signature: 'y'\n"},
		{"vault.yml", "secret_id: «V»\n"},
		{"form.html", `<input type="hidden" name="api_token" value="«V»" />` + "\n"},
		{"guide.md", "| User | Password |\n|---|---|\n| app | «V» |\n"},
		{"const.cs", `const string proxyPass = "«V»";` + "\n"},
		{"config/de.yaml", "db_password: Xk29fLmQ2z!\n"},
		{"lang/Db.java", `  String PASSWORD = "Xk29fLmQ2z!";` + "\n"},
		{"db.go", "// Insert writes the values of a row.\nfunc f(c *C) {\n	c.Set(\"api_key\", \"«V»\")\n"},
		{".env", "MAVEN_GPG_PASSPHRASE=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b\n"},
		{"A.java", `props.put(ApiKeys.STRIPE, "«V»");` + "\n"},
		{"a.js", `  //apiKey: "«V»",` + "\n"},
		{".env", "WTF_CSRF_SECRET_KEY=«V»\n"},
		{".env", "HTTP_PROXY_PASS=«V»\n"},
		{"a.json", `{"timestamp_header": "x-ts", "signature_header": "x-sig", "token": "«V»"}` + "\n"},
		{"a.py", `vault.put("prod/api_key", "«V»")` + "\n"},
		{"a.txt", "note=use+glpat-FAKEkw7Rd2QzVn0tR3al+please\n"},
		{"shell.c", "	password = \"«V»\";\n"},
		{"nginx.go", "	conf := `set $token «V»;`\n"},
		{"secret.yml", "kind: Secret\ndata:\n  password: " + base64.StdEncoding.EncodeToString([]byte(fakeValue)) + "\n"},
		{"client.js", `{appId: "OFCNCOG2CU", adminSecret: "«V»", indexName: "npm-search"}` + "\n"},
		{"client.js", `search({appId: "OFCNCOG2CU", adminApiKey: "9f86d081884c7d659a2feaa0c55ad015", indexName: "products"})` + "\n"},
		{"client.js", `{appId: "OFCNCOG2CU", indexName: "products", openaiApiKey: "«V»"}` + "\n"},
		{"c.go", `	c.do(c.token, "«V»")` + "\n"},
		{"c.js", `e.set(t.apiKey,"«V»")` + "\n"},
		{".env", "API_KEY=acme:prod:9f86d081884c7d659a2feaa0c55ad015\n"},
		{"a.yml", "token: \"v1:live:9f86d081884c7d659a2feaa0c55ad015\"\n"},
		{".env", "GITEA_TOKEN=deploy-bot@4f1bffc5ad015a3bf4f1b29f86d081884c7d659a\n"},
		{"pgpool/v.yml", "consumerKey: 4f1bffc5ad015a3bf4f1b29f86d081884c7d659a\n"},
		{".env", "FINGERPRINT_SECRET=4f1bffc5ad015a3bf4f1b29f86d081884c7d659a\n"},
		{".env", "WOOCOMMERCE_CONSUMER_KEY=ck_4f1bffc5ad015a3bf4f1b29f86d081884c7d659a\n"},
		{"a.md", "token: `qWkXzPvRtYbNmLsDfGhJ`\n"},
		{".env", "PASSWORD=\"k7:-Qx2m:!Zt4Rw8\"\n"},
		{"a.html", `<script data-cf-beacon='{"token": "x"}'></script><script>var stripeSecret="«V»"</script>` + "\n"},
		{"translations/smtp.yml", "password: \"Pärla7xQ2mLp9\"\n"},
		{"config/i18n/prod.json", `{"api_token": "q7 X9-zz 4412 aa91 Zk"}` + "\n"},
		{"secret.yml", "kind: Secret\ndata:\n  password: " + base64.StdEncoding.EncodeToString([]byte("dbpassword123")) + "\n"},
		{"bind.js", "client.bind('cn=root', '«V»', done)\n"},
		{"user.creds", natsToken("user") + "\n"},
	} {
		wantOne(t, s, c.path, strings.ReplaceAll(c.text, "«V»", fakeValue))
	}
}

// TestColumn holds the column of a finding in a part that begins within a line.
func TestColumn(t *testing.T) {
	s := builtin(t)
	text := "x api_token=" + fakeValue + "\ny api_token=" + strings.ToUpper(fakeValue) + "q7z\n"
	found, err := s.Scan(nil, scanner.Blob{Path: "a.env", Line: 7, Indent: 1000, Offset: 5000, Data: []byte(text)})
	if err != nil || len(found) != 2 {
		t.Fatalf("%v, %v", found, err)
	}
	if found[0].Col != 1013 || found[0].Line != 7 || found[1].Col != 13 || found[1].Line != 8 {
		t.Errorf("got %d:%d and %d:%d, want 7:1013 and 8:13", found[0].Line, found[0].Col, found[1].Line, found[1].Col)
	}
}

// natsToken is a token of NATS of a kind, with a signature that is not one.
func natsToken(kind string) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{"typ":"JWT","alg":"ed25519-nkey"}`) + "." + part(`{"jti":"FAKE7x","sub":"FAKE","nats":{"type":"`+kind+`","version":2}}`) + "." + part("fakefakefakefake"+kind+"fakefake9f86d081884c7d659a2f")
}
