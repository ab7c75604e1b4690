package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// brittle is a log that fails, or panics, after a call of fail.
type brittle struct {
	logstore.Log
	mu     sync.Mutex
	broken error
	panics bool
}

func (b *brittle) Save(batch logstore.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.panics {
		panic("brittle: panic")
	}
	if b.broken != nil {
		return b.broken
	}
	return b.Log.Save(batch)
}

func (b *brittle) fail(err error, panics bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken, b.panics = err, panics
}

// alone starts the only replica of a shard, which leads, on a node of its own.
func alone(t testing.TB, rec *recorder, change func(*ReplicaConfig)) *Replica {
	t.Helper()
	r := cluster(t, 1)[0].start(1, rec, true, change)
	elect(t, r, rec)
	return r
}

func TestFailedLogFencesItsReplica(t *testing.T) {
	t.Parallel()
	for _, panics := range []bool{false, true} {
		t.Run(fmt.Sprint("panics=", panics), func(t *testing.T) {
			t.Parallel()
			log := &brittle{Log: enginetest.MemoryLog(t)}
			rec, other := newRecorder(), newRecorder()
			r := alone(t, rec, func(c *ReplicaConfig) { c.Log = log })
			must(t, r, "before")
			neighbour, err := r.engine.Start(ReplicaConfig{
				Shard: shard + 1, Replica: 1, Bootstrap: true, ElectionTimeout: electionTimeout,
				Log: enginetest.MemoryLog(t), Machine: other, Events: other,
			})
			if err != nil {
				t.Fatal(err)
			}
			elect(t, neighbour, other)

			broken := errors.New("the disk is gone")
			log.fail(broken, panics)
			if err := r.Propose(enginetest.Within(t), []byte("after")); !errors.Is(err, ErrUnknown) {
				t.Errorf("propose on a failed log: %v; want ErrUnknown", err)
			}
			rec.wait(t, "Failed", func() bool { return len(rec.failures) > 0 })
			if !panics && !errors.Is(rec.failures[0], broken) {
				t.Errorf("failed with %v; want %v", rec.failures[0], broken)
			}
			if err := r.Propose(enginetest.Within(t), []byte("later")); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrNotApplied) {
				t.Errorf("propose on a fenced replica: %v; want ErrClosed and ErrNotApplied", err)
			}
			if err := r.ReadIndex(enginetest.Within(t)); !errors.Is(err, ErrClosed) {
				t.Errorf("read on a fenced replica: %v; want ErrClosed", err)
			}
			if diff := cmp.Diff([]string{"before"}, data(rec.entries())); diff != "" {
				t.Errorf("applied (-want +got):\n%s", diff)
			}
			must(t, neighbour, "alive")
			if err := r.Stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestFencedLeaderIsReplaced(t *testing.T) {
	t.Parallel()
	log := &brittle{Log: enginetest.MemoryLog(t)}
	first := true
	g := newGroup(t, 3, func(c *ReplicaConfig) {
		if first {
			c.Log, first = log, false
		}
	})
	must(t, g.replicas[1], "before")
	log.fail(errors.New("the disk is gone"), false)
	g.replicas[0].Propose(enginetest.Within(t), []byte("lost or not"))
	g.recs[1].wait(t, "another leader", func() bool {
		last := g.recs[1].leaders[len(g.recs[1].leaders)-1]
		return last.leader > 1
	})
	must(t, g.replicas[1], "after")
	must(t, g.replicas[2], "after")
}

func TestPanickingMachineFencesItsReplica(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	rec.panicsAt = "boom"
	r := alone(t, rec, nil)
	must(t, r, "before")
	if err := r.Propose(enginetest.Within(t), []byte("boom")); !errors.Is(err, ErrUnknown) {
		t.Errorf("propose: %v; want ErrUnknown", err)
	}
	rec.wait(t, "Failed", func() bool { return len(rec.failures) == 1 })
	if err := r.Propose(enginetest.Within(t), []byte("after")); !errors.Is(err, ErrNotApplied) {
		t.Errorf("propose: %v; want ErrNotApplied", err)
	}
}

func TestSnapshotErrorIsReported(t *testing.T) {
	t.Parallel()
	for _, panics := range []bool{false, true} {
		t.Run(fmt.Sprint("panics=", panics), func(t *testing.T) {
			t.Parallel()
			testSnapshotError(t, panics)
		})
	}
}

func testSnapshotError(t *testing.T, panics bool) {
	rec := newRecorder()
	rec.snapFails, rec.snapPanics = errors.New("no snapshot today"), panics
	r := alone(t, rec, func(c *ReplicaConfig) { c.SnapshotEvery = 5 })
	for i := range 20 {
		must(t, r, fmt.Sprint(i))
	}
	rec.wait(t, "SnapshotFailed", func() bool { return len(rec.snapErrors) > 0 })
	if !strings.Contains(rec.snapErrors[0].Error(), rec.snapFails.Error()) {
		t.Errorf("reported %v; want %v", rec.snapErrors[0], rec.snapFails)
	}
	rec.update(func() { rec.snapFails = nil })
	rec.takeSnapshots(t, 1, r)
	rec.wait(t, "a snapshot", func() bool { return rec.snapshots > 0 })
}

func TestRestoreErrorFencesTheReplica(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	every := func(c *ReplicaConfig) { c.SnapshotEvery = 5 }
	rec, joiner := newRecorder(), newRecorder()
	joiner.restores = errors.New("damaged")
	r := nodes[0].start(1, rec, true, every)
	elect(t, r, rec)
	for i := range 20 {
		must(t, r, fmt.Sprint(i))
	}
	rec.wait(t, "a snapshot", func() bool { return rec.snapshots > 0 })
	addNonVoting(t, r, nodes[1], 2)
	bad := nodes[1].start(2, joiner, false, every)
	joiner.wait(t, "Failed", func() bool { return len(joiner.failures) > 0 })
	if !errors.Is(joiner.failures[0], joiner.restores) {
		t.Errorf("failed with %v; want %v", joiner.failures[0], joiner.restores)
	}
	for i := range 20 {
		must(t, r, fmt.Sprint("on ", i))
	}
	if err := bad.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := joiner.entries(); len(got) > 0 {
		t.Errorf("a fenced machine applied %d entries", len(got))
	}
}

func TestStopAndStartAgain(t *testing.T) {
	t.Parallel()
	n := cluster(t, 1)[0]
	for id := uint64(1); id <= 40; id++ {
		rec := newRecorder()
		r := n.start(id, rec, true, nil)
		if id%2 == 0 {
			elect(t, r, rec)
			must(t, r, "hello")
		}
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := r.Stop(); err != nil {
			t.Fatalf("second stop: %v", err)
		}
		if err := r.Propose(enginetest.Within(t), nil); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrNotApplied) {
			t.Errorf("propose on a stopped replica: %v; want ErrClosed and ErrNotApplied", err)
		}
	}
}

// TestRestartKeepsLog stops a replica and starts it with the same log.
func TestRestartKeepsLog(t *testing.T) {
	t.Parallel()
	log := enginetest.MemoryLog(t)
	rec := newRecorder()
	rec.frozen = true
	keep := func(c *ReplicaConfig) { c.Log = log; c.SnapshotEvery = 5 }
	n := cluster(t, 1)[0]
	r := n.start(1, rec, true, keep)
	elect(t, r, rec)
	for i := range 12 {
		must(t, r, fmt.Sprint(i))
	}
	before := rec.entries()
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	again := newRecorder()
	again.frozen = true
	r = n.start(1, again, true, keep)
	if err := r.ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, again.entries()); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
}

func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, func(c *ReplicaConfig) { c.SnapshotEvery = 50 })
	ctx, cancel := context.WithCancel(enginetest.Within(t))
	defer cancel()
	var callers sync.WaitGroup
	for i := range 48 {
		r := g.replicas[i%3]
		callers.Go(func() {
			for ctx.Err() == nil {
				err := r.Propose(ctx, []byte("load"))
				switch {
				case errors.Is(err, ErrClosed):
					return
				case err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotApplied):
					t.Errorf("propose: %v", err)
					return
				}
			}
		})
		callers.Go(func() {
			for {
				if err := r.ReadIndex(ctx); err != nil {
					if !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) {
						t.Errorf("read: %v", err)
					}
					return
				}
			}
		})
	}
	rec := g.recs[2]
	rec.wait(t, "some load", func() bool { return len(rec.applied) > 500 })
	var closers sync.WaitGroup
	for range 2 {
		for _, n := range g.nodes {
			closers.Go(func() {
				if err := n.engine.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
	}
	closers.Wait()
	counts := make([]int, 3)
	for i, rec := range g.recs {
		counts[i] = len(rec.entries())
	}
	callers.Wait()
	for i, rec := range g.recs {
		if n := len(rec.entries()); n != counts[i] {
			t.Errorf("machine %d applied %d entries after Close", i, n-counts[i])
		}
	}
	for _, r := range g.replicas {
		checkClosed(t, r)
	}
}

func checkClosed(t *testing.T, r *Replica) {
	t.Helper()
	ctx := enginetest.Within(t)
	_, err := r.Membership(ctx)
	for what, err := range map[string]error{
		"propose":    r.Propose(ctx, nil),
		"read":       r.ReadIndex(ctx),
		"membership": err,
		"add":        r.AddNonVoting(ctx, 1, 9, sm.PeerID{9}),
		"transfer":   r.TransferLeadership(1),
		"campaign":   r.Campaign(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v; want ErrClosed", what, err)
		}
	}
	if err := r.Stop(); err != nil {
		t.Errorf("stop after Close: %v", err)
	}
	if _, err := r.engine.Start(ReplicaConfig{Shard: 9, Replica: 9, ElectionTimeout: time.Second,
		Log: enginetest.MemoryLog(t), Machine: newRecorder(), Events: newRecorder()}); !errors.Is(err, ErrClosed) {
		t.Errorf("start after Close: %v; want ErrClosed", err)
	}
}

// A log that lacks an acknowledged entry is an older copy. Its replica ends, and nothing else.
// Only the leader of the current term knows what was acknowledged.
func TestOlderLogEndsItsReplica(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	lead(t, g.replicas[0], 1)
	must(t, g.replicas[2], "before")
	g.recs[2].wait(t, "the leader to be known", func() bool { return g.recs[2].leaders[len(g.recs[2].leaders)-1].leader == 1 })
	claim := func(from *node, replica, term uint64) *link.Conn {
		addr, err := g.nodes[2].book.Get(g.nodes[2].peer)
		if err != nil {
			t.Fatal(err)
		}
		c, err := from.link.Dial(enginetest.Within(t), addr, g.nodes[2].peer, link.Raft)
		if err != nil {
			t.Fatal(err)
		}
		m := pb.Message{Type: pb.Heartbeat, ShardID: shard, From: replica, To: 3, Term: term, Commit: 1_000_000}
		if err := c.WriteFrame(wire.FrameBatch, enginetest.Frame(m, m)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	_, term, _ := g.replicas[2].Leader()
	for _, c := range []*link.Conn{claim(g.nodes[0], 1, uint64(term)-1), claim(g.nodes[1], 2, uint64(term)), claim(g.nodes[1], 2, uint64(term)-1)} {
		c.WriteFrame(wire.FrameBatch, []byte("the end")) // so that the message was read
		enginetest.WantHangUp(t, c)
	}
	if err := g.replicas[2].ended(); err != nil {
		t.Fatalf("the replica ended on the word of one that does not lead: %v", err)
	}
	for ctx := enginetest.Within(t); g.replicas[2].ended() == nil && ctx.Err() == nil; {
		changed := g.replicas[2].changes.next().Done()
		if leader, term, _ := g.replicas[2].Leader(); leader == 1 || leader == 2 {
			c := claim(g.nodes[leader-1], leader, uint64(term))
			c.WriteFrame(wire.FrameBatch, []byte("the end"))
			enginetest.WantHangUp(t, c)
			continue
		}
		<-changed
	}
	g.recs[2].wait(t, "the end of the replica", func() bool { return len(g.recs[2].failures) > 0 })
	g.recs[2].mu.Lock()
	err := g.recs[2].failures[0]
	g.recs[2].mu.Unlock()
	if !errors.Is(err, ErrStorage) || !errors.Is(err, logstore.ErrCorrupt) || !strings.Contains(err.Error(), "keep the directory") {
		t.Errorf("the replica ended with %v, want %v, %v and what to do", err, ErrStorage, logstore.ErrCorrupt)
	}
}
