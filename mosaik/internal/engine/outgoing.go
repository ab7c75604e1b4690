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

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// maxAnswer bounds the payload of a frame on a connection that is dialled to
	// send, in bytes.
	maxAnswer = 1 << 10
	// dialTimeout bounds one attempt to connect.
	dialTimeout = 5 * time.Second
	// doneTimeout bounds how long a peer may take to store a snapshot, all of which
	// has arrived.
	doneTimeout = 30 * time.Second
)

// errPausing reports a peer that is not dialled because it could not be
// reached a moment ago.
var errPausing = errors.New("engine: the peer could not be reached a moment ago")

// outgoing is what dragonboat sends through: a connection to a peer, opened at the first
// use and again at the next use after it has ended. Its Send methods are called from one
// goroutine.
type outgoing struct {
	engine   *Engine
	peer     sm.PeerID
	protocol link.Protocol
	lane     uint64 // tells the peer which of its connections another one replaces
	// dragonboat's Send methods have no context: this one ends with the
	// NodeHost or with Close.
	ctx      context.Context
	cancel   context.CancelFunc
	unwatch  func() bool    // stops waiting for ctx
	watchers sync.WaitGroup // the goroutines of all streams

	lost    bool          // a piece of the snapshot was lost
	sending *replicaKey   // the replica whose snapshot this is
	done    chan struct{} // holds a token when a snapshot arrived

	mu     sync.Mutex
	stream *stream // nil while there is none
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
	if o.stream != nil {
		o.stream.conn.Close()
		o.stream = nil
	}
}

// drop takes into account that a stream has ended. Raft is told that what was in flight is
// lost.
func (o *outgoing) drop(s *stream) {
	o.mu.Lock()
	if o.stream == s {
		o.stream = nil
	}
	o.mu.Unlock()
	var lost []pb.Message
	for _, key := range s.backlog.abandon() {
		if r := o.engine.replica(key.shard); r != nil && s.inFlight() > 0 {
			lost = append(lost, pb.Message{ShardID: key.shard, From: r.id, To: key.replica})
		}
	}
	o.unreachable(lost)
}

// forget has everything sent again to a replica that lacks what was sent.
func (o *outgoing) forget(key replicaKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stream != nil {
		o.stream.backlog.forget(key)
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
	s, err := o.connect()
	if err == nil {
		err = s.send(batch)
	}
	if err != nil && !errors.Is(err, errPausing) {
		o.engine.log.Debug("engine: messages dropped", "peer", o.peer.Short(), "error", err)
		o.unreachable(batch.Requests)
	}
	return nil
}

// unreachable tells Raft that what it sent is lost, so that it does not count
// on it.
func (o *outgoing) unreachable(lost []pb.Message) {
	if len(lost) == 0 {
		return
	}
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
		o.engine.peers.failed(o.peer, link.Snapshot, fmt.Errorf("send a snapshot: %w", err), time.Now())
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
		return snapstore.ErrRefused
	}
	s, err := o.connect()
	if err != nil {
		return err
	}
	if err := s.marshal(wire.FrameChunk, chunk.Size(), chunk.MarshalTo); err != nil || chunk.ChunkId+1 < chunk.ChunkCount {
		return err
	}
	return o.awaitDone(s)
}

// awaitDone returns when the peer has stored the snapshot. As long as bytes of it are in
// flight, the stream's guard watches over them.
func (o *outgoing) awaitDone(s *stream) error {
	for begin := time.Now(); ; {
		timer := time.NewTimer(time.Until(begin.Add(doneTimeout)))
		select {
		case <-o.done:
			timer.Stop()
			o.engine.peers.recovered(o.peer, link.Snapshot)
			return nil
		case <-s.gone:
			timer.Stop()
			return s.why(snapstore.ErrRefused)
		case <-s.news:
			timer.Stop()
			if s.inFlight() > 0 {
				begin = time.Now()
			}
		case <-timer.C:
			return snapstore.ErrRefused
		}
	}
}

// inform tells dragonboat what became of its messages.
func (o *outgoing) inform(reports ...pb.Message) {
	if err := o.engine.transport.inject(reports...); err != nil && !errors.Is(err, ErrClosed) {
		o.engine.log.Error("engine: report lost messages", "peer", o.peer.Short(), "error", err)
	}
}

// connect returns the stream, opening a connection if there is none.
func (o *outgoing) connect() (*stream, error) {
	o.mu.Lock()
	s := o.stream
	o.mu.Unlock()
	if s != nil {
		return s, nil
	}
	if o.engine.peers.pausing(o.peer, time.Now()) {
		return nil, errPausing
	}
	ctx, cancel := context.WithTimeout(o.ctx, dialTimeout)
	defer cancel()
	conn, err := o.engine.network.Connect(ctx, o.peer, o.protocol)
	if err != nil {
		o.engine.peers.missed(o.peer, time.Now())
		if o.protocol == link.Raft {
			o.engine.peers.failed(o.peer, link.Raft, err, time.Now())
		}
		return nil, fmt.Errorf("engine: connect to %s: %w", o.peer.Short(), err)
	}
	o.engine.peers.reached(o.peer)
	s = newStream(o, conn)
	o.mu.Lock()
	o.stream = s
	o.mu.Unlock()
	s.start()
	if !o.engine.peers.track(o) || o.ctx.Err() != nil {
		o.hangUp()
		return nil, fmt.Errorf("engine: connect to %s: it was expelled", o.peer.Short())
	}
	return s, nil
}
