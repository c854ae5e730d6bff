package scanner

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Facts names a way to read, without asking anybody, what a key says of itself.
type Facts string

// details are what a reader found out about a value.
type details struct {
	facts   []Fact
	expires time.Time
	invalid bool // the value has the form of a key of this kind and cannot be one
}

func (d *details) add(name, value string) {
	if value != "" && len(value) <= 512 {
		d.facts = append(d.facts, Fact{name, value})
	}
}

// factReaders read the correlators that the providers' logs and listings use.
// The value is a whole key; around is the text it stands in.
var factReaders = map[Facts]func(d *details, value, around []byte){
	"jwt":                     jwtFacts,
	"aws-access-key-id":       awsFacts,
	"gcp-json":                gcpFacts,
	"tailscale":               tailscaleFacts,
	"github-hash":             githubHash,
	"ssh-public":              sshFacts,
	"sas":                     sasFacts,
	"azure-connection-string": azureConnectionFacts,
	"age":                     ageFacts,
}

// jwtFacts reads the header and the claims of a JSON Web Token (RFC 7519). A
// token whose header is not JSON is not a credential, and neither is one with the
// claims that NATS publishes of its operators and accounts.
// https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt
func jwtFacts(d *details, v, _ []byte) {
	if i := bytes.Index(v, []byte("eyJ")); i > 0 { // ghs_123_eyJ…
		v = v[i:]
	}
	parts := bytes.Split(v, []byte("."))
	if len(parts) < 2 {
		return
	}
	var head struct{ Kid, Alg, Typ string }
	if json.Unmarshal(rawURL(parts[0]), &head) != nil {
		d.invalid = true
		return
	}
	var claims struct {
		Iss, Sub, Jti, Azp, Type string
		Exp, Iat                 json.Number
		Nats                     struct{ Type string }
	}
	body := rawURL(parts[1])
	if json.Unmarshal(body, &claims) != nil {
		var loose map[string]any // sub as a number, aud as a list: keep what is there
		if json.Unmarshal(body, &loose) != nil {
			d.invalid = len(parts) == 3
			return
		}
	}
	if kind := claims.Nats.Type + claims.Type; strings.HasPrefix(head.Alg, "ed25519") && (kind == "operator" || kind == "account") {
		d.invalid = true
		return
	}
	d.add("kid", head.Kid)
	d.add("iss", claims.Iss)
	d.add("sub", claims.Sub)
	d.add("jti", claims.Jti)
	d.expires = unixTime(claims.Exp)
	if t := unixTime(claims.Iat); !t.IsZero() {
		d.add("issued", t.Format(time.RFC3339))
	}
}

func unixTime(n json.Number) time.Time {
	f, err := n.Float64()
	if err != nil || f <= 0 || f > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(f), 0).UTC()
}

func rawURL(b []byte) []byte {
	out, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(string(b), "="))
	if err != nil {
		return nil
	}
	return out
}

// awsFacts reads the account out of an access key id: the account's number is
// in the 5 bytes after the 4-letter prefix, shifted by 7 bits.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html (prefixes)
func awsFacts(d *details, v, _ []byte) {
	if len(v) != 20 {
		return
	}
	d.add("access_key_id", string(v))
	raw, err := base32.StdEncoding.DecodeString(string(v[4:20]))
	if err != nil || len(raw) < 6 || v[4] == 'I' || v[4] == 'J' { // ids of before 2019 hold no account
		return
	}
	n := binary.BigEndian.Uint64(append([]byte{0, 0}, raw[:6]...))
	account := strconv.FormatUint(n&0x7fffffffff80>>7, 10)
	if len(account) <= 12 { // else it is no account: the id was made up
		d.add("account", strings.Repeat("0", 12-len(account))+account)
	}
}

// gcpFacts reads the fields of a service account file around a private key.
// https://cloud.google.com/iam/docs/keys-create-delete
func gcpFacts(d *details, _, around []byte) {
	for _, name := range []string{"private_key_id", "client_email", "project_id"} {
		d.add(name, jsonField(around, name))
	}
}

// jsonField returns the string value of the first "name": "…" in text, which
// need not be whole JSON.
func jsonField(text []byte, name string) string {
	for _, q := range []string{`"`, `\"`} {
		i := bytes.Index(text, []byte(q+name+q))
		if i < 0 {
			continue
		}
		rest := bytes.TrimLeft(text[i+len(name)+2*len(q):], " \t\r\n:")
		rest, ok := bytes.CutPrefix(rest, []byte(q))
		if !ok {
			continue
		}
		if end := bytes.Index(rest, []byte(q)); end >= 0 && end <= 256 {
			return string(rest[:end])
		}
	}
	return ""
}

