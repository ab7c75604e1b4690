package group

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// localReplica is this member's replica of one epoch, from its start until it is stopped, with
// the state machine that it drives. Its fields belong to the group's goroutine, except for the
// first group, which are set before the replica is published, and the atomic one.
type localReplica struct {
	epoch        Epoch
	bootstrap    bool // this member made the epoch
	resumed      bool // an earlier process started it: only the log knows its votes
	shard        uint64
	id           uint64 // the replica id
	replica      *engine.Replica
	state        *state.State
	machine      state.Machine
	appliedIndex atomic.Uint64        // AppliedIndex; set on the goroutine that applies
	slowSeen     []consensus.SlowCall // the last report of the watchdog, owned by its goroutine
	ctx          context.Context      // ends when the replica is stopped
	cancel       context.CancelFunc

	raftLeader  uint64 // replica id of the leader that Raft knows, 0 for none
	raftTerm    sm.Term
	leader      uint64 // the same, but 0 also where Raft would not notice the leader's loss
	term        sm.Term
	opened      bool                 // the epoch accepts commands
	caughtUp    bool                 // it caught up with a leader once
	inSync      bool                 // it has caught up with the present leader
	leaderless  time.Time            // when the leader was lost, if there is none
	poisoned    error                // the machine's panic, nil for none
	snapshot    error                // why the last snapshot failed, nil if it did not
	slow        []consensus.SlowCall // calls of the machine that run long
	diskStalled bool                 // the disk is stalled: Raft neither sends nor receives
	members     engine.Membership
	membersTerm sm.Term // the term in which members was read

	remotes map[uint64]*remoteReplica            // other replicas of the epoch, by id
	held    func() (engine.HeldMembership, bool) // the membership by the replica's log

	reading   bool // a worker reads the membership
	readAgain bool // read it again after that
	changing  bool // a worker changes the membership

	carryover      iter.Seq[[]byte] // the entries that the epoch must still take over, nil for none
	carryoverLevel uint32           // the level of the schema that these entries need
	ancestors      []Epoch          // the epochs that this one continues
}

func (l *localReplica) leads() bool { return l.leader == l.id }
func (l *localReplica) votes() bool { _, ok := l.members.Voters[l.id]; return ok }
func (l *localReplica) online() bool {
	return l.leader != 0 && l.inSync && l.opened && l.poisoned == nil
}

// join starts this member's replica in an epoch that exists.
func (g *Group) join(e Epoch) { g.start(&localReplica{epoch: e}) }

// bootstrap makes a new epoch and starts this member's replica in it. carryover are the entries
// that the epoch must take over from the one that it continues, nil for none, and level is the
// level of the schema that these entries need.
func (g *Group) bootstrap(carryover iter.Seq[[]byte], level uint32) {
	g.start(&localReplica{epoch: newEpoch(), bootstrap: true, carryover: carryover, carryoverLevel: level})
}

// start starts a replica. A failure ends the group.
func (g *Group) start(l *localReplica) {
	made, err := g.cfg.NewMachine()
	if err != nil {
		g.end(fmt.Errorf("make a machine: %w: %w", consensus.ErrPoisoned, err))
		return
	}
	e := l.epoch
	g.timers.clear("find epoch")
	g.log.Info("entering epoch", "epoch", e.String(), "bootstrap", l.bootstrap, "resumed", l.resumed)
	l.shard, l.id = shardID(g.cfg.ID, e), replicaID(g.cfg.Self, e, g.process.Incarnation)
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
		Applied:  stateEvents{g, l}.applied,
		Opened:   stateEvents{g, l}.opened,
		Sealed:   stateEvents{g, l}.sealed,
		Ancestor: stateEvents{g, l}.ancestor,
		Raised:   stateEvents{g, l}.raised,
		Poisoned: stateEvents{g, l}.poisoned,
		Slow:     stateEvents{g, l}.slow,
	})
	g.prepareServing(l)
	g.bindSession(l, l.carryover != nil)
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
		Machine:         applier{l.state},
		SnapshotEvery:   g.cfg.SnapshotEvery,
		SnapshotBytes:   g.cfg.SnapshotBytes,
		Events:          replicaEvents{g, l},
	})
	if err != nil {
		l.cancel()
		g.end(fmt.Errorf("start a replica: %w", err))
		return
	}
	l.replica, l.held = replica, replica.Held()
	for peer, a := range g.peers {
		g.noteRemote(l, peer, a)
	}
	g.makeCurrent(l)
	g.leaderChanged(l, 0, 0)
	if l.bootstrap && !l.resumed {
		g.campaign(l)
	}
	g.announce()
}

// claimLog assigns the log to a new replica, which starts with an empty log: the votes and
// entries of an earlier replica belong to another replica id.
func (g *Group) claimLog(l *localReplica) error {
	if l.resumed {
		return nil // the log belongs to it already
	}
	if files, ok := logstore.SnapshotFiles(g.cfg.Log); ok && l.carryover != nil {
		if err := writeCarryover(files, l.epoch, l.carryover); err != nil {
			return fmt.Errorf("%w: %w", ErrStorage, err)
		}
	}
	return engine.Claim(g.cfg.Log, engine.Identity{
		Shard: l.shard, Replica: l.id, Epoch: l.epoch, Incarnation: g.process.Incarnation,
	}, l.carryoverLevel)
}

// campaign makes a lone voter elect itself without waiting for an election timeout.
func (g *Group) campaign(l *localReplica) {
	if err := l.replica.Campaign(); err != nil {
		g.log.Debug("bootstrap waits for its election timeout", "error", err)
	}
}

// quitEpoch stops the replica and looks for another epoch as a new incarnation.
func (g *Group) quitEpoch(why string) {
	l := g.local
	g.log.Info("leaving epoch", "epoch", l.epoch.String(), "why", why)
	g.stopReplica(l)
	g.startOver()
}

// startOver looks for an epoch as a new incarnation.
func (g *Group) startOver() {
	g.retireServing()
	if err := g.clearLog(); err != nil {
		g.end(err)
		return
	}
	g.renewIncarnation()
	g.announce()
	g.findEpoch()
}

// renewIncarnation draws the incarnation of the next replica.
func (g *Group) renewIncarnation() {
	g.process = g.cfg.Origin.newIncarnation(g.process.Incarnation)
	g.seekingSince = time.Now()
}

// stopReplica stops the replica and waits until none of its goroutines runs.
func (g *Group) stopReplica(l *localReplica) {
	g.knownToken = max(g.knownToken, g.token(l))
	g.current.Store(nil)
	l.cancel() // wakes readers, which then find no current replica
	g.local = nil
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
