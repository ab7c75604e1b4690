package group

import (
	"context"
	"errors"

	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrNotLeader reports a call that only the leader can carry out.
	ErrNotLeader = errors.New("mosaik: this member does not lead the group")
	// ErrCannotLead reports a peer that cannot take the lead: it is no voter,
	// cannot be reached, has not caught up, leaves or is poisoned.
	ErrCannotLead = errors.New("mosaik: the peer cannot take the lead")
)

// TransferLeadership hands the lead to another voter, the zero PeerID for
// whichever is best, and waits until that leads.
func (g *Group) TransferLeadership(ctx context.Context, to sm.PeerID) error {
	var l *life
	var replica uint64
	err := g.ask(ctx, func() error {
		if l = g.life; l == nil || !l.leads() {
			return ErrNotLeader
		}
		if to == g.cfg.Self {
			return nil
		}
		s := g.steward()
		for _, peer := range sortedPeers(s.peers) {
			a := s.peers[peer]
			_, votes := s.members.Voters[a.replica(peer)]
			if votes && peer != s.self && s.ready(a) && (to.IsZero() || peer == to) {
				to, replica = peer, a.replica(peer)
				return nil
			}
		}
		return ErrCannotLead
	})
	if err != nil || replica == 0 {
		return err
	}
	if err := g.transfer(ctx, l, replica); err != nil {
		return err
	}
	_, err = g.status.Wait(ctx, func(s Status) bool { return s.Leader == to })
	return err
}
