package mosaik

import (
	"context"
	"fmt"
)

// Remove takes a member that will never come back out of the group: its process is
// gone, with its log. Until then such a voter counts for every quorum, see
// [Status].Ghosts. If there is a spare, it gets the vote first, so that the number
// of voters stays the same.
//
// Only the leader can remove: others get [ErrNotLeader]. The group must keep a
// quorum and [Policy.MinimumVoters] without the member, and the member must not be
// connected to the leader; otherwise the error is [ErrCannotRemove] and says what
// stands against it. A group that has lost its quorum can remove nobody: see
// [Group.Recover]. A peer that is no member is nothing to remove, and no error. When
// ctx ends first, it is not known whether the member was removed; removing it again
// does no harm.
//
// A process that comes back after it was removed joins as a new member. To keep it
// out, change the group's key ([GroupKey.Rotate]) or take back its tickets.
func (g *Group[C, M]) Remove(ctx context.Context, peer PeerID) error {
	core, err := g.core()
	if err != nil {
		return err
	}
	if err := core.Remove(ctx, peer); err != nil {
		return fmt.Errorf("mosaik: remove a member of group %s: %w", g.ID().Short(), err)
	}
	return nil
}
