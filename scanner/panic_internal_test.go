package scanner

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestPanic has the scanner break on a blob, and a source break: both are told, and
// neither quotes what was read.
func TestPanic(t *testing.T) {
	broken := &Scanner{} // it has no rules, which New does not make
	var got []string
	for _, src := range []Source{
		func(yield func(Blob, error) bool) { yield(Blob{Path: "a", Data: []byte("planted = 4d3f2a1b")}, nil) },
		func(func(Blob, error) bool) { panic("planted") },
	} {
		for _, err := range broken.Run(context.Background(), src) {
			got = append(got, err.Error())
			var gap *Gap
			if strings.Contains(err.Error(), "planted") {
				t.Errorf("the error quotes what was read: %v", err)
			}
			if len(got) == 1 && (!errors.As(err, &gap) || gap.Path != "a") {
				t.Errorf("%v is no gap", err)
			}
		}
	}
	if len(got) != 2 {
		t.Errorf("got %q, want two errors", got)
	}
}
