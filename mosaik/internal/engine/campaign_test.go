package engine

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
)

// dropRequests makes dragonboat ignore the first n requests to campaign, as it does silently
// while the replica has something left to apply, and counts all of them.
func dropRequests(e *Engine, n int32) (requests *atomic.Int32) {
	requests = new(atomic.Int32)
	e.inject = func(messages ...pb.Message) error {
		if requests.Add(1) <= n {
			return nil
		}
		return e.transport.Inject(messages...)
	}
	return requests
}

// A replica that bootstrapped elects itself although dragonboat ignores some requests, and
// does not wait for its election timeout. Once it leads, nobody asks it again.
func TestCampaignIsRepeated(t *testing.T) {
	t.Parallel()
	n := cluster(t, 1)[0]
	const ignored = 5
	requests := dropRequests(n.engine, ignored)
	rec := newRecorder()
	r := n.start(1, rec, true, func(c *ReplicaConfig) { c.ElectionTimeout = time.Hour })
	if err := r.Campaign(); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, "a leader", func() bool { return len(rec.leaders) > 0 && rec.leaders[len(rec.leaders)-1].leader == 1 })
	if n := requests.Load(); n <= ignored {
		t.Errorf("it was asked %d times, of which %d were ignored", n, ignored)
	}
	for r.isCampaigning.Load() {
		<-time.After(tick)
	}
	asked := requests.Load()
	if err := r.Campaign(); err != nil {
		t.Fatal(err)
	}
	<-time.After(3 * repeatPause)
	if n := requests.Load(); n != asked {
		t.Errorf("a leader was asked %d times more", n-asked)
	}
}

// A replica that is never elected ends, and so does its engine.
func TestCampaignEndsWithItsReplica(t *testing.T) {
	t.Parallel()
	n := cluster(t, 1)[0]
	dropRequests(n.engine, 1<<30)
	r := n.start(1, newRecorder(), true, func(c *ReplicaConfig) { c.ElectionTimeout = time.Hour })
	if err := r.Campaign(); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for r.isCampaigning.Load() {
		<-time.After(tick)
	}
}

// A replica is asked to elect itself while its worker waits for another replica's log and
// its queue is full, so that the first request is lost.
func TestCampaignWhileItsWorkerIsBusy(t *testing.T) {
	t.Parallel()
	var saves, reads sync.RWMutex
	n := cluster(t, 1)[0]
	busy, rec := newRecorder(), newRecorder()
	other := n.start(1, busy, true, func(c *ReplicaConfig) { c.Log = hanging{c.Log, &saves, &reads} })
	elect(t, other, busy)
	r := n.start(1, rec, true, func(c *ReplicaConfig) {
		c.Shard, c.ElectionTimeout = shard+2*workers.ExecShards, time.Hour
	})
	rec.wait(t, "the bootstrap to be applied", func() bool { return rec.members > 0 })

	saves.Lock()
	release := sync.OnceFunc(saves.Unlock)
	t.Cleanup(release)
	proposed := make(chan error, 1)
	go func() { proposed <- other.Propose(enginetest.Within(t), []byte("meanwhile")) }()
	busy.wait(t, "the worker to hang", func() bool { return len(busy.stalls) > 0 && busy.stalls[len(busy.stalls)-1] })
	tick := pb.Message{Type: pb.LocalTick, ShardID: r.shard, From: r.id, To: r.id}
	for range receiveQueueLen {
		if err := n.engine.transport.Inject(tick); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Campaign(); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-proposed; err != nil {
		t.Error(err)
	}
	rec.wait(t, "a leader", func() bool { return len(rec.leaders) > 0 && rec.leaders[len(rec.leaders)-1].leader == 1 })
}
