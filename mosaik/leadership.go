package mosaik

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
)

// Leadership returns this member's claim to lead. It is false if [Group.IsLeader] is, and
// while a new leader commits that its token is above the floor. [When.Leading] waits for it.
func (g *Group[C, M]) Leadership() (consensus.Leadership, bool) {
	return leadership(g.status(), g.joined.net.Self())
}

func leadership(s group.Status, self sm.PeerID) (consensus.Leadership, bool) {
	if !leads(s, self) || s.Token == 0 {
		return consensus.Leadership{}, false
	}
	return consensus.Leadership{Epoch: s.Epoch, Token: s.Token}, true
}

// IsLeader reports whether this member believes that it leads a group that accepts commands:
// one to which more than half of the expected members belong, if its [consensus.Policy] expects
// any. Another member may have been elected since, see [Group.Leadership].
// [consensus.Status].Leader names the leader, also of a group that is still forming.
func (g *Group[C, M]) IsLeader() bool { return leads(g.status(), g.joined.net.Self()) }

// leads reports whether the member may claim outside of the group to lead it. The leader of an
// epoch that accepts no commands yet may be one of several, and yields to any other.
func leads(s group.Status, self sm.PeerID) bool { return s.AcceptsCommands && s.Leader == self }

// TransferLeadership transfers the leadership to another voter, with the zero id to the
// best one, and waits until that voter leads. Only the leader can: other members get
// [ErrNotLeader]. A peer that does not vote, cannot be reached or lags is [ErrPrecondition].
// When ctx ends first, the outcome is [Unknown].
func (g *Group[C, M]) TransferLeadership(ctx context.Context, to sm.PeerID) error {
	return g.change("transfer leadership of", func(core *group.Group) error {
		return core.TransferLeadership(ctx, to)
	})
}
