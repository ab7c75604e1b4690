package group

import (
	"maps"
	"slices"

	"github.com/mosaik-go/mosaik/sm"
)

// Status is what a member knows about its group at one moment. Values are
// immutable: whoever reads one may keep it.
type Status struct {
	Epoch    Epoch     // zero before the group formed
	Opened   bool      // the epoch accepts commands
	Leader   sm.PeerID // zero for none
	Term     sm.Term
	Online   bool // leads, or is level with a live leader, and the epoch is open
	Settled  bool // online, and everybody who is here is in place
	Stalled  bool // no leader for longer than elections take
	Bonds    []sm.PeerID
	Members  []Member
	Poisoned error // the machine's panic, nil for none
}

// Member is one member of a group as another sees it.
type Member struct {
	Peer     sm.PeerID
	Voter    bool
	Observer bool
	CaughtUp bool
	Bonded   bool // reachable: a bond with it lives, or it is this very member
}

func (s Status) equal(o Status) bool {
	return s.Epoch == o.Epoch && s.Opened == o.Opened && s.Leader == o.Leader && s.Term == o.Term &&
		s.Online == o.Online && s.Settled == o.Settled && s.Stalled == o.Stalled && s.Poisoned == o.Poisoned &&
		slices.Equal(s.Bonds, o.Bonds) && slices.Equal(s.Members, o.Members)
}

// publish lets the world see what changed. It runs after every event.
func (g *Group) publish() {
	s := g.view()
	if !s.equal(g.status.Get()) {
		g.status.Set(s)
	}
	g.prospect.Update(func(old prospect) (prospect, bool) {
		p := prospect{s.Epoch, s.Leader, s.Term, s.Stalled, s.Poisoned}
		return p, p != old
	})
}

// prospect is the part of a status on which it depends whether a failed attempt
// to commit something is worth repeating.
type prospect struct {
	epoch    Epoch
	leader   sm.PeerID
	term     sm.Term
	stalled  bool
	poisoned error
}

func (g *Group) view() Status {
	s := Status{Stalled: g.stalled, Bonds: slices.SortedFunc(maps.Keys(g.peers), sm.PeerID.Compare)}
	l := g.life
	if l == nil {
		return s
	}
	s.Epoch = l.epoch
	s.Opened = l.opened
	s.Term = l.term
	s.Leader = g.leaderPeer()
	s.Online = l.online()
	s.Poisoned = l.poisoned
	for _, m := range []map[uint64]sm.PeerID{l.members.Voters, l.members.NonVoting} {
		for _, replica := range sortedReplicas(m) {
			s.Members = append(s.Members, g.member(replica, m[replica]))
		}
	}
	s.Settled = s.Online && g.steward().settled()
	return s
}

func (g *Group) member(replica uint64, peer sm.PeerID) Member {
	a, bonded := g.peers[peer]
	if peer == g.cfg.Self {
		a, bonded = g.announcement(), true
	}
	current := bonded && a.replica(peer) == replica
	_, voter := g.life.members.Voters[replica]
	return Member{
		Peer:     peer,
		Voter:    voter,
		Observer: current && a.Role.Observer,
		CaughtUp: current && a.Phase == CaughtUp,
		Bonded:   current,
	}
}
