package dialler

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// rank orders peers: a lower one is dialled first.
type rank int

const (
	rankMember   rank = iota // a bond with it was up
	rankReached              // it was reached at an address that it still lists
	rankGroup                // its entry lists a group that is joined here
	rankStranger             // any other
)

// Peer answers the scheduler's questions about the peer of a target. The scheduler calls it
// within its own methods, so the owner's lock is held.
type Peer interface {
	// ID returns the peer's id. It never changes.
	ID() sm.PeerID
	// Addrs returns the addresses of the newest entry, best first. The scheduler does not
	// change them.
	Addrs() []string
	// SharesGroup reports whether the newest entry lists a group that is joined here.
	SharesGroup() bool
	// IsMember reports whether a bond with the peer was up: it holds a group's key.
	IsMember() bool
	// Connected reports whether there is a connection, selected or not.
	Connected() bool
	// LastSeen returns the time of the peer's last sign of life.
	LastSeen() time.Time
	// Selects reports whether the peer, not this end, selects connections.
	Selects() bool
	// Gone reports that the owner no longer wants the peer to be dialled.
	Gone() bool
}

// Target is what the scheduler knows about a peer.
type Target struct {
	// Worked is the address that was dialled successfully last, "" for none.
	Worked string

	s       *Scheduler
	peer    Peer
	met     time.Time // when the target was made
	rank    rank      // when it was placed last
	next    time.Time // not dialled before
	backoff rate.Backoff
	hurried time.Time // when a new entry last made it be dialled early

	// The round. It begins when left is filled and ends when left is empty and no dial is
	// in flight.
	listed   []string // addresses of the entry when the round began
	left     []string // of these, not dialled yet, best first
	inFlight int      // dials, and connections that came of them and are being served
	errs     []error  // of this round
	crowded  int      // times in a row that the rate of every destination was used up

	failures int  // dials since one succeeded
	rounds   int  // that failed since a dial succeeded
	alarmed  bool // a warning that it cannot be reached was logged
	failed   FailureLog

	// Its place in a queue.
	due   time.Time   // when to look at it, in Scheduler.waiting
	heap  *targetHeap // nil when it is in none
	index int         // in heap
}

// NewTarget returns the target of a peer that was met now. It is in no queue before
// [Scheduler.Place].
func (s *Scheduler) NewTarget(p Peer, now time.Time) *Target {
	t := &Target{s: s, peer: p, met: now, next: now, backoff: rate.NewBackoff(s.cfg.Redial)}
	if p.Selects() {
		// Both ends mostly discover each other at the same time. The end that selects dials
		// first, which saves the other's connection.
		t.next = now.Add(t.backoff.Pause())
	}
	return t
}

// lost reports whether the peer must be forgotten: it has no connection and has given no
// sign of life for too long.
func (t *Target) lost(now time.Time) bool {
	return !t.peer.Connected() && t.inFlight == 0 && !t.peer.Gone() &&
		!t.peer.LastSeen().Add(t.s.cfg.ForgetAfter).After(now)
}

// rankAt returns the peer's rank if these are its addresses. A peer counts as reached as
// long as its entry lists the address at which it was reached.
func (t *Target) rankAt(addrs []string) rank {
	switch {
	case t.peer.IsMember():
		return rankMember
	case t.Worked != "" && slices.Contains(addrs, t.Worked):
		return rankReached
	}
	return t.claim()
}

// claim returns the rank that the peer's entry alone gives it.
func (t *Target) claim() rank {
	if t.peer.SharesGroup() {
		return rankGroup
	}
	return rankStranger
}

// selects is 1 if the peer, not this end, selects connections, and 0 otherwise.
func (t *Target) selects() int {
	if t.peer.Selects() {
		return 1
	}
	return 0
}

// yield returns how long a peer waits if its destinations may be dialled again in d.
// Many peers can wait for one destination. The more often a peer has waited in vain, the
// longer it waits.
func (t *Target) yield(d time.Duration) time.Duration {
	d <<= min(t.crowded, 10)
	t.crowded++
	return min(d+rand.N(d), Renewal)
}

// InOrder returns a copy of the addresses with the one that worked last first.
func InOrder(addrs []string, worked string) []string {
	addrs = slices.Clone(addrs)
	if i := slices.Index(addrs, worked); i > 0 {
		copy(addrs[1:], addrs[:i])
		addrs[0] = worked
	}
	return addrs
}

// endRound makes the peer pause after all its addresses have failed. The returned
// function logs the reason; it is called without the owner's lock.
func (t *Target) endRound(now time.Time) (report func()) {
	t.rounds++
	t.next = now.Add(t.pause())
	return t.takeErrors(now)
}

// DeadShare bounds the pause between rounds to a peer that was reached by a share of the
// time since its last sign of life: 12 is a twelfth. A partition heals soon after its end,
// and dead peers cost less and less until they are forgotten.
const DeadShare = 12

// pause draws the pause after a round. A peer that was never reached may not exist, so it
// is tried less often.
func (t *Target) pause() time.Duration {
	cfg := &t.s.cfg
	switch t.rankAt(t.peer.Addrs()) {
	case rankGroup:
		return t.backoff.PauseUpTo(max(cfg.Redial.Max, cfg.Unreached/10))
	case rankStranger:
		return t.backoff.PauseUpTo(max(cfg.Redial.Max, cfg.Unreached))
	}
	return t.backoff.PauseUpTo(max(cfg.Redial.Max, time.Since(t.peer.LastSeen())/DeadShare))
}

// takeErrors drops the round's errors and returns a function that logs them.
func (t *Target) takeErrors(now time.Time) (report func()) {
	err := errors.Join(t.errs...)
	t.errs = nil
	changed := t.failed.Changed(err)
	// A peer may just restart. An address that must not be dialled needs an operator.
	alarm := err != nil && (errors.Is(err, link.ErrForbidden) || now.Sub(t.peer.LastSeen()) >= AlarmAfter)
	level := slog.LevelInfo
	if alarm {
		level = slog.LevelWarn
		changed = changed || !t.alarmed
	}
	t.alarmed = alarm
	if !changed {
		return func() {}
	}
	logger, id := t.s.cfg.Logger, t.peer.ID()
	return func() {
		logger.Log(context.Background(), level, "cannot reach peer", "peer", id.Short(), "error", err)
	}
}

// Now schedules a dial of the peer at the next step, regardless of its backoff.
func (t *Target) Now(now time.Time) { t.next = earlier(t.next, now) }

// Pause delays the next dial of the peer until its backoff has passed.
func (t *Target) Pause(now time.Time) { t.next = now.Add(t.pause()) }

// Lasted reports that a connection to the peer lasted that long.
func (t *Target) Lasted(d time.Duration) { t.backoff.Succeeded(d) }

// Renewed schedules an early dial of a peer with a new entry. A peer that is not a member
// could renew its entry all the time, so its backoff is ignored only once in each
// [Renewal].
func (t *Target) Renewed(now time.Time) {
	if len(t.left) > 0 && !slices.Equal(t.listed, t.peer.Addrs()) {
		t.left = nil // of an older entry
		t.next = now.Add(t.pause())
	}
	soon := now.Add(t.s.cfg.Redial.Min)
	if !t.peer.IsMember() && !t.hurried.IsZero() {
		soon = later(soon, t.hurried.Add(Renewal))
	}
	if t.next.After(soon) {
		t.next, t.hurried = soon, soon
	}
}
