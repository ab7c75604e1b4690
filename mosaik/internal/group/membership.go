package group

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// reconciler returns what this member knows of its epoch, itself included.
func (g *Group) reconciler() reconciler {
	l := g.local
	peers := maps.Clone(g.peers)
	peers[g.cfg.Self] = g.announcement()
	s := reconciler{
		now: time.Now(), self: g.cfg.Self,
		opened: l.opened, empty: l.AppliedIndex() == 0, level: l.state.Level(), supportedLevel: g.cfg.Level, epoch: l.epoch,
		policy: g.cfg.Policy, members: l.members, peers: peers, lastSeen: g.lastSeen, gone: g.gone(l),
		token: g.token(l), tokenFloor: g.cfg.TokenFloor, tokenLimit: g.tokenLimit(l),
	}
	switch {
	case g.leaving:
		s.stepDownReason = "the leader leaves"
	case l.poisoned != nil:
		s.stepDownReason = "the leader's machine panicked"
	case g.cfg.Role.Observer:
		s.stepDownReason = "the leader is an observer"
	}
	return s
}

// reconcile makes the next change to the membership, if this member leads and no change is in
// flight.
func (g *Group) reconcile() {
	l := g.local
	if l == nil {
		return
	}
	g.noteMissing(l)
	g.probeVoters(l)
	if g.leaving && g.finishLeaving(l) {
		return
	}
	if !l.leads() {
		g.refuseRemovals(ErrNotLeader)
	}
	if !l.leads() || !l.inSync || l.membersTerm != l.term || l.changing || l.reading {
		return // the read or change in flight ends in another call
	}
	if l.carryover != nil {
		g.proposeCarryover(l) // before any other member is added
		return
	}
	g.notifyRemoved(l)
	c := g.nextChange(l)
	if c.kind == changeNone {
		g.timers.clear("grace")
		if c.wait > 0 {
			g.timers.set("grace", c.wait, g.reconcile)
		}
		return
	}
	if c.kind == changeOpen {
		c.tokenBase = g.tokenBase(l)
	}
	g.log.Info("membership change", "change", c.String())
	l.changing = true
	id := l.members.ChangeID
	g.work(func() {
		ctx, cancel := l.withTimeout(g.cfg.Timing.step())
		defer cancel()
		err := g.makeChange(ctx, l, id, c)
		g.inbox.post(func() { g.changeDone(l, c, err) })
	})
}

// noteMissing starts the grace of members that never had a bond with this one.
func (g *Group) noteMissing(l *localReplica) {
	for _, m := range []map[uint64]sm.PeerID{l.members.Voters, l.members.NonVoting} {
		for _, peer := range m {
			_, bonded := g.peers[peer]
			if _, seen := g.lastSeen[peer]; !bonded && !seen && peer != g.cfg.Self {
				g.lastSeen[peer] = time.Now()
			}
		}
	}
}

// notifyRemoved informs members whose replica was removed, because Raft may not.
func (g *Group) notifyRemoved(l *localReplica) {
	for peer, a := range g.peers {
		if a.Epoch != l.epoch {
			continue
		}
		if _, gone := l.members.Removed[a.replica(peer)]; gone {
			g.sendRemoved(peer, l.epoch, a.replica(peer))
		}
	}
}

// isOnlyMember reports whether this member is the only one of its epoch.
func (g *Group) isOnlyMember(l *localReplica) bool {
	if len(l.members.Voters) != 1 || len(l.members.NonVoting) != 0 {
		return false
	}
	_, voter := l.members.Voters[l.id]
	return voter
}

// makeChange makes the change through Raft, in a worker. id is that of the last change.
func (g *Group) makeChange(ctx context.Context, l *localReplica, id uint64, c change) error {
	switch c.kind {
	case changeRemove:
		return l.replica.Remove(ctx, id, c.replica)
	case changeAdd:
		return l.replica.AddNonVoting(ctx, id, c.replica, c.peer)
	case changePromote:
		return l.replica.Promote(ctx, id, c.replica, c.peer)
	case changeTransfer:
		return g.transfer(ctx, l, c.replica)
	case changeRaise:
		return g.proposeInternal(ctx, l, format.Header{Kind: format.KindLevel, Level: c.level})
	case changeOpen:
		return g.proposeInternal(ctx, l, format.Header{Kind: format.KindOpen, Sequence: c.tokenBase})
	case changeSeal:
		return g.proposeInternal(ctx, l, format.Header{Kind: format.KindSeal})
	}
	return nil
}

// proposeInternal commits an internal entry, which holds no commands.
func (g *Group) proposeInternal(ctx context.Context, l *localReplica, mark format.Header) error {
	mark.Time = time.Now().UnixNano()
	return l.replica.Propose(ctx, format.Append(nil, &format.Envelope{Header: mark}))
}

// transfer transfers leadership to the replica and waits until this member no longer leads. Raft
// ignores the request while the target is behind, so transfer repeats it.
func (g *Group) transfer(ctx context.Context, l *localReplica, to uint64) error {
	for {
		if err := l.replica.TransferLeadership(to); err != nil && !errors.Is(err, engine.ErrBusy) {
			return err
		}
		try, cancel := context.WithTimeout(ctx, g.cfg.Timing.ElectionTimeout)
		_, err := g.status.Wait(try, func(s Status) bool { return s.Leader != g.cfg.Self })
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// changeDone handles the result of a change.
func (g *Group) changeDone(l *localReplica, c change, err error) {
	if g.local != l {
		return
	}
	l.changing = false
	switch {
	case err == nil && c.kind == changeRemove:
		g.sendRemoved(c.peer, l.epoch, c.replica)
	case errors.Is(err, engine.ErrRejected), errors.Is(err, engine.ErrBusy):
		g.log.Debug("membership change refused", "change", c.String(), "error", err)
	case err != nil:
		g.log.Info("membership change not confirmed", "change", c.String(), "error", err)
	}
	if err == nil {
		g.readMembership(l)
		return
	}
	g.timers.set("change", retryPause, func() {
		if g.local == l {
			g.readMembership(l)
		}
	})
}

// readMembership reads the membership through the leader. A result also shows that this replica
// has caught up with the leader. One worker reads at a time.
func (g *Group) readMembership(l *localReplica) {
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

func (g *Group) membershipRead(l *localReplica, term sm.Term, members engine.Membership, err error) {
	if g.local != l {
		return
	}
	l.reading = false
	switch {
	case l.readAgain || err == nil && term != l.term:
		g.readMembership(l)
	case err != nil && l.leader != 0:
		g.timers.set("read membership", retryPause, func() {
			if g.local == l {
				g.readMembership(l)
			}
		})
	}
	if err != nil {
		g.log.Debug("reading the membership failed", "error", err)
		return
	}
	known := l.members.ChangeID
	l.members, l.membersTerm = members, term
	if members.ChangeID != known {
		g.announce()
	}
	if _, gone := members.Removed[l.id]; gone {
		g.replicaRemoved(l.epoch, l.id)
		return
	}
	g.pruneRemotes(l)
	g.reviewLeader(l)
	if l.leader != 0 && term == l.term {
		l.inSync = true
		if !l.caughtUp {
			l.caughtUp = true
			g.announce()
		}
	}
	g.reconcile()
}

// retryPause is the pause after a request that failed at once.
const retryPause = 50 * time.Millisecond
