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

// steward returns what this member sees of its epoch, itself included.
func (g *Group) steward() steward {
	l := g.life
	peers := maps.Clone(g.peers)
	peers[g.cfg.Self] = g.announcement()
	s := steward{
		now: time.Now(), self: g.cfg.Self,
		opened: l.opened, empty: l.count() == 0, level: l.state.Level(), supports: g.cfg.Level, epoch: l.epoch,
		policy: g.cfg.Policy, members: l.members, peers: peers, lastSeen: g.lastSeen, gone: g.gone(l),
		token: g.token(l), tokenFloor: g.cfg.TokenFloor, tokenLimit: g.tokenLimit(l),
	}
	switch {
	case g.leaving:
		s.resigns = "the leader leaves"
	case l.poisoned != nil:
		s.resigns = "the leader's machine panicked"
	case g.cfg.Role.Observer:
		s.resigns = "the leader is an observer"
	}
	return s
}

// reconcile makes the next change to the membership, if this member leads and
// none is under way.
func (g *Group) reconcile() {
	l := g.life
	if l == nil {
		return
	}
	g.noteMissing(l)
	g.investigate(l)
	if g.leaving && g.letGo(l) {
		return
	}
	if !l.leads() {
		g.refuseRemovals(ErrNotLeader)
	}
	if !l.leads() || !l.level || l.seenTerm != l.term || l.changing || l.reading {
		return // what is under way ends in another look
	}
	if l.estate != nil {
		g.bequeath(l) // before anybody else counts
		return
	}
	g.tellRemoved(l)
	c := g.nextChange(l)
	if c.kind == changeNone {
		g.timers.clear("grace")
		if c.wait > 0 {
			g.timers.set("grace", c.wait, g.reconcile)
		}
		return
	}
	if c.kind == changeOpen {
		c.tokens = g.tokenBase(l)
	}
	g.log.Info("membership change", "change", c.String())
	l.changing = true
	id := l.members.ChangeID
	g.work(func() {
		ctx, cancel := l.withTimeout(g.cfg.Timing.step())
		defer cancel()
		err := g.carryOut(ctx, l, id, c)
		g.inbox.post(func() { g.changed(l, c, err) })
	})
}

// noteMissing starts the grace of members that this one never had a bond with.
func (g *Group) noteMissing(l *life) {
	for _, m := range []map[uint64]sm.PeerID{l.members.Voters, l.members.NonVoting} {
		for _, peer := range m {
			_, bonded := g.peers[peer]
			if _, seen := g.lastSeen[peer]; !bonded && !seen && peer != g.cfg.Self {
				g.lastSeen[peer] = time.Now()
			}
		}
	}
}

// tellRemoved tells members whose replica was removed, since Raft may not.
func (g *Group) tellRemoved(l *life) {
	for peer, a := range g.peers {
		if a.Epoch != l.epoch {
			continue
		}
		if _, gone := l.members.Removed[a.replica(peer)]; gone {
			g.sendRemoved(peer, l.epoch, a.replica(peer))
		}
	}
}

// alone reports whether nobody else belongs to the epoch, so that there is
// nobody to leave.
func (g *Group) alone(l *life) bool {
	if len(l.members.Voters) != 1 || len(l.members.NonVoting) != 0 {
		return false
	}
	_, voter := l.members.Voters[l.id]
	return voter
}

// carryOut asks Raft for the change. It runs beside the loop.
func (g *Group) carryOut(ctx context.Context, l *life, id uint64, c change) error {
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
		return g.proposeMark(ctx, l, format.Header{Kind: format.KindLevel, Level: c.level})
	case changeOpen:
		return g.proposeMark(ctx, l, format.Header{Kind: format.KindOpen, Sequence: c.tokens})
	case changeSeal:
		return g.proposeMark(ctx, l, format.Header{Kind: format.KindSeal})
	}
	return nil
}

// proposeMark commits an entry of ours that carries no commands.
func (g *Group) proposeMark(ctx context.Context, l *life, mark format.Header) error {
	mark.Time = time.Now().UnixNano()
	return l.replica.Propose(ctx, format.Append(nil, &format.Envelope{Header: mark}))
}

// transfer hands leadership to the replica and waits until it is gone. The
// request is lost when the target lags, so it is made again.
func (g *Group) transfer(ctx context.Context, l *life, to uint64) error {
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

// changed takes into account how a change went, and looks again.
func (g *Group) changed(l *life, c change, err error) {
	if g.life != l {
		return
	}
	l.changing = false
	switch {
	case err == nil && c.kind == changeRemove:
		g.sendRemoved(c.peer, l.epoch, c.replica)
	case errors.Is(err, engine.ErrRejected), errors.Is(err, engine.ErrBusy):
		g.log.Debug("the change was refused", "change", c.String(), "error", err)
	case err != nil:
		g.log.Info("the change is not confirmed", "change", c.String(), "error", err)
	}
	if err == nil {
		g.readMembership(l)
		return
	}
	g.timers.set("change", retryPause, func() {
		if g.life == l {
			g.readMembership(l)
		}
	})
}
