package mosaik

import (
	"context"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
)

// Group is a handle on a group that this process has joined, whose machine is M with commands
// of type C. Its methods may be called from any goroutine. Close it with [Group.Leave].
type Group[C any, M sm.StateMachine[C]] struct {
	joined *joined
	levels levels[C]
	handle *handle
}

func newGroup[C any, M sm.StateMachine[C]](j *joined, spec sm.Spec[C]) *Group[C, M] {
	return &Group[C, M]{joined: j, levels: levelsOf(spec), handle: openHandle()}
}

// core returns the running group, or ErrClosed if the handle was closed.
func (g *Group[C, M]) core() (*group.Group, error) {
	if g.handle.closed.Load() {
		return nil, ErrClosed
	}
	return g.joined.core, nil
}

// status returns what this member knows, and nothing else than that if the handle was closed.
func (g *Group[C, M]) status() group.Status {
	if g.handle.closed.Load() {
		return group.Status{Status: consensus.Status{Ended: ErrClosed, Waits: "nothing: this handle was closed"}}
	}
	return g.joined.core.Status().Get()
}

// ID returns the group's id. It is derived from everything that the members must agree on: the
// key, the heartbeat settings of the [consensus.Config], the machine, the way state is
// synchronised, and the ticket validators in their order. Members that differ in one of them are
// in different groups. A group id is public on its network. The key cannot be derived from it
// unless the key can be guessed.
func (g *Group[C, M]) ID() sm.Digest { return g.joined.id }

// Config returns the consensus configuration in force: the builder's, the machine's, or the
// default.
func (g *Group[C, M]) Config() consensus.Config { return g.joined.consensus }

// AppliedIndex returns the index of the last command that this member has applied, 0 before
// the first. It never goes backwards while the member stays in the group's epoch.
// [When.Applied] waits for one.
func (g *Group[C, M]) AppliedIndex() sm.Index { return g.joined.core.AppliedIndex().Get() }

// Bonds returns the live bonds, in the order of the peers' ids. There are bonds before the
// group has formed, and with peers that are not members yet. [When.Until] wakes when one
// begins or ends.
func (g *Group[C, M]) Bonds() []consensus.Bond {
	known := g.status().Bonds // only those, so that Until wakes for each change of the result
	var bonds []consensus.Bond
	for _, b := range g.joined.core.Bonds() {
		if slices.Contains(known, b.Peer) {
			bonds = append(bonds, consensus.Bond{Peer: b.Peer, Since: b.Since, RTT: b.RTT})
		}
	}
	return bonds
}

// When returns the events of the group that can be waited for.
func (g *Group[C, M]) When() When { return When{g.joined, g.handle} }

// Leave closes the handle: every later call on it returns [ErrClosed], and so do its waits.
// Leaving with the last handle takes the member out of the group: a leader transfers its
// leadership, the other members remove this one and confirm it. Leave waits for that until ctx
// ends, or until it is certain that they will not: [ErrVoteNeeded], or [ErrStalled] in a group
// without a quorum. It does not wait longer than about two elections and an attempt of a command
// for a leader that does not answer. The member has left in any case. An error reports that the
// others did not confirm; they then treat the member like a crashed one. [ErrNotStopped] reports
// that part of it is still running.
//
// A log on disk is emptied when the others have confirmed. It is kept when there are no other
// members or they did not confirm. To stop and come back as the same member, close the network
// instead.
//
// Leaving twice does nothing. The machine's Apply cannot leave: that is [ErrInvalid].
func (g *Group[C, M]) Leave(ctx context.Context) error {
	if err := g.joined.core.CheckCaller(); err != nil {
		return g.joined.failed("leave", NotApplied, err)
	}
	if !g.handle.close() {
		return nil
	}
	g.joined.core.WakeFollowers()
	if err := g.joined.release(ctx); err != nil {
		return g.joined.failed("leave", Applied, err)
	}
	return nil
}
