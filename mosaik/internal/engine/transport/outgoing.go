package transport

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
	// maxAnswer bounds the payload of a frame that the receiver of data sends, in bytes.
	maxAnswer = 1 << 10
	// dialTimeout bounds one attempt to connect.
	dialTimeout = 5 * time.Second
	// doneTimeout bounds how long a peer may take to store a snapshot after all of it has
	// arrived.
	doneTimeout = 30 * time.Second
)

// errPausing reports a peer that is not dialled because a dial has just failed.
var errPausing = errors.New("engine: the last attempt to connect to the peer has just failed")

// outgoing is a connection to a peer as dragonboat sees it. The connection is opened at the
// first use, and again at the next use after it has ended. dragonboat calls the Send methods
// from one goroutine.
type outgoing struct {
	transport *Transport
	peer      sm.PeerID
	protocol  link.Protocol
	lane      uint64 // tells the peer which of its connections a new one replaces
	// dragonboat's Send methods have no context. This one ends with the NodeHost or with
	// Close.
	ctx     context.Context
	cancel  context.CancelFunc
	unwatch func() bool    // stops watching ctx
	running sync.WaitGroup // the goroutines of all streams

	lost    bool          // a chunk of the snapshot was lost; the rest is dropped
	sending *replicaKey   // the replica that the snapshot is for
	done    chan struct{} // holds a token when the peer has stored a snapshot

	mu     sync.Mutex
	stream *stream // nil while there is no connection
}

var (
	_ raftio.IConnection         = (*outgoing)(nil)
	_ raftio.ISnapshotConnection = (*outgoing)(nil)
)

// Close implements [raftio.IConnection].
func (o *outgoing) Close() {
	o.unwatch()
	o.cancel()
	o.transport.peers.untrack(o)
	o.hangUp()
	o.running.Wait()
	if o.sending != nil {
		o.transport.sends.Delete(*o.sending)
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

// drop handles the end of a stream. It tells Raft that the messages in flight are lost.
func (o *outgoing) drop(s *stream) {
	o.mu.Lock()
	if o.stream == s {
		o.stream = nil
	}
	o.mu.Unlock()
	var lost []pb.Message
	for _, key := range s.backlog.close() {
		if ep := o.transport.endpoint(key.shard); ep != nil && s.inFlight() > 0 {
			lost = append(lost, pb.Message{ShardID: key.shard, From: ep.Replica, To: key.replica})
		}
	}
	o.unreachable(lost)
}

// forget makes the stream send entries again that a replica lacks.
func (o *outgoing) forget(key replicaKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stream != nil {
		o.stream.backlog.forget(key)
	}
}

// SendMessageBatch implements [raftio.IConnection]. It never fails: messages that cannot be
// sent are dropped, as Raft expects of a network.
func (o *outgoing) SendMessageBatch(batch pb.MessageBatch) error {
	batch.SourceAddress = "" // the receiver knows the peer from the connection
	refuse := func(m pb.Message) bool { return !o.transport.maySend(o.peer, &m) }
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
		o.transport.log.Debug("engine: messages dropped", "peer", o.peer.Short(), "error", err)
		o.unreachable(batch.Requests)
	}
	return nil
}

// unreachable tells Raft that messages are lost, so that it does not count on them.
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

// SendChunk implements [raftio.ISnapshotConnection]. Like SendMessageBatch it never fails;
// after a lost chunk the rest of the snapshot is dropped. The last chunk counts as sent once
// the peer has stored the snapshot.
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
		o.transport.peers.failed(o.peer, link.Snapshot, fmt.Errorf("send a snapshot: %w", err), time.Now())
		o.transport.log.Debug("engine: snapshot dropped", "peer", o.peer.Short(), "shard", chunk.ShardID, "error", err)
		o.inform(pb.Message{Type: pb.SnapshotStatus, ShardID: chunk.ShardID, From: chunk.ReplicaID, To: chunk.From, Reject: true})
	}
	return nil
}

// begin reports whether no other snapshot is in flight to the replica. Raft sends another one
// when the first takes long; each would restart the other.
func (o *outgoing) begin(to replicaKey) bool {
	if _, busy := o.transport.sends.LoadOrStore(to, struct{}{}); busy {
		return false
	}
	o.sending = &to
	return true
}

func (o *outgoing) sendChunk(chunk *pb.Chunk) error {
	if !o.transport.maySend(o.peer, &pb.Message{ShardID: chunk.ShardID, From: chunk.From, To: chunk.ReplicaID}) {
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

// awaitDone returns when the peer has stored the snapshot. While bytes of it are in flight,
// the stream's monitor decides how long they may take.
func (o *outgoing) awaitDone(s *stream) error {
	for begin := time.Now(); ; {
		timer := time.NewTimer(time.Until(begin.Add(doneTimeout)))
		select {
		case <-o.done:
			timer.Stop()
			o.transport.peers.recovered(o.peer, link.Snapshot)
			return nil
		case <-s.ended:
			timer.Stop()
			return s.why(snapstore.ErrRefused)
		case <-s.acknowledgment:
			timer.Stop()
			if s.inFlight() > 0 {
				begin = time.Now()
			}
		case <-timer.C:
			return snapstore.ErrRefused
		}
	}
}

// inform gives dragonboat reports about its messages.
func (o *outgoing) inform(reports ...pb.Message) {
	if err := o.transport.Inject(reports...); err != nil && !errors.Is(err, ErrClosed) {
		o.transport.log.Error("engine: loss of messages not reported to Raft", "peer", o.peer.Short(), "error", err)
	}
}

// connect returns the stream. It opens a connection if there is none.
func (o *outgoing) connect() (*stream, error) {
	o.mu.Lock()
	s := o.stream
	o.mu.Unlock()
	if s != nil {
		return s, nil
	}
	peers := o.transport.peers
	if peers.pausing(o.peer, time.Now()) {
		return nil, errPausing
	}
	ctx, cancel := context.WithTimeout(o.ctx, dialTimeout)
	defer cancel()
	conn, err := o.transport.network.Connect(ctx, o.peer, o.protocol)
	if err != nil {
		peers.missed(o.peer, time.Now())
		if o.protocol == link.Raft {
			peers.failed(o.peer, link.Raft, err, time.Now())
		}
		return nil, fmt.Errorf("engine: connect to %s: %w", o.peer.Short(), err)
	}
	peers.reached(o.peer)
	s = newStream(o, conn)
	o.mu.Lock()
	o.stream = s
	o.mu.Unlock()
	s.start()
	if !peers.track(o) || o.ctx.Err() != nil {
		o.hangUp()
		return nil, fmt.Errorf("engine: connect to %s: the peer is no longer admitted", o.peer.Short())
	}
	return s, nil
}
