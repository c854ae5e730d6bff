package rotation

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/keyward/keyward/app/store"
)

// Peppers are the secrets that fingerprints, MACs and receipts are derived from, the oldest
// first. New ones are made with the last; the others are for reading what was made before
// they were replaced.
type Peppers [][]byte

// Current is the pepper that new MACs are made with.
func (p Peppers) Current() []byte { return p[len(p)-1] }

// derive returns the key for one purpose that follows from a pepper.
func derive(pepper []byte, purpose string) []byte {
	h := hmac.New(sha256.New, pepper)
	h.Write([]byte("keyward " + purpose))
	return h.Sum(nil)
}

// KeyID names a pepper without giving it away.
func KeyID(pepper []byte) string { return hex.EncodeToString(derive(pepper, "key id")[:4]) }

// Seal authenticates the ledger and the states under the peppers.
func (p Peppers) Seal() *store.Seal {
	s := &store.Seal{Keys: map[string][]byte{}, Restored: Restored}
	for _, pepper := range p {
		id := KeyID(pepper)
		s.Order = append(s.Order, id)
		s.Keys[id] = derive(pepper, "ledger")
	}
	return s
}

// mac authenticates a marker: of a kind of text, of what has the id.
func mac(pepper []byte, kind string, id int64, name string) string {
	h := hmac.New(sha256.New, pepper)
	fmt.Fprintf(h, "keyward %s %d %s", kind, id, name)
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// Macs are the MACs of a marker under all peppers, the present one first.
func (p Peppers) Macs(kind string, id int64, name string) (out []string) {
	for i := len(p) - 1; i >= 0; i-- {
		out = append(out, mac(p[i], kind, id, name))
	}
	return out
}

// CommentKeys are the keys of what is kept of the texts of comments, the present one first;
// see webhook.TextMAC.
func (p Peppers) CommentKeys() (out [][]byte) {
	for i := len(p) - 1; i >= 0; i-- {
		out = append(out, derive(p[i], "comments"))
	}
	return out
}

// SigningKey is the key of new receipts.
func (p Peppers) SigningKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(derive(p.Current(), "receipts"))
}

// ReceiptKeys are the public keys of receipts under all peppers, the present one first.
func (p Peppers) ReceiptKeys() (out []ed25519.PublicKey) {
	for i := len(p) - 1; i >= 0; i-- {
		out = append(out, ed25519.NewKeyFromSeed(derive(p[i], "receipts")).Public().(ed25519.PublicKey))
	}
	return out
}
