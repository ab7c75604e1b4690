package logstore

import (
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// TestOwnerDamaged reads the file of a directory's owner with every byte changed to
// every other value, and cut to every length.
func TestOwnerDamaged(t *testing.T) {
	t.Parallel()
	o := owner{network: sm.ID("network"), peer: sm.PeerID(sm.ID("peer")), starts: 3}
	whole := o.marshal()
	if got, err := parseOwner(whole); err != nil || got != o {
		t.Fatalf("the whole file: %+v, error %v; want %+v", got, err, o)
	}
	refused := func(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) }
	for i, was := range whole {
		for v := range 256 {
			if whole[i] = byte(v); byte(v) == was {
				continue
			}
			if got, err := parseOwner(whole); !refused(err) {
				t.Errorf("byte %d is %d, not %d: it is read as %+v, error %v", i, v, was, got, err)
			}
		}
		whole[i] = was
	}
	for n := range whole {
		if got, err := parseOwner(whole[:n]); !refused(err) {
			t.Errorf("cut to %d bytes: it is read as %+v, error %v", n, got, err)
		}
	}
	if got, err := parseOwner(append(whole, 0)); !refused(err) {
		t.Errorf("with a byte more: it is read as %+v, error %v", got, err)
	}
}
