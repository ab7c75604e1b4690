package transport

import (
	"sync"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/sm"
)

// The rules below decide which messages of admitted peers a replica accepts. Raft believes what
// a member says; here a single message of one member must do no lasting harm. A member that
// keeps lying can still do much: docs/security.md lists it.
//
// No rule refuses an honest member for longer than an election timeout or two, although the
// replica may know less than its peers: it may have just been added, may have missed promotions,
// leaders and terms, and starts each time with what its log holds.

const (
	// maxTermStep bounds how far the term of a message may be ahead of the replica's own. A
	// group that elects a hundred leaders a second needs more than a year for so many terms.
	maxTermStep = 1 << 32
	// reliefEvery is the number of election timeouts in which replicas without a vote may
	// end one term while the group has a leader.
	reliefEvery = 20
)

// fromLeader holds the types of messages that only the leader of their term sends.
var fromLeader = [...]bool{
	pb.Replicate: true, pb.Heartbeat: true, pb.TimeoutNow: true, pb.ReadIndexResp: true, pb.InstallSnapshot: true,
}

// isFromLeader reports whether only leaders send messages of the type.
func isFromLeader(t pb.MessageType) bool { return int(t) < len(fromLeader) && fromLeader[t] }

// claims is what accepted messages say about terms and their leaders.
type claims struct {
	mu      sync.Mutex
	term    uint64               // the latest term of an accepted leader, or of the log
	leader  uint64               // the replica that leads that term, 0 while none does
	heard   time.Time            // when the leader's last message arrived
	relief  time.Time            // when a replica without a vote last ended a term
	change  uint64               // the index of the last membership change that was accepted
	distant map[sm.PeerID]uint64 // the last term of each peer that was too far ahead
}

// accepts reports whether the replica accepts a message of an admitted peer. It may change the
// message.
func (ep *Endpoint) accepts(from sm.PeerID, m *pb.Message, now time.Time) bool {
	sender := ep.Log.Standing(m.From)
	switch {
	case sender == raftlog.Removed:
		// It was removed by a committed change, of which it may not know. None of its
		// messages can matter.
		return false
	case m.Type == pb.LeaderTransfer && sender != raftlog.Voter:
		// dragonboat forwards a request to transfer leadership from voters only. A lost
		// request is repeated.
		return false
	case m.Type == pb.Propose && isChange(m):
		// Leaders propose changes themselves. A leader that has been replaced would forward
		// its last one, which it decided on with what it knew as the leader.
		return false
	case m.Type == pb.HeartbeatResp && sender != raftlog.Voter:
		// dragonboat counts any replica that confirms a read. Leaders ask voters only, and
		// know them all: a promotion is in the log before it counts.
		m.Hint, m.HintHigh = 0, 0
	}
	return ep.acceptsTerm(from, m, sender == raftlog.Voter, now)
}

func isChange(m *pb.Message) bool {
	for i := range m.Entries {
		if m.Entries[i].Type == pb.ConfigChangeEntry {
			return true
		}
	}
	return false
}

// acceptsTerm reports whether the term of a message, and its sender's claim to lead that term,
// may be true.
func (ep *Endpoint) acceptsTerm(from sm.PeerID, m *pb.Message, votes bool, now time.Time) bool {
	own := ep.Log.Term()
	leads := isFromLeader(m.Type)
	if m.Term <= own && !leads {
		return true
	}
	c := &ep.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	if own > c.term {
		c.term, c.leader = own, 0
	}
	if m.Term > c.term+maxTermStep && !c.confirmed(from, m) {
		return false
	}
	// While the group has a leader, only voters can end its term. A new leader that is not
	// known as a voter was promoted by an entry that this log lacks. The old leader then has
	// no quorum and stops within an election timeout, after which the new one is accepted.
	protected := m.Term > c.term && !votes && ep.isLed(now)
	switch {
	case leads && m.Term == c.term && c.leader != 0 && c.leader != m.From:
		// A term has one leader: the first one, while its messages arrive. A voter replaces
		// a replica without a vote, whose message may have reached a replica that has just
		// started before the leader's.
		isVoter := ep.Log.Standing(c.leader) == raftlog.Voter
		if now.Sub(c.heard) < ep.Election && (isVoter || !votes) {
			return false
		}
	case leads && m.Term < c.term:
		return true // Raft tells the sender that its term is over
	case leads && protected:
		return false
	case protected && m.Type == pb.RequestVote:
		// The hint says that a leader asked for this election. Without it, voters refuse
		// while they have a leader.
		m.Hint = 0
	case protected && raises(m):
		// An honest replica without a vote has a later term than the leader only after it
		// believed a lie. At intervals the term of the group moves there.
		if now.Sub(c.relief) < reliefEvery*ep.Election {
			return false
		}
		c.relief = now
	}
	if !leads {
		return true
	}
	if m.Type == pb.Replicate && !c.allowsChanges(ep.Log, m) {
		return false
	}
	c.term, c.leader, c.heard = m.Term, m.From, now
	clear(c.distant)
	return true
}

// allowsChanges reports whether the log can hold the membership changes among a leader's
// entries: a leader proposes a change once it knows that the last one is committed, and its
// message says so. dragonboat panics when it becomes a leader with two uncommitted changes. A
// message that is refused because an earlier one has not reached the log yet is sent again.
// Called with c.mu.
func (c *claims) allowsChanges(l *raftlog.Log, m *pb.Message) bool {
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

// raises reports whether Raft moves to the term of a message if that is later than its own.
func raises(m *pb.Message) bool {
	return m.Type != pb.RequestPreVote && (m.Type != pb.RequestPreVoteResp || m.Reject)
}

// confirmed notes a term that is too far ahead. It reports whether another peer sent a similar
// one. Called with c.mu.
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

// isLed reports whether a voter leads the current term and is alive: this replica, or one whose
// last message arrived within an election timeout. Called with the lock of claims.
func (ep *Endpoint) isLed(now time.Time) bool {
	c := &ep.claims
	if leader, term := ep.Owner.Leader(); leader == ep.Replica {
		return uint64(term) == c.term
	}
	return c.leader != 0 && now.Sub(c.heard) < ep.Election && ep.Log.Standing(c.leader) == raftlog.Voter
}

// follows reports whether a replica leads the current term as far as this one knows, and returns
// that term.
func (ep *Endpoint) follows(leader uint64) (term uint64, ok bool) {
	own := ep.Log.Term()
	c := &ep.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.term, c.leader == leader && c.term >= own
}
