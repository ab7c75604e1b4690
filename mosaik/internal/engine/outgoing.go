package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// maxAnswer bounds the payload of a frame on a connection that is dialled to
	// send, in bytes.
	maxAnswer = 1 << 10
	// dialTimeout bounds one attempt to connect.
	dialTimeout = 5 * time.Second
	// writeTimeout bounds how long a peer that reads nothing holds up its
	// queue. Deadlines are renewed when half of it is used up, not for each
	// frame.
	writeTimeout = 10 * time.Second
	// doneTimeout bounds how long a peer may take to store a snapshot, of
	// which the last bytes are on their way.
	doneTimeout = 30 * time.Second
)

// errPausing reports a peer that is not dialled because it could not be
// reached a moment ago.
var errPausing = errors.New("engine: the peer could not be reached a moment ago")

// outgoing is a connection to a peer, opened at the first use. Its Send
// methods are called from one goroutine.
type outgoing struct {
	engine   *Engine
	peer     sm.PeerID
	protocol link.Protocol
	// dragonboat's Send methods have no context: this one ends with the
	// NodeHost or with Close.
	ctx      context.Context
	cancel   context.CancelFunc
	unwatch  func() bool    // stops waiting for ctx
	watchers sync.WaitGroup // one for each connection

	deadline time.Time     // of writes, as last set
	lost     bool          // a piece of the snapshot was lost
	sending  *replicaKey   // the replica whose snapshot this is
	done     chan struct{} // holds a token when a snapshot arrived

	mu   sync.Mutex
	conn *link.Conn    // nil while there is none
	gone chan struct{} // closed when the last connection has ended
}

var (
	_ raftio.IConnection         = (*outgoing)(nil)
	_ raftio.ISnapshotConnection = (*outgoing)(nil)
)

// Close implements [raftio.IConnection].
func (o *outgoing) Close() {
	o.unwatch()
	o.cancel()
	o.engine.peers.untrack(o)
	o.hangUp()
	o.watchers.Wait()
	if o.sending != nil {
		o.engine.sends.Delete(*o.sending)
	}
}

// hangUp closes the connection; the next use opens another.
func (o *outgoing) hangUp() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn != nil {
		o.conn.Close()
		o.conn = nil
	}
}

// SendMessageBatch implements [raftio.IConnection]. It never fails: what can't
// be sent is dropped, as Raft expects of a network.
func (o *outgoing) SendMessageBatch(batch pb.MessageBatch) error {
	batch.SourceAddress = "" // the receiver knows who we are
	refuse := func(m pb.Message) bool { return !o.engine.maySend(o.peer, &m) }
	if slices.ContainsFunc(batch.Requests, refuse) {
		batch.Requests = slices.DeleteFunc(slices.Clone(batch.Requests), refuse)
	}
	if len(batch.Requests) == 0 {
		return nil
	}
	o.engine.noteSent(batch.Requests)
	err := cut(batch, func(piece pb.MessageBatch) error {
		return o.write(frameBatch, piece.SizeUpperLimit(), piece.MarshalTo)
	})
	if err != nil && !errors.Is(err, errPausing) {
		o.engine.log.Debug("engine: messages dropped", "peer", o.peer.Short(), "error", err)
		o.unreachable(batch.Requests)
	}
	return nil
}

// unreachable tells Raft that what it sent is lost, so that it does not count
// on it.
func (o *outgoing) unreachable(lost []pb.Message) {
	told := map[replicaKey]bool{}
	var reports []pb.Message
	for i := range lost {
		m := &lost[i]
		if key := (replicaKey{m.ShardID, m.To}); !told[key] {
			told[key] = true
			reports = append(reports, pb.Message{Type: pb.Unreachable, ShardID: m.ShardID, From: m.To, To: m.From})
		}
	}
	o.inform(reports...)
}

// SendChunk implements [raftio.ISnapshotConnection]. It never fails, as
// SendMessageBatch; the rest of a snapshot of which a piece was lost is dropped.
// The last chunk is sent when the peer has all of them.
func (o *outgoing) SendChunk(chunk pb.Chunk) error {
	if o.lost {
		return nil
	}
	if o.sending == nil && !o.begin(replicaKey{chunk.ShardID, chunk.ReplicaID}) {
		o.lost = true
		return nil
	}
	if err := o.sendChunk(&chunk); err != nil {
		o.lost = true
		o.engine.log.Debug("engine: snapshot dropped", "peer", o.peer.Short(), "shard", chunk.ShardID, "error", err)
		o.inform(pb.Message{Type: pb.SnapshotStatus, ShardID: chunk.ShardID, From: chunk.ReplicaID, To: chunk.From, Reject: true})
	}
	return nil
}

