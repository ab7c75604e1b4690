package transport

import (
	"slices"
	"sync"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/sm"
)

// maxInflight is how many messages of [raftlog.ReadSize] a leader keeps in flight to a replica
// that catches up.
const maxInflight = 8

// pipeline tracks the messages that a leader has in flight to replicas that catch up.
//
// dragonboat sends a replica whose log ends early up to 64 MB of entries when it answers a
// heartbeat, also while the same entries are still in flight, and nothing when it acknowledges
// them. So the log yields less at once (see [raftlog.ReadSize]). A message that ends where a read
// of the log was cut is followed by others as soon as it is acknowledged, while few are in
// flight. Its methods may be called concurrently.
type pipeline struct {
	mu       sync.Mutex
	inflight map[uint64][]uint64 // replica → last index of each such message in flight, ascending
}

// sent notes a message whose last entry is one at which a read of the log was cut.
func (p *pipeline) sent(to, index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inflight == nil {
		p.inflight = map[uint64][]uint64{}
	}
	ends := p.inflight[to]
	at, _ := slices.BinarySearch(ends, index) // later messages will be sent again
	p.inflight[to] = append(ends[:at], index)
}

// acknowledged returns how many messages should follow when a replica has acknowledged all
// entries up to an index.
func (p *pipeline) acknowledged(from, index uint64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	ends := p.inflight[from]
	here, _ := slices.BinarySearch(ends, index+1)
	if here == 0 {
		return 0
	}
	if ends = ends[here:]; len(ends) == 0 {
		delete(p.inflight, from)
	} else {
		p.inflight[from] = ends
	}
	return max(0, min(2, maxInflight-len(ends)))
}

// noteSent notes the messages that end where a read of the log was cut.
func (t *Transport) noteSent(messages []pb.Message) {
	for i := range messages {
		m := &messages[i]
		if m.Type != pb.Replicate || len(m.Entries) == 0 {
			continue
		}
		last := m.Entries[len(m.Entries)-1].Index
		if ep := t.endpoint(m.ShardID); ep != nil && ep.Replica == m.From && ep.Log.WasCut(last) {
			ep.pipeline.sent(m.To, last)
		}
	}
}

// addCatchUp inserts behind acknowledgments of what noteSent noted the answers to heartbeats
// that make dragonboat send more.
func (t *Transport) addCatchUp(from sm.PeerID, messages []pb.Message) []pb.Message {
	for i := 0; i < len(messages); i++ {
		m := messages[i]
		if m.Type != pb.ReplicateResp {
			continue
		}
		if m.Reject {
			t.peers.lacking(from, replicaKey{m.ShardID, m.From})
			continue
		}
		if ep := t.endpoint(m.ShardID); ep != nil {
			answer := pb.Message{Type: pb.HeartbeatResp, ShardID: m.ShardID, From: m.From, To: m.To, Term: m.Term}
			for range ep.pipeline.acknowledged(m.From, m.LogIndex) {
				messages = slices.Insert(messages, i+1, answer)
			}
		}
	}
	return messages
}
