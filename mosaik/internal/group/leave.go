package group

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// ErrNotStopped reports a group that was left or closed while something that it
// started still runs: an Apply or a query of the machine, or the disk of the log,
// does not return. The rest ends when that returns.
var ErrNotStopped = errors.New("part of the group is still running")

// errUnconfirmed reports a leader that did not say that it removed a member.
var errUnconfirmed = errors.New("the leader did not answer")

const (
	// stopTime bounds how long leaving and closing wait, at their end, for what the
	// group started. It takes milliseconds unless something does not return.
	stopTime = 5 * time.Second
	// goodbyeTime bounds how long a replica has to stop before the bonds end
	// without a goodbye.
	goodbyeTime = 3 * time.Second
)

// farewell is how leaving ended.
type farewell struct {
	done bool
	err  error // why the group did not let the member go
}

// leave is how far leaving is.
type leave struct {
	since  time.Time
	change uint64 // the last membership change that was seen
	leader uint64 // the last leader that was seen, 0 for none
}

// Leave ends the member's part in an orderly way: a leader hands on the lead,
// the group removes the member and confirms it. It returns no later than stopTime
// after its context has ended, or it is plain that nobody will confirm. An error
// says that the group was not seen to confirm, one that is [ErrNotStopped] that
// the part has not ended yet; [Group.Done] tells when it has.
func (g *Group) Leave(ctx context.Context) error {
	begun := make(chan struct{})
	g.inbox.post(func() { g.beginToLeave(); close(begun) })
	var bye farewell
	err := g.await(ctx, begun)
	if err == nil {
		bye, err = g.left.Wait(ctx, func(f farewell) bool { return f.done })
	}
	stopped := g.Close()
	if err = cmp.Or(err, bye.err); err != nil {
		err = fmt.Errorf("the group did not confirm: %w", err)
	}
	return errors.Join(err, stopped)
}

// await waits for the loop, which an Apply that does not return may keep from
// taking anything up.
func (g *Group) await(ctx context.Context, begun <-chan struct{}) error {
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-begun:
	case <-g.done:
	case <-ctx.Done():
		return watch.Cause(ctx)
	case <-timer.C:
		return errUnconfirmed
	}
	return nil
}

// Close ends the member's part at once, without a word to the others, and waits
// until everything it started has ended, but no longer than stopTime: then it
// returns [ErrNotStopped], and [Group.Done] tells when it has.
func (g *Group) Close() error {
	g.inbox.post(func() { g.end(ErrClosed) })
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-g.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w after %v: an Apply or a query of its machine, or the disk of its log, does not return", ErrNotStopped, stopTime)
	}
}

// Done returns a channel that is closed when everything that the group started
// has ended.
func (g *Group) Done() <-chan struct{} { return g.done }

// beginToLeave starts leaving, in the loop.
func (g *Group) beginToLeave() {
	if g.leaving {
		return
	}
	g.leaving = true
	l := g.life
	if l == nil {
		g.left.Set(farewell{done: true})
		return
	}
	g.leave = leave{since: time.Now(), change: l.members.ChangeID, leader: l.leader}
	g.timers.set("leave", g.leaveTime(), func() { g.reviewLeave(l) })
	g.announce()
	g.reconcile()
}

// leaveTime is how long a group that does not change is waited for.
func (g *Group) leaveTime() time.Duration {
	return 2*g.cfg.Timing.ElectionLimit + g.cfg.Timing.step()
}

// letGo ends leaving where it is plain how it ends, and reports whether it did.
func (g *Group) letGo(l *life) bool {
	var err error
	switch {
	case g.alone(l):
	case l.level && g.steward().kept():
		err = ErrVoteNeeded
	case g.stalled:
		err = ErrStalled
	default:
		return false
	}
	g.left.Set(farewell{done: true, err: err})
	return true
}

