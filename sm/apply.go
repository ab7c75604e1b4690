package sm

import (
	"math/rand/v2"
	"time"
)

// ApplyInfo is everything an [ApplyContext] tells a command. It is exported so
// that tests can call Apply by hand.
type ApplyInfo struct {
	Index   Index     // the command's dense index in its group, from 1
	Term    Term      // the Raft term in which the command was written
	Group   Digest    // the group's id
	Network Digest    // the network's id
	Time    time.Time // the proposer's clock, made monotonic within the group
	Seed    uint64    // drawn by the proposer for the log entry
}

// ApplyContext tells a command where in the group's history it stands. It is
// the same on every replica: state may depend on anything that it says.
//
// It is a small value; copying it is cheap.
type ApplyContext struct{ info ApplyInfo }

// NewApplyContext returns a context that says what info says.
func NewApplyContext(info ApplyInfo) ApplyContext { return ApplyContext{info} }

// Index returns the command's index: 1 for a group's first command, then one
// more for each, without holes.
func (a ApplyContext) Index() Index { return a.info.Index }

// Term returns the Raft term in which the command was written.
func (a ApplyContext) Term() Term { return a.info.Term }

// Cursor returns the command's index and term.
func (a ApplyContext) Cursor() Cursor { return Cursor{Term: a.info.Term, Index: a.info.Index} }

// Group returns the id of the group.
func (a ApplyContext) Group() Digest { return a.info.Group }

// Network returns the id of the network that the group lives on.
func (a ApplyContext) Network() Digest { return a.info.Network }

// Now returns the time at which the command was proposed, in UTC, by the
// proposer's clock. Within a group it never goes backwards. Machines use it in
// place of the wall clock, which differs between replicas.
func (a ApplyContext) Now() time.Time { return a.info.Time.UTC() }

// Rand returns a random source that is seeded alike on every replica, and
// differently for each command. Every call returns one that begins anew, with the
// same draws: keep it. They are not secret.
func (a ApplyContext) Rand() *rand.Rand {
	return rand.New(rand.NewPCG(a.info.Seed, uint64(a.info.Index)))
}
