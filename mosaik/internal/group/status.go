package group

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Status is what a member knows about its group at one moment: what users see of it, and more. Of
// the public part LinkErrors, Mismatch, the members' RTT and Addrs, and the For of slow calls are
// not set here. A value is never changed, so a reader may keep it.
type Status struct {
	consensus.Status
	Token uint64      // the leader's fencing token, 0 while it does not exceed the floor
	Bonds []sm.PeerID // the peers with a live bond
	// Current holds the members that know the last membership change. TransferLeadership waits
	// until its target is one of them.
	Current []sm.PeerID
	// PoisonedPeers holds the peers whose machine has panicked. They cannot become the leader.
	PoisonedPeers []sm.PeerID
}

func (s Status) equal(o Status) bool {
	return s.Epoch == o.Epoch && s.Recoveries == o.Recoveries && s.Leader == o.Leader && s.Term == o.Term && s.Level == o.Level &&
		s.Token == o.Token && slices.Equal(s.Bonds, o.Bonds) && slices.Equal(s.Current, o.Current) && slices.Equal(s.PoisonedPeers, o.PoisonedPeers) &&
		s.AcceptsCommands == o.AcceptsCommands && s.Online == o.Online && s.Settled == o.Settled && s.Stalled == o.Stalled && s.Waits == o.Waits &&
		s.Poisoned == o.Poisoned && s.SnapshotError == o.SnapshotError && s.Outdated == o.Outdated && s.Ended == o.Ended &&
		slices.Equal(s.Diverged, o.Diverged) && slices.Equal(s.Ghosts, o.Ghosts) && slices.Equal(s.Refused, o.Refused) &&
		slices.Equal(s.SlowCalls, o.SlowCalls) && slices.EqualFunc(s.Members, o.Members, sameMember)
}

// sameMember compares members without their addresses, which are not set here.
func sameMember(a, b Member) bool {
	return a.Peer == b.Peer && a.Incarnation == b.Incarnation && a.Level == b.Level && a.LastSeen.Equal(b.LastSeen) &&
		a.Voter == b.Voter && a.Observer == b.Observer && a.Reluctant == b.Reluctant && a.Leaving == b.Leaving &&
		a.CaughtUp == b.CaughtUp && a.Bonded == b.Bonded && a.Durable == b.Durable
}

// publish sets the status and the retry state if they have changed. It runs after each batch of
// events.
func (g *Group) publish() {
	s := g.view()
	if !s.equal(g.status.Get()) {
		g.status.Set(s)
	}
	g.retryState.Update(func(old retryState) (retryState, bool) {
		p := retryState{g.local, s.Epoch, s.Leader, s.Term, s.Stalled, s.Poisoned}
		return p, p != old
	})
}

// retryState is the part of the status that decides whether a failed attempt to commit an entry
// can be repeated. Its changes wake the proposer.
type retryState struct {
	local    *localReplica // only compared
	epoch    Epoch
	leader   sm.PeerID
	term     sm.Term
	stalled  bool
	poisoned error
}

func (g *Group) view() Status {
	s := Status{Bonds: slices.SortedFunc(maps.Keys(g.peers), sm.PeerID.Compare)}
	s.Stalled, s.Refused = g.stalled, g.refused.list()
	l := g.local
	if former := g.serving.Load(); former != nil && former != l {
		s.SlowCalls = append(s.SlowCalls, former.slow...)
	}
	if l == nil {
		s.Waits = g.seekingWaits()
		return s
	}
	s.Epoch = l.epoch
	s.Recoveries = len(l.ancestors)
	for _, peer := range s.Bonds {
		if g.peers[peer].Poisoned {
			s.PoisonedPeers = append(s.PoisonedPeers, peer)
		}
	}
	for _, a := range g.peers {
		if g.diverged(a) && !slices.Contains(s.Diverged, a.Epoch) {
			s.Diverged = append(s.Diverged, a.Epoch)
		}
	}
	slices.SortFunc(s.Diverged, Epoch.Compare)
	s.AcceptsCommands = l.opened
	s.Level = l.state.Level()
	s.Term = l.term
	if token := g.token(l); token > g.cfg.TokenFloor {
		s.Token = token
	}
	s.Leader = g.leaderPeer()
	s.Online = l.online()
	s.Poisoned, s.SnapshotError = l.poisoned, l.snapshot
	s.SlowCalls = append(s.SlowCalls, l.slow...)
	for _, m := range []map[uint64]sm.PeerID{l.members.Voters, l.members.NonVoting} {
		for _, replica := range sortedReplicas(m) {
			peer := m[replica]
			s.Members = append(s.Members, g.member(replica, peer))
			if a, bonded := g.peers[peer]; bonded && a.replica(peer) == replica && a.Change == l.members.ChangeID {
				s.Current = append(s.Current, peer)
			}
		}
	}
	s.Ghosts = g.ghosts(l)
	s.Waits = g.waits(l)
	if s.Waits == "" {
		s.Waits = g.reconciler().unsettled()
	}
	s.Settled = s.Waits == ""
	return s
}

// seekingWaits describes what a member without an epoch waits for.
func (g *Group) seekingWaits() string {
	observers := g.cfg.Role.Observer
	for _, a := range g.peers {
		observers = observers && a.Role.Observer
	}
	switch waits := g.blockerWaits(); {
	case waits != "":
		return waits
	case observers:
		return "a member that may vote; all connected members are observers"
	case g.cfg.Policy.Expected > len(g.peers)+1:
		return fmt.Sprintf("the expected %d members; %d are connected", g.cfg.Policy.Expected, len(g.peers)+1)
	}
	return "an epoch to join, or the bootstrap delay to pass"
}

// waits describes what a member of an epoch waits for to be online, "" if it is online.
func (g *Group) waits(l *localReplica) string {
	switch {
	case l.online():
		return ""
	case l.poisoned != nil:
		return "nothing: the machine panicked"
	case l.diskStalled:
		return "the disk, which is stalled: that of this log or of another log in this process"
	case g.stalled && g.quorumLost(l):
		return "a quorum; missing voters: " + shortNames(g.unreached(l))
	case l.leader == 0:
		return "a leader"
	case l.carryover != nil:
		return "the state of the previous epoch"
	case !l.opened:
		return fmt.Sprintf("enough voters to accept commands: %d are needed", floorOf(g.cfg.Policy))
	}
	for _, c := range l.slow {
		if c.Doing == "apply" {
			return fmt.Sprintf("the machine to return from command %d (%s)", c.Index, c.Type)
		}
	}
	if s := g.serving.Load(); s != nil && s != l {
		return "the new replica to catch up; until then the former replica answers weak reads"
	}
	return "the replica to catch up"
}

func (g *Group) member(replica uint64, peer sm.PeerID) Member {
	a, bonded := g.peers[peer]
	if peer == g.cfg.Self {
		a, bonded = g.announcement(), true
	}
	current := bonded && a.replica(peer) == replica
	_, voter := g.local.members.Voters[replica]
	m := Member{
		Peer:     peer,
		Voter:    voter,
		Observer: current && a.Role.Observer,
		CaughtUp: current && a.Phase == CaughtUp,
		Bonded:   current,
	}
	if current {
		m.Reluctant, m.Leaving, m.Incarnation = isReluctant(a.Role), a.Phase == Leaving, a.Incarnation
		m.Durable, m.Level = a.Durable, a.Level
	} else {
		m.LastSeen = g.lastSeen[peer]
	}
	return m
}
