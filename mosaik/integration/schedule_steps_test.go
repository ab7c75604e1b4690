package integration_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// The steps of a schedule. Each returns what it did, "" if it was not possible.

// any draws one of the actors that are so, nil if there is none.
func (s *schedule) any(so func(*actor) bool) *actor {
	var some []*actor
	for _, a := range s.actors {
		if so(a) {
			some = append(some, a)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[s.draw.IntN(len(some))]
}

func (a *actor) joined() bool { return a.group != nil }

// leads reports whether the actor leads, in its own view.
func (a *actor) leads() bool { return a.joined() && a.group.Status().Leader == a.node.Peer() }

// link draws two nodes.
func (s *schedule) link() (i, j int) {
	i = s.draw.IntN(s.c.Len())
	j = (i + 1 + s.draw.IntN(s.c.Len()-1)) % s.c.Len()
	return i, j
}

func (s *schedule) cut() string {
	i, j := s.link()
	s.c.Cut(i, j)
	return fmt.Sprintf("cut %d %d", i, j)
}

func (s *schedule) cutOneWay() string {
	i, j := s.link()
	s.c.CutOneWay(i, j)
	return fmt.Sprintf("cut one way %d %d", i, j)
}

// forget has the network lose a connection between two nodes silently.
func (s *schedule) forget() string {
	i, j := s.link()
	if !s.c.Forget(i, j) {
		return ""
	}
	return fmt.Sprintf("forget a connection %d %d", i, j)
}

func (s *schedule) heal() string {
	i, j := s.link()
	s.c.Heal(i, j)
	return fmt.Sprintf("heal %d %d", i, j)
}

func (s *schedule) isolate() string {
	i := s.draw.IntN(s.c.Len())
	s.c.Isolate(i)
	return fmt.Sprintf("isolate %d", i)
}

// split cuts the nodes into two sides.
func (s *schedule) split() string {
	side := s.draw.Perm(s.c.Len())[:1+s.draw.IntN(s.c.Len()-1)]
	for i := range s.c.Len() {
		if slices.Contains(side, i) {
			continue
		}
		for _, j := range side {
			s.c.Cut(i, j)
		}
	}
	return fmt.Sprintf("split off %v", side)
}

// healAll makes all links whole and as fast as they were.
func (s *schedule) healAll() string {
	s.c.HealAll()
	s.quicken()
	return "heal all"
}

// pay lets a client of a member issue commands, behind those that it has been
// told to issue before.
func (s *schedule) pay() string {
	a := s.any((*actor).joined)
	if a == nil {
		return ""
	}
	cl := a.clients[s.draw.IntN(len(a.clients))]
	n := 1 + s.draw.IntN(5)
	select {
	case cl.orders <- n:
		return fmt.Sprintf("client %d on %d pays %d times", cl.id, a.node.Index(), n)
	default:
		return "" // it is busy enough
	}
}

// await waits, not for long, until a member is online or has applied a command.
func (s *schedule) await() string {
	a := s.any((*actor).joined)
	if a == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(50+s.draw.IntN(300))*time.Millisecond)
	defer cancel()
	if s.draw.IntN(2) == 0 {
		err := a.group.When().Online(ctx)
		return fmt.Sprintf("await that %d is online: %v", a.node.Index(), err == nil)
	}
	err := a.group.When().Applied(ctx, a.group.AppliedIndex()+1)
	return fmt.Sprintf("await that %d advances: %v", a.node.Index(), err == nil)
}

// overtake holds back what a member sends to the leader, and lets another one
// lead before it arrives: what the member sends to that one is there earlier.
func (s *schedule) overtake() string {
	leader := s.any((*actor).leads)
	if leader == nil {
		return ""
	}
	a := s.any(func(a *actor) bool { return a.joined() && a != leader })
	if a == nil {
		return ""
	}
	from, to := a.node.Index(), leader.node.Index()
	s.c.HealAll()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	if err := a.group.When().Online(ctx); err != nil {
		return fmt.Sprintf("heal all and await that %d is online: false", from)
	}
	s.c.CutOneWay(from, to)
	defer s.c.Heal(from, to)
	cl := a.clients[0]
	select {
	case cl.orders <- 1:
	default: // it is busy
	}
	time.Sleep(time.Duration(200+s.draw.IntN(200)) * time.Millisecond) // the time is the fault's
	err := leader.group.TransferLeadership(ctx, sm.PeerID{})
	if err == nil {
		err = a.group.When().Online(ctx)
	}
	if err == nil {
		err = a.group.When().Applied(ctx, a.group.AppliedIndex()+1)
	}
	return fmt.Sprintf("heal all and hold back what %d sends to the leader %d until another one leads: %v", from, to, err == nil)
}

// distance moves the nodes apart, so that several entries are on their way at a
// time, or next to each other.
func (s *schedule) distance() string {
	s.slow.apart = time.Duration(s.draw.IntN(3)*4) * time.Millisecond
	for i := range s.c.Len() {
		for j := range i {
			s.c.Delay(i, j, s.slow.apart)
		}
	}
	return fmt.Sprintf("delay everything by %v", s.slow.apart)
}

// lose breaks the connections of a link, most often one of the leader's, so that
// what is on its way there is lost and what follows is not.
func (s *schedule) lose() string {
	i, j := s.link()
	if leader := s.any((*actor).leads); leader != nil && s.draw.IntN(4) > 0 && leader.node.Index() != j {
		i = leader.node.Index()
	}
	s.c.Drop(i, j)
	return fmt.Sprintf("drop the connections of %d and %d", i, j)
}

// calm makes the network whole and gives a member time to be online.
func (s *schedule) calm() string {
	a := s.any((*actor).joined)
	if a == nil {
		return ""
	}
	s.healAll()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Second)
	defer cancel()
	err := a.group.When().Online(ctx)
	return fmt.Sprintf("heal all and await that %d is online: %v", a.node.Index(), err == nil)
}

