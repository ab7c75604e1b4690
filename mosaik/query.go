package mosaik

import (
	"context"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// Consistency says what the answer to a query must reflect: [Strong], [Weak] or
// what [AtLeast] returns.
type Consistency uint64

const (
	// Strong answers are linearizable: they reflect every command that was
	// acknowledged anywhere before the call. They cost a round to the leader,
	// which makes sure of its quorum, and fail without one. Calls that are made
	// at the same time share a round.
	Strong Consistency = iota + 1
	// Weak answers reflect what this member has applied. They cost nothing but
	// the query, and work also without a leader.
	Weak
)

// atLeast marks a Consistency that holds an index.
const atLeast Consistency = 1 << 63

// AtLeast answers reflect the command of the given index and all before it, and
// perhaps later ones. Given the index of a command, or that of an earlier
// [Result], on whichever member, they make sure of reading one's own writes and
// of never going back in time. They cost no message: a member that has applied
// the command answers like [Weak], also without a leader; another one waits
// until it has. An index counts in its own epoch, as all indices do; waiting for
// one that no command ever gets ends with the context.
func AtLeast(index sm.Index) Consistency { return atLeast | Consistency(index) }

// index returns what AtLeast was given, and whether c is of that kind.
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

// Query asks the group's machine. The query runs on the caller's goroutine, on
// this member's machine, while nothing is applied to it; keep it short. [Status.Slow]
// lists queries that run longer than a second. A query must not call its own group: a
// command would block until its context ends; another query can deadlock, and with it
// all that the member applies. A query that the machine's Apply makes is [ErrInApply].
//
// Errors are the query's own, [ErrForming] while this member is in no epoch, and in a
// strong read also while its epoch accepts no commands, [ErrStalled] and
// [ErrClosed], and the context's, wrapped. A query that panics yields an error
// and does no harm to the group.
//
// A member can lose its replica and get another one in the same epoch: when its vote is
// taken from it, or when it was replaced while it could not be reached. The former
// replica's machine then answers Weak reads, and AtLeast reads up to its index, until the
// new one has applied as much; Strong reads wait for the new one. Answers of one epoch
// never go back.
func Query[R, C any, M sm.StateMachine[C]](ctx context.Context, g *Group[C, M], q sm.Query[M, R], c Consistency) (Result[R], error) {
	// Not the method value: that of a nil query panics here.
	return ask(ctx, g, c, q, func(m M) (R, error) { return q.Query(m) })
}

// Read is [Query] with a function in place of a query type. read must not change
// the machine, nor keep or return anything that aliases its state.
func Read[R, C any, M sm.StateMachine[C]](ctx context.Context, g *Group[C, M], c Consistency, read func(M) (R, error)) (Result[R], error) {
	return ask(ctx, g, c, read, read)
}

// ask reads the machine. What is called names it in reports.
func ask[R, C any, M sm.StateMachine[C]](ctx context.Context, g *Group[C, M], c Consistency, called any, read func(M) (R, error)) (_ Result[R], err error) {
	ctx, span := g.joined.net.telemetry.start(ctx, "mosaik.query", g.joined.id)
	defer func() { endSpan(span, err) }()
	index, ok := c.index()
	if !ok && c != Strong && c != Weak {
		return Result[R]{}, fmt.Errorf("mosaik: query: unknown %v; use Strong, Weak or AtLeast", c)
	}
	need := group.Need{Strong: c == Strong}
	if ok {
		need.AtLeast = index
	}
	core, err := g.core()
	if err != nil {
		return Result[R]{}, err
	}
	var result Result[R]
	result.Epoch, err = core.Read(ctx, need, &state.Query{Call: called, Run: func(at sm.Index, m state.Machine) (err error) {
		result.Index = at
		result.Value, err = read(m.(interface{ typed() M }).typed())
		return err
	}})
	return result, err
}
