package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// transport carries dragonboat's messages over links. It is both the factory
// that a NodeHost asks for a transport and that transport.
//
// dragonboat queues up to 2048 messages for each peer and quarter of the
// shards, and sends each queue from a goroutine of its own; what that goroutine
// finds waiting goes out as one frame. Above us it keeps a circuit breaker for
// each peer, which waits for 0.5 to 1 s after each failure, also when the peer
// is back at once, and for all shards, also when one replica refused a snapshot.
// It never learns of a failure: connections are opened lazily and redialled
// here, with pauses that end when the peer is admitted again or dials us, and
// Raft is told of losses by messages of our own.
type transport struct {
	engine *Engine

	mu      sync.RWMutex // held for reading during calls of the handlers
	closed  bool
	deliver raftio.MessageHandler
	collect raftio.ChunkHandler
	batch   pb.MessageBatch // deployment and version, for messages of our own
}

var (
	_ config.TransportFactory = (*transport)(nil)
	_ raftio.ITransport       = (*transport)(nil)
)

// Create implements [config.TransportFactory].
func (t *transport) Create(cfg config.NodeHostConfig, deliver raftio.MessageHandler, collect raftio.ChunkHandler) raftio.ITransport {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deliver, t.collect = deliver, collect
	t.batch = pb.MessageBatch{DeploymentId: cfg.GetDeploymentID(), BinVer: raftio.TransportBinVersion}
	return t
}

// Validate implements [config.TransportFactory]: a target is the text form of
// a peer id.
func (t *transport) Validate(target string) bool { return wire.ValidTarget(target) }

// Name implements [raftio.ITransport].
func (t *transport) Name() string { return "mosaik" }

// Start implements [raftio.ITransport]. Connections arrive through
// [Engine.ServeRaft] and [Engine.ServeSnapshot].
func (t *transport) Start() error { return nil }

// Close implements [raftio.ITransport]. No handler runs once it returned.
func (t *transport) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}

// GetConnection implements [raftio.ITransport]. The context ends with the
// NodeHost.
func (t *transport) GetConnection(ctx context.Context, target string) (raftio.IConnection, error) {
	return t.outgoing(ctx, target, link.Raft)
}

// GetSnapshotConnection implements [raftio.ITransport].
func (t *transport) GetSnapshotConnection(ctx context.Context, target string) (raftio.ISnapshotConnection, error) {
	return t.outgoing(ctx, target, link.Snapshot)
}

func (t *transport) outgoing(ctx context.Context, target string, protocol link.Protocol) (*outgoing, error) {
	peer, err := sm.ParsePeerID(target)
	if err != nil {
		return nil, fmt.Errorf("engine: connect to %q: %w", target, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &outgoing{
		engine: t.engine, peer: peer, protocol: protocol, lane: rand.Uint64(),
		ctx: ctx, cancel: cancel, done: make(chan struct{}, 1),
	}
	o.unwatch = context.AfterFunc(ctx, o.hangUp)
	return o, nil
}

// inject hands dragonboat messages of our own making.
func (t *transport) inject(messages ...pb.Message) error {
	batch := t.batch
	batch.Requests = messages
	return t.hand(batch)
}

// errHandler reports that dragonboat panicked on what it was given.
var errHandler = errors.New("engine: dragonboat panicked on a message")

// hand gives dragonboat a batch, unless the transport is closed. It panics on
// some; it does so here, on our goroutine, before it changed anything.
func (t *transport) hand(batch pb.MessageBatch) (err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed || t.deliver == nil {
		return ErrClosed
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errHandler, r)
		}
	}()
	t.deliver(batch)
	return nil
}

// handChunk gives dragonboat a piece of a snapshot and reports whether it
// wants more of it.
func (t *transport) handChunk(chunk pb.Chunk) (more bool, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed || t.collect == nil {
		return false, ErrClosed
	}
	defer func() {
		if r := recover(); r != nil {
			more, err = false, fmt.Errorf("%w: %v", errHandler, r)
		}
	}()
	return t.collect(chunk), nil
}
