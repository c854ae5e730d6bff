package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
)

// A signature is what a request claims to be signed with, and the MACs of the body as far
// as it was read. It needs no complete body in memory.
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
type signature struct {
	claimed []byte
	macs    []hash.Hash // one for each secret
}

// newSignature returns nil if the header is not well-formed.
func newSignature(secrets []string, header string) *signature {
	digits, ok := strings.CutPrefix(header, "sha256=")
	claimed, err := hex.DecodeString(digits)
	if !ok || err != nil || len(claimed) != sha256.Size {
		return nil
	}
	s := &signature{claimed: claimed}
	for _, secret := range secrets {
		if secret != "" {
			s.macs = append(s.macs, hmac.New(sha256.New, []byte(secret)))
		}
	}
	return s
}

// add adds a part of the body.
func (s *signature) add(part []byte) {
	for _, mac := range s.macs {
		mac.Write(part) // never fails
	}
}

// valid reports whether one of the secrets signed the body. It tries all of them,
// whichever fits, and compares in constant time.
func (s *signature) valid() bool {
	fits := false
	for _, mac := range s.macs {
		if hmac.Equal(mac.Sum(nil), s.claimed) {
			fits = true
		}
	}
	return fits
}
