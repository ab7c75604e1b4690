package logstore

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/sm"
)

var update = flag.Bool("update", false, "write the golden files")

// The golden directories: one of format 1, which is only read, and one of format 2,
// which is also written.
const (
	goldenOld = "testdata/disk1"
	goldenDir = "testdata/disk2"
)

// goldenLogs is the content of the golden directories. It never changes.
var goldenLogs = [2]held{
	{
		State: State{
			Meta:     []byte("metadata"),
			Hard:     HardState{Term: 3, Vote: 1 << 63, Commit: 5},
			Snapshot: Snapshot{Cursor: sm.Cursor{Term: 2, Index: 4}, Record: []byte("record")},
			Pruned:   sm.Cursor{Term: 2, Index: 3},
			Last:     sm.Cursor{Term: 3, Index: 6},
		},
		Entries: []Entry{
			{Index: 4, Term: 2, Kind: 1, Key: 7, Data: []byte("four")},
			{Index: 5, Term: 3, Kind: 255, Key: 1 << 63, Data: []byte{}},
			{Index: 6, Term: 3, Kind: 0, Key: 0, Data: make([]byte, 700)},
		},
	},
	{
		State:   State{Pruned: sm.Cursor{Term: 9, Index: 99}, Last: sm.Cursor{Term: 9, Index: 100}},
		Entries: []Entry{{Index: 100, Term: 9, Data: []byte("hundred")}},
	},
}

// goldenBatches produce that content. Each kind of change occurs once.
func goldenBatches() [2][]Batch {
	want := goldenLogs[0]
	four := want.Entries[0]
	return [2][]Batch{
		{
			{Entries: []Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}}, Meta: []byte("old")},
			{Clear: true, Meta: want.State.Meta},
			{Entries: []Entry{{Index: 1, Term: 1}, {Index: 2, Term: 2}, {Index: 3, Term: 2}, four, {Index: 5, Term: 2}, {Index: 6, Term: 2}}},
			{Truncate: 6, Hard: &want.State.Hard},
			{Entries: want.Entries[1:], Snapshot: &want.State.Snapshot},
		},
		{
			{Entries: []Entry{{Index: 1, Term: 1, Data: make([]byte, 900)}}},
			{Reset: &goldenLogs[1].State.Pruned, Entries: goldenLogs[1].Entries},
		},
	}
}

// writeGolden writes the golden directory's files.
func writeGolden(t *testing.T, fs *faultfs.FS) {
	t.Helper()
	cfg := diskConfig{fs: fs, segment: 1024, id: [16]byte([]byte("golden directory"))}
	for g, batches := range goldenBatches() {
		log, err := openHistory(cfg, g)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			if err := log.Save(b); err != nil {
				t.Fatal(err)
			}
		}
		if g == 0 {
			if err := log.Prune(3); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// readGolden returns a disk that holds a golden directory.
func readGolden(t *testing.T, dir string) *faultfs.FS {
	t.Helper()
	golden, err := os.ReadDir(dir)
	if err != nil || len(golden) < 2 {
		t.Fatalf("golden files: %v, %v; want some", golden, err)
	}
	fs := faultfs.New()
	for _, entry := range golden {
		b, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fs.Write(filepath.Join(historyDir, "log", entry.Name()), b)
	}
	return fs
}

func TestDiskGolden(t *testing.T) {
	t.Parallel()
	written := faultfs.New()
	writeGolden(t, written)
	dir := historyDir + "/log"
	names, err := written.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(goldenDir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, _ := written.Read(filepath.Join(dir, name))
			if err := os.WriteFile(filepath.Join(goldenDir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	golden := readGolden(t, goldenDir)
	then, err := golden.List(dir)
	if diff := cmp.Diff(then, names); diff != "" || err != nil {
		t.Errorf("files (-then +now), error %v:\n%s", err, diff)
	}
	for _, name := range names {
		name = filepath.Join(dir, name)
		b, _ := golden.Read(name)
		now, _ := written.Read(name)
		if diff := cmp.Diff(b, now); diff != "" {
			t.Errorf("%s is written differently than before (-then +now):\n%s", name, diff)
		}
	}
}

// TestDiskGoldenIsRead opens the golden directories and appends to their logs in new
// segments.
func TestDiskGoldenIsRead(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{goldenOld, goldenDir} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			fs, want := readGolden(t, dir), goldenLogs
			for round := range 4 {
				for g := range want {
					log, err := openHistory(diskConfig{fs: fs, segment: 1024}, g)
					if err != nil {
						t.Fatal(err)
					}
					got, err := tryHold(log)
					if err != nil || !got.equal(want[g]) {
						t.Errorf("round %d, group %d (-want +got), error %v:\n%s", round, g, err, cmp.Diff(want[g], got))
					}
					for range round { // which adds a segment in each round
						last := got.State.Last
						last.Index++
						if err := log.Save(Batch{Entries: []Entry{{Index: last.Index, Term: last.Term, Data: make([]byte, 600)}}}); err != nil {
							t.Fatal(err)
						}
						got = hold(log)
					}
					want[g] = got
					if err := log.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func FuzzDiskRecord(f *testing.F) {
	for _, batches := range goldenBatches() {
		for _, b := range batches {
			id := sm.ID("group")
			r := record{number: 7, names: &id, batch: b, prune: 3}
			seed, _ := r.appendTo(nil)
			f.Add(seed)
		}
	}
	for g, h := range goldenLogs {
		s := logState{number: uint32(g), state: h.State, terms: termRuns{{Term: 2, Index: 4}, {Term: 3, Index: 5}}}
		f.Add(s.appendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, n, _, err := parseRecord(b, nil); err == nil {
			if again, _ := r.appendTo(nil); string(again) != string(b[:n]) {
				t.Errorf("%x was read as the change %x", b[:n], again)
			}
		}
		if s, n, err := parseState(b); err == nil {
			if again := s.appendTo(nil); string(again) != string(b[:n]) {
				t.Errorf("%x was read as the state %x", b[:n], again)
			}
		}
	})
}

// FuzzDiskOpen opens directories with two files of arbitrary bytes.
func FuzzDiskOpen(f *testing.F) {
	golden, err := filepath.Glob(goldenDir + "/*.log")
	if err != nil || len(golden) < 2 {
		f.Fatal("no golden files")
	}
	var seeds [2][]byte
	for i := range seeds {
		if seeds[i], err = os.ReadFile(golden[i]); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(seeds[0], seeds[1])
	f.Add(seeds[0], []byte{})
	f.Add(seeds[1], seeds[0])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		fs := faultfs.New()
		fs.Write(historyDir+"/log/0000000000000002.log", first)
		if len(second) > 0 {
			fs.Write(historyDir+"/log/0000000000000003.log", second)
		}
		for g := range goldenLogs {
			log, err := openHistory(diskConfig{fs: fs, segment: 1024}, g)
			if err != nil {
				continue
			}
			if _, err := tryHold(log); err != nil {
				t.Errorf("a log that was opened cannot be read: %v", err)
			}
			if err := log.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	})
}
