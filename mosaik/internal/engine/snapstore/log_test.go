package snapstore

import (
	"testing"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

// TestReceivedSnapshotOvertakesACopy lets a snapshot of another member arrive
// while one that was taken here is copied.
func TestReceivedSnapshotOvertakesACopy(t *testing.T) {
	t.Parallel()
	f, log := NewFS(), enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: t.TempDir()}
	if err := f.MkdirAll("/here/snapshot-1-2", 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(index sm.Index) {
		t.Helper()
		dir := f.PathDir(f.path("/here/snapshot-1-2", index))
		if err := f.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := f.Create(f.path("/here/snapshot-1-2", index))
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d, err := f.OpenLog(log, 1, 2, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	record := func(index sm.Index) *logstore.Snapshot {
		return &logstore.Snapshot{Cursor: sm.Cursor{Term: 1, Index: index}, Record: []byte("record")}
	}
	put(10)
	put(20)
	began := d.resets
	if err := d.Save(logstore.Batch{Snapshot: record(20), Reset: &sm.Cursor{Term: 1, Index: 20}}); err != nil {
		t.Fatal(err)
	}
	if kept, err := d.keep(record(10), began); kept || err != nil {
		t.Errorf("the copy of an older snapshot: kept %v, %v", kept, err)
	}
	d.clean()
	if st, err := log.State(); err != nil || st.Snapshot.Cursor.Index != 20 {
		t.Errorf("the record is of the snapshot at %d, %v; want 20", st.Snapshot.Cursor.Index, err)
	}
	enginetest.WantFiles(t, log.Dir, FileName(20))
	if err := d.Finish(); err != nil {
		t.Error(err)
	}
}

// database is a log database that knows one snapshot.
type database struct {
	raftio.ILogDB
	snapshot pb.Snapshot
}

func (d database) GetSnapshot(uint64, uint64) (pb.Snapshot, error) { return d.snapshot, nil }

func TestSnapshotRecords(t *testing.T) {
	t.Parallel()
	f := NewFS()
	if err := f.MkdirAll("/here/snapshot-1-2", 0o700); err != nil {
		t.Fatal(err)
	}
	db := records{database{snapshot: pb.Snapshot{Index: 10, Filepath: "/elsewhere/file"}}, f}
	got, err := db.GetSnapshot(1, 2)
	if want := "/here/snapshot-1-2/snapshot-000000000000000A/snapshot-000000000000000A.gbsnap"; err != nil || got.Filepath != want {
		t.Errorf("record at %q, %v; want %q", got.Filepath, err, want)
	}

	// A snapshot in flight when the replica stops does not end the process.
	if err := f.Stop(1, 2); err != nil {
		t.Fatal(err)
	}
	if got, err := db.GetSnapshot(1, 2); err != nil || got.Index <= 10 {
		t.Errorf("record of a stopped replica at %d, %v; want it to be superseded", got.Index, err)
	}
	file, err := f.Open("/here/snapshot-1-2/snapshot-000000000000000A/snapshot-000000000000000A.gbsnap")
	if err != nil {
		t.Fatalf("open the file of a stopped replica: %v", err)
	}
	if n, err := file.ReadAt(make([]byte, 10), 1<<20); n != 10 || err != nil {
		t.Errorf("read the file of a stopped replica: %d, %v", n, err)
	}
	if _, err := f.List("/here/snapshot-1-2"); err != nil {
		t.Errorf("the directory of a stopped replica: %v", err)
	}
	if _, err := f.Open("/here/snapshot-1-3/file"); err == nil {
		t.Error("another missing file opens")
	}
}
