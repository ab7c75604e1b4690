package transport

import (
	"fmt"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// Receive gives dragonboat the messages of a batch that the peer may send and that a replica
// here accepts. It drops the others: admissions change while messages are in flight. It changes
// batch.Requests.
func (t *Transport) Receive(from sm.PeerID, batch pb.MessageBatch) error {
	now := time.Now()
	accepted := batch.Requests[:0]
	var appends []pb.Message
	for i := range batch.Requests {
		m := &batch.Requests[i]
		ep := t.receiver(from, m.ShardID, m.From, m.To)
		if ep == nil || !ep.accepts(from, m, now) || ep.lacksRoom(m) {
			continue
		}
		switch m.Type {
		case pb.Heartbeat:
			if a, ok := ep.limitCommit(from, m); ok {
				appends = append(appends, a)
			}
		case pb.Replicate:
			if err := t.bindMembers(m); err != nil {
				return err
			}
		}
		accepted = append(accepted, *m)
	}
	if batch.Requests = append(accepted, appends...); len(batch.Requests) == 0 {
		return nil
	}
	batch.Requests = t.addCatchUp(from, batch.Requests)
	err := t.deliver(batch)
	for i := range batch.Requests {
		m := &batch.Requests[i]
		if m.Type != pb.TimeoutNow {
			continue
		}
		if ep := t.endpoint(m.ShardID); ep != nil {
			ep.Owner.Repeat(*m)
		}
	}
	return err
}

// lacksRoom reports whether a message brings entries while the state machine is far behind. Such
// a message is dropped, because the workers that would have to wait serve other replicas, too. A
// leader sends the entries again when it learns from the answer to a heartbeat that they are
// missing. Proposals are slowed down: their outcome is unknown until they are proposed again.
func (ep *Endpoint) lacksRoom(m *pb.Message) bool {
	return len(m.Entries) > 0 && (m.Type == pb.Replicate || m.Type == pb.Propose) && ep.Owner.IsBehind()
}

// limitCommit keeps a heartbeat from committing an entry that the log may not hold when Raft
// handles it, on which dragonboat panics. The heartbeat keeps a commit index that is known
// already. A higher one moves to an append without entries, which Raft compares with the log.
func (ep *Endpoint) limitCommit(from sm.PeerID, m *pb.Message) (a pb.Message, ok bool) {
	commit, known := m.Commit, ep.Log.Commit()
	if commit <= known {
		return a, false
	}
	m.Commit = known
	if _, last := ep.Log.Span(); sm.Index(commit) > last {
		ep.failIfBehind(from, m, last, sm.Index(commit))
		return a, false
	}
	a = pb.Message{Type: pb.Replicate, ShardID: m.ShardID, From: m.From, To: m.To, Term: m.Term,
		LogIndex: commit, LogTerm: uint64(ep.Log.TermAt(sm.Index(commit))), Commit: commit}
	return a, a.LogTerm != 0
}

// failIfBehind ends the replica if the leader reports that the replica acknowledged an entry that
// its log does not hold. Only the leader that Raft follows in this term knows that. The leader
// may still be wrong, so the log must be kept.
func (ep *Endpoint) failIfBehind(from sm.PeerID, m *pb.Message, last, acknowledged sm.Index) {
	if leader, term := ep.Owner.Leader(); leader != m.From || uint64(term) != m.Term {
		return
	}
	ep.Owner.Fail(fmt.Errorf("%w: %w: the log of replica %d of shard %d ends at %d, but peer %s, which leads term %d, reports that "+
		"the replica acknowledged %d: the directory may be an older copy, its disk may have lost what it synced, or the "+
		"peer may be wrong; keep the directory, and if the other members follow that leader (Status.Leader), start this "+
		"member with a new, empty one",
		raftlog.ErrStorage, logstore.ErrCorrupt, ep.Replica, ep.Shard, last, from.Short(), m.Term, acknowledged))
}

// bindMembers refuses entries that add a replica which belongs to another peer: dragonboat
// panics when it applies them.
func (t *Transport) bindMembers(m *pb.Message) error {
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
		if id, err := sm.ParsePeerID(c.Address); err != nil || !t.peers.bind(m.ShardID, c.ReplicaID, id) {
			return fmt.Errorf("%w: replica %d does not belong to peer %.8s", wire.ErrBad, c.ReplicaID, c.Address)
		}
	}
	return nil
}

// receiver returns the endpoint to which the peer may send a message from one replica of the
// shard to another, nil if there is none.
func (t *Transport) receiver(peer sm.PeerID, shard, from, to uint64) *Endpoint {
	ep := t.endpoint(shard)
	if ep == nil || ep.Replica != to || ep.isFenced() || !t.peers.speaksFor(peer, shard, from) {
		return nil
	}
	return ep
}

// maySend reports whether a message may leave for the peer.
func (t *Transport) maySend(peer sm.PeerID, m *pb.Message) bool {
	ep := t.endpoint(m.ShardID)
	return ep != nil && ep.Replica == m.From && !ep.isFenced() && t.peers.speaksFor(peer, m.ShardID, m.To)
}
