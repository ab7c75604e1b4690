package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

func TestLoneBootstrapAppliesProposals(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	r := cluster(t, 1)[0].start(1, rec, true, nil)
	elect(t, r, rec)
	for i := range 5 {
		must(t, r, fmt.Sprint(i))
	}
	must(t, r, "") // nothing is a proposal too

	leader, term, ok := r.Leader()
	if leader != 1 || term == 0 || !ok {
		t.Errorf("leader %d in term %d, %v; want replica 1", leader, term, ok)
	}
	got := rec.entries()
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", ""}, data(got)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	for i, e := range got {
		if e.Term != term {
			t.Errorf("entry %d has term %d, want %d", e.Index, e.Term, term)
		}
		if want := got[0].Index + sm.Index(i); e.Index != want {
			t.Errorf("entry %d has index %d, want %d", i, e.Index, want)
		}
	}
	if got[0].Index < 3 { // the bootstrap and the leader's own entry come first
		t.Errorf("first index is %d, want 3 or more", got[0].Index)
	}
}

func TestThreeNodes(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	for i, r := range g.replicas {
		must(t, r, fmt.Sprint("from ", i))
	}
	m, err := g.replicas[2].Membership(enginetest.Within(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint64]sm.PeerID{1: g.nodes[0].peer, 2: g.nodes[1].peer, 3: g.nodes[2].peer}
	if diff := cmp.Diff(want, m.Voters); diff != "" || len(m.NonVoting) != 0 {
		t.Errorf("voters (-want +got):\n%s\nnon-voting: %v", diff, m.NonVoting)
	}

	// The leader stops; the others continue.
	if err := g.replicas[0].Stop(); err != nil {
		t.Fatal(err)
	}
	rest := g.recs[1]
	rest.wait(t, "another leader", func() bool {
		last := rest.leaders[len(rest.leaders)-1]
		return last.leader == 2 || last.leader == 3
	})
	must(t, g.replicas[1], "after 1")
	must(t, g.replicas[2], "after 2")
	agree(t, g.recs[1:], 5)
}

// agree waits until all machines have applied n different commands, and compares what they
// applied. A machine that lags by a repeated command agrees.
func agree(t *testing.T, recs []*recorder, n int) {
	t.Helper()
	different := func(entries []Entry) int {
		seen := map[string]bool{}
		for _, e := range entries {
			seen[string(e.Data)] = true
		}
		return len(seen)
	}
	for _, rec := range recs {
		rec.wait(t, fmt.Sprint(n, " commands"), func() bool { return different(rec.applied) >= n })
	}
	want := recs[0].entries()
	for _, rec := range recs[1:] {
		got := rec.entries()
		common := min(len(want), len(got))
		same := func(a, b Entry) bool { return a.Index == b.Index && a.Term == b.Term && bytes.Equal(a.Data, b.Data) }
		if slices.EqualFunc(want[:common], got[:common], same) {
			continue // cmp takes its time over megabytes
		}
		t.Errorf("replicas disagree (-first +other):\n%s", cmp.Diff(want, got))
	}
	if got := different(want); got != n {
		t.Errorf("applied %d commands, want %d: %q", got, n, data(want))
	}
}

func TestTermsSpanLeaders(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	must(t, g.replicas[0], "before")
	for i := range 4 {
		target := uint64((i+1)%3 + 1)
		lead(t, g.replicas[i%3], target) // which the proposal would be lost with
		must(t, g.replicas[i%3], fmt.Sprint("transfer ", i))
	}
	agree(t, g.recs, 5)
	got := g.recs[2].entries()
	if !slices.IsSortedFunc(got, func(a, b Entry) int { return int(a.Term) - int(b.Term) }) {
		t.Errorf("terms go backwards: %v", got)
	}
	if terms := slices.CompactFunc(got, func(a, b Entry) bool { return a.Term == b.Term }); len(terms) < 5 {
		t.Errorf("%d terms in %v, want one for each of five leaders", len(terms), got)
	}
}

// lead transfers leadership until r knows the target as the leader. A transfer to a replica
// that lags has no effect.
func lead(t testing.TB, r *Replica, target uint64) {
	t.Helper()
	ctx := enginetest.Within(t)
	for ctx.Err() == nil {
		changed := r.changes.next().Done()
		if leader, _, _ := r.Leader(); leader == target {
			return
		}
		if err := r.TransferLeadership(target); err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		select {
		case <-changed:
		case <-time.After(electionTimeout):
		}
	}
	t.Fatalf("replica %d does not lead", target)
}

func TestLateJoinerGetsSnapshot(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	every := func(c *ReplicaConfig) { c.SnapshotEvery = 10 }
	first, second := newRecorder(), newRecorder()
	r := nodes[0].start(1, first, true, every)
	elect(t, r, first)
	for i := range 50 {
		must(t, r, fmt.Sprint(i))
	}
	more := first.takeSnapshots(t, 2, r)
	join(t, r, nodes[1], 2, second, every)
	second.wait(t, "a restored snapshot", func() bool { return second.restored > 0 })
	must(t, r, "after")
	agree(t, []*recorder{first, second}, 51+more)
}

func TestLargeSnapshotTravels(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	every := func(c *ReplicaConfig) { c.SnapshotEvery = 5 }
	first, second := newRecorder(), newRecorder()
	r := nodes[0].start(1, first, true, every)
	elect(t, r, first)
	for i := range 10 {
		must(t, r, string(slices.Repeat([]byte{byte('a' + i)}, 1<<20)))
	}
	first.wait(t, "a snapshot", func() bool { return first.snapshots > 0 })
	join(t, r, nodes[1], 2, second, every)
	second.wait(t, "a restored snapshot", func() bool { return second.restored > 0 })
	agree(t, []*recorder{first, second}, 10)
}

func TestRemovedReplica(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	remove(t, g.replicas[0], 3) // replica 3 may never learn of it
	if err := g.replicas[2].Stop(); err != nil {
		t.Fatal(err)
	}
	must(t, g.replicas[0], "without it")
	m, err := g.replicas[1].Membership(enginetest.Within(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Removed[3]; !ok || len(m.Voters) != 2 {
		t.Errorf("membership %+v; want replica 3 removed and two voters", m)
	}
	// It comes back under a new id.
	for _, n := range g.nodes[:2] {
		n.engine.Admit(shard, g.nodes[2].peer, 33)
	}
	rec := newRecorder()
	back := join(t, g.replicas[0], g.nodes[2], 33, rec, nil)
	must(t, back, "with it")
	agree(t, []*recorder{g.recs[0], g.recs[1], rec}, 2)
}

// TestLeaderRemovesItself removes the leader, which always learns of its removal.
func TestLeaderRemovesItself(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil) // of two, the other could be left without a quorum
	lead(t, g.replicas[0], 1)
	ctx := enginetest.Within(t)
	m, err := g.replicas[0].Membership(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The replica may end before it answers.
	if err := g.replicas[0].Remove(ctx, m.ChangeID, 1); err != nil && !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	g.recs[0].wait(t, "Removed", func() bool { return g.recs[0].removed > 0 })
	must(t, g.replicas[1], "without it")
	if err := g.replicas[0].Propose(ctx, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("propose on a removed replica: %v; want ErrClosed", err)
	}
	if err := g.replicas[0].Stop(); err != nil {
		t.Fatal(err)
	}
}

func TestTwoEnginesAndManyShardsInOneProcess(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	for s := uint64(1); s <= 8; s++ {
		introduce(s, nodes)
		first, second := newRecorder(), newRecorder()
		in := func(c *ReplicaConfig) { c.Shard = s }
		r := nodes[s%2].start(s%2+1, first, true, in)
		elect(t, r, first)
		other := join(t, r, nodes[1-s%2], (1-s%2)+1, second, in)
		must(t, other, fmt.Sprint("shard ", s))
		agree(t, []*recorder{first, second}, 1)
	}
}
