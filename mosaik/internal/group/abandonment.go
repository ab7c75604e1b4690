package group

import (
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// abandonment holds what a member knows about an epoch that has had no leader for longer than
// elections take. decide derives from it whether the member may give the epoch up.
type abandonment struct {
	votes         bool // this member knows that it is a voter
	voterSeen     bool // another voter of the epoch is bonded
	opened        bool // by the log here, or a peer that caught up, the epoch accepts commands
	commands      bool // the log here holds commands, or a carryover, proposed or not
	commandless   bool // the machine's commands change nothing, so a carryover is no loss
	indispensable bool // every commit so far, and any later one, needed this replica
}

// abandonDecision is what a member does with an epoch whose formation failed.
type abandonDecision uint8

const (
	decideStay     abandonDecision = iota // other members, or nobody, can help
	decideQuit                            // this replica counts for nothing: look for another epoch
	decideDissolve                        // the epoch holds nothing and never will: end it for all members
)

// decide never lets an acknowledged command be lost, nor a second epoch open beside one that
// did. A voter was counted on. It may end the epoch only if everything that was ever committed
// is in its own log, and that holds no commands. A member without a vote is free, but has no
// reason to leave while a voter is bonded or once the epoch has accepted commands.
func (o abandonment) decide() abandonDecision {
	switch {
	case o.commands:
		return decideStay
	case o.votes && o.indispensable:
		return decideDissolve
	case o.votes || o.voterSeen || o.opened:
		return decideStay
	}
	return decideQuit
}

// abandonEpoch leaves an epoch whose formation failed, if that is safe, and reports whether it
// did. It does nothing before the leader has been missing for long enough, or while the disk
// is stalled, since a leader may exist then.
func (g *Group) abandonEpoch(l *localReplica) bool {
	if !g.stalled || g.leaving || l.diskStalled {
		return false
	}
	switch g.abandonment(l).decide() {
	case decideQuit:
		g.quitEpoch("it has no leader, and this member has no vote in it")
		return true
	case decideDissolve:
		g.dissolve(l)
		return true
	}
	return false
}

// reviewEpoch checks after a change of the bonds whether this member must leave its epoch, and
// reports whether it did.
func (g *Group) reviewEpoch(l *localReplica) bool {
	g.reviewQuorum(l)
	return g.quitIfStranded(l) || g.continueAlone(l) || g.abandonEpoch(l)
}

// dissolve ends an epoch that cannot commit anything without this member's replica, by stopping
// the replica for good.
func (g *Group) dissolve(l *localReplica) {
	g.stopReplica(l)
	// Entries may have arrived before the replica stopped.
	if o := g.abandonment(l); o.decide() == decideDissolve {
		g.log.Info("dissolving an epoch that holds nothing and has no quorum", "epoch", l.epoch.String())
		g.endEpoch(l.epoch, 0)
	} else {
		g.log.Warn("epoch received entries while this member gave it up", "epoch", l.epoch.String())
	}
	g.startOver()
}

// abandonment collects what is known about the epoch, from the log and the peers. A log that cannot
// be read counts as one that holds commands.
func (g *Group) abandonment(l *localReplica) abandonment {
	o := abandonment{commandless: g.cfg.Commandless, votes: l.votes(), opened: l.opened, commands: l.AppliedIndex() > 0 || l.carryover != nil}
	g.notePeers(l, &o)
	if o.commands {
		return o
	}
	var err error
	if l.resumed && !o.votes {
		o.votes, err = engine.MayVote(g.cfg.Log, l.id)
	}
	if err == nil {
		o.indispensable, err = engine.Indispensable(g.cfg.Log, l.id)
	}
	if err == nil {
		err = g.scanLog(&o)
	}
	if err != nil {
		g.log.Error("reading the log failed", "error", err)
		o.commands = true
	}
	return o
}

// notePeers adds what the bonded peers of the epoch announced.
func (g *Group) notePeers(l *localReplica, o *abandonment) {
	for peer, a := range g.peers {
		if a.Epoch == l.epoch && peer != g.cfg.Self {
			o.voterSeen = o.voterSeen || a.Votes
			// If it vouches for the epoch, this member would join the same epoch again.
			o.opened = o.opened || a.Opened && a.Phase == CaughtUp
		}
	}
}

// scanLog adds what the proposals in the log show. If the beginning of the log was pruned, the
// epoch may have been opened there.
func (g *Group) scanLog(o *abandonment) error {
	state, err := g.cfg.Log.State()
	if err != nil {
		return err
	}
	letIn := state.Pruned.Index > 0
	for e, err := range engine.Proposals(g.cfg.Log, state.Last.Index) {
		if err != nil {
			return err
		}
		letIn = o.noteProposal(e.Data, letIn)
	}
	return nil
}

// noteProposal adds a proposal of the log. It returns whether the epoch accepts commands after it;
// letIn is the same before it. Commands before the open entry are rejected wherever they are
// applied. A proposal counts as a loss unless it is known to be none.
func (o *abandonment) noteProposal(proposal []byte, letIn bool) bool {
	e, err := format.Parse(proposal)
	switch {
	case err != nil:
		o.commands = true
	case e.Kind == format.KindOpen:
		o.opened = true
		return true
	case e.Kind == format.KindCommands:
		o.commands = o.commands || letIn
	case o.commandless && (e.Kind == format.KindAncestor || e.Kind == format.KindReplay || e.Kind == format.KindRestore):
	case e.Kind != format.KindSeal && e.Kind != format.KindLevel && e.Kind != format.KindSession:
		o.commands = true
	}
	return letIn
}
