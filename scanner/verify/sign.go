package verify

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// signRequest signs a request with AWS Signature Version 4, all its headers and Host.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func signRequest(req *http.Request, body, id string, secret []byte, region, service string, at time.Time) {
	stamp := at.UTC().Format("20060102T150405Z")
	req.Header.Set("X-Amz-Date", stamp)
	scope := strings.Join([]string{stamp[:8], region, service, "aws4_request"}, "/")
	canonical, signed := canonicalRequest(req, body)
	sum := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(sum[:])}, "\n")
	key := append([]byte("AWS4"), secret...)
	for part := range strings.SplitSeq(scope, "/") {
		key = hash(key, part)
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x", id, scope, signed, hash(key, toSign)))
}

func hash(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// canonicalRequest returns the canonical form of a request, and the names of the headers in
// it. The requests of checks have neither a query nor a path that would need encoding.
func canonicalRequest(req *http.Request, body string) (text, signed string) {
	values := map[string]string{"host": req.URL.Host}
	if req.Host != "" {
		values["host"] = req.Host
	}
	for name, v := range req.Header {
		values[strings.ToLower(name)] = strings.Join(v, ",")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	var headers strings.Builder
	for _, name := range names {
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.Join(strings.Fields(values[name]), " "))
	}
	signed = strings.Join(names, ";")
	sum := sha256.Sum256([]byte(body))
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	return strings.Join([]string{req.Method, path, req.URL.RawQuery, headers.String(), signed, hex.EncodeToString(sum[:])}, "\n"), signed
}

// privateKey reads the RSA key of a service account out of a key file, where its line ends
// are written as \n.
func privateKey(value []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(bytes.ReplaceAll(value, []byte(`\n`), []byte("\n")))
	if block == nil {
		return nil, errors.New("not asked: the private key is not whole")
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if k, ok := k.(*rsa.PrivateKey); ok {
			return k, nil
		}
	}
	k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not asked: the private key is not an RSA key")
	}
	return k, nil
}

// assertion is the signed JWT that a service account's key is exchanged with.
// https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests
func assertion(k *rsa.PrivateKey, email, audience string, at time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": email, "scope": "https://www.googleapis.com/auth/cloud-platform", "aud": audience, "iat": at.Unix(), "exp": at.Add(5 * time.Minute).Unix(),
	})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign the assertion: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// newPrivateKey is a look-alike of a service account's private key.
func newPrivateKey() ([]byte, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make a look-alike key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("make a look-alike key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