// reviewLeave ends leaving when nothing has come of it for long enough: this
// member may see others than the leader does, and those whom it waits for may
// never come so far.
func (g *Group) reviewLeave(l *life) {
	if g.life != l {
		return
	}
	hope := g.leave.change != l.members.ChangeID
	if time.Since(g.leave.since) < g.cfg.Policy.Grace {
		// A leader that leaves hands the lead on first, and its successor removes it.
		hope = hope || l.votes() && g.steward().replaceable() || g.leave.leader != l.leader
	}
	if hope {
		g.leave.change, g.leave.leader = l.members.ChangeID, l.leader
		g.timers.set("leave", g.leaveTime(), func() { g.reviewLeave(l) })
		return
	}
	err := errUnconfirmed
	switch {
	case l.leader == 0:
		err = ErrStalled
	case l.votes():
		err = ErrVoteNeeded
	}
	g.left.Set(farewell{done: true, err: err})
}

// stopLast stops the replica of the last life, and returns a channel that is
// closed when it has stopped. Where its log is forgotten and it stops soon, the
// others hear that it has ended for good.
func (g *Group) stopLast() <-chan struct{} {
	stopped := make(chan struct{})
	l := g.life
	if l == nil {
		close(stopped)
		return stopped
	}
	go func() {
		defer close(stopped)
		g.stopReplica(l)
	}()
	if !g.leaving || g.Durable() {
		return stopped
	}
	timer := time.NewTimer(goodbyeTime)
	defer timer.Stop()
	select {
	case <-stopped:
		g.sayGoodbye(l)
	case <-timer.C:
	}
	return stopped
}

// removeLeaving removes members that asked for it. A voter's place goes to a
// spare first where there is one. Without a spare it is let go only if that
// leaves the floor, and a quorum among those who can be reached; a dead voter
// goes first if that helps.
func (s steward) removeLeaving() change {
	for _, peer := range sortedPeers(s.peers) {
		a := s.peers[peer]
		if a.Phase != Leaving || a.Epoch != s.epoch || peer == s.self {
			continue
		}
		replica := a.replica(peer)
		if _, ok := s.members.NonVoting[replica]; ok {
			return change{kind: changeRemove, replica: replica, peer: peer, why: "it leaves"}
		}
		if _, ok := s.members.Voters[replica]; !ok {
			continue
		}
		if spare, ok := s.spare(); ok && len(s.members.Voters)%2 == 1 {
			spare.why = "takes the place of a voter that leaves"
			return spare
		}
		if len(s.members.Voters) > s.floor() && s.quorumWithout(peer) {
			return change{kind: changeRemove, replica: replica, peer: peer, why: "it leaves"}
		}
		if dead, ok := s.deadBefore(peer); ok {
			return dead
		}
	}
	return change{}
}

// deadBefore returns the removal of a dead voter, if the peer's vote can be spared
// then.
func (s steward) deadBefore(peer sm.PeerID) (change, bool) {
	left := len(s.members.Voters) - 2
	if left < s.floor() || s.reachable(peer) <= left/2 {
		return change{}, false
	}
	for _, replica := range sortedReplicas(s.members.Voters) {
		if voter := s.members.Voters[replica]; s.dead(replica, voter) {
			return change{kind: changeRemove, replica: replica, peer: voter, why: "it is gone, and another voter leaves"}, true
		}
	}
	return change{}, false
}

// kept reports whether it is plain that the group will not let this member, which
// wants to leave, go: it needs its vote, and nobody who is here could take its
// place. A voter that is missed may be back, for all that is plain.
func (s steward) kept() bool {
	if _, votes := s.members.Voters[s.peers[s.self].replica(s.self)]; !votes || s.replaceable() {
		return false
	}
	if len(s.members.Voters) <= s.floor() {
		return true
	}
	_, helps := s.deadBefore(s.self)
	return !helps && !s.quorumWithout(s.self) && !s.missesSome()
}

// replaceable reports whether a member that is here may come to take this one's
// vote.
func (s steward) replaceable() bool {
	for peer, a := range s.peers {
		if _, votes := s.members.Voters[a.replica(peer)]; !votes && !a.Role.Observer && a.Phase != Leaving && !a.Poisoned {
			return true
		}
	}
	return false
}

// missesSome reports whether a voter has no bond that may not be dead.
func (s steward) missesSome() bool {
	for replica, peer := range s.members.Voters {
		if _, bonded := s.peers[peer]; !bonded && !s.dead(replica, peer) {
			return true
		}
	}
	return false
}
