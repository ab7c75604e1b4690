package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// ErrClosed reports a call on a stopped replica or a closed engine.
var ErrClosed = errors.New("engine: closed")

// errHandler reports that dragonboat panicked on what it was given.
var errHandler = errors.New("engine: dragonboat panicked on a message")

// Network opens connections to peers.
type Network interface {
	// Connect returns a connection to peer, whose address it finds itself, and proves
	// that it is that peer. Either end may have opened it; this one sends on it.
	Connect(ctx context.Context, peer sm.PeerID, p link.Protocol) (*link.Conn, error)
}

// Transport carries dragonboat's messages over links. It is both the factory that a NodeHost
// asks for a transport and that transport. Its methods may be called concurrently.
//
// dragonboat queues messages for each peer and quarter of the shards, and sends each queue
// from a goroutine of its own; what that goroutine finds in its queue leaves as one frame.
// dragonboat also keeps a circuit breaker for each peer. It blocks for 0.5 to 1 s after each
// failure, also when the peer is back at once, and for all shards, also when a single replica
// refused a snapshot. So Send methods never fail: connections are opened when they are used,
// with pauses that end when the peer is admitted again or connects to us, and Raft learns of
// losses from messages that the transport makes.
//
// Lock order: peers.mu, outgoing.mu, backlog.mu. None of them is held during I/O, but for the
// close of a connection.
type Transport struct {
	ctx     context.Context // ends when the engine begins to close
	log     *slog.Logger
	network Network
	peers   *peers
	serving sync.WaitGroup // connections that peers have opened
	sends   sync.Map       // replicaKey: the replicas to which a snapshot is in flight
	lanes   lanes          // of connections that peers have opened

	endpointsMu sync.RWMutex
	endpoints   map[uint64]*Endpoint // by shard

	mu      sync.RWMutex // held for reading during calls of the handlers
	closed  bool
	handle  raftio.MessageHandler
	collect raftio.ChunkHandler
	batch   pb.MessageBatch // deployment and version of messages that the transport makes
}

var (
	_ config.TransportFactory = (*Transport)(nil)
	_ raftio.ITransport       = (*Transport)(nil)
)

// New returns a transport without endpoints. Connections that peers have opened end with ctx.
func New(ctx context.Context, network Network, log *slog.Logger) *Transport {
	return &Transport{ctx: ctx, log: log, network: network, peers: newPeers(), endpoints: map[uint64]*Endpoint{}}
}

// Create implements [config.TransportFactory].
func (t *Transport) Create(cfg config.NodeHostConfig, handle raftio.MessageHandler, collect raftio.ChunkHandler) raftio.ITransport {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handle, t.collect = handle, collect
	t.batch = pb.MessageBatch{DeploymentId: cfg.GetDeploymentID(), BinVer: raftio.TransportBinVersion}
	return t
}

// Validate implements [config.TransportFactory]: a target is the text form of a peer id.
func (t *Transport) Validate(target string) bool { return wire.ValidTarget(target) }

// Name implements [raftio.ITransport].
func (t *Transport) Name() string { return "mosaik" }

// Start implements [raftio.ITransport]. Connections arrive through [Transport.ServeRaft] and
// [Transport.ServeSnapshot].
func (t *Transport) Start() error { return nil }

// Close implements [raftio.ITransport]. No handler of dragonboat runs once it has returned.
func (t *Transport) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}

// Wait waits for the connections that peers have opened. It returns after the transport's
// context has ended and Close was called.
func (t *Transport) Wait() { t.serving.Wait() }

// begin begins to serve a connection, which serving.Done ends. It is false once the transport
// is closed.
func (t *Transport) begin() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return false
	}
	t.serving.Add(1)
	return true
}

// GetConnection implements [raftio.ITransport]. The context ends with the NodeHost.
func (t *Transport) GetConnection(ctx context.Context, target string) (raftio.IConnection, error) {
	return t.outgoing(ctx, target, link.Raft)
}

// GetSnapshotConnection implements [raftio.ITransport].
func (t *Transport) GetSnapshotConnection(ctx context.Context, target string) (raftio.ISnapshotConnection, error) {
	return t.outgoing(ctx, target, link.Snapshot)
}

func (t *Transport) outgoing(ctx context.Context, target string, protocol link.Protocol) (*outgoing, error) {
	peer, err := sm.ParsePeerID(target)
	if err != nil {
		return nil, fmt.Errorf("engine: connect to %q: %w", target, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &outgoing{
		transport: t, peer: peer, protocol: protocol, lane: rand.Uint64(),
		ctx: ctx, cancel: cancel, done: make(chan struct{}, 1),
	}
	o.unwatch = context.AfterFunc(ctx, o.hangUp)
	return o, nil
}

// Inject gives dragonboat messages that this process makes.
func (t *Transport) Inject(messages ...pb.Message) error {
	batch := t.batch
	batch.Requests = messages
	return t.deliver(batch)
}

// deliver gives dragonboat a batch. dragonboat panics on some messages; it does so on this
// goroutine, before it changes anything.
func (t *Transport) deliver(batch pb.MessageBatch) (err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed || t.handle == nil {
		return ErrClosed
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errHandler, r)
		}
	}()
	t.handle(batch)
	return nil
}

// deliverChunk gives dragonboat a chunk of a snapshot and reports whether it wants more of
// that snapshot.
func (t *Transport) deliverChunk(chunk pb.Chunk) (more bool, err error) {
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
