package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// ServeRaft receives messages until the connection or a context ends, the transport is closed,
// or the peer sends a malformed message. It is a handler for [link.Raft].
func (t *Transport) ServeRaft(ctx context.Context, c *link.Conn) {
	source := c.Peer().String()
	t.serve(ctx, c, wire.MaxBatch, func() {}, func(kind uint8, b []byte) error {
		if kind != wire.FrameBatch {
			return wire.ErrBad
		}
		batch, err := wire.DecodeBatch(b)
		if err != nil {
			return err
		}
		batch.SourceAddress = source
		return t.Receive(c.Peer(), batch)
	})
}

// ServeSnapshot receives snapshots, otherwise as [Transport.ServeRaft]. It is a handler for
// [link.Snapshot].
func (t *Transport) ServeSnapshot(ctx context.Context, c *link.Conn) {
	r := snapshotReceiver{transport: t, from: c.Peer()}
	t.serve(ctx, c, wire.MaxChunk, r.close, func(kind uint8, b []byte) error {
		if kind != wire.FrameChunk {
			return wire.ErrBad
		}
		chunk, err := wire.DecodeChunk(b)
		if err != nil {
			return err
		}
		if err := r.receive(chunk); err != nil || chunk.ChunkId+1 < chunk.ChunkCount {
			return err
		}
		return c.WriteFrame(wire.FrameDone)
	})
}

// serve calls receive for each frame until receive fails or the connection ends, and then end.
func (t *Transport) serve(ctx context.Context, c *link.Conn, limit int, end func(), receive func(kind uint8, b []byte) error) {
	if !t.begin() {
		c.Close()
		return
	}
	defer t.serving.Done()
	defer end()
	acks := acks{conn: c, lanes: &t.lanes, lane: lane{peer: c.Peer()}}
	defer acks.close()
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer context.AfterFunc(t.ctx, func() { c.Close() })()

	t.peers.reached(c.Peer())
	defer c.ReleaseCPU()
	var buf []byte
	for admitted := false; ; {
		if !admitted {
			admitted, _ = t.peers.speaks(c.Peer())
			c.LimitCPU(!admitted)
		}
		err := t.awaitAdmission(ctx, c, &acks)
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
			t.logEnd(ctx, c, err)
			return
		}
		if cap(payload) <= maxKept {
			buf = payload
		}
	}
}

// logEnd logs why a connection ended, unless it was closed in order.
func (t *Transport) logEnd(ctx context.Context, c *link.Conn, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, ErrClosed) {
		return
	}
	level := slog.LevelWarn
	if broken := new(net.OpError); errors.As(err, &broken) {
		level = slog.LevelInfo // a process that exits resets connections with unread data
	}
	t.log.Log(ctx, level, "engine: connection dropped", "peer", c.Peer().Short(), "error", err)
}

const (
	// smallFrame is the largest frame, in bytes, that is read of a peer that speaks for no
	// replica here. It has room for some messages without entries, which are dropped.
	smallFrame = 1 << 10
	// admissionTimeout bounds how long a larger frame waits. Its sender waits as long.
	admissionTimeout = stallTimeout
)

// errNotAdmitted reports a large frame of a peer that was not admitted in time.
var errNotAdmitted = errors.New("engine: a large frame of a peer that speaks for no replica here")

// awaitAdmission returns when the next frame may be read: a large one once its sender speaks
// for a replica here. Members announce themselves on another connection than this one, so a
// frame may overtake the announcement.
func (t *Transport) awaitAdmission(ctx context.Context, c *link.Conn, acks *acks) error {
	size, err := c.PeekFrame()
	if err != nil || size <= smallFrame {
		return err
	}
	ok, changed := t.peers.speaks(c.Peer())
	if ok {
		return nil
	}
	c.ReleaseCPU()
	acks.busy.Store(true)
	defer acks.busy.Store(false)
	timer := time.NewTimer(admissionTimeout)
	defer timer.Stop()
	for !ok {
		select {
		case <-changed:
			ok, changed = t.peers.speaks(c.Peer())
		case <-timer.C:
			return fmt.Errorf("%w: %d bytes; frames larger than %d are read after its bond is up", errNotAdmitted, size, smallFrame)
		case <-ctx.Done():
			return net.ErrClosed
		case <-t.ctx.Done():
			return net.ErrClosed
		}
	}
	return nil
}
