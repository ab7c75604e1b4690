package group

import (
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// outlook is what a member knows about an epoch that has had no leader for
// longer than elections take.
type outlook struct {
	votes         bool // this member knows that it is a voter
	voterSeen     bool // another voter of the epoch can be reached
	opened        bool // the log here, or a member that caught up, says that commands were let in
	commands      bool // the log here holds commands, or what another epoch left, or that is still to be taken over
	commandless   bool // the machine has no commands, so that what another epoch left is nothing
	indispensable bool // nothing was or will be committed that is not in the log here
}

// verdict is what such a member does.
type verdict uint8

const (
	stay     verdict = iota // others, or nobody, can help
	depart                  // give up a place that means nothing: seek again
	dissolve                // the epoch holds nothing and never will: end it for all
)

// verdict decides so that no acknowledged command can get lost and no second
// epoch can open beside one that did. Who votes was counted on, and may end the
// epoch only if all there is, or ever can be, is what it has itself, and that is
// nothing. Who does not vote is free, but has no reason to go while a voter is
// here or once commands were let in.
func (o outlook) verdict() verdict {
	switch {
	case o.commands:
		return stay
	case o.votes && o.indispensable:
		return dissolve
	case o.votes || o.voterSeen || o.opened:
		return stay
	}
	return depart
}

// forsaken ends a life in an epoch whose formation failed, as far as that is
// safe: its leader went away before there was anything to lose. It does nothing
// before the leader has been missed for long enough, and while the log hangs:
// there may well be a leader then.
func (g *Group) forsaken(l *life) bool {
	if !g.stalled || g.leaving || l.hangs {
		return false
	}
	switch g.outlook(l).verdict() {
	case depart:
		g.exit("its leader is gone, and this member has no vote")
		return true
	case dissolve:
		g.dissolve(l)
		return true
	}
	return false
}

// hopeless looks at the bonds, which have changed, and ends a life that leads
// nowhere.
func (g *Group) hopeless(l *life) bool {
	g.reviewQuorum(l)
	return g.stranded(l) || g.continueAlone(l) || g.forsaken(l)
}

// dissolve ends an epoch that can never commit anything without this member's
// replica, by stopping that for good.
func (g *Group) dissolve(l *life) {
	g.stopReplica(l)
	// Entries may have arrived until it stopped.
	if o := g.outlook(l); o.verdict() == dissolve {
		g.log.Info("dissolving an epoch that holds nothing and has no quorum", "epoch", l.epoch.String())
		g.conclude(l.epoch, 0)
	} else {
		g.log.Warn("an epoch came back while this member gave it up", "epoch", l.epoch.String())
	}
	g.beginAnew()
}

// outlook reads the log for what the epoch may hold. What cannot be read counts
// as something to lose.
func (g *Group) outlook(l *life) outlook {
	o := outlook{commandless: g.cfg.Commandless, votes: l.votes(), opened: l.opened, commands: l.count() > 0 || l.estate != nil}
	g.lookAround(l, &o)
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
		err = g.survey(&o)
	}
	if err != nil {
		g.log.Error("reading the log failed", "error", err)
		o.commands = true
	}
	return o
}

// lookAround takes into account what the bonded peers of the epoch say.
func (g *Group) lookAround(l *life, o *outlook) {
	for peer, a := range g.peers {
		if a.Epoch == l.epoch && peer != g.cfg.Self {
			o.voterSeen = o.voterSeen || a.Votes
			// To join again what it vouches for would lead here again.
			o.opened = o.opened || a.Opened && a.Phase == CaughtUp
		}
	}
}

// survey looks at the log's proposals. If the beginning was pruned, commands may
// have been let in there.
func (g *Group) survey(o *outlook) error {
	state, err := g.cfg.Log.State()
	if err != nil {
		return err
	}
	letIn := state.Pruned.Index > 0
	for e, err := range engine.Proposals(g.cfg.Log, state.Last.Index) {
		if err != nil {
			return err
		}
		letIn = o.see(e.Data, letIn)
	}
	return nil
}

// see takes a proposal of the log into account, and reports whether commands are
// let in behind it, as they may have been before. Those that came earlier are
// refused wherever they are applied. What is not known to be of no worth counts
// as something to lose.
func (o *outlook) see(proposal []byte, letIn bool) bool {
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
