package engine

import (
	"errors"
	"fmt"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// intake is what a peer sends on a connection for snapshots.
type intake struct {
	engine  *Engine
	from    sm.PeerID
	receipt *snapstore.Incoming // the copy on disk of what comes in, nil for none
}

// receive hands on a piece of a snapshot for a replica that runs here, once it is on
// the replica's disk, if it has one. A disk that does not keep it ends the replica.
func (i *intake) receive(chunk pb.Chunk) error {
	e := i.engine
	r, l := e.receiver(i.from, chunk.ShardID, chunk.From, chunk.ReplicaID)
	if r == nil {
		return snapstore.ErrRefused
	}
	// Raft takes a snapshot from anybody, in any term. A leader sends one to replicas that
	// answered it in its term, which know it therefore. Another leader sends its own.
	if term, ok := r.follows(l, chunk.From); !ok || l.Standing(chunk.From) == raftlog.Removed {
		return snapstore.ErrRefused
	} else if chunk.Term > term {
		return fmt.Errorf("%w: a snapshot of term %d in term %d", wire.ErrBad, chunk.Term, term)
	}
	if _, ok := chunk.Membership.NonVotings[r.id]; ok && l.Standing(r.id) == raftlog.Voter {
		return fmt.Errorf("%w: a snapshot in which voter %d has no vote", wire.ErrBad, r.id) // dragonboat would panic
	}
	for _, targets := range []map[uint64]string{chunk.Membership.Addresses, chunk.Membership.NonVotings} {
		for replica, target := range targets {
			id, err := sm.ParsePeerID(target)
			if err != nil || !e.peers.claim(chunk.ShardID, replica, id) {
				return wire.ErrBad
			}
		}
	}
	// Stop removes the directory that dragonboat collects the snapshot in.
	r.collecting.RLock()
	defer r.collecting.RUnlock()
	if r.isDone() {
		return snapstore.ErrRefused
	}
	hand := func() error {
		more, err := e.transport.handChunk(chunk)
		if err == nil && !more {
			err = snapstore.ErrRefused
		}
		return err
	}
	if r.durable == nil {
		return hand()
	}
	if chunk.ChunkId == 0 {
		i.close()
		i.receipt = r.durable.Receive(&chunk)
	}
	if i.receipt == nil || !i.receipt.BelongsTo(r.durable) {
		return snapstore.ErrRefused // the beginning came on another connection, or to another replica
	}
	err := i.receipt.Add(&chunk, hand)
	if failure := (*snapstore.DiskError)(nil); errors.As(err, &failure) {
		r.fail(fmt.Errorf("%w: replica %d of shard %d: %w", ErrStorage, r.id, r.shard, err))
	}
	return err
}

// close ends what was not received to its end.
func (i *intake) close() {
	if i.receipt == nil {
		return
	}
	if err := i.receipt.Close(); err != nil {
		i.engine.log.Warn("engine: give up a snapshot that was coming in", "peer", i.from.Short(), "error", err)
	}
	i.receipt = nil
}
