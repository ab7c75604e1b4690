package group

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// keptIn is a log with a directory and nothing else.
type keptIn struct {
	logstore.Log
	dir string
}

func (k keptIn) SnapshotDir() string { return k.dir }

// TestCarryoverFormat compares a file with the golden bytes of format 1.
func TestCarryoverFormat(t *testing.T) {
	t.Parallel()
	const want = "4d534b4553540d0a" + "01000000" + "45000000000000000000000000000000" + // magic, format, epoch
		"03000000" + "6f6e65" + "01000000" + "32" + // two entries
		"53bdaf87aef8fe9d458ba1d50ca383c17b13cdd34d0bf6be550d15f8a2c7714c"
	log := keptIn{dir: t.TempDir()}
	if err := writeCarryover(logstore.NewFiles(log.dir), epochOf("E"), slices.Values([][]byte{[]byte("one"), []byte("2")})); err != nil {
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
	epoch, entries, err := parseCarryover(bytes.NewReader(golden))
	if err != nil || epoch != epochOf("E") {
		t.Fatalf("the golden bytes are of epoch %v, error %v", epoch, err)
	}
	if diff := cmp.Diff([][]byte{[]byte("one"), []byte("2")}, slices.Collect(entries)); diff != "" {
		t.Errorf("their entries (-want +got):\n%s", diff)
	}
}

func TestCarryover(t *testing.T) {
	t.Parallel()
	log := keptIn{dir: t.TempDir()}
	files, mine := logstore.NewFiles(log.dir), epochOf("E")
	if got, err := readCarryover(log, mine); got != nil || err != nil {
		t.Fatalf("a carryover that was never written: %v, error %v", got, err)
	}
	want := [][]byte{[]byte("one"), {2}, bytes.Repeat([]byte{7}, 1000)}
	if err := writeCarryover(files, mine, slices.Values(want)); err != nil {
		t.Fatal(err)
	}
	got, err := readCarryover(log, mine)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, slices.Collect(got)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	name := filepath.Join(log.dir, carryoverFile)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, _, err := parseCarryover(bytes.NewReader(whole[:n])); !errors.Is(err, logstore.ErrCorrupt) {
			t.Fatalf("%d bytes of it: error %v, want %v", n, err, logstore.ErrCorrupt)
		}
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		if _, _, err := parseCarryover(bytes.NewReader(flipped)); !errors.Is(err, logstore.ErrCorrupt) && !errors.Is(err, logstore.ErrFormat) {
			t.Fatalf("with byte %d flipped: error %v", n, err)
		}
	}
	short := bytes.Clone(whole[:len(whole)-len(sm.Digest{})-1])
	sum := sm.Parts(short)
	if _, _, err := parseCarryover(bytes.NewReader(append(short, sum[:]...))); !errors.Is(err, logstore.ErrCorrupt) {
		t.Errorf("an entry cut short, with a good hash: error %v, want %v", err, logstore.ErrCorrupt)
	}

	if got, err := readCarryover(log, epochOf("F")); got != nil || err != nil {
		t.Errorf("the carryover of another epoch: %v, error %v; want nothing", got, err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the carryover of an epoch that never began stays: error %v", err)
	}
	for range 2 {
		if err := removeCarryover(log); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := readCarryover(log, mine); got != nil || err != nil {
		t.Errorf("a carryover that was removed: %v, error %v", got, err)
	}
}

// TestSparseCarryover reads files that claim to be long and hold little, as a file system gives a
// file any length without writing it. The memory for reading does not depend on the length.
func TestSparseCarryover(t *testing.T) {
	head := append([]byte(carryoverMagic), 1, 0, 0, 0)
	head = append(head, make([]byte, len(Epoch{}))...)
	for name, b := range map[string][]byte{
		"nothing":                 {},
		"a head":                  head,
		"an entry":                append(bytes.Clone(head), 1, 0, 0, 0, 7),
		"an entry that is a hole": append(bytes.Clone(head), 0, 0, 128, 0),
		"an entry of 4 GiB":       append(bytes.Clone(head), 255, 255, 255, 255),
	} {
		for _, length := range []int64{256 << 20, 1 << 40} {
			dir := t.TempDir()
			file := filepath.Join(dir, carryoverFile)
			if err := errors.Join(os.WriteFile(file, b, 0o600), os.Truncate(file, length)); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readCarryover(keptIn{dir: dir}, Epoch{})
			runtime.ReadMemStats(&after)
			if !errors.Is(err, logstore.ErrCorrupt) {
				t.Errorf("%s and a hole up to %d bytes: error %v, want %v", name, length, err, logstore.ErrCorrupt)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
				t.Errorf("%s and a hole up to %d bytes: %d bytes of memory, want at most 1 MiB", name, length, took)
			}
		}
	}
}

// TestLeftFilesAreRemoved joins with an empty log, beside which earlier processes left a carryover
// and unfinished files.
func TestLeftFilesAreRemoved(t *testing.T) {
	t.Parallel()
	memory, err := logstore.NewMemory[int]().Open(logstore.OpenOptions[int]{})
	if err != nil {
		t.Fatal(err)
	}
	log := keptIn{memory, t.TempDir()}
	files := logstore.NewFiles(log.dir)
	if err := writeCarryover(files, epochOf("E"), slices.Values([][]byte{{1}})); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"estate", "00000000000003e8.snapshot"} {
		if err := os.WriteFile(filepath.Join(log.dir, name+"."+rand.Text()+".tmp"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := readPastReplica(Config{Log: log}); p != nil || err != nil {
		t.Errorf("a log that holds nothing: %v, error %v", p, err)
	}
	if names, err := files.List(); len(names) > 0 || err != nil {
		t.Errorf("there are still %q, error %v", names, err)
	}
}
