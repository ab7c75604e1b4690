package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// ServeRaft receives messages until the connection or the context ends, the
// engine is closed, or the peer sends what no peer sends. It is a handler for
// [link.Raft].
func (e *Engine) ServeRaft(ctx context.Context, c *link.Conn) {
	source := c.Peer().String()
	e.serve(ctx, c, wire.MaxBatch, func() {}, func(kind uint8, b []byte) error {
		if kind != wire.FrameBatch {
			return wire.ErrBad
		}
		batch, err := wire.DecodeBatch(b)
		if err != nil {
			return err
		}
		batch.SourceAddress = source
		return e.receiveBatch(c.Peer(), batch)
	})
}

// ServeSnapshot receives snapshots, otherwise as [Engine.ServeRaft]. It is a
// handler for [link.Snapshot].
func (e *Engine) ServeSnapshot(ctx context.Context, c *link.Conn) {
	in := intake{engine: e, from: c.Peer()}
	e.serve(ctx, c, wire.MaxChunk, in.close, func(kind uint8, b []byte) error {
		if kind != wire.FrameChunk {
			return wire.ErrBad
		}
		chunk, err := wire.DecodeChunk(b)
		if err != nil {
			return err
		}
		if err := in.receive(chunk); err != nil || chunk.ChunkId+1 < chunk.ChunkCount {
			return err
		}
		return c.WriteFrame(wire.FrameDone)
	})
}

// serve calls receive for each frame until it fails, and then end.
func (e *Engine) serve(ctx context.Context, c *link.Conn, limit int, end func(), receive func(kind uint8, b []byte) error) {
	if !e.enter() {
		c.Close()
		return
	}
	e.serving.Add(1)
	e.leave()
	defer e.serving.Done()
	defer end()
	acks := acks{conn: c, lanes: &e.lanes, lane: lane{peer: c.Peer()}}
	defer acks.close()
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer context.AfterFunc(e.ctx, func() { c.Close() })()

	e.peers.reached(c.Peer())
	defer c.Rest()
	var buf []byte
	for admitted := false; ; {
		if !admitted {
			admitted, _ = e.peers.speaks(c.Peer())
			c.TakeTurns(!admitted)
		}
		err := e.awaitAdmission(ctx, c, &acks)
		var kind uint8
		var payload []byte
		if err == nil {
			kind, payload, err = c.ReadFrame(limit, buf)
		}
		if err == nil && wire.IsKnown(kind) {
			acks.busy.Store(true)
			if kind == wire.FrameWatch {
				err = acks.watch(payload)
			} else {
				err = receive(kind, payload)
			}
		}
		acks.handled()
		if errors.Is(err, wire.ErrBad) {
			c.Bar()
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, ErrClosed) {
				level := slog.LevelWarn
				if broken := new(net.OpError); errors.As(err, &broken) {
					level = slog.LevelInfo // a peer that ends resets what it has not read
				}
				e.log.Log(ctx, level, "engine: connection dropped", "peer", c.Peer().Short(), "error", err)
			}
			return
		}
		if cap(payload) <= maxKept {
			buf = payload
		}
	}
}

const (
	// smallFrame is the largest frame, in bytes, of a peer that speaks for no replica
	// here. It has room for some messages without entries, which are dropped.
	smallFrame = 1 << 10
	// admissionTimeout bounds how long a larger one waits: as long as its sender does.
	admissionTimeout = stallTimeout
)

// errStranger reports a large frame of a peer that was not admitted in time.
var errStranger = errors.New("engine: a large frame of a peer that speaks for no replica here")

// awaitAdmission returns when the next frame may be read: a large one once its sender
// speaks for a replica here. Members announce themselves on another connection than
// this one, so a frame may overtake the announcement.
func (e *Engine) awaitAdmission(ctx context.Context, c *link.Conn, acks *acks) error {
	size, err := c.PeekFrame()
	if err != nil || size <= smallFrame {
		return err
	}
	ok, changed := e.peers.speaks(c.Peer())
	if ok {
		return nil
	}
	c.Rest()
	acks.busy.Store(true)
	defer acks.busy.Store(false)
	timer := time.NewTimer(admissionTimeout)
	defer timer.Stop()
	for !ok {
		select {
		case <-changed:
			ok, changed = e.peers.speaks(c.Peer())
		case <-timer.C:
			return fmt.Errorf("%w: %d bytes; larger than %d are read after its bond is up", errStranger, size, smallFrame)
		case <-ctx.Done():
			return net.ErrClosed
		case <-e.ctx.Done():
			return net.ErrClosed
		}
	}
	return nil
}

