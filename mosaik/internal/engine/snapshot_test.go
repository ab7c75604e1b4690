package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
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
	before := rec.entries()
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
	if diff := cmp.Diff(before, again.entries()); diff != "" {
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
	before, again := rec.entries(), newRecorder()
	r.restart(t, again, keep)
	if diff := cmp.Diff(before, again.entries()); diff != "" {
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
	if err := snapstore.RemoveAll(logstore.NewFiles(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.again(newRecorder(), keep); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("start: %v; want ErrNotExist", err)
	}
}

// The next start removes the files of any index that a crash has left.
func TestStartRemovesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	r, dir, keep := stoppedWithSnapshot(t)
	kept, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("files %v, %v; want one", kept, err)
	}
	for _, name := range []string{snapstore.FileName(1 << 40), snapstore.FileName(1) + ".A.tmp", snapstore.FileName(1<<40) + ".B.tmp", filepath.Base(kept[0]) + ".C.tmp", "estate"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.restart(t, newRecorder(), func(c *ReplicaConfig) { keep(c); c.SnapshotEvery = 0 })
	enginetest.WantFiles(t, dir, filepath.Base(kept[0]), "estate")
}

// TestSnapshotsAreCompressed looks at what lies on disk, and starts from it.
func TestSnapshotsAreCompressed(t *testing.T) {
	t.Parallel()
	log := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: t.TempDir()}
	keep := func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 5 }
	rec := newRecorder()
	r := alone(t, rec, keep)
	line := strings.Repeat("all the same ", 1000)
	for i := range 20 {
		must(t, r, fmt.Sprint(i, line))
	}
	rec.wait(t, "a snapshot", func() bool { return rec.taken > 0 })
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(log.Dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("files: %v, %v; want one", names, err)
	}
	info, err := os.Stat(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if content := 5 * len(line); info.Size() > int64(content)/4 {
		t.Errorf("a snapshot of at least %d bytes takes %d on disk", content, info.Size())
	}
	again := newRecorder()
	r.restart(t, again, keep)
	if diff := cmp.Diff(data(rec.entries()), data(again.entries())); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
}

// TestDamagedSnapshotIsAnError starts replicas from snapshots that the disk
// changed: dragonboat would end the process.
func TestDamagedSnapshotIsAnError(t *testing.T) {
	t.Parallel()
	r, dir, keep := stoppedWithSnapshot(t)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("files: %v, %v; want one", names, err)
	}
	good, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(good); i += 1 + len(good)/50 {
		damaged := bytes.Clone(good)
		damaged[i] ^= 0x40
		if err := os.WriteFile(names[0], damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.again(newRecorder(), keep); !errors.Is(err, ErrStorage) || !errors.Is(err, logstore.ErrCorrupt) && !errors.Is(err, logstore.ErrFormat) {
			t.Errorf("start with byte %d of %d changed: %v; want ErrStorage and ErrCorrupt", i, len(good), err)
		}
	}
	if err := os.WriteFile(names[0], good, 0o600); err != nil {
		t.Fatal(err)
	}
	r.restart(t, newRecorder(), keep)
}
