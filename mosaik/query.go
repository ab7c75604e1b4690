package mosaik

import (
	"context"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// Consistency is what the answer to a query must reflect: [Strong], [Weak] or the value that
// [AtLeast] returns.
type Consistency uint64

const (
	// Strong answers are linearizable: they reflect every command that was acknowledged on
	// any member before the call. They cost a round trip to the leader, which verifies its
	// quorum, and fail without one. Calls that are made at the same time share a round trip.
	Strong Consistency = iota + 1
	// Weak answers reflect what this member has applied. They need no message, and no leader.
	Weak
)

// atLeast marks a Consistency that holds an index.
const atLeast Consistency = 1 << 63

// AtLeast answers reflect the command of the given index, all before it, and perhaps later
// ones. With the index of a [Result], from any member, a caller reads its own write and never
// goes back in time. They need no message: a member that has applied the command answers at
// once, also without a leader, and another member waits until it has. An index counts in its
// own epoch; waiting for one that no command ever gets ends with the context.
func AtLeast(index sm.Index) Consistency { return atLeast | Consistency(index) }

// index returns the index that AtLeast was given, and whether c is of that kind.
func (c Consistency) index() (sm.Index, bool) { return sm.Index(c &^ atLeast), c&atLeast != 0 }

// String returns "strong", "weak" or "at least" with the index.
func (c Consistency) String() string {
	if index, ok := c.index(); ok {
		return fmt.Sprintf("at least %d", index)
	}
	switch c {
	case Strong:
		return "strong"
	case Weak:
		return "weak"
	}
	return fmt.Sprintf("consistency(%d)", uint64(c))
}

// Query asks the group's machine. The query runs on the caller's goroutine, on this member's
// machine, while no command is applied to it: keep it short. [consensus.Status].SlowCalls lists
// queries that run longer than a second. A query must not call its own group. A command would
// block until its context ends; a nested query can deadlock, and with it everything that the
// member applies.
//
// The query's own error is returned unchanged. The others are [ErrForming] while this member is in
// no epoch, or its epoch accepts no commands and c is Strong; [ErrStalled]; [ErrInvalid] in the
// machine's Apply; those that end a group on this member, as [ErrClosed]; and the context's error,
// wrapped. A query that panics returns an error and does not affect the group.
//
// A member can lose its replica and get another one in the same epoch: when its vote is taken
// from it, or when it was replaced while it could not be reached. The former replica's machine
// then answers Weak reads, and AtLeast reads up to its index, until the new one has applied as
// much; Strong reads wait for the new one. Within an epoch answers never go back.
func Query[R, C any, M sm.StateMachine[C]](
	ctx context.Context, g *Group[C, M], q sm.Query[M, R], c Consistency,
) (Result[R], error) {
	// Not the method value, which panics here if the query is nil.
	return ask(ctx, g, c, q, func(m M) (R, error) { return q.Query(m) })
}

// Read is [Query] with a function in place of a query type. read must not change the machine,
// nor keep or return anything that aliases its state.
func Read[R, C any, M sm.StateMachine[C]](
	ctx context.Context, g *Group[C, M], c Consistency, read func(M) (R, error),
) (Result[R], error) {
	return ask(ctx, g, c, read, read)
}

// ask reads the machine. called is the query or function that reports name.
func ask[R, C any, M sm.StateMachine[C]](
	ctx context.Context, g *Group[C, M], c Consistency, called any, read func(M) (R, error),
) (_ Result[R], err error) {
	ctx, span := g.joined.net.telemetry.start(ctx, "mosaik.query", g.joined.id)
	defer func() { endSpan(span, err) }()
	index, ok := c.index()
	if !ok && c != Strong && c != Weak {
		err := fmt.Errorf("%w: unknown %v; use Strong, Weak or AtLeast", ErrInvalid, c)
		return Result[R]{}, g.joined.failed("query", NotApplied, err)
	}
	need := group.Need{Strong: c == Strong}
	if ok {
		need.AtLeast = index
	}
	core, err := g.core()
	if err != nil {
		return Result[R]{}, g.joined.failed("query", NotApplied, err)
	}
	var answer struct { // escapes, so no larger than it must be
		value R
		index sm.Index
		own   bool // the error is the query's own
	}
	run := func(at sm.Index, m state.Machine) (err error) {
		answer.index = at
		answer.value, err = read(m.(interface{ typed() M }).typed())
		answer.own = err != nil
		return err
	}
	epoch, err := core.Read(ctx, need, &state.Query{Call: called, Run: run})
	if err != nil && !answer.own {
		err = g.joined.failed("query", NotApplied, err)
	}
	return Result[R]{Value: answer.value, Index: answer.index, Epoch: epoch}, err
}
