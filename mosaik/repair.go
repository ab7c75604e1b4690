package mosaik

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
)

// Recover makes a group work again that has lost its quorum for good, from what this member
// has. It begins a new epoch with this member's state, in which this member is the only voter;
// all others join that. Commands are accepted at once, however many members are expected. The
// old epoch ends at every member of it that this one meets.
//
// The state is that of all commands in this member's log. It includes the last ones, which
// this member may not know to be committed: they may have been acknowledged. A call whose
// outcome is [Unknown] may take effect in this way.
//
// This is dangerous. Commands are lost that were acknowledged and that this member had not
// received. Members of the old epoch that are alive but cannot be reached continue it until
// they are met; a majority of them continues to acknowledge commands, which are all lost then.
// Call Recover on one member only, the one with the highest [Group.AppliedIndex], and only when
// the missing voters will not come back.
//
// A group that has a leader or may still elect one is [ErrPrecondition].
func (g *Group[C, M]) Recover(ctx context.Context) error {
	return g.change("recover", func(core *group.Group) error { return core.Recover(ctx) })
}

// Yield repairs an accident: two epochs of the group that formed independently, have met, and
// both hold commands ([consensus.Status].Diverged). It gives up this member's epoch, with all
// its commands, on all its members, which join the other epoch. Yield needs a quorum of this
// member's epoch, and returns when this member is online in the other one. If there is no other
// epoch, it does nothing and returns [ErrPrecondition].
func (g *Group[C, M]) Yield(ctx context.Context) error {
	return g.change("yield an epoch of", func(core *group.Group) error { return core.Yield(ctx) })
}

// Remove removes a member that will never come back: its process is gone, with its log. Until
// then such a voter counts for every quorum, see [consensus.Status].Ghosts. If there is a spare,
// the spare gets the vote first, so that the number of voters stays the same.
//
// Only the leader can remove members: other members get [ErrNotLeader]. The group must keep a
// quorum and the MinimumVoters of its [consensus.Policy] without the member, and the member must
// not be connected to the leader; otherwise the error is [ErrPrecondition] with the reason. A
// group that has lost its quorum cannot remove any member: see [Group.Recover]. Removing a peer
// that is no member does nothing. When ctx ends first, the outcome is [Unknown]; removing the
// member again is harmless.
//
// A process that comes back after it was removed joins as a new member. To keep it out, change
// the group's key ([GroupKey.Rotate]) or take back its tickets.
func (g *Group[C, M]) Remove(ctx context.Context, peer sm.PeerID) error {
	return g.change("remove a member of", func(core *group.Group) error { return core.Remove(ctx, peer) })
}

// change makes a call that changes the group and waits for it, which the machine's Apply must
// not do.
func (g *Group[C, M]) change(doing string, call func(*group.Group) error) error {
	core, err := g.core()
	if err != nil {
		return g.joined.failed(doing, NotApplied, err)
	}
	if err := core.CheckCaller(); err != nil {
		return g.joined.failed(doing, NotApplied, err)
	}
	if err := call(core); err != nil {
		return g.joined.changeFailed(doing, err)
	}
	return nil
}
