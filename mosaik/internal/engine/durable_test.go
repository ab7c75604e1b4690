package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

// TestDurableSnapshots carries a log from one engine to the next, as a process
// that restarts does, and brings up a joiner from what came along.
func TestDurableSnapshots(t *testing.T) {
	t.Parallel()
	log := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: filepath.Join(t.TempDir(), "snapshots")}
	keep := func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 5 }
	rec := newRecorder()
	r := alone(t, rec, keep)
	n := 0
	for taken := 0; taken < 2; n++ { // those that come while one is copied are passed over
		must(t, r, fmt.Sprint(n))
		rec.mu.Lock()
		taken = rec.taken
		rec.mu.Unlock()
	}
	before := rec.history()
	if err := r.engine.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(log.Dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("snapshots on disk: %v, %v; want one", files, err)
	}

	nodes := cluster(t, 2)
	introduce(shard, nodes)
	again, joiner := newRecorder(), newRecorder()
	r = nodes[0].start(1, again, true, keep)
	if err := r.ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatal(err)
	}
	if again.restored != 1 {
		t.Errorf("%d snapshots restored, want 1", again.restored)
	}
	if diff := cmp.Diff(before, again.history()); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
	join(t, r, nodes[1], 2, joiner, func(c *ReplicaConfig) { c.SnapshotEvery = 5 })
	joiner.wait(t, "a restored snapshot", func() bool { return joiner.restored > 0 })
	must(t, r, "after")
	agree(t, []*recorder{again, joiner}, n+1)
}

// TestSnapshotThatCannotBeKept takes snapshots that the disk does not, until it
// does: the log is kept whole for so long, and the replica never stops.
func TestSnapshotThatCannotBeKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rec := newRecorder()
	log := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: file}
	keep := func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 5 }
	r := alone(t, rec, keep)
	for i := 0; ; i++ {
		must(t, r, fmt.Sprint(i))
		rec.mu.Lock()
		failed := len(rec.snapErrors)
		rec.mu.Unlock()
		if failed > 2 {
			break
		}
	}
	if st, err := log.State(); err != nil || st.Pruned.Index != 0 || st.Snapshot.Cursor.Index != 0 {
		t.Errorf("the log is pruned through %d and has a snapshot at %d, %v; want neither", st.Pruned.Index, st.Snapshot.Cursor.Index, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for pruned := false; !pruned; {
		must(t, r, "more")
		st, err := log.State()
		if err != nil {
			t.Fatal(err)
		}
		pruned = st.Pruned.Index > 0
	}
	rec.wait(t, "SnapshotTaken", func() bool { return rec.taken > 0 })
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	before, again := rec.history(), newRecorder()
	r.restart(t, again, keep)
	if diff := cmp.Diff(before, again.history()); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
	if len(rec.failures) > 0 {
		t.Errorf("the replica failed: %v", rec.failures)
	}
}

// restart starts a replica that was stopped, on its engine, and waits until it has
// applied all.
func (r *Replica) restart(t testing.TB, rec *recorder, change func(*ReplicaConfig)) {
	t.Helper()
	again, err := r.again(rec, change)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatal(err)
	}
}

// again starts what was stopped.
func (r *Replica) again(rec *recorder, change func(*ReplicaConfig)) (*Replica, error) {
	cfg := ReplicaConfig{Shard: r.shard, Replica: r.id, Bootstrap: true, ElectionTimeout: electionTimeout, Machine: rec, Events: rec}
	change(&cfg)
	return r.engine.Start(cfg)
}

// TestReceivedSnapshotOvertakesACopy lets a snapshot of another member arrive
// while one that was taken here is copied.
func TestReceivedSnapshotOvertakesACopy(t *testing.T) {
	t.Parallel()
	f, log := newFiles(), enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: t.TempDir()}
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
	d, err := f.durable(log, 1, 2, func(event) {})
	if err != nil {
		t.Fatal(err)
	}
	record := func(index sm.Index) *logstore.Snapshot {
		return &logstore.Snapshot{Cursor: sm.Cursor{Term: 1, Index: index}, Record: []byte("record")}
	}
	put(10)
	put(20)
	began := d.era
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
	wantFiles(t, log.Dir, snapshotFile(20))
	if err := d.finish(); err != nil {
		t.Error(err)
	}
}

// wantFiles fails the test unless a directory holds these files.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	var got []string
	for _, path := range paths {
		got = append(got, filepath.Base(path))
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("files (-want +got):\n%s%v", diff, err)
	}
}

// stoppedWithSnapshot returns a replica that was stopped, the directory with its
// snapshot, and what configures its next start.
func stoppedWithSnapshot(t *testing.T) (r *Replica, dir string, keep func(*ReplicaConfig)) {
	t.Helper()
	log := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: t.TempDir()}
	keep = func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 5 }
	rec := newRecorder()
	r = alone(t, rec, keep)
	for i := range 20 {
		must(t, r, fmt.Sprint(i))
	}
	rec.wait(t, "a snapshot", func() bool { return rec.taken > 0 })
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	return r, log.Dir, keep
}

func TestMissingSnapshotIsAnError(t *testing.T) {
	t.Parallel()
	r, dir, keep := stoppedWithSnapshot(t)
	if err := removeAllSnapshots(logstore.FilesIn(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.again(newRecorder(), keep); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("start: %v; want ErrNotExist", err)
	}
}

// records is a log database that knows one snapshot.
type records struct {
	raftio.ILogDB
	snapshot pb.Snapshot
}

func (r records) GetSnapshot(uint64, uint64) (pb.Snapshot, error) { return r.snapshot, nil }

func TestSnapshotRecords(t *testing.T) {
	t.Parallel()
	f := newFiles()
	if err := f.MkdirAll("/here/snapshot-1-2", 0o700); err != nil {
		t.Fatal(err)
	}
	db := supersede{records{snapshot: pb.Snapshot{Index: 10, Filepath: "/elsewhere/file"}}, f}
	got, err := db.GetSnapshot(1, 2)
	if want := "/here/snapshot-1-2/snapshot-000000000000000A/snapshot-000000000000000A.gbsnap"; err != nil || got.Filepath != want {
		t.Errorf("record at %q, %v; want %q", got.Filepath, err, want)
	}

	// What is under way when the replica stops goes on.
	if err := f.stop(1, 2); err != nil {
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
