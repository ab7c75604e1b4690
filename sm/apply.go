package sm

import (
	"math/rand/v2"
	"time"
)

// ApplyInfo holds the values of an [ApplyContext]. It is exported so that tests can
// call Apply.
type ApplyInfo struct {
	Index   Index     // the command's dense index in its group, from 1
	Term    Term      // the Raft term in which the command was written
	Group   Digest    // the group's id
	Network Digest    // the network's id
	Time    time.Time // by the proposer's clock; it never goes back within the group
	Seed    uint64    // a random number that the proposer chose for the log entry
}

// ApplyContext describes the position of a command in the group's log, and the
// circumstances under which it was written. It is the same on every replica, so the
// state may depend on all of it. It is a small value and cheap to copy.
type ApplyContext struct{ info ApplyInfo }

// NewApplyContext returns a context with the values of info.
func NewApplyContext(info ApplyInfo) ApplyContext { return ApplyContext{info} }

// Index returns the command's index. The first command of a group has index 1, and
// indices have no gaps.
func (a ApplyContext) Index() Index { return a.info.Index }

// Term returns the Raft term in which the command was written.
func (a ApplyContext) Term() Term { return a.info.Term }

// Cursor returns the command's index and term.
func (a ApplyContext) Cursor() Cursor { return Cursor{Term: a.info.Term, Index: a.info.Index} }

// Group returns the id of the group.
func (a ApplyContext) Group() Digest { return a.info.Group }

// Network returns the id of the group's network.
func (a ApplyContext) Network() Digest { return a.info.Network }

// Now returns the time, in UTC, at which the command was proposed, by the proposer's
// clock. It never goes back within a group. Use it in place of the wall clock, which
// differs between replicas.
func (a ApplyContext) Now() time.Time { return a.info.Time.UTC() }

// Rand returns a random source whose seed is the same on every replica and differs
// between commands. Each call returns a new source that draws the same numbers, so
// call Rand once for each command. The numbers are not secret.
func (a ApplyContext) Rand() *rand.Rand {
	return rand.New(rand.NewPCG(a.info.Seed, uint64(a.info.Index)))
}
