package bond

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// The ranks of peers, the first to be dialled first.
type rank int

const (
	rankMember   rank = iota // a bond with it was up
	rankReached              // it was reached at an address that it still lists
	rankGroup                // its entry lists a group that is joined here
	rankStranger             // any other
)

// dialling is what the dialler knows about a peer.
type dialling struct {
	rank    rank
	met     time.Time
	next    time.Time // not dialled before
	backoff backoff   // between rounds
	hurried time.Time // the last time that a new entry made it be dialled

	listed   []string // addresses of its entry when the round began
	left     []string // of these, not dialled yet, best first
	flying   int      // dials in flight, or whose connection is being served
	errs     []error  // of this round
	failures int      // dials since one succeeded
	rounds   int      // that failed
	crowded  int      // times that all its destinations were dialled too often
	worked   string   // the address that was dialled successfully last
	answered string   // the IP address and port at which it answered last
	alarmed  bool     // that it cannot be reached is logged as a warning
	failed   failureLog

	due   time.Time // when to look at it, in the queue of those that wait
	queue *queue    // nil when it is in none
	index int       // in queue
}

// rankBy returns the peer's rank if this is its entry. That it was reached counts
// for the address at which it was, for as long as it lists that.
func (p *peer) rankBy(entry discovery.Signed) rank {
	switch {
	case p.member:
		return rankMember
	case p.worked != "" && slices.Contains(entry.Addrs, p.worked):
		return rankReached
	}
	return p.claim(entry)
}

// claim returns the rank that nothing but the entry speaks for.
func (p *peer) claim(entry discovery.Signed) rank {
	for group := range p.m.groups {
		if entry.HasGroup(group) {
			return rankGroup
		}
	}
	return rankStranger
}

// follower is 1 if the peer, not this end, selects connections, and 0 otherwise.
func (p *peer) follower() int {
	if p.m.decides(p.id) {
		return 0
	}
	return 1
}

// yield returns how long a peer waits whose destinations may be dialled again in
// d. Many can wait for one destination: the more often a peer did in vain, the
// more seldom it asks.
func (p *peer) yield(d time.Duration) time.Duration {
	d <<= min(p.crowded, 10)
	p.crowded++
	return min(d+rand.N(d), renewal)
}

// inOrder returns a copy of the addresses with the one that worked last first.
func inOrder(addrs []string, worked string) []string {
	addrs = slices.Clone(addrs)
	if i := slices.Index(addrs, worked); i > 0 {
		copy(addrs[1:], addrs[:i])
		addrs[0] = worked
	}
	return addrs
}

// endRound has the peer pause after all its addresses have failed. What it
// returns logs why, without the mutex.
func (p *peer) endRound(now time.Time) (report func()) {
	p.rounds++
	p.next = now.Add(p.pause())
	return p.takeErrors(now)
}

// deadShare bounds the pause between rounds to a peer that was reached by a share
// of the time since its last sign of life: 12 is a twelfth. A partition heals soon
// after its end, and peers that are dead cost less and less until they are
// forgotten.
const deadShare = 12

// pause draws the pause after a round. A peer that was never reached may not
// exist.
func (p *peer) pause() time.Duration {
	cfg := &p.m.cfg
	entry, _ := p.m.entry(p.id)
	switch p.rankBy(entry) {
	case rankGroup:
		return p.backoff.pauseUpTo(max(cfg.Redial.Max, cfg.Unreached/10))
	case rankStranger:
		return p.backoff.pauseUpTo(max(cfg.Redial.Max, cfg.Unreached))
	}
	return p.backoff.pauseUpTo(max(cfg.Redial.Max, time.Since(p.alive)/deadShare))
}

// takeErrors empties the round's errors and returns what logs them.
func (p *peer) takeErrors(now time.Time) (report func()) {
	err := errors.Join(p.errs...)
	p.errs = nil
	changed := p.failed.changed(err)
	// A peer may just restart. That its address must not be dialled is for people.
	alarm := err != nil && (errors.Is(err, link.ErrForbidden) || now.Sub(p.alive) >= alarmAfter)
	level := slog.LevelInfo
	if alarm {
		level = slog.LevelWarn
		changed = changed || !p.alarmed
	}
	p.alarmed = alarm
	if !changed {
		return func() {}
	}
	m, id := p.m, p.id
	return func() {
		m.cfg.Logger.Log(context.Background(), level, "cannot reach peer", "peer", id.Short(), "error", err)
	}
}

// hurry has a peer with a new entry be dialled soon. A peer could renew its entry
// all the time: unless it is a member, it is dialled sooner than its backoff says
// once in each renewal.
func (p *peer) hurry(entry discovery.Signed, now time.Time) {
	if len(p.left) > 0 && !slices.Equal(p.listed, entry.Addrs) {
		p.left = nil // of an older entry
		p.next = now.Add(p.pause())
	}
	soon := now.Add(p.m.cfg.Redial.Min)
	if !p.member && !p.hurried.IsZero() {
		soon = later(soon, p.hurried.Add(renewal))
	}
	if p.next.After(soon) {
		p.next, p.hurried = soon, soon
	}
	p.touch()
}