// crashOne crashes a node, the leader's as often as not.
func (s *schedule) crashOne() string {
	a := s.any(func(a *actor) bool { return !a.down && s.expendable(a) })
	if a == nil {
		return ""
	}
	if leader := s.any((*actor).leads); s.draw.IntN(2) == 0 && leader != nil && s.expendable(leader) {
		a = leader
	}
	s.crash(a)
	return fmt.Sprintf("crash %d", a.node.Index())
}

// restartAll crashes all members at once and lets them come back.
func (s *schedule) restartAll() string {
	live := s.live()
	if len(live) == 0 || !s.expendable(live[0]) {
		return ""
	}
	for _, a := range live {
		s.crash(a)
	}
	for _, a := range live {
		s.join(a)
	}
	return fmt.Sprintf("restart all %d that are up", len(live))
}

func (s *schedule) crash(a *actor) {
	a.node.Crash()
	a.down = true
	s.gone(a)
}

// gone takes into account that an actor's handle is closed.
func (s *schedule) gone(a *actor) {
	for _, cl := range a.clients {
		close(cl.orders)
		<-cl.done
	}
	a.group, a.clients = nil, nil
}

// comeBack lets a node that is down or out join: one that is out as the peer that it
// was, one that crashed without a log on disk also as another one.
func (s *schedule) comeBack() string {
	a := s.any(func(a *actor) bool { return !a.joined() })
	if a == nil || s.crowd() {
		return ""
	}
	return s.join(a)
}

func (s *schedule) join(a *actor) string {
	what := "join %d"
	switch {
	case a.down && s.logs == inMemory && s.draw.IntN(2) == 0:
		what = "restart %d as another peer"
		a.node.RestartAnew()
	case a.down:
		what = "restart %d"
		a.node.Restart()
	}
	a.down, a.out = false, false
	a.group = s.work.join(a.node, s.policy)
	s.audit.watch(s.t.Context(), a.node, a.group)
	for range 2 {
		a.clients = append(a.clients, s.audit.client(s.t.Context(), s.work, a.group))
	}
	return fmt.Sprintf(what, a.node.Index())
}

