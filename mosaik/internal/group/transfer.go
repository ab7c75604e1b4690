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
	// ErrCannotLead reports a peer that cannot become the leader: it is no voter, cannot be
	// reached, has not caught up, is leaving or is poisoned.
	ErrCannotLead = fmt.Errorf("%w: the peer cannot become the leader", ErrPrecondition)
)

// TransferLeadership transfers leadership to another voter and waits until that leads. The zero
// PeerID lets the group choose the voter.
func (g *Group) TransferLeadership(ctx context.Context, to sm.PeerID) error {
	for {
		changed := g.status.Changed()
		var l *localReplica
		var next successor
		err := g.ask(ctx, func() (err error) {
			l = g.local
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

// HandOverLeadership transfers leadership, if this member leads, to a voter of the group's choice.
// It takes no longer than an election would.
func (g *Group) HandOverLeadership(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timing.ElectionLimit)
	defer cancel()
	if err := g.TransferLeadership(ctx, sm.PeerID{}); !errors.Is(err, ErrNotLeader) {
		return err
	}
	return nil
}

// successor returns the next leader: the given peer, or for zero the best voter.
func (g *Group) successor(to sm.PeerID) (successor, error) {
	l := g.local
	if l == nil || !l.leads() {
		return successor{}, ErrNotLeader
	}
	if to == g.cfg.Self {
		return successor{peer: to}, nil
	}
	next, ok := g.reconciler().successor(func(peer sm.PeerID, _ Announcement) bool { return to.IsZero() || peer == to })
	if !ok {
		return next, ErrCannotLead
	}
	return next, nil
}

// successor is a voter that can become the next leader.
type successor struct {
	peer    sm.PeerID
	replica uint64
	// ready means that it would become the leader if it were asked now. Raft ignores the
	// request while it has not applied the last membership change.
	ready bool
}

// successor returns the first voter that fits and is ready, or else the first that fits.
func (s reconciler) successor(fits func(sm.PeerID, Announcement) bool) (best successor, ok bool) {
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
