package group

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// Status is what a member knows about its group at one moment. A value is never changed, so a
// reader may keep it.
type Status struct {
	Epoch     Epoch     // zero before the group has formed
	Recovered int       // how many epochs this one continues
	Opened    bool      // the epoch accepts commands
	Level     uint32    // the active level of the schema, 0 without an epoch
	Leader    sm.PeerID // zero for none
	Term      sm.Term
	Token     uint64  // the leader's fencing token, 0 while it does not exceed the floor
	Online    bool    // the member leads or has caught up with a live leader, and the epoch is open
	Settled   bool    // online, and nothing is unsettled
	Stalled   bool    // no leader, and none can be elected
	Diverged  []Epoch // the epochs that this one has diverged from
	Waits     string  // what the member waits for to be online or settled, "" if it is settled
	Bonds     []sm.PeerID
	Refused   []link.RefusedError // peers without a bond because one side refused it
	Members   []Member
	Ghosts    []Ghost      // voters that count and cannot be reached
	Poisoned  error        // the machine's panic, nil for none
	Snapshot  error        // why the last snapshot failed, nil if it did not
	Outdated  error        // why this program cannot continue from the log, nil if it can
	Slow      []state.Slow // calls of the machine that run long
	Ended     error        // why the member's part has ended, nil while it runs
}

// Member is one member of a group as this member sees it.
type Member struct {
	Peer        sm.PeerID
	Voter       bool
	Observer    bool
	CaughtUp    bool
	Bonded      bool // it has a bond, or is this member
	Current     bool // it knows the last membership change
	Reluctant   bool
	Leaving     bool
	Durable     bool        // its log outlives its process
	Level       uint32      // the highest level of the schema that it supports, 0 without a bond
	LastSeen    time.Time   // when its last bond ended, zero with a bond or before the first
	Incarnation Incarnation // zero without a bond
}

func (s Status) equal(o Status) bool {
	return s.Epoch == o.Epoch && s.Opened == o.Opened && s.Leader == o.Leader && s.Term == o.Term && s.Token == o.Token &&
		s.Level == o.Level && s.Outdated == o.Outdated && s.Online == o.Online && s.Settled == o.Settled && s.Stalled == o.Stalled && s.Poisoned == o.Poisoned &&
		slices.Equal(s.Slow, o.Slow) && s.Ended == o.Ended && s.Snapshot == o.Snapshot && s.Recovered == o.Recovered && s.Waits == o.Waits && slices.Equal(s.Diverged, o.Diverged) &&
		slices.Equal(s.Bonds, o.Bonds) && slices.Equal(s.Ghosts, o.Ghosts) && slices.Equal(s.Members, o.Members) && slices.Equal(s.Refused, o.Refused)
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
	s := Status{Stalled: g.stalled, Bonds: slices.SortedFunc(maps.Keys(g.peers), sm.PeerID.Compare), Refused: g.refused.list()}
	l := g.local
	if former := g.serving.Load(); former != nil && former != l {
		s.Slow = append(s.Slow, former.slow...)
	}
	if l == nil {
		s.Waits = g.seekingWaits()
		return s
	}
	s.Epoch = l.epoch
	s.Recovered = len(l.ancestors)
	for _, a := range g.peers {
		if g.diverged(a) && !slices.Contains(s.Diverged, a.Epoch) {
			s.Diverged = append(s.Diverged, a.Epoch)
		}
	}
	slices.SortFunc(s.Diverged, Epoch.Compare)
	s.Opened = l.opened
	s.Level = l.state.Level()
	s.Term = l.term
	if token := g.token(l); token > g.cfg.TokenFloor {
		s.Token = token
	}
	s.Leader = g.leaderPeer()
	s.Online = l.online()
	s.Poisoned, s.Snapshot = l.poisoned, l.snapshot
	s.Slow = append(s.Slow, l.slow...)
	for _, m := range []map[uint64]sm.PeerID{l.members.Voters, l.members.NonVoting} {
		for _, replica := range sortedReplicas(m) {
			s.Members = append(s.Members, g.member(replica, m[replica]))
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
		return fmt.Sprintf("enough voters to accept commands: %d are needed", g.cfg.Policy.Floor())
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
		m.Reluctant, m.Leaving, m.Incarnation = a.Role.Reluctant(), a.Phase == Leaving, a.Incarnation
		m.Durable, m.Level = a.Durable, a.Level
		m.Current = a.Change == g.local.members.ChangeID
	} else {
		m.LastSeen = g.lastSeen[peer]
	}
	return m
}
