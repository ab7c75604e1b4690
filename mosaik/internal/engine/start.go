package engine

import (
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4/client"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// minElection is the shortest election timeout in ticks: dragonboat wants more
// than two heartbeats in it.
const minElection = 3

// Start starts a replica. It returns when the replica has restored its last
// snapshot, if it has one, and takes part. The caller must call [Replica.Stop]
// or [Engine.Close].
func (e *Engine) Start(cfg ReplicaConfig) (*Replica, error) {
	if err := cfg.validate(e.tick); err != nil {
		return nil, err
	}
	if !e.enter() {
		return nil, fmt.Errorf("engine: start replica %d of shard %d: %w", cfg.Replica, cfg.Shard, ErrClosed)
	}
	defer e.leave()
	if !e.peers.claim(cfg.Shard, cfg.Replica, e.self) {
		return nil, fmt.Errorf("engine: start replica %d of shard %d: another peer was admitted as that replica", cfg.Replica, cfg.Shard)
	}
	r := newReplica(e, cfg)
	if err := e.place(r); err != nil {
		return nil, err
	}
	if err := e.start(r, cfg); err != nil {
		r.silence()
		e.forget(r)
		return nil, fmt.Errorf("engine: start replica %d of shard %d: %w", cfg.Replica, cfg.Shard, err)
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
		return fmt.Errorf("engine: start replica %d of shard %d: replica %d runs here; stop it first", r.id, r.shard, old.id)
	}
	e.replicas[r.shard] = r
	return nil
}

// forget ends what place and start began, when dragonboat is done with the
// replica.
func (e *Engine) forget(r *Replica) error {
	e.release(r)
	r.collecting.Lock()
	err := e.files.Stop(r.shard, r.id)
	r.collecting.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.replicas, r.shard)
	return err
}

// release ends all use of the replica's log, when dragonboat is done with it.
func (e *Engine) release(r *Replica) {
	e.router.Worker(r.shard).Dismiss(&r.stall)
	e.router.Unregister(r.shard, r.id)
	if r.durable != nil {
		if err := r.durable.Finish(); err != nil {
			e.log.Warn("engine: stop a replica", "shard", r.shard, "replica", r.id, "error", err)
		}
	}
}

// start makes dragonboat run the replica.
func (e *Engine) start(r *Replica, cfg ReplicaConfig) (err error) {
	e.files.Start(r.shard, r.id)
	log := cfg.Log
	if r.durable, err = e.files.OpenLog(log, r.shard, r.id, r.reportSnapshot); err != nil {
		return err
	}
	if r.durable != nil {
		log = r.durable
	}
	if _, err := e.router.Register(r.shard, r.id, log, cfg.LevelOf, r.fail); err != nil {
		return err
	}
	e.router.Worker(r.shard).Serve(&r.stall)
	defer recovered(&err)
	var members map[uint64]string
	if cfg.Bootstrap {
		members = map[uint64]string{r.id: e.self.String()}
	}
	create := func(uint64, uint64) statemachine.IStateMachine { return &r.machine }
	if err := e.host.StartReplica(members, !cfg.Bootstrap, create, cfg.raft(e.tick)); err != nil {
		return err
	}
	return r.settle()
}

// raft returns what dragonboat is to know.
func (c ReplicaConfig) raft(tick time.Duration) config.Config {
	election := uint64(c.ElectionTimeout / tick)
	return config.Config{
		ReplicaID:    c.Replica,
		ShardID:      c.Shard,
		ElectionRTT:  election,
		HeartbeatRTT: max(1, election/10),
		// Members that differ in one of these three hurt each other.
		CheckQuorum:         true,
		PreVote:             true,
		OrderedConfigChange: true,
		// dragonboat wants a joiner to say so at every start, also when it
		// was promoted since.
		IsNonVoting: !c.Bootstrap,
		WaitReady:   true,
		// What a snapshot that was taken in another life leaves of the log.
		CompactionOverhead: c.SnapshotEvery/2 + 1,
		// In memory, on disk and on the wire. Older ones that are not are read, too.
		SnapshotCompressionType: config.Snappy,
	}
}

// session returns the session of a shard's proposals: dragonboat's kind without
// bookkeeping. Sessions of our own live above.
func session(shard uint64) *client.Session {
	return &client.Session{ShardID: shard, ClientID: wire.ProposalClient, SeriesID: client.NoOPSeriesID}
}
