package mosaik

import (
	"context"
	"fmt"
)

// Leadership is this member's claim to lead.
type Leadership struct {
	Epoch Epoch
	// Token grows with each new leader of the group, also over [Group.Recover].
	// Whatever a leader does outside of the group should carry it, and whoever
	// is asked refuses a token lower than one that it has seen: a leader that
	// was replaced does not know it at once. Epochs that formed apart have
	// tokens that cannot be compared.
	Token uint64
}

// tokenTerms is how many bits of a token are the term; the rest is how many
// epochs this one continues.
const tokenTerms = 48

// Leadership returns this member's claim to lead. It is false if
// [Group.IsLeader] is.
func (g *Group[C, M]) Leadership() (Leadership, bool) {
	s := g.status()
	if !leads(s, g.joined.net.Self()) {
		return Leadership{}, false
	}
	return Leadership{Epoch: s.Epoch, Token: uint64(s.Recovered)<<tokenTerms | uint64(s.Term)}, true
}

// TransferLeadership lets the leader hand the lead to another voter, the zero
// PeerID for whichever is best, and waits until that leads. Only the leader can:
// others get [ErrNotLeader]. A peer that is no voter, or cannot be reached, or
// lags, is [ErrCannotLead]. When ctx ends first it is not known whether the lead
// goes over.
func (g *Group[C, M]) TransferLeadership(ctx context.Context, to PeerID) error {
	core, err := g.core()
	if err != nil {
		return err
	}
	if err := core.TransferLeadership(ctx, to); err != nil {
		return fmt.Errorf("mosaik: transfer leadership of group %s: %w", g.ID().Short(), err)
	}
	return nil
}

// Recover makes a group that has lost its quorum for good work again, from what
// this member has. It makes a new epoch that begins with this member's state and
// in which it is the only voter; everybody else joins that. Commands are accepted
// at once, however many members are expected. The old epoch ends wherever a
// member of it is met.
//
// The state is that of all commands in this member's log. It includes the last
// ones, of which this member may not have heard that they were committed: they
// may have been acknowledged. A call whose outcome is unknown may take effect so.
//
// This is dangerous. Commands that were acknowledged and that this member had
// not received are lost. Members of the old epoch that are alive but cannot be
// reached go on with it until they are met; if they are a majority they go on
// acknowledging commands, all of which are lost then. Call it on one member
// only, the one with the highest [Group.Committed], and only when the voters
// that are missing will not come back.
//
// A group that has a leader or may still elect one is [ErrNotStalled].
func (g *Group[C, M]) Recover(ctx context.Context) error {
	core, err := g.core()
	if err != nil {
		return err
	}
	if err := core.CheckCaller(); err != nil {
		return fmt.Errorf("mosaik: recover group %s: %w", g.ID().Short(), err)
	}
	return core.Recover(ctx)
}

// Yield ends an accident: two epochs of the group that formed apart, have met
// and hold commands both ([Status].Apart). It gives up this member's epoch, with
// all its commands, on all its members; they join the other one. It needs a
// quorum of this member's epoch, and returns when this member is online in the
// other. If there is no other epoch it does nothing but return [ErrNotApart].
func (g *Group[C, M]) Yield(ctx context.Context) error {
	core, err := g.core()
	if err != nil {
		return err
	}
	if err := core.CheckCaller(); err != nil {
		return fmt.Errorf("mosaik: yield an epoch of group %s: %w", g.ID().Short(), err)
	}
	return core.Yield(ctx)
}
