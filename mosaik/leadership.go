package mosaik

import (
	"context"
	"fmt"
)

// Leadership is this member's claim to lead.
type Leadership struct {
	Epoch Epoch
	// Token is the fencing token: it grows with each new leader of the group, also
	// over [Group.Recover], and also when all members ended and others form the
	// group again. What a leader does outside of the group should carry it, and a
	// resource that is asked refuses a token lower than the highest that it has
	// seen: a leader that was replaced does not know it at once.
	//
	// A group that forms again starts with the time of its founder's clock, in
	// microseconds. Where clocks may be wrong, give the members the highest token
	// that the resource has seen, see [GroupBuilder.WithTokenFloor]. Two epochs that
	// formed apart have tokens that cannot be compared until they have met and one
	// was given up. Tokens fit into 53 bits as long as clocks are right.
	Token uint64
}

// Leadership returns this member's claim to lead. It is false if
// [Group.IsLeader] is, and for as long as it takes a leader to commit that its
// token is above the floor.
func (g *Group[C, M]) Leadership() (Leadership, bool) {
	s := g.status()
	if !leads(s, g.joined.net.Self()) || s.Token == 0 {
		return Leadership{}, false
	}
	return Leadership{Epoch: s.Epoch, Token: s.Token}, true
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
