package engine

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// noting is a log that notes the records of snapshots.
type noting struct {
	logstore.Log
	mu      sync.Mutex
	records []logstore.Snapshot
}

func (n *noting) Save(b logstore.Batch) error {
	if b.Snapshot != nil {
		n.mu.Lock()
		n.records = append(n.records, *b.Snapshot)
		n.mu.Unlock()
	}
	return n.Log.Save(b)
}

// TestSnapshotsHoldTheMembership takes snapshots at every entry while members are
// added: each knows those that were added before it, and no others.
func TestSnapshotsHoldTheMembership(t *testing.T) {
	t.Parallel()
	log := &noting{Log: enginetest.MemoryLog(t)}
	r := alone(t, newRecorder(), func(c *ReplicaConfig) { c.Log, c.SnapshotEvery = log, 1 })
	stop, load := make(chan struct{}), sync.WaitGroup{}
	load.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := r.Propose(enginetest.Within(t), []byte(fmt.Sprint(i))); err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrNotApplied) {
				t.Errorf("propose: %v", err)
				return
			}
		}
	})
	added := map[uint64]uint64{} // replica → the index at which it was added
	for replica := uint64(2); replica < 40; replica++ {
		n := node{peer: sm.PeerID{byte(replica)}}
		addNonVoting(t, r, &n, replica)
		m, err := r.Membership(enginetest.Within(t))
		if err != nil {
			t.Fatal(err)
		}
		added[replica] = m.ChangeID
		must(t, r, "after a change")
	}
	close(stop)
	load.Wait()
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	between := 0
	for _, record := range log.records {
		var s pb.Snapshot
		if err := wire.Unmarshal(&s, record.Record); err != nil {
			t.Fatal(err)
		}
		known := 0
		for replica, at := range added {
			_, ok := s.Membership.NonVotings[replica]
			if ok != (at <= s.Index) {
				t.Errorf("the snapshot at %d knows of replica %d, added at %d: %v", s.Index, replica, at, ok)
			}
			if ok {
				known++
			}
		}
		if known > 0 && known < len(added) {
			between++
		}
	}
	if between < 5 {
		t.Errorf("of %d snapshots %d were taken between changes", len(log.records), between)
	}
}
