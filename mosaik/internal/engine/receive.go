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
	e.serve(ctx, c, maxBatch, func() {}, func(kind uint8, b []byte) error {
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
	in := intake{engine: e, from: c.Peer()}
	e.serve(ctx, c, maxChunk, in.close, func(kind uint8, b []byte) error {
		if kind != frameChunk {
			return errBad
		}
		chunk, err := decodeChunk(b)
		if err != nil {
			return err
		}
		if err := in.receive(chunk); err != nil || chunk.ChunkId+1 < chunk.ChunkCount {
			return err
		}
		return c.WriteFrame(frameDone)
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
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer context.AfterFunc(e.ctx, func() { c.Close() })()

	e.peers.reached(c.Peer())
	var buf []byte
	for {
		kind, payload, err := c.ReadFrame(limit, buf)
		if err == nil && isKnown(kind) {
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
