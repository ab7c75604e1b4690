package engine

import (
	"slices"
	"sync"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/sm"
)

// pipelineAim is how many messages of so much a leader has under way to a
// replica that catches up.
const pipelineAim = 8

// pipeline is what a leader has under way to replicas that catch up.
//
// dragonboat sends a replica whose log ends early up to 64 MB of entries whenever
// it answers a heartbeat, be it that the same was sent before and is still under
// way, and nothing more when it acknowledges them. So the log yields less at once,
// and a message that ends where the log was cut is followed by others as soon as
// it is acknowledged, as long as few are under way.
type pipeline struct {
	mu    sync.Mutex
	under map[uint64][]uint64 // replica → last index of each such message that is under way, ascending
}

// sent notes a message with entries up to an index at which the log was cut.
func (p *pipeline) sent(to, index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.under == nil {
		p.under = map[uint64][]uint64{}
	}
	ends := p.under[to]
	at, _ := slices.BinarySearch(ends, index) // what follows will be sent again
	p.under[to] = append(ends[:at], index)
}

// acknowledged says how many messages should follow, when a replica has all
// entries up to an index.
func (p *pipeline) acknowledged(from, index uint64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	ends := p.under[from]
	here, _ := slices.BinarySearch(ends, index+1)
	if here == 0 {
		return 0
	}
	if ends = ends[here:]; len(ends) == 0 {
		delete(p.under, from)
	} else {
		p.under[from] = ends
	}
	return max(0, min(2, pipelineAim-len(ends)))
}

// noteSent notes which of the messages end where the log was cut.
func (e *Engine) noteSent(messages []pb.Message) {
	for i := range messages {
		m := &messages[i]
		if m.Type != pb.Replicate || len(m.Entries) == 0 {
			continue
		}
		last := m.Entries[len(m.Entries)-1].Index
		r, l := e.replica(m.ShardID), e.router.Find(m.ShardID, m.From)
		if r != nil && l != nil && l.WasCut(last) {
			r.pipeline.sent(m.To, last)
		}
	}
}

// goOn adds, behind acknowledgments of what noteSent noted, the answers to
// heartbeats that make dragonboat send more.
func (e *Engine) goOn(from sm.PeerID, messages []pb.Message) []pb.Message {
	for i := 0; i < len(messages); i++ {
		m := messages[i]
		if m.Type != pb.ReplicateResp {
			continue
		}
		if m.Reject {
			e.peers.lacking(from, replicaKey{m.ShardID, m.From})
			continue
		}
		if r := e.replica(m.ShardID); r != nil {
			answer := pb.Message{Type: pb.HeartbeatResp, ShardID: m.ShardID, From: m.From, To: m.To, Term: m.Term}
			for range r.pipeline.acknowledged(m.From, m.LogIndex) {
				messages = slices.Insert(messages, i+1, answer)
			}
		}
	}
	return messages
}
