package mosaik

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
)

// Leadership is this member's claim to lead.
type Leadership struct {
	Epoch Epoch
	// Token is the fencing token. It grows with each new leader of the group, also across
	// [Group.Recover], and also when all members ended and others form the group again. A
	// leader should send it with everything that it does outside of the group, and the
	// resource should refuse a token below the highest one that it has seen: a leader that
	// was replaced does not know it at once.
	//
	// A group that forms again starts with the time of its founder's clock, in microseconds.
	// Where clocks may be wrong, give the members the highest token that the resource has
	// seen: [GroupBuilder.WithTokenFloor]. Tokens of two epochs that formed independently
	// cannot be compared until the epochs have met and one was given up. Tokens fit into 53
	// bits as long as clocks are right.
	Token uint64
}

// Leadership returns this member's claim to lead. It is false if [Group.IsLeader] is, and
// while a new leader commits that its token is above the floor. [When.Leading] waits for it.
func (g *Group[C, M]) Leadership() (Leadership, bool) {
	return leadership(g.status(), g.joined.net.Self())
}

func leadership(s group.Status, self PeerID) (Leadership, bool) {
	if !leads(s, self) || s.Token == 0 {
		return Leadership{}, false
	}
	return Leadership{Epoch: s.Epoch, Token: s.Token}, true
}

// IsLeader reports whether this member believes that it leads a group that accepts commands:
// one to which more than half of the expected members belong, if its [Policy] expects any.
// Another member may have been elected since, see [Group.Leadership]. [Status].Leader names
// the leader, also of a group that is still forming.
func (g *Group[C, M]) IsLeader() bool { return leads(g.status(), g.joined.net.Self()) }

// leads reports whether the member may claim outside of the group to lead it. The leader of an
// epoch that accepts no commands yet may be one of several, and yields to any other.
func leads(s group.Status, self PeerID) bool { return s.Opened && s.Leader == self }

// TransferLeadership transfers the leadership to another voter, with the zero PeerID to the
// best one, and waits until that voter leads. Only the leader can: other members get
// [ErrNotLeader]. A peer that does not vote, cannot be reached or lags is [ErrPrecondition].
// When ctx ends first, the outcome is [Unknown].
func (g *Group[C, M]) TransferLeadership(ctx context.Context, to PeerID) error {
	return g.change("transfer leadership of", func(core *group.Group) error {
		return core.TransferLeadership(ctx, to)
	})
}
