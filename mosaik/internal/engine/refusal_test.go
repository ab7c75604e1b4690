package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

func TestPropose(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	r := cluster(t, 1)[0].start(1, rec, true, func(c *ReplicaConfig) { c.ElectionTimeout = time.Hour })
	if err := r.Propose(enginetest.Within(t), nil); !errors.Is(err, ErrNotApplied) {
		t.Errorf("without a leader: %v; want ErrNotApplied", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := r.ReadIndex(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read without a leader: %v; want the context's error", err)
	}
	elect(t, r, rec)
	if err := r.Propose(enginetest.Within(t), make([]byte, MaxProposal+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large: %v; want ErrTooLarge", err)
	}
	if err := r.Propose(enginetest.Within(t), make([]byte, MaxProposal)); err != nil {
		t.Errorf("largest: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Propose(ended, nil); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotApplied) {
		t.Errorf("ended context: %v; want Canceled and ErrNotApplied", err)
	}
	// Less than a tick is enough.
	for {
		short, cancel := context.WithTimeout(context.Background(), tick/2)
		err := r.Propose(short, []byte("short"))
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("short: %v", err)
		}
	}
}

func TestMembershipChangesAreRefused(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 2)
	introduce(shard, nodes)
	rec := newRecorder()
	r := nodes[0].start(1, rec, true, nil)
	elect(t, r, rec)
	ctx := enginetest.Within(t)
	m, err := r.Membership(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AddNonVoting(ctx, m.ChangeID, 2, nodes[1].peer); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"stale change id": r.AddNonVoting(ctx, m.ChangeID, 3, sm.PeerID{3}),
		"another's id":    r.AddNonVoting(ctx, m.ChangeID, 2, sm.PeerID{4}),
		"last voter":      r.Remove(ctx, m.ChangeID+1, 1),
		"replica 0":       r.Promote(ctx, m.ChangeID, 0, nodes[1].peer),
	} {
		if !errors.Is(err, ErrRejected) {
			t.Errorf("%s: %v; want ErrRejected", what, err)
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	n := cluster(t, 1)[0]
	rec := newRecorder()
	good := ReplicaConfig{Shard: 1, Replica: 1, ElectionTimeout: electionTimeout, Log: enginetest.MemoryLog(t), Machine: rec, Events: rec}
	for what, spoil := range map[string]func(*ReplicaConfig){
		"shard": func(c *ReplicaConfig) { c.Shard = 0 }, "replica": func(c *ReplicaConfig) { c.Replica = 0 },
		"timeout": func(c *ReplicaConfig) { c.ElectionTimeout = 3*tick - 1 }, "log": func(c *ReplicaConfig) { c.Log = nil },
		"machine": func(c *ReplicaConfig) { c.Machine = nil }, "events": func(c *ReplicaConfig) { c.Events = nil },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := n.engine.Start(cfg); err == nil {
			t.Errorf("start with a bad %s: no error", what)
		}
	}
	good.ElectionTimeout = 3 * tick
	r, err := n.engine.Start(good)
	if err != nil {
		t.Errorf("start with three ticks: %v", err)
	}
	if _, err := n.engine.Start(good); err == nil {
		t.Error("start of a shard that runs: no error")
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	for _, cfg := range []Config{
		{Tick: tick, Network: n}, {Self: n.peer, Network: n}, {Self: n.peer, Tick: tick},
		{Self: n.peer, Tick: 1500 * time.Microsecond, Network: n},
	} {
		if e, err := Open(cfg); err == nil {
			t.Errorf("open %+v: no error", cfg)
			e.Close()
		}
	}
}
