package group

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// life is the time from which a member's replica runs in an epoch until it is
// stopped. Its fields belong to the loop, except those set before it is
// published.
type life struct {
	epoch     Epoch
	bootstrap bool // this member made the epoch
	resumed   bool // an earlier process began it: what it promised only its log knows
	shard     uint64
	id        uint64 // the replica's
	replica   *engine.Replica
	state     *state.State
	machine   state.Machine
	applied   atomic.Uint64   // what count returns
	slowSeen  []state.Slow    // what the watchdog told last, on its goroutine
	ctx       context.Context // ends with the life
	cancel    context.CancelFunc

	raftLeader uint64 // replica id as Raft has it, 0 for none
	raftTerm   sm.Term
	leader     uint64 // the same, 0 also when Raft would not notice its loss
	term       sm.Term
	opened     bool
	caughtUp   bool      // was level with a leader once
	level      bool      // is level with the present leader
	leaderless time.Time // since when there has been no leader, if there is none
	poisoned   error
	snapshot   error        // why the last snapshot failed, nil if it did not
	slow       []state.Slow // calls of the machine that run long
	hangs      bool         // a disk does not answer, and nothing is heard or said
	members    engine.Membership
	seenTerm   sm.Term // the term in which members was read

	met  map[uint64]*met                      // other replicas of the epoch, by their ids
	held func() (engine.HeldMembership, bool) // the membership from the replica's log

	reading   bool // a look at the membership is under way
	readAgain bool // and another one is due
	changing  bool // a membership change is under way

	estate    iter.Seq[[]byte] // what the epoch is still to take over, on the member that makes it
	inherits  uint32           // the level of the schema that comes with it
	ancestors []Epoch          // that the epoch continues
}

func (l *life) leads() bool  { return l.leader == l.id }
func (l *life) votes() bool  { _, ok := l.members.Voters[l.id]; return ok }
func (l *life) online() bool { return l.leader != 0 && l.level && l.opened && l.poisoned == nil }

// seek looks for an epoch, if the member is in none, and goes where it is.
func (g *Group) seek() {
	if g.life != nil || g.leaving {
		return
	}
	now := time.Now()
	m := seeker{
		now: now, self: g.cfg.Self, role: g.cfg.Role, policy: g.cfg.Policy,
		since: g.since, delay: g.cfg.Timing.BootstrapDelay * factorOf(g.cfg.Role),
		ended: g.ended, peers: g.peers, barred: g.barred(now),
	}.next()
	switch {
	case !m.join.IsZero():
		g.enter(m.join, nil)
	case m.bootstrap:
		g.enter(newEpoch(), &birth{})
	case m.wait > 0:
		g.timers.set("seek", m.wait, g.seek)
	}
}

// birth is how an epoch begins that this member makes.
type birth struct {
	estate iter.Seq[[]byte] // what it takes over of the epoch that it continues, nil for nothing
	level  uint32           // of that epoch
}

// enter starts this member's replica in the epoch, which begins with it if there
// is a birth.
func (g *Group) enter(e Epoch, b *birth) {
	l := &life{epoch: e, bootstrap: b != nil}
	if b != nil {
		l.estate, l.inherits = b.estate, b.level
	}
	g.start(l)
}

// start begins a life.
func (g *Group) start(l *life) {
	made, err := g.cfg.NewMachine()
	if err != nil {
		g.end(fmt.Errorf("make a machine: %w: %w", state.ErrPoisoned, err))
		return
	}
	e := l.epoch
	g.timers.clear("seek")
	g.log.Info("entering an epoch", "epoch", e.String(), "bootstrap", l.bootstrap, "resumed", l.resumed)
	l.shard, l.id = shardID(g.cfg.ID, e), replicaID(g.cfg.Self, e, g.tenure.Incarnation)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.machine = made
	l.state = state.New(state.Config{
		Group:    g.cfg.ID,
		Network:  g.cfg.Network,
		Epoch:    e,
		Machine:  l.machine,
		Level:    g.cfg.Level,
		History:  g.cfg.History,
		Deliver:  g.proposer.Deliver,
		Applied:  observer{g, l}.applied,
		Opened:   observer{g, l}.opened,
		Sealed:   observer{g, l}.sealed,
		Ancestor: observer{g, l}.ancestor,
		Raised:   observer{g, l}.raised,
		Poisoned: observer{g, l}.poisoned,
		Slow:     observer{g, l}.slow,
	})
	g.prepare(l)
	g.ownIn(l, l.estate != nil)
	if err := g.claimLog(l); err != nil {
		l.cancel()
		g.end(fmt.Errorf("prepare the log: %w", err))
		return
	}
	for peer, a := range g.peers {
		if a.Epoch == e {
			g.cfg.Engine.Admit(l.shard, peer, a.replica(peer))
		}
	}
	replica, err := g.cfg.Engine.Start(engine.ReplicaConfig{
		Shard:           l.shard,
		Replica:         l.id,
		Bootstrap:       l.bootstrap,
		ElectionTimeout: g.cfg.Timing.ElectionTimeout * factorOf(g.cfg.Role),
		ReadTimeout:     g.cfg.Timing.Query,
		Log:             g.cfg.Log,
		LevelOf:         format.LevelOf,
		Machine:         machine{l.state},
		SnapshotEvery:   g.cfg.SnapshotEvery,
		SnapshotBytes:   g.cfg.SnapshotBytes,
		Events:          events{g, l},
	})
	if err != nil {
		l.cancel()
		g.end(fmt.Errorf("start a replica: %w", err))
		return
	}
	l.replica, l.held = replica, replica.Held()
	for peer, a := range g.peers {
		g.meet(l, peer, a)
	}
	g.took(l)
	g.leaderChanged(l, 0, 0)
	if l.bootstrap && !l.resumed {
		g.campaign(l)
	}
	g.announce()
}

