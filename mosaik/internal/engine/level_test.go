package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
)

// newerError is what a machine says of an entry that needs a level.
type newerError struct{ level uint32 }

func (e *newerError) Error() string      { return fmt.Sprint("level ", e.level, " is needed") }
func (e *newerError) NeedsLevel() uint32 { return e.level }

// A machine that cannot apply an entry, since that needs another program, ends its
// replica. From then on nothing is written to the log but the needed level.
func TestRefusedEntryLeavesTheLogAsItIs(t *testing.T) {
	t.Parallel()
	log := &enginetest.CountedLog{Log: enginetest.MemoryLog(t)}
	g := newGroup(t, 3, func(c *ReplicaConfig) {
		if c.Replica == 3 {
			c.Log = log
		}
	})
	old := g.recs[2]
	must(t, g.replicas[0], "before")
	old.wait(t, "the first entry", func() bool { return len(old.applied) > 0 })
	old.update(func() { old.refuses = map[string]error{"newer": &newerError{7}} })
	must(t, g.replicas[0], "newer")
	old.wait(t, "the end of the replica", func() bool { return len(old.failures) > 0 })
	old.mu.Lock()
	err := old.failures[0]
	old.mu.Unlock()
	if newer := new(newerError); !errors.As(err, &newer) || errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), "apply entry") {
		t.Errorf("the replica ended with %v", err)
	}
	if p, ok, err := ReadPast(log); p.Level != 7 || !ok || err != nil {
		t.Errorf("the log's past is %+v, %t, %v; want level 7", p, ok, err)
	}
	state, err := log.State()
	if err != nil {
		t.Fatal(err)
	}
	writes := log.Writes.Load()
	for i := range 50 {
		must(t, g.replicas[0], fmt.Sprint("after ", i))
	}
	after, err := log.State()
	if diff := cmp.Diff(state, after); diff != "" || err != nil {
		t.Errorf("the log changed: %v (-before +after):\n%s", err, diff)
	}
	if now := log.Writes.Load(); now != writes {
		t.Errorf("%d writes after the replica ended, want none", now-writes)
	}
	if got := data(old.entries()); cmp.Diff([]string{"before"}, got[:1]) != "" || len(got) != 1 {
		t.Errorf("the machine applied %q, want what came before", got)
	}
}

// A snapshot that needs another program ends the replica, and its level is noted.
func TestRefusedSnapshotNotesItsLevel(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	every := func(c *ReplicaConfig) { c.SnapshotEvery = 5 }
	rec, joiner := newRecorder(), newRecorder()
	joiner.restores = &newerError{9}
	r := nodes[0].start(1, rec, true, every)
	elect(t, r, rec)
	for i := range 20 {
		must(t, r, fmt.Sprint(i))
	}
	rec.wait(t, "a snapshot", func() bool { return rec.snapshots > 0 })
	addNonVoting(t, r, nodes[1], 2)
	log := enginetest.MemoryLog(t)
	nodes[1].start(2, joiner, false, func(c *ReplicaConfig) { c.Log = log })
	joiner.wait(t, "Failed", func() bool { return len(joiner.failures) > 0 })
	if newer := new(newerError); !errors.As(joiner.failures[0], &newer) {
		t.Errorf("failed with %v; want %v", joiner.failures[0], joiner.restores)
	}
	if p, ok, err := ReadPast(log); p.Level != 9 || !ok || err != nil {
		t.Errorf("the log's past is %+v, %t, %v; want level 9", p, ok, err)
	}
}
