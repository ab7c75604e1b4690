package logstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// TestOwnerDamaged reads the file of a directory's owner with every byte changed to
// every other value, and cut to every length.
func TestOwnerDamaged(t *testing.T) {
	t.Parallel()
	o := owner{network: sm.ID("network"), peer: sm.PeerID(sm.ID("peer")), starts: 3, id: [16]byte{15: 9}}
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
		t.Errorf("with an extra byte: it is read as %+v, error %v", got, err)
	}
}

// TestOwnerWithoutID opens a directory of format 1, which has no id. The first start
// must draw an id, and each start must increment the stored number and keep the id.
func TestOwnerWithoutID(t *testing.T) {
	t.Parallel()
	path, network := t.TempDir(), sm.ID("network")
	first, err := OpenDir(path, network, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	old := owner{network: network, peer: peerOf(first.Identity()), starts: 7}.marshal()[:ownerID]
	old[8] = 1
	sum := sm.Parts(old)
	if err := os.WriteFile(filepath.Join(path, dirOwner), append(old, sum[:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	var ids [2][16]byte
	for i := range ids {
		d, err := OpenDir(path, network, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ids[i] = d.ID(); d.Starts() != uint64(8+i) || ids[i] == [16]byte{} || ids[i] != ids[0] {
			t.Errorf("start %d has the id %x, and the one before %x; want start %d and one id", d.Starts(), ids[i], ids[0], 8+i)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