// claimLog makes the log that of a life that begins. A new replica starts with
// an empty one: what an earlier one voted and wrote belongs to another id.
func (g *Group) claimLog(l *life) error {
	if l.resumed {
		return nil // it is that already
	}
	if files, ok := logstore.SnapshotFiles(g.cfg.Log); ok && l.estate != nil {
		if err := writeEstate(files, l.epoch, l.estate); err != nil {
			return fmt.Errorf("%w: %w", ErrStorage, err)
		}
	}
	return engine.Claim(g.cfg.Log, engine.Identity{
		Shard: l.shard, Replica: l.id, Epoch: l.epoch, Incarnation: g.tenure.Incarnation,
	}, l.inherits)
}

// campaign lets a lone voter elect itself without waiting for a timeout.
func (g *Group) campaign(l *life) {
	if err := l.replica.Campaign(); err != nil {
		g.log.Debug("the bootstrap waits for its election timeout", "error", err)
	}
}

// exit ends the present life and seeks another epoch as a new incarnation.
func (g *Group) exit(why string) {
	l := g.life
	g.log.Info("leaving an epoch", "epoch", l.epoch.String(), "why", why)
	g.stopReplica(l)
	g.beginAnew()
}

// beginAnew seeks an epoch as a new incarnation.
func (g *Group) beginAnew() {
	g.retire()
	if err := g.forget(); err != nil {
		g.end(err)
		return
	}
	g.renew()
	g.announce()
	g.seek()
}

// renew draws the incarnation of the next life.
func (g *Group) renew() {
	g.tenure = g.cfg.Origin.begin(g.tenure.Incarnation)
	g.since = time.Now()
}

// stopReplica stops a life's replica and waits until nothing of it runs.
func (g *Group) stopReplica(l *life) {
	g.tokens = max(g.tokens, g.token(l))
	g.current.Store(nil)
	l.cancel() // wakes readers, which must not find the life again
	g.life = nil
	g.refuseRemovals(ErrNotLeader)
	if err := l.replica.Stop(); err != nil && !errors.Is(err, engine.ErrClosed) {
		g.log.Error("stopping the replica failed", "error", err)
	}
	for peer := range g.peers {
		g.cfg.Engine.Expel(l.shard, peer)
	}
	g.timers.clear("grace")
	g.timers.clear("stalled")
	g.stalled = false
}

// removed takes into account that this member's replica is no member any more.
func (g *Group) removed(e Epoch, replica uint64) {
	l := g.life
	if l == nil || l.epoch != e || l.id != replica {
		return
	}
	if g.leaving {
		g.dismissed = true
		g.left.Set(farewell{done: true})
		return
	}
	g.exit("the replica was removed")
}

// sawSeal takes into account that the epoch yields to another one.
func (g *Group) sawSeal(l *life) {
	g.conclude(l.epoch, l.state.Status().Commands)
	if g.leaving {
		g.dismissed = true
		g.left.Set(farewell{done: true})
		return
	}
	g.exit("the epoch was sealed")
}

// conclude remembers that an epoch is over, and what it held up to so many
// commands given up. Members that are in it may have nobody left to hear it from,
// so they are told.
func (g *Group) conclude(e Epoch, commands sm.Index) {
	g.ended[e] = max(g.ended[e], commands)
	for peer, a := range g.peers {
		if a.Epoch == e {
			g.sendSealed(peer, e)
		}
	}
	g.retire()
}

