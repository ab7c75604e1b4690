package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4/client"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/transport"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// minElection is the shortest election timeout in ticks: dragonboat requires more than two
// heartbeats in it.
const minElection = 3

// Start starts a replica. It returns once the replica has restored its last snapshot, if it has
// one, and participates. The caller must call [Replica.Stop] or [Engine.Close].
func (e *Engine) Start(cfg ReplicaConfig) (*Replica, error) {
	if err := cfg.validate(e.tick); err != nil {
		return nil, err
	}
	r, err := e.launch(cfg)
	if err == nil {
		// If the engine closes meanwhile, it stops the replica.
		err = r.awaitRestore()
	}
	if err != nil {
		return nil, fmt.Errorf("engine: start replica %d of shard %d: %w", cfg.Replica, cfg.Shard, err)
	}
	return r, nil
}

// launch makes a replica that runs, whose last snapshot may have yet to be restored.
func (e *Engine) launch(cfg ReplicaConfig) (*Replica, error) {
	if !e.enter() {
		return nil, ErrClosed
	}
	defer e.leave()
	if !e.transport.Bind(cfg.Shard, cfg.Replica, e.self) {
		return nil, errors.New("another peer was admitted as that replica")
	}
	r := newReplica(e, cfg)
	if err := e.place(r); err != nil {
		return nil, err
	}
	if err := e.start(r, cfg); err != nil {
		r.quiesce()
		r.applier.wait()
		e.forget(r)
		return nil, err
	}
	return r, nil
}

func (c ReplicaConfig) validate(tick time.Duration) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("engine: start replica %d of shard %d: "+format, append([]any{c.Replica, c.Shard}, args...)...)
	}
	switch {
	case c.Shard == 0 || c.Replica == 0:
		return fail("neither id may be 0")
	case c.ElectionTimeout < minElection*tick:
		return fail("ReplicaConfig.ElectionTimeout is %v; it must be %v (%d ticks) or more", c.ElectionTimeout, minElection*tick, minElection)
	case c.Log == nil:
		return fail("ReplicaConfig.Log is missing")
	case c.Machine == nil:
		return fail("ReplicaConfig.Machine is missing")
	case c.MaxBacklog < 0:
		return fail("ReplicaConfig.MaxBacklog is %d; it must be 0 or more", c.MaxBacklog)
	case c.Events == nil:
		return fail("ReplicaConfig.Events is missing")
	}
	return nil
}

// place reserves the shard for the replica.
func (e *Engine) place(r *Replica) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.replicas[r.shard]; old != nil {
		return fmt.Errorf("replica %d runs here; stop it first", old.id)
	}
	e.replicas[r.shard] = r
	return nil
}

// start makes dragonboat run the replica.
func (e *Engine) start(r *Replica, cfg ReplicaConfig) (err error) {
	e.snapshots.Start(r.shard, r.id)
	storage := cfg.Log
	if r.durable, err = e.snapshots.OpenLog(storage, r.shard, r.id, r.reportSnapshot); err != nil {
		return err
	}
	if r.durable != nil {
		storage = r.durable
	}
	log, err := e.logs.Register(r.shard, r.id, storage, cfg.LevelOf, r.fail)
	if err != nil {
		return err
	}
	r.endpoint = &transport.Endpoint{
		Shard: r.shard, Replica: r.id, Election: r.election, Log: log, Snapshots: r.durable, Owner: endpointOwner{r},
	}
	r.applier.log = log
	_, r.applier.queue.start = log.Span()
	r.applier.start()
	e.transport.Attach(r.endpoint)
	e.logs.Worker(r.shard).Serve(&r.stall)
	defer recovered(&err)
	var members map[uint64]string
	if cfg.Bootstrap {
		members = map[uint64]string{r.id: e.self.String()}
	}
	create := func(uint64, uint64) statemachine.IConcurrentStateMachine { return &r.applier }
	if err := e.host.StartConcurrentReplica(members, !cfg.Bootstrap, create, cfg.raft(e.tick)); err != nil {
		return err
	}
	return r.settle()
}

// forget ends what place and start began, once dragonboat has let go of the replica.
func (e *Engine) forget(r *Replica) error {
	e.release(r)
	stop := func() error { return e.snapshots.Stop(r.shard, r.id) }
	var err error
	if r.endpoint != nil {
		err = r.endpoint.WithoutChunks(stop)
	} else {
		err = stop()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.replicas, r.shard)
	return err
}

// release ends all use of the replica's log, once dragonboat has let go of the replica.
func (e *Engine) release(r *Replica) {
	e.logs.Worker(r.shard).Dismiss(&r.stall)
	if r.endpoint != nil {
		e.transport.Detach(r.endpoint)
	}
	e.logs.Unregister(r.shard, r.id)
	if r.durable != nil {
		if err := r.durable.Finish(); err != nil {
			e.log.Warn("engine: snapshots of a stopped replica not removed", "shard", r.shard, "replica", r.id, "error", err)
		}
	}
}

// raft returns dragonboat's configuration of the replica.
func (c ReplicaConfig) raft(tick time.Duration) config.Config {
	election := uint64(c.ElectionTimeout / tick)
	return config.Config{
		ReplicaID:    c.Replica,
		ShardID:      c.Shard,
		ElectionRTT:  election,
		HeartbeatRTT: max(1, election/10),
		// Members that differ in one of these three disturb each other.
		CheckQuorum:         true,
		PreVote:             true,
		OrderedConfigChange: true,
		// dragonboat requires this of a joiner at every start, also after a promotion.
		IsNonVoting: !c.Bootstrap,
		WaitReady:   true,
		// How many entries stay behind a snapshot that was taken by an earlier process.
		CompactionOverhead: c.SnapshotEvery/2 + 1,
		// Snapshots are compressed in memory, on disk and on the wire. Uncompressed ones of
		// earlier releases are read, too.
		SnapshotCompressionType: config.Snappy,
	}
}

// session returns the session of a shard's proposals: dragonboat's kind without deduplication,
// which package session does.
func session(shard uint64) *client.Session {
	return &client.Session{ShardID: shard, ClientID: wire.ProposalClient, SeriesID: client.NoOPSeriesID}
}
