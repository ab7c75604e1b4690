package mosaik

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
)

// Group is a handle on a group that this process has joined, whose machine is M
// with commands of type C. Its methods may be called from any goroutine. Close
// it with [Group.Leave].
type Group[C any, M sm.StateMachine[C]] struct {
	joined *joined
	levels levels[C]
	closed *atomic.Bool
}

func newHandle[C any, M sm.StateMachine[C]](j *joined, spec sm.Spec[C]) *Group[C, M] {
	return &Group[C, M]{joined: j, levels: levelsOf(spec), closed: new(atomic.Bool)}
}

// core returns the running group, or ErrClosed once the handle was closed.
func (g *Group[C, M]) core() (*group.Group, error) {
	if g.closed.Load() {
		return nil, ErrClosed
	}
	return g.joined.core, nil
}

// status returns what this member knows, and only that once the handle was closed.
func (g *Group[C, M]) status() group.Status {
	if g.closed.Load() {
		return group.Status{Ended: ErrClosed, Waits: "nothing: this handle was closed"}
	}
	return g.joined.core.Status().Get()
}

// ID returns the group's id.
func (g *Group[C, M]) ID() GroupID { return g.joined.id }

// Config returns the consensus configuration in force: the builder's, the
// machine's, or the default.
func (g *Group[C, M]) Config() ConsensusConfig { return g.joined.consensus }

// Leader returns the leader that this member knows of, and whether there is one. It
// may lead a group that still forms.
func (g *Group[C, M]) Leader() (PeerID, bool) {
	leader := g.status().Leader
	return leader, !leader.IsZero()
}

// IsLeader reports whether this member believes that it leads a group that
// accepts commands: with [Policy].Expected, one to which more than half of
// the expected members belong. Another may have been elected since, see
// [Group.Leadership].
func (g *Group[C, M]) IsLeader() bool {
	return leads(g.status(), g.joined.net.Self())
}

// leads reports whether the member leads for the world outside. The leader of an
// epoch that lets no commands in yet may be one of several, and yields to any.
func leads(s group.Status, self PeerID) bool {
	return s.Opened && s.Leader == self
}

// Committed returns the index of the last command that this member has applied,
// 0 before the first. It never goes backwards while the member stays in the
// group's epoch.
func (g *Group[C, M]) Committed() sm.Index { return g.joined.core.Applied().Get() }

// Bond is a live, authenticated connection to another member of the group.
type Bond struct {
	Peer  PeerID
	Since time.Time
	// RTT is the last measured round-trip time, 0 before the first.
	RTT time.Duration
}

// Bonds returns the live bonds, in the order of the peers' ids.
func (g *Group[C, M]) Bonds() []Bond {
	if g.closed.Load() {
		return nil
	}
	infos := g.joined.core.Bonds()
	bonds := make([]Bond, len(infos))
	for i, b := range infos {
		bonds[i] = Bond{Peer: b.Peer, Since: b.Since, RTT: b.RTT}
	}
	return bonds
}

// When returns the events of the group that can be waited for.
func (g *Group[C, M]) When() When { return When{g.joined, g.closed} }

// Leave closes the handle: every later call on it returns [ErrClosed]. The last
// handle of a group takes the member out: a leader hands on the lead, the
// others remove the member and confirm it. Leave waits for that until ctx ends,
// or until it is plain that they will not: [ErrVoteNeeded], or [ErrStalled] in a
// group without a quorum. Afterwards the member is out in any case; an error says
// that the others did not confirm, and will miss it as they would after a crash.
//
// A log on disk is emptied when the others have confirmed, and kept when there is
// nobody else or they did not. To stop and come back as the same member, close
// the network instead.
//
// Leaving twice does nothing. The machine's Apply cannot leave: that is [ErrInApply].
func (g *Group[C, M]) Leave(ctx context.Context) error {
	if err := g.joined.core.CheckCaller(); err != nil {
		return fmt.Errorf("mosaik: leave group %s: %w", g.joined.id.Short(), err)
	}
	if g.closed.Swap(true) {
		return nil
	}
	g.joined.core.WakeFollowers()
	return g.joined.release(ctx)
}
