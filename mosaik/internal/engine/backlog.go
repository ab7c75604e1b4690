package engine

import (
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// roomForEntries makes the leader send the entries that were dropped while the backlog was long.
// It does so on the dispatcher's goroutine, because the queue must not wait for the engine's gate.
type roomForEntries struct{ replica *Replica }

func (e roomForEntries) notify(Events) { e.replica.requestEntries() }

// requestEntries hands Raft a heartbeat of the leader that it follows, once. Raft answers it, and
// the answer makes the leader send what the replica lacks. The leader's next heartbeat would have
// the same effect, but a replica that catches up would wait for one after each part of the log.
func (r *Replica) requestEntries() {
	if !r.engine.enter() {
		return
	}
	defer r.engine.leave()
	leader, term := r.leader.get()
	if leader == 0 || leader == r.id || r.ended() != nil {
		return
	}
	heartbeat := pb.Message{Type: pb.Heartbeat, ShardID: r.shard, From: leader, To: r.id, Term: uint64(term)}
	if err := r.engine.inject(heartbeat); err != nil {
		r.engine.log.Debug("engine: entries not requested", "shard", r.shard, "replica", r.id, "error", err)
	}
}
