package logstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// stall blocks every sync of a disk until release is called. It closes stalled when
// the first sync blocks.
func stall(fs *faultfs.FS) (stalled <-chan struct{}, release func()) {
	began, over := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fs.Inject(func(op faultfs.Op) error {
		if op.Kind == "sync" {
			once.Do(func() { close(began) })
			<-over
		}
		return nil
	})
	return began, sync.OnceFunc(func() { fs.Inject(nil); close(over) })
}

// TestStalledDisk stalls the disk of one member, the leader's or a follower's. The
// others must continue, with another leader if necessary. Once the disk works
// again, the member must follow.
func TestStalledDisk(t *testing.T) {
	t.Parallel()
	for _, leads := range []bool{true, false} {
		t.Run(fmt.Sprint("leader=", leads), func(t *testing.T) {
			t.Parallel()
			testStalledDisk(t, leads)
		})
	}
}

func testStalledDisk(t *testing.T, leads bool) {
	f := newFaulty(t)
	f.joinAll()
	f.works(f.groups...)
	hung := f.leader()
	if !leads {
		hung = (hung + 1) % 3
	}
	rest := f.others(hung)
	stalled, release := stall(f.disks[hung])
	t.Cleanup(release)
	f.works(rest...)
	<-stalled
	another := func(s consensus.Status) bool { return !s.Leader.IsZero() && s.Leader != f.Node(hung).Peer() }
	if _, err := rest[0].When().Until(soon(t), another); err != nil {
		t.Fatal(err)
	}
	f.wantAcked(rest...)
	// The stalled member must not report that it leads or is online.
	if _, err := f.groups[hung].When().Until(soon(t), func(s consensus.Status) bool { return !s.Online }); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.groups[hung].Leadership(); ok {
		t.Error("the member with the stalled disk reports that it leads")
	}
	_, err := f.groups[hung].Execute(soon(t), note{N: -1})
	if !errors.Is(err, mosaik.ErrStalled) {
		t.Errorf("execute on the member with the stalled disk: error %v, want %v", err, mosaik.ErrStalled)
	}
	f.works(rest...)

	release()
	if _, err := f.groups[hung].When().Until(soon(t), another); err != nil {
		t.Fatal(err)
	}
	testutil.Settle(t, f.groups...)
	f.works(f.groups...)
	f.wantAcked(f.groups...)
}

// TestStalledDiskHoldsUpOthers stalls the disk of one member. This blocks groups in
// memory that have their leader on the same node and share the member's worker.
// These groups must not report that they lead either.
func TestStalledDiskHoldsUpOthers(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	f.joinAll()
	const hung = 0
	side := f.lone(hung, 20) // served by two workers
	stalled, release := stall(f.disks[hung])
	t.Cleanup(release)
	f.works(f.others(hung)...)
	<-stalled
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	offline := make(chan ledgerGroup, len(side))
	var waits sync.WaitGroup
	for _, g := range side {
		waits.Go(func() {
			if _, err := g.When().Until(ctx, func(s consensus.Status) bool { return !s.Online }); err == nil {
				offline <- g
			}
		})
	}
	for leads := true; leads && ctx.Err() == nil; { // some may be offline for another reason
		select {
		case g := <-offline:
			_, leads = g.Leadership()
		case <-ctx.Done():
			t.Error("no blocked group reports that it is offline and does not lead")
		}
	}
	cancel()
	waits.Wait()
	release()
	for i, g := range side {
		if err := g.When().Online(soon(t)); err != nil {
			t.Fatal(err)
		}
		f.must(g, i)
	}
}

// lone returns n groups in memory, each with its only member on the given node.
func (f *faulty) lone(node, n int) (groups []ledgerGroup) {
	f.t.Helper()
	for i := range n {
		key, err := mosaik.KeyFromDigest(sm.ID(fmt.Sprint("lone ", i)))
		if err != nil {
			f.t.Fatal(err)
		}
		b := f.Node(node).Net().Groups().WithKey(key).WithConsensusConfig(testutil.FastConsensus())
		groups = append(groups, testutil.JoinWith(f.Node(node), mosaik.WithStateMachine(b, newLedger)))
	}
	for _, g := range groups {
		if err := g.When().Online(soon(f.t)); err != nil {
			f.t.Fatal(err)
		}
	}
	return groups
}