func (s *schedule) grow() string {
	if s.c.Len() == mostNodes || s.audit.epochs() == 0 || s.crowd() {
		return ""
	}
	a := &actor{node: s.c.Add(), out: true}
	s.actors = append(s.actors, a)
	return "newcomer: " + s.join(a)
}

// leave lets a member leave. Not every group can let it go; then it is missed as
// after a crash, so that it must be one that could crash.
func (s *schedule) leave() string {
	a := s.any(func(a *actor) bool { return a.joined() && s.expendable(a) })
	if a == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
	defer cancel()
	// One that has not found the group again has nobody to tell that it does not
	// come back, and stays missed as what it was before.
	belongs := a.group.Status().AcceptsCommands
	err := a.group.Leave(ctx)
	s.gone(a)
	a.out = err == nil && belongs
	return fmt.Sprintf("leave %d: %v", a.node.Index(), err)
}

// crowd reports whether another member that knows of no epoch would make so many
// of them that they could form a group of their own, were they cut off from the
// one that there is: who has its log in memory and crashes forgets its epoch,
// and newcomers beyond the expected number were not counted on.
func (s *schedule) crowd() bool {
	if s.logs == onDisk {
		return false
	}
	blank, joined := 0, 0
	for _, a := range s.actors {
		if a.joined() {
			joined++
			if !a.group.Status().AcceptsCommands {
				blank++
			}
		}
	}
	// An epoch that held nothing may have been given up: then there is none.
	return s.audit.epochs() > 0 && blank < joined && blank+1 >= s.policy.WithDefaults().MinimumVoters
}

// expendable reports whether the group survives the crash of the actor. On disk
// it does once everybody is in an epoch that holds something, so that nobody gives
// it up any more. In memory it does when in the view of every member more than
// half of the voters that the log knows are left, as what they were when they got
// the vote.
func (s *schedule) expendable(lost *actor) bool {
	if s.logs == onDisk {
		if !s.formed {
			out := func(a *actor) bool { return !a.group.Status().AcceptsCommands }
			s.formed = s.audit.acknowledged() > 0 && !slices.ContainsFunc(s.actors, out)
		}
		return s.formed
	}
	votes := map[sm.PeerID]consensus.Epoch{} // who is here and has a vote
	opened := false
	for _, a := range s.actors {
		if !a.joined() {
			continue
		}
		st := a.group.Status()
		opened = opened || st.AcceptsCommands
		for _, m := range st.Members {
			// Its own present replica is the one that it can always reach.
			if m.Peer == a.node.Peer() && m.Voter && m.Bonded && a != lost {
				votes[m.Peer] = st.Epoch
			}
		}
	}
	if !opened {
		// Nobody may be lost who let commands in and did not tell yet.
		for _, a := range s.actors {
			if a.joined() && len(voterIDs(a.group.Status())) > 1 {
				return false
			}
		}
		s.early = true
		return true
	}
	for _, a := range s.actors {
		if !a.joined() {
			continue
		}
		st := a.group.Status()
		all := voterIDs(st)
		left := 0
		for _, peer := range all {
			if votes[peer] == st.Epoch {
				left++
			}
		}
		n := len(all)
		if n > 0 && left <= n/2 {
			return false
		}
		// One of those without a vote may have got it without this member having
		// heard of it.
		for _, m := range st.Members {
			kept := left
			other := s.c.NodeOf(m.Peer) // nil for one that came back as another peer
			if other != nil && s.actors[other.Index()].joined() && other != lost.node {
				kept++
			}
			if !m.Voter && kept <= (n+1)/2 {
				return false
			}
		}
	}
	return true
}

// voterIDs returns the peers that have a vote, once for each of their replicas.
func voterIDs(s consensus.Status) (peers []sm.PeerID) {
	for _, m := range s.Members {
		if m.Voter {
			peers = append(peers, m.Peer)
		}
	}
	return peers
}
