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
)

// withDir is a log with a directory for snapshots.
type withDir struct {
	logstore.Log
	dir string
}

func (w withDir) SnapshotDir() string { return w.dir }

// TestDurableSnapshots carries a log from one engine to the next, as a process
// that restarts does, and brings up a joiner from what came along.
func TestDurableSnapshots(t *testing.T) {
	t.Parallel()
	log := withDir{memoryLog(t), filepath.Join(t.TempDir(), "snapshots")}
	keep := func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 5 }
	rec := newRecorder()
	r := alone(t, rec, keep)
	for i := range 30 {
		must(t, r, fmt.Sprint(i))
	}
	rec.wait(t, "a snapshot", func() bool { return rec.snapshots > 1 })
	before := rec.history()
	if err := r.engine.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(log.dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("snapshots on disk: %v, %v; want one", files, err)
	}

	nodes := cluster(t, 2)
	introduce(shard, nodes)
	again, joiner := newRecorder(), newRecorder()
	r = nodes[0].start(1, again, true, keep)
	if err := r.ReadIndex(within(t)); err != nil {
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
	agree(t, []*recorder{again, joiner}, 31)
}

func TestSnapshotThatCannotBeKeptMutes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rec := newRecorder()
	log := withDir{memoryLog(t), file}
	r := alone(t, rec, func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 5 })
	for i := range 20 {
		if err := r.Propose(within(t), []byte(fmt.Sprint(i))); err != nil {
			break // it failed already
		}
	}
	rec.wait(t, "Failed", func() bool { return len(rec.failures) > 0 })
	if err := r.Propose(within(t), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("propose: %v; want ErrClosed", err)
	}
}

func TestMissingSnapshotIsAnError(t *testing.T) {
	t.Parallel()
	log := withDir{memoryLog(t), t.TempDir()}
	keep := func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 5 }
	rec := newRecorder()
	r := alone(t, rec, keep)
	for i := range 20 {
		must(t, r, fmt.Sprint(i))
	}
	rec.wait(t, "a snapshot", func() bool { return rec.snapshots > 0 })
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := removeOthers(log.dir, ""); err != nil {
		t.Fatal(err)
	}
	cfg := ReplicaConfig{Shard: shard, Replica: 1, Bootstrap: true, ElectionTimeout: electionTimeout, Machine: rec, Events: rec}
	keep(&cfg)
	if _, err := r.engine.Start(cfg); !errors.Is(err, os.ErrNotExist) {
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
