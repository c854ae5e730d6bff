package score

import "testing"

// TestHarmless holds names by their words: the last word decides, and a word for keys inside
// another word says nothing.
func TestHarmless(t *testing.T) {
	for name, harmless := range map[string]bool{
		"authorId": true, "author_key_hash": true, "monkeyId": true, "turkeyCode": true, "keyboardLayout": true, "tokenizer": true, "tokenizationId": true,
		"passengerName": true, "compassId": true, "bypassHash": true, "passThroughId": true, "secretaryId": true, "credentialId": true, "tokenCount": true,
		"api_key_id": true, "token-checksum": true, "api_key_sha256": true, "secret_name": true, "secretArn": true, "token_accessor": true, "key.version": true,
		"cacheKey": true, "primaryKey": true, "partition_key": true, "sortKey": true, "idempotencyKey": true, "objectKey": true, "s3Key": true, "pageToken": true,
		"nextPageToken": true, "continuation_token": true, "siteKey": true, "recaptchaSiteKey": true, "anon_key": true, "csp_nonce": true, "oauth_signature": true,
		"apiKey": false, "API_KEY": false, "secret_access_key": false, "vault_secret_id": false, "authToken": false, "authorizationToken": false,
		"db_password": false, "pgpassword": false, "clientSecret": false, "keyPassword": false, "master_key": false, "accessKey": false, "private_site_key": false,
		"CLUSTER_JOIN": false, "FLEET_ENROLLMENT": false, "monkey_token": false, "keyboardPassword": false, "encryptionKey1": false,
	} {
		var n Name
		n.Read([]byte(name))
		if why := n.Harmless(); (why != "") != harmless {
			t.Errorf("%s: got %q, want harmless %t", name, why, harmless)
		}
	}
}

// TestProse holds words of languages, which are no credentials where people read them.
func TestProse(t *testing.T) {
	for v, want := range map[string][2]bool{
		"Salasana": {true, false}, "Nie pamiętasz hasła?": {true, true}, "Пароль": {true, true}, "パスワード": {true, true}, "Zugriffsschlüssel-ungültig": {true, true},
		`Cheie-de-acces-expirat\u0103`: {true, true}, "mot de passe": {true, false},
		"hunter2": {false, false}, "p4ssword": {false, false}, "a$b#c%d": {false, false}, "\xff\xfe\xfd": {false, false}, `a\u0031b`: {false, false}, "x": {false, false},
	} {
		if prose, foreign := Prose([]byte(v)); prose != want[0] || prose && foreign != want[1] {
			t.Errorf("%q: got %t, %t, want %v", v, prose, foreign, want)
		}
	}
}

// TestTranslation holds the paths of translations.
func TestTranslation(t *testing.T) {
	for path, want := range map[string]bool{
		"i18n/fi.json": true, "src/messages_fi.properties": true, "messages_pt_BR.properties": true, "src/locale/hu.ts": true, "res/values-de/strings.xml": true,
		"res/values/strings.xml": true, "locale/nl_NL/LC_MESSAGES/django.po": true, "app/nl.lproj/Localizable.strings": true, "Resources.nl.resx": true,
		"config/locales/devise.es.yml": true, "public/lang/it/common.php": true, "translations/messages.nl.yml": true, "lib/l10n/app_sv.arb": true,
		"src/main.go": false, "config/app.json": false, "deploy/values.yaml": false, "src/id.go": false, "conf/db.properties": false, "lib/no.py": true,
		"src/language/parser.go": true, "config/prod.env": false, "my/secrets.yml": false,
	} {
		if got := Translation(path); got != want {
			t.Errorf("%s: got %t, want %t", path, got, want)
		}
	}
}

// TestMadeUp holds values that were made up to show where a credential belongs.
func TestMadeUp(t *testing.T) {
	for v, want := range map[string]bool{
		"a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6": true, "abc123def456ghi789jkl012": true, "123e4567-e89b-12d3-a456-426614174000": true,
		"s2cvzKkVT1PA...": true, "hKt4Fb6P[Redacted]": true, "GR1348941123123123123123123123": true, "AIzaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": true,
		"xxxxXXXX1234xxxx": true, "F4keKeywardNotReal0123456": false, "9f86d081884c7d659a2feaa0c55ad015": false, "kW4rdzQ81vX0pLm27": false,
		"792b7250-9d60-4bd5-97ca-5f1a7a1998b1": false, "aaaabbbbK3yw4rdQz81": false,
	} {
		if got := Placeholder([]byte(v)); got != want {
			t.Errorf("%s: got %t, want %t", v, got, want)
		}
	}
}