// tailscaleFacts reads the id of tskey-TYPE-ID-SECRET.
// https://tailscale.com/kb/1277/key-prefixes
func tailscaleFacts(d *details, v, _ []byte) {
	if parts := strings.SplitN(string(v), "-", 4); len(parts) == 4 {
		d.add("key_id", parts[2])
	}
}

// githubHash is what GitHub's audit log calls hashed_token.
// https://docs.github.com/en/organizations/keeping-your-organization-secure/managing-security-settings-for-your-organization/identifying-audit-log-events-performed-by-an-access-token
func githubHash(d *details, v, _ []byte) {
	sum := sha256.Sum256(v)
	d.add("hashed_token", base64.StdEncoding.EncodeToString(sum[:]))
}

// sshFacts reads the public fingerprint of a private key, as deploy key
// listings and audit logs show it. A key under a passphrase still has it where
// the format keeps the public half in clear.
func sshFacts(d *details, v, _ []byte) {
	block, _ := pem.Decode(unescapePEM(v))
	if block == nil {
		return
	}
	raw, err := ssh.ParseRawPrivateKey(pem.EncodeToMemory(block))
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		d.add("encrypted", "yes")
		if missing.PublicKey != nil {
			d.add("ssh_fingerprint", ssh.FingerprintSHA256(missing.PublicKey))
		}
		return
	}
	if err != nil {
		return
	}
	signer, ok := raw.(crypto.Signer)
	if !ok {
		return
	}
	if pub, err := ssh.NewPublicKey(signer.Public()); err == nil {
		d.add("ssh_fingerprint", ssh.FingerprintSHA256(pub))
	}
}

// sasFacts reads the expiry and the rights of an Azure shared access signature.
// https://learn.microsoft.com/rest/api/storageservices/create-service-sas
func sasFacts(d *details, v, around []byte) {
	q := around
	if bytes.Contains(v, []byte("se=")) {
		q = v
	}
	for name, fact := range map[string]string{"sp": "permissions", "sv": "version", "skn": "key_name", "sr": "resource"} {
		d.add(fact, queryField(q, name))
	}
	se := queryField(q, "se")
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", "2006-01-02"} {
		if t, err := time.Parse(layout, se); err == nil {
			d.expires = t.UTC()
			return
		}
	}
	d.expires = unixTime(json.Number(se))
}

// queryField returns the decoded value of name=… in a query string.
func queryField(text []byte, name string) string {
	for _, sep := range []string{"?", "&", "&amp;", " "} {
		i := bytes.Index(text, []byte(sep+name+"="))
		if i < 0 {
			continue
		}
		rest := text[i+len(sep)+len(name)+1:]
		if end := bytes.IndexAny(rest, "&\"' \t\r\n<>;"); end >= 0 {
			rest = rest[:end]
		}
		if v, err := url.QueryUnescape(string(rest)); err == nil {
			return v
		}
	}
	return ""
}

// azureConnectionFacts reads the host and the key's name of a connection string.
func azureConnectionFacts(d *details, _, around []byte) {
	fields := map[string]string{
		"hostname=": "host", "endpoint=": "host", "accountname=": "account",
		"sharedaccesskeyname=": "key_name", "deviceid=": "device",
	}
	low := bytes.ToLower(around)
	for name, fact := range fields {
		i := bytes.Index(low, []byte(name))
		if i < 0 {
			continue
		}
		rest := around[i+len(name):]
		if end := bytes.IndexAny(rest, ";\"' \t\r\n"); end >= 0 {
			d.add(fact, string(rest[:end]))
		}
	}
}

// ageFacts marks a key by a hash of nothing but its public part, which needs
// the curve: here only the kind is told.
// https://github.com/C2SP/C2SP/blob/main/age.md
func ageFacts(d *details, v, _ []byte) {
	if !bech32OK(string(v)) {
		d.invalid = true
	}
}

// bech32OK checks a BIP-173 checksum, the whole in one case.
func bech32OK(s string) bool {
	const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	s = strings.ToLower(s)
	sep := strings.LastIndexByte(s, '1')
	if sep < 1 || len(s)-sep < 7 {
		return false
	}
	var vals []byte
	for i := range sep {
		vals = append(vals, s[i]>>5)
	}
	vals = append(vals, 0)
	for i := range sep {
		vals = append(vals, s[i]&31)
	}
	for i := sep + 1; i < len(s); i++ {
		n := strings.IndexByte(charset, s[i])
		if n < 0 {
			return false
		}
		vals = append(vals, byte(n))
	}
	chk := uint32(1)
	for _, v := range vals {
		top := chk >> 25
		chk = chk&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				chk ^= g
			}
		}
	}
	return chk == 1
}
