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

// Status is what a member knows about its group at one moment. Values are
// immutable: whoever reads one may keep it.
type Status struct {
	Epoch     Epoch     // zero before the group formed
	Recovered int       // how many epochs this one continues
	Opened    bool      // the epoch accepts commands
	Level     uint32    // the level of the schema that is active, 0 without an epoch
	Leader    sm.PeerID // zero for none
	Term      sm.Term
	Token     uint64  // of the leader, 0 while it is not above what it must be
	Online    bool    // leads, or is level with a live leader, and the epoch is open
	Settled   bool    // online, and everybody who is here is in place
	Stalled   bool    // no leader, and none can be elected
	Apart     []Epoch // other epochs that hold commands, as this one does
	Waits     string  // what being online or settled waits for, "" for nothing
	Bonds     []sm.PeerID
	Refused   []link.RefusedError // peers that one side refused a bond with
	Members   []Member
	Ghosts    []Ghost      // voters that count and cannot be reached
	Poisoned  error        // the machine's panic, nil for none
	Snapshot  error        // why the last snapshot failed, nil if it did not
	Outdated  error        // why this program cannot go on from the log, nil if it can
	Slow      []state.Slow // calls of the machine that run long
	Ended     error        // why the member's part has ended, nil while it continues
}

// Member is one member of a group as another sees it.
type Member struct {
	Peer        sm.PeerID
	Voter       bool
	Observer    bool
	CaughtUp    bool
	Bonded      bool // reachable: a bond with it lives, or it is this very member
	Current     bool // knows the last membership change
	Reluctant   bool
	Leaving     bool
	Durable     bool        // its log outlives its process
	Level       uint32      // the highest level of the schema that it supports, 0 while it is not bonded
	LastSeen    time.Time   // when its last bond ended, zero while it is bonded and before
	Incarnation Incarnation // zero while it was not bonded
}

func (s Status) equal(o Status) bool {
	return s.Epoch == o.Epoch && s.Opened == o.Opened && s.Leader == o.Leader && s.Term == o.Term && s.Token == o.Token &&
		s.Level == o.Level && s.Outdated == o.Outdated && s.Online == o.Online && s.Settled == o.Settled && s.Stalled == o.Stalled && s.Poisoned == o.Poisoned &&
		slices.Equal(s.Slow, o.Slow) && s.Ended == o.Ended && s.Snapshot == o.Snapshot && s.Recovered == o.Recovered && s.Waits == o.Waits && slices.Equal(s.Apart, o.Apart) &&
		slices.Equal(s.Bonds, o.Bonds) && slices.Equal(s.Ghosts, o.Ghosts) && slices.Equal(s.Members, o.Members) && slices.Equal(s.Refused, o.Refused)
}

// publish lets the world see what changed. It runs after every event.
func (g *Group) publish() {
	s := g.view()
	if !s.equal(g.status.Get()) {
		g.status.Set(s)
	}
	g.prospect.Update(func(old prospect) (prospect, bool) {
		p := prospect{g.life, s.Epoch, s.Leader, s.Term, s.Stalled, s.Poisoned}
		return p, p != old
	})
}

// prospect is the part of a status on which it depends whether a failed attempt
// to commit something is worth repeating.
type prospect struct {
	life     *life // to be compared only
	epoch    Epoch
	leader   sm.PeerID
	term     sm.Term
	stalled  bool
	poisoned error
}

func (g *Group) view() Status {
	s := Status{Stalled: g.stalled, Bonds: slices.SortedFunc(maps.Keys(g.peers), sm.PeerID.Compare), Refused: g.refused.list()}
	l := g.life
	if former := g.serves.Load(); former != nil && former != l {
		s.Slow = append(s.Slow, former.slow...)
	}
	if l == nil {
		s.Waits = g.seekingWaits()
		return s
	}
	s.Epoch = l.epoch
	s.Recovered = len(l.ancestors)
	for _, a := range g.peers {
		if g.apart(a) && !slices.Contains(s.Apart, a.Epoch) {
			s.Apart = append(s.Apart, a.Epoch)
		}
	}
	slices.SortFunc(s.Apart, Epoch.Compare)
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
		s.Waits = g.steward().unsettled()
	}
	s.Settled = s.Waits == ""
	return s
}

// seekingWaits says what a member without an epoch waits for.
func (g *Group) seekingWaits() string {
	observers := g.cfg.Role.Observer
	for _, a := range g.peers {
		observers = observers && a.Role.Observer
	}
	switch opponent := g.opponent(); {
	case opponent != "":
		return opponent
	case observers:
		return "a member that may vote: all connected members are observers"
	case g.cfg.Policy.Expected > len(g.peers)+1:
		return fmt.Sprintf("%d expected members: %d are connected", g.cfg.Policy.Expected, len(g.peers)+1)
	}
	return "an epoch to join, or the bootstrap delay to pass"
}

// waits says what a member waits for that is in an epoch and not online.
func (g *Group) waits(l *life) string {
	switch {
	case l.online():
		return ""
	case l.poisoned != nil:
		return "nothing: the machine panicked"
	case l.hangs:
		return "a stalled disk: that of its log, or of another log in this process"
	case g.stalled && g.quorumLost(l):
		return "a quorum: too few voters can be reached; missing: " + shortNames(g.unreached(l))
	case l.leader == 0:
		return "a leader"
	case l.estate != nil:
		return "the state of the previous epoch"
	case !l.opened:
		return fmt.Sprintf("enough voters to accept commands: %d are needed", g.cfg.Policy.Floor())
	}
	for _, c := range l.slow {
		if c.Doing == "apply" {
			return fmt.Sprintf("its machine, which has not returned from command %d (%s)", c.Index, c.Type)
		}
	}
	if s := g.serves.Load(); s != nil && s != l {
		return "its new replica to catch up; until then the former replica's machine answers weak reads"
	}
	return "its replica to catch up"
}

func (g *Group) member(replica uint64, peer sm.PeerID) Member {
	a, bonded := g.peers[peer]
	if peer == g.cfg.Self {
		a, bonded = g.announcement(), true
	}
	current := bonded && a.replica(peer) == replica
	_, voter := g.life.members.Voters[replica]
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
		m.Current = a.Change == g.life.members.ChangeID
	} else {
		m.LastSeen = g.lastSeen[peer]
	}
	return m
}
