package git

import (
	"errors"
	"fmt"
	"testing"
)

// TestFaults reads what git prints in the C locale.
func TestFaults(t *testing.T) {
	for said, want := range map[string]Fault{
		"fatal: not a git repository (or any of the parent directories): .git":                                        NoRepository,
		"fatal: detected dubious ownership in repository at '/x'\nTo add an exception for this directory, call:\n\tx": ForeignOwner,
		"fatal: couldn't find remote ref HEAD":                                                                        NotThere,
		"fatal: remote error: upload-pack: not our ref 1111111111111111111111111111111111111111":                      NotThere,
		"fatal: Authentication failed for 'https://github.com/acme/app.git/'":                                         Unauthorized,
		"fatal: unable to access 'https://x/': The requested URL returned error: 403":                                 Unauthorized,
		"fatal: bad object HEAD": Damaged,
		"error: inflate: data stream error (invalid stored block lengths)":                                               Damaged,
		"fatal: unable to access 'https://x/': Could not resolve host: x":                                                Unclear,
		"error: inflate: data stream error (invalid distance too far back)\nfatal: x did not send all necessary objects": Damaged,
		"error: inflate: data stream error (incorrect data check)\nfatal: x did not send all necessary objects":          Damaged,
		"fatal: x did not send all necessary objects":                                                                    Incomplete,
		"fatal: protocol error\nfatal: couldn't find remote ref x":                                                       Unclear,
		"": Unclear,
	} {
		err := fmt.Errorf("fetch: %w", gitError("fetch", errors.New("exit status 128"), said))
		if got := FaultOf(err); got != want {
			t.Errorf("%q: got %d, want %d", said, got, want)
		}
	}
	if FaultOf(errors.New("git fetch: Authentication failed")) != Unclear {
		t.Error("a text alone is a fault")
	}
}
