package group

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// ErrNotStopped reports a group that was left or closed while something that it started still
// runs: an Apply or a query of the machine, or the disk of the log, does not return. The group
// ends once that returns.
var ErrNotStopped = errors.New("part of the group is still running")

// errUnconfirmed reports that the leader did not confirm a removal.
var errUnconfirmed = errors.New("the leader did not answer")

const (
	// stopTime is how long leaving and closing wait, at their end, for what the group started.
	// It takes milliseconds unless something does not return.
	stopTime = 5 * time.Second
	// goodbyeTime is how long a replica may take to stop before the bonds end without a
	// goodbye.
	goodbyeTime = 3 * time.Second
)

// leaveResult is the result of leaving, once done.
type leaveResult struct {
	begun bool
	done  bool
	err   error // why the group did not remove the member, nil if it did
}

// leaveProgress is how leaving has progressed.
type leaveProgress struct {
	since  time.Time
	change uint64 // id of the last membership change that was seen
	leader uint64 // id of the last leader that was seen, 0 for none
}

// Leave ends the member's part in an orderly way: a leader transfers leadership, and the group
// removes the member and confirms it. Leave returns at most stopTime after ctx has ended, or
// after it is certain that no confirmation will come. An error means that no confirmation was
// received. If it is also [ErrNotStopped], the part has not ended yet; [Group.Done] reports
// when it has.
func (g *Group) Leave(ctx context.Context) error {
	g.inbox.postLatest(keyLeave, g.startLeaving)
	var bye leaveResult
	err := g.awaitLeaving(ctx)
	if err == nil {
		bye, err = g.leaveResult.Wait(ctx, func(f leaveResult) bool { return f.done })
	}
	stopped := g.Close()
	if err = cmp.Or(err, bye.err); err != nil {
		err = fmt.Errorf("the group did not confirm: %w", err)
	}
	return errors.Join(err, stopped)
}

// awaitLeaving waits until the group's goroutine has begun to leave. An Apply that does not return
// may keep it from handling anything, so it waits at most stopTime.
func (g *Group) awaitLeaving(ctx context.Context) error {
	try, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	_, err := g.leaveResult.Wait(try, func(r leaveResult) bool { return r.begun || r.done })
	if err != nil && try.Err() != nil && ctx.Err() == nil {
		return errUnconfirmed
	}
	return err
}

// Close ends the member's part without informing the other members. It waits until everything
// that the part started has ended, at most stopTime. After that it returns [ErrNotStopped], and
// [Group.Done] reports when the part has ended.
func (g *Group) Close() error {
	g.inbox.postLatest(keyClose, func() { g.end(ErrClosed) })
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-g.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w after %v: an Apply or query of the machine, or the disk of the log, does not return", ErrNotStopped, stopTime)
	}
}

// Done returns a channel that is closed when everything that the group started has ended.
func (g *Group) Done() <-chan struct{} { return g.done }

// startLeaving starts leaving. It is idempotent.
func (g *Group) startLeaving() {
	if g.leaving {
		return
	}
	g.leaving = true
	g.leaveResult.Set(leaveResult{begun: true})
	l := g.local
	if l == nil {
		g.leaveResult.Set(leaveResult{done: true})
		return
	}
	g.leaveProgress = leaveProgress{since: time.Now(), change: l.members.ChangeID, leader: l.leader}
	g.timers.set("leave", g.leaveTime(), func() { g.reviewLeave(l) })
	g.announce()
	g.reconcile()
}

// leaveTime is how long leaving waits for the next membership change.
func (g *Group) leaveTime() time.Duration {
	return 2*g.cfg.Timing.ElectionLimit + g.cfg.Timing.step()
}

// finishLeaving ends leaving if its result is certain, and reports whether it did.
func (g *Group) finishLeaving(l *localReplica) bool {
	var err error
	switch {
	case g.isOnlyMember(l):
	case l.inSync && g.reconciler().voteNeeded():
		err = ErrVoteNeeded
	case g.stalled:
		err = ErrStalled
	default:
		return false
	}
	g.leaveResult.Set(leaveResult{done: true, err: err})
	return true
}

// reviewLeave ends leaving when the membership has not changed for long enough. This member
// may see other peers than the leader does, and the members that it waits for may never catch
// up.
func (g *Group) reviewLeave(l *localReplica) {
	if g.local != l {
		return
	}
	hope := g.leaveProgress.change != l.members.ChangeID
	if time.Since(g.leaveProgress.since) < g.cfg.Policy.Grace {
		// A leader that leaves first hands over its leadership, and the next leader removes it.
		hope = hope || l.votes() && g.reconciler().replaceable() || g.leaveProgress.leader != l.leader
	}
	if hope {
		g.leaveProgress.change, g.leaveProgress.leader = l.members.ChangeID, l.leader
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
	g.leaveResult.Set(leaveResult{done: true, err: err})
}

// stopLastReplica stops the last replica, and returns a channel that is closed when it has stopped.
// If the log is cleared and the replica stops soon, it sends goodbye to the other members.
func (g *Group) stopLastReplica() <-chan struct{} {
	stopped := make(chan struct{})
	l := g.local
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
		g.sendGoodbye(l)
	case <-timer.C:
	}
	return stopped
}

// removeLeaving removes members that asked for it. A spare is promoted first to replace a voter.
// Without a spare, a voter is removed only if enough voters remain, with a quorum among those
// that can be reached. A dead voter is removed first if that allows it.
func (s reconciler) removeLeaving() change {
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
			spare.why = "it replaces a voter that leaves"
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

// deadBefore returns the removal of a dead voter, if the peer can be removed after that.
func (s reconciler) deadBefore(peer sm.PeerID) (change, bool) {
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

// voteNeeded reports whether it is certain that the group will not remove this member, which wants
// to leave: the group needs its vote, and no connected member could replace it. It is not certain
// while a voter is missing that may return.
func (s reconciler) voteNeeded() bool {
	if _, votes := s.members.Voters[s.peers[s.self].replica(s.self)]; !votes || s.replaceable() {
		return false
	}
	if len(s.members.Voters) <= s.floor() {
		return true
	}
	_, helps := s.deadBefore(s.self)
	return !helps && !s.quorumWithout(s.self) && !s.mayRegainVoter()
}

// replaceable reports whether a connected member may become able to take this member's vote.
func (s reconciler) replaceable() bool {
	for peer, a := range s.peers {
		if _, votes := s.members.Voters[a.replica(peer)]; !votes && !a.Role.Observer && a.Phase != Leaving && !a.Poisoned {
			return true
		}
	}
	return false
}

// mayRegainVoter reports whether a voter without a bond may return.
func (s reconciler) mayRegainVoter() bool {
	for replica, peer := range s.members.Voters {
		if _, bonded := s.peers[peer]; !bonded && !s.dead(replica, peer) {
			return true
		}
	}
	return false
}
