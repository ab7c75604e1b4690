package group

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// keptIn is a log of which only the directory is asked for.
type keptIn struct {
	logstore.Log
	dir string
}

func (k keptIn) SnapshotDir() string { return k.dir }

// The golden bytes of format 1.
func TestEstateFormat(t *testing.T) {
	t.Parallel()
	const want = "4d534b4553540d0a" + "01000000" + "45000000000000000000000000000000" + // magic, format, epoch
		"03000000" + "6f6e65" + "00000000" + // two entries
		"649dd6e186f95cdc36a31b30ddec5a1bd7b0af1a658849892bc340d0b9e14aa9"
	log := keptIn{dir: t.TempDir()}
	if err := writeEstate(logstore.FilesIn(log.dir), epochOf("E"), slices.Values([][]byte{[]byte("one"), {}})); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(log.dir, "estate"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, hex.EncodeToString(got)); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
	golden, err := hex.DecodeString(want)
	if err != nil {
		t.Fatal(err)
	}
	epoch, entries, err := parseEstate(golden)
	if err != nil || epoch != epochOf("E") {
		t.Fatalf("the golden bytes are of epoch %v, error %v", epoch, err)
	}
	if diff := cmp.Diff([][]byte{[]byte("one"), {}}, slices.Collect(entries)); diff != "" {
		t.Errorf("their entries (-want +got):\n%s", diff)
	}
}

func TestEstate(t *testing.T) {
	t.Parallel()
	log := keptIn{dir: t.TempDir()}
	files, mine := logstore.FilesIn(log.dir), epochOf("E")
	if got, err := readEstate(log, mine); got != nil || err != nil {
		t.Fatalf("an estate that was never written: %v, error %v", got, err)
	}
	want := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{7}, 1000)}
	if err := writeEstate(files, mine, slices.Values(want)); err != nil {
		t.Fatal(err)
	}
	got, err := readEstate(log, mine)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, slices.Collect(got)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	name := filepath.Join(log.dir, estateFile)
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

	if got, err := readEstate(log, epochOf("F")); got != nil || err != nil {
		t.Errorf("the estate of another epoch: %v, error %v; want nothing", got, err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the estate of an epoch that was never begun stays: error %v", err)
	}
	for range 2 {
		if err := dropEstate(log); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := readEstate(log, mine); got != nil || err != nil {
		t.Errorf("an estate that was removed: %v, error %v", got, err)
	}
}

// TestRecallRemovesLeavings joins with a log that holds nothing, beside which earlier
// processes left an estate and files that they were writing.
func TestRecallRemovesLeavings(t *testing.T) {
	t.Parallel()
	memory, err := logstore.NewMemory[int]().Open(logstore.Opening[int]{})
	if err != nil {
		t.Fatal(err)
	}
	log := keptIn{memory, t.TempDir()}
	files := logstore.FilesIn(log.dir)
	if err := writeEstate(files, epochOf("E"), slices.Values([][]byte{{1}})); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"estate", "00000000000003e8.snapshot"} {
		if err := os.WriteFile(filepath.Join(log.dir, name+"."+rand.Text()+".tmp"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := recall(Config{Log: log}); p != nil || err != nil {
		t.Errorf("a log that holds nothing: %v, error %v", p, err)
	}
	if names, err := files.List(); len(names) > 0 || err != nil {
		t.Errorf("there are still %q, error %v", names, err)
	}
}