// toldSealed takes into account that another member saw the end of an epoch. Who
// applied more commands than that gave up knows better.
func (g *Group) toldSealed(e Epoch, commands sm.Index) {
	if l := g.life; l != nil && l.epoch == e {
		applied := l.count()
		if applied > commands {
			return
		}
		if applied > 0 {
			g.log.Error("the epoch is over: what it held here is given up", "epoch", e.String(), "commands", applied)
		}
		g.ended[e] = commands
		g.sawSeal(l)
		return
	}
	if _, known := g.ended[e]; !known && len(g.ended) >= maxEnded {
		return
	}
	g.ended[e] = max(g.ended[e], commands)
	g.retire()
}

// stranded ends a life that led nowhere: this member never caught up, so that it
// was never made a voter, and nobody whom it can reach has caught up either:
// those who could add it are gone, and others on their way wait as it does. One
// that was resumed may have caught up before, and goes only if its log means
// nothing.
func (g *Group) stranded(l *life) bool {
	if l.bootstrap || l.caughtUp || g.leaving || l.resumed && g.outlook(l).verdict() != depart {
		return false
	}
	for _, a := range g.peers {
		if a.Epoch == l.epoch && (a.Phase == CaughtUp || a.Phase == Leaving) {
			return false
		}
	}
	g.exit("nobody who caught up can be reached")
	return true
}

// leaderPeer returns the present leader, zero for none or one not known by name.
func (g *Group) leaderPeer() sm.PeerID {
	l := g.life
	switch {
	case l == nil || l.leader == 0:
		return sm.PeerID{}
	case l.leads():
		return g.cfg.Self
	}
	if peer, ok := l.members.Voters[l.leader]; ok {
		return peer
	}
	for peer, a := range g.peers {
		if a.Epoch == l.epoch && a.replica(peer) == l.leader {
			return peer
		}
	}
	return sm.PeerID{}
}

// reviewLeader compares the leader that Raft knows with what can be seen. While
// the log hangs Raft knows nothing. A
// replica without a vote never misses a leader by itself, since it would not
// stand for election; so for one the leader's bond and its word decide.
func (g *Group) reviewLeader(l *life) {
	leader := l.raftLeader
	if l.hangs {
		leader = 0 // whoever led may have been replaced
	}
	if leader != 0 && leader != l.id && !l.votes() && !g.seenLeading(l, leader) {
		leader = 0
	}
	if leader != l.leader || l.raftTerm != l.term {
		g.leaderChanged(l, leader, l.raftTerm)
	}
}

// seenLeading reports whether a bonded peer says that it leads as the replica.
func (g *Group) seenLeading(l *life, replica uint64) bool {
	for peer, a := range g.peers {
		if a.Epoch == l.epoch && a.replica(peer) == replica {
			return a.Leads
		}
	}
	return false
}

// leaderChanged takes a new leader, or none, into account.
func (g *Group) leaderChanged(l *life, leader uint64, term sm.Term) {
	led := l.leads()
	l.leader, l.term, l.level = leader, term, false
	if l.leads() != led {
		g.announce()
	}
	l.leaderless = time.Now()
	g.reviewQuorum(l)
	if leader != 0 {
		g.readMembership(l)
	}
}

// readMembership asks the group who belongs to it. An answer also means that
// this replica is level with the leader. One question is under way at a time.
func (g *Group) readMembership(l *life) {
	if l.reading {
		l.readAgain = true
		return
	}
	l.reading, l.readAgain = true, false
	term := l.term
	g.work(func() {
		ctx, cancel := l.withTimeout(g.cfg.Timing.step())
		defer cancel()
		members, err := l.replica.Membership(ctx)
		g.inbox.post(func() { g.membershipRead(l, term, members, err) })
	})
}

func (g *Group) membershipRead(l *life, term sm.Term, members engine.Membership, err error) {
	if g.life != l {
		return
	}
	l.reading = false
	switch {
	case l.readAgain || err == nil && term != l.term:
		g.readMembership(l)
	case err != nil && l.leader != 0:
		g.timers.set("read membership", retryPause, func() {
			if g.life == l {
				g.readMembership(l)
			}
		})
	}
	if err != nil {
		g.log.Debug("reading the membership failed", "error", err)
		return
	}
	known := l.members.ChangeID
	l.members, l.seenTerm = members, term
	if members.ChangeID != known {
		g.announce()
	}
	if _, gone := members.Removed[l.id]; gone {
		g.removed(l.epoch, l.id)
		return
	}
	g.forgetMet(l)
	g.reviewLeader(l)
	if l.leader != 0 && term == l.term {
		l.level = true
		if !l.caughtUp {
			l.caughtUp = true
			g.announce()
		}
	}
	g.reconcile()
}

// retryPause is how long to wait after a request that failed at once.
const retryPause = 50 * time.Millisecond
