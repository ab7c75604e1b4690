package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/sm"
)

// The number of dragonboat's workers of each kind. Its defaults make 173
// goroutines for each engine.
var workers = config.EngineConfig{
	ExecShards:     2,
	ApplyShards:    2,
	CommitShards:   1, // without work: commits are not announced
	SnapshotShards: 2,
	CloseShards:    1,
}

// Engine runs this process's replicas on one NodeHost. Its methods may be
// called concurrently.
type Engine struct {
	self      sm.PeerID
	tick      time.Duration
	log       *slog.Logger
	network   Network
	peers     *peers
	transport *transport
	router    *raftlog.Router
	files     *snapstore.FS
	courier   *courier
	host      *dragonboat.NodeHost
	serving   sync.WaitGroup // connections that others dialled
	sends     sync.Map       // replicaKey: the replicas to which a snapshot is under way
	lanes     lanes          // of connections that others dialled
	close     func() error   // sync.OnceValue

	// ctx ends when Close begins. Connections outlive the calls that bring them.
	ctx    context.Context
	cancel context.CancelFunc

	gate   sync.RWMutex // held for reading during calls of host
	closed bool         // guarded by gate

	mu       sync.RWMutex
	replicas map[uint64]*Replica // by shard
}

// Open starts an engine without replicas. The caller must call [Engine.Close].
func Open(cfg Config) (*Engine, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	bridgeLogs()
	e := &Engine{
		self:     cfg.Self,
		tick:     cfg.Tick,
		log:      cfg.Logger,
		network:  cfg.Network,
		peers:    newPeers(),
		router:   raftlog.NewRouter(int(workers.ExecShards)),
		files:    snapstore.NewFS(),
		replicas: map[uint64]*Replica{},
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	e.transport = &transport{engine: e}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.close = sync.OnceValue(e.shutdown)
	e.courier = newCourier()
	var err error
	if e.host, err = e.newHost(); err != nil {
		e.cancel()
		e.courier.close()
		return nil, fmt.Errorf("engine: open: %w", err)
	}
	return e, nil
}

func (c Config) validate() error {
	switch {
	case c.Self.IsZero():
		return errors.New("engine: open: Config.Self is zero; set the peer's id")
	case c.Tick < time.Millisecond || c.Tick%time.Millisecond != 0:
		return fmt.Errorf("engine: open: Config.Tick is %v; set whole milliseconds, 1ms or more", c.Tick)
	case c.Network == nil:
		return errors.New("engine: open: Config.Network is missing")
	}
	return nil
}

func (e *Engine) newHost() (host *dragonboat.NodeHost, err error) {
	defer recovered(&err)
	return dragonboat.NewNodeHost(config.NodeHostConfig{
		NodeHostDir:         "/mosaik",
		RaftAddress:         e.self.String(),
		RTTMillisecond:      uint64(e.tick / time.Millisecond),
		RaftEventListener:   listener{e},
		SystemEventListener: listener{e},
		Expert: config.ExpertConfig{
			FS:               e.files,
			Engine:           workers,
			LogDB:            config.GetTinyMemLogDBConfig(),
			LogDBFactory:     snapstore.LogDBFactory{LogDBFactory: e.router, FS: e.files},
			TransportFactory: e.transport,
		},
	})
}

// recovered turns a panic of dragonboat into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("engine: dragonboat panicked: %v", r)
	}
}

// enter begins a call of the host, which ends with leave. It is false once the
// engine is being closed.
func (e *Engine) enter() bool {
	e.gate.RLock()
	if e.closed {
		e.gate.RUnlock()
		return false
	}
	return true
}

func (e *Engine) leave() { e.gate.RUnlock() }

// Admit makes the raft traffic of the peer for the shard count from now on, as
// far as it comes from that replica or goes to it. Admitting another replica of
// the peer ends the first one's admission. The caller must have made sure that
// the replica id is the peer's own: of two peers with the same replica the
// first one counts.
func (e *Engine) Admit(shard uint64, peer sm.PeerID, replica uint64) {
	if replica == 0 || peer.IsZero() || peer == e.self || !e.peers.admit(shard, replica, peer) {
		e.log.Warn("engine: peer not admitted: the replica is not its own",
			"shard", shard, "peer", peer.Short(), "replica", replica)
	}
}

// Expel ends what Admit began: nothing that the peer sends for the shard counts
// any more, and nothing is sent to it.
func (e *Engine) Expel(shard uint64, peer sm.PeerID) { e.peers.expel(shard, peer) }

// replica returns the replica of the shard that runs here, or nil.
func (e *Engine) replica(shard uint64) *Replica {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.replicas[shard]
}

// Close stops all replicas and everything else and waits for it. Calls that
// are under way return [ErrClosed]. No machine, log or event is called any more
// once it returned. Closing again waits too and returns the same.
func (e *Engine) Close() error { return e.close() }

func (e *Engine) shutdown() (err error) {
	e.cancel()
	e.gate.Lock() // waits for calls that are inside of host
	e.closed = true
	e.gate.Unlock()
	e.transport.Close()
	e.serving.Wait()

	e.mu.RLock()
	replicas := make([]*Replica, 0, len(e.replicas))
	for _, r := range e.replicas {
		replicas = append(replicas, r)
	}
	e.mu.RUnlock()
	for _, r := range replicas {
		r.silence()
	}
	defer func() {
		for _, r := range replicas {
			e.release(r)
		}
		e.courier.close()
	}()
	defer recovered(&err)
	e.host.Close()
	return nil
}
