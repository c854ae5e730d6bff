package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/keyward/keyward/scanner/policy"
)

// What is stored as JSON has explicit names and a version, which a release raises that changes
// what a name means. Golden files hold each form: TestStoredForms and TestFormerForms. Arrays
// have no version: another form of them is an object. Arguments of jobs have none either:
// another form of them is a job of another kind.

// The versions that this release writes. It reads all up to them; 0 is release 0.9.
const (
	ResultVersion   = 1
	settingsVersion = 1
)

// ErrNewer says that a newer release stored something that this one cannot read.
var ErrNewer = errors.New("stored by a newer release: update this process")

// NewerThan returns an error if a stored form has a version that this release does not know.
func NewerThan(what string, version, known int) error {
	if version > known {
		return fmt.Errorf("%s, version %d: %w", what, version, ErrNewer)
	}
	return nil
}

// StoredSettings is how the settings of a credential are stored.
type StoredSettings struct {
	Version int `json:"v"`
	policy.App
}

func encodeSettings(p policy.App) (string, error) {
	text, err := json.Marshal(StoredSettings{settingsVersion, p})
	return string(text), err
}

func decodeSettings(text string) (policy.App, error) {
	var s StoredSettings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s.App, fmt.Errorf("settings of a credential: %w", err)
	}
	return s.App, NewerThan("settings of a credential", s.Version, settingsVersion)
}

// sameSettings reports whether stored settings are those of text, which this release encoded,
// whatever release stored them. Settings that cannot be read are not.
func sameSettings(stored, text string) bool {
	if stored == text {
		return true
	}
	settings, err := decodeSettings(stored)
	if err != nil {
		return false
	}
	again, err := encodeSettings(settings)
	return err == nil && again == text
}
