package group

import (
	"context"
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrNotLeader reports a call that only the leader can carry out.
	ErrNotLeader = errors.New("this member does not lead the group")
	// ErrCannotLead reports a peer that cannot take the lead: it is no voter,
	// cannot be reached, has not caught up, leaves or is poisoned.
	ErrCannotLead = fmt.Errorf("%w: the peer cannot take over the leadership", ErrPrecondition)
)

// TransferLeadership hands the lead to another voter, the zero PeerID for
// whichever is best, and waits until that leads.
func (g *Group) TransferLeadership(ctx context.Context, to sm.PeerID) error {
	for {
		changed := g.status.Changed()
		var l *life
		var next successor
		err := g.ask(ctx, func() (err error) {
			l = g.life
			next, err = g.successor(to)
			return err
		})
		switch {
		case err != nil || next.peer == g.cfg.Self:
			return err
		case next.ready:
			if err := g.transfer(ctx, l, next.replica); err != nil {
				return err
			}
			_, err = g.status.Wait(ctx, func(s Status) bool { return s.Leader == next.peer })
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return watch.Cause(ctx)
		}
	}
}

// HandOn hands the lead, if this member has it, to whichever other is best, but
// takes no longer than the others would to elect one by themselves.
func (g *Group) HandOn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timing.ElectionLimit)
	defer cancel()
	if err := g.TransferLeadership(ctx, sm.PeerID{}); !errors.Is(err, ErrNotLeader) {
		return err
	}
	return nil
}

// successor finds who is to lead next: the given peer, or the best.
func (g *Group) successor(to sm.PeerID) (successor, error) {
	l := g.life
	if l == nil || !l.leads() {
		return successor{}, ErrNotLeader
	}
	if to == g.cfg.Self {
		return successor{peer: to}, nil
	}
	next, ok := g.steward().successor(func(peer sm.PeerID, _ Announcement) bool { return to.IsZero() || peer == to })
	if !ok {
		return next, ErrCannotLead
	}
	return next, nil
}

// successor is who is to lead next.
type successor struct {
	peer    sm.PeerID
	replica uint64
	// ready says that it would take the lead if it were asked now: Raft ignores
	// who asks one that has not applied the last membership change yet.
	ready bool
}

// successor returns the first voter that is ready to lead, otherwise the first
// that will be, among those that fit.
func (s steward) successor(fits func(sm.PeerID, Announcement) bool) (best successor, ok bool) {
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		replica := a.replica(peer)
		if _, votes := s.members.Voters[replica]; !votes || peer == s.self || !s.ready(a) || !fits(peer, a) {
			continue
		}
		if next := (successor{peer, replica, a.Change == s.members.ChangeID}); next.ready || !ok {
			best, ok = next, true
		}
		if best.ready {
			break
		}
	}
	return best, ok
}
