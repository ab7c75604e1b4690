package engine

import (
	"sync"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/sm"
)

// What follows decides which messages of admitted peers a replica takes. Raft believes
// whatever a member says; here one message of one member must do no lasting harm. A
// member that keeps lying can still do much: docs/security.md lists it.
//
// No rule refuses what an honest member says for longer than an election timeout or two,
// although the replica may know less than its peers: it may have just been added, or
// have missed promotions, leaders and terms, and it begins anew at each start with what
// its log holds.

const (
	// maxTermStep bounds how far ahead of a replica's own term a message may be. A group
	// that elects a hundred leaders a second takes more than a year for as many terms.
	maxTermStep = 1 << 32
	// reliefEvery is how many election timeouts pass between two terms that replicas
	// without a vote may end while the group has a leader.
	reliefEvery = 20
)

// fromLeader holds the types that only the leader of their term sends.
var fromLeader = [...]bool{
	pb.Replicate: true, pb.Heartbeat: true, pb.TimeoutNow: true, pb.ReadIndexResp: true, pb.InstallSnapshot: true,
}

// isFromLeader reports whether only leaders send messages of the type.
func isFromLeader(t pb.MessageType) bool { return int(t) < len(fromLeader) && fromLeader[t] }

// claims are what messages said about terms and their leaders.
type claims struct {
	mu      sync.Mutex
	term    uint64               // the latest of the terms of leaders that were taken, and of the log
	leader  uint64               // the replica that leads that term, 0 while none does
	heard   time.Time            // when it last said something
	relief  time.Time            // when a replica without a vote last ended a term
	change  uint64               // the index of the last membership change that was taken
	distant map[sm.PeerID]uint64 // the last term of each peer that was too far ahead
}

// takes reports whether the replica takes a message of an admitted peer. It may change
// the message.
func (r *Replica) takes(l *raftlog.Log, from sm.PeerID, m *pb.Message, now time.Time) bool {
	sender := l.Standing(m.From)
	switch {
	case sender == raftlog.Removed:
		// It was removed by a committed change: nothing that it says can matter, and it
		// may not know.
		return false
	case m.Type == pb.LeaderTransfer && sender != raftlog.Voter:
		// dragonboat forwards a request to hand over the lead from voters only. One that
		// is lost is made again.
		return false
	case m.Type == pb.Propose && isChange(m):
		// Leaders propose changes themselves; one that lost the lead meanwhile would
		// forward its last. It decided on what it saw when it led.
		return false
	case m.Type == pb.HeartbeatResp && sender != raftlog.Voter:
		// dragonboat counts any replica that confirms a read. Leaders ask voters only, and know
		// them all: a promotion is in the log before it counts.
		m.Hint, m.HintHigh = 0, 0
	}
	return r.takesTerm(l, from, m, sender == raftlog.Voter, now)
}

func isChange(m *pb.Message) bool {
	for i := range m.Entries {
		if m.Entries[i].Type == pb.ConfigChangeEntry {
			return true
		}
	}
	return false
}

// takesTerm reports whether the term of a message, and its sender's claim to lead it,
// may be true.
func (r *Replica) takesTerm(l *raftlog.Log, from sm.PeerID, m *pb.Message, votes bool, now time.Time) bool {
	own := l.Term()
	leads := isFromLeader(m.Type)
	if m.Term <= own && !leads {
		return true
	}
	c := &r.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	if own > c.term {
		c.term, c.leader = own, 0
	}
	if m.Term > c.term+maxTermStep && !c.confirmed(from, m) {
		return false
	}
	// While the group has a leader, only voters can end its term. Of a new leader that is
	// not known to have a vote, the promotion is missing here; the old one falls silent
	// within its election timeout then, since it has no quorum, and the new one counts.
	sheltered := m.Term > c.term && !votes && r.isLed(l, now)
	switch {
	case leads && m.Term == c.term && c.leader != 0 && c.leader != m.From:
		// A term has one leader. The first counts for as long as it speaks; a voter's
		// word counts more than that of a replica without a vote, and it may have come
		// later, to a replica that just started.
		isVoter := l.Standing(c.leader) == raftlog.Voter
		if now.Sub(c.heard) < r.election && (isVoter || !votes) {
			return false
		}
	case leads && m.Term < c.term:
		return true // Raft tells the sender that its term is over
	case leads && sheltered:
		return false
	case sheltered && m.Type == pb.RequestVote:
		// Such a vote counts like one that no leader asked for: not while there is one.
		m.Hint = 0
	case sheltered && raises(m):
		// An honest replica without a vote has a later term than the leader only after it
		// believed another's lie. It is freed from it, now and then.
		if now.Sub(c.relief) < reliefEvery*r.election {
			return false
		}
		c.relief = now
	}
	if !leads {
		return true
	}
	if m.Type == pb.Replicate && !c.follows(l, m) {
		return false
	}
	c.term, c.leader, c.heard = m.Term, m.From, now
	clear(c.distant)
	return true
}

// follows reports whether the changes of the membership among a leader's entries can be
// there, beside those of the log: a leader proposes one once it knows that the last one
// is committed, and says so with it. dragonboat panics on becoming a leader with two.
// What is refused while an earlier message is on its way to the log comes again. Called
// with the lock of claims held.
func (c *claims) follows(l *raftlog.Log, m *pb.Message) bool {
	first, last := true, c.change
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Type != pb.ConfigChangeEntry {
			continue
		}
		if first {
			_, end := l.Span()
			arriving := last > uint64(end) && last > m.Commit && last <= m.LogIndex
			if arriving || l.HasOpenChange(max(m.Commit, l.Commit()), m.LogIndex) {
				return false
			}
		} else if last > m.Commit {
			return false
		}
		first, last = false, e.Index
	}
	c.change = last
	return true
}

// raises reports whether Raft moves to the message's term if that is later than its own.
func raises(m *pb.Message) bool {
	return m.Type != pb.RequestPreVote && (m.Type != pb.RequestPreVoteResp || m.Reject)
}

// confirmed notes a term that is too far ahead and reports whether another peer sent one
// like it.
func (c *claims) confirmed(from sm.PeerID, m *pb.Message) bool {
	if c.distant == nil {
		c.distant = map[sm.PeerID]uint64{}
	}
	c.distant[from] = m.Term
	for peer, term := range c.distant {
		if peer != from && term > c.term+maxTermStep && max(term, m.Term)-min(term, m.Term) <= maxTermStep {
			return true
		}
	}
	return false
}

// isLed reports whether a voter leads the present term and is alive: this replica, or one
// that spoke within an election timeout. Called with the lock of claims held.
func (r *Replica) isLed(l *raftlog.Log, now time.Time) bool {
	c := &r.claims
	if leader, term := r.leader.get(); leader == r.id {
		return uint64(term) == c.term
	}
	return c.leader != 0 && now.Sub(c.heard) < r.election && l.Standing(c.leader) == raftlog.Voter
}

// follows reports whether a replica leads the present term as far as this one knows, and
// returns that term.
func (r *Replica) follows(l *raftlog.Log, leader uint64) (term uint64, ok bool) {
	own := l.Term()
	c := &r.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.term, c.leader == leader && c.term >= own
}
