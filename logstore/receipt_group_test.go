package logstore_test

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestReceivedSnapshotHoldsUpNobody sends a snapshot to a member whose disk blocks
// the first write of it. Meanwhile the groups in memory on the same node must
// continue. The groups of a process share two workers, so some of the groups share
// the member's worker.
func TestReceivedSnapshotHoldsUpNobody(t *testing.T) {
	t.Parallel()
	f := newFaultyWith(t, 10, 1<<20)
	const late = 2
	for i := range late {
		f.join(i)
	}
	testutil.Settle(t, f.groups[:late]...)
	for i := range late {
		f.compact(i)
	}
	side := f.lone(late, 12)
	disk := f.disks[late]
	began, over := make(chan struct{}), make(chan struct{})
	var once sync.Once
	disk.Inject(func(op faultfs.Op) error {
		if op.Kind == "write" && strings.Contains(op.Name, ".snapshot") {
			once.Do(func() { close(began) })
			<-over
		}
		return nil
	})
	release := sync.OnceFunc(func() { disk.Inject(nil); close(over) })
	t.Cleanup(release)
	f.join(late)
	select {
	case <-began:
	case <-soon(t).Done():
		t.Fatal("no snapshot was received")
	}
	for i, g := range side {
		if _, err := g.Execute(soon(t), note{N: i}); err != nil {
			t.Fatalf("execute in group %d while a snapshot is being written: %v", i, err)
		}
		if _, err := g.When().Leading(soon(t)); err != nil {
			t.Errorf("group %d lost its leader: %v", i, err)
		}
	}
	f.works(f.groups[:late]...)
	release()
	testutil.Settle(t, f.groups...)
	f.works(f.groups...)
	f.wantAcked(f.groups...)
}

// compact notes numbers until a member's first snapshot was replaced, so that its log
// begins after a snapshot.
func (f *faulty) compact(i int) {
	f.t.Helper()
	dir := filepath.Join(f.dirs[i], "snapshots", f.groups[i].ID().String())
	for first := ""; ; f.must(f.groups[i], 0) {
		names, err := f.disks[i].List(dir)
		if err != nil {
			f.t.Fatal(err)
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".snapshot") })
		switch {
		case len(names) == 0:
		case first == "":
			first = names[0]
		case names[0] != first:
			return
		}
	}
}
