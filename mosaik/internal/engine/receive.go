package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// ServeRaft receives messages until the connection or the context ends, the
// engine is closed, or the peer sends what no peer sends. It is a handler for
// [link.Raft].
func (e *Engine) ServeRaft(ctx context.Context, c *link.Conn) {
	source := c.Peer().String()
	e.serve(ctx, c, maxBatch, func(kind uint8, b []byte) error {
		if kind != frameBatch {
			return errBad
		}
		batch, err := decodeBatch(b)
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
	e.serve(ctx, c, maxChunk, func(kind uint8, b []byte) error {
		if kind != frameChunk {
			return errBad
		}
		chunk, err := decodeChunk(b)
		if err != nil {
			return err
		}
		if err := e.receiveChunk(c.Peer(), chunk); err != nil || chunk.ChunkId+1 < chunk.ChunkCount {
			return err
		}
		return c.WriteFrame(frameDone)
	})
}

// serve calls receive for each frame until it fails.
func (e *Engine) serve(ctx context.Context, c *link.Conn, limit int, receive func(kind uint8, b []byte) error) {
	if !e.enter() {
		c.Close()
		return
	}
	e.serving.Add(1)
	e.leave()
	defer e.serving.Done()
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer context.AfterFunc(e.ctx, func() { c.Close() })()

	e.peers.reached(c.Peer())
	var buf []byte
	for {
		kind, payload, err := c.ReadFrame(limit, buf)
		if err == nil {
			err = receive(kind, payload)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, ErrClosed) {
				e.log.Warn("engine: connection dropped", "peer", c.Peer().Short(), "error", err)
			}
			return
		}
		if cap(payload) <= maxKept {
			buf = payload
		}
	}
}

// receiveBatch hands on those messages of the batch that the peer may send.
// The others are dropped: admissions change while messages travel.
func (e *Engine) receiveBatch(from sm.PeerID, batch pb.MessageBatch) error {
	batch.Requests = slices.DeleteFunc(batch.Requests, func(m pb.Message) bool {
		return !e.mayReceive(from, m.ShardID, m.From, m.To) || e.lacks(&m)
	})
	if len(batch.Requests) == 0 {
		return nil
	}
	batch.Requests = e.goOn(batch.Requests)
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

// lacks reports a heartbeat that says of a replica here that it acknowledged
// entries which its log does not have, and ends the replica: the log is an older
// copy, or its disk lost what it had promised to keep. dragonboat would panic.
func (e *Engine) lacks(m *pb.Message) bool {
	if m.Type != pb.Heartbeat {
		return false
	}
	last := e.router.last(m.ShardID, m.To)
	if sm.Index(m.Commit) <= last {
		return false
	}
	if r := e.replica(m.ShardID); r != nil {
		r.fail(fmt.Errorf("%w: %w: the log of replica %d of shard %d ends at %d, and the replica had acknowledged %d: it is an older copy, or the disk lost what it had synced; empty the group's log and join as a new replica", ErrStorage, logstore.ErrCorrupt, m.To, m.ShardID, last, m.Commit))
	}
	return true
}

// receiveChunk hands on a piece of a snapshot for a replica that runs here.
func (e *Engine) receiveChunk(from sm.PeerID, chunk pb.Chunk) error {
	if !e.mayReceive(from, chunk.ShardID, chunk.From, chunk.ReplicaID) {
		return errRefused
	}
	for _, targets := range []map[uint64]string{chunk.Membership.Addresses, chunk.Membership.NonVotings} {
		for replica, target := range targets {
			id, err := sm.ParsePeerID(target)
			if err != nil || !e.peers.claim(chunk.ShardID, replica, id) {
				return errBad
			}
		}
	}
	r := e.replica(chunk.ShardID)
	if r == nil {
		return errRefused
	}
	// Stop removes the directory that dragonboat collects the snapshot in.
	r.collecting.RLock()
	defer r.collecting.RUnlock()
	if r.isDone() {
		return errRefused
	}
	more, err := e.transport.handChunk(chunk)
	if err == nil && !more {
		err = errRefused
	}
	return err
}

// errRefused reports a snapshot that is not wanted (any more) by a replica here,
// whose sender learns it by the end of the connection, or by one elsewhere.
var errRefused = errors.New("engine: the snapshot is not wanted")

// mayReceive reports whether the peer may send a message from one replica of
// the shard to another.
func (e *Engine) mayReceive(peer sm.PeerID, shard, from, to uint64) bool {
	r := e.replica(shard)
	return r != nil && r.id == to && !r.muted() && e.peers.speaksFor(peer, shard, from)
}

// maySend reports whether a message may leave for the peer.
func (e *Engine) maySend(peer sm.PeerID, m *pb.Message) bool {
	r := e.replica(m.ShardID)
	return r != nil && r.id == m.From && !r.muted() && e.peers.speaksFor(peer, m.ShardID, m.To)
}
