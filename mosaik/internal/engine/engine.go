package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/logbridge"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/transport"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// workers is the number of dragonboat's workers of each kind. Its defaults make 173 goroutines
// for each engine.
var workers = config.EngineConfig{
	ExecShards:     2,
	ApplyShards:    2,
	CommitShards:   1, // idle: commits are not announced
	SnapshotShards: 2,
	CloseShards:    1,
}

// Engine runs this process's replicas on one NodeHost. Its methods may be called concurrently.
type Engine struct {
	self      sm.PeerID
	tick      time.Duration
	log       *slog.Logger
	transport *transport.Transport
	logs      *raftlog.Router
	snapshots *snapstore.FS
	events    *dispatcher
	host      *dragonboat.NodeHost
	patience  patience                           // with the machines of replicas; tests shorten it
	repeats   sync.WaitGroup                     // goroutines of Replica.repeat
	inject    func(messages ...pb.Message) error // transport.Inject; tests drop some
	close     func() error                       // sync.OnceValue

	// ctx ends when Close begins. It is a field because connections and goroutines outlive the
	// calls that start them.
	ctx    context.Context
	cancel context.CancelFunc

	gate   sync.RWMutex // held for reading during calls of host
	closed bool         // guarded by gate

	mu       sync.RWMutex
	replicas map[uint64]*Replica // by shard, from before the start until dragonboat let go
}

// Open starts an engine without replicas. The caller must call [Engine.Close].
func Open(cfg Config) (*Engine, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	logbridge.Install()
	e := &Engine{
		self:      cfg.Self,
		tick:      cfg.Tick,
		log:       cfg.Logger,
		logs:      raftlog.NewRouter(int(workers.ExecShards)),
		snapshots: snapstore.NewFS(),
		replicas:  map[uint64]*Replica{},
		patience:  defaultPatience,
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.transport = transport.New(e.ctx, cfg.Network, e.log)
	e.inject = e.transport.Inject
	e.close = sync.OnceValue(e.shutdown)
	e.events = newDispatcher()
	var err error
	if e.host, err = e.newHost(); err != nil {
		e.cancel()
		e.events.close()
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
			FS:               e.snapshots,
			Engine:           workers,
			LogDB:            config.GetTinyMemLogDBConfig(),
			LogDBFactory:     snapstore.LogDBFactory{LogDBFactory: e.logs, FS: e.snapshots},
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

// enter begins a call of the host, which leave ends. It returns false once the engine closes.
func (e *Engine) enter() bool {
	e.gate.RLock()
	if e.closed {
		e.gate.RUnlock()
		return false
	}
	return true
}

func (e *Engine) leave() { e.gate.RUnlock() }

// Admit makes the raft traffic of the peer for the shard count from now on, if it comes from
// that replica or goes to it. It ends the admission of an earlier replica of the peer. The
// caller must have made sure that the replica id is the peer's own: of two peers with the same
// replica the first one counts.
func (e *Engine) Admit(shard uint64, peer sm.PeerID, replica uint64) {
	if replica == 0 || peer.IsZero() || peer == e.self || !e.transport.Admit(shard, peer, replica) {
		e.log.Warn("engine: peer not admitted: the replica belongs to another peer",
			"shard", shard, "peer", peer.Short(), "replica", replica)
	}
}

// Expel ends an admission: no message that the peer sends for the shard counts, and none is sent
// to it.
func (e *Engine) Expel(shard uint64, peer sm.PeerID) { e.transport.Expel(shard, peer) }

// Troubles returns the troubles with the peers that were admitted for the shard. Trouble with
// Raft messages hides trouble with snapshots.
func (e *Engine) Troubles(shard uint64) map[sm.PeerID]Trouble { return e.transport.Troubles(shard) }

// ServeRaft receives messages until the connection or the context ends, the engine closes, or
// the peer sends a malformed message. It is a handler for [link.Raft].
func (e *Engine) ServeRaft(ctx context.Context, c *link.Conn) { e.transport.ServeRaft(ctx, c) }

// ServeSnapshot receives snapshots, otherwise as [Engine.ServeRaft]. It is a handler for
// [link.Snapshot].
func (e *Engine) ServeSnapshot(ctx context.Context, c *link.Conn) { e.transport.ServeSnapshot(ctx, c) }

// replica returns the replica of the shard that runs here, or nil.
func (e *Engine) replica(shard uint64) *Replica {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.replicas[shard]
}

// Close stops all replicas and waits for everything that the engine started. Calls in flight
// return [ErrClosed]. No state machine, log or event is called once it has returned. Closing
// again also waits and returns the same error.
func (e *Engine) Close() error { return e.close() }

// shutdown stops the engine from the outside in: calls and connections, then replicas, then
// dragonboat.
func (e *Engine) shutdown() (err error) {
	e.cancel()
	e.gate.Lock() // waits for calls of host in flight
	e.closed = true
	e.gate.Unlock()
	_ = e.transport.Close() // it never fails
	e.transport.Wait()
	e.repeats.Wait()

	e.mu.RLock()
	replicas := slices.Collect(maps.Values(e.replicas))
	e.mu.RUnlock()
	for _, r := range replicas {
		r.quiesce()
	}
	defer func() {
		var machines sync.WaitGroup
		for _, r := range replicas {
			machines.Go(func() {
				r.applier.wait()
				e.release(r)
			})
		}
		machines.Wait()
		e.events.close()
	}()
	defer recovered(&err)
	e.host.Close()
	return nil
}