// receiveBatch hands on those messages of the batch that the peer may send and a
// replica here takes. The others are dropped: admissions change while messages travel.
func (e *Engine) receiveBatch(from sm.PeerID, batch pb.MessageBatch) error {
	now := time.Now()
	taken := batch.Requests[:0]
	var appends []pb.Message
	for i := range batch.Requests {
		m := &batch.Requests[i]
		r, l := e.receiver(from, m.ShardID, m.From, m.To)
		if r == nil || !r.takes(l, from, m, now) {
			continue
		}
		switch m.Type {
		case pb.Heartbeat:
			if a, ok := r.limitCommit(l, from, m); ok {
				appends = append(appends, a)
			}
		case pb.Replicate:
			if err := e.claimMembers(m); err != nil {
				return err
			}
		}
		taken = append(taken, *m)
	}
	if batch.Requests = append(taken, appends...); len(batch.Requests) == 0 {
		return nil
	}
	batch.Requests = e.goOn(from, batch.Requests)
	err := e.transport.hand(batch)
	for i := range batch.Requests {
		m := &batch.Requests[i]
		if m.Type != pb.TimeoutNow {
			continue
		}
		if r := e.replica(m.ShardID); r != nil {
			r.insist(*m)
		}
	}
	return err
}

// limitCommit keeps a heartbeat from committing what the log may not hold when Raft comes
// to it, on which dragonboat would panic. What is committed already it may say. Of more it
// becomes an append without entries, which Raft compares with the log.
func (r *Replica) limitCommit(l *raftlog.Log, from sm.PeerID, m *pb.Message) (a pb.Message, ok bool) {
	commit, known := m.Commit, l.Commit()
	if commit <= known {
		return a, false
	}
	m.Commit = known
	if _, last := l.Span(); sm.Index(commit) > last {
		r.lacks(from, m, last, sm.Index(commit))
		return a, false
	}
	a = pb.Message{Type: pb.Replicate, ShardID: m.ShardID, From: m.From, To: m.To, Term: m.Term,
		LogIndex: commit, LogTerm: uint64(l.TermAt(sm.Index(commit))), Commit: commit}
	return a, a.LogTerm != 0
}

// lacks ends the replica if the leader says that it acknowledged an entry which its log
// does not hold: only the leader that Raft follows in this term knows what was
// acknowledged. It may still be wrong, so the log must be kept.
func (r *Replica) lacks(from sm.PeerID, m *pb.Message, last, acknowledged sm.Index) {
	if leader, term := r.leader.get(); leader != m.From || uint64(term) != m.Term {
		return
	}
	r.fail(fmt.Errorf("%w: %w: the log of replica %d of shard %d ends at %d, but peer %s, which leads term %d, says that "+
		"the replica acknowledged %d: the directory may be an older copy, its disk may have lost what it synced, or the "+
		"peer may be wrong; keep the directory, and if the other members follow that leader (Status.Leader), start this "+
		"member with a new, empty one",
		ErrStorage, logstore.ErrCorrupt, r.id, r.shard, last, from.Short(), m.Term, acknowledged))
}

// claimMembers refuses entries that add a replica which is another peer's: dragonboat
// would panic when it applies them.
func (e *Engine) claimMembers(m *pb.Message) error {
	for i := range m.Entries {
		if m.Entries[i].Type != pb.ConfigChangeEntry {
			continue
		}
		var c pb.ConfigChange
		if err := wire.Unmarshal(&c, m.Entries[i].Cmd); err != nil {
			return err
		}
		if c.Type == pb.RemoveNode {
			continue
		}
		if id, err := sm.ParsePeerID(c.Address); err != nil || !e.peers.claim(m.ShardID, c.ReplicaID, id) {
			return fmt.Errorf("%w: replica %d is not that of peer %.8s", wire.ErrBad, c.ReplicaID, c.Address)
		}
	}
	return nil
}

// receiver returns the replica to which the peer may send a message from one replica of
// the shard, and its log; nil if there is none.
func (e *Engine) receiver(peer sm.PeerID, shard, from, to uint64) (*Replica, *raftlog.Log) {
	r := e.replica(shard)
	if r == nil || r.id != to || r.failure.Load() != nil || !e.peers.speaksFor(peer, shard, from) {
		return nil, nil
	}
	l := e.router.Find(shard, to)
	if l == nil || l.Fenced() {
		return nil, nil
	}
	return r, l
}

// maySend reports whether a message may leave for the peer.
func (e *Engine) maySend(peer sm.PeerID, m *pb.Message) bool {
	r := e.replica(m.ShardID)
	return r != nil && r.id == m.From && !r.muted() && e.peers.speaksFor(peer, m.ShardID, m.To)
}