// begin reports whether no other snapshot is under way to the replica. Raft
// sends another one when the first takes its time; each would start the other
// over.
func (o *outgoing) begin(to replicaKey) bool {
	if _, busy := o.engine.sends.LoadOrStore(to, struct{}{}); busy {
		return false
	}
	o.sending = &to
	return true
}

func (o *outgoing) sendChunk(chunk *pb.Chunk) error {
	if !o.engine.maySend(o.peer, &pb.Message{ShardID: chunk.ShardID, From: chunk.From, To: chunk.ReplicaID}) {
		return errRefused
	}
	if err := o.write(frameChunk, chunk.Size(), chunk.MarshalTo); err != nil || chunk.ChunkId+1 < chunk.ChunkCount {
		return err
	}
	timer := time.NewTimer(doneTimeout)
	defer timer.Stop()
	o.mu.Lock()
	gone := o.gone
	o.mu.Unlock()
	select {
	case <-o.done:
		return nil
	case <-gone:
	case <-timer.C:
	}
	return errRefused
}

// inform tells dragonboat what became of its messages.
func (o *outgoing) inform(reports ...pb.Message) {
	if err := o.engine.transport.inject(reports...); err != nil && !errors.Is(err, ErrClosed) {
		o.engine.log.Error("engine: report lost messages", "peer", o.peer.Short(), "error", err)
	}
}

// marshalled keeps the buffers in which messages are encoded.
var marshalled = sync.Pool{New: func() any { return new([]byte) }}

// maxKept is the largest buffer that is kept, in bytes.
const maxKept = 1 << 20

// write sends a frame of at most size bytes.
func (o *outgoing) write(kind uint8, size int, marshal func([]byte) (int, error)) error {
	conn, err := o.connect()
	if err != nil {
		return err
	}
	buf := marshalled.Get().(*[]byte)
	defer marshalled.Put(buf)
	b := slices.Grow((*buf)[:0], size)[:size]
	if size <= maxKept {
		*buf = b
	}
	n, err := marshal(b)
	if err != nil {
		return fmt.Errorf("engine: encode message: %w", err)
	}
	if now := time.Now(); o.deadline.Sub(now) < writeTimeout/2 {
		o.deadline = now.Add(writeTimeout)
		conn.SetWriteDeadline(o.deadline)
	}
	if err := conn.WriteFrame(kind, b[:n]); err != nil {
		o.hangUp()
		return fmt.Errorf("engine: send to %s: %w", o.peer.Short(), err)
	}
	return nil
}

// connect returns the connection, opening it if there is none.
func (o *outgoing) connect() (*link.Conn, error) {
	o.mu.Lock()
	conn := o.conn
	o.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	if o.engine.peers.pausing(o.peer, time.Now()) {
		return nil, errPausing
	}
	ctx, cancel := context.WithTimeout(o.ctx, dialTimeout)
	defer cancel()
	conn, err := o.engine.network.Dial(ctx, o.peer, o.protocol)
	if err != nil {
		o.engine.peers.missed(o.peer, time.Now())
		return nil, fmt.Errorf("engine: connect to %s: %w", o.peer.Short(), err)
	}
	o.engine.peers.reached(o.peer)
	o.deadline = time.Time{}
	gone := make(chan struct{})
	o.mu.Lock()
	o.conn, o.gone = conn, gone
	o.mu.Unlock()
	o.watchers.Go(func() { o.watch(conn, gone) })
	if !o.engine.peers.track(o) || o.ctx.Err() != nil {
		o.hangUp()
		return nil, fmt.Errorf("engine: connect to %s: it was expelled", o.peer.Short())
	}
	return conn, nil
}

// watch hangs up when the peer does: without it a message would be lost before
// the end of the connection is noticed. All that a peer says on a connection
// that is dialled to send is that a snapshot arrived.
func (o *outgoing) watch(conn *link.Conn, gone chan<- struct{}) {
	defer close(gone)
	var buf [maxAnswer]byte
	for {
		kind, _, err := conn.ReadFrame(maxAnswer, buf[:])
		if err != nil || isKnown(kind) && kind != frameDone {
			break
		}
		if kind != frameDone {
			continue
		}
		select {
		case o.done <- struct{}{}:
		default:
		}
	}
	conn.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn == conn {
		o.conn = nil
	}
}
