package group

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

func TestEstate(t *testing.T) {
	t.Parallel()
	dir, mine := t.TempDir(), epochOf("E")
	if got, err := readEstate(dir, mine); got != nil || err != nil {
		t.Fatalf("an estate that was never written: %v, error %v", got, err)
	}
	want := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{7}, 1000)}
	if err := writeEstate(dir, mine, slices.Values(want)); err != nil {
		t.Fatal(err)
	}
	got, err := readEstate(dir, mine)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, slices.Collect(got)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if got, err := readEstate(dir, epochOf("F")); got != nil || err != nil {
		t.Errorf("the estate of another epoch: %v, error %v; want nothing", got, err)
	}

	name := filepath.Join(dir, estateFile)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, _, err := parseEstate(whole[:n]); !errors.Is(err, logstore.ErrCorrupt) {
			t.Fatalf("%d bytes of it: error %v, want %v", n, err, logstore.ErrCorrupt)
		}
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		if _, _, err := parseEstate(flipped); !errors.Is(err, logstore.ErrCorrupt) && !errors.Is(err, logstore.ErrFormat) {
			t.Fatalf("with byte %d flipped: error %v", n, err)
		}
	}
	short := bytes.Clone(whole[:len(whole)-len(sm.Digest{})-1])
	sum := sm.Parts(short)
	if _, _, err := parseEstate(append(short, sum[:]...)); !errors.Is(err, logstore.ErrCorrupt) {
		t.Errorf("an entry cut short, with a good hash: error %v, want %v", err, logstore.ErrCorrupt)
	}

	for range 2 {
		if err := dropEstate(dir); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := readEstate(dir, mine); got != nil || err != nil {
		t.Errorf("an estate that was removed: %v, error %v", got, err)
	}
}
