package transport

import (
	"errors"
	"fmt"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// snapshotReceiver receives the snapshots that a peer sends on one connection. It belongs to
// the goroutine that reads the connection.
type snapshotReceiver struct {
	transport *Transport
	from      sm.PeerID
	incoming  *snapstore.Incoming // the copy on disk of the current snapshot, nil for none
}

// receive gives dragonboat a chunk for a replica that runs here, once the chunk is on the
// replica's disk, if it has one. A disk that does not keep the chunk ends the replica.
func (r *snapshotReceiver) receive(chunk pb.Chunk) error {
	t := r.transport
	ep := t.receiver(r.from, chunk.ShardID, chunk.From, chunk.ReplicaID)
	if ep == nil {
		return snapstore.ErrRefused
	}
	if err := ep.checkSnapshot(&chunk); err != nil {
		return err
	}
	for _, targets := range []map[uint64]string{chunk.Membership.Addresses, chunk.Membership.NonVotings} {
		for replica, target := range targets {
			id, err := sm.ParsePeerID(target)
			if err != nil || !t.peers.bind(chunk.ShardID, replica, id) {
				return wire.ErrBad
			}
		}
	}
	// The end of the replica removes the directory in which dragonboat collects chunks.
	ep.collecting.RLock()
	defer ep.collecting.RUnlock()
	if ep.Owner.IsEnding() {
		return snapstore.ErrRefused
	}
	deliver := func() error {
		more, err := t.deliverChunk(chunk)
		if err == nil && !more {
			err = snapstore.ErrRefused
		}
		return err
	}
	if ep.Snapshots == nil {
		return deliver()
	}
	if chunk.ChunkId == 0 {
		r.close()
		r.incoming = ep.Snapshots.Receive(&chunk)
	}
	if r.incoming == nil || !r.incoming.BelongsTo(ep.Snapshots) {
		return snapstore.ErrRefused // the first chunk came on another connection, or for another replica
	}
	err := r.incoming.Add(&chunk, deliver)
	if failure := (*snapstore.DiskError)(nil); errors.As(err, &failure) {
		ep.Owner.Fail(fmt.Errorf("%w: replica %d of shard %d: %w", raftlog.ErrStorage, ep.Replica, ep.Shard, err))
	}
	return err
}

// checkSnapshot refuses a snapshot that the leader of the current term does not send, or on
// which dragonboat panics. Raft itself accepts a snapshot from any member, in any term. A leader
// sends one only to a replica that has answered it in its term, and so knows it; a new leader
// sends a snapshot of its own.
func (ep *Endpoint) checkSnapshot(chunk *pb.Chunk) error {
	term, ok := ep.follows(chunk.From)
	if !ok || ep.Log.Standing(chunk.From) == raftlog.Removed {
		return snapstore.ErrRefused
	}
	if chunk.Term > term {
		return fmt.Errorf("%w: a snapshot of term %d in term %d", wire.ErrBad, chunk.Term, term)
	}
	if _, ok := chunk.Membership.NonVotings[ep.Replica]; ok && ep.Log.Standing(ep.Replica) == raftlog.Voter {
		return fmt.Errorf("%w: a snapshot in which voter %d has no vote", wire.ErrBad, ep.Replica)
	}
	return nil
}

// close removes the copy of a snapshot that has not arrived whole.
func (r *snapshotReceiver) close() {
	if r.incoming == nil {
		return
	}
	if err := r.incoming.Close(); err != nil {
		r.transport.log.Warn("engine: unfinished snapshot not removed", "peer", r.from.Short(), "error", err)
	}
	r.incoming = nil
}
