package rotation

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyward/keyward/app/rotation/life"
	"github.com/keyward/keyward/app/store"
	"github.com/keyward/keyward/scanner/report"
)

// A Receipt states what was proved of a key when it was closed. It holds nothing of the
// key but its redacted form, and is signed with Ed25519 (RFC 8032): the signature is over
// the receipt as compact JSON with an empty signature.
type Receipt struct {
	Version     int       `json:"version"`
	Key         string    `json:"key"` // alias
	Fingerprint string    `json:"fingerprint"`
	Kind        string    `json:"kind"`
	Redacted    string    `json:"redacted"`
	Found       time.Time `json:"found"`
	Closed      time.Time `json:"closed"`
	Statement   string    `json:"statement"`
	Proof       []Proof   `json:"proof"`
	Ledger      Link      `json:"ledger"`
	PublicKey   string    `json:"public_key"` // base64
	Signature   string    `json:"signature"`  // base64
}

// Proof is a fact that a receipt rests on.
type Proof struct {
	At     time.Time `json:"at"`
	Fact   string    `json:"fact"`
	Record int64     `json:"record"` // of the ledger
}

// A Link ties a receipt to the record of the ledger that closed the key.
type Link struct {
	Installation int64  `json:"installation"`
	Record       int64  `json:"record"`
	Mac          string `json:"mac"`
}

// maxProof is how many facts a receipt names, the last ones.
const maxProof = 40

// ErrNotClosed says that there is nothing to give a receipt for.
var ErrNotClosed = errors.New("the key was not closed with evidence")

// ErrUnproved says that the records do not prove what a receipt would state.
var ErrUnproved = errors.New("the ledger does not prove the key dead: there is no receipt")

// NewReceipt makes the receipt of a key from its records in the ledger, for when it was
// last closed with evidence. The same records give the same receipt.
func NewReceipt(peppers Peppers, cred *store.Credential, ledger []store.Record) (*Receipt, error) {
	for i := len(ledger) - 1; i >= 0; i-- {
		if r := &ledger[i]; r.To == string(life.Closed) && r.From == string(life.Dead) {
			return (&Keeper{Peppers: peppers}).receipt(cred, ledger, r.Seq)
		}
	}
	return nil, ErrNotClosed
}

func (k *Keeper) receipt(cred *store.Credential, ledger []store.Record, seq int64) (*Receipt, error) {
	private := k.Peppers.SigningKey()
	r := &Receipt{Version: 1, Key: report.Alias(cred.Fingerprint), Fingerprint: cred.Fingerprint, Kind: cred.Rule, Redacted: cred.Redacted,
		PublicKey: base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)), Proof: []Proof{}}
	for i := range ledger {
		rec := &ledger[i]
		switch {
		case rec.Seq > seq:
		case rec.Event == "found":
			r.Found = rec.At
		case rec.To == string(life.Open) && rec.From != rec.To && !life.State(rec.From).Waived() && rec.Event != string(life.Reopen): // what was proved before holds no more
			r.Proof = r.Proof[:0]
		case rec.Seq == seq:
			r.Closed, r.Ledger = rec.At, Link{rec.Installation, rec.Seq, rec.Mac}
		case rec.To == string(life.Dead) && rec.From != rec.To:
			r.Statement = rec.Detail
		case rec.Actor == keyward && rec.From == rec.To && !life.Kind(rec.Event).ByPeople() && life.Kind(rec.Event).Known() && life.Kind(rec.Event) != life.Spread && life.Kind(rec.Event) != life.Deleted:
			if life.Kind(rec.Event) == life.Head { // the last one counts
				r.Proof = slices.DeleteFunc(r.Proof, func(p Proof) bool { return p.Fact == goneFromHead })
			}
			if rec.Detail != atHead {
				r.Proof = append(r.Proof, Proof{rec.At, rec.Detail, rec.Seq})
			}
		}
	}
	if r.Closed.IsZero() {
		return nil, ErrNotClosed
	}
	n := slices.IndexFunc(ledger, func(rec store.Record) bool { return rec.Seq == seq })
	p := provedBy(ledger[:n])
	if missing := p.unproved(); missing != "" {
		return nil, fmt.Errorf("%w: no record proves %s", ErrUnproved, missing)
	}
	r.Proof = r.Proof[max(0, len(r.Proof)-maxProof):]
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the receipt: %w", err)
	}
	r.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(private, text))
	return r, nil
}

// ReadReceipt reads a receipt and checks its signature. With keys it has to be by one of
// them; without, by the one that it names.
func ReadReceipt(text []byte, keys ...ed25519.PublicKey) (*Receipt, error) {
	var r Receipt
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, errors.New("this is not a receipt: JSON with the fields of one is wanted")
	}
	if dec.More() {
		return nil, errors.New("something follows the receipt")
	}
	named, err := base64.StdEncoding.DecodeString(r.PublicKey)
	if err != nil || len(named) != ed25519.PublicKeySize {
		return nil, errors.New("the receipt names no public key")
	}
	signature, err := base64.StdEncoding.DecodeString(r.Signature)
	if err != nil {
		return nil, errors.New("the receipt's signature is not base64")
	}
	if len(keys) > 0 && !slices.ContainsFunc(keys, func(key ed25519.PublicKey) bool { return bytes.Equal(named, key) }) {
		return nil, errors.New("the receipt was signed with another key than the one given")
	}
	bare := r
	bare.Signature = ""
	signed, err := json.Marshal(bare)
	if err != nil {
		return nil, err
	}
	if r.Version != 1 || !ed25519.Verify(named, signed, signature) {
		return nil, errors.New("the signature does not match: the receipt was changed")
	}
	return &r, nil
}
